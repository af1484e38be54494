/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/edns.h"
#include "dns/sig0.h"
#include "nsregc/update.h"

#define NOW_SEC  1700000000
#define NOW_USEC (5000 * USEC_PER_SEC)

static struct dns_name zone, name;
static struct dns_keypair *pair;
static struct address_set wanted, gone;

static void add(struct address_set *set, const char *text, usec_t valid)
{
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        assert_int_equal(address_set_add(set, &address, valid), 0);
}

static int set_up(void **state)
{
        assert_int_equal(dns_name_parse("d.example", &zone), 0);
        assert_int_equal(dns_name_parse("box.d.example", &name), 0);
        assert_int_equal(dns_keypair_generate(DNS_ALGORITHM_ECDSAP256SHA256, &pair), 0);
        add(&wanted, "10.0.0.1", USEC_INFINITY);
        add(&wanted, "fd00::1", NOW_USEC + 90 * USEC_PER_SEC);
        add(&gone, "10.0.0.9", USEC_INFINITY);
        return 0;
}

static int tear_down(void **state)
{
        address_set_clear(&wanted);
        address_set_clear(&gone);
        pair = dns_keypair_free(pair);
        return 0;
}

static struct update usual(void)
{
        return (struct update){
                .kind = UPDATE_SET,
                .id = 4711,
                .zone = &zone,
                .name = &name,
                .pair = pair,
                .key_ttl_sec = 7200,
                .addr_ttl_sec = 3600,
                .addresses = &wanted,
                .removals = &gone,
                .now_boottime_usec = NOW_USEC,
                .now_sec = NOW_SEC,
        };
}

static void build(const struct update *update, uint8_t *buffer, struct dns_message *message)
{
        ssize_t size = update_build(update, buffer);

        assert_true(size > 0);
        assert_int_equal(dns_message_walk(buffer, (size_t) size, NULL, message, NULL), 0);
}

/* "type class ttl" of the update section's RRs. */
static void expect_update(const struct dns_message *message, size_t n, const uint32_t (*rows)[3])
{
        unsigned first, have = dns_message_section(message, DNS_SECTION_AUTHORITY, &first);

        assert_int_equal(have, n);
        for (size_t i = 0; i < n; i++) {
                struct dns_name owner;

                assert_int_equal(message->rrs[first + i].type, rows[i][0]);
                assert_int_equal(message->rrs[first + i].class, rows[i][1]);
                assert_int_equal(message->rrs[first + i].ttl, rows[i][2]);
                assert_int_equal(dns_message_owner(message, &message->rrs[first + i], &owner), 0);
                assert_true(dns_name_equal(&owner, &name));
        }
}

static bool name_is_plain(const uint8_t *at)
{
        while (*at > 0 && *at < 0x40)
                at += 1 + *at;
        return *at == 0;
}

/* A server that packs what it has read before it verifies has the octets of a message without pointers. */
static void test_no_name_is_compressed(void **state)
{
        static const enum update_kind kinds[] = { UPDATE_SET, UPDATE_WITHDRAW, UPDATE_RELEASE };
        struct update update = usual();
        uint8_t buffer[UPDATE_SIZE_MAX];
        struct dns_message message;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                size_t n = 0;

                update.kind = kinds[i];
                update.by_rrset = i > 0;
                build(&update, buffer, &message);
                assert_true(name_is_plain(buffer + DNS_HEADER_SIZE));
                for (enum dns_section s = DNS_SECTION_ANSWER; s < _DNS_SECTIONS; s++)
                        n += message.counts[s];
                assert_true(n >= 3);
                for (size_t j = 0; j < n; j++)
                        assert_true(name_is_plain(buffer + message.rrs[j].owner));
        }
}

static void test_form_for_everybody(void **state)
{
        struct update update = usual();
        uint8_t buffer[UPDATE_SIZE_MAX];
        struct dns_message message;
        struct dns_sig0 sig;
        struct dns_edns edns;
        struct dns_key key;
        unsigned first;
        EVP_PKEY *public_key;

        build(&update, buffer, &message);
        assert_int_equal(message.id, 4711);
        assert_int_equal(dns_message_opcode(&message), DNS_OPCODE_UPDATE);
        assert_int_equal(message.question_type, DNS_TYPE_SOA);
        assert_true(dns_name_equal(&message.question_name, &zone));
        assert_int_equal(message.counts[DNS_SECTION_ANSWER], 0);
        expect_update(&message, 3,
                      (const uint32_t[][3]){ { DNS_TYPE_A, DNS_CLASS_NONE, 0 },
                                             { DNS_TYPE_A, DNS_CLASS_IN, 3600 },
                                             { DNS_TYPE_AAAA, DNS_CLASS_IN, 90 } });

        /* The key comes first in additional, with its lease; the signature last. */
        assert_int_equal(dns_message_section(&message, DNS_SECTION_ADDITIONAL, &first), 3);
        assert_int_equal(message.rrs[first].type, DNS_TYPE_KEY);
        assert_int_equal(message.rrs[first].ttl, 7200);
        assert_int_equal(dns_key_from_rdata(dns_message_rdata(&message, &message.rrs[first]),
                                            message.rrs[first].rdlength, &key),
                         0);
        assert_true(dns_key_same(&key, &pair->key));
        assert_int_equal(key.flags, 0);
        assert_int_equal(key.protocol, 3);

        assert_int_equal(dns_edns_parse(&message, &edns), 0);
        assert_int_equal(edns.lease_form, 8);
        assert_int_equal(edns.lease_sec, 90); /* the shortest life among them */
        assert_int_equal(edns.key_lease_sec, 7200);

        assert_int_equal(dns_sig0_parse(&message, &sig), 0);
        assert_true(dns_name_equal(&sig.signer, &name));
        assert_int_equal(sig.inception, NOW_SEC - 300);
        assert_int_equal(sig.expiration, NOW_SEC + 300);
        assert_int_equal(dns_key_load(&key, &public_key), 0);
        assert_int_equal(dns_sig0_verify(&message, &sig, public_key), 0);
        EVP_PKEY_free(public_key);
}

static void test_by_rrset(void **state)
{
        struct update update = usual();
        uint8_t buffer[UPDATE_SIZE_MAX];
        struct dns_message message;

        update.by_rrset = true;
        build(&update, buffer, &message);
        expect_update(&message, 4,
                      (const uint32_t[][3]){ { DNS_TYPE_A, DNS_CLASS_ANY, 0 },
                                             { DNS_TYPE_AAAA, DNS_CLASS_ANY, 0 },
                                             { DNS_TYPE_A, DNS_CLASS_IN, 3600 },
                                             { DNS_TYPE_AAAA, DNS_CLASS_IN, 90 } });
}

static void test_withdraw_and_release(void **state)
{
        struct update update = usual();
        uint8_t buffer[UPDATE_SIZE_MAX];
        struct dns_message message;
        struct dns_edns edns;

        update.kind = UPDATE_WITHDRAW;
        build(&update, buffer, &message);
        expect_update(&message, 1, (const uint32_t[][3]){ { DNS_TYPE_A, DNS_CLASS_NONE, 0 } });
        assert_int_equal(dns_edns_parse(&message, &edns), 0);
        /* 0 would speak of all records of the name, those of others with this key too. */
        assert_int_equal(edns.lease_sec, 3600);
        assert_int_equal(edns.key_lease_sec, 7200);

        update.kind = UPDATE_RELEASE;
        update.by_rrset = true;
        build(&update, buffer, &message);
        assert_int_equal(dns_edns_parse(&message, &edns), 0);
        assert_int_equal(edns.lease_sec, 0);
        assert_int_equal(edns.key_lease_sec, 0);
}

static void test_an_address_near_its_end_has_no_ttl_0(void **state)
{
        struct address_set dying = { 0 };
        struct update update = usual();
        uint8_t buffer[UPDATE_SIZE_MAX];
        struct dns_message message;
        unsigned first;

        add(&dying, "10.0.0.1", NOW_USEC - USEC_PER_SEC);
        update.addresses = &dying;
        update.removals = &(struct address_set){ 0 };
        build(&update, buffer, &message);
        assert_int_equal(dns_message_section(&message, DNS_SECTION_AUTHORITY, &first), 1);
        assert_int_equal(message.rrs[first].ttl, 1);
        address_set_clear(&dying);
}

struct reply {
        uint8_t buffer[1024];
        struct dns_builder builder;
};

static void reply_begin(struct reply *reply, unsigned rcode)
{
        dns_builder_begin(&reply->builder, reply->buffer, sizeof(reply->buffer), 1,
                          (uint16_t) (DNS_FLAG_QR | DNS_OPCODE_UPDATE << 11 | rcode));
        dns_builder_question(&reply->builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
}

static void reply_read(struct reply *reply, struct update_answer *answer)
{
        ssize_t size = dns_builder_end(&reply->builder);

        assert_true(size > 0);
        assert_int_equal(update_answer_read(reply->buffer, (size_t) size, &name, answer), 0);
}

static void test_grant_of_the_original(void **state)
{
        struct reply reply;
        struct update_answer answer;

        reply_begin(&reply, DNS_RCODE_NOERROR);
        for (size_t i = 0; i < wanted.n_items; i++)
                dns_builder_address(&reply.builder, DNS_SECTION_ANSWER, &name, DNS_CLASS_IN,
                                    i == 0 ? 600 : 90, &wanted.items[i].address);
        dns_builder_address(&reply.builder, DNS_SECTION_ANSWER, &name, DNS_CLASS_NONE, 0,
                            &gone.items[0].address);
        dns_builder_address(&reply.builder, DNS_SECTION_ANSWER, &zone, DNS_CLASS_IN, 5,
                            &gone.items[0].address);
        reply_read(&reply, &answer);
        assert_int_equal(answer.verdict, VERDICT_GRANTED);
        assert_false(answer.knows_lease);
        assert_int_equal(answer.lease_sec, 90);
        assert_true(address_set_equal(&answer.granted, &wanted));
        update_answer_clear(&answer);
}

static void test_grant_with_lease(void **state)
{
        struct reply reply;
        struct update_answer answer;
        struct dns_edns edns = {
                .present = true, .lease_form = 8, .lease_sec = 30, .key_lease_sec = 99, .ede_code = -1
        };

        reply_begin(&reply, DNS_RCODE_NOERROR);
        dns_builder_address(&reply.builder, DNS_SECTION_ANSWER, &name, DNS_CLASS_IN, 600,
                            &wanted.items[0].address);
        dns_edns_write(&reply.builder, &edns, 0);
        reply_read(&reply, &answer);
        assert_true(answer.knows_lease);
        assert_int_equal(answer.lease_sec, 30);
        update_answer_clear(&answer);
}

static void test_refusals(void **state)
{
        static const struct {
                unsigned rcode;
                int ede;
                enum verdict verdict;
        } cases[] = {
                { DNS_RCODE_SERVFAIL, -1, VERDICT_LATER },   { DNS_RCODE_REFUSED, 18, VERDICT_REFUSED },
                { DNS_RCODE_NOTAUTH, -1, VERDICT_REFUSED },  { DNS_RCODE_NOTAUTH, 7, VERDICT_CLOCK },
                { DNS_RCODE_NOTAUTH, 8, VERDICT_CLOCK },     { DNS_RCODE_FORMERR, -1, VERDICT_FORM },
                { DNS_RCODE_NOTIMP, -1, VERDICT_FORM },      { DNS_RCODE_NOTZONE, -1, VERDICT_REFUSED },
                { DNS_RCODE_YXDOMAIN, -1, VERDICT_REFUSED },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct reply reply;
                struct update_answer answer;
                struct dns_edns edns = { .present = true,
                                         .ede_code = cases[i].ede,
                                         .ede_text = "told by EDE",
                                         .ede_text_length = 11 };

                reply_begin(&reply, cases[i].rcode);
                if (cases[i].ede >= 0)
                        dns_edns_write(&reply.builder, &edns, cases[i].rcode);
                reply_read(&reply, &answer);
                assert_int_equal(answer.verdict, cases[i].verdict);
                assert_string_equal(answer.text, cases[i].ede >= 0 ? "told by EDE" : "");
                update_answer_clear(&answer);
        }
}

static void test_text_of_the_original_comes_first_and_is_escaped(void **state)
{
        struct reply reply;
        struct update_answer answer;
        static const uint8_t text[] = "\012no \033[31mway\n";

        reply_begin(&reply, DNS_RCODE_REFUSED);
        dns_builder_rr(&reply.builder, DNS_SECTION_ADDITIONAL, &name, DNS_TYPE_TXT, DNS_CLASS_ANY, 0, text,
                       11);
        reply_read(&reply, &answer);
        assert_string_equal(answer.text, "no \\027[31mwa");
        update_answer_clear(&answer);
}

static void test_rubbish(void **state)
{
        struct update_answer answer;
        uint8_t rubbish[40] = { 0 };

        for (size_t i = 0; i < sizeof(rubbish); i++)
                rubbish[i] = (uint8_t) (i * 37);
        assert_int_equal(update_answer_read(rubbish, sizeof(rubbish), &name, &answer), -EBADMSG);
        assert_int_equal(update_answer_read(rubbish, 3, &name, &answer), -EBADMSG);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_form_for_everybody),
                TEST(test_no_name_is_compressed),
                TEST(test_by_rrset),
                TEST(test_withdraw_and_release),
                TEST(test_an_address_near_its_end_has_no_ttl_0),
                TEST(test_grant_of_the_original),
                TEST(test_grant_with_lease),
                TEST(test_refusals),
                TEST(test_text_of_the_original_comes_first_and_is_escaped),
                TEST(test_rubbish),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
