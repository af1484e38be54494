/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The clock that leases are measured by: it runs with CLOCK_BOOTTIME, is never stepped, and goes on where it
 * was when the daemon or the machine starts again. Stored ends of leases therefore never need rewriting: a
 * step of the wall clock or a reboot changes nothing but how this clock is continued. Pure. */

#include <stdbool.h>
#include <systemd/sd-id128.h>

#include "util/time.h"

/* Written with every stored change, ahead of time while leases are refreshed, and at a clean stop. */
struct heartbeat {
        sd_id128_t boot_id;
        usec_t boottime_usec;
        usec_t real_usec;
        usec_t lease_usec;
        /* Lease clock: no lease was refreshed in memory only after this. After a crash every lease counts in
         * full from there. 0 after a clean stop, when all ends are stored as they were. */
        usec_t refreshed_usec;
};

/* A heartbeat covers refreshes so far ahead. */
#define HEARTBEAT_COVERS_USEC (10 * USEC_PER_SEC)
/* How long after a reboot a doubtful wall clock keeps key leases from ending. */
#define KEYS_HELD_USEC USEC_PER_DAY

struct lease_clock {
        usec_t offset_usec; /* lease clock - CLOCK_BOOTTIME, modulo 2^64 */
        bool doubtful;      /* another boot, and the wall clock cannot be believed (yet) */
};

/* What the kernel says of itself. */
struct lease_clock_now {
        sd_id128_t boot_id;
        usec_t boottime_usec;
        usec_t real_usec;
        bool synchronized; /* adjtimex() */
};

void lease_clock_read_now(struct lease_clock_now *ret);

/* "last" NULL: the first start of all. Same boot: time went on as CLOCK_BOOTTIME did. Another boot: as the
 * wall clock did; when that is behind the heartbeat, or not synchronized and far ahead (a day), no time is
 * counted and the clock is doubtful. */
struct lease_clock lease_clock_continue(const struct heartbeat *last, const struct lease_clock_now *now);

static inline usec_t lease_clock_at(const struct lease_clock *clock, usec_t boottime_usec)
{
        return boottime_usec + clock->offset_usec;
}

/* When, by CLOCK_BOOTTIME, the lease clock is there; 0: before this boot, so in the past. */
static inline usec_t lease_clock_to_boottime(const struct lease_clock *clock, usec_t lease_usec)
{
        int64_t boottime_usec = (int64_t) (lease_usec - clock->offset_usec);

        return boottime_usec < 0 ? 0 : (usec_t) boottime_usec;
}
