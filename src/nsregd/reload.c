/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <sys/resource.h>

#include "net/stream-set.h"
#include "nsregd/admin.h"
#include "nsregd/announce.h"
#include "nsregd/capacity.h"
#include "nsregd/context.h"
#include "nsregd/import.h"
#include "nsregd/left-over.h"
#include "nsregd/listener.h"
#include "nsregd/message-ids.h"
#include "nsregd/reload.h"
#include "nsregd/undo.h"
#include "nsregd/zones.h"
#include "upstream/publisher.h"
#include "util/log.h"

/*   state       what is under way                          ends it
 *   IDLE        nothing
 *   LOADING     names of added zones are read, then rows   reload_on_page,
 *               of added upstreams                         reload_on_units
 *   MOVING      committed: what is published is moved      reload_on_moved
 *   LEAVING     requests of removed zones come to an end   reload_on_quiet
 *   FROZEN      the daemon stops; nothing begins
 *
 * Until LOADING is over, dropping everything leaves the daemon as it was. */
enum reload_state {
        RELOAD_IDLE,
        RELOAD_LOADING,
        RELOAD_MOVING,
        RELOAD_LEAVING,
        RELOAD_FROZEN,
};

struct reload_waiter {
        STAILQ_ENTRY(reload_waiter) waiters;
        reload_done done;
        void *userdata;
};
STAILQ_HEAD(reload_waiters, reload_waiter);

struct reload {
        struct context *context;
        enum reload_state state;
        struct reload_waiters waiters; /* for the one under way */
        struct reload_waiters next;    /* for the one behind it */
        struct nsregd_config *config;  /* prepared */
        struct publisher_setup *setup;
        struct listener_setup *listener;
        bool adopts;                 /* a zone adopts what it did not adopt before */
        struct served_zone *loading; /* whose names are read */
        struct reload_page *page;
        struct upstream *joining; /* whose rows are read */
        struct reload_units *units;
};

struct reload_page {
        struct reload *reload;
        struct store_page stored;
};

struct reload_units {
        struct reload *reload;
        struct store_units stored;
        struct unit_row after; /* where it goes on */
        uint8_t rdata[DNS_NAME_MAX];
};

/* --- the end of one --- */

static void reload_tell(struct reload_waiters *waiters, int error, const char *why)
{
        struct reload_waiters told;
        struct reload_waiter *waiter;

        STAILQ_INIT(&told);
        STAILQ_CONCAT(&told, waiters);
        while ((waiter = STAILQ_FIRST(&told))) {
                STAILQ_REMOVE_HEAD(&told, waiters);
                if (waiter->done)
                        waiter->done(waiter->userdata, error, why);
                free(waiter);
        }
}

/* What was prepared goes; what is in force stays as it was. */
static void reload_drop(struct reload *reload)
{
        struct served_zone *served, *next;

        if (reload->page) {
                waiter_clear(&reload->page->stored.waiter);
                store_page_clear(&reload->page->stored);
        }
        free(TAKE_PTR(reload->page));
        reload->loading = NULL;
        if (reload->units) {
                waiter_clear(&reload->units->stored.waiter);
                store_units_clear(&reload->units->stored);
        }
        free(TAKE_PTR(reload->units));
        reload->joining = NULL;
        reload->setup = publisher_setup_free(reload->setup);
        reload->listener = listener_setup_free(reload->listener);
        LIST_FOREACH_SAFE (served, zones_list(reload->context->zones), zones, next) {
                zone_drop_policy(served);
                if (served->joining)
                        zones_remove(reload->context->zones, served);
        }
        reload->config = nsregd_config_free(reload->config);
}

static void reload_start(struct reload *reload);

static void reload_finish(struct reload *reload, int error, const char *why)
{
        reload->state = RELOAD_IDLE;
        reload_tell(&reload->waiters, error, why);
        if (reload->state == RELOAD_IDLE && !STAILQ_EMPTY(&reload->next))
                reload_start(reload);
}

/* --- prepare --- */

int read_configuration(const char *path, struct nsregd_config **ret, char **why)
{
        struct config_error error = CONFIG_ERROR_INIT;
        int r;

        r = nsregd_config_load(path, ret, &error);
        if (error.warnings)
                log_warning("%s", error.warnings);
        if (r < 0) {
                struct log_fields fields = { .reason = error.text };

                log_event(LOG_ERR, MESSAGE_CONFIGURATION_REJECTED, &fields, "%s", error.text ?: strerror(-r));
                if (why)
                        /* Without memory the error number has to do. */
                        *why = strdup(error.text ?: strerror(-r));
        }
        config_error_clear(&error);
        return r;
}

static int reload_reject(char **why, int error, const char *format, ...) _printf_(3, 4);

static int reload_reject(char **why, int error, const char *format, ...)
{
        struct log_fields fields = {};
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(why, format, arguments) < 0)
                *why = NULL;
        va_end(arguments);
        fields.reason = *why;
        log_event(LOG_ERR, MESSAGE_CONFIGURATION_REJECTED, &fields, "%s", *why ?: strerror(-error));
        return error;
}

static int reload_read(struct reload *reload, char **why)
{
        struct context *context = reload->context;
        const struct nsregd_config *in_force = context->config;
        _cleanup_free_ char *listener_why = NULL;
        struct nsregd_config *config;
        int r;

        r = read_configuration(context->config_path, &config, why);
        if (r < 0)
                return r;
        reload->config = config;
        /* At a start no configuration is one that serves nothing. In a daemon that serves zones it is one
         * that was moved away or is being written. */
        if (in_force->n_zones > 0 && config->n_zones == 0 && (!config->found || config->is_empty))
                return reload_reject(
                        why, -EINVAL,
                        "The configuration file is %s, and %zu zone%s served. To serve none, write "
                        "\"zones: {}\".",
                        config->found ? "empty" : "gone", in_force->n_zones,
                        in_force->n_zones == 1 ? " is" : "s are");
        if (!streq(config->data_dir, in_force->data_dir))
                return reload_reject(why, -EINVAL,
                                     "data-dir has changed from %s to %s: that takes a restart.",
                                     in_force->data_dir, config->data_dir);
        r = listener_prepare(context, config, &reload->listener, &listener_why);
        return r < 0 ? reload_reject(why, r, "%s", listener_why ?: strerror(-r)) : 0;
}

static int reload_prepare_zone(struct reload *reload, const struct zone_config *config, char **why)
{
        struct context *context = reload->context;
        struct served_zone *served = zones_serving(context->zones, &config->policy.zone);
        int r;

        if (!served) {
                r = zones_add(context->zones, config, &served);
                if (r < 0)
                        return r;
                served->joining = served->zone->hidden = true;
                import_recall(context, served->zone);
        } else {
                r = zone_prepare_policy(served, &config->policy);
                if (r < 0)
                        return r;
        }
        return publisher_prepare_zone(reload->setup, served->zone, config->upstreams, config->n_upstreams,
                                      why);
}

static int reload_prepare(struct reload *reload, char **why)
{
        struct context *context = reload->context;
        _cleanup_free_ char *upstream_why = NULL;
        char text[DNS_NAME_FORMAT_MAX];
        int r;

        r = reload_read(reload, why);
        if (r >= 0)
                r = publisher_prepare(context->publisher, &reload->setup);
        for (size_t i = 0; r >= 0 && i < reload->config->n_zones; i++) {
                const struct zone_config *zone = &reload->config->zones[i];

                r = reload_prepare_zone(reload, zone, &upstream_why);
                if (r < 0 && upstream_why)
                        return reload_reject(why, r, "Zone %s: %s.",
                                             dns_name_format(&zone->policy.zone, text), upstream_why);
        }
        if (r >= 0)
                r = publisher_prepare_done(reload->setup, &upstream_why);
        if (r < 0 && upstream_why)
                return reload_reject(why, r, "%s.", upstream_why);
        return r;
}

/* --- commit --- */

/* Some descriptors are left to the database, the name servers and the bus, whoever comes. */
static uint32_t descriptors_for_connections(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
                return UINT32_MAX;
        return (uint32_t) MIN(limit.rlim_cur - MIN(limit.rlim_cur / 4, (rlim_t) 128), (rlim_t) UINT32_MAX);
}

void configure_limits(struct context *context)
{
        const struct peer_limits *limits = &context->config->limits;
        struct stream_limits streams = {
                .connections = MIN(limits->connections, descriptors_for_connections()),
                .connections_per_source = limits->connections_per_source,
                .message_bytes = limits->message_bytes,
                .in_flight = limits->in_flight_per_connection,
                .unread_output = limits->unread_output,
                .message_timeout_usec = limits->message_timeout_usec,
                .idle_timeout_usec = limits->idle_timeout_usec,
                .exempt_nets = limits->exempt_nets,
        };
        uint32_t verifications = limits->verifications_per_second;

        if (verifications == 0)
                verifications = capacity_verifications_per_second() / 2;
        quota_configure(context->quota, limits, verifications);
        /* Without memory the limits of before hold. */
        if (context->streams)
                (void) stream_set_limits(context->streams, &streams);
}

static void reload_commit(struct reload *reload)
{
        struct context *context = reload->context;
        struct served_zone *served;

        announce_reconfigured(context->announcer, false);
        LIST_FOREACH (served, zones_list(context->zones), zones)
                if (!served->joining && !served->has_next_policy)
                        served->leaving = served->zone->hidden = true;
        LIST_FOREACH (served, zones_list(context->zones), zones) {
                if (served->joining)
                        served->joining = served->zone->hidden = false;
                reload->adopts |= served->has_next_policy &&
                                  served->next_policy.adopt_until_usec > served->policy.adopt_until_usec;
                zone_take_policy(served);
        }
        nsregd_config_free(context->config);
        context->config = TAKE_PTR(reload->config);
        configure_limits(context);
        zones_find_host_name(context->zones);
        listener_commit(context, TAKE_PTR(reload->listener));
        reload->state = RELOAD_MOVING;
        publisher_commit(TAKE_PTR(reload->setup));
        zones_find_builtin(context->zones);
        announce_reconfigured(context->announcer, true);
        log_info("Configuration reloaded.");
        reload_tell(&reload->waiters, 0, NULL);
}

/* Removed zones go when nothing of them is under way. */
static void reload_on_quiet(void *userdata)
{
        struct reload *reload = userdata;
        struct context *context = reload->context;
        struct served_zone *served, *next;

        if (reload->state != RELOAD_LEAVING)
                return;
        LIST_FOREACH (served, zones_list(context->zones), zones)
                if (served->leaving && served->n_under_way > 0)
                        return;
        LIST_FOREACH_SAFE (served, zones_list(context->zones), zones, next) {
                if (!served->leaving)
                        continue;
                publisher_forget_zone(context->publisher, served->zone);
                /* What its leases came to counts when it comes back. */
                if (write_back_zone(context->write_back, served->zone) < 0)
                        log_warning("Out of memory: leases refreshed of late in a zone that is served no "
                                    "more are not stored.");
                zones_remove(context->zones, served);
        }
        reload_finish(reload, 0, NULL);
}

void reload_on_moved(struct reload *reload)
{
        if (reload->state != RELOAD_MOVING)
                return;
        reload->state = RELOAD_LEAVING;
        admin_withdraw_server_names(reload->context);
        /* Somebody may have put right at a server what this reload is about; where no serial has moved this
         * is a question for each zone, and no more. Without memory the next one by the clock does it. */
        (void) publisher_reconcile(reload->context->publisher, reload->context->registry);
        /* What was refused is the owner's own now. */
        if (reload->adopts) {
                undos_lift_blocks(reload->context->undos);
                publisher_flush(reload->context->publisher);
        }
        reload->adopts = false;
        reload_on_quiet(reload);
}

/* --- load: added zones appear whole, and what an added upstream has of ours is known --- */

static void reload_load_next(struct reload *reload);
static void reload_load_units(struct reload *reload);
static void reload_on_units(struct waiter *waiter, int error);

static void reload_fail_loading(struct reload *reload, int error)
{
        _cleanup_free_ char *why = NULL;

        /* Tells it; the error is known. */
        (void) reload_reject(
                &why, error,
                "What is kept of an added zone or upstream cannot be read from the database: %s.",
                strerror(-error));
        reload_drop(reload);
        reload_finish(reload, error, why);
}

static int reload_take_page(struct reload *reload)
{
        struct store_page *page = &reload->page->stored;

        for (unsigned i = 0; i < page->n_names; i++) {
                struct stored_name *name = &page->names[i];
                int r;

                r = registry_load(reload->loading->zone, name->label, name->state);
                if (r < 0)
                        return r;
                if (name->state->claimed)
                        quota_count_name(reload->context->quota, &name->state->source, 1);
                name->state = NULL;
                strcpy(page->after, name->label);
        }
        store_page_clear(page);
        return 0;
}

static void reload_on_page(struct waiter *waiter, int error)
{
        struct reload *reload = container_of(waiter, struct reload_page, stored.waiter)->reload;
        int r = error;

        assert(reload->state == RELOAD_LOADING);
        if (r >= 0)
                r = reload_take_page(reload);
        if (r >= 0 && !reload->page->stored.is_last)
                r = store_read_page(reload->context->store, &reload->page->stored, reload_on_page);
        else if (r >= 0) {
                reload->loading->loaded = true;
                reload_load_next(reload);
                return;
        }
        if (r < 0)
                reload_fail_loading(reload, r);
}

static void reload_load_next(struct reload *reload)
{
        struct served_zone *served;
        int r;

        LIST_FOREACH (served, zones_list(reload->context->zones), zones)
                if (served->joining && !served->loaded)
                        break;
        if (!served) {
                free(TAKE_PTR(reload->page));
                reload->loading = NULL;
                reload_load_units(reload);
                return;
        }
        if (!reload->page)
                reload->page = calloc(1, sizeof(*reload->page));
        if (!reload->page) {
                reload_fail_loading(reload, -ENOMEM);
                return;
        }
        reload->loading = served;
        reload->page->reload = reload;
        reload->page->stored.zone = served->policy.zone;
        reload->page->stored.after[0] = '\0';
        r = store_read_page(reload->context->store, &reload->page->stored, reload_on_page);
        if (r < 0)
                reload_fail_loading(reload, r);
}

static int reload_read_units(struct reload *reload, const struct unit_row *after)
{
        struct reload_units *units = reload->units;

        units->stored.upstream = reload->joining->former ?: reload->joining->identity;
        units->stored.after = after;
        return store_read_units(reload->context->store, &units->stored, reload_on_units);
}

/* The last row of a page is where the next begins; the page itself is used again. */
static int reload_take_units(struct reload *reload)
{
        struct reload_units *units = reload->units;
        const struct unit_row *last = NULL;
        int r = 0;

        for (unsigned i = 0; i < units->stored.n_units && r >= 0; i++) {
                struct unit_row row = *(last = &units->stored.units[i].row);

                row.upstream = reload->joining->identity;
                r = publisher_load_row(reload->context->publisher, &row);
        }
        if (r >= 0 && last) {
                assert(last->rdata_size <= sizeof(units->rdata));
                units->after = *last;
                if (last->rdata_size > 0)
                        memcpy(units->rdata, last->rdata, last->rdata_size);
                units->after.rdata = units->rdata;
                units->after.upstream = units->stored.upstream;
                units->after.values = NULL;
                units->after.values_size = 0;
        }
        store_units_clear(&units->stored);
        return r;
}

static void reload_on_units(struct waiter *waiter, int error)
{
        struct reload *reload = container_of(waiter, struct reload_units, stored.waiter)->reload;
        int r = error;

        assert(reload->state == RELOAD_LOADING);
        if (r >= 0)
                r = reload_take_units(reload);
        if (r >= 0 && !reload->units->stored.is_last)
                r = reload_read_units(reload, &reload->units->after);
        else if (r >= 0) {
                reload_load_units(reload);
                return;
        }
        if (r < 0)
                reload_fail_loading(reload, r);
}

/* The zone of an upstream that joins may have been at another address before this run. 0 or -ENOMEM. */
static int reload_find_former(struct reload *reload)
{
        const char *former = left_over_find_former(reload->context->left_over, reload->joining);

        if (!former)
                return 0;
        reload->joining->former = strdup(former);
        return reload->joining->former ? 0 : -ENOMEM;
}

/* Upstreams that were configured before: what is left of ours there is in rows. */
static void reload_load_units(struct reload *reload)
{
        int r = 0;

        reload->joining = publisher_next_joining(reload->context->publisher, reload->joining);
        if (!reload->joining) {
                free(TAKE_PTR(reload->units));
                reload_commit(reload);
                return;
        }
        if (!reload->units)
                reload->units = calloc(1, sizeof(*reload->units));
        if (!reload->units) {
                reload_fail_loading(reload, -ENOMEM);
                return;
        }
        reload->units->reload = reload;
        r = reload_find_former(reload);
        if (r >= 0)
                r = reload_read_units(reload, NULL);
        if (r < 0)
                reload_fail_loading(reload, r);
}

/* --- from outside --- */

static void reload_start(struct reload *reload)
{
        _cleanup_free_ char *why = NULL;
        int r;

        assert(reload->state == RELOAD_IDLE);
        STAILQ_CONCAT(&reload->waiters, &reload->next);
        reload->state = RELOAD_LOADING;
        r = reload_prepare(reload, &why);
        if (r < 0) {
                if (!why)
                        log_error("The configuration was not reloaded: %s.", strerror(-r));
                reload_drop(reload);
                reload_finish(reload, r, why ?: strerror(-r));
                return;
        }
        reload_load_next(reload);
}

int reload_begin(struct reload *reload, reload_done done, void *userdata)
{
        struct reload_waiter *waiter;

        if (reload->state == RELOAD_FROZEN) {
                if (done)
                        done(userdata, -ESHUTDOWN, "the registrar is stopping");
                return 0;
        }
        waiter = calloc(1, sizeof(*waiter));
        if (!waiter)
                return -ENOMEM;
        waiter->done = done;
        waiter->userdata = userdata;
        STAILQ_INSERT_TAIL(&reload->next, waiter, waiters);
        if (reload->state == RELOAD_IDLE)
                reload_start(reload);
        return 0;
}

void reload_freeze(struct reload *reload)
{
        bool loading = reload->state == RELOAD_LOADING;

        reload->state = RELOAD_FROZEN;
        if (loading)
                reload_drop(reload);
        reload_tell(&reload->waiters, -ESHUTDOWN, "the registrar is stopping");
        reload_tell(&reload->next, -ESHUTDOWN, "the registrar is stopping");
}

int reload_new(struct context *context, struct reload **ret)
{
        struct reload *reload = calloc(1, sizeof(*reload));

        if (!reload)
                return -ENOMEM;
        reload->context = context;
        STAILQ_INIT(&reload->waiters);
        STAILQ_INIT(&reload->next);
        zones_on_quiet(context->zones, reload_on_quiet, reload);
        *ret = reload;
        return 0;
}

struct reload *reload_free(struct reload *reload)
{
        if (!reload)
                return NULL;
        reload_freeze(reload);
        reload_drop(reload);
        free(reload);
        return NULL;
}
