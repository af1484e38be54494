/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "registry/quota.h"

#define NOW (1000 * USEC_PER_SEC)

static struct address parse(const char *text)
{
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        return address;
}

static struct quota *make(struct peer_limits *limits, uint32_t verifications)
{
        struct quota *quota = quota_new();

        assert_non_null(quota);
        quota_configure(quota, limits, verifications);
        return quota;
}

static unsigned take_updates(struct quota *quota, const char *source, usec_t now)
{
        struct address address = parse(source);
        unsigned n = 0;

        while (n < 100000 && quota_take_update(quota, &address, now))
                n++;
        return n;
}

static void test_updates(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct quota *quota;

        limits.updates_per_second_per_source = 10;
        quota = make(&limits, 1000);
        assert_int_equal(take_updates(quota, "10.0.0.1", NOW), 20);
        assert_int_equal(take_updates(quota, "10.0.0.1", NOW), 0);
        /* Others are not concerned, and time gives back. */
        assert_int_equal(take_updates(quota, "10.0.0.2", NOW), 20);
        assert_int_equal(take_updates(quota, "10.0.0.1", NOW + USEC_PER_SEC / 2), 5);
        assert_int_equal(take_updates(quota, "10.0.0.1", NOW + USEC_PER_DAY), 20);
        quota_free(quota);
}

static void test_prefixes_are_summed(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct quota *quota;
        unsigned n = 0;
        char text[64];

        limits.updates_per_second_per_source = 10;
        quota = make(&limits, 1000);
        /* As many addresses of one /64 as anybody likes have four times what one has. */
        for (unsigned i = 1; i <= 50; i++) {
                snprintf(text, sizeof(text), "2001:db8::%x", i);
                n += take_updates(quota, text, NOW);
        }
        assert_int_equal(n, 80);
        /* And all of a /56 eight times. */
        for (unsigned i = 1; i <= 50; i++) {
                snprintf(text, sizeof(text), "2001:db8:0:%x::1", i);
                n += take_updates(quota, text, NOW);
        }
        assert_int_equal(n, 160);
        assert_int_equal(take_updates(quota, "2001:db8:0:100::1", NOW), 20);
        quota_free(quota);
}

static void test_exempt(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct quota *quota;

        limits.updates_per_second_per_source = 1;
        limits.new_names_per_minute_per_source = 1;
        assert_int_equal(prefix_list_parse_add(&limits.exempt_nets, "127.0.0.0/8"), 0);
        quota = make(&limits, 1000);
        assert_int_equal(take_updates(quota, "127.0.0.1", NOW), 100000);
        assert_int_not_equal(take_updates(quota, "10.0.0.1", NOW), 100000);
        quota_free(quota);
        prefix_list_clear(&limits.exempt_nets);
}

static void test_new_names(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address source = parse("10.0.0.1");
        struct quota *quota;
        unsigned n = 0;

        limits.new_names_per_minute_per_source = 6;
        quota = make(&limits, 1000);
        while (quota_take_new_name(quota, &source, NOW))
                n++;
        assert_int_equal(n, 6);
        assert_false(quota_take_new_name(quota, &source, NOW + 9 * USEC_PER_SEC));
        assert_true(quota_take_new_name(quota, &source, NOW + 21 * USEC_PER_SEC));
        quota_free(quota);
}

static void test_verifications(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address source = parse("10.0.0.1"), other;
        struct quota *quota;
        unsigned n = 0;
        char text[32];

        limits.unknown_name_share = 25;
        quota = make(&limits, 160);
        /* One source has a sixteenth of the whole. */
        while (quota_take_verification(quota, &source, false, NOW))
                n++;
        assert_int_equal(n, 10);
        /* Given back, it is there again: good signatures cost nothing. */
        for (unsigned i = 0; i < 1000; i++) {
                quota_return_verification(quota, &source, false);
                assert_true(quota_take_verification(quota, &source, false, NOW));
        }
        /* Unknown names have their share, whoever asks for them; known ones go on. */
        n = 0;
        for (unsigned i = 2; i < 60; i++) {
                snprintf(text, sizeof(text), "10.0.0.%u", i);
                other = parse(text);
                while (quota_take_verification(quota, &other, true, NOW))
                        n++;
        }
        assert_int_equal(n, 40);
        other = parse("10.0.1.1");
        assert_true(quota_take_verification(quota, &other, false, NOW));
        /* The total binds everybody. */
        n = 0;
        for (unsigned i = 1; i < 200; i++) {
                snprintf(text, sizeof(text), "10.0.2.%u", i);
                other = parse(text);
                while (quota_take_verification(quota, &other, false, NOW))
                        n++;
        }
        assert_int_equal(n, 160 - 10 - 40 - 1);
        quota_free(quota);
}

static void test_names(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address source = parse("2001:db8::1"), none = {};
        struct quota *quota = make(&limits, 1000);

        assert_int_equal(quota_names(quota, &source), 0);
        quota_count_name(quota, &source, 1);
        quota_count_name(quota, &source, 1);
        quota_count_name(quota, &none, 1);
        assert_int_equal(quota_names(quota, &source), 2);
        quota_count_name(quota, &source, -1);
        quota_count_name(quota, &source, -1);
        quota_count_name(quota, &source, -1);
        assert_int_equal(quota_names(quota, &source), 0);
        quota_count_name(quota, &source, 1);
        quota_free(quota);
}

/* More sources than are remembered: those that hold names are not forgotten for those that only come by. */
static void test_waiting(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address one = parse("2001:db8::1"), neighbour = parse("2001:db8::2"),
                       other = parse("10.0.0.1");
        struct quota *quota;

        limits.waiting = 8;
        quota = make(&limits, 1000);
        for (unsigned i = 0; i < 3; i++)
                assert_true(quota_take_waiting(quota, &one));
        assert_true(quota_take_waiting(quota, &neighbour));
        /* Half of all is taken by their network. */
        assert_false(quota_take_waiting(quota, &one));
        assert_false(quota_take_waiting(quota, &neighbour));
        assert_true(quota_take_waiting(quota, &other));
        quota_return_waiting(quota, &one);
        assert_true(quota_take_waiting(quota, &neighbour));
        assert_false(quota_take_waiting(quota, &neighbour));
        quota_free(quota);
}

static void test_memory_is_bounded(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address holder = parse("192.0.2.1"), source = parse("10.0.0.0");
        struct quota *quota = make(&limits, 1000);

        /* Many who hold something, and were there first, keep nobody from being forgotten. */
        for (uint8_t i = 0; i < 200; i++) {
                struct address other = parse("198.51.100.0");

                other.bytes[3] = i;
                quota_count_name(quota, &other, 1);
        }
        quota_count_name(quota, &holder, 1);
        for (uint32_t i = 0; i < 300000; i++) {
                source.bytes[1] = (uint8_t) (i >> 16);
                source.bytes[2] = (uint8_t) (i >> 8);
                source.bytes[3] = (uint8_t) i;
                assert_true(quota_take_update(quota, &source, NOW));
        }
        assert_int_equal(quota_names(quota, &holder), 1);
        assert_true(quota_sources(quota) <= 65536 + 201);
        quota_free(quota);
}

/* Rates that nobody needs are rates all the same. */
static void test_large_rates(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address source = parse("10.0.0.1");
        struct quota *quota;
        unsigned n = 0;

        limits.updates_per_second_per_source = 4000000000U;
        quota = make(&limits, 1000);
        for (unsigned i = 0; i < 1000; i++)
                n += quota_take_update(quota, &source, NOW + i * 50 * USEC_PER_SEC);
        assert_int_equal(n, 1000);
        quota_free(quota);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_updates),       cmocka_unit_test(test_prefixes_are_summed),
                cmocka_unit_test(test_exempt),        cmocka_unit_test(test_new_names),
                cmocka_unit_test(test_verifications), cmocka_unit_test(test_names),
                cmocka_unit_test(test_waiting),       cmocka_unit_test(test_memory_is_bounded),
                cmocka_unit_test(test_large_rates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
