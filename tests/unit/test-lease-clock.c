/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/lease-clock.h"

/* A constant that may stand in another one, for every compiler. */
#define BOOT_ONE SD_ID128_MAKE(0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b, 0b)

static const sd_id128_t one = BOOT_ONE;
static const sd_id128_t two = SD_ID128_MAKE(22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22);

#define BOOT  (500 * USEC_PER_SEC)
#define REAL  (UINT64_C(1700000000) * USEC_PER_SEC)
#define LEASE (UINT64_C(1600000000) * USEC_PER_SEC)

static const struct heartbeat last = {
        .boot_id = BOOT_ONE,
        .boottime_usec = BOOT,
        .real_usec = REAL,
        .lease_usec = LEASE,
};

static usec_t lease_at(const struct heartbeat *heartbeat, const struct lease_clock_now *now, bool *ret_doubt)
{
        struct lease_clock clock = lease_clock_continue(heartbeat, now);

        if (ret_doubt)
                *ret_doubt = clock.doubtful;
        return lease_clock_at(&clock, now->boottime_usec);
}

static void test_first_start(void **state)
{
        struct lease_clock_now now = { .boot_id = one, .boottime_usec = BOOT, .real_usec = REAL };
        struct lease_clock clock = lease_clock_continue(NULL, &now);

        assert_false(clock.doubtful);
        assert_false(clock.off_pending);
        assert_true(lease_clock_at(&clock, BOOT) == REAL);
        /* It runs with CLOCK_BOOTTIME, whatever becomes of the wall clock. */
        assert_true(lease_clock_at(&clock, BOOT + 7) == REAL + 7);
}

static void test_same_boot(void **state)
{
        struct lease_clock_now now = { .boot_id = one,
                                       .boottime_usec = BOOT + 60 * USEC_PER_SEC,
                                       .real_usec = REAL + 60 * USEC_PER_SEC,
                                       .synchronized = true };
        bool doubtful;

        assert_true(lease_at(&last, &now, &doubtful) == LEASE + 60 * USEC_PER_SEC);
        assert_false(doubtful);
        /* A step of the wall clock, either way, synchronized or not, is nothing. */
        now.real_usec = REAL + 365 * USEC_PER_DAY;
        assert_true(lease_at(&last, &now, &doubtful) == LEASE + 60 * USEC_PER_SEC);
        assert_false(doubtful);
        now.synchronized = false;
        now.real_usec = 0;
        assert_true(lease_at(&last, &now, &doubtful) == LEASE + 60 * USEC_PER_SEC);
        assert_false(doubtful);
}

/* Two unknown boots are not the same one. */
static void test_zero_boot_id(void **state)
{
        struct heartbeat blind = last;
        struct lease_clock_now now = { .boottime_usec = BOOT + 1000 * USEC_PER_SEC,
                                       .real_usec = REAL + 60 * USEC_PER_SEC,
                                       .synchronized = true };

        blind.boot_id = (sd_id128_t){};
        assert_true(lease_at(&blind, &now, NULL) == LEASE + 60 * USEC_PER_SEC);
}

static void test_another_boot(void **state)
{
        struct lease_clock_now now = { .boot_id = two,
                                       .boottime_usec = 10 * USEC_PER_SEC,
                                       .real_usec = REAL + 300 * USEC_PER_SEC,
                                       .synchronized = true };
        bool doubtful;

        /* Off for five minutes, by the wall clock. */
        assert_true(lease_at(&last, &now, &doubtful) == LEASE + 300 * USEC_PER_SEC);
        assert_false(doubtful);
        /* Off for a month: believed when it is synchronized. */
        now.real_usec = REAL + 30 * USEC_PER_DAY;
        assert_true(lease_at(&last, &now, &doubtful) == LEASE + 30 * USEC_PER_DAY);
        assert_false(doubtful);
        /* Not synchronized: nothing is counted yet. */
        now.synchronized = false;
        now.real_usec = REAL + USEC_PER_DAY;
        assert_true(lease_at(&last, &now, &doubtful) == LEASE);
        assert_false(doubtful);
        now.real_usec = REAL + USEC_PER_DAY + 1;
        assert_true(lease_at(&last, &now, &doubtful) == LEASE);
        assert_true(doubtful);
}

static void test_clock_behind(void **state)
{
        struct lease_clock_now now = { .boot_id = two, .boottime_usec = 10 * USEC_PER_SEC };
        bool doubtful;

        /* A board without a battery starts in 1970, or a synchronized clock was wrong before. */
        for (unsigned i = 0; i < 2; i++) {
                now.synchronized = i;
                now.real_usec = i ? REAL - 1 : 0;
                assert_true(lease_at(&last, &now, &doubtful) == LEASE);
                assert_true(doubtful);
        }
        now.real_usec = REAL;
        assert_true(lease_at(&last, &now, &doubtful) == LEASE);
        assert_false(doubtful);
}

/* Time off begins to count when somebody has set the clock, or when nobody does. */
static void test_time_off_is_counted_later(void **state)
{
        struct lease_clock_now now = { .boot_id = two, .boottime_usec = 10 * USEC_PER_SEC, .real_usec = 0 };
        struct lease_clock clock = lease_clock_continue(&last, &now);

        assert_true(clock.off_pending);
        now.boottime_usec += 60 * USEC_PER_SEC;
        now.real_usec += 60 * USEC_PER_SEC;
        assert_true(lease_clock_time_off(&clock, &now) == 0);
        assert_true(clock.off_pending);
        /* Set: it was off for an hour, and has been up for a minute. */
        now.synchronized = true;
        now.real_usec = REAL + USEC_PER_HOUR + 60 * USEC_PER_SEC;
        assert_true(lease_clock_time_off(&clock, &now) == USEC_PER_HOUR);
        assert_false(clock.off_pending);
        assert_false(clock.doubtful);
        assert_true(lease_clock_time_off(&clock, &now) == 0);
        /* The clock itself never steps. */
        assert_true(lease_clock_at(&clock, now.boottime_usec) == LEASE + 60 * USEC_PER_SEC);

        /* Nobody sets it: it counts as it is after a quarter of an hour, and never backwards. */
        for (unsigned i = 0; i < 2; i++) {
                now = (struct lease_clock_now){ .boot_id = two,
                                                .boottime_usec = 10 * USEC_PER_SEC,
                                                .real_usec = i ? REAL + USEC_PER_HOUR : 0 };
                clock = lease_clock_continue(&last, &now);
                now.boottime_usec += CLOCK_AWAITED_USEC - 1;
                now.real_usec += CLOCK_AWAITED_USEC - 1;
                assert_true(lease_clock_time_off(&clock, &now) == 0 && clock.off_pending);
                now.boottime_usec++;
                now.real_usec++;
                assert_true(lease_clock_time_off(&clock, &now) == i * USEC_PER_HOUR);
                assert_false(clock.off_pending);
        }
}

/* A lease that ended before this boot is one that is due, not one that is due in half a million years. */
static void test_conversions_saturate(void **state)
{
        struct lease_clock_now now = { .boot_id = two,
                                       .boottime_usec = 10 * USEC_PER_SEC,
                                       .real_usec = REAL + USEC_PER_HOUR,
                                       .synchronized = true };
        struct lease_clock clock = lease_clock_continue(&last, &now);
        struct registry_time time = { .lease_usec = LEASE + USEC_PER_HOUR, .real_usec = REAL };

        assert_true(lease_clock_to_boottime(&clock, LEASE) == 0);
        assert_true(lease_clock_to_boottime(&clock, 0) == 0);
        assert_true(lease_clock_to_boottime(&clock, LEASE + USEC_PER_HOUR) == 10 * USEC_PER_SEC);
        assert_true(lease_clock_to_boottime(&clock, LEASE + USEC_PER_HOUR + 5) == 10 * USEC_PER_SEC + 5);
        assert_true(lease_clock_to_boottime(&clock, USEC_INFINITY) == USEC_INFINITY);
        assert_true(lease_clock_to_boottime(&clock, USEC_INFINITY - 1) < USEC_INFINITY);
        assert_true(lease_clock_at(&clock, USEC_INFINITY) == USEC_INFINITY);
        assert_true(lease_clock_at(&clock, 0) == LEASE + USEC_PER_HOUR - 10 * USEC_PER_SEC);
        assert_true(lease_to_real(LEASE, &time) == REAL - USEC_PER_HOUR);
        assert_true(lease_to_real(LEASE + 2 * USEC_PER_HOUR, &time) == REAL + USEC_PER_HOUR);
        assert_true(lease_to_real(USEC_INFINITY, &time) == USEC_INFINITY);
        time.real_usec = 1;
        assert_true(lease_to_real(0, &time) == 0);
        /* A heartbeat from the far end of time does not wrap either. */
        {
                struct heartbeat late = last;

                late.lease_usec = USEC_INFINITY - 1;
                assert_true(lease_at(&late, &now, NULL) == USEC_INFINITY);
        }
}

/* Boot after boot the clock never goes back. */
static void test_chain_of_boots(void **state)
{
        struct heartbeat heartbeat = last;
        usec_t before = LEASE;

        for (unsigned i = 0; i < 20; i++) {
                struct lease_clock_now now = { .boot_id = { .bytes = { (uint8_t) (i + 1) } },
                                               .boottime_usec = (i * 37 % 11 + 1) * USEC_PER_SEC,
                                               .real_usec = i % 3 == 0 ? 0 : REAL + i * USEC_PER_HOUR,
                                               .synchronized = i % 2 };
                usec_t lease = lease_at(&heartbeat, &now, NULL);

                assert_true(lease >= before);
                before = lease;
                heartbeat = (struct heartbeat){ .boot_id = now.boot_id,
                                                .boottime_usec = now.boottime_usec,
                                                .real_usec = now.real_usec,
                                                .lease_usec = lease };
        }
}

static void test_hold(void **state)
{
        struct registry_hold hold = {};

        lease_hold_begin(&hold, LEASE, 0);
        lease_hold_time_off(&hold, LEASE);
        assert_true(hold.records_until_usec == 0 && hold.keys_before_usec == 0 && hold.keys_until_usec == 0);
        lease_hold_begin(&hold, LEASE, USEC_PER_MINUTE);
        assert_true(hold.records_until_usec == LEASE + USEC_PER_MINUTE);
        assert_true(hold.keys_before_usec == LEASE + USEC_PER_MINUTE);
        assert_true(hold.keys_until_usec == LEASE + USEC_PER_DAY);
        /* Time off that is counted an hour later: whose lease ended by that keeps the name for a day. */
        lease_hold_time_off(&hold, LEASE + USEC_PER_HOUR);
        assert_true(hold.records_until_usec == LEASE + USEC_PER_MINUTE);
        assert_true(hold.keys_before_usec == LEASE + USEC_PER_HOUR);
        assert_true(hold.keys_until_usec == LEASE + USEC_PER_HOUR + USEC_PER_DAY);
}

static void test_sleep_and_steps(void **state)
{
        struct lease_clock_now now = { .boottime_usec = BOOT, .monotonic_usec = BOOT, .real_usec = REAL };
        struct lease_watch watch = {};

        assert_false(lease_watch_look(&watch, &now));
        now.boottime_usec += USEC_PER_HOUR;
        now.monotonic_usec += USEC_PER_HOUR;
        now.real_usec += USEC_PER_HOUR;
        assert_false(lease_watch_look(&watch, &now));
        /* It slept. */
        now.boottime_usec += USEC_PER_HOUR;
        now.real_usec += USEC_PER_HOUR;
        assert_true(lease_watch_look(&watch, &now));
        assert_false(lease_watch_look(&watch, &now));
        /* A saved virtual machine, or a clock that was set. */
        now.real_usec += USEC_PER_HOUR;
        assert_true(lease_watch_look(&watch, &now));
        assert_false(lease_watch_look(&watch, &now));
        /* Back, or a little: nothing. */
        now.real_usec -= 10 * USEC_PER_HOUR;
        assert_false(lease_watch_look(&watch, &now));
        now.real_usec += USEC_PER_SEC;
        assert_false(lease_watch_look(&watch, &now));
        /* A clock behind CLOCK_BOOTTIME, as in 1970. */
        now.real_usec = 5;
        assert_false(lease_watch_look(&watch, &now));
        now.real_usec = REAL;
        assert_true(lease_watch_look(&watch, &now));
}

static void test_kernel_is_asked(void **state)
{
        struct lease_clock_now now;
        sd_id128_t boot;

        assert_int_equal(unsetenv("NSREG_BOOT_ID"), 0);
        assert_int_equal(lease_clock_read_now(&now), 0);
        assert_int_equal(sd_id128_get_boot(&boot), 0);
        assert_true(sd_id128_equal(boot, now.boot_id));
        assert_true(now.boottime_usec > 0 && now.boottime_usec <= now_usec(CLOCK_BOOTTIME));
        assert_true(now.monotonic_usec > 0 && now.monotonic_usec <= now_usec(CLOCK_MONOTONIC));
}

/* What the unit passes counts, and must be an id. */
static void test_boot_id_is_passed(void **state)
{
        struct lease_clock_now now;

        assert_int_equal(setenv("NSREG_BOOT_ID", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", true), 0);
        assert_int_equal(lease_clock_read_now(&now), 0);
        assert_true(sd_id128_equal(now.boot_id, one));
        assert_int_equal(setenv("NSREG_BOOT_ID", "00000000000000000000000000000000", true), 0);
        assert_int_equal(lease_clock_read_now(&now), -ENODATA);
        assert_int_equal(setenv("NSREG_BOOT_ID", "", true), 0);
        assert_int_equal(lease_clock_read_now(&now), -ENODATA);
        assert_int_equal(setenv("NSREG_BOOT_ID", "%b", true), 0);
        assert_int_equal(lease_clock_read_now(&now), -ENODATA);
        assert_int_equal(unsetenv("NSREG_BOOT_ID"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_start),
                cmocka_unit_test(test_same_boot),
                cmocka_unit_test(test_zero_boot_id),
                cmocka_unit_test(test_another_boot),
                cmocka_unit_test(test_clock_behind),
                cmocka_unit_test(test_time_off_is_counted_later),
                cmocka_unit_test(test_conversions_saturate),
                cmocka_unit_test(test_chain_of_boots),
                cmocka_unit_test(test_hold),
                cmocka_unit_test(test_sleep_and_steps),
                cmocka_unit_test(test_kernel_is_asked),
                cmocka_unit_test(test_boot_id_is_passed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
