/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Points and spans of time. Everything inside the daemons is in microseconds (usec_t); the wire speaks in
 * seconds (uint32_t, suffix _sec). */

#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef uint64_t usec_t;

#define USEC_INFINITY   UINT64_MAX
#define USEC_PER_MSEC   UINT64_C(1000)
#define USEC_PER_SEC    UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR   (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY    (24 * USEC_PER_HOUR)

/* "clock" is CLOCK_REALTIME, CLOCK_MONOTONIC or CLOCK_BOOTTIME. Never fails. */
usec_t now_usec(clockid_t clock);

/* Sums that stop at USEC_INFINITY, differences that stop at 0; USEC_INFINITY less anything stays so. */
usec_t usec_add(usec_t a, usec_t b);
usec_t usec_sub(usec_t a, usec_t b);

/* Reads a span as Go writes it ("720h", "1h30m", "1.5s", "10ms") or as systemd does ("1h 30min", "6months",
 * "2 weeks"); a bare number is seconds. "m" is minutes in both. 0, or -EINVAL, -ERANGE. */
int time_span_parse(const char *text, usec_t *ret);

/* "1h 30min", "250ms", "0"; returns buffer. */
char *time_span_format(char *buffer, size_t size, usec_t span);
#define TIME_SPAN_FORMAT_MAX 64

/* UTC in RFC 3339 form, whole seconds ("2017-05-02T10:00:00Z"); returns buffer. */
char *timestamp_format(char *buffer, size_t size, usec_t realtime);
#define TIMESTAMP_FORMAT_MAX 32
