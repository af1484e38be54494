/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of nsregd share: pointers to each other, made and freed by manager.c alone. Parts include
 * this and the headers of those they speak to, never the manager. */

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "config/nsregd-config.h"
#include "registry/quota.h"
#include "registry/registry.h"
#include "store/store.h"
#include "store/write-back.h"

struct administration;
struct announcer;
struct bus;
struct busy_watch;
struct changes;
struct clock_watch;
struct journal;
struct imports;
struct left_over;
struct keycache;
struct lease_ends;
struct name_locks;
struct publisher;
struct reload;
struct repeats;
struct request;
struct standing;
struct status;
struct stop;
struct stream_set;
struct twins;
struct udp_server;
struct undos;
struct zones;

/* Counted since the start; for people. */
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

struct context {
        sd_event *event;
        const char *config_path;
        struct nsregd_config *config;
        struct zones *zones;
        struct registry *registry; /* of these zones */
        struct quota *quota;
        struct standing *standing;
        struct twins *twins;
        struct repeats *repeats;
        struct store *store;
        struct write_back *write_back;
        struct publisher *publisher;
        struct stream_set *streams;
        struct udp_server *datagrams;
        bool sockets_passed; /* by systemd: what is configured about them does not matter */
        struct name_locks *locks;
        struct changes *changes;
        struct lease_ends *lease_ends;
        struct undos *undos;
        struct clock_watch *clock_watch;
        struct busy_watch *busy_watch;
        struct keycache *keycache;
        struct announcer *announcer;
        struct journal *journal;
        struct status *status;
        struct bus *bus;
        struct reload *reload;
        struct stop *stop;
        LIST_HEAD(, administration) administrations;
        LIST_HEAD(, request) requests; /* that wait for something */
        unsigned n_requests;
        struct left_over *left_over; /* owned */
        struct imports *imports;     /* owned */
        struct statistics statistics;
};

static inline struct registry_time context_time(const struct context *context)
{
        return (struct registry_time){
                .lease_usec = store_lease_now(context->store),
                .real_usec = now_usec(CLOCK_REALTIME),
        };
}
