/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <systemd/sd-daemon.h>

#include "nsregd/admin.h"
#include "nsregd/capacity.h"
#include "nsregd/event.h"
#include "nsregd/hold.h"
#include "nsregd/import.h"
#include "nsregd/listener.h"
#include "nsregd/load.h"
#include "nsregd/manager.h"
#include "nsregd/message-ids.h"
#include "nsregd/request.h"
#include "nsregd/stop.h"
#include "util/file.h"
#include "util/log.h"

/* Names whose lease ended that are looked at in one turn of the loop. */
#define DUE_PER_TURN 100
/* How long a name whose change is under way, or could not be made, is left alone. */
#define POSTPONE_USEC (200 * USEC_PER_MSEC)

#define BLOCK_MIN_SEC 600
#define BLOCK_MAX_SEC 86400

#define KEYCACHE_SIZE 16384

struct registry_time manager_time(const struct manager *manager)
{
        return (struct registry_time){
                .lease_usec = store_lease_now(manager->store),
                .real_usec = now_usec(CLOCK_REALTIME),
        };
}

struct served_zone *manager_find_zone(struct manager *manager, const struct registry_zone *zone)
{
        for (size_t i = 0; i < manager->n_zones; i++)
                if (manager->zones[i].zone == zone)
                        return &manager->zones[i];
        return NULL;
}

struct dns_name manager_server_name(const struct manager *manager, const struct registry_zone *zone)
{
        struct dns_name name = manager->host_name;

        if (name.length == 0)
                /* Of a zone whose name is so long that nothing fits below it, nobody can claim anything
                 * either. */
                (void) dns_name_prepend("nsreg", 5, &zone->policy->zone, &name);
        return name;
}

/* A name that is ours and was claimed when it was not, or before its claim was known to do harm: whoever
 * looks for the registrar would find its owner. Its records go; since nobody can update a reserved name, its
 * key lease ends by itself. */
static void withdraw_claimed_server_names(struct manager *manager)
{
        for (struct registry_zone *zone = manager->registry->zones; zone; zone = zone->next) {
                struct dns_name name = manager_server_name(manager, zone);
                const struct name_entry *entry = registry_find(zone, &name);

                if (!entry || !entry->state->claimed)
                        continue;
                event_server_name_claimed(manager, &name, entry->state);
                admin_withdraw(manager, &name, NULL, NULL);
        }
}

/* --- leases that end --- */

void manager_arm(struct manager *manager)
{
        usec_t deadline = registry_next_deadline(manager->registry);

        if (deadline == USEC_INFINITY) {
                (void) sd_event_source_set_enabled(manager->deadline_source, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(manager->deadline_source,
                                        lease_clock_to_boottime(store_clock(manager->store), deadline));
        (void) sd_event_source_set_enabled(manager->deadline_source, SD_EVENT_ONESHOT);
}

static void expire(struct manager *manager, struct name_entry *entry, const struct registry_time *now)
{
        struct dns_name name = name_entry_name(entry);
        struct name_state *after = NULL;

        /* Seen again when the change is through; or, if it cannot be made now, a little later. */
        registry_postpone(manager->registry, entry, now->lease_usec + POSTPONE_USEC);
        if (change_is_pending(manager->changes, &name))
                return;
        after = registry_expire(entry, now);
        if (after)
                (void) change_submit(manager->changes, entry->zone, &name, after, NULL, NULL);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct manager *manager = userdata;
        struct registry_time now = manager_time(manager);
        struct name_entry *entry;

        hold_look(manager->hold);
        for (unsigned i = 0;
             i < DUE_PER_TURN && (entry = registry_next_due(manager->registry, now.lease_usec)); i++)
                expire(manager, entry, &now);
        manager_arm(manager);
        return 0;
}

/* --- the publisher's wishes --- */

struct row_write {
        LIST_ENTRY(row_write) writes;
        struct waiter waiter;
        struct manager *manager;
        enum unit_kind kind;
        struct dns_name owner;
        char identity[];
};

static void row_write_free(struct row_write *write)
{
        LIST_REMOVE(write, writes);
        waiter_clear(&write->waiter);
        free(write);
}

static void on_row_written(struct waiter *waiter, int error)
{
        struct row_write *write = container_of(waiter, struct row_write, waiter);

        publisher_row_written(write->manager->publisher, write->identity, write->kind, &write->owner,
                              error >= 0);
        row_write_free(write);
}

static struct unit_row make_row(const struct upstream *upstream, const struct unit *unit)
{
        return (struct unit_row){
                .upstream = upstream->identity,
                .mode = unit->kind == UNIT_PTR ? UNIT_SHARED : UNIT_EXCLUSIVE,
                .owner = unit_owner(unit),
                .flags = unit->row,
                .values = unit->row_set.bytes,
                .values_size = unit->row_set.size,
        };
}

static void on_put_row(void *userdata, const struct upstream *upstream, const struct unit *unit, bool wait)
{
        struct unit_row row = make_row(upstream, unit);
        struct manager *manager = userdata;
        struct row_write *write;

        if (!wait) {
                if (store_put_unit(manager->store, &row, NULL, NULL) < 0)
                        log_debug("Out of memory: a row of %s is not written.", upstream->identity);
                return;
        }
        write = calloc(1, sizeof(*write) + strlen(upstream->identity) + 1);
        if (!write)
                return; /* the unit stays busy until it is wanted otherwise; nothing is sent unknown */
        write->manager = manager;
        write->kind = unit->kind;
        write->owner = row.owner;
        strcpy(write->identity, upstream->identity);
        LIST_INSERT_HEAD(&manager->row_writes, write, writes);
        if (store_put_unit(manager->store, &row, &write->waiter, on_row_written) < 0)
                row_write_free(write);
}

static void on_delete_row(void *userdata, const struct upstream *upstream, const struct unit *unit)
{
        struct unit_row row = make_row(upstream, unit);
        struct manager *manager = userdata;

        if (store_delete_unit(manager->store, &row, NULL, NULL) < 0)
                log_debug("Out of memory: a row of %s is not deleted.", upstream->identity);
}

/* What is undone when an upstream will not have a name: a first claim altogether, else its records. The name
 * is blocked for a while, twice as long each time, so that trying again costs no upstream anything. */
static struct name_state *undo(const struct name_state *state, const char *reason,
                               const struct registry_time *now)
{
        struct name_state *after = name_state_copy(state);

        if (!after)
                return NULL;
        if (state->provisional == PROVISIONAL_CLAIM)
                registry_free_name(after, now);
        else
                while (after->n_records > 0)
                        name_state_remove(after, &after->records[0]);
        after->provisional = PROVISIONAL_NO;
        after->blocked_sec = CLAMP(state->blocked_sec * 2, (uint32_t) BLOCK_MIN_SEC,
                                   (uint32_t) BLOCK_MAX_SEC);
        after->blocked_until_usec = now->lease_usec + after->blocked_sec * USEC_PER_SEC;
        free(after->blocked_reason);
        after->blocked_reason = strdup(reason);
        return after;
}

struct refusal {
        struct manager *manager;
        struct dns_name name;
        char reason[];
};

static void refuse_name(void *userdata, struct registry_zone *zone)
{
        struct refusal *refusal = userdata;
        struct manager *manager = refusal->manager;
        struct name_entry *entry = zone ? registry_find(zone, &refusal->name) : NULL;
        struct registry_time now = manager_time(manager);
        struct name_state *after;

        if (entry && entry->state->provisional != PROVISIONAL_NO) {
                after = undo(entry->state, refusal->reason, &now);
                if (after)
                        (void) change_submit(manager->changes, zone, &refusal->name, after, NULL, NULL);
        }
        free(refusal);
}

static void on_refused(void *userdata, const struct upstream *upstream, const struct dns_name *name,
                       const char *reason)
{
        struct manager *manager = userdata;
        struct refusal *refusal = malloc(sizeof(*refusal) + strlen(reason) + 1);

        event_upstream_refused(manager, upstream, name, reason);
        if (!refusal)
                return;
        *refusal = (struct refusal){ .manager = manager, .name = *name };
        strcpy(refusal->reason, reason);
        if (change_when_free(manager->changes, name, refuse_name, refusal) < 0)
                free(refusal);
}

static void on_upstream_changed(void *userdata, const struct upstream *upstream, const char *reason)
{
        event_upstream_changed(userdata, upstream, reason);
}

static void on_drifted(void *userdata, const struct upstream *upstream, const struct dns_name *owner)
{
        event_upstream_drifted(userdata, upstream, owner);
}

static void on_drained(void *userdata, const struct upstream *upstream)
{
        event_upstream_drained(userdata, upstream);
}

static void on_withdrawn(void *userdata)
{
        stop_store(userdata);
}

static const struct publisher_ops publisher_ops = {
        .put_row = on_put_row,
        .delete_row = on_delete_row,
        .refused = on_refused,
        .upstream_changed = on_upstream_changed,
        .drifted = on_drifted,
        .drained = on_drained,
        .withdrawn = on_withdrawn,
};

/* --- sockets --- */

static int on_message(void *userdata, struct stream_id id, const uint8_t *message, size_t size,
                      const struct net_peer *peer)
{
        return request_stream(userdata, id, message, size, peer);
}

static void on_datagram(void *userdata, const struct udp_peer *peer, const uint8_t *message, size_t size)
{
        request_datagram(userdata, peer, message, size);
}

static const struct stream_set_ops stream_ops = { .on_message = on_message };
static const struct udp_server_ops udp_ops = { .on_datagram = on_datagram };

static struct stream_limits stream_limits(const struct peer_limits *limits)
{
        return (struct stream_limits){
                .connections = limits->connections,
                .connections_per_source = limits->connections_per_source,
                .message_bytes = limits->message_bytes,
                .in_flight = limits->in_flight_per_connection,
                .unread_output = limits->unread_output,
                .message_timeout_usec = limits->message_timeout_usec,
                .idle_timeout_usec = limits->idle_timeout_usec,
                .exempt_nets = limits->exempt_nets,
        };
}

/* --- a world: what follows from one configuration --- */

struct world {
        struct nsregd_config *config;
        struct registry *registry;
        struct publisher *publisher;
        struct served_zone *zones;
        size_t n_zones;
};

static void world_clear(struct world *world)
{
        for (struct registry_zone *zone = world->registry ? world->registry->zones : NULL; zone;
             zone = zone->next)
                publisher_detach(zone);
        publisher_free(world->publisher);
        registry_free(world->registry);
        free(world->zones);
        nsregd_config_free(world->config);
        *world = (struct world){};
}

static int attach_zone(struct manager *manager, struct world *world, struct zone_config *config)
{
        struct served_zone *served = &world->zones[world->n_zones];
        char text[DNS_NAME_FORMAT_MAX];
        int r;

        served->config = config;
        served->zone = registry_add_zone(world->registry, &config->policy);
        if (!served->zone)
                return log_oom();
        world->n_zones++;
        /* Any start will do for a zone that has no serial on the disk. */
        served->serial = served->next_serial = (uint32_t) (now_usec(CLOCK_REALTIME) / USEC_PER_SEC);

        for (size_t i = 0; i < config->n_upstreams; i++) {
                _cleanup_free_ char *why = NULL;

                r = publisher_attach(world->publisher, served->zone, &config->upstreams[i], &why);
                if (r < 0) {
                        log_error("Zone %s, upstream %zu: %s.", dns_name_format(&config->policy.zone, text),
                                  i + 1, why ?: strerror(-r));
                        return r;
                }
                served->builtin |= config->upstreams[i].type == UPSTREAM_BUILTIN;
        }
        return 0;
}

/* Everything but the names. Takes the configuration, also on failure. */
static int world_init(struct manager *manager, struct nsregd_config *config, struct world *ret)
{
        struct world world = { .config = config };
        int r;

        world.registry = registry_new();
        world.zones = calloc(MAX(config->n_zones, 1U), sizeof(*world.zones));
        if (!world.registry || !world.zones) {
                world_clear(&world);
                return log_oom();
        }
        r = publisher_new(manager->event, &publisher_ops, manager, &world.publisher);
        for (size_t i = 0; r >= 0 && i < config->n_zones; i++)
                r = attach_zone(manager, &world, &config->zones[i]);
        if (r < 0) {
                world_clear(&world);
                return r;
        }
        *ret = world;
        return 0;
}

static void take_world(struct manager *manager, struct world *world)
{
        struct world old = {
                .config = manager->config,
                .registry = manager->registry,
                .publisher = manager->publisher,
                .zones = manager->zones,
                .n_zones = manager->n_zones,
        };

        manager->config = world->config;
        manager->registry = world->registry;
        manager->publisher = world->publisher;
        manager->zones = world->zones;
        manager->n_zones = world->n_zones;
        *world = old;
}

/* --- starting --- */

static int read_config(struct manager *manager, struct nsregd_config **ret, char **why)
{
        struct config_error error = CONFIG_ERROR_INIT;
        int r;

        r = nsregd_config_load(manager->config_path, ret, &error);
        if (error.warnings)
                log_warning("%s", error.warnings);
        if (r < 0) {
                struct log_fields fields = { .reason = error.text };

                log_event(LOG_ERR, MESSAGE_CONFIGURATION_REJECTED, &fields, "%s", error.text ?: strerror(-r));
                if (why)
                        *why = strdup(error.text ?: strerror(-r));
        }
        config_error_clear(&error);
        return r;
}

static int open_store(struct manager *manager)
{
        const char *directory = manager->config->data_dir;
        _cleanup_free_ char *why = NULL;
        int r;

        r = directory_ensure(directory, 0700);
        if (r >= 0)
                r = store_open(manager->event, directory, getenv("RUNTIME_DIRECTORY"), &manager->store, &why);
        if (r == -ENODATA)
                log_error("This machine's boot id is not known: /proc/sys/kernel/random/boot_id cannot be "
                          "read. Where a service must not see it, its unit passes it: "
                          "Environment=NSREG_BOOT_ID=%%b.");
        else if (r == -EBUSY)
                log_error("The database %s/registry.db is in use: another nsregd runs on it.", directory);
        else if (r < 0)
                log_error("Cannot open the database %s/registry.db: %s. It was left as it is; if it is "
                          "damaged, "
                          "move it away or restore a copy.",
                          directory, why ?: strerror(-r));
        return r;
}

/* The name in SRV answers: configured, else the host's if it is a full one. */
static void find_server_name(struct manager *manager)
{
        char host[256];

        manager->host_name = manager->config->server_name;
        manager->server_port = manager->config->listen_port_given ? manager->config->listen_port : 0;
        if (manager->host_name.length > 0 || gethostname(host, sizeof(host)) < 0)
                return;
        host[sizeof(host) - 1] = '\0';
        if (strchr(host, '.') && !streq(host, "localhost.localdomain"))
                (void) dns_name_parse(host, &manager->host_name);
}

static void configure_limits(struct manager *manager)
{
        const struct peer_limits *limits = &manager->config->limits;
        uint32_t verifications = limits->verifications_per_second;

        if (verifications == 0)
                verifications = capacity_verifications_per_second() / 2;
        quota_configure(manager->quota, limits, verifications);
}

static int open_sockets(struct manager *manager)
{
        struct stream_limits limits = stream_limits(&manager->config->limits);
        int r;

        r = stream_set_new(manager->event, &limits, &stream_ops, manager, &manager->streams);
        if (r >= 0)
                r = udp_server_new(manager->event, &udp_ops, manager, &manager->datagrams);
        if (r < 0) {
                log_error("Cannot set up sockets: %s.", strerror(-r));
                return r;
        }
        return listener_open(manager);
}

static int start_store(struct manager *manager)
{
        int r;

        r = store_start(manager->store);
        if (r < 0) {
                log_error("Cannot write the database in %s: %s.", manager->config->data_dir, strerror(-r));
                return r;
        }
        manager->write_back = write_back_new(manager->store, manager->registry, WRITE_BACK_ROUND_USEC);
        return manager->write_back ? 0 : log_oom();
}

static int begin(struct manager *manager)
{
        publisher_load_done(manager->publisher);
        withdraw_claimed_server_names(manager);
        hold_begin(manager->hold);
        manager_arm(manager);
        return 0;
}

static int on_status(sd_event_source *source, uint64_t usec, void *userdata)
{
        event_summarize(userdata);
        manager_update_status(userdata);
        return 0;
}

int manager_new(sd_event *event, const char *config_path, struct manager **ret)
{
        _cleanup_(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));
        struct nsregd_config *config;
        struct world world;
        int r;

        if (!manager)
                return log_oom();
        manager->event = sd_event_ref(event);
        manager->config_path = config_path;
        LIST_INIT(&manager->requests);
        LIST_INIT(&manager->row_writes);
        manager->quota = quota_new();
        manager->events = events_new();
        manager->changes = changes_new(manager);
        manager->keycache = keycache_new(KEYCACHE_SIZE);
        if (!manager->quota || !manager->events || !manager->changes || !manager->keycache)
                return log_oom();
        r = sd_event_add_time(event, &manager->deadline_source, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC,
                              on_deadline, manager);
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->deadline_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &manager->status_source, CLOCK_MONOTONIC, 0, 100 * USEC_PER_MSEC,
                                      on_status, manager);
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->status_source, SD_EVENT_OFF);
        if (r < 0)
                return r;

        r = read_config(manager, &config, NULL);
        if (r < 0)
                return r;
        r = world_init(manager, config, &world);
        if (r < 0)
                return r;
        take_world(manager, &world);
        configure_limits(manager);
        find_server_name(manager);
        r = open_store(manager);
        if (r < 0)
                return r;
        manager->hold = hold_new(manager);
        if (!manager->hold)
                return log_oom();
        r = load_state(manager);
        if (r < 0)
                return r;
        r = open_sockets(manager);
        if (r < 0)
                return r;
        r = start_store(manager);
        if (r >= 0)
                r = begin(manager);
        if (r >= 0)
                r = import_directory(manager->registry, manager->store, manager->config->data_dir);
        if (r < 0)
                return r;
        manager_arm(manager);
        r = bus_new(manager, &manager->bus);
        if (r < 0)
                return r;
        if (!manager->config->found)
                log_notice("There is no configuration file; no zone is served. See nsregd.yaml(5).");
        *ret = TAKE_PTR(manager);
        return 0;
}

struct manager *manager_free(struct manager *manager)
{
        struct world world = {};

        if (!manager)
                return NULL;
        bus_free(manager->bus);
        requests_drop(manager);
        changes_free(manager->changes);
        write_back_free(manager->write_back);
        while (!LIST_EMPTY(&manager->row_writes))
                row_write_free(LIST_FIRST(&manager->row_writes));
        take_world(manager, &world);
        world_clear(&world);
        stream_set_free(manager->streams);
        udp_server_free(manager->datagrams);
        store_free(manager->store);
        hold_free(manager->hold);
        sd_event_source_disable_unref(manager->deadline_source);
        stop_free(manager->stop);
        sd_event_source_disable_unref(manager->status_source);
        keycache_free(manager->keycache);
        events_free(manager->events);
        quota_free(manager->quota);
        sd_event_unref(manager->event);
        free(manager);
        return NULL;
}

/* --- reloading and stopping --- */

struct write_all {
        struct waiter waiter;
        int error;
};

static void on_all_written(struct waiter *waiter, int error)
{
        container_of(waiter, struct write_all, waiter)->error = error;
}

/* All that is only in memory is on the disk behind this. */
static int write_all(struct manager *manager)
{
        struct write_all all = { .error = -EIO };
        int r;

        r = write_back_flush(manager->write_back, &all.waiter, on_all_written);
        if (r < 0)
                return r;
        r = store_drain(manager->store);
        waiter_clear(&all.waiter);
        return r < 0 ? r : all.error;
}

/* A reload is a restart within the process: the state goes to the disk, and is read again into what the new
 * configuration makes of it. So zones and upstreams come, change and go by the mechanism that also serves a
 * start, a crash included. The new configuration is proven good before anything of the old is touched. */
int manager_reload(struct manager *manager, char **why)
{
        struct nsregd_config *config;
        struct world world;
        int r;

        r = read_config(manager, &config, why);
        if (r < 0)
                return r;
        if (!streq(config->data_dir, manager->config->data_dir))
                log_warning("data-dir has changed; that takes a restart.");
        r = world_init(manager, config, &world);
        if (r < 0)
                return r;

        r = write_all(manager);
        if (r < 0) {
                world_clear(&world);
                if (why)
                        *why = strdup("the registrations cannot be stored now; nothing is changed");
                return r;
        }
        requests_suspend(manager);
        bus_reload(manager->bus, false);
        r = publisher_inherit(world.publisher, manager->publisher);
        if (r < 0)
                log_warning("Out of memory: what is configured no more is not taken away.");
        take_world(manager, &world);
        world_clear(&world);
        quota_forget_names(manager->quota);
        configure_limits(manager);
        find_server_name(manager);
        {
                struct stream_limits limits = stream_limits(&manager->config->limits);

                (void) stream_set_limits(manager->streams, &limits);
        }
        write_back_set_registry(manager->write_back, manager->registry);
        r = load_state(manager);
        if (r >= 0)
                r = begin(manager);
        if (r < 0)
                /* The disk fails under a running daemon: a restart tries again, from what is stored. */
                (void) sd_event_exit(manager->event, EXIT_FAILURE);
        else
                requests_resume(manager);
        bus_reload(manager->bus, true);
        manager_update_status(manager);
        return r;
}

void manager_update_status(struct manager *manager)
{
        const struct upstream *upstream;
        unsigned long long n_names = manager->registry->n_names;
        unsigned n_retrying = 0;

        LIST_FOREACH (upstream, publisher_upstreams(manager->publisher), upstreams)
                for (unsigned i = 0; i < upstream->plan->n_lanes; i++)
                        if (upstream->plan->lanes[i].error) {
                                n_retrying++;
                                break;
                        }
        if (manager->n_zones == 0)
                (void) sd_notify(false, "STATUS=Serving no zone: none is configured");
        else if (n_retrying > 0)
                (void) sd_notifyf(false, "STATUS=Serving %zu zone%s, %llu name%s, %u upstream%s retrying",
                                  manager->n_zones, manager->n_zones == 1 ? "" : "s", n_names,
                                  n_names == 1 ? "" : "s", n_retrying, n_retrying == 1 ? "" : "s");
        else
                (void) sd_notifyf(false, "STATUS=Serving %zu zone%s, %llu name%s", manager->n_zones,
                                  manager->n_zones == 1 ? "" : "s", n_names, n_names == 1 ? "" : "s");
}

void manager_status_changed(struct manager *manager)
{
        int enabled = SD_EVENT_OFF;

        /* Many names may come or go within a second; it is told once. */
        if (sd_event_source_get_enabled(manager->status_source, &enabled) >= 0 && enabled == SD_EVENT_OFF) {
                (void) sd_event_source_set_time_relative(manager->status_source, USEC_PER_SEC);
                (void) sd_event_source_set_enabled(manager->status_source, SD_EVENT_ONESHOT);
        }
}
