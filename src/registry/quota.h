/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What each source may cost: updates, new names, failed signatures, names held. A source is a /32 or /128;
 * for IPv6 sums are kept at /64 and /56 too. Pure: time is an argument (CLOCK_MONOTONIC). What is forgotten
 * is what a quiet source would have had back anyway, so memory is bounded by what happens in a minute, and by
 * a number. While the processor has nothing else to do nobody is refused for what only costs time. */

#include <stdbool.h>
#include <stdint.h>

#include "registry/policy.h"
#include "util/macro.h"

struct quota;

struct quota *quota_new(void);
struct quota *quota_free(struct quota *quota);
DEFINE_CLEANUP(struct quota *, quota_free)

/* "limits" is copied, but for its exempt_nets, which must outlive the quota (or the next call);
 * "verifications_per_second" is what the machine can do and the configuration allows. */
void quota_configure(struct quota *quota, const struct peer_limits *limits,
                     uint32_t verifications_per_second);

void quota_set_verification_rate(struct quota *quota, uint32_t verifications_per_second);
/* Is there more to do than can be done: only then do rates bind, but for that of new names. */
void quota_set_busy(struct quota *quota, bool busy);
bool quota_is_busy(const struct quota *quota);

/* Each takes one token where there is one. A /64 has four times, a /56 eight times what a single source
 * has. */
bool quota_take_update(struct quota *quota, const struct address *source, usec_t now_usec);
bool quota_take_new_name(struct quota *quota, const struct address *source, usec_t now_usec);

/* Who wants a signature verified, by what was verified before. */
enum quota_asker {
        QUOTA_UNKNOWN_NAME, /* a name that nobody has */
        QUOTA_STRANGER,     /* somebody who has not shown yet that the name is his */
        QUOTA_PROVEN,       /* whose signature for it was right the last time */
};

struct bucket;

/* What a verification was paid from. Short-lived: nothing else is asked of the quota meanwhile. */
struct quota_loan {
        struct bucket *buckets[2 + 3];
        unsigned n_buckets;
        unsigned weight;
};

/* Takes tokens for one verification: who is proven, from a reserve that nobody else touches; anybody else,
 * from the rest, of which a source has a sixteenth, so that no prefix gets more than half, exempt networks
 * half, unknown names their share, and each known name a quarter. "weight": as how many verifications of the
 * common kind it counts. */
bool quota_take_verification(struct quota *quota, const struct dns_name *name, const struct address *source,
                             enum quota_asker asker, unsigned weight, usec_t now_usec,
                             struct quota_loan *ret);
/* The signature was good: the tokens were not spent on an attack. */
void quota_return_verification(struct quota_loan *loan);

/* Where one that waits is counted, whatever is configured meanwhile. All zero: nowhere. */
struct quota_wait {
        struct prefix prefixes[3];
        unsigned n;
};

/* Requests that wait for something: no source, no prefix, and no exempt network takes more than half of
 * limits.waiting. */
bool quota_take_waiting(struct quota *quota, const struct address *source, struct quota_wait *ret);
void quota_return_waiting(struct quota *quota, struct quota_wait *wait); /* no-op where none was taken */

/* Names held by a source: "delta" is 1 or -1. */
void quota_count_name(struct quota *quota, const struct address *source, int delta);
uint32_t quota_names(const struct quota *quota, const struct address *source);
/* By all of its /24 or /64. */
uint32_t quota_names_of_network(const struct quota *quota, const struct address *source);
/* How many sources and prefixes are remembered. */
uint32_t quota_sources(const struct quota *quota);
