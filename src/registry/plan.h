/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The publication plan of one upstream: what differs between what is wanted and what is there, what to send
 * next, what an answer means. Levels, not edges: there is no queue of operations, only the set of units whose
 * two sides differ, so that retry, crash recovery, coalescing, expiry and reload are one mechanism. Pure;
 * time is an argument (CLOCK_MONOTONIC, microseconds).
 *
 * A unit is one owner name with its parts: in an exclusive lane one part for each type that is ours, all RRs
 * of it; in a shared lane one part for each RR of ours, beside which others may have theirs. It exists while
 * something is to be done, is under way, may still happen, or was refused; a unit that is in sync and settled
 * is forgotten, and so costs nothing.
 *
 * Nothing that was sent is forgotten before it can no longer be applied. An UPDATE cannot be taken back, so a
 * part has a row in the store that lists every value that may be there: durable before the message goes out,
 * and shortened or deleted only when everything sent is settled. Each message that has no answer to be
 * trusted leaves its step (before -> after) in doubt. Doubt ends by a barrier: an UPDATE of prerequisites
 * alone, signed so late that whatever was in doubt is too old when it arrives, and queued behind what arrived
 * before. Until then a part counts as published only where nothing in doubt can change what is there.
 *
 * plan.c: life of plans and units. plan-wish.c: what is wanted. plan-route.c: what the next step of each is.
 * plan-part.c: values, doubts, rows. plan-waiter.c: who waits. plan-send.c: messages are made of units.
 * plan-answer.c: what the end of a message means. plan-look.c: what is found there. */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "dns/name.h"
#include "registry/rrset.h"
#include "registry/unit-row.h"
#include "util/heap.h"
#include "util/macro.h"
#include "util/time.h"
#include "util/waiter.h"

enum plan_action {
        PLAN_FIRST,   /* an UPDATE of names of which nothing was accepted yet: nothing may be there */
        PLAN_REPLACE, /* an UPDATE of what is ours: what is known to be there must be there */
        PLAN_VERIFY,  /* an UPDATE of prerequisites alone: is there exactly what the look says? A barrier */
        PLAN_QUERY,   /* ask for the content: what is there */
        PLAN_PROBE,   /* ask for the SOA at the names: is something between them and the zone? */
        _PLAN_ACTIONS,
};

enum plan_outcome {
        PLAN_ACKNOWLEDGED,
        PLAN_PREREQUISITE, /* refused because of a prerequisite of ours */
        PLAN_REJECTED,     /* the server would not have this message, and said so with its signature */
        PLAN_FAILED,       /* the server failed (SERVFAIL): perhaps applied */
        PLAN_LATE,         /* signed too early or too late (BADTIME), surely not applied: once more */
        PLAN_DENIED,       /* the server would not have any message of ours; anybody may have said so */
        PLAN_UNSENT,       /* no octet of it went out, and none can */
        PLAN_AGAIN, /* the connection ended behind other answers: once more, perhaps applied if it went out */
        PLAN_LOST,  /* perhaps applied: no answer, or none that can be trusted */
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

#define PART_VALUES_MAX 4
#define PART_DOUBTS_MAX 6

/* Instead of an index into a part's values. */
#define VALUE_UNKNOWN (-1)
#define VALUE_OTHER   (-2) /* something that is not ours */
#define VALUE_ANY     (-3) /* before a step that asks nothing of what is there */

/* A step of which it is not known whether it was, or will be, applied. */
struct part_doubt {
        int8_t before, after; /* values */
        uint8_t server;       /* the address it went to; 0: not known */
        bool as_of_start;     /* "until_sec" counts from the first answer of this life */
        uint64_t until_sec; /* a barrier that arrives later than this, by the server's clock, is behind it */
        usec_t due_usec;    /* when a barrier may be sent, MONOTONIC */
};

struct unit_part {
        struct unit_part *next;
        struct unit *unit;
        uint16_t type;
        struct rrset rr; /* shared: the one RR; else empty */
        struct rrset wanted;

        /* The row. */
        struct rrset values[PART_VALUES_MAX]; /* the newest last, "nothing" is an empty one */
        uint8_t n_values;
        bool seen;          /* nothing was there, before anything of ours could be */
        bool accepted;      /* it is, or was since it was last taken away, acknowledged to be there */
        uint16_t fudge_sec; /* the widest with which something of this row was signed */
        bool stored;        /* there is a row in the store, or one is being written */
        bool changed;       /* what is above is not what was given to the store last */
        bool writing;       /* the unit waits for the write */
        bool deleting;
        struct waiter write;
        struct dns_name *row_zone; /* by which the row is keyed, where it is not the lane's; owned */

        int8_t known;              /* what is there now, as far as it matters to what is sent next */
        struct part_doubt *doubts; /* owned, PART_DOUBTS_MAX of them; NULL while there never was any */
        uint8_t n_doubts;

        bool again;   /* to be sent though it is there: as the server forgot it, or for its TTL */
        bool full;    /* nothing more can be listed, or told, before doubts are settled */
        bool refused; /* foreign data: left alone until something else is wanted */

        /* Of the message under way. */
        bool in_message;
        bool again_then;
        int8_t before, after;
};

/* How far looking at a unit has come. */
enum unit_look {
        LOOK_NOT,
        LOOK_EXPECT,  /* is it as expected? Many are asked about at once */
        LOOK_QUERY,   /* what does the server answer to queries? */
        LOOK_CONFIRM, /* is that there, or made up of a wildcard? */
        LOOK_WALK,    /* part by part: is it this value, or that? */
};

struct unit {
        RB_ENTRY(unit) by_owner;
        TAILQ_ENTRY(unit) by_queue;
        struct unit_list *queue; /* the one it is in, or NULL */
        struct heap_node retry;  /* while it is held back */
        struct heap_node settle; /* while it only waits for a barrier */
        struct plan *plan;
        unsigned lane;
        struct unit_part *parts;
        bool in_flight;
        bool stream;    /* alone it was lost as a datagram: the next time not as one */
        unsigned crowd; /* so many units at most in a message with it, of which one is suspected; 0: any
                           number */

        enum unit_look look;
        struct unit_part *walked; /* LOOK_WALK: this part ... */
        unsigned walk_step;       /* ... and this guess */
        bool walk_in_doubt;       /* it was in doubt at the first guess */
        struct rrset found;       /* what the query said */
        bool found_alias;         /* a CNAME, a delegation or the like */
        bool probed;              /* nothing is between it and its zone */
        bool beside;              /* shared: others have RRs there, ours go beside them */
        bool guard;               /* of the message under way: nothing else of an address may be there */
        bool read_back; /* the look is at a first publication that was just acknowledged: waiters wait */
        bool complete;  /* the message under way has everything that was wanted then */

        uint32_t generation;
        uint32_t sending_generation;
        uint32_t published_generation; /* to be told when it was read back */
        struct rrset sending;          /* of a look: what is expected */
        unsigned attempts;             /* rejected alone so often */
        unsigned n_refutals;           /* first publications that failed, though nothing was found */
        bool refuted_alone;            /* the last of them had nobody else in its message */
        unsigned n_late;               /* BADTIME, in a row */
        char *error;                   /* escaped text, owned; why it was rejected or refused, or NULL */
        struct plan_waiter_list waiters;
        bool settling; /* counted in plan->n_settling */
        bool rejected; /* counted in plan->n_refused */
        uint8_t owner_length;
        uint8_t owner[]; /* wire form */
};

struct plan_lane {
        struct dns_name zone;
        enum unit_mode mode;
        struct unit_list queues[_PLAN_ACTIONS];
        struct plan_waiter_list waiters;
        usec_t backoff_until_usec; /* 0: none */
        unsigned failures;         /* in a row, for the length of the next back-off */
        unsigned lone_rejections;  /* in a row */
        bool looks_last;           /* whose turn it is: looks, or first publications */
        char *error;               /* escaped text of the last failure, owned; NULL while all is well */
        unsigned n_in_flight;
};

struct plan_batch {
        struct plan *plan;
        enum plan_action action;
        unsigned lane;
        uint16_t fudge_sec; /* it may be signed with at most this */
        bool stream;        /* not as a datagram */
        /* Filled in by plan_sent(). */
        bool sent;
        uint64_t signed_sec;
        uint16_t signed_fudge_sec;
        uint8_t server;
        usec_t sent_usec;
        /* For the driver, before the end: it was answered, but may have a twin (UDP). */
        bool twin;
        unsigned n_units;
        struct unit *units[];
};

/* What a message says of one type of a unit (exclusive), or of one RR (shared); views. */
struct plan_item {
        uint16_t type;
        const struct rrset *before; /* what has to be there, maybe nothing; NULL: whatever is */
        const struct rrset *after;  /* what is to be there; NULL in a look */
        const struct unit_part *part;
        struct rrset view; /* of a look: what "before" points to */
};

/* Where plan_item_next() is: all zero at the beginning. */
struct plan_position {
        const struct unit_part *part;
        unsigned n_guards;
};

struct plan_ops {
        /* Write the row of a part; part->write is told by waiter_tell() how it ended. 0 or -errno: nothing is
         * told, it is tried again. */
        int (*put_row)(void *userdata, struct unit_part *part, const struct unit_row *row, waiter_done done);
        int (*delete_row)(void *userdata, struct unit_part *part, const struct unit_row *key,
                          waiter_done done);
        /* A waiter's end; it is not waiting any more and may be freed. */
        void (*waited)(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                       const char *reason);
        /* Foreign data at this name, found now; told before the waiters. "type" 0: the name as a whole, else
         * this type alone. Changes no plan from within. */
        void (*refused)(void *userdata, struct unit *unit, uint16_t type, const char *reason);
        /* May what is found at this owner be taken for ours, though nothing of ours ever came there: it was
         * put there for the same name by somebody whose place we have taken. "rr": the shared RR that is
         * asked about, NULL in an exclusive lane. May be NULL: never. */
        bool (*adopts)(void *userdata, const struct unit *unit, const struct rrset *rr);
        /* A unit of ours was not as it should be. */
        void (*drifted)(void *userdata, const struct unit *unit);
        /* A lane began or ended failing: lane->error. */
        void (*lane_changed)(void *userdata, unsigned lane);
        /* After a write: the plan may have something to send. */
        void (*ready)(void *userdata);
};

struct plan_options {
        bool protect_foreign;   /* what is there is left alone, unless it is ours */
        bool verify;            /* PLAN_VERIFY can be sent; else what a query says is so */
        bool look_first;        /* look whether anything is there before the first publication of a type */
        bool probe;             /* look for zone cuts before the first publication of a name */
        bool read_back;         /* look after the first publication of a name whether it is really there */
        bool datagrams;         /* a message that is lost is perhaps too large */
        bool bounded;           /* messages grow too old to be applied (TSIG); else doubt lasts a day */
        unsigned margin_sec;    /* clocks may differ so much beside the fudge */
        usec_t slow_usec;       /* a barrier whose answer took longer settles nothing; 0: any does */
        unsigned max_units;     /* in one message */
        unsigned max_in_flight; /* messages, over all lanes */
};

RB_HEAD(unit_tree, unit);

struct plan {
        struct plan_options options;
        const struct plan_ops *ops;
        void *userdata;
        struct unit_tree units;
        struct heap retries;
        struct heap settles;
        struct plan_lane *lanes;
        unsigned n_lanes;
        unsigned n_units;
        unsigned n_refused;   /* units */
        unsigned n_settling;  /* units that are as wanted and wait for a barrier only */
        unsigned n_in_flight; /* messages */
        unsigned next_lane;
        uint64_t random; /* of the jitter */
        bool stopped;    /* nothing new is sent */
        bool loading;
        struct unit *loaded; /* whose rows are being loaded */
        uint16_t fudge_sec;  /* what the driver signs with at the moment */
        uint64_t start_sec;  /* when the first message of this life was answered; 0: none was */
        bool was_accepted;   /* something was, in this life or before */
        bool forwarded;  /* an answer came through a forwarder, in this life or before: what is answered may
                            have  a twin */
        usec_t now_usec; /* the time told last */
};

/* "seed" makes the jitter of back-offs; any number. NULL when memory is out. */
struct plan *plan_new(const struct plan_options *options, const struct plan_ops *ops, void *userdata,
                      uint64_t seed);
/* Units and waiters are forgotten without a word. No batch may be out. */
struct plan *plan_free(struct plan *plan);
DEFINE_CLEANUP(struct plan *, plan_free)

/* A zone of the upstream; lanes are numbered as they are added. Index or -ENOMEM. */
int plan_add_lane(struct plan *plan, enum unit_mode mode, const struct dns_name *zone);

/* A change of what is wanted. "before" is what was wanted until now: where there is no unit, it is published.
 * Empty sets mean nothing. 0 or -ENOMEM. */
int plan_change(struct plan *plan, unsigned lane, const struct dns_name *owner, const struct rrset *before,
                const struct rrset *wanted);
/* Filling a plan at start: begin, everything that is wanted by plan_change() with nothing before, then the
 * rows of the store, then done, which finds out what differs. */
void plan_load_begin(struct plan *plan);
/* 0, -EBADMSG, -ENOMEM. */
int plan_load(struct plan *plan, unsigned lane, const struct unit_row *row);
void plan_load_done(struct plan *plan, usec_t now_usec);
/* Look whether the upstream still has what it should (reconciliation). "wanted" is what is published, where
 * there is no unit. What was refused is tried again. */
int plan_check(struct plan *plan, unsigned lane, const struct dns_name *owner, const struct rrset *wanted);
/* As if nothing of ours were there any more (an unbound that was restarted), or not as it should be (another
 * TTL): publish again. */
int plan_republish(struct plan *plan, unsigned lane, const struct dns_name *owner,
                   const struct rrset *wanted);

struct unit *plan_find(const struct plan *plan, unsigned lane, const struct dns_name *owner);
struct dns_name unit_owner(const struct unit *unit);
enum unit_mode unit_mode(const struct unit *unit);
/* What is known to be at a part, a view; NULL: that is not known, or not ours. */
const struct rrset *part_known(const struct unit_part *part);
bool unit_has_part(const struct unit *unit, const struct rrset_item *item);
#define FOREACH_PART(part, unit) for (struct unit_part *part = (unit)->parts; part; part = part->next)
/* In a lane that backs off, or rejected of late: a waiter is told at once. NULL: all is well. */
const char *unit_trouble(const struct unit *unit, usec_t now_usec);
/* Everything wanted is there, and nothing that was sent can change it any more. */
bool unit_is_published(const struct unit *unit);
/* It is there, but something sent before may still be applied. */
bool unit_is_uncertain(const struct unit *unit);
/* Nothing to wait for: published, or a shared RR that is not granted. */
bool unit_is_done(const struct unit *unit);
/* Waits; ends with ops->waited(), never from within this call. */
void plan_wait(struct unit *unit, struct plan_waiter *waiter);
void plan_waiter_cancel(struct plan_waiter *waiter); /* no-op when not waiting */

/* The next thing to send, or NULL. It is to be ended with plan_finish() or, unit by unit, with
 * plan_finish_unit(), plan_answer(), plan_probed() and plan_finish_rest(). */
struct plan_batch *plan_next(struct plan *plan, usec_t now_usec);
/* A batch has become too large for a message: units from the n-th on go back, n > 0. */
void plan_trim(struct plan_batch *batch, unsigned n);
/* What a message says of a unit, an item at a time; false at the end. An item without "after" is a
 * prerequisite alone. */
bool plan_item_next(const struct unit *unit, struct plan_position *position, struct plan_item *ret);
/* Octets go to the server now, signed with this time (of its clock, as far as known; without a signature, any
 * clock's seconds) and fudge. Whatever was not told as sent is not in doubt. */
void plan_sent(struct plan_batch *batch, uint64_t signed_sec, uint16_t fudge_sec, uint8_t server,
               usec_t now_usec);
/* All units of a batch. "reason" is escaped text, may be NULL when acknowledged. Frees the batch. */
void plan_finish(struct plan_batch *batch, enum plan_outcome outcome, const char *reason, usec_t now_usec);
/* For upstreams that say for each unit how it went: then plan_finish_rest(). */
void plan_finish_unit(struct plan_batch *batch, unsigned i, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec);
/* What is at the owner of unit i of a query; "alias": a CNAME, a delegation, ... */
void plan_answer(struct plan_batch *batch, unsigned i, const struct rrset *found, bool alias,
                 usec_t now_usec);
/* Unit i of a probe: "cut" says what is in the way, NULL: nothing is, or it cannot be told. "absent": the
 * zone itself says that there is no such name. */
void plan_probed(struct plan_batch *batch, unsigned i, const char *cut, bool absent, usec_t now_usec);
/* Units not yet spoken of end with this outcome; frees the batch. */
void plan_finish_rest(struct plan_batch *batch, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec);

/* When plan_next() may have something that it does not have now; USEC_INFINITY. */
usec_t plan_deadline(const struct plan *plan);
/* Units that are not as they should be, and may become so. */
unsigned plan_pending(const struct plan *plan);
/* Ends all back-offs and lifts all refusals: try now. */
void plan_flush(struct plan *plan);
/* The server is to be reached after all. */
void plan_reachable(struct plan *plan);
/* Every lane fails alike: the server is not to be reached. */
void plan_unreachable(struct plan *plan, const char *reason, usec_t now_usec);
/* Of an upstream that is configured no more and never accepted anything: whatever it was sent it will not
 * have. Rows and units go. */
void plan_forget(struct plan *plan);
