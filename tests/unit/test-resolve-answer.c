/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "dns/edns.h"
#include "nsregc/resolve-answer.h"
#include "util/macro.h"

static uint8_t octets[2048];

/* A reply with this code and, if ede >= 0, this Extended DNS Error; with an OPT at all if "edns". */
static struct dns_message reply(unsigned rcode, bool edns, int ede, const char *text)
{
        struct dns_edns opt = {
                .present = true,
                .udp_size = 1232,
                .ede_code = ede,
                .ede_text = text,
                .ede_text_length = (uint16_t) (text ? strlen(text) : 0),
        };
        struct dns_message message;
        struct dns_builder builder;
        struct dns_name name;
        ssize_t size;

        assert_int_equal(dns_name_parse("lan.", &name), 0);
        dns_builder_begin(&builder, octets, sizeof(octets), 1, (uint16_t) (0x8000 | (rcode & 15)));
        dns_builder_question(&builder, &name, DNS_TYPE_SRV, DNS_CLASS_IN);
        if (edns)
                dns_edns_write(&builder, &opt, rcode);
        size = dns_builder_end(&builder);
        assert_true(size > 0);
        assert_int_equal(dns_message_walk(octets, (size_t) size, NULL, &message, NULL), 0);
        return message;
}

static const char *why(const char *name_text, uint16_t type, uint16_t port, const struct dns_message *message)
{
        static char text[RESOLVE_WHY_MAX];
        struct resolve_question question = { .type = type, .server = "192.168.0.1", .port = port };
        struct dns_name name;

        assert_int_equal(dns_name_parse(name_text, &name), 0);
        question.name = &name;
        resolve_why_rcode(&question, message, text);
        return text;
}

static void test_codes_are_told(void **state)
{
        struct dns_message message = reply(DNS_RCODE_REFUSED, true, -1, NULL);

        assert_string_equal(
                why("_nsreg._tcp.home.arpa", DNS_TYPE_SRV, 53, &message),
                "192.168.0.1 refuses questions from this network (REFUSED to _nsreg._tcp.home.arpa "
                "SRV); the registrar's query-nets may be too narrow");
        /* Not every resolver that refuses is a registrar. */
        assert_string_equal(
                why("r._dns-sd._udp.lan", DNS_TYPE_PTR, 53, &message),
                "192.168.0.1 refuses questions from this network (REFUSED to r._dns-sd._udp.lan PTR)");
        message = reply(DNS_RCODE_SERVFAIL, true, 22, "no server\nis reachable");
        assert_string_equal(
                why("lan", DNS_TYPE_AAAA, 8053, &message),
                "192.168.0.1@8053 cannot answer (SERVFAIL to lan AAAA: no server\\010is reachable)");
        message = reply(DNS_RCODE_SERVFAIL, true, 9, NULL);
        assert_string_equal(why("lan", DNS_TYPE_A, 53, &message),
                            "192.168.0.1 cannot answer (SERVFAIL to lan A: extended error 9)");
        message = reply(13, false, -1, NULL);
        assert_string_equal(why(".", DNS_TYPE_A, 53, &message),
                            "192.168.0.1 cannot answer (RCODE 13 to . A)");
}

static void test_the_longest_fits(void **state)
{
        char label[64], name[4 * 64 + 1], ede[256];
        struct dns_message message;

        memset(label, '\\', sizeof(label));
        for (size_t i = 0; i < 63; i += 3)
                memcpy(label + i, "\\\\a", 3);
        label[60] = '\0';
        snprintf(name, sizeof(name), "%s.%s.%s.%s", label, label, label, label);
        memset(ede, 1, sizeof(ede) - 1);
        ede[255] = '\0';
        message = reply(DNS_RCODE_REFUSED, true, 18, ede);
        assert_true(strlen(why(name, DNS_TYPE_SRV, 53, &message)) < RESOLVE_WHY_MAX);
}

static void test_errors_are_told(void **state)
{
        struct resolve_question question = { .type = DNS_TYPE_SRV, .server = "ns.example", .port = 53 };
        char text[RESOLVE_WHY_MAX];
        struct dns_name name;

        assert_int_equal(dns_name_parse("_nsreg._tcp.lan", &name), 0);
        question.name = &name;
        resolve_why_error(&question, -ETIMEDOUT, text);
        assert_string_equal(text, "ns.example: no answer (to _nsreg._tcp.lan SRV)");
        resolve_why_error(&question, -ECONNREFUSED, text);
        assert_string_equal(text, "ns.example: Connection refused (to _nsreg._tcp.lan SRV)");
        resolve_why_error(&question, -ENXIO, text);
        assert_string_equal(text, "ns.example: the server's name has no address (to _nsreg._tcp.lan SRV)");
        resolve_why_text(&question, "No appropriate\x1b name servers", text);
        assert_string_equal(text, "ns.example: No appropriate\\027 name servers (to _nsreg._tcp.lan SRV)");
}

static void test_who_dislikes_edns(void **state)
{
        struct dns_message message = reply(DNS_RCODE_FORMERR, false, -1, NULL);

        assert_true(resolve_dislikes_edns(&message));
        message = reply(DNS_RCODE_NOTIMP, false, -1, NULL);
        assert_true(resolve_dislikes_edns(&message));
        message = reply(DNS_RCODE_SERVFAIL, false, -1, NULL);
        assert_true(resolve_dislikes_edns(&message));
        message = reply(DNS_RCODE_SERVFAIL, true, -1, NULL);
        assert_false(resolve_dislikes_edns(&message));
        message = reply(DNS_RCODE_REFUSED, false, -1, NULL);
        assert_false(resolve_dislikes_edns(&message));
        message = reply(DNS_RCODE_NXDOMAIN, false, -1, NULL);
        assert_false(resolve_dislikes_edns(&message));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_codes_are_told),
                cmocka_unit_test(test_the_longest_fits),
                cmocka_unit_test(test_errors_are_told),
                cmocka_unit_test(test_who_dislikes_edns),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
