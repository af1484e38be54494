/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/manager.h"

#include <systemd/sd-daemon.h>

#include "nsregc/address.h"
#include "nsregc/clock.h"
#include "nsregc/directory-watch.h"
#include "nsregc/discovery.h"
#include "nsregc/hostname.h"
#include "nsregc/ledger-keeper.h"
#include "nsregc/link.h"
#include "nsregc/manager-internal.h"
#include "nsregc/random.h"
#include "nsregc/resolve.h"
#include "nsregc/status.h"
#include "util/file.h"
#include "util/log.h"

#define COALESCE_USEC      (250 * USEC_PER_MSEC)
#define START_DELAY_USEC   (3 * USEC_PER_SEC)
#define STOP_TIMEOUT_USEC  (10 * USEC_PER_SEC)
#define HOSTNAME_DIRECTORY "/etc"
/* ------ what is told to the outside ------ */

static void status_update(struct manager *manager)
{
        struct status status = {
                .registrations = manager->registrations,
                .n_registrations = manager->n_registrations,
                .label = manager->label,
                .label_why = manager->label_why,
                .problem = discovery_problem(manager->discovery),
                .stopping = manager->stopping,
        };

        status_tell(&status);
}

static bool all_released(const struct manager *manager)
{
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (info.state != REGISTRATION_RELEASED)
                        return false;
        }
        return true;
}

/* Registrations tell of changes from within; what follows from them is done here, in a turn of its own. */
static int on_tidy(sd_event_source *source, void *userdata)
{
        struct manager *manager = userdata;

        if (manager->stopping && all_released(manager)) {
                (void) sd_event_exit(manager->event, 0);
                return 0;
        }
        /* Changes of the network are waited for. */
        if (manager->look_again && !manager->coalesce) {
                manager->look_again = false;
                manager_reconcile(manager);
        }
        manager_check_command(manager);
        ledger_keeper_look(manager->ledger_keeper);
        for (size_t i = 0; manager->mode == MANAGER_DAEMON && i < manager->n_registrations;) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (info.state == REGISTRATION_RELEASED && !manager->released) {
                        registration_free(manager->registrations[i]);
                        manager->registrations[i] = manager->registrations[--manager->n_registrations];
                } else
                        i++;
        }
        status_update(manager);
        if (manager->watcher)
                manager->watcher->changed(manager->watcher_userdata);
        return 0;
}

/* ------ what the machine tells ------ */

static int discovery_begin(struct manager *manager, const struct link_domain_list *domains,
                           const struct prefix_list *networks, bool anew)
{
        _cleanup_free_ struct link_set *links = calloc(networks->n_items + 1, sizeof(*links));

        if (!links)
                return -ENOMEM;
        for (size_t i = 0; i < networks->n_items; i++)
                links[i] = address_monitor_links(manager->addresses, &networks->items[i]);
        return discovery_run(manager->discovery, domains, networks, links, anew);
}

static void discover(struct manager *manager, bool anew)
{
        struct link_domain_list domains = { 0 };
        struct prefix_list networks = { 0 };
        int r;

        r = resolver_set_link_servers(manager->resolver, link_monitor_servers(manager->links));
        if (r >= 0)
                r = link_monitor_domains(manager->links, &domains);
        if (r >= 0)
                r = address_monitor_networks(manager->addresses, &networks);
        if (r >= 0)
                r = discovery_begin(manager, &domains, &networks, anew);
        if (r < 0)
                log_error("Discovery: %s", strerror(-r));
        link_domain_list_clear(&domains);
        prefix_list_clear(&networks);
}

static void on_discovery(void *userdata)
{
        struct manager *manager = userdata;

        manager_reconcile(manager);
        manager_tidy_later(manager); /* the status, whatever else is to be waited for */
}

static int on_coalesce(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct manager *manager = userdata;

        manager->coalesce = sd_event_source_disable_unref(manager->coalesce);
        if (manager->stopping || !manager->started || !manager->addresses_known)
                return 0;
        if (manager->network_changed) {
                resolver_forget(manager->resolver);
                ledger_look_again(manager->ledger);
                for (size_t i = 0; i < manager->n_registrations; i++)
                        registration_kick(manager->registrations[i], manager->woken);
                discover(manager, manager->woken || manager->anew);
        }
        /* Behind that: which links a zone is of may be different now. */
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (info.goal == GOAL_REGISTER)
                        manager_set_addresses(manager, manager->registrations[i], &info.zone);
        }
        manager->network_changed = manager->woken = manager->anew = false;
        manager_tidy_later(manager);
        return 0;
}

/* Changes come in crowds (an interface that comes up, a prefix that is renumbered): they are waited for. */
static void network_changed(struct manager *manager)
{
        manager->network_changed = true;
        if (!manager->coalesce)
                (void) sd_event_add_time_relative(manager->event, &manager->coalesce, CLOCK_MONOTONIC,
                                                  COALESCE_USEC, USEC_PER_MSEC, on_coalesce, manager);
}

static void begin(struct manager *manager)
{
        if (!manager->started || !manager->addresses_known)
                return;
        discover(manager, true);
        manager_tidy_later(manager);
}

static void on_addresses(void *userdata)
{
        struct manager *manager = userdata;

        if (manager->addresses_known) {
                network_changed(manager);
                return;
        }
        manager->addresses_known = true;
        begin(manager);
}

static void on_links(void *userdata)
{
        struct manager *manager = userdata;

        if (manager->addresses_known)
                network_changed(manager);
}

static void on_woken(void *userdata)
{
        struct manager *manager = userdata;

        log_debug("The clock was set, or the machine slept");
        manager->woken = true;
        network_changed(manager);
}

static void on_hostname(void *userdata)
{
        struct manager *manager = userdata;
        char label[HOSTNAME_LABEL_MAX];
        int r;

        if (manager->config->name)
                return;
        r = hostname_read(HOSTNAME_DIRECTORY, label);
        if (r < 0) {
                hostname_why(NULL, HOSTNAME_DIRECTORY, r, manager->label_why);
                log_notice("%s; %s", manager->label_why,
                           manager->label[0] ? "keeping the one of before" : "waiting for one");
                manager_tidy_later(manager);
                return;
        }
        if (streq(label, manager->label))
                return;
        if (manager->label[0])
                log_info("The host name changed from %s to %s", manager->label, label);
        strcpy(manager->label, label);
        manager_reconcile(manager);
}

static void on_bus_up(void *userdata, sd_bus *bus)
{
        struct manager *manager = userdata;

        resolver_set_bus(manager->resolver, bus);
        link_monitor_set_bus(manager->links, bus);
        if (manager->watcher)
                manager->watcher->bus(manager->watcher_userdata, bus);
}

static void on_bus_down(void *userdata, sd_bus *bus)
{
        struct manager *manager = userdata;

        if (manager->watcher)
                manager->watcher->bus(manager->watcher_userdata, NULL);
        link_monitor_set_bus(manager->links, NULL);
        resolver_set_bus(manager->resolver, NULL);
}

static const struct bus_connection_ops bus_ops = {
        .up = on_bus_up,
        .down = on_bus_down,
        .woken = on_woken,
};

/* ------ beginning and end ------ */

static int on_start(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct manager *manager = userdata;

        manager->started = true;
        begin(manager);
        return 0;
}

static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct manager *manager = userdata;

        log_notice("Not everything could be taken away in time; it ends with its lease");
        (void) sd_event_exit(manager->event, 0);
        return 0;
}

void manager_stop(struct manager *manager)
{
        if (manager->stopping || manager->mode != MANAGER_DAEMON || manager->config->keep_records) {
                (void) sd_event_exit(manager->event, manager->mode == MANAGER_DAEMON ? 0 : 1);
                return;
        }
        manager->stopping = true;
        (void) sd_notify(false, "STOPPING=1");
        for (size_t i = 0; i < manager->n_registrations; i++)
                registration_hurry(manager->registrations[i]);
        (void) sd_event_add_time_relative(manager->event, &manager->stop, CLOCK_MONOTONIC, STOP_TIMEOUT_USEC,
                                          100 * USEC_PER_MSEC, on_stop_timeout, manager);
        manager_tidy_later(manager);
}

void manager_refresh(struct manager *manager)
{
        manager->released = false;
        manager->anew = true;
        network_changed(manager);
        manager_reconcile(manager);
}

void manager_release(struct manager *manager)
{
        manager->released = true;
        manager_reconcile(manager);
}

static int ledger_make(struct manager *manager)
{
        _cleanup_free_ char *path = path_join(manager->identity->state, "registered");
        int r;

        if (!path)
                return -ENOMEM;

        r = ledger_open(path, &manager->ledger);
        if (r < 0 && r != -ENOMEM) {
                log_warning("%s: %s; what was registered before is not known", path, strerror(-r));
                r = ledger_open(NULL, &manager->ledger);
        }
        return r;
}

/* What the parts take from the configuration, at the start and again at each reload. */
static void rules_fill(struct manager *manager)
{
        const struct nsregc_config *config = manager->config;

        manager->rules = (struct address_rules){
                .interfaces = &config->interfaces,
                .exclude_subnets = &config->exclude_subnets,
                .extra = config->extra_addresses.items,
                .n_extra = config->extra_addresses.n_items,
                .ipv6_temporary = config->ipv6_temporary,
        };
}

static struct resolver_options resolver_options_of(const struct nsregc_config *config)
{
        return (struct resolver_options){
                .server = config->dns_server.host,
                .port = config->dns_server.port,
                .tcp = config->dns_tcp,
                .timeout_usec = config->dns_timeout_usec,
        };
}

static int manager_setup(struct manager *manager)
{
        struct resolver_options resolver = resolver_options_of(manager->config);
        struct link_options links = { 0 };
        int r;

        rules_fill(manager);
        r = hostname_choose(manager->config->name, HOSTNAME_DIRECTORY, manager->label);
        if (r < 0) {
                manager->label[0] = '\0';
                hostname_why(manager->config->name, HOSTNAME_DIRECTORY, r, manager->label_why);
        }
        r = sd_event_add_defer(manager->event, &manager->tidy, on_tidy, manager);
        if (r < 0)
                return r;
        r = ledger_make(manager);
        if (r >= 0)
                r = ledger_keeper_new(manager->event, manager->ledger, &manager->ledger_keeper);
        if (r < 0)
                return r;
        r = resolver_new(manager->event, &resolver, &manager->resolver);
        if (r < 0)
                return r;
        r = discovery_new(manager->event, manager->resolver, on_discovery, manager, &manager->discovery);
        if (r >= 0)
                r = discovery_configure(manager->discovery, &manager->config->zones,
                                        manager->config->discover_zones);
        if (r < 0)
                return r;
        r = link_monitor_new(manager->event, &links, on_links, manager, &manager->links);
        if (r < 0)
                return r;
        r = clock_watch_new(manager->event, on_woken, manager, &manager->clock);
        if (r < 0)
                log_debug("Steps of the clock are not seen: %s", strerror(-r));
        r = directory_watch_new(manager->event, HOSTNAME_DIRECTORY, "hostname", on_hostname, manager,
                                &manager->hostname);
        if (r < 0)
                log_debug("Changes of the host name are not seen: %s", strerror(-r));
        r = address_monitor_new(manager->event, &manager->rules, on_addresses, manager, &manager->addresses);
        if (r < 0)
                return r;
        manager_watch_host_keys(manager);
        return bus_connection_new(manager->event, &bus_ops, manager, &manager->connection);
}

static int config_apply(struct manager *manager)
{
        struct resolver_options resolver = resolver_options_of(manager->config);
        char label[HOSTNAME_LABEL_MAX];
        int r;

        rules_fill(manager);
        address_monitor_set_rules(manager->addresses, &manager->rules);
        if (hostname_choose(manager->config->name, HOSTNAME_DIRECTORY, label) >= 0)
                strcpy(manager->label, label);
        for (size_t i = 0; i < manager->n_registrations; i++) {
                registration_set_times(manager->registrations[i], manager->config->key_ttl_sec,
                                       manager->config->addr_ttl_sec, manager->config->dns_timeout_usec);
                registration_set_suffix(manager->registrations[i],
                                        manager->config->name_on_conflict == NAME_ON_CONFLICT_SUFFIX);
        }
        manager_watch_host_keys(manager);
        r = resolver_configure(manager->resolver, &resolver);
        if (r < 0)
                return r;
        return discovery_configure(manager->discovery, &manager->config->zones,
                                   manager->config->discover_zones);
}

int manager_reload(struct manager *manager, char **why)
{
        struct nsregc_config *config, *before = manager->config;
        int r;

        r = manager->load(manager->load_userdata, &config, why);
        if (r < 0) {
                log_error("The configuration is not taken, the old one stays: %s", *why ?: strerror(-r));
                return r;
        }
        manager->config = config;
        r = config_apply(manager);
        nsregc_config_free(before);
        if (r < 0) {
                log_error("Applying the configuration: %s", strerror(-r));
                return r;
        }
        log_info("The configuration was read again");
        manager_refresh(manager);
        return 0;
}

int manager_new(sd_event *event, enum manager_mode mode, struct nsregc_config *config,
                const struct identity *identity, manager_load load, void *userdata, struct manager **ret)
{
        _cleanup_(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));
        usec_t delay;
        int r;

        if (!manager) {
                nsregc_config_free(config);
                return log_oom();
        }
        manager->event = sd_event_ref(event);
        manager->mode = mode;
        manager->config = config;
        manager->load = load;
        manager->load_userdata = userdata;
        manager->identity = identity;
        r = manager_setup(manager);
        if (r < 0) {
                log_error("Setting up: %s", strerror(-r));
                return r;
        }

        /* After a power cut a whole house starts at once; who was told to by hand is not made to wait. */
        delay = mode == MANAGER_DAEMON && getenv("NOTIFY_SOCKET") ? random_span(START_DELAY_USEC) : 0;
        r = sd_event_add_time_relative(event, &manager->start, CLOCK_MONOTONIC, delay, USEC_PER_MSEC,
                                       on_start, manager);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(manager);
        return 0;
}

struct manager *manager_free(struct manager *manager)
{
        if (!manager)
                return NULL;
        sd_event_source_disable_unref(manager->coalesce);
        sd_event_source_disable_unref(manager->start);
        sd_event_source_disable_unref(manager->stop);
        sd_event_source_disable_unref(manager->tidy);
        for (size_t i = 0; i < manager->n_registrations; i++)
                registration_free(manager->registrations[i]);
        discovery_free(manager->discovery);
        address_monitor_free(manager->addresses);
        directory_watch_free(manager->hostname);
        clock_watch_free(manager->clock);
        manager->connection = bus_connection_free(manager->connection);
        link_monitor_free(manager->links);
        resolver_free(manager->resolver);
        directory_watch_free(manager->host_keys);
        extra_record_list_clear(&manager->requested);
        extra_record_list_clear(&manager->left);
        ledger_keeper_free(manager->ledger_keeper);
        ledger_free(manager->ledger);
        nsregc_config_free(manager->config);
        sd_event_unref(manager->event);
        free(manager);
        return NULL;
}

void manager_watch(struct manager *manager, const struct manager_watcher *watcher, void *userdata)
{
        sd_bus *bus = bus_connection_get(manager->connection);

        manager->watcher = watcher;
        manager->watcher_userdata = userdata;
        if (bus)
                watcher->bus(userdata, bus);
}

const char *manager_label_why(const struct manager *manager)
{
        return manager->label_why;
}

const char *manager_label(const struct manager *manager)
{
        return manager->label[0] ? manager->label : NULL;
}

const struct dns_keypair *manager_pair(const struct manager *manager)
{
        return manager->identity->pair;
}

const struct address_set *manager_addresses(const struct manager *manager)
{
        return address_monitor_get(manager->addresses);
}

int manager_left_out(const struct manager *manager, struct left_out_list *ret)
{
        return address_monitor_left_out(manager->addresses, ret);
}

size_t manager_count(const struct manager *manager)
{
        return manager->n_registrations;
}

struct registration *manager_get(const struct manager *manager, size_t index)
{
        return manager->registrations[index];
}
