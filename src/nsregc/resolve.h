/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks the DNS: the configured server, else systemd-resolved over D-Bus, else the servers of resolv.conf in
 * turn (UDP, TCP on truncation; without EDNS where a server does not answer with it). Asynchronous. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "dns/name.h"
#include "nsregc/resolv-conf.h"
#include "nsregc/resolve-answer.h"
#include "util/macro.h"
#include "util/time.h"

struct resolver_options {
        const char *server; /* address literal or name; NULL: the system's; copied */
        uint16_t port;
        bool tcp;
        usec_t timeout_usec;     /* for one query, all servers together */
        const char *resolv_conf; /* NULL: /etc/resolv.conf; copied */
};

struct resolver;
struct resolve_query;

/* The query is freed behind the call, the answer with it. Never called from within resolver_ask(). */
typedef void (*resolve_done)(void *userdata, const struct resolve_answer *answer);

int resolver_new(sd_event *event, const struct resolver_options *options, struct resolver **ret);
struct resolver *resolver_free(struct resolver *resolver); /* queries must be gone */
DEFINE_CLEANUP(struct resolver *, resolver_free)

/* For what is asked from now on. 0 or -ENOMEM. */
int resolver_configure(struct resolver *resolver, const struct resolver_options *options);
/* NULL: none. Queries that wait on the old bus go on without it. */
void resolver_set_bus(struct resolver *resolver, sd_bus *bus);

/* The DNS servers of the links, of which resolved tells: they are asked, one after the other until one knows
 * something, for names below local., which resolved itself sends to nobody. Copied; none: NULL. 0 or -ENOMEM.
 */
int resolver_set_link_servers(struct resolver *resolver, const struct server_list *servers);
/* Another network: what was learned of servers is forgotten. */
void resolver_forget(struct resolver *resolver);

int resolver_ask(struct resolver *resolver, const struct dns_name *name, uint16_t type, resolve_done done,
                 void *userdata, struct resolve_query **ret);
/* Cancels. Takes NULL; returns NULL. */
struct resolve_query *resolve_query_free(struct resolve_query *query);
