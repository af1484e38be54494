/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The publication plan of one upstream: what differs between what is wanted and what is there, what to send
 * next, what an answer means. Levels, not edges: there is no queue of operations, only the set of units whose
 * two sides differ, so that retry, crash recovery, coalescing, expiry and reload are one mechanism. Pure;
 * time is an argument (CLOCK_MONOTONIC, microseconds).
 *
 * A unit is one owner name with its records (the A and AAAA of a name, or the PTRs of an address). It exists
 * while something is to be done, is under way, or was refused; a unit that is in sync is forgotten, and so
 * costs nothing. What was ever sent has a row in the store until its removal is acknowledged:
 *
 *   no row    nothing of ours is there
 *   doubtful  the row's set, or a part of it, may be there; if it is, we put it there. Written before the
 *             first publication is sent
 *   ours      the unit's records there are ours
 *
 * plan.c: life of units, and what the next step of each is. plan-send.c: messages are made of them.
 * plan-answer.c: what an answer means. */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "dns/name.h"
#include "registry/rrset.h"
#include "util/heap.h"
#include "util/macro.h"
#include "util/time.h"

enum unit_kind {
        UNIT_FORWARD, /* A and AAAA of a registered name: ours alone */
        UNIT_PTR,     /* PTRs of an address: shared, only RRs of ours are added or deleted */
        _UNIT_KINDS,
};

enum row_state {
        ROW_NONE,
        ROW_DOUBTFUL,
        ROW_OURS,
};

enum plan_action {
        PLAN_FIRST,   /* an UPDATE with the prerequisite that nothing foreign is there */
        PLAN_REPLACE, /* an UPDATE of what is ours */
        PLAN_VERIFY,  /* ask whether exactly the "sending" sets are there: an UPDATE of prerequisites alone */
        PLAN_QUERY,   /* ask what is there */
        _PLAN_ACTIONS,
};

enum plan_outcome {
        PLAN_ACKNOWLEDGED,
        PLAN_PREREQUISITE, /* refused because of a prerequisite of ours: foreign data at one of the names */
        PLAN_REJECTED,     /* the server would not have this message */
        PLAN_DENIED,       /* the server would not have any message of ours for this zone */
        PLAN_UNSENT,       /* surely not applied: no connection */
        PLAN_LOST,         /* perhaps applied: no answer, or none that can be trusted */
};

/* Does a unit have to be looked at, before anything else is done with it. */
enum unit_look {
        LOOK_NOT,
        LOOK_VERIFY, /* it probably is as expected: many are verified at once */
        LOOK_QUERY,  /* it is not: what is there has to be known */
};

enum wait_outcome {
        WAIT_PUBLISHED,
        WAIT_FAILED,  /* not now: the change stands and is retried */
        WAIT_REFUSED, /* foreign data: final */
};

struct plan;
struct unit;

/* Somebody who waits for a unit to be published as it is wanted now. Embedded by the waiter. */
struct plan_waiter {
        LIST_ENTRY(plan_waiter) by_unit;
        LIST_ENTRY(plan_waiter) by_lane;
        struct unit *unit; /* NULL when not waiting */
        uint32_t generation;
};
LIST_HEAD(plan_waiter_list, plan_waiter);
TAILQ_HEAD(unit_list, unit);

struct unit_group;

struct unit {
        RB_ENTRY(unit) by_owner;
        TAILQ_ENTRY(unit) by_queue;
        struct unit_list *queue;  /* the one it is in, or NULL */
        struct unit_group *group; /* of suspects of a rejected message, or NULL */
        struct heap_node retry;
        struct plan *plan;
        enum unit_kind kind;
        unsigned lane;
        struct rrset wanted;
        struct rrset published; /* what is there, if known */
        bool published_known;
        enum row_state row;
        struct rrset row_set;
        bool row_busy;      /* a write that has to be durable before the unit goes on is under way */
        bool row_unwritten; /* that write failed and is to be repeated */
        bool sent;          /* of a doubtful row: (part of) its set may be there */
        bool sent_before;   /* it was not there when looked for, but may still be on its way */
        bool in_flight;
        bool refused; /* foreign data: left alone until something changes */
        enum unit_look look;
        bool read_back; /* the look is at a first publication that was just acknowledged: waiters wait */
        bool stale;     /* it was to be published again while in flight: what is acknowledged is not enough */
        bool lost; /* an UPDATE got no answer and may be applied late: looked at a while after all is done */
        bool late_look; /* that while has begun */
        uint32_t generation;
        uint32_t published_generation;
        uint32_t sending_generation;
        struct rrset sending;
        unsigned attempts; /* rejected alone so often */
        char *error;       /* escaped text, owned; why it was rejected or refused, or NULL */
        struct plan_waiter_list waiters;
        uint8_t owner_length;
        uint8_t owner[]; /* wire form */
};

struct plan_lane {
        struct dns_name zone;
        enum unit_kind kind;
        struct unit_list queues[_PLAN_ACTIONS];
        TAILQ_HEAD(, unit_group) groups;
        struct plan_waiter_list waiters;
        usec_t backoff_until_usec; /* 0: none */
        unsigned failures;         /* in a row, for the length of the next back-off */
        unsigned lone_rejections;  /* in a row */
        char *error;               /* escaped text of the last failure, owned; NULL while all is well */
        unsigned n_in_flight;
};

struct plan_batch {
        struct plan *plan;
        enum plan_action action;
        unsigned lane;
        unsigned n_units;
        struct unit *units[];
};

struct plan_ops {
        /* Write the unit's row as it stands (row, row_set); when "wait", plan_row_written() follows. */
        void (*put_row)(void *userdata, struct unit *unit, bool wait);
        void (*delete_row)(void *userdata, const struct unit *unit);
        /* A waiter's end; it is not waiting any more and may be freed. */
        void (*waited)(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                       const char *reason);
        /* Foreign data at this name, found now; told before the waiters. Changes no plan from within. */
        void (*refused)(void *userdata, struct unit *unit, const char *reason);
        /* A unit that reconciliation looked at was not as it should be. */
        void (*drifted)(void *userdata, const struct unit *unit);
        /* A lane began or ended failing: lane->error. */
        void (*lane_changed)(void *userdata, unsigned lane);
};

struct plan_options {
        bool protect_foreign;   /* first publications carry prerequisites */
        bool repeats;           /* a message may reach the server twice (UDP) */
        bool verify;            /* PLAN_VERIFY can be sent; a query per unit else */
        bool read_back;         /* ask after the first publication of a name whether it is really there */
        unsigned max_units;     /* in one message */
        unsigned max_bytes;     /* of one message, by estimate */
        unsigned max_in_flight; /* messages, over all lanes */
};

RB_HEAD(unit_tree, unit);

struct plan {
        struct plan_options options;
        const struct plan_ops *ops;
        void *userdata;
        struct unit_tree units;
        struct heap retries;
        struct plan_lane *lanes;
        unsigned n_lanes;
        unsigned n_units;
        unsigned n_refused;
        unsigned n_in_flight; /* messages */
        unsigned next_lane;
        uint64_t random; /* of the jitter */
        bool stopped;    /* nothing new is sent */
        bool loading;
        usec_t now_usec; /* the time told last */
};

/* "seed" makes the jitter of back-offs; any number. NULL when memory is out. */
struct plan *plan_new(const struct plan_options *options, const struct plan_ops *ops, void *userdata,
                      uint64_t seed);
/* Units and waiters are forgotten without a word. No batch may be out. */
struct plan *plan_free(struct plan *plan);
DEFINE_CLEANUP(struct plan *, plan_free)

/* A zone of the upstream; lanes are numbered as they are added. Index or -ENOMEM. */
int plan_add_lane(struct plan *plan, enum unit_kind kind, const struct dns_name *zone);

/* A change of what is wanted. "before" is what was wanted until now: where there is no unit, it is published.
 * Empty sets mean nothing. 0 or -ENOMEM. */
int plan_change(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
                const struct rrset *before, const struct rrset *wanted);
/* Filling a plan at start: begin, everything that is wanted by plan_change() with nothing before, then the
 * rows of the store, then done, which finds out what differs. */
void plan_load_begin(struct plan *plan);
int plan_load(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
              enum row_state row, const struct rrset *row_set);
void plan_load_done(struct plan *plan);
/* Look whether the upstream still has what it should (reconciliation). "wanted" is what is published, where
 * there is no unit. */
int plan_check(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
               const struct rrset *wanted);
/* As if nothing of ours were there any more (an unbound that was restarted), or not as it should be (another
 * TTL): publish again. */
int plan_republish(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
                   const struct rrset *wanted);

struct unit *plan_find(const struct plan *plan, enum unit_kind kind, const struct dns_name *owner);
struct dns_name unit_owner(const struct unit *unit);
/* In a lane that backs off, or rejected of late: a waiter is told at once. NULL: all is well. */
const char *unit_trouble(const struct unit *unit, usec_t now_usec);
/* Everything wanted is there, as far as we know; it is only looked at, if anything. */
bool unit_is_published(const struct unit *unit);
/* Waits; ends with ops->waited(), never from within this call. */
void plan_wait(struct unit *unit, struct plan_waiter *waiter);
void plan_waiter_cancel(struct plan_waiter *waiter); /* no-op when not waiting */

/* The write that put_row() was to wait for has ended. */
void plan_row_written(struct plan *plan, enum unit_kind kind, const struct dns_name *owner, bool ok,
                      usec_t now_usec);

/* The next thing to send, or NULL. It is to be ended with plan_finish() or, a query, with plan_answer(). */
struct plan_batch *plan_next(struct plan *plan, usec_t now_usec);
/* All units of a batch. "reason" is escaped text, may be NULL when acknowledged. Frees the batch. */
void plan_finish(struct plan_batch *batch, enum plan_outcome outcome, const char *reason, usec_t now_usec);
/* For upstreams that say for each unit how it went: then plan_finish_rest(). */
void plan_finish_unit(struct plan_batch *batch, unsigned i, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec);
/* What is at the owner of unit i of a query: its A and AAAA, or PTR; "foreign": a CNAME, a delegation, ... */
void plan_answer(struct plan_batch *batch, unsigned i, const struct rrset *found, bool foreign,
                 usec_t now_usec);
/* Units not yet spoken of end with this outcome; frees the batch. */
void plan_finish_rest(struct plan_batch *batch, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec);

/* When plan_next() may have something that it does not have now; USEC_INFINITY. */
usec_t plan_deadline(const struct plan *plan);
/* Ends all back-offs: try now. */
void plan_flush(struct plan *plan);
/* The server is to be reached after all. */
void plan_reachable(struct plan *plan);
/* Every lane fails alike: the server is not to be reached. */
void plan_unreachable(struct plan *plan, const char *reason, usec_t now_usec);
