/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/address.h"
#include "util/macro.h"

static struct address parsed(const char *text)
{
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        return address;
}

static bool contains(const char *prefix_text, const char *address_text)
{
        struct address address = parsed(address_text);
        struct prefix prefix;

        assert_int_equal(prefix_parse(prefix_text, &prefix), 0);
        return prefix_contains(&prefix, &address);
}

static void test_parse_and_format(void **state)
{
        static const char *const good[] = { "0.0.0.0", "192.0.2.1", "255.255.255.255",
                                            "::",      "::1",       "2001:db8::1" };
        static const char *const bad[] = { "",         "1",        "1.2.3",      "1.2.3.256",    "1.2.3.4.5",
                                           "01.2.3.4", " 1.2.3.4", "fe80::1%lo", "2001:db8:::1", "host",
                                           "1.2.3.4/8" };
        char buffer[ADDRESS_FORMAT_MAX];
        struct address address;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                address = parsed(good[i]);
                assert_string_equal(address_format(&address, buffer), good[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(address_parse(bad[i], &address), -EINVAL);

        address = parsed("2001:DB8:0:0::1");
        assert_string_equal(address_format(&address, buffer), "2001:db8::1");
}

static void test_order(void **state)
{
        struct address a = parsed("10.0.0.1"), b = parsed("10.0.0.2"), c = parsed("::1");

        assert_true(address_compare(&a, &b) < 0);
        assert_true(address_compare(&b, &a) > 0);
        assert_true(address_compare(&b, &c) < 0);
        assert_int_equal(address_compare(&c, &c), 0);
        assert_false(address_equal(&a, &b));
        assert_true(address_equal(&a, &a));
}

static void test_sockaddr(void **state)
{
        struct sockaddr_storage storage;
        struct address address, back;
        uint16_t port;

        address = parsed("192.0.2.7");
        assert_int_equal(address_to_sockaddr(&address, 53, &storage), sizeof(struct sockaddr_in));
        assert_int_equal(address_from_sockaddr((struct sockaddr *) &storage, &back, &port), 0);
        assert_true(address_equal(&address, &back));
        assert_int_equal(port, 53);

        address = parsed("2001:db8::7");
        assert_int_equal(address_to_sockaddr(&address, 5353, &storage), sizeof(struct sockaddr_in6));
        assert_int_equal(address_from_sockaddr((struct sockaddr *) &storage, &back, &port), 0);
        assert_true(address_equal(&address, &back));
        assert_int_equal(port, 5353);

        /* what a socket for both families says of an IPv4 peer */
        address = parsed("::ffff:192.0.2.7");
        assert_true(address_is_v4mapped(&address));
        address_to_sockaddr(&address, 1, &storage);
        assert_int_equal(address_from_sockaddr((struct sockaddr *) &storage, &back, NULL), 0);
        address = parsed("192.0.2.7");
        assert_true(address_equal(&address, &back));

        storage.ss_family = AF_UNIX;
        assert_int_equal(address_from_sockaddr((struct sockaddr *) &storage, &back, NULL), -EAFNOSUPPORT);
}

static void test_kinds(void **state)
{
        static const struct {
                const char *text;
                bool unspecified, loopback, link_local, multicast, broadcast;
        } cases[] = {
                { "0.0.0.0", .unspecified = true },
                { "::", .unspecified = true },
                { "127.1.2.3", .loopback = true },
                { "128.0.0.1" },
                { "::1", .loopback = true },
                { "::2" },
                { "169.254.0.1", .link_local = true },
                { "169.253.0.1" },
                { "fe80::1", .link_local = true },
                { "febf::1", .link_local = true },
                { "fec0::1" },
                { "224.0.0.1", .multicast = true },
                { "239.255.255.255", .multicast = true },
                { "240.0.0.1" },
                { "ff02::1", .multicast = true },
                { "255.255.255.255", .broadcast = true },
                { "255.255.255.254" },
                { "2001:db8::1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct address address = parsed(cases[i].text);

                assert_int_equal(address_is_unspecified(&address), cases[i].unspecified);
                assert_int_equal(address_is_loopback(&address), cases[i].loopback);
                assert_int_equal(address_is_link_local(&address), cases[i].link_local);
                assert_int_equal(address_is_multicast(&address), cases[i].multicast);
                assert_int_equal(address_is_broadcast(&address), cases[i].broadcast);
                assert_false(address_is_v4mapped(&address));
        }
}

static void test_prefix(void **state)
{
        static const char *const bad[] = {
                "10.0.0.0/33", "10.0.0.1/8",   "fc00::/129",  "fc00::1/7",
                "10.0.0.0/",   "10.0.0.0/08",  "10.0.0.0/ 8", "10.0.0.0/-1",
                "/8",          "10.0.0.0/8/8", "10.0.0.0/8x", "10.0.0.0/4294967304"
        };
        char buffer[PREFIX_FORMAT_MAX];
        struct address address;
        struct prefix prefix;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(prefix_parse(bad[i], &prefix), -EINVAL);

        assert_int_equal(prefix_parse("192.0.2.1", &prefix), 0);
        assert_string_equal(prefix_format(&prefix, buffer), "192.0.2.1/32");
        assert_int_equal(prefix_parse("fc00::/7", &prefix), 0);
        assert_string_equal(prefix_format(&prefix, buffer), "fc00::/7");

        assert_true(contains("10.0.0.0/8", "10.255.0.1"));
        assert_false(contains("10.0.0.0/8", "11.0.0.1"));
        assert_true(contains("10.1.128.0/17", "10.1.200.1"));
        assert_false(contains("10.1.128.0/17", "10.1.127.255"));
        assert_true(contains("0.0.0.0/0", "192.0.2.1"));
        assert_false(contains("0.0.0.0/0", "::1"));
        assert_true(contains("fc00::/7", "fdff::1"));
        assert_false(contains("fc00::/7", "fe00::1"));
        assert_true(contains("2001:db8::1", "2001:db8::1"));
        assert_false(contains("2001:db8::1", "2001:db8::2"));

        address = parsed("192.0.2.201");
        prefix = prefix_from_address(&address, 26);
        assert_string_equal(prefix_format(&prefix, buffer), "192.0.2.192/26");
        prefix = prefix_from_address(&address, 99);
        assert_string_equal(prefix_format(&prefix, buffer), "192.0.2.201/32");
}

static void test_list(void **state)
{
        struct address inside = parsed("fd12::1"), outside = parsed("192.0.2.1");
        struct prefix_list list = {};

        assert_false(prefix_list_contains(&list, &inside));
        assert_int_equal(prefix_list_parse_add(&list, "10.0.0.0/8"), 0);
        assert_int_equal(prefix_list_parse_add(&list, "fc00::/7"), 0);
        assert_int_equal(prefix_list_parse_add(&list, "nonsense"), -EINVAL);
        assert_int_equal(list.n_items, 2);
        assert_true(prefix_list_contains(&list, &inside));
        assert_false(prefix_list_contains(&list, &outside));

        prefix_list_clear(&list);
        assert_int_equal(list.n_items, 0);
        assert_false(prefix_list_contains(&list, &inside));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_and_format), cmocka_unit_test(test_order),
                cmocka_unit_test(test_sockaddr),         cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_prefix),           cmocka_unit_test(test_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
