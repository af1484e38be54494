/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a registration does something next. Pure: "lot" is a random number in [0, SCHEDULE_LOT). */

#include <stdbool.h>
#include <stdint.h>

#include "util/time.h"

#define SCHEDULE_LOT 1000

/* Of a server that tells leases: 80 % and up to 5 more. Of the original, which tells TTLs: half. */
usec_t schedule_refresh(uint32_t lease_sec, bool modern, uint32_t lot);
/* Nobody reached, or SERVFAIL, for the n-th time in a row (n >= 1): 2 s, doubling, 5 minutes at most, a
 * quarter more or less. */
usec_t schedule_retry(unsigned failures, uint32_t lot);
/* Refused for the n-th time in a row: 10 minutes, doubling, 2 hours at most, a tenth more or less. */
usec_t schedule_refused(unsigned refusals, uint32_t lot);
/* Granted, but another machine with the same key changes the name too, for the n-th time in a row: 30 s,
 * doubling, a quarter of an hour at most, a tenth more or less. What the other one took away is there again
 * soon, and two never fight. */
usec_t schedule_twin(unsigned sightings, uint32_t lot);
/* Found nothing in the DNS for the n-th time in a row (n >= 1): 5 s, doubling, a quarter of an hour at most,
 * a tenth more or less. From the fifth time on what the answer says of its life counts too, up to the same
 * most: before that it may be a portal's, or a mistake that is mended by now. */
usec_t schedule_absent(unsigned absences, uint32_t ttl_sec, uint32_t lot);
