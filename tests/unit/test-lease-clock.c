/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/lease-clock.h"

static const sd_id128_t one = SD_ID128_MAKE(11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11);
static const sd_id128_t two = SD_ID128_MAKE(22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22);

#define BOOT  (500 * USEC_PER_SEC)
#define REAL  (UINT64_C(1700000000) * USEC_PER_SEC)
#define LEASE (UINT64_C(1600000000) * USEC_PER_SEC)

static const struct heartbeat last = {
        .boot_id = one,
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
        /* Not synchronized: a little is believed, a month is not, and nothing is counted then. */
        now.synchronized = false;
        now.real_usec = REAL + USEC_PER_DAY;
        assert_true(lease_at(&last, &now, &doubtful) == LEASE + USEC_PER_DAY);
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

static void test_kernel_is_asked(void **state)
{
        struct lease_clock_now now;
        sd_id128_t boot;

        lease_clock_read_now(&now);
        assert_int_equal(sd_id128_get_boot(&boot), 0);
        assert_true(sd_id128_equal(boot, now.boot_id));
        assert_true(now.boottime_usec > 0 && now.boottime_usec <= now_usec(CLOCK_BOOTTIME));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_start),    cmocka_unit_test(test_same_boot),
                cmocka_unit_test(test_another_boot),   cmocka_unit_test(test_clock_behind),
                cmocka_unit_test(test_chain_of_boots), cmocka_unit_test(test_kernel_is_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
