/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/edns.h"
#include "dns/message.h"
#include "dns/wire.h"
#include "util/file.h"
#include "util/macro.h"

#define MESSAGES TESTS_DIRECTORY "/data/messages/"

static struct dns_message message;

/* A copy of exactly the right size, so that the sanitizer sees every octet read too many. */
static int walk_exact(const void *wire, size_t size, const char **why)
{
        static uint8_t *copy;

        free(copy);
        copy = malloc(MAX(size, (size_t) 1));
        assert_non_null(copy);
        memcpy(copy, wire, size);
        return dns_message_walk(copy, size, NULL, &message, why);
}

static int walk_file(const char *name, const char **why)
{
        _cleanup_free_ char *path = path_join(MESSAGES, name), *content = NULL;
        size_t size;

        assert_int_equal(file_read(path, DNS_MESSAGE_MAX, &content, &size), 0);
        return walk_exact(content, size, why);
}

static struct dns_name named(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

static void assert_owner(unsigned index, const char *expected)
{
        struct dns_name name, wanted = named(expected);

        assert_in_range(index, 0, message.n_rrs - 1);
        assert_int_equal(dns_message_owner(&message, &message.rrs[index], &name), 0);
        assert_true(dns_name_equal(&name, &wanted));
}

static void test_wire(void **state)
{
        uint8_t buffer[16];
        struct wire_writer writer = wire_writer_init(buffer, sizeof(buffer));
        struct wire_reader reader;

        wire_write_u8(&writer, 0x01);
        wire_write_u16(&writer, 0x0203);
        wire_write_u32(&writer, 0x04050607);
        wire_write_u48(&writer, UINT64_C(0x08090a0b0c0d));
        assert_int_equal(writer.position, 13);
        for (uint8_t i = 0; i < 13; i++)
                assert_int_equal(buffer[i], i + 1);
        wire_patch_u16(&writer, 11, 0xffee);
        assert_false(writer.error);

        reader = wire_reader_init(buffer, writer.position);
        assert_int_equal(wire_read_u8(&reader), 0x01);
        assert_int_equal(wire_read_u16(&reader), 0x0203);
        assert_int_equal(wire_read_u32(&reader), 0x04050607);
        assert_true(wire_read_u48(&reader) == UINT64_C(0x08090a0bffee));
        assert_int_equal(wire_reader_left(&reader), 0);
        assert_false(reader.error);
        assert_int_equal(wire_read_u8(&reader), 0);
        assert_true(reader.error);

        /* an error sticks, and what would fit is not written any more */
        wire_write_u32(&writer, 1);
        assert_true(writer.error);
        wire_write_u8(&writer, 1);
        assert_int_equal(writer.position, 13);

        writer = wire_writer_init(buffer, sizeof(buffer));
        wire_write_u16(&writer, 1);
        wire_patch_u16(&writer, 1, 1);
        assert_true(writer.error);

        reader = wire_reader_init(buffer, 4);
        assert_null(wire_read_bytes(&reader, SIZE_MAX));
        assert_true(reader.error);
        assert_int_equal(wire_reader_left(&reader), 0);
        assert_null(wire_read_bytes(&reader, 1));
}

static void test_signed_messages(void **state)
{
        static const char *const files[] = {
                "signed/bind-ecdsap256sha256.bin",
                "signed/bind-ecdsap384sha384.bin",
                "signed/bind-ed25519.bin",
                "signed/bind-ed448.bin",
                "signed/bind-rsa.bin",
                "signed/comp-p256.bin",
                "signed/netdns-ecdsap256sha256.bin",
                "signed/netdns-ecdsap384sha384.bin",
                "signed/netdns-ed25519.bin",
                "signed/netdns-ed448.bin",
                "signed/netdns-rsa.bin",
        };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                struct dns_name zone = named("d.example");
                const char *why;

                assert_int_equal(walk_file(files[i], &why), 0);
                assert_null(why);
                assert_int_equal(dns_message_opcode(&message), DNS_OPCODE_UPDATE);
                assert_int_equal(message.question_type, DNS_TYPE_SOA);
                assert_int_equal(message.question_class, DNS_CLASS_IN);
                assert_true(dns_name_equal(&message.question_name, &zone));
                assert_int_equal(message.sig0, message.n_rrs - 1);
                assert_int_equal(message.tsig, -1);
        }
}

/* What lab work with other parsers found: each must be refused, or accepted in its form. */
static void test_hostile_messages(void **state)
{
        static const struct {
                const char *file;
                int result;
                const char *why;
        } cases[] = {
                { "01-anynone-rdlen0", 0, NULL },
                { "02-class-none-rdata", 0, NULL },
                { "03-mixedcase", 0, NULL },
                { "04-zbit", 0, NULL },
                { "05-A-rdlen6-hidden2bytes", -EBADMSG, "record data is malformed" },
                { "06-hiddenRR", -EBADMSG, "record data is malformed" },
                { "07-trailing-garbage", -EBADMSG, "octets behind the last record" },
                { "08-two-OPT", -EBADMSG, "more than one OPT record" },
                { "09-two-TSIG", -EBADMSG, "TSIG is not the last record" },
                { "10-256-OPT", -EBADMSG, "more than one OPT record" },
                { "11-SIG-not-last-then-A", -EBADMSG, "SIG(0) is not the last record" },
                { "12-OPT-after-SIG", -EBADMSG, "SIG(0) is not the last record" },
                { "13-KEY-empty-pubkey", 0, NULL },
                { "14-unknown-type", 0, NULL },
                { "15-compressed-srv", 0, NULL },
                { "16-ptr-forward", -EBADMSG, "owner name is malformed" },
                { "17-dname-past-rdata-end", -EBADMSG, "record data is malformed" },
                { "18-uncompressed-as-sent", 0, NULL },
                { "19-OPT-first-in-additional", 0, NULL },
                { "20-OPT-opt-truncated", -EBADMSG, "record data is malformed" },
                { "21-qdcount0", 0, NULL },
                { "22-OPT-in-update-section", -EBADMSG, "OPT record outside the additional section" },
                { "23-name-backslash-dot-nul", 0, NULL },
                /* well-formed with a TSIG: noted, for the receiver to refuse or to verify */
                { "30-tsig-unknown-alg.bin", 0, NULL },
                { "31-tsig-known-alg.bin", 0, NULL },
                { "32-many-tsig.bin", -E2BIG, "too many records" },
                { "33-ptrchain.bin", -E2BIG, "too many records" },
                { "40-built.bin", 0, NULL },
                { "big-tsig.bin", 0, NULL },
                { "crash-edns-chain.bin", 0, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *path = path_join("hostile", cases[i].file);
                const char *why;

                assert_int_equal(walk_file(path, &why), cases[i].result);
                if (cases[i].why)
                        assert_string_equal(why, cases[i].why);
                else
                        assert_null(why);
                if (strstr(cases[i].file, "tsig") && cases[i].result == 0)
                        assert_int_equal(message.tsig, message.n_rrs - 1);
        }
}

static void test_views(void **state)
{
        struct address address, expected;
        struct dns_edns edns;
        unsigned first;

        assert_int_equal(walk_file("signed/netdns-ed25519.bin", NULL), 0);
        assert_int_equal(dns_message_section(&message, DNS_SECTION_ANSWER, &first), 2);
        assert_int_equal(first, 0);
        assert_int_equal(dns_message_section(&message, DNS_SECTION_AUTHORITY, &first), 4);
        assert_int_equal(first, 2);
        assert_int_equal(dns_message_section(&message, DNS_SECTION_ADDITIONAL, &first), 3);
        assert_int_equal(first, 6);
        assert_int_equal(message.rrs[message.opt].type, DNS_TYPE_OPT);
        assert_int_equal(dns_edns_parse(&message, &edns), 0);
        assert_true(edns.present);
        assert_int_equal(edns.lease_form, 8);
        assert_int_equal(edns.lease_sec, 3600);
        assert_int_equal(edns.key_lease_sec, 86400);

        assert_int_equal(walk_file("hostile/03-mixedcase", NULL), 0);
        assert_owner(0, "host.d.example");
        assert_int_equal(dns_rr_address(&message, &message.rrs[0], &address), 0);
        assert_int_equal(address_parse("1.2.3.4", &expected), 0);
        assert_true(address_equal(&address, &expected));

        /* a dot, a backslash and a NUL inside one label stay inside it */
        assert_int_equal(walk_file("hostile/23-name-backslash-dot-nul", NULL), 0);
        assert_owner(0, "a\\.b\\\\\\000.d.example.");
}

static void test_every_prefix_is_refused(void **state)
{
        static const char *const files[] = { "signed/netdns-ed25519.bin", "signed/bind-rsa.bin",
                                             "hostile/40-built.bin" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *path = path_join(MESSAGES, files[i]), *content = NULL;
                size_t size;

                assert_int_equal(file_read(path, DNS_MESSAGE_MAX, &content, &size), 0);
                for (size_t n = 0; n < size; n++) {
                        assert_int_equal(walk_exact(content, n, NULL), -EBADMSG);
                        assert_int_equal(message.id != 0, n >= DNS_HEADER_SIZE);
                }
                assert_int_equal(walk_exact(content, size, NULL), 0);
        }
}

static void test_limits(void **state)
{
        _cleanup_free_ char *content = NULL;
        struct dns_walk_limits limits = { .message_bytes = 65535, .rrs = 8 };
        size_t size;

        assert_int_equal(file_read(MESSAGES "signed/netdns-ed25519.bin", DNS_MESSAGE_MAX, &content, &size),
                         0);
        assert_int_equal(dns_message_walk((uint8_t *) content, size, &limits, &message, NULL), -E2BIG);
        assert_int_equal(message.question_type, 0);
        limits.rrs = 9;
        assert_int_equal(dns_message_walk((uint8_t *) content, size, &limits, &message, NULL), 0);
        limits.message_bytes = size - 1;
        assert_int_equal(dns_message_walk((uint8_t *) content, size, &limits, &message, NULL), -E2BIG);
        limits.message_bytes = size;
        assert_int_equal(dns_message_walk((uint8_t *) content, size, &limits, &message, NULL), 0);
}

/* One RR of the additional section behind the question "d.example": its class, TTL and the like are fixed. */
static int walk_rdata(enum dns_section section, uint16_t type, uint16_t class, const void *rdata,
                      size_t length)
{
        struct dns_name zone = named("d.example"), root = named(".");
        struct dns_builder builder;
        uint8_t buffer[600];
        ssize_t n;

        dns_builder_begin(&builder, buffer, sizeof(buffer), 1, DNS_OPCODE_UPDATE << 11);
        dns_builder_question(&builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        dns_builder_rr(&builder, section, &root, type, class, 0, rdata, length);
        n = dns_builder_end(&builder);
        assert_true(n > 0);
        return walk_exact(buffer, (size_t) n, NULL);
}

static void test_rdata_forms(void **state)
{
        static const struct {
                uint16_t type;
                size_t length;
                const char *rdata;
                int result;
        } cases[] = {
                { DNS_TYPE_A, 4, "1234", 0 },
                { DNS_TYPE_A, 3, "123", -EBADMSG },
                { DNS_TYPE_A, 0, "", -EBADMSG },
                { DNS_TYPE_AAAA, 16, "1234123412341234", 0 },
                { DNS_TYPE_AAAA, 4, "1234", -EBADMSG },
                { DNS_TYPE_NS, 3, "\1a\0", 0 },
                { DNS_TYPE_PTR, 2, "\300\014", 0 },
                { DNS_TYPE_PTR, 2, "\300\013", -EBADMSG }, /* into the header */
                { DNS_TYPE_PTR, 2, "\300\046", -EBADMSG }, /* to itself or behind */
                { DNS_TYPE_CNAME, 4, "\1a\0x", -EBADMSG },
                { DNS_TYPE_CNAME, 3, "\100ab", -EBADMSG }, /* label type 01 */
                { DNS_TYPE_CNAME, 1, "\300", -EBADMSG },
                { DNS_TYPE_DNAME, 1, "", 0 },
                { DNS_TYPE_SOA, 22, "\0\0abcdefghijklmnopqrst", 0 },
                { DNS_TYPE_SOA, 21, "\0\0abcdefghijklmnopqrs", -EBADMSG },
                { DNS_TYPE_MX, 3, "\0\1\0", 0 },
                { DNS_TYPE_MX, 2, "\0\1", -EBADMSG },
                { DNS_TYPE_SRV, 7, "\0\1\0\2\0\3\0", 0 },
                { DNS_TYPE_SRV, 6, "\0\1\0\2\0\3", -EBADMSG },
                { DNS_TYPE_TXT, 5, "\2ab\1c", 0 },
                { DNS_TYPE_TXT, 1, "\0", 0 },
                { DNS_TYPE_TXT, 3, "\3ab", -EBADMSG },
                { DNS_TYPE_TXT, 0, "", -EBADMSG },
                { DNS_TYPE_KEY, 4, "\0\0\3\15", 0 },
                { DNS_TYPE_KEY, 3, "\0\0\3", -EBADMSG },
                { DNS_TYPE_SIG, 20, "\0\0abcdefghijklmnop\0s", 0 },
                { DNS_TYPE_SIG, 18, "\0\0abcdefghijklmnop", -EBADMSG },
                { DNS_TYPE_SIG, 20, "\0\1abcdefghijklmnop\7s", -EBADMSG },
                { DNS_TYPE_OPT, 0, "", 0 },
                { DNS_TYPE_OPT, 4, "\0\2\0\0", 0 },
                { DNS_TYPE_OPT, 3, "\0\2\0", -EBADMSG },
                { DNS_TYPE_OPT, 4, "\0\2\0\1", -EBADMSG },
                { DNS_TYPE_TSIG, 17, "\0time:)fu\0\0id\0\0\0\0", 0 },
                { DNS_TYPE_TSIG, 18, "\0time:)fu\0\0id\0\0\0\0x", -EBADMSG },
                { DNS_TYPE_TSIG, 17, "\0time:)fu\0\1id\0\0\0\0", -EBADMSG },
                { DNS_TYPE_TSIG, 0, "", -EBADMSG },
                { 65280, 0, "", 0 },
                { 65280, 3, "\377\377\377", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(walk_rdata(DNS_SECTION_ADDITIONAL, cases[i].type, DNS_CLASS_IN,
                                            cases[i].rdata, cases[i].length),
                                 cases[i].result);
}

static void test_empty_rdata(void **state)
{
        assert_int_equal(walk_rdata(DNS_SECTION_AUTHORITY, DNS_TYPE_A, DNS_CLASS_ANY, "", 0), 0);
        assert_int_equal(walk_rdata(DNS_SECTION_AUTHORITY, DNS_TYPE_ANY, DNS_CLASS_ANY, "", 0), 0);
        assert_int_equal(walk_rdata(DNS_SECTION_AUTHORITY, DNS_TYPE_KEY, DNS_CLASS_NONE, "", 0), 0);
        assert_int_equal(walk_rdata(DNS_SECTION_ANSWER, DNS_TYPE_A, DNS_CLASS_IN, "", 0), 0);
        assert_int_equal(walk_rdata(DNS_SECTION_AUTHORITY, DNS_TYPE_A, DNS_CLASS_IN, "", 0), -EBADMSG);
        assert_int_equal(walk_rdata(DNS_SECTION_ADDITIONAL, DNS_TYPE_SIG, DNS_CLASS_ANY, "", 0), -EBADMSG);
        assert_int_equal(walk_rdata(DNS_SECTION_ADDITIONAL, DNS_TYPE_TSIG, DNS_CLASS_ANY, "", 0), -EBADMSG);
        /* but what is there must be right, whatever the class */
        assert_int_equal(walk_rdata(DNS_SECTION_AUTHORITY, DNS_TYPE_A, DNS_CLASS_NONE, "12345", 5), -EBADMSG);
}

static void test_specials_have_one_place(void **state)
{
        static const char sig0[] = "\0\0abcdefghijklmnop\0s", tsig[] = "\0time:)fu\0\0id\0\0\0";

        assert_int_equal(walk_rdata(DNS_SECTION_ADDITIONAL, DNS_TYPE_SIG, DNS_CLASS_ANY, sig0, 20), 0);
        assert_int_equal(message.sig0, 0);
        assert_int_equal(walk_rdata(DNS_SECTION_ADDITIONAL, DNS_TYPE_SIG, DNS_CLASS_ANY,
                                    "\0\1abcdefghijklmnop\0s", 20),
                         0);
        assert_int_equal(message.sig0, -1);
        assert_int_equal(walk_rdata(DNS_SECTION_AUTHORITY, DNS_TYPE_SIG, DNS_CLASS_ANY, sig0, 20), -EBADMSG);
        assert_int_equal(walk_rdata(DNS_SECTION_AUTHORITY, DNS_TYPE_TSIG, DNS_CLASS_ANY, tsig, 17), -EBADMSG);
        assert_int_equal(walk_rdata(DNS_SECTION_ANSWER, DNS_TYPE_OPT, DNS_CLASS_ANY, "", 0), -EBADMSG);
        assert_int_equal(walk_rdata(DNS_SECTION_ADDITIONAL, DNS_TYPE_OPT, 1232, "", 0), 0);
        assert_int_equal(message.opt, 0);
}

static void test_pointer_loops_end(void **state)
{
        /* header, "d" as question, an A RR whose owner is "x" and a pointer to that very "x" */
        static const uint8_t self[] = "\0\1\50\0\0\1\0\0\0\1\0\0"
                                      "\1d\0\0\6\0\1"
                                      "\1x\300\023\0\1\0\1\0\0\0\0\0\4"
                                      "1234";
        uint8_t chain[1200];
        struct wire_writer writer = wire_writer_init(chain, sizeof(chain));
        struct dns_name name;

        assert_int_equal(walk_exact(self, sizeof(self) - 1, NULL), -EBADMSG);

        /* A chain of pointers in octets of an unknown type is data until somebody points there. */
        wire_write_bytes(&writer,
                         "\0\1\50\0\0\1\0\0\0\2\0\0"
                         "\1d\0\0\6\0\1"
                         "\0\377\000\0\1\0\0\0\0",
                         28);
        wire_write_u16(&writer, 400);
        wire_write_u16(&writer, 0xc000 | 12);
        for (unsigned i = 1; i < 200; i++)
                wire_write_u16(&writer, (uint16_t) (0xc000 | (writer.position - 2)));
        wire_write_u16(&writer, (uint16_t) (0xc000 | (writer.position - 2)));
        wire_write_bytes(&writer,
                         "\0\1\0\1\0\0\0\0\0\4"
                         "1234",
                         14);
        assert_int_equal(walk_exact(chain, writer.position, NULL), 0);
        assert_int_equal(dns_message_owner(&message, &message.rrs[1], &name), -EBADMSG);
        assert_int_equal(dns_message_name(&message, 30 + 2 * 100, &name, NULL), 0);
        assert_int_equal(name.length, 3);
        assert_int_equal(dns_message_name(&message, message.size, &name, NULL), -EBADMSG);
}

static void test_builder(void **state)
{
        struct dns_name zone = named("d.example"), host = named("host.d.example"),
                        other = named("other.example");
        struct address v4, v6, back;
        struct dns_builder_mark mark;
        struct dns_builder builder;
        uint8_t buffer[512];
        ssize_t n, n_again;

        address_parse("192.0.2.1", &v4);
        address_parse("2001:db8::1", &v6);

        dns_builder_begin(&builder, buffer, sizeof(buffer), 0xabcd,
                          DNS_FLAG_QR | DNS_FLAG_AA | DNS_RCODE_NXDOMAIN);
        dns_builder_question(&builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        dns_builder_address(&builder, DNS_SECTION_ANSWER, &host, DNS_CLASS_IN, 300, &v4);
        dns_builder_address(&builder, DNS_SECTION_ANSWER, &zone, DNS_CLASS_NONE, 0, &v6);
        dns_builder_rr_begin(&builder, DNS_SECTION_AUTHORITY, &other, DNS_TYPE_SRV, DNS_CLASS_IN, 60);
        wire_write_u16(&builder.writer, 0);
        wire_write_u16(&builder.writer, 0);
        wire_write_u16(&builder.writer, 53);
        dns_builder_rdata_name(&builder, &host);
        dns_builder_rr_end(&builder);
        n = dns_builder_end(&builder);
        assert_true(n > 0);

        mark = dns_builder_mark(&builder);
        for (unsigned i = 0; i < 100; i++)
                dns_builder_address(&builder, DNS_SECTION_ADDITIONAL, &other, DNS_CLASS_IN, 1, &v6);
        assert_int_equal(dns_builder_end(&builder), -EMSGSIZE);
        dns_builder_reset(&builder, mark);
        n_again = dns_builder_end(&builder);
        assert_int_equal(n_again, n);

        assert_int_equal(walk_exact(buffer, (size_t) n, NULL), 0);
        assert_int_equal(message.id, 0xabcd);
        assert_int_equal(dns_message_rcode(&message), DNS_RCODE_NXDOMAIN);
        assert_int_equal(message.n_rrs, 3);
        assert_owner(0, "host.d.example");
        assert_owner(1, "d.example");
        assert_owner(2, "other.example");
        assert_int_equal(message.rrs[0].ttl, 300);
        assert_int_equal(message.rrs[1].class, DNS_CLASS_NONE);
        assert_int_equal(dns_rr_address(&message, &message.rrs[0], &back), 0);
        assert_true(address_equal(&back, &v4));
        assert_int_equal(dns_rr_address(&message, &message.rrs[1], &back), 0);
        assert_true(address_equal(&back, &v6));
        assert_int_equal(dns_rr_address(&message, &message.rrs[2], &back), -EBADMSG);
        /* names in RDATA are written out */
        assert_int_equal(message.rrs[2].rdlength, 6 + host.length);
        /* owners at or below the question are not */
        assert_int_equal(message.rrs[1].rdata - message.rrs[1].owner, 2 + 10);
}

static void test_builder_without_room(void **state)
{
        struct dns_name zone = named("d.example");
        struct dns_builder builder;
        uint8_t buffer[64];

        for (size_t size = 0; size < 12 + zone.length + 4u; size++) {
                dns_builder_begin(&builder, buffer, size, 1, 0);
                dns_builder_question(&builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
                assert_int_equal(dns_builder_end(&builder), -EMSGSIZE);
        }
}

static int parse_options(const void *options, size_t length, struct dns_edns *ret)
{
        assert_int_equal(walk_rdata(DNS_SECTION_ADDITIONAL, DNS_TYPE_OPT, 1232, options, length), 0);
        return dns_edns_parse(&message, ret);
}

static void test_edns_parse(void **state)
{
        struct dns_edns edns;

        assert_int_equal(walk_file("hostile/04-zbit", NULL), 0);
        assert_int_equal(dns_edns_parse(&message, &edns), 0);
        assert_false(edns.present);
        assert_int_equal(edns.ede_code, DNS_EDE_NONE);

        assert_int_equal(parse_options("\0\2\0\4\0\0\16\20", 8, &edns), 0);
        assert_int_equal(edns.lease_form, 4);
        assert_int_equal(edns.lease_sec, 3600);
        assert_int_equal(edns.key_lease_sec, 3600);
        assert_int_equal(edns.udp_size, 1232);

        assert_int_equal(parse_options("\0\2\0\10\0\0\0\0\0\22\165\0", 12, &edns), 0);
        assert_int_equal(edns.lease_form, 8);
        assert_int_equal(edns.lease_sec, 0);
        assert_int_equal(edns.key_lease_sec, 0x127500);

        /* an unknown option between known ones, and two EDE of which the first counts */
        assert_int_equal(parse_options("\0\17\0\4\0\22no\0\15\0\0\0\17\0\2\0\7", 18, &edns), 0);
        assert_int_equal(edns.ede_code, DNS_EDE_PROHIBITED);
        assert_int_equal(edns.ede_text_length, 2);
        assert_memory_equal(edns.ede_text, "no", 2);
        assert_int_equal(edns.lease_form, 0);

        assert_int_equal(parse_options("\0\2\0\0", 4, &edns), -EBADMSG);
        assert_int_equal(parse_options("\0\2\0\6abcdef", 10, &edns), -EBADMSG);
        assert_int_equal(parse_options("\0\2\0\4abcd\0\2\0\4abcd", 16, &edns), -EBADMSG);
        assert_int_equal(parse_options("\0\17\0\1x", 5, &edns), -EBADMSG);
}

static void test_edns_write(void **state)
{
        struct dns_edns edns = {
                .udp_size = 1232,
                .dnssec_ok = true,
                .lease_form = 8,
                .lease_sec = 7200,
                .key_lease_sec = 1209600,
                .ede_code = DNS_EDE_BLOCKED,
        }, back;
        struct dns_builder builder;
        uint8_t buffer[512];
        char text[300];

        memset(text, 'x', sizeof(text));
        edns.ede_text = text;
        edns.ede_text_length = sizeof(text);

        dns_builder_begin(&builder, buffer, sizeof(buffer), 1, DNS_FLAG_QR | (DNS_RCODE_BADVERS & 0xf));
        dns_edns_write(&builder, &edns, DNS_RCODE_BADVERS);
        assert_int_equal(walk_exact(buffer, (size_t) dns_builder_end(&builder), NULL), 0);
        assert_int_equal(dns_message_rcode(&message), DNS_RCODE_BADVERS);
        assert_int_equal(dns_edns_parse(&message, &back), 0);
        assert_true(back.present && back.dnssec_ok);
        assert_int_equal(back.version, 0);
        assert_int_equal(back.udp_size, 1232);
        assert_int_equal(back.lease_form, 8);
        assert_int_equal(back.lease_sec, 7200);
        assert_int_equal(back.key_lease_sec, 1209600);
        assert_int_equal(back.ede_code, DNS_EDE_BLOCKED);
        assert_int_equal(back.ede_text_length, 255);

        edns = (struct dns_edns){ .udp_size = 512, .ede_code = DNS_EDE_NONE };
        dns_builder_begin(&builder, buffer, sizeof(buffer), 1, DNS_FLAG_QR);
        dns_edns_write(&builder, &edns, DNS_RCODE_NOERROR);
        assert_int_equal(dns_builder_end(&builder), 12 + 11);
}

static void test_protocol_names(void **state)
{
        assert_string_equal(dns_rcode_to_string(DNS_RCODE_NOTZONE), "NOTZONE");
        assert_null(dns_rcode_to_string(11));
        assert_string_equal(dns_algorithm_to_string(13), "ECDSAP256SHA256");
        assert_null(dns_algorithm_to_string(1));
        assert_int_equal(dns_algorithm_from_string("ed25519"), 15);
        assert_int_equal(dns_algorithm_from_string("14"), 14);
        assert_int_equal(dns_algorithm_from_string("256"), -EINVAL);
        assert_int_equal(dns_algorithm_from_string(""), -EINVAL);
        assert_int_equal(dns_algorithm_from_string("13x"), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wire),
                cmocka_unit_test(test_signed_messages),
                cmocka_unit_test(test_hostile_messages),
                cmocka_unit_test(test_views),
                cmocka_unit_test(test_every_prefix_is_refused),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_rdata_forms),
                cmocka_unit_test(test_empty_rdata),
                cmocka_unit_test(test_specials_have_one_place),
                cmocka_unit_test(test_pointer_loops_end),
                cmocka_unit_test(test_builder),
                cmocka_unit_test(test_builder_without_room),
                cmocka_unit_test(test_edns_parse),
                cmocka_unit_test(test_edns_write),
                cmocka_unit_test(test_protocol_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
