/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the machine knows of the networks it is in, beyond addresses: search and route domains, from
 * systemd-resolved (D-Bus), systemd-networkd (its state file) and resolv.conf, whichever are there. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "nsregc/link-set.h"
#include "nsregc/resolv-conf.h"
#include "registry/policy.h"
#include "util/macro.h"

struct link_monitor;

struct link_options {
        const char *resolv_conf;    /* NULL: /etc/resolv.conf */
        const char *networkd_state; /* NULL: /run/systemd/netif/state; the links' are beside it */
};

int link_monitor_new(sd_event *event, const struct link_options *options, void (*changed)(void *userdata),
                     void *userdata, struct link_monitor **ret);
struct link_monitor *link_monitor_free(struct link_monitor *monitor);
DEFINE_CLEANUP(struct link_monitor *, link_monitor_free)

/* NULL: the bus is gone. */
void link_monitor_set_bus(struct link_monitor *monitor, sd_bus *bus);

/* All of them, with the links that have them: all, where nobody says which; the root (a route-only "~.") left
 * out. To be cleared by the caller. 0 or -ENOMEM. */
int link_monitor_domains(struct link_monitor *monitor, struct link_domain_list *ret);

/* The DNS servers of the links, of which resolved tells; a view, none without it. */
const struct server_list *link_monitor_servers(const struct link_monitor *monitor);

/* Domains in the form of networkd's state file: KEY=value lines, of which DOMAINS and ROUTE_DOMAINS count. */
int networkd_state_parse(const char *text, struct name_list *ret);
int name_list_add_new(struct name_list *list, const struct dns_name *name); /* unless it is in; 0, -ENOMEM */
bool name_list_contains(const struct name_list *list, const struct dns_name *name);
