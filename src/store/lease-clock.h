/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The clock that leases are measured by. It runs with CLOCK_BOOTTIME, is never stepped, and goes on where it
 * was when the daemon or the machine starts again, so that stored ends of leases never need rewriting. This
 * is the one place where lease time, boot time and wall clock are converted; all conversions saturate. Pure,
 * but for lease_clock_read_now().
 *
 * Time in which nobody could refresh (the daemon or the machine was off, or slept) ends nothing at once:
 * lease_hold_begin(). */

#include <stdbool.h>
#include <systemd/sd-id128.h>

#include "registry/registry.h"
#include "util/time.h"

/* Written with every stored change, ahead of time while leases are refreshed, and at a clean stop. */
struct heartbeat {
        sd_id128_t run_id; /* of the process that wrote it, random; zero: an earlier version wrote it */
        sd_id128_t boot_id;
        usec_t boottime_usec;
        usec_t real_usec;
        usec_t lease_usec;
        /* Lease clock: no lease was refreshed in memory only after this. After a crash every lease counts in
         * full from there. 0 after a clean stop, when all ends are stored as they were. */
        usec_t refreshed_usec;
};

/* A heartbeat covers refreshes so far ahead. */
#define HEARTBEAT_COVERS_USEC (60 * USEC_PER_SEC)
/* While leases are refreshed one is written so often. */
#define HEARTBEAT_EVERY_USEC (10 * USEC_PER_SEC)
/* How long after a start time off waits for a clock that somebody synchronizes, before it counts as the
 * clock says that nobody does. */
#define CLOCK_AWAITED_USEC (15 * USEC_PER_MINUTE)
/* How long a name whose owner could not refresh it passes to nobody else. */
#define OWNERS_HELD_USEC USEC_PER_DAY

/* What the kernel says of itself. */
struct lease_clock_now {
        sd_id128_t boot_id;
        usec_t boottime_usec;
        usec_t monotonic_usec; /* stands still while the machine sleeps */
        usec_t real_usec;
        bool synchronized; /* adjtimex() */
};

/* The boot id is $NSREG_BOOT_ID where that is set (a confined service does not see /proc/sys), else the
 * kernel's. -ENODATA: it is missing, unreadable or zero; without one no lease can be told from one of another
 * boot. 0 or another -errno. */
int lease_clock_read_now(struct lease_clock_now *ret);

struct lease_clock {
        /* One moment, on both clocks. */
        usec_t boottime_usec;
        usec_t lease_usec;
        /* Another boot, and the wall clock cannot be believed: it is behind where it was, or far ahead (a
         * day) and not synchronized. */
        bool doubtful;
        /* Another boot, and the time off is not counted yet: it begins where the heartbeat was. */
        bool off_pending;
        usec_t off_since_real_usec;
};

/* "last" NULL: the first start of all. Same boot: time went on as CLOCK_BOOTTIME did. Another boot: as the
 * wall clock did if it is synchronized; else no time is counted for now, see lease_clock_time_off(). */
struct lease_clock lease_clock_continue(const struct heartbeat *last, const struct lease_clock_now *now);

usec_t lease_clock_at(const struct lease_clock *clock, usec_t boottime_usec);
/* When, by CLOCK_BOOTTIME, the lease clock is there. 0: before this boot, so in the past. USEC_INFINITY stays
 * so. */
usec_t lease_clock_to_boottime(const struct lease_clock *clock, usec_t lease_usec);
/* When by the wall clock as it is now, for people. */
usec_t lease_to_real(usec_t lease_usec, const struct registry_time *now);

/* Time that the machine was off and that was not counted when it started: 0 until the clock is synchronized
 * or CLOCK_AWAITED_USEC are over, then once what it comes to. Whatever was granted before the start ends so
 * much earlier: registry_take_time_off(). */
usec_t lease_clock_time_off(struct lease_clock *clock, const struct lease_clock_now *now);

/* After a start, a sleep or a step: until grace_usec from now no record ends, and who owned a name until
 * after the time began in which nobody could refresh keeps it for a day. A grace of 0 holds nothing. */
void lease_hold_begin(struct registry_hold *hold, usec_t lease_usec, usec_t grace_usec);
/* Time off that is counted late ends no ownership either. */
void lease_hold_time_off(struct registry_hold *hold, usec_t lease_usec);

/* Looks at the clocks now and then, and before leases end. */
struct lease_watch {
        usec_t slept_usec;
        usec_t wall_usec; /* CLOCK_REALTIME - CLOCK_BOOTTIME, modulo 2^64 */
        bool begun;
};
/* Did the machine sleep since the last look, or did the wall clock step forward: the sign of a time in which
 * nobody could refresh and CLOCK_BOOTTIME stood still, as in a virtual machine that was saved. */
bool lease_watch_look(struct lease_watch *watch, const struct lease_clock_now *now);
