/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes the ends of leases that moved in memory: while everything runs bit by bit, in the order of the
 * database and along with the heartbeat, so that a crash loses little and a stop is cheap; at the stop all
 * that are left. A name's mark is cleared when the write is on the disk and nothing moved since. Main thread
 * only. */

#include "registry/registry.h"
#include "store/store.h"

struct write_back;

/* Becomes the store's heartbeat, and its memory should the database be damaged. "registry" is the one whose
 * names are written. A round begins at most once in "round_usec". NULL when memory is out. */
struct write_back *write_back_new(struct store *store, struct registry *registry, usec_t round_usec);
/* What is under way is written all the same. */
struct write_back *write_back_free(struct write_back *back);
DEFINE_CLEANUP(struct write_back *, write_back_free)

#define WRITE_BACK_ROUND_USEC USEC_PER_HOUR

/* Writes all that moved, in slices; nothing may move any more. Told with 0 when all of it is on the disk,
 * with -errno when a slice was not: then no clean end may be claimed. Not while another one is under way. 0
 * or -ENOMEM. */
int write_back_flush(struct write_back *back, struct waiter *waiter, waiter_done done);

/* The zone is about to go from memory: what moved in it is written, and the store tries until it is. 0 or
 * -ENOMEM. */
int write_back_zone(struct write_back *back, struct registry_zone *zone);

struct write_back_statistics {
        uint64_t written;    /* ends that came to the disk */
        uint64_t failed;     /* that did not, and will be written later */
        uint64_t rounds;     /* through all names */
        uint64_t flush_left; /* names not looked at yet, roughly, while flushing */
};
void write_back_statistics(const struct write_back *back, struct write_back_statistics *ret);
