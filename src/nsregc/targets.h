/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The targets of a zone's SRV and the order in which they are tried: that of RFC 2782, but for those that
 * were found dead a while ago, which come last. A pass over them is gone through to its end, whatever happens
 * to the SRV meanwhile. Pure: times are BOOTTIME. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nsregc/service.h"
#include "util/time.h"

#define TARGETS_DEAD_MAX (2 * SERVICE_ENDPOINTS_MAX) /* the oldest is forgotten */

struct target_dead {
        char *host;
        uint16_t port;
        unsigned times; /* in a row */
        usec_t until_usec;
};

struct targets {
        struct service service;
        size_t order[SERVICE_ENDPOINTS_MAX]; /* of the pass */
        size_t n_order, next;
        struct target_dead dead[TARGETS_DEAD_MAX]; /* the oldest first */
        size_t n_dead;
};

void targets_clear(struct targets *targets);

/* Takes the service (its place is all zero then). What is known to be dead stays known. */
void targets_set(struct targets *targets, struct service *service);
/* A new pass. */
void targets_begin(struct targets *targets, usec_t now);
/* The next of the pass, or NULL: it is over. Good until targets_set(). */
const struct endpoint *targets_next(struct targets *targets);
bool targets_left(const struct targets *targets);
/* It failed the last time. */
bool targets_is_suspect(struct targets *targets, const struct endpoint *endpoint);

/* It could not be reached: for 2 minutes it is tried last; doubling while it goes on, half an hour at most.
 */
void targets_failed(struct targets *targets, const struct endpoint *endpoint, usec_t now);
void targets_worked(struct targets *targets, const struct endpoint *endpoint);
