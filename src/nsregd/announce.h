/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who tells whom: what happens is announced once, to all who registered for it (the journal, the bus, the
 * status), and whoever makes it happen knows none of them. Refusals and mass expiries are thinned out here,
 * so that no peer floods any of them; what was left out is counted and told. */

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "registry/decision.h"
#include "registry/registry.h"
#include "util/macro.h"

struct announcer;
struct context;
struct upstream;

/* Any may be NULL. Called in the order of registration. */
struct observer_ops {
        void (*claimed)(void *userdata, const struct dns_name *name, const struct name_state *state);
        /* "state" is the one that ended: released or revoked, or its key lease ended. */
        void (*released)(void *userdata, const struct dns_name *name, const struct name_state *state);
        void (*expired)(void *userdata, const struct dns_name *name, const struct name_state *state);
        /* So many more that were not told one by one. */
        void (*expired_besides)(void *userdata, uint64_t n);
        void (*addresses_changed)(void *userdata, const struct dns_name *name);
        /* Its owner has replaced the key. */
        void (*key_changed)(void *userdata, const struct dns_name *name, const struct name_state *state);
        /* Those beside its addresses, at the host or below it. */
        void (*records_changed)(void *userdata, const struct dns_name *name);
        /* "name" NULL: not known. */
        void (*refused)(void *userdata, const struct dns_name *name, const struct address *source,
                        const struct decision *decision, bool owner_mismatch);
        /* So many more of this network, and of others that share its place in the table, that were not told.
         */
        void (*refused_besides)(void *userdata, const struct prefix *source, bool others, uint64_t n);
        /* One key changes this name from two machines. "state" is the one of before. */
        void (*twins)(void *userdata, const struct dns_name *name, const struct name_state *state,
                      const struct address *source, const struct address *other);
        void (*not_stored)(void *userdata, const struct dns_name *name, int error);
        void (*server_name_claimed)(void *userdata, const struct dns_name *name,
                                    const struct name_state *state);
        /* Began or ended failing; "reason" NULL: works again. */
        void (*upstream_changed)(void *userdata, const struct upstream *upstream, const char *reason);
        void (*upstream_refused)(void *userdata, const struct upstream *upstream, const struct dns_name *name,
                                 const char *reason);
        void (*upstream_drifted)(void *userdata, const struct upstream *upstream,
                                 const struct dns_name *owner);
        void (*upstream_drained)(void *userdata, const struct upstream *upstream);
        /* Zones or upstreams come (true, behind it), or are about to go. */
        void (*reconfigured)(void *userdata, bool done);
};

struct observer {
        STAILQ_ENTRY(observer) observers;
        const struct observer_ops *ops;
        void *userdata;
};

int announcer_new(struct context *context, struct announcer **ret); /* 0 or -errno */
struct announcer *announcer_free(struct announcer *announcer);
DEFINE_CLEANUP(struct announcer *, announcer_free)

/* The observer must outlive the announcer, or leave it. */
void announcer_add(struct announcer *announcer, struct observer *observer);
void announcer_remove(struct announcer *announcer, struct observer *observer);

/* A name's state has changed. Either may be NULL. */
void announce_name_changed(struct announcer *announcer, const struct dns_name *name,
                           const struct name_state *before, const struct name_state *after);
void announce_refused(struct announcer *announcer, const struct dns_name *name, const struct address *source,
                      const struct decision *decision, bool owner_mismatch);
/* Thinned out by whoever noticed it. */
void announce_twins(struct announcer *announcer, const struct dns_name *name, const struct name_state *state,
                    const struct address *source, const struct address *other);
void announce_not_stored(struct announcer *announcer, const struct dns_name *name, int error);
void announce_server_name_claimed(struct announcer *announcer, const struct dns_name *name,
                                  const struct name_state *state);
void announce_upstream_changed(struct announcer *announcer, const struct upstream *upstream,
                               const char *reason);
void announce_upstream_refused(struct announcer *announcer, const struct upstream *upstream,
                               const struct dns_name *name, const char *reason);
void announce_upstream_drifted(struct announcer *announcer, const struct upstream *upstream,
                               const struct dns_name *owner);
void announce_upstream_drained(struct announcer *announcer, const struct upstream *upstream);
void announce_reconfigured(struct announcer *announcer, bool done);
/* What was only counted so far is told: nothing more happens. */
void announce_end(struct announcer *announcer);
