/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include <cmocka.h>

#include "nsregc/address-rank.h"
#include "nsregc/update-pass.h"
#include "nsregc/update.h"
#include "util/macro.h"

static struct address parsed(const char *text)
{
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        return address;
}

static void add(struct address_set *set, const char *text, bool default_route, bool stable)
{
        struct address address = parsed(text);

        assert_int_equal(address_set_add_ranked(set, &address, USEC_INFINITY,
                                                address_rank(&address, default_route, stable)),
                         0);
}

static void expect_best(const struct address_set *set, size_t n, const char *wanted)
{
        struct address_set best = { 0 };
        char text[ADDRESS_SET_TEXT_MAX];

        assert_int_equal(address_set_best(set, n, &best), 0);
        assert_string_equal(address_set_text(&best, NULL, text), wanted);
        address_set_clear(&best);
}

static void test_best_in_order(void **state)
{
        struct address_set set = { 0 };

        add(&set, "192.168.1.1", true, true);
        add(&set, "fd00::1", true, true);
        add(&set, "2001:db8::1", false, true);
        add(&set, "2001:db8::2", true, false);
        add(&set, "2001:db8::3", true, true);
        add(&set, "198.51.100.1", false, false);
        expect_best(&set, 1, "2001:db8::3");
        /* Global ones, but the family that would have none takes the last place. */
        expect_best(&set, 2, "198.51.100.1, 2001:db8::3");
        expect_best(&set, 3, "198.51.100.1, 2001:db8::2, 2001:db8::3");
        expect_best(&set, 4, "198.51.100.1, 2001:db8::1, 2001:db8::2, 2001:db8::3");
        expect_best(&set, 5, "198.51.100.1, 2001:db8::1, 2001:db8::2, 2001:db8::3, fd00::1");
        expect_best(&set, 100, "192.168.1.1, 198.51.100.1, 2001:db8::1, 2001:db8::2, 2001:db8::3, fd00::1");
        address_set_clear(&set);
}

static void test_best_is_the_same_at_any_order(void **state)
{
        struct address_set one = { 0 }, other = { 0 };

        for (unsigned i = 1; i <= 40; i++) {
                char text[32];

                (void) snprintf(text, sizeof(text), "10.0.0.%u", i);
                add(&one, text, true, true);
                (void) snprintf(text, sizeof(text), "10.0.0.%u", 41 - i);
                add(&other, text, true, true);
        }
        expect_best(&one, 3, "10.0.0.1, 10.0.0.2, 10.0.0.3");
        expect_best(&other, 3, "10.0.0.1, 10.0.0.2, 10.0.0.3");
        address_set_clear(&one);
        address_set_clear(&other);
}

/* What somebody named goes before all. */
static void test_named_first(void **state)
{
        struct address_set set = { 0 };
        struct address address = parsed("10.9.9.9");

        add(&set, "192.0.2.1", true, true);
        assert_int_equal(address_set_add(&set, &address, USEC_INFINITY), 0);
        expect_best(&set, 1, "10.9.9.9");
        address_set_clear(&set);
}

/* ------ */

struct lab {
        struct dns_name zone, name;
        struct dns_keypair *pair;
        struct address_set there, target;
        struct update_pass pass;
};

static int set_up(void **state)
{
        struct lab *lab = calloc(1, sizeof(*lab));

        assert_int_equal(dns_name_parse("d.example", &lab->zone), 0);
        assert_int_equal(dns_name_parse("box.d.example", &lab->name), 0);
        assert_int_equal(dns_keypair_generate(DNS_ALGORITHM_ECDSAP384SHA384, &lab->pair), 0);
        *state = lab;
        return 0;
}

static int tear_down(void **state)
{
        struct lab *lab = *state;

        address_set_clear(&lab->there);
        address_set_clear(&lab->target);
        update_pass_clear(&lab->pass);
        dns_keypair_free(lab->pair);
        free(lab);
        return 0;
}

static void fill(struct address_set *set, unsigned n, const char *start, const char *between)
{
        for (unsigned i = 0; i < n; i++) {
                char text[64];
                struct address address;

                (void) snprintf(text, sizeof(text), "%s%u%s%u", start, i / 200, between, i % 200 + 1);
                address = parsed(text);
                assert_int_equal(address_set_add(set, &address, USEC_INFINITY), 0);
        }
}

/* Says all of it as update_build() would, and applies it to "there" as a server does. Returns the number of
 * updates. */
static unsigned walk(struct lab *lab, size_t rrs)
{
        struct update_room room = update_room(&lab->zone, &lab->name, &lab->pair->key, rrs);
        struct address_set gone = { 0 }, sent = { 0 };
        unsigned n = 0;

        while (!update_pass_is_done(&lab->pass)) {
                uint8_t buffer[UPDATE_SIZE_MAX];
                bool by_rrset;

                assert_int_equal(update_pass_next(&lab->pass, &room, &lab->name, &gone, &sent, &by_rrset), 0);
                assert_true(gone.n_items + sent.n_items + (by_rrset ? 2 : 0) <= rrs);
                assert_true(gone.n_items + sent.n_items > 0 || by_rrset);
                struct update update = {
                        .zone = &lab->zone,
                        .name = &lab->name,
                        .pair = lab->pair,
                        .key_ttl_sec = 7200,
                        .addr_ttl_sec = 3600,
                        .addresses = &sent,
                        .removals = &gone,
                        .by_rrset = by_rrset,
                        .now_sec = 1700000000,
                };
                assert_true(update_build(&update, buffer) > 0);
                if (by_rrset)
                        address_set_clear(&lab->there);
                address_set_subtract(&lab->there, &gone);
                assert_int_equal(address_set_merge(&lab->there, &sent), 0);
                n++;
        }
        address_set_clear(&gone);
        address_set_clear(&sent);
        assert_true(address_set_equal(&lab->there, &lab->target));
        return n;
}

static void begin(struct lab *lab, bool knows_rrset, bool replace, size_t rrs)
{
        struct update_room room = update_room(&lab->zone, &lab->name, &lab->pair->key, rrs);

        assert_int_equal(update_pass_begin(&lab->pass, &lab->there, &lab->target, knows_rrset, replace, &room,
                                           &lab->name),
                         0);
}

static void test_few_are_one_update(void **state)
{
        struct lab *lab = *state;

        fill(&lab->there, 3, "10.1.", ".");
        fill(&lab->target, 3, "10.2.", ".");
        begin(lab, true, false, UPDATE_ROOM_RRS);
        assert_false(lab->pass.by_rrset);
        assert_int_equal(walk(lab, UPDATE_ROOM_RRS), 1);
}

static void test_all_goes_first_only_on_wish(void **state)
{
        struct lab *lab = *state;

        fill(&lab->target, 3, "10.2.", ".");
        begin(lab, true, true, UPDATE_ROOM_RRS);
        assert_true(lab->pass.by_rrset);
        assert_int_equal(walk(lab, UPDATE_ROOM_RRS), 1);
        begin(lab, false, true, UPDATE_ROOM_RRS);
        assert_false(lab->pass.by_rrset);
}

static void test_removals_that_do_not_fit(void **state)
{
        struct lab *lab = *state;

        fill(&lab->there, 300, "10.1.", ".");
        fill(&lab->target, 2, "10.2.", ".");
        begin(lab, true, false, UPDATE_ROOM_RRS);
        assert_true(lab->pass.by_rrset);
        assert_int_equal(walk(lab, UPDATE_ROOM_RRS), 1);

        /* One by one, where the server knows no other way. */
        fill(&lab->there, 300, "10.1.", ".");
        begin(lab, false, false, UPDATE_ROOM_RRS);
        assert_false(lab->pass.by_rrset);
        assert_int_equal(walk(lab, UPDATE_ROOM_RRS), 6);
}

static void test_many_are_split(void **state)
{
        struct lab *lab = *state;

        fill(&lab->target, 500, "fd00::", ":");
        begin(lab, true, true, UPDATE_ROOM_RRS);
        assert_int_equal(walk(lab, UPDATE_ROOM_RRS), 9);
        /* By octets, where the registrar sets no other limit. */
        address_set_clear(&lab->there);
        begin(lab, true, true, 1000);
        assert_true(walk(lab, 1000) >= 3);
        /* However little is taken. */
        address_set_clear(&lab->there);
        begin(lab, true, true, 0);
        (void) walk(lab, 3);
}

static void test_the_longest_name(void **state)
{
        struct lab *lab = *state;
        char text[256];

        /* 63 + 63 + 63 + 61 octets. */
        memset(text, 'x', sizeof(text));
        text[63] = text[127] = text[191] = '.';
        text[253] = '\0';
        assert_int_equal(dns_name_parse(text, &lab->name), 0);
        assert_int_equal(dns_name_parse(text + 64, &lab->zone), 0);
        fill(&lab->target, 100, "fd00::", ":");
        begin(lab, true, true, UPDATE_ROOM_RRS);
        assert_true(walk(lab, UPDATE_ROOM_RRS) >= 4);
}

int main(void)
{
#define LAB(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_best_in_order),
                cmocka_unit_test(test_best_is_the_same_at_any_order),
                cmocka_unit_test(test_named_first),
                LAB(test_few_are_one_update),
                LAB(test_all_goes_first_only_on_wish),
                LAB(test_removals_that_do_not_fit),
                LAB(test_many_are_split),
                LAB(test_the_longest_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
