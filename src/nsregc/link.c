/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/link.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <libgen.h>
#include <stdio.h>

#include "nsregc/path-watch.h"
#include "nsregc/resolv-conf.h"
#include "util/file.h"
#include "util/log.h"

#define STATE_FILE_MAX 65536

struct link_monitor {
        sd_event *event;
        char *resolv_conf, *networkd;
        struct path_watch *resolv_conf_watch, *networkd_watch;
        sd_bus *bus;
        sd_bus_slot *call, *match;
        struct link_domain_list resolved;
        struct server_list servers;
        void (*changed)(void *userdata);
        void *userdata;
};

bool name_list_contains(const struct name_list *list, const struct dns_name *name)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (dns_name_equal(&list->items[i], name))
                        return true;
        return false;
}

int name_list_add_new(struct name_list *list, const struct dns_name *name)
{
        return name_list_contains(list, name) ? 0 : name_list_add(list, name);
}

/* "~" marks a domain that is only for routing. */
static bool domain_parse(const char *text, struct dns_name *ret)
{
        if (text[0] == '~')
                text++;
        return dns_name_parse(text, ret) >= 0 && !dns_name_is_root(ret);
}

int networkd_state_parse(const char *text, struct name_list *ret)
{
        _cleanup_free_ char *copy = strdup(text);
        char *saved_line = NULL;

        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &saved_line); line; line = strtok_r(NULL, "\n", &saved_line)) {
                char *value = strchr(line, '='), *saved = NULL;

                if (!value)
                        continue;
                *value++ = '\0';
                if (!streq(line, "DOMAINS") && !streq(line, "ROUTE_DOMAINS"))
                        continue;
                for (char *word = strtok_r(value, " \"", &saved); word;
                     word = strtok_r(NULL, " \"", &saved)) {
                        struct dns_name name;
                        int r = domain_parse(word, &name) ? name_list_add_new(ret, &name) : 0;

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* Those that somebody told of with a link are left as they are. */
static int add_of_all_links(struct link_domain_list *list, const struct name_list *names)
{
        static const struct link_set all = { .all = true };
        int r = 0;

        for (size_t i = 0; i < names->n_items && r >= 0; i++)
                if (!link_domain_list_find(list, &names->items[i]))
                        r = link_domain_list_add(list, &names->items[i], &all);
        return r;
}

/* A file of networkd's for one link, named by its index. */
static int networkd_link_read(const char *directory, const char *name, struct link_domain_list *list)
{
        _cleanup_free_ char *path = path_join(directory, name), *state = NULL;
        struct name_list names = { 0 };
        struct link_set links = { 0 };
        char *end;
        unsigned long ifindex = strtoul(name, &end, 10);
        size_t size;
        int r = 0;

        if (!path)
                return -ENOMEM;
        if (*end || ifindex == 0 || ifindex > INT32_MAX || file_read(path, STATE_FILE_MAX, &state, &size) < 0)
                return 0;
        link_set_add(&links, (uint32_t) ifindex);
        r = networkd_state_parse(state, &names);
        for (size_t i = 0; i < names.n_items && r >= 0; i++)
                r = link_domain_list_add(list, &names.items[i], &links);
        name_list_clear(&names);
        return r;
}

static int networkd_links_read(const char *state_path, struct link_domain_list *list)
{
        _cleanup_free_ char *copy = strdup(state_path), *directory = NULL;
        struct dirent *entry;
        DIR *links;
        int r = 0;

        if (!copy || !(directory = path_join(dirname(copy), "links")))
                return -ENOMEM;
        links = opendir(directory);
        while (links && r >= 0 && (entry = readdir(links)))
                r = networkd_link_read(directory, entry->d_name, list);
        if (links)
                closedir(links);
        return r;
}

static int networkd_read(const char *path, struct link_domain_list *list)
{
        _cleanup_free_ char *state = NULL;
        struct name_list names = { 0 };
        size_t size;
        int r;

        if (file_read(path, STATE_FILE_MAX, &state, &size) < 0)
                return 0;
        r = networkd_state_parse(state, &names);
        if (r >= 0)
                r = networkd_links_read(path, list);
        if (r >= 0)
                r = add_of_all_links(list, &names);
        name_list_clear(&names);
        return r;
}

int link_monitor_domains(struct link_monitor *monitor, struct link_domain_list *ret)
{
        struct resolv_conf conf = { 0 };
        struct link_domain_list list = { 0 };
        int r = 0;

        for (size_t i = 0; i < monitor->resolved.n_items && r >= 0; i++)
                r = link_domain_list_add(&list, &monitor->resolved.items[i].name,
                                         &monitor->resolved.items[i].links);
        if (r >= 0)
                r = networkd_read(monitor->networkd, &list);
        if (r >= 0 && resolv_conf_read(monitor->resolv_conf, &conf) >= 0)
                r = add_of_all_links(&list, &conf.search);
        resolv_conf_clear(&conf);
        if (r < 0) {
                link_domain_list_clear(&list);
                return r;
        }
        *ret = list;
        return 0;
}

const struct server_list *link_monitor_servers(const struct link_monitor *monitor)
{
        return &monitor->servers;
}

/* Those of no link are of all. */
static int domain_add(struct link_domain_list *list, int ifindex, const char *text)
{
        struct link_set links = { .all = ifindex <= 0 };
        struct dns_name name;

        if (!domain_parse(text, &name))
                return 0;
        if (ifindex > 0)
                link_set_add(&links, (uint32_t) ifindex);
        return link_domain_list_add(list, &name, &links);
}

static int read_domains(sd_bus_message *reply, struct link_domain_list *ret)
{
        int r = sd_bus_message_enter_container(reply, 'v', "a(isb)");

        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(isb)");
        while (r >= 0) {
                const char *domain;
                int ifindex;

                r = sd_bus_message_read(reply, "(isb)", &ifindex, &domain, NULL);
                if (r <= 0)
                        break;
                r = domain_add(ret, ifindex, domain);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int server_add(struct server_list *list, int index, int family, const void *octets, size_t size)
{
        char text[INET6_ADDRSTRLEN], server[INET6_ADDRSTRLEN + 16];

        /* Those of no link are for everything that no link claims. */
        if (index <= 0 || (family == AF_INET ? size != 4 : family != AF_INET6 || size != 16))
                return 0;
        if (!inet_ntop(family, octets, text, sizeof(text)))
                return -errno;
        if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *) octets))
                (void) snprintf(server, sizeof(server), "%s%%%d", text, index);
        else
                (void) snprintf(server, sizeof(server), "%s", text);
        return server_list_add(list, server);
}

static int read_servers(sd_bus_message *reply, struct server_list *ret)
{
        int r = sd_bus_message_enter_container(reply, 'v', "a(iiay)"), index, family;

        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(iiay)");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "iiay")) > 0) {
                const void *octets;
                size_t size;

                r = sd_bus_message_read(reply, "ii", &index, &family);
                if (r >= 0)
                        r = sd_bus_message_read_array(reply, 'y', &octets, &size);
                if (r >= 0)
                        r = server_add(ret, index, family, octets, size);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int read_manager(sd_bus_message *reply, struct link_domain_list *domains, struct server_list *servers)
{
        int r = sd_bus_message_enter_container(reply, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *property;

                r = sd_bus_message_read(reply, "s", &property);
                if (r < 0)
                        break;
                if (streq(property, "Domains"))
                        r = read_domains(reply, domains);
                else if (streq(property, "DNS"))
                        r = read_servers(reply, servers);
                else
                        r = sd_bus_message_skip(reply, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return MIN(r, 0);
}

static bool domains_same(const struct link_domain_list *a, const struct link_domain_list *b)
{
        for (size_t i = 0; i < a->n_items; i++) {
                const struct link_domain *other = link_domain_list_find(b, &a->items[i].name);

                if (!other || !link_set_equal(&a->items[i].links, &other->links))
                        return false;
        }
        return a->n_items == b->n_items; /* each is in there once */
}

static bool server_list_same(const struct server_list *a, const struct server_list *b)
{
        for (size_t i = 0; i < a->n_items && i < b->n_items; i++)
                if (!streq(a->items[i], b->items[i]))
                        return false;
        return a->n_items == b->n_items;
}

static int on_manager(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        struct link_monitor *monitor = userdata;
        struct link_domain_list domains = { 0 };
        struct server_list servers = { 0 };
        bool same;
        int r;

        monitor->call = sd_bus_slot_unref(monitor->call);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                log_debug("systemd-resolved has nothing to tell: %s",
                          sd_bus_message_get_error(reply)->message);
                return 0;
        }
        r = read_manager(reply, &domains, &servers);
        if (r < 0) {
                log_debug("What systemd-resolved tells is not understood: %s", strerror(-r));
                link_domain_list_clear(&domains);
                server_list_clear(&servers);
                return 0;
        }
        same = domains_same(&domains, &monitor->resolved) && server_list_same(&servers, &monitor->servers);
        link_domain_list_clear(&monitor->resolved);
        monitor->resolved = domains;
        server_list_clear(&monitor->servers);
        monitor->servers = servers;
        /* Properties change that are of no interest: which of the servers is asked now, to name one. */
        if (!same)
                monitor->changed(monitor->userdata);
        return 0;
}

static void ask_resolved(struct link_monitor *monitor)
{
        sd_bus_message *message = NULL;
        int r;

        monitor->call = sd_bus_slot_unref(monitor->call);
        r = sd_bus_message_new_method_call(monitor->bus, &message, "org.freedesktop.resolve1",
                                           "/org/freedesktop/resolve1", "org.freedesktop.DBus.Properties",
                                           "GetAll");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(message, false);
        if (r >= 0)
                r = sd_bus_message_append(message, "s", "org.freedesktop.resolve1.Manager");
        if (r >= 0)
                r = sd_bus_call_async(monitor->bus, &monitor->call, message, on_manager, monitor, 0);
        sd_bus_message_unref(message);
        if (r < 0)
                log_debug("asking systemd-resolved: %s", strerror(-r));
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        ask_resolved(userdata);
        return 0;
}

void link_monitor_set_bus(struct link_monitor *monitor, sd_bus *bus)
{
        monitor->call = sd_bus_slot_unref(monitor->call);
        monitor->match = sd_bus_slot_unref(monitor->match);
        monitor->bus = bus;
        if (!bus)
                return;
        (void) sd_bus_match_signal_async(bus, &monitor->match, "org.freedesktop.resolve1",
                                         "/org/freedesktop/resolve1", "org.freedesktop.DBus.Properties",
                                         "PropertiesChanged", on_properties, NULL, monitor);
        ask_resolved(monitor);
}

static void on_file(void *userdata)
{
        struct link_monitor *monitor = userdata;

        monitor->changed(monitor->userdata);
}

int link_monitor_new(sd_event *event, const struct link_options *options, void (*changed)(void *userdata),
                     void *userdata, struct link_monitor **ret)
{
        _cleanup_(link_monitor_freep) struct link_monitor *monitor = calloc(1, sizeof(*monitor));
        int r;

        if (!monitor)
                return -ENOMEM;
        monitor->event = sd_event_ref(event);
        monitor->changed = changed;
        monitor->userdata = userdata;
        monitor->resolv_conf = strdup(options->resolv_conf ?: "/etc/resolv.conf");
        monitor->networkd = strdup(options->networkd_state ?: "/run/systemd/netif/state");
        if (!monitor->resolv_conf || !monitor->networkd)
                return -ENOMEM;
        r = path_watch_new(event, monitor->resolv_conf, on_file, monitor, &monitor->resolv_conf_watch);
        if (r < 0)
                return r;
        r = path_watch_new(event, monitor->networkd, on_file, monitor, &monitor->networkd_watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(monitor);
        return 0;
}

struct link_monitor *link_monitor_free(struct link_monitor *monitor)
{
        if (!monitor)
                return NULL;
        sd_bus_slot_unref(monitor->call);
        sd_bus_slot_unref(monitor->match);
        path_watch_free(monitor->resolv_conf_watch);
        path_watch_free(monitor->networkd_watch);
        free(monitor->resolv_conf);
        free(monitor->networkd);
        link_domain_list_clear(&monitor->resolved);
        server_list_clear(&monitor->servers);
        sd_event_unref(monitor->event);
        free(monitor);
        return NULL;
}
