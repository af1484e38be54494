/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Carries the registry into the upstreams: translates names and addresses into units of each upstream's plan,
 * sends what the plans have to send, tells those who wait. Each upstream has its own connection, plan and
 * back-off; none waits for another. Main thread only. */

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "registry/plan.h"
#include "registry/registry.h"
#include "upstream/config.h"

struct publisher;
struct upstream;

/* How an upstream is spoken to: nsupdate.h, unbound.h. */
struct upstream_driver {
        /* "userdata" of all others. 0 or -errno; "*why" (owned by the caller) says what is wrong with the
         * configuration. */
        int (*open)(struct upstream *upstream, void **ret, char **why);
        void (*close)(void *driver);
        /* Takes the batch and ends it with plan_finish() and the like, then calls upstream_sent(). */
        void (*send)(void *driver, struct plan_batch *batch);
        /* Asks for the serial of a lane's zone; upstream_serial() follows, perhaps from within. NULL where
         * there is no such thing. */
        void (*ask_serial)(void *driver, unsigned lane);
        /* Is there a connection; for people. */
        bool (*is_connected)(const void *driver);
};

enum upstream_state {
        UPSTREAM_SERVING,
        UPSTREAM_DRAINING,  /* configured no more: what is ours there is being taken away */
        UPSTREAM_LEFT_OVER, /* that took too long: what is left stays as rows, until it is configured again */
};

/* What is known of a zone there, for reconciliation. */
struct zone_serial {
        uint64_t n_updates; /* that were sent */
        bool known;         /* with this serial, behind so many updates, everything was as it should be */
        uint32_t serial;
        uint64_t n_updates_then;
};

/* One upstream as it is configured, shared by all zones that name it. */
struct upstream {
        LIST_ENTRY(upstream) upstreams;
        struct publisher *publisher;
        struct upstream_config *config; /* owned by the configuration; when draining, by this */
        enum upstream_state state;
        usec_t drain_until_usec;
        char *identity;  /* owned; what its rows are keyed by */
        unsigned number; /* for D-Bus, never used again */
        const struct upstream_driver *type;
        void *driver;
        struct plan *plan;
        unsigned n_lanes;            /* of the configuration; the plan's others are only drained */
        struct zone_serial *serials; /* one per lane */
        bool republish;              /* what is published is to be written anew, with another TTL */
        usec_t success_usec;         /* real time of the last acknowledgement; 0 = none yet */
        uint64_t n_messages;         /* sent */
};
LIST_HEAD(upstream_list, upstream);

/* A zone's use of an upstream. */
struct attachment {
        struct attachment *next;
        const struct upstream_config *config;
        struct upstream *upstream; /* NULL for builtin */
};

struct publisher_ops {
        /* Rows of units, see plan.h. When "wait", publisher_row_written() follows. */
        void (*put_row)(void *userdata, const struct upstream *upstream, const struct unit *unit, bool wait);
        void (*delete_row)(void *userdata, const struct upstream *upstream, const struct unit *unit);
        /* Foreign data at a name. The zone and the name may be gone. May change the registry and publish. */
        void (*refused)(void *userdata, const struct upstream *upstream, const struct dns_name *name,
                        const char *reason);
        /* Began or ended failing; "reason" NULL: works again. */
        void (*upstream_changed)(void *userdata, const struct upstream *upstream, const char *reason);
        void (*drifted)(void *userdata, const struct upstream *upstream, const struct dns_name *owner);
        /* One that was drained is gone, or (state) is left over; freed behind the call. */
        void (*drained)(void *userdata, const struct upstream *upstream);
        /* Everything that publisher_withdraw() began is done. */
        void (*withdrawn)(void *userdata);
};

int publisher_new(sd_event *event, const struct publisher_ops *ops, void *userdata, struct publisher **ret);
struct publisher *publisher_free(struct publisher *publisher);
DEFINE_CLEANUP(struct publisher *, publisher_free)

/* Attaches an upstream to a zone (zone->userdata is the publisher's list of attachments, until
 * publisher_detach()). 0 or -errno with "*why". */
int publisher_attach(struct publisher *publisher, struct registry_zone *zone, struct upstream_config *config,
                     char **why);
void publisher_detach(struct registry_zone *zone);
const struct attachment *publisher_attachments(const struct registry_zone *zone);
const struct upstream_list *publisher_upstreams(const struct publisher *publisher);
struct upstream *publisher_find(const struct publisher *publisher, const char *identity);

/* A name's state has changed: "before" and "after" may be NULL. "effects" are registry_install()'s. */
int publisher_change(struct publisher *publisher, struct registry_zone *zone, const struct dns_name *name,
                     const struct name_state *before, const struct name_state *after,
                     const struct effects *effects);

/* At start: begin, every name of the registry, every row of the store, done. */
void publisher_load_begin(struct publisher *publisher);
int publisher_load_name(struct publisher *publisher, const struct registry *registry,
                        struct name_entry *entry);
int publisher_load_row(struct publisher *publisher, const char *identity, enum unit_kind kind,
                       const struct dns_name *owner, enum row_state row, const struct rrset *set);
void publisher_load_done(struct publisher *publisher);

void publisher_row_written(struct publisher *publisher, const char *identity, enum unit_kind kind,
                           const struct dns_name *owner, bool ok);

/* What a request waits for: every unit of a name, as it is wanted now. */
struct publication;
typedef void (*publication_done)(void *userdata, enum wait_outcome outcome, const char *reason);

/* Waits for the name itself and for the PTRs of these addresses, those that left included. 0: nothing to wait
 * for, it is published. 1: done will be called once, never from within this call, at the latest when
 * timeout_usec have passed. -EAGAIN: an upstream is failing now, "*ret_reason" (a view) says how: do not
 * wait. -ENOMEM. */
int publisher_wait(struct publisher *publisher, struct registry_zone *zone, const struct dns_name *name,
                   const struct address *addresses, size_t n_addresses, usec_t timeout_usec,
                   publication_done done, void *userdata, struct publication **ret, const char **ret_reason);
struct publication *publication_free(struct publication *publication); /* done is not called */
unsigned publisher_waiting(const struct publisher *publisher);

/* Is a name as it should be at one upstream. */
bool publisher_is_published(const struct attachment *attachment, const struct dns_name *name);

/* Looks at everything that is published whether it still is, and repairs what is not: begun here, done in
 * slices, and for nothing where a zone's serial says that nothing has happened. By itself at every start, and
 * every hour. 0 or -ENOMEM. */
int publisher_reconcile(struct publisher *publisher, const struct registry *registry);

/* Before the rows are loaded: what "old" (about to be freed) had and this one has not is drained with its old
 * configuration, and what has another TTL here is written anew. 0 or -ENOMEM. */
int publisher_inherit(struct publisher *publisher, const struct publisher *old);

/* At the daemon's end: takes away everything where records are not kept. False: nothing to be done; true:
 * ops->withdrawn() follows, unless a server fails. */
bool publisher_withdraw(struct publisher *publisher);

/* Retry now. */
void publisher_flush(struct publisher *publisher);
/* True when every unit is as it should be. */
bool publisher_is_quiet(const struct publisher *publisher);

/* For drivers: the loop. */
sd_event *upstream_event(const struct upstream *upstream);
/* For drivers: a batch has ended, there may be more to send. */
void upstream_sent(struct upstream *upstream);
/* For drivers: what ask_serial() asked for; negative errno: not known. */
void upstream_serial(struct upstream *upstream, unsigned lane, int error, uint32_t serial);
/* For drivers: the server has forgotten everything. */
void upstream_restarted(struct upstream *upstream);
/* For drivers: a batch was acknowledged. */
void upstream_succeeded(struct upstream *upstream);
usec_t upstream_now(void); /* the plans' clock */
