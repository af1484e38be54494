/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that is known about one name, as one value. A change makes a new value and installs it once it is
 * durable; only a pure refresh writes into an installed one (lease ends, replay memory, last seen).
 *
 * Lease times are on the lease clock: microseconds, going on through restarts and reboots (store/clock.h),
 * never stepped. Real times are CLOCK_REALTIME. */

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "dns/key.h"
#include "registry/record.h"
#include "util/address.h"
#include "util/macro.h"
#include "util/time.h"

/* What an upstream may still object to, and what is undone then. */
enum provisional {
        PROVISIONAL_NO,
        PROVISIONAL_CLAIM,   /* the name itself, with all it has: it becomes free again */
        PROVISIONAL_RECORDS, /* records of a name already owned, those that say so: they are withdrawn again
                              */
};

#define REPLAY_HASH_SIZE  16 /* octets kept of a request's hash */
#define REPLAY_HASHES_MAX 16

struct name_state {
        bool claimed; /* else there is no key: only replay memory, reservation, or block */
        bool reserved;
        enum provisional provisional;

        uint32_t key_lease_sec;
        usec_t key_end_usec;
        usec_t claimed_usec; /* real */
        usec_t seen_usec;    /* real; last accepted request */
        /* Which state this is: the store gives each one that it takes a number that no other ever had. 0:
         * none yet. */
        uint64_t generation;
        uint32_t moves;        /* how often its ends moved since, by refreshes above all */
        uint32_t moves_stored; /* "moves" when ends were stored last, durably */
        struct address source; /* of the claim */

        /* Replay memory: the newest inception, the request accepted last, and those before it with that
         * inception; kept until the latest expiration of any accepted request. */
        uint32_t inception;
        uint32_t expiration;
        uint8_t n_hashes; /* 0: nothing was accepted yet */
        uint8_t hash[REPLAY_HASH_SIZE];
        uint8_t (*earlier)[REPLAY_HASH_SIZE]; /* n_hashes - 1 of them; owned */

        /* An upstream has foreign data at this name: refused until then. Remembered for twice as long again,
         * so that the next block is twice as long. */
        usec_t blocked_until_usec; /* 0: not blocked, nor of late */
        uint32_t blocked_sec;      /* length of the last block */
        char *blocked_reason;      /* escaped text, owned; NULL when not blocked */
        /* A key that an administrator refuses for this name: its fingerprint, owned, or NULL. */
        char *banned_fingerprint;

        struct dns_key *key; /* allocated as long as it is; owned; NULL when not claimed */
        uint16_t key_tag;

        uint16_t n_records;
        struct record *records; /* owned */
};

struct name_state *name_state_new(void);
struct name_state *name_state_free(struct name_state *state);
DEFINE_CLEANUP(struct name_state *, name_state_free)
/* A deep copy that is not installed. NULL when memory is out; "state" NULL gives an empty one. */
struct name_state *name_state_copy(const struct name_state *state);

/* Takes a copy of the key, no longer than needed. 0 or -ENOMEM. */
int name_state_set_key(struct name_state *state, const struct dns_key *key);
struct record *name_state_find(const struct name_state *state, const struct record_value *value);
/* Adds or finds. NULL when memory is out. */
struct record *name_state_add(struct name_state *state, const struct record_value *value);
void name_state_remove(struct name_state *state, struct record *record);
/* Nobody objects to what it has (any more). */
void name_state_confirm(struct name_state *state);
/* Drops key and records, keeps replay memory, reservation and blocks. */
void name_state_release(struct name_state *state);
/* Notes an accepted request. 0 or -ENOMEM. */
int name_state_remember(struct name_state *state, uint32_t inception, uint32_t expiration,
                        const uint8_t *hash);
/* As if no upstream had ever objected. */
void name_state_unblock(struct name_state *state);
/* When the last block is forgotten; 0: there was none. */
usec_t name_state_block_forgotten(const struct name_state *state);
/* Were ends moved that are not durable yet. Whoever stores them notes "moves" as it is then, and says so when
 * they are on the disk; what moved meanwhile stays to be stored. */
static inline bool name_state_is_moved(const struct name_state *state)
{
        return state->moves != state->moves_stored;
}
static inline void name_state_move(struct name_state *state)
{
        state->moves++;
}
/* Is there anything left worth keeping. */
bool name_state_is_empty(const struct name_state *state);
/* The names that it has records at, one after the other, the host before all even if it has none: "*position"
 * is 0 at first; of "*ret" only what is below is filled in, good while the state is. False: no more. */
bool name_state_next_name(const struct name_state *state, unsigned *position, struct record_value *ret);
/* Has it records at this name. */
bool name_state_has_name(const struct name_state *state, const struct record_value *name);
/* Same records, in whatever order. NULL stands for none. */
bool name_state_same_records(const struct name_state *a, const struct name_state *b);
/* The same of addresses alone, and of all else. */
bool name_state_same_addresses(const struct name_state *a, const struct name_state *b);
bool name_state_same_others(const struct name_state *a, const struct name_state *b);
