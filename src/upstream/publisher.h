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
        /* Ends everything that is under way as lost; close() follows. */
        void (*abandon)(void *driver, const char *reason);
        /* Takes the batch and ends it with plan_finish() and the like, then calls upstream_sent(). */
        void (*send)(void *driver, struct plan_batch *batch);
        /* Asks for the serial of a lane's zone; upstream_serial() follows, perhaps from within. NULL where
         * there is no such thing. */
        void (*ask_serial)(void *driver, unsigned lane);
        /* Is there a connection; for people. */
        bool (*is_connected)(const void *driver);
};

enum upstream_state {
        UPSTREAM_JOINING, /* prepared: not in force yet */
        UPSTREAM_SERVING,
        UPSTREAM_DRAINING,  /* configured no more: what is ours there is being taken away */
        UPSTREAM_LEFT_OVER, /* that took too long: what is left stays as rows, until it is configured again */
};

/* What is known of a zone there, for reconciliation. */
struct zone_serial {
        bool configured; /* else the lane is only drained */
        bool configured_before;
        uint64_t n_updates; /* that were sent */
        bool known;         /* with this serial, behind so many updates, everything was as it should be */
        uint32_t serial;
        uint64_t n_updates_then;
        bool seen; /* this was its serial when it was asked for last, behind so many updates */
        uint32_t seen_serial;
        uint64_t seen_n_updates;
        bool asking; /* to see it, beside what a sweep asks */
};

/* One upstream as it is configured, shared by all zones that name it. */
struct upstream {
        LIST_ENTRY(upstream) upstreams;
        struct publisher *publisher;
        struct upstream_config *config; /* owned */
        enum upstream_state state;
        bool wanted;                         /* by the configuration that is being taken on */
        struct upstream_config *next_config; /* owned; of that one, where it differs; NULL: as it is */
        void *next_driver;                   /* opened with it */
        char *next_identity;                 /* owned; its address changed: it is the same one all the same */
        bool forgotten;                      /* it is configured no more, and nothing there is sought */
        bool relook;                         /* it is not known what is there: look at everything */
        usec_t drain_until_usec;
        char *identity;  /* owned; what its rows are keyed by */
        char *former;    /* owned; joining: what they are keyed by until then, where that is another */
        unsigned number; /* for D-Bus, never used again */
        const struct upstream_driver *type;
        void *driver;
        struct plan *plan;
        struct zone_serial *serials; /* one per lane of the plan */
        unsigned n_failing;          /* lanes */
        bool republish;              /* what is published is to be written anew, with another TTL */
        usec_t success_usec;         /* real time of the last acknowledgement; 0 = none yet */
        uint64_t n_messages;         /* sent */
};
LIST_HEAD(upstream_list, upstream);

/* A zone's use of an upstream. */
struct attachment {
        struct attachment *next;
        struct upstream_config *config; /* owned */
        struct upstream *upstream;      /* NULL for builtin */
};

struct publisher_ops {
        /* Rows of units, see plan.h: "done" is told how it ended, if the waiter still waits. 0 or -errno. */
        int (*put_row)(void *userdata, const struct unit_row *row, struct waiter *waiter, waiter_done done);
        int (*delete_row)(void *userdata, const struct unit_row *key, struct waiter *waiter,
                          waiter_done done);
        /* Not had at a name: as a whole ("type" 0), or of this type. The zone and the name may be gone. May
         * change the registry and publish. */
        void (*refused)(void *userdata, const struct upstream *upstream, const struct dns_name *name,
                        uint16_t type, const char *reason);
        /* Began or ended failing; "reason" NULL: works again. */
        void (*upstream_changed)(void *userdata, const struct upstream *upstream, const char *reason);
        void (*drifted)(void *userdata, const struct upstream *upstream, const struct dns_name *owner);
        /* One that was drained is gone, or (state) is left over; freed behind the call. */
        void (*drained)(void *userdata, const struct upstream *upstream);
        /* publisher_forget() is done: no row is written behind this. Freed behind the call. */
        void (*forgotten)(void *userdata, const struct upstream *upstream);
        /* Everything that publisher_withdraw() began is done. */
        void (*withdrawn)(void *userdata);
        /* What publisher_commit() began is done. */
        void (*moved)(void *userdata);
        /* An upstream is to be known by another identity, its rows with it. */
        void (*renamed)(void *userdata, const struct upstream *upstream, const char *from, const char *to);
};

/* Lets go of one that is being drained or left over; tells when that is done. 0; -EBUSY: it is configured;
 * -ENOENT: it is not here. */
int publisher_forget(struct publisher *publisher, const char *identity);

int publisher_new(sd_event *event, struct registry *registry, const struct publisher_ops *ops, void *userdata,
                  struct publisher **ret);
struct publisher *publisher_free(struct publisher *publisher);
DEFINE_CLEANUP(struct publisher *, publisher_free)

/* A change of the configuration, in two steps. Prepared is everything that can fail: connections are set up,
 * certificates read, memory taken; nothing of what is in force is touched. Committing cannot fail. Upstreams
 * are matched by what they are; one that stays keeps its connection, its back-off and what it knows. Where
 * exactly one entry for a zone went and exactly one came, it is the same upstream at another address. */
struct publisher_setup;
int publisher_prepare(struct publisher *publisher, struct publisher_setup **ret); /* 0 or -ENOMEM */
/* The upstreams of one zone from now on; zones that are not named here have none. 0 or -errno with "*why". */
int publisher_prepare_zone(struct publisher_setup *setup, struct registry_zone *zone,
                           const struct upstream_config *configs, size_t n_configs, char **why);
int publisher_prepare_done(struct publisher_setup *setup, char **why);
/* Upstreams that were not there before, one after the other: their rows are to be loaded by
 * publisher_load_row() before it is committed. "upstream" NULL: the first. NULL: no more. */
struct upstream *publisher_next_joining(const struct publisher *publisher, const struct upstream *upstream);
/* Drops what was prepared. */
struct publisher_setup *publisher_setup_free(struct publisher_setup *setup);
DEFINE_CLEANUP(struct publisher_setup *, publisher_setup_free)
/* The setup is in force, and freed. At the start names are loaded behind this; later what is published of
 * each name is moved in slices, then ops->moved() follows. */
void publisher_commit(struct publisher_setup *setup);
/* The same at the start, when there are no names yet. */
void publisher_begin(struct publisher_setup *setup);
/* The zone is about to be freed: its attachments go, nothing else. */
void publisher_forget_zone(struct publisher *publisher, struct registry_zone *zone);
/* To be called before a name's state is replaced: what is published of it, and of who has the PTRs of its
 * addresses, is moved to the configuration in force. "entry" NULL: there is none yet. */
void publisher_before_change(struct publisher *publisher, struct name_entry *entry,
                             const struct name_state *after);
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
int publisher_load_row(struct publisher *publisher, const struct unit_row *row);
void publisher_load_done(struct publisher *publisher);

/* What a request waits for: every unit of a name, as it is wanted now. */
struct publication;
struct publication_scope {
        struct dns_name *names;    /* owned */
        struct address *addresses; /* owned */
        size_t n_names, n_addresses;
};
/* Each of them once. 0 or -ENOMEM. */
int publication_scope_add_name(struct publication_scope *scope, const struct dns_name *name);
int publication_scope_add_address(struct publication_scope *scope, const struct address *address);
void publication_scope_clear(struct publication_scope *scope);
typedef void (*publication_done)(void *userdata, enum wait_outcome outcome, const char *reason);

/* Waits for these names and for the PTRs of these addresses, those that left included. 0: nothing to wait
 * for, it is published. 1: done will be called once, never from within this call, at the latest when
 * timeout_usec have passed. -EAGAIN: an upstream is failing now, "*ret_reason" (a view) says how: do not
 * wait. -ENOMEM. */
int publisher_wait(struct publisher *publisher, struct registry_zone *zone,
                   const struct publication_scope *scope, usec_t timeout_usec, publication_done done,
                   void *userdata, struct publication **ret, const char **ret_reason);
struct publication *publication_free(struct publication *publication); /* done is not called */
unsigned publisher_waiting(const struct publisher *publisher);

/* Is a registration as it should be at one upstream, names below its host included. */
bool publisher_is_published(const struct attachment *attachment, const struct name_entry *entry);

/* Looks at everything that is published whether it still is, and repairs what is not: begun here, done in
 * slices, and for nothing where a zone's serial says that nothing has happened. By itself at every start, and
 * every hour. 0 or -ENOMEM. */
int publisher_reconcile(struct publisher *publisher, const struct registry *registry);

/* At the daemon's end: takes away everything where records are not kept. False: nothing to be done; true:
 * ops->withdrawn() follows, unless a server fails. */
bool publisher_withdraw(struct publisher *publisher);

/* Nothing is sent any more. */
void publisher_freeze(struct publisher *publisher);
/* Retry now, what was refused as well: whatever is remembered of refusals elsewhere (a name that is blocked
 * for a while) is for the caller to lift before. */
void publisher_flush(struct publisher *publisher);

/* For drivers: the loop. */
sd_event *upstream_event(const struct upstream *upstream);
/* For drivers: what TTL the records of an item of this unit have: that of the zone which they belong to. */
uint32_t upstream_record_ttl(const struct upstream *upstream, const struct unit *unit,
                             const struct rrset *records);
/* For drivers: a batch has ended, there may be more to send. */
void upstream_sent(struct upstream *upstream);
/* For drivers: what ask_serial() asked for; negative errno: not known. */
void upstream_serial(struct upstream *upstream, unsigned lane, int error, uint32_t serial);
/* For drivers: a connection was made; perhaps to another server than the last. Nothing is sent from within.
 */
void upstream_connected(struct upstream *upstream);
/* For drivers: the server has forgotten everything; or, not "surely", it may have, or was known by another
 * name: then nothing that is there is touched. */
void upstream_restarted(struct upstream *upstream, bool surely);
/* For drivers: a batch was acknowledged. */
void upstream_succeeded(struct upstream *upstream);
usec_t upstream_now(void); /* the plans' clock */
