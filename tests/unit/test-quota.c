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

static struct dns_name name_of(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

/* So many fail until no more are looked at. */
static unsigned take_verifications(struct quota *quota, const char *name, const char *source,
                                   enum quota_asker asker)
{
        struct address address = parse(source);
        struct dns_name parsed = name_of(name);
        struct quota_loan loan;
        unsigned n = 0;

        while (n < 100000 && quota_take_verification(quota, &parsed, &address, asker, 1, NOW, &loan))
                n++;
        return n;
}

static void test_verifications(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address source = parse("10.0.0.9");
        struct dns_name name = name_of("one.example");
        struct quota_loan loan;
        struct quota *quota;
        char text[32], names[32];
        unsigned n = 0;

        limits.unknown_name_share = 25;
        quota = make(&limits, 160);
        /* One source has a sixteenth of the whole. */
        assert_int_equal(take_verifications(quota, "one.example", "10.0.0.1", QUOTA_STRANGER), 10);
        /* Given back, it is there again: good signatures cost nothing. */
        for (unsigned i = 0; i < 1000; i++) {
                assert_true(quota_take_verification(quota, &name, &source, QUOTA_STRANGER, 1, NOW, &loan));
                quota_return_verification(&loan);
        }
        /* Unknown names have their share, whoever asks for them; known ones go on. */
        for (unsigned i = 10; i < 60; i++) {
                snprintf(text, sizeof(text), "10.0.0.%u", i);
                n += take_verifications(quota, "unknown.example", text, QUOTA_UNKNOWN_NAME);
        }
        assert_int_equal(n, 40);
        /* So has every known name: who forges for one has no more than that of it, from however many sources.
         */
        n = 0;
        for (unsigned i = 1; i < 60; i++) {
                snprintf(text, sizeof(text), "10.0.1.%u", i);
                n += take_verifications(quota, "two.example", text, QUOTA_STRANGER);
        }
        assert_int_equal(n, 40);
        /* The total binds everybody. */
        n = 0;
        for (unsigned i = 1; i < 200; i++) {
                snprintf(text, sizeof(text), "10.0.2.%u", i);
                snprintf(names, sizeof(names), "n%u.example", i);
                n += take_verifications(quota, names, text, QUOTA_STRANGER);
        }
        assert_int_equal(n, 160 - 10 - 40 - 40);
        /* But for those who have shown who they are: they have a reserve, and what it is for comes back. */
        for (unsigned i = 0; i < 1000; i++) {
                assert_true(quota_take_verification(quota, &name, &source, QUOTA_PROVEN, 1, NOW, &loan));
                quota_return_verification(&loan);
        }
        assert_int_equal(take_verifications(quota, "one.example", "10.0.0.1", QUOTA_PROVEN), 160);
        quota_free(quota);
}

/* While there is nothing else to do nobody is refused; and what was spent then is spent. */
static void test_idle_processor(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct quota *quota;

        limits.updates_per_second_per_source = 10;
        limits.new_names_per_minute_per_source = 1;
        quota = make(&limits, 160);
        quota_set_busy(quota, false);
        assert_int_equal(take_verifications(quota, "one.example", "10.0.0.1", QUOTA_STRANGER), 100000);
        assert_int_equal(take_updates(quota, "10.0.0.1", NOW), 100000);
        quota_set_busy(quota, true);
        assert_int_equal(take_verifications(quota, "one.example", "10.0.0.1", QUOTA_STRANGER), 0);
        assert_int_equal(take_updates(quota, "10.0.0.1", NOW), 0);
        /* The reserve of those who were proven was not spent by strangers. */
        assert_int_equal(take_verifications(quota, "one.example", "10.0.0.2", QUOTA_PROVEN), 160 + 10);
        quota_free(quota);
}

/* A signature that costs ten times as much counts as ten. */
static void test_weight(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct dns_name name = name_of("one.example");
        struct address source = parse("10.0.0.1");
        struct quota_loan loan;
        struct quota *quota = make(&limits, 1600);
        unsigned n = 0;

        while (quota_take_verification(quota, &name, &source, QUOTA_STRANGER, 10, NOW, &loan))
                n++;
        assert_int_equal(n, 10);
        /* Also where the price is more than a source ever has. */
        source = parse("10.0.0.2");
        assert_true(quota_take_verification(quota, &name, &source, QUOTA_STRANGER, 200, NOW, &loan));
        assert_false(quota_take_verification(quota, &name, &source, QUOTA_STRANGER, 1, NOW + USEC_PER_SEC / 2,
                                             &loan));
        assert_true(quota_take_verification(quota, &name, &source, QUOTA_STRANGER, 1, NOW + 2 * USEC_PER_SEC,
                                            &loan));
        quota_free(quota);
}

/* Those whom no rate binds have half of it, all together. */
static void test_exempt_share(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address other = parse("10.0.0.1"), local = parse("127.0.0.1");
        struct quota_wait wait, waits[8];
        struct quota *quota;
        unsigned n = 0;
        char text[32], names[32];

        limits.waiting = 8;
        assert_int_equal(prefix_list_parse_add(&limits.exempt_nets, "127.0.0.0/8"), 0);
        quota = make(&limits, 160);
        for (unsigned i = 1; i < 60; i++) {
                snprintf(text, sizeof(text), "127.0.1.%u", i);
                snprintf(names, sizeof(names), "n%u.example", i);
                n += take_verifications(quota, names, text, QUOTA_STRANGER);
        }
        assert_int_equal(n, 80);
        assert_int_equal(take_verifications(quota, "one.example", "10.0.0.1", QUOTA_STRANGER), 10);
        for (unsigned i = 0; i < 4; i++) {
                local.bytes[3] = (uint8_t) i;
                assert_true(quota_take_waiting(quota, &local, &waits[i]));
        }
        assert_false(quota_take_waiting(quota, &local, &wait));
        assert_true(quota_take_waiting(quota, &other, &wait));
        /* What they are counted by may be configured otherwise when they come to their end. */
        prefix_list_clear(&limits.exempt_nets);
        quota_configure(quota, &limits, 160);
        for (unsigned i = 0; i < 4; i++)
                quota_return_waiting(quota, &waits[i]);
        quota_return_waiting(quota, &wait);
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

static void test_names_of_a_network(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct quota *quota = make(&limits, 1000);
        struct address address;
        char text[64];

        for (unsigned i = 0; i < 5; i++) {
                snprintf(text, sizeof(text), "2001:db8::%x", i + 1);
                address = parse(text);
                quota_count_name(quota, &address, 1);
                snprintf(text, sizeof(text), "10.0.0.%u", i + 1);
                address = parse(text);
                quota_count_name(quota, &address, 1);
        }
        address = parse("2001:db8::77");
        assert_int_equal(quota_names_of_network(quota, &address), 5);
        assert_int_equal(quota_names(quota, &address), 0);
        address = parse("2001:db8:0:1::1");
        assert_int_equal(quota_names_of_network(quota, &address), 0);
        address = parse("10.0.0.77");
        assert_int_equal(quota_names_of_network(quota, &address), 5);
        address = parse("10.0.1.77");
        assert_int_equal(quota_names_of_network(quota, &address), 0);
        quota_free(quota);
}

/* More sources than are remembered: those that hold names are not forgotten for those that only come by. */
static void test_waiting(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct address one = parse("2001:db8::1"), neighbour = parse("2001:db8::2"),
                       other = parse("10.0.0.1");
        struct quota_wait waits[3], wait, none;
        struct quota *quota;

        limits.waiting = 8;
        quota = make(&limits, 1000);
        for (unsigned i = 0; i < 3; i++)
                assert_true(quota_take_waiting(quota, &one, &waits[i]));
        assert_true(quota_take_waiting(quota, &neighbour, &wait));
        /* Half of all is taken by their network. */
        assert_false(quota_take_waiting(quota, &one, &none));
        assert_false(quota_take_waiting(quota, &neighbour, &none));
        assert_true(quota_take_waiting(quota, &other, &none));
        quota_return_waiting(quota, &waits[0]);
        assert_true(quota_take_waiting(quota, &neighbour, &none));
        assert_false(quota_take_waiting(quota, &neighbour, &none));
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
        assert_true(quota_sources(quota) <= 65536 + 201 + 2);
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

/* Who exhausts a network's tokens does not fill the table with its addresses; and who owes something is not
 * forgotten for those who owe nothing. */
static void test_what_is_forgotten(void **state)
{
        struct peer_limits limits = PEER_LIMITS_DEFAULT;
        struct quota *quota;
        char text[64];
        unsigned n = 0;

        limits.updates_per_second_per_source = 10;
        quota = make(&limits, 1000);
        for (unsigned i = 0; i < 5000; i++) {
                struct address address;

                snprintf(text, sizeof(text), "2001:db8:0:%x::%x", i % 256, i + 1);
                address = parse(text);
                n += quota_take_update(quota, &address, NOW);
        }
        assert_int_equal(n, 160);
        assert_true(quota_sources(quota) <= 160 * 2 + 256 + 1);
        quota_free(quota);

        quota = make(&limits, 1000);
        assert_int_equal(take_updates(quota, "192.0.2.1", NOW), 20);
        for (uint32_t i = 0; i < 70000; i++) {
                struct address source = parse("10.0.0.0");

                source.bytes[1] = (uint8_t) (i >> 16);
                source.bytes[2] = (uint8_t) (i >> 8);
                source.bytes[3] = (uint8_t) i;
                assert_true(quota_take_update(quota, &source, NOW));
        }
        assert_int_equal(take_updates(quota, "192.0.2.1", NOW), 0);
        quota_free(quota);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_updates),
                cmocka_unit_test(test_prefixes_are_summed),
                cmocka_unit_test(test_exempt),
                cmocka_unit_test(test_new_names),
                cmocka_unit_test(test_verifications),
                cmocka_unit_test(test_idle_processor),
                cmocka_unit_test(test_weight),
                cmocka_unit_test(test_exempt_share),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_names_of_a_network),
                cmocka_unit_test(test_waiting),
                cmocka_unit_test(test_memory_is_bounded),
                cmocka_unit_test(test_what_is_forgotten),
                cmocka_unit_test(test_large_rates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
