/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one place that joins the floors: configuration, registry, store, publisher and sockets of nsregd. */

#include <bsd/sys/queue.h>
#include <systemd/sd-event.h>

#include "config/nsregd-config.h"
#include "net/stream-set.h"
#include "net/udp.h"
#include "nsregd/bus.h"
#include "nsregd/change.h"
#include "nsregd/event.h"
#include "nsregd/hold.h"
#include "nsregd/keycache.h"
#include "registry/quota.h"
#include "registry/registry.h"
#include "store/store.h"
#include "store/write-back.h"
#include "upstream/publisher.h"

/* What nsregd knows of a zone beside its names. */
struct served_zone {
        struct registry_zone *zone;
        const struct zone_config *config; /* owned by the configuration */
        bool builtin;                     /* answered with authority, from the registry */
        uint32_t serial;                  /* of the zone as it is answered */
        uint32_t next_serial;             /* last one handed to the store */
};

struct statistics {
        uint64_t requests;
        uint64_t queries;
        uint64_t claims;
        uint64_t refreshes;
        uint64_t changes;
        uint64_t releases;
        uint64_t expiries;
        uint64_t refusals;
        uint64_t verifications;
        uint64_t verification_failures;
};

struct manager {
        sd_event *event;
        const char *config_path;
        struct nsregd_config *config;
        struct registry *registry;
        struct served_zone *zones;
        size_t n_zones;
        struct quota *quota;
        struct store *store;
        struct write_back *write_back;
        struct publisher *publisher;
        struct stream_set *streams;
        struct udp_server *datagrams;
        struct changes *changes;
        struct keycache *keycache;
        struct events *events;
        struct hold *hold;
        struct bus *bus;
        struct dns_name host_name; /* configured, or the machine's full name; length 0: neither */
        uint16_t server_port;      /* for the SRV answer; 0: the port that was asked */
        bool clock_synchronized;
        sd_event_source *deadline_source;
        struct stop *stop;    /* NULL: nobody has asked for it */
        unsigned n_left_over; /* units at upstreams that are configured no more */
        sd_event_source *status_source;
        LIST_HEAD(, request) requests; /* that wait for something */
        unsigned n_requests;
        LIST_HEAD(, row_write) row_writes;
        struct statistics statistics;
};

/* Reads the configuration and sets everything up, sockets included. Says what went wrong. 0 or -errno;
 * -EINVAL: the configuration is bad. */
int manager_new(sd_event *event, const char *config_path, struct manager **ret);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager *, manager_free)

/* Reads the configuration again; a bad one changes nothing. 0 or -errno; "*why" (may be NULL) is owned by the
 * caller. */
int manager_reload(struct manager *manager, char **why);
struct registry_time manager_time(const struct manager *manager);
struct served_zone *manager_find_zone(struct manager *manager, const struct registry_zone *zone);
/* What a zone's SRV, NS and SOA say where the registrar is: nobody can claim it. Not in the zone, as a rule.
 */
struct dns_name manager_server_name(const struct manager *manager, const struct registry_zone *zone);

/* To be called after everything that may have moved the earliest end of a lease. */
void manager_arm(struct manager *manager);
/* Tells the service manager how things are. */
void manager_update_status(struct manager *manager);
/* The same within a second, for what may happen often. */
void manager_status_changed(struct manager *manager);
