/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/name.h"
#include "util/macro.h"

static struct dns_name named(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

static void assert_name(const struct dns_name *name, const char *expected)
{
        char buffer[DNS_NAME_FORMAT_MAX];

        assert_string_equal(dns_name_format(name, buffer), expected);
}

static void test_parse_and_format(void **state)
{
        static const struct {
                const char *text, *formatted;
        } cases[] = {
                { ".", "." },
                { "example", "example." },
                { "WWW.Example.ORG.", "www.example.org." },
                { "a\\.b.example.", "a\\.b.example." },
                { "\\065bc.example", "abc.example." },
                { "\\000.example", "\\000.example." },
                { "\\255\\027.example", "\\255\\027.example." },
                { "a\\032b.example", "a\\032b.example." },
                { "back\\\\slash", "back\\\\slash." },
                { "quote\\\"\\(\\)\\;\\@\\$", "quote\\\"\\(\\)\\;\\@\\$." },
                { "_nsreg._tcp.d.example", "_nsreg._tcp.d.example." },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct dns_name name = named(cases[i].text), again;
                char buffer[DNS_NAME_FORMAT_MAX];

                assert_name(&name, cases[i].formatted);
                again = named(dns_name_format(&name, buffer));
                assert_true(dns_name_equal(&name, &again));
        }
}

static void test_parse_refuses(void **state)
{
        static const char *const bad[] = {
                "",      "..",
                "a..b",  ".a",
                "a..",   "\\256.example",
                "\\25",  "\\",
                "a.b\\", "0123456789012345678901234567890123456789012345678901234567890123.example",
        };
        struct dns_name name;
        char text[600];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(dns_name_parse(bad[i], &name), -EINVAL);

        /* 127 labels of one octet are 255 octets; one more is too long */
        text[0] = 0;
        for (unsigned i = 0; i < 127; i++)
                strcat(text, "a.");
        name = named(text);
        assert_int_equal(name.length, 255);
        assert_int_equal(dns_name_count_labels(&name), 127);
        strcat(text, "a.");
        assert_int_equal(dns_name_parse(text, &name), -EINVAL);
        text[254 + 1] = 0; /* "....a", without the dot, is as long */
        assert_int_equal(dns_name_parse(text, &name), -EINVAL);
}

static void test_format_of_the_longest(void **state)
{
        struct dns_name name = { .length = 255 };
        char buffer[DNS_NAME_FORMAT_MAX];
        size_t i = 0;

        memset(name.wire, 0xff, sizeof(name.wire));
        for (unsigned label = 0; label < 4; label++, i += 1u + name.wire[i])
                name.wire[i] = label < 3 ? 63 : 61;
        assert_int_equal(i, 254);
        name.wire[i] = 0;

        dns_name_format(&name, buffer);
        assert_int_equal(strlen(buffer), 250 * 4 + 4);
        for (const char *p = buffer; *p; p++)
                assert_in_range(*p, '!', '~');
}

static void test_from_wire(void **state)
{
        static const uint8_t good[] = "\4HoSt\1d\7example";
        uint8_t long_label[66] = { 64 };
        struct dns_name name, expected = named("host.d.example.");

        assert_int_equal(dns_name_from_wire(good, sizeof(good), &name), 0);
        assert_true(dns_name_equal(&name, &expected));
        assert_int_equal(dns_name_from_wire((const uint8_t *) "", 1, &name), 0);
        assert_true(dns_name_is_root(&name));

        for (size_t n = 0; n < sizeof(good); n++)
                assert_int_equal(dns_name_from_wire(good, n, &name), -EBADMSG);
        assert_int_equal(dns_name_from_wire((const uint8_t *) "\1a\0x", 4, &name), -EBADMSG);
        assert_int_equal(dns_name_from_wire((const uint8_t *) "\300\014", 2, &name), -EBADMSG);
        assert_int_equal(dns_name_from_wire(long_label, sizeof(long_label), &name), -EBADMSG);
}

/* The example of RFC 4034 section 6.1, with its two names made of octets that are no ASCII. */
static void test_canonical_order(void **state)
{
        static const char *const order[] = {
                "example.",         "a.example.",      "yljkjljk.a.example.",
                "Z.a.example.",     "zABC.a.EXAMPLE.", "z.example.",
                "\\001.z.example.", "*.z.example.",    "\\200.z.example.",
        };
        struct dns_name root = named(".");

        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                struct dns_name a = named(order[i]);

                assert_true(dns_name_compare(&root, &a) < 0);
                for (size_t j = 0; j < ELEMENTSOF(order); j++) {
                        struct dns_name b = named(order[j]);
                        int r = dns_name_compare(&a, &b);

                        assert_int_equal((r > 0) - (r < 0), (i > j) - (i < j));
                        assert_int_equal(dns_name_equal(&a, &b), i == j);
                }
        }
}

static void test_subdomain(void **state)
{
        struct dns_name zone = named("d.example"), root = named("."), none = {};
        static const char *const below[] = { "d.example", "D.EXAMPLE", "a.d.example", "a.b.d.example" };
        static const char *const not_below[] = { "example",       "e.example", "xd.example",
                                                 "d.example.org", ".",         "a\\001d.example" };

        for (size_t i = 0; i < ELEMENTSOF(below); i++) {
                struct dns_name name = named(below[i]);

                assert_true(dns_name_is_subdomain(&name, &zone));
                assert_true(dns_name_is_subdomain(&name, &root));
                assert_false(dns_name_is_subdomain(&name, &none));
        }
        for (size_t i = 0; i < ELEMENTSOF(not_below); i++) {
                struct dns_name name = named(not_below[i]);

                assert_false(dns_name_is_subdomain(&name, &zone));
        }
}

static void test_parts(void **state)
{
        struct dns_name name = named("a.bc.example"), parent, root = named(".");
        const uint8_t *label;

        assert_int_equal(dns_name_count_labels(&name), 3);
        assert_int_equal(dns_name_first_label(&name, &label), 1);
        assert_int_equal(*label, 'a');
        assert_int_equal(dns_name_first_label(&root, &label), 0);

        assert_int_equal(dns_name_parent(&name, &parent), 0);
        assert_name(&parent, "bc.example.");
        assert_int_equal(dns_name_parent(&parent, &parent), 0);
        assert_name(&parent, "example.");
        assert_int_equal(dns_name_parent(&parent, &parent), 0);
        assert_true(dns_name_is_root(&parent));
        assert_int_equal(dns_name_parent(&parent, &parent), -EINVAL);
}

static void test_joining(void **state)
{
        struct dns_name zone = named("d.example"), name, prefix = named("_nsreg._tcp");
        uint8_t label[64];

        assert_int_equal(dns_name_prepend("HOST", 4, &zone, &name), 0);
        assert_name(&name, "host.d.example.");
        assert_int_equal(dns_name_prepend("a.b", 3, &zone, &zone), 0); /* in place */
        assert_name(&zone, "a\\.b.d.example.");
        assert_int_equal(dns_name_prepend("", 0, &zone, &name), -EINVAL);
        memset(label, 'a', sizeof(label));
        assert_int_equal(dns_name_prepend(label, 64, &zone, &name), -EINVAL);
        assert_int_equal(dns_name_prepend(label, 63, &zone, &name), 0);
        assert_int_equal(dns_name_prepend(label, 63, &name, &name), 0);
        assert_int_equal(dns_name_prepend(label, 63, &name, &name), 0);
        assert_int_equal(dns_name_prepend(label, 63, &name, &name), -ENAMETOOLONG);
        assert_int_equal(name.length, 15 + 3 * 64);
        assert_int_equal(dns_name_prepend(label, 255 - name.length - 1, &name, &name), 0);
        assert_int_equal(name.length, 255);
        assert_int_equal(dns_name_concat(&prefix, &name, &name), -ENAMETOOLONG);

        zone = named("d.example");
        assert_int_equal(dns_name_concat(&prefix, &zone, &name), 0);
        assert_name(&name, "_nsreg._tcp.d.example.");
}

static void test_reverse(void **state)
{
        static const struct {
                const char *address, *name;
        } cases[] = {
                { "192.0.2.1", "1.2.0.192.in-addr.arpa." },
                { "255.10.0.100", "100.0.10.255.in-addr.arpa." },
                { "2001:db8::1",
                  "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa." },
        };
        static const char *const bad[] = {
                "in-addr.arpa.",
                "2.0.192.in-addr.arpa.",
                "1.2.3.4.5.in-addr.arpa.",
                "256.2.0.192.in-addr.arpa.",
                "01.2.0.192.in-addr.arpa.",
                "x.2.0.192.in-addr.arpa.",
                "1.2.0.192.in-addr.example.",
                ".",
                "0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
                "10.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
                "g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
                "\\000.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        };
        struct address address, back;
        struct dns_name name;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(address_parse(cases[i].address, &address), 0);
                name = dns_name_reverse(&address);
                assert_name(&name, cases[i].name);
                assert_int_equal(dns_name_reverse_parse(&name, &back), 0);
                assert_true(address_equal(&address, &back));
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                name = named(bad[i]);
                assert_int_equal(dns_name_reverse_parse(&name, &back), -EINVAL);
        }
}

static void test_reverse_prefix(void **state)
{
        static const struct {
                const char *prefix, *name;
        } cases[] = {
                { "10.0.0.0/8", "10.in-addr.arpa." },
                { "192.0.2.0/24", "2.0.192.in-addr.arpa." },
                { "192.0.2.128/25", "2.0.192.in-addr.arpa." },
                { "0.0.0.0/0", "in-addr.arpa." },
                { "2001:db8::/32", "8.b.d.0.1.0.0.2.ip6.arpa." },
                { "2001:db8::/35", "8.b.d.0.1.0.0.2.ip6.arpa." },
                { "::/0", "ip6.arpa." },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct prefix prefix;
                struct dns_name name;

                assert_int_equal(prefix_parse(cases[i].prefix, &prefix), 0);
                name = dns_name_reverse_prefix(&prefix);
                assert_name(&name, cases[i].name);
        }
}

static void test_ldh(void **state)
{
        static const char *const good[] = {
                "a", "A-1", "0", "xn--bcher-kva",
                "012345678901234567890123456789012345678901234567890123456789012"
        };
        static const char *const bad[] = {
                "",    "-",        "-a",
                "a-",  "a_b",      "a.b",
                "a b", "\xc3\xbc", "0123456789012345678901234567890123456789012345678901234567890123"
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(dns_label_is_ldh((const uint8_t *) good[i], strlen(good[i])));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(dns_label_is_ldh((const uint8_t *) bad[i], strlen(bad[i])));
        assert_false(dns_label_is_ldh((const uint8_t *) "a\0b", 3));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_and_format),
                cmocka_unit_test(test_parse_refuses),
                cmocka_unit_test(test_format_of_the_longest),
                cmocka_unit_test(test_from_wire),
                cmocka_unit_test(test_canonical_order),
                cmocka_unit_test(test_subdomain),
                cmocka_unit_test(test_parts),
                cmocka_unit_test(test_joining),
                cmocka_unit_test(test_reverse),
                cmocka_unit_test(test_reverse_prefix),
                cmocka_unit_test(test_ldh),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
