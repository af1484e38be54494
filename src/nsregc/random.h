/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/random.h>

#include "util/time.h"

/* Evenly below "below"; 0 when that is 0. The argument in front is for callers that want a function of their
 * own in tests. */
static inline uint32_t random_below(void *userdata, uint32_t below)
{
        uint64_t value = 0;

        (void) userdata;
        if (getrandom(&value, sizeof(value), 0) != sizeof(value))
                value = now_usec(CLOCK_MONOTONIC);
        return below == 0 ? 0 : (uint32_t) (value % below);
}

/* Evenly in [0, span]. */
static inline usec_t random_span(usec_t span)
{
        /* In milliseconds, which is fine enough for what is spread. */
        return (usec_t) random_below(NULL, (uint32_t) (span / USEC_PER_MSEC) + 1) * USEC_PER_MSEC;
}
