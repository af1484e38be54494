/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <systemd/sd-daemon.h>

#include "net/stream-set.h"
#include "net/udp.h"
#include "nsregd/admin.h"
#include "nsregd/announce.h"
#include "nsregd/bus.h"
#include "nsregd/busy-watch.h"
#include "nsregd/change.h"
#include "nsregd/clock-watch.h"
#include "nsregd/context.h"
#include "nsregd/import.h"
#include "nsregd/journal.h"
#include "nsregd/keycache.h"
#include "nsregd/lease-end.h"
#include "nsregd/left-over.h"
#include "nsregd/listener.h"
#include "nsregd/load.h"
#include "nsregd/manager.h"
#include "nsregd/name-lock.h"
#include "nsregd/receive.h"
#include "nsregd/reload.h"
#include "nsregd/repeat.h"
#include "nsregd/request.h"
#include "nsregd/service-user.h"
#include "nsregd/standing.h"
#include "nsregd/status.h"
#include "nsregd/stop.h"
#include "nsregd/undo.h"
#include "nsregd/zones.h"
#include "registry/twins.h"
#include "upstream/publisher.h"
#include "util/file.h"
#include "util/log.h"

#define KEYCACHE_SIZE 16384

struct manager {
        struct context context;
};

/* --- what the parts below ask for --- */

static int on_put_row(void *userdata, const struct unit_row *row, struct waiter *waiter, waiter_done done)
{
        const struct context *context = userdata;

        return store_put_unit(context->store, row, waiter, done);
}

static int on_delete_row(void *userdata, const struct unit_row *key, struct waiter *waiter, waiter_done done)
{
        const struct context *context = userdata;

        return store_delete_unit(context->store, key, waiter, done);
}

static void on_refused(void *userdata, const struct upstream *upstream, const struct dns_name *name,
                       uint16_t type, const char *reason)
{
        const struct context *context = userdata;

        announce_upstream_refused(context->announcer, upstream, name, reason);
        undo_begin(context->undos, name, type, reason);
}

static void on_upstream_changed(void *userdata, const struct upstream *upstream, const char *reason)
{
        const struct context *context = userdata;

        announce_upstream_changed(context->announcer, upstream, reason);
}

static void on_drifted(void *userdata, const struct upstream *upstream, const struct dns_name *owner)
{
        const struct context *context = userdata;

        announce_upstream_drifted(context->announcer, upstream, owner);
}

static void on_drained(void *userdata, const struct upstream *upstream)
{
        const struct context *context = userdata;

        announce_upstream_drained(context->announcer, upstream);
}

static void on_forgotten(void *userdata, const struct upstream *upstream)
{
        const struct context *context = userdata;

        left_over_forgotten(context->left_over, upstream->identity);
}

static void on_withdrawn(void *userdata)
{
        const struct context *context = userdata;

        stop_on_withdrawn(context->stop);
}

static void on_moved(void *userdata)
{
        const struct context *context = userdata;

        reload_on_moved(context->reload);
}

static void on_renamed(void *userdata, const struct upstream *upstream, const char *from, const char *to)
{
        const struct context *context = userdata;

        /* Without memory they stay under the old one, and are looked at when that is configured again. */
        if (store_move_units(context->store, from, to, NULL, NULL) < 0)
                log_warning("Out of memory: what is known of %s is not known of %s.", from, to);
        left_over_remove(context->left_over, from);
}

static const struct publisher_ops publisher_ops = {
        .put_row = on_put_row,
        .delete_row = on_delete_row,
        .refused = on_refused,
        .upstream_changed = on_upstream_changed,
        .drifted = on_drifted,
        .drained = on_drained,
        .forgotten = on_forgotten,
        .withdrawn = on_withdrawn,
        .moved = on_moved,
        .renamed = on_renamed,
};

static int on_message(void *userdata, struct stream_id id, const uint8_t *message, size_t size,
                      const struct net_peer *peer)
{
        return receive_message(userdata, id, message, size, peer);
}

static int on_overlong(void *userdata, struct stream_id id, const uint8_t *start, size_t size, size_t length,
                       const struct net_peer *peer)
{
        return receive_overlong(userdata, id, start, size, length, peer);
}

static void on_datagram(void *userdata, const struct udp_peer *peer, const uint8_t *message, size_t size)
{
        receive_datagram(userdata, peer, message, size);
}

static const struct stream_set_ops stream_ops = { .on_message = on_message, .on_overlong = on_overlong };
static const struct udp_server_ops udp_ops = { .on_datagram = on_datagram };

/* --- starting --- */

static int make_parts(struct context *context)
{
        int r;

        LIST_INIT(&context->administrations);
        LIST_INIT(&context->requests);
        context->quota = quota_new();
        context->standing = standing_new();
        context->twins = twins_new();
        context->repeats = repeats_new();
        context->keycache = keycache_new(KEYCACHE_SIZE);
        if (!context->quota || !context->standing || !context->twins || !context->repeats ||
            !context->keycache)
                return -ENOMEM;
        r = announcer_new(context, &context->announcer);
        if (r >= 0)
                r = journal_new(context, &context->journal);
        if (r >= 0)
                r = left_over_new(context, &context->left_over);
        if (r >= 0)
                r = zones_new(context, &context->zones);
        if (r >= 0)
                r = name_locks_new(context->event, &context->locks);
        if (r >= 0)
                r = changes_new(context, &context->changes);
        if (r >= 0)
                r = undos_new(context, &context->undos);
        if (r >= 0)
                r = clock_watch_new(context, &context->clock_watch);
        if (r >= 0)
                r = busy_watch_new(context, &context->busy_watch);
        if (r >= 0)
                r = reload_new(context, &context->reload);
        if (r >= 0)
                r = stop_new(context, &context->stop);
        return r;
}

/* The zones of the configuration and where they are published; no names yet. */
static int make_zones(struct context *context)
{
        _cleanup_(publisher_setup_freep) struct publisher_setup *setup = NULL;
        char text[DNS_NAME_FORMAT_MAX];
        int r;

        r = publisher_new(context->event, context->registry, &publisher_ops, context, &context->publisher);
        if (r >= 0)
                r = publisher_prepare(context->publisher, &setup);
        for (size_t i = 0; r >= 0 && i < context->config->n_zones; i++) {
                const struct zone_config *config = &context->config->zones[i];
                _cleanup_free_ char *why = NULL;
                struct served_zone *served;

                r = zones_add(context->zones, config, &served);
                if (r >= 0)
                        r = publisher_prepare_zone(setup, served->zone, config->upstreams,
                                                   config->n_upstreams, &why);
                if (r < 0 && why)
                        log_error("Zone %s: %s.", dns_name_format(&config->policy.zone, text), why);
        }
        if (r >= 0) {
                _cleanup_free_ char *why = NULL;

                r = publisher_prepare_done(setup, &why);
        }
        if (r < 0)
                return r;
        publisher_begin(TAKE_PTR(setup));
        zones_find_builtin(context->zones);
        zones_find_host_name(context->zones);
        return status_new(context, &context->status);
}

static int open_store(struct context *context)
{
        const char *directory = context->config->data_dir;
        _cleanup_free_ char *why = NULL;
        int r;

        r = directory_ensure(directory, 0700);
        if (r >= 0)
                r = store_open(context->event, directory, getenv("RUNTIME_DIRECTORY"), &context->store, &why);
        if (r == -ENODATA)
                log_error("This machine's boot id is not known: /proc/sys/kernel/random/boot_id cannot be "
                          "read. Where a service must not see it, its unit passes it: "
                          "Environment=NSREG_BOOT_ID=%%b.");
        else if (r == -EBUSY)
                log_error("The database %s/registry.db is in use: another nsregd runs on it.", directory);
        else if (r == -EBADMSG || (r < 0 && !service_user_explain(directory)))
                log_error("Cannot open the database %s/registry.db: %s. It was left as it is; if it is "
                          "damaged, move it away or restore a copy.",
                          directory, why ?: strerror(-r));
        return r;
}

static int open_sockets(struct context *context)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        int r;

        r = stream_set_new(context->event, &limits, &stream_ops, context, &context->streams);
        if (r >= 0)
                r = udp_server_new(context->event, &udp_ops, context, &context->datagrams);
        if (r < 0) {
                log_error("Cannot set up sockets: %s.", strerror(-r));
                return r;
        }
        configure_limits(context);
        return listener_open(context);
}

static int begin(struct context *context)
{
        int r;

        r = store_start(context->store);
        if (r < 0) {
                log_error("Cannot write the database in %s: %s.", context->config->data_dir, strerror(-r));
                /* What it says comes beside. */
                (void) service_user_explain(context->config->data_dir);
                return r;
        }
        context->write_back = write_back_new(context->store, context->registry, WRITE_BACK_ROUND_USEC);
        if (!context->write_back)
                return -ENOMEM;
        publisher_load_done(context->publisher);
        r = import_directory(context);
        if (r < 0)
                return r;
        clock_watch_begin(context->clock_watch);
        r = lease_ends_new(context, &context->lease_ends);
        if (r < 0)
                return r;
        admin_withdraw_server_names(context);
        return 0;
}

static int set_up(struct context *context)
{
        int r;

        r = make_parts(context);
        if (r < 0)
                return r;
        r = read_configuration(context->config_path, &context->config, NULL);
        if (r < 0)
                return r;
        r = open_store(context);
        if (r < 0)
                return r;
        r = make_zones(context);
        if (r < 0)
                return r;
        r = load_state(context);
        if (r < 0)
                return r;
        r = open_sockets(context);
        if (r < 0)
                return r;
        r = begin(context);
        if (r < 0)
                return r;
        return bus_new(context, &context->bus);
}

int manager_new(sd_event *event, const char *config_path, struct manager **ret)
{
        _cleanup_(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));
        int r;

        if (!manager)
                return log_oom();
        manager->context.event = sd_event_ref(event);
        manager->context.config_path = config_path;
        r = set_up(&manager->context);
        if (r < 0)
                return r == -ENOMEM ? log_oom() : r;
        if (!manager->context.config->found)
                log_notice("There is no configuration file; no zone is served. See nsregd.yaml(5).");
        *ret = TAKE_PTR(manager);
        return 0;
}

/* Whoever waits goes before what is waited for. */
struct manager *manager_free(struct manager *manager)
{
        struct context *context = &manager->context;

        if (!manager)
                return NULL;
        if (context->announcer)
                announce_end(context->announcer);
        bus_free(context->bus);
        if (context->changes)
                requests_drop(context);
        admin_drop(context);
        undos_free(context->undos);
        lease_ends_free(context->lease_ends);
        reload_free(context->reload);
        write_back_free(context->write_back);
        changes_free(context->changes);
        name_locks_free(context->locks);
        status_free(context->status);
        publisher_free(context->publisher);
        zones_free(context->zones);
        stream_set_free(context->streams);
        udp_server_free(context->datagrams);
        stop_free(context->stop);
        clock_watch_free(context->clock_watch);
        busy_watch_free(context->busy_watch);
        store_free(context->store);
        left_over_free(context->left_over);
        imports_free(context->imports);
        journal_free(context->journal);
        announcer_free(context->announcer);
        keycache_free(context->keycache);
        standing_free(context->standing);
        twins_free(context->twins);
        repeats_free(context->repeats);
        quota_free(context->quota);
        nsregd_config_free(context->config);
        sd_event_unref(context->event);
        free(manager);
        return NULL;
}

/* --- running --- */

void manager_ready(struct manager *manager)
{
        /* Without a service manager there is nobody to tell. */
        (void) sd_notify(false, "READY=1");
        status_tell(manager->context.status);
}

static void on_reloaded(void *userdata, int error, const char *why)
{
        (void) sd_notify(false, "READY=1");
}

void manager_reload(struct manager *manager)
{
        int r;

        (void) sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu",
                          (unsigned long long) now_usec(CLOCK_MONOTONIC));
        r = reload_begin(manager->context.reload, on_reloaded, NULL);
        if (r < 0) {
                log_error("The configuration was not reloaded: %s.", strerror(-r));
                on_reloaded(NULL, r, NULL);
        }
}

void manager_stop(struct manager *manager)
{
        stop_begin(manager->context.stop);
}
