/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <sys/timex.h>

#include "store/lease-clock.h"

/* Shorter ones no client notices: its next refresh is due at half of the lease. */
#define SLEPT_MIN_USEC   (5 * USEC_PER_SEC)
#define STEPPED_MIN_USEC USEC_PER_MINUTE

static int read_boot_id(sd_id128_t *ret)
{
        const char *given = getenv("NSREG_BOOT_ID");
        sd_id128_t id;

        if ((given ? sd_id128_from_string(given, &id) : sd_id128_get_boot(&id)) < 0 || sd_id128_is_null(id))
                return -ENODATA;
        *ret = id;
        return 0;
}

int lease_clock_read_now(struct lease_clock_now *ret)
{
        struct timex timex = {};
        struct lease_clock_now now = {
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
                .monotonic_usec = now_usec(CLOCK_MONOTONIC),
                .real_usec = now_usec(CLOCK_REALTIME),
                .synchronized = adjtimex(&timex) >= 0 && !(timex.status & STA_UNSYNC),
        };
        int r;

        r = read_boot_id(&now.boot_id);
        if (r < 0)
                return r;
        *ret = now;
        return 0;
}

static bool is_same_boot(const struct heartbeat *last, const struct lease_clock_now *now)
{
        /* A zero one equals nothing: earlier versions wrote it where they could not see it. */
        return !sd_id128_is_null(last->boot_id) && sd_id128_equal(last->boot_id, now->boot_id);
}

struct lease_clock lease_clock_continue(const struct heartbeat *last, const struct lease_clock_now *now)
{
        struct lease_clock clock = { .boottime_usec = now->boottime_usec };

        if (!last)
                /* Any number does; the wall clock's makes the stored ones readable. */
                clock.lease_usec = now->real_usec;
        else if (is_same_boot(last, now))
                clock.lease_usec = usec_add(last->lease_usec,
                                            usec_sub(now->boottime_usec, last->boottime_usec));
        else {
                usec_t off_usec = usec_sub(now->real_usec, last->real_usec);

                clock.doubtful = now->real_usec < last->real_usec ||
                                 (!now->synchronized && off_usec > USEC_PER_DAY);
                clock.off_pending = !now->synchronized;
                clock.off_since_real_usec = last->real_usec;
                clock.lease_usec = usec_add(last->lease_usec, clock.off_pending ? 0 : off_usec);
        }
        return clock;
}

usec_t lease_clock_at(const struct lease_clock *clock, usec_t boottime_usec)
{
        if (boottime_usec >= clock->boottime_usec)
                return usec_add(clock->lease_usec, boottime_usec - clock->boottime_usec);
        return usec_sub(clock->lease_usec, clock->boottime_usec - boottime_usec);
}

usec_t lease_clock_to_boottime(const struct lease_clock *clock, usec_t lease_usec)
{
        if (lease_usec == USEC_INFINITY)
                return USEC_INFINITY;
        if (lease_usec >= clock->lease_usec)
                return usec_add(clock->boottime_usec, lease_usec - clock->lease_usec);
        return usec_sub(clock->boottime_usec, clock->lease_usec - lease_usec);
}

usec_t lease_to_real(usec_t lease_usec, const struct registry_time *now)
{
        if (lease_usec == USEC_INFINITY)
                return USEC_INFINITY;
        if (lease_usec >= now->lease_usec)
                return usec_add(now->real_usec, lease_usec - now->lease_usec);
        return usec_sub(now->real_usec, now->lease_usec - lease_usec);
}

usec_t lease_clock_time_off(struct lease_clock *clock, const struct lease_clock_now *now)
{
        usec_t up_usec = usec_sub(now->boottime_usec, clock->boottime_usec);

        if (!clock->off_pending || (!now->synchronized && up_usec < CLOCK_AWAITED_USEC))
                return 0;
        clock->off_pending = false;
        if (now->synchronized)
                clock->doubtful = false;
        return usec_sub(usec_sub(now->real_usec, up_usec), clock->off_since_real_usec);
}

void lease_hold_begin(struct registry_hold *hold, usec_t lease_usec, usec_t grace_usec)
{
        if (grace_usec == 0)
                return;
        hold->records_until_usec = MAX(hold->records_until_usec, usec_add(lease_usec, grace_usec));
        hold->keys_before_usec = MAX(hold->keys_before_usec, usec_add(lease_usec, grace_usec));
        hold->keys_until_usec = MAX(hold->keys_until_usec, usec_add(lease_usec, OWNERS_HELD_USEC));
}

void lease_hold_time_off(struct registry_hold *hold, usec_t lease_usec)
{
        if (hold->keys_until_usec == 0)
                return;
        hold->keys_before_usec = MAX(hold->keys_before_usec, lease_usec);
        hold->keys_until_usec = MAX(hold->keys_until_usec, usec_add(lease_usec, OWNERS_HELD_USEC));
}

bool lease_watch_look(struct lease_watch *watch, const struct lease_clock_now *now)
{
        usec_t slept_usec = usec_sub(now->boottime_usec, now->monotonic_usec);
        usec_t wall_usec = now->real_usec - now->boottime_usec;
        /* A wall clock may also be behind boot time, or go back: as a signed difference. */
        bool absent = watch->begun && (slept_usec > usec_add(watch->slept_usec, SLEPT_MIN_USEC) ||
                                       (int64_t) (wall_usec - watch->wall_usec) > (int64_t) STEPPED_MIN_USEC);

        *watch = (struct lease_watch){ .slept_usec = slept_usec, .wall_usec = wall_usec, .begun = true };
        return absent;
}
