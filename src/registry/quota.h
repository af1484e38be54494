/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What each source may cost: updates, new names, failed signatures, names held. A source is a /32 or /128;
 * for IPv6 sums are kept at /64 and /56 too. Pure: time is an argument (CLOCK_MONOTONIC). What is forgotten
 * is what a quiet source would have had back anyway, so memory is bounded by what happens in a minute. */

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

/* Each takes one token where there is one. A /64 has four times, a /56 eight times what a single source has;
 * for verifications a source has a sixteenth of the whole, so that no prefix gets more than half. */
bool quota_take_update(struct quota *quota, const struct address *source, usec_t now_usec);
bool quota_take_new_name(struct quota *quota, const struct address *source, usec_t now_usec);
bool quota_take_verification(struct quota *quota, const struct address *source, bool unknown_name,
                             usec_t now_usec);
/* The signature was good: the token was not spent on an attack. */
void quota_return_verification(struct quota *quota, const struct address *source, bool unknown_name);

/* Requests that wait for something: no source, and no prefix, takes more than half of limits.waiting. */
bool quota_take_waiting(struct quota *quota, const struct address *source);
void quota_return_waiting(struct quota *quota, const struct address *source);

/* Names held by a source: "delta" is 1 or -1. */
void quota_count_name(struct quota *quota, const struct address *source, int delta);
uint32_t quota_names(const struct quota *quota, const struct address *source);
/* How many sources and prefixes are remembered. */
uint32_t quota_sources(const struct quota *quota);
