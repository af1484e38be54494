/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <sys/timex.h>

#include "store/lease-clock.h"

void lease_clock_read_now(struct lease_clock_now *ret)
{
        struct timex timex = {};

        *ret = (struct lease_clock_now){
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
                .real_usec = now_usec(CLOCK_REALTIME),
                .synchronized = adjtimex(&timex) >= 0 && !(timex.status & STA_UNSYNC),
        };
        (void) sd_id128_get_boot(&ret->boot_id);
}

struct lease_clock lease_clock_continue(const struct heartbeat *last, const struct lease_clock_now *now)
{
        struct lease_clock clock = {};
        usec_t lease_usec;

        if (!last)
                /* Any number does; the wall clock's makes the stored ones readable. */
                lease_usec = now->real_usec;
        else if (sd_id128_equal(last->boot_id, now->boot_id))
                lease_usec = last->lease_usec + usec_sub(now->boottime_usec, last->boottime_usec);
        else if (now->real_usec < last->real_usec ||
                 (!now->synchronized && now->real_usec - last->real_usec > USEC_PER_DAY)) {
                lease_usec = last->lease_usec;
                clock.doubtful = true;
        } else
                lease_usec = last->lease_usec + (now->real_usec - last->real_usec);

        clock.offset_usec = lease_usec - now->boottime_usec;
        return clock;
}
