/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/rdata.h"
#include "util/macro.h"

struct form {
        const char *type, *text, *formatted;
};

/* What is written is what is read, and the other way round. */
static void test_forms(void **state)
{
        static const struct form forms[] = {
                { "A", "10.0.0.1", "10.0.0.1" },
                { "AAAA", "FD00::1", "fd00::1" },
                { "PTR", "Lamp.D.example.", "lamp.d.example." },
                { "TXT", "\"a \\\"b\" c", "\"a \\\"b\" \"c\"" },
                { "TXT", "\"\"", "\"\"" },
                { "TXT", "\"\\001\\200;\"", "\"\\001\\200;\"" },
                { "SRV", "1 2 443 Host.Example.", "1 2 443 host.example." },
                { "sshfp", "4 1 00112233445566778899AABBCCDDEEFF00112233",
                  "4 1 00112233445566778899aabbccddeeff00112233" },
                { "TLSA", "3 1 0 AA BB", "3 1 0 aabb" },
                { "HTTPS", "1 . alpn=h2", "\\# 10 00010000010003026832" },
                { "HTTPS", "\\# 3 000100", "\\# 3 000100" },
                { "CAA", "0 issue \"ca.example\"", "0 issue \"ca.example\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                uint8_t *octets = NULL, *again = NULL;
                uint16_t type, length, length_again;
                char buffer[RDATA_TYPE_FORMAT_MAX], *text;

                assert_int_equal(rdata_type_from_string(forms[i].type, &type), 0);
                assert_int_equal(strcasecmp(rdata_type_format(type, buffer), forms[i].type), 0);
                assert_int_equal(rdata_parse(type, forms[i].text, &octets, &length), 0);
                text = rdata_format(type, octets, length);
                assert_string_equal(text, forms[i].formatted);
                assert_int_equal(rdata_parse(type, text, &again, &length_again), 0);
                assert_int_equal(length, length_again);
                assert_memory_equal(octets, again, length);
                free(text);
                free(octets);
                free(again);
        }
}

static void test_refused_forms(void **state)
{
        static const struct form forms[] = {
                { "A", "10.0.0", NULL },
                { "A", "\\# 3 0a0000", NULL },
                { "TXT", "", NULL },
                { "TXT", "a\nb. 0 IN A 10.0.0.1", NULL },
                { "SSHFP", "4 2", NULL },
                { "SSHFP", "4 2 aabb", NULL },
                { "SSHFP", "4 1 aabb", NULL },
                { "TLSA", "3 1 1 aabb", NULL },
                { "TLSA", "3 1 2 aabb", NULL },
                { "SRV", "1 2 70000 host.", NULL },
                { "HTTPS", "0 other.example.", NULL },
                { "HTTPS", "\\# 13 00010000030002000100010000", NULL },
                { "CAA", "\\# 3 000000", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                uint8_t *octets = NULL;
                uint16_t type, length;

                assert_int_equal(rdata_type_from_string(forms[i].type, &type), 0);
                assert_int_equal(rdata_parse(type, forms[i].text, &octets, &length), -EINVAL);
        }
}

static void test_type_without_a_line(void **state)
{
        char buffer[RDATA_TYPE_FORMAT_MAX], *text;
        uint16_t type;

        assert_null(rdata_type_to_string(4711));
        assert_string_equal(rdata_type_format(4711, buffer), "TYPE4711");
        assert_int_equal(rdata_type_from_string("NAPTR2", &type), -EINVAL);
        text = rdata_format(4711, (const uint8_t *) "\1\2", 2);
        assert_string_equal(text, "\\# 2 0102");
        free(text);
        /* Octets that are not what they say are shown as octets. */
        text = rdata_format(DNS_TYPE_TXT, (const uint8_t *) "\5ab", 3);
        assert_string_equal(text, "\\# 3 056162");
        free(text);
}

/* One RR of this type and data in a message, whose question is "host.d.example.". */
static void message_with(struct dns_message *message, uint8_t *wire, uint16_t type, const void *rdata,
                         size_t length)
{
        struct dns_builder builder;
        struct dns_name name;
        ssize_t size;

        assert_int_equal(dns_name_parse("host.d.example.", &name), 0);
        dns_builder_begin(&builder, wire, 512, 1, DNS_FLAG_QR);
        dns_builder_question(&builder, &name, type, DNS_CLASS_IN);
        dns_builder_rr(&builder, DNS_SECTION_ANSWER, &name, type, DNS_CLASS_IN, 60, rdata, length);
        size = dns_builder_end(&builder);
        assert_true(size > 0);
        assert_int_equal(dns_message_walk(wire, (size_t) size, NULL, message, NULL), 0);
}

static void test_read_from_a_message(void **state)
{
        static struct dns_message message;
        uint8_t wire[512], *octets = NULL;
        const char *why = NULL;
        uint16_t length;

        /* Only answers have compressed names; the case of a target is of no account. */
        message_with(&message, wire, DNS_TYPE_SRV, "\0\1\0\2\0\3\1A\300\14", 10);
        assert_int_equal(rdata_read(&message, &message.rrs[0], false, &octets, &length, &why), -EBADMSG);
        assert_string_equal(why, "is malformed");
        assert_int_equal(rdata_read(&message, &message.rrs[0], true, &octets, &length, NULL), 0);
        assert_int_equal(length, 6 + 2 + 16);
        assert_memory_equal(octets, "\0\1\0\2\0\3\1a\4host\1d\7example", length);
        free(octets);

        octets = NULL;
        message_with(&message, wire, DNS_TYPE_HTTPS, "\0\1\3Foo\0\0\1\0\3\2h2", 14);
        assert_int_equal(rdata_read(&message, &message.rrs[0], false, &octets, &length, &why), 0);
        assert_memory_equal(octets, "\0\1\3Foo\0\0\1\0\3\2h2", 14);
        free(octets);

        message_with(&message, wire, DNS_TYPE_SSHFP, "\4\2aabb", 6);
        assert_int_equal(rdata_read(&message, &message.rrs[0], false, &octets, &length, &why), -EBADMSG);
        assert_string_equal(why, "has a fingerprint of another length than its hash");
        message_with(&message, wire, DNS_TYPE_SSHFP, "\4", 1);
        assert_int_equal(rdata_read(&message, &message.rrs[0], false, &octets, &length, &why), -EBADMSG);
        message_with(&message, wire, DNS_TYPE_CAA, "\0\11issue", 7);
        assert_int_equal(rdata_read(&message, &message.rrs[0], false, &octets, &length, &why), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_forms),
                cmocka_unit_test(test_refused_forms),
                cmocka_unit_test(test_type_without_a_line),
                cmocka_unit_test(test_read_from_a_message),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
