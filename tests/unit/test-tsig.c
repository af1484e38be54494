/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "dns/tsig.h"
#include "util/macro.h"

#define NOW 1500000000

static struct dns_message message;

static const struct {
        const char *name, *digest;
        size_t size;
} digests[] = {
        { "hmac-sha1", "SHA1", 20 },     { "hmac-sha224", "SHA224", 28 }, { "hmac-sha256", "SHA256", 32 },
        { "hmac-sha384", "SHA384", 48 }, { "hmac-sha512", "SHA512", 64 },
};

static struct tsig_key make_key(enum tsig_algorithm algorithm)
{
        struct tsig_key key = { .algorithm = algorithm };

        assert_int_equal(dns_name_parse("Upstream-Key.example", &key.name), 0);
        assert_int_equal(tsig_key_set_secret(&key, "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"), 0);
        return key;
}

static size_t build_update(struct dns_builder *builder, uint8_t *buffer, size_t size, uint16_t id)
{
        struct dns_name zone, owner;
        struct address address;

        assert_int_equal(dns_name_parse("d.example", &zone), 0);
        assert_int_equal(dns_name_parse("host.d.example", &owner), 0);
        assert_int_equal(address_parse("2001:db8::1", &address), 0);
        dns_builder_begin(builder, buffer, size, id, DNS_OPCODE_UPDATE << 11);
        dns_builder_question(builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        dns_builder_address(builder, DNS_SECTION_AUTHORITY, &owner, DNS_CLASS_IN, 60, &address);
        return (size_t) dns_builder_end(builder);
}

/* What a server puts into its answer's TSIG. */
struct answer {
        uint16_t id, original_id;
        uint16_t error;
        uint64_t time_signed;
        const char *key_name;
        const char *algorithm;
        unsigned hash; /* index into digests */
        const char *secret;
        size_t other_size;
        const char *other;
        int mac_size; /* -1: the digest's */
        uint16_t fudge;
};

static struct answer good_answer(unsigned hash)
{
        return (struct answer){
                .id = 0x1234,
                .original_id = 0x1234,
                .time_signed = NOW,
                .key_name = "upstream-key.example",
                .algorithm = digests[hash].name,
                .hash = hash,
                .secret = "secret secret secret secret",
                .mac_size = -1,
                .fudge = 300,
        };
}

/* A server made of nothing that the code under test has: octets laid out by hand as RFC 8945 section 4.3
 * says, and OpenSSL's HMAC(). */
static size_t sign_answer(const struct answer *answer, const struct tsig_context *request, uint8_t *buffer)
{
        static const uint8_t question[] = "\1d\7example\0\0\6\0\1";
        uint8_t signed_octets[1024], mac[EVP_MAX_MD_SIZE];
        struct wire_writer out = wire_writer_init(buffer, 1024);
        struct wire_writer input = wire_writer_init(signed_octets, sizeof(signed_octets));
        struct dns_name key_name, algorithm;
        unsigned mac_size = 0;
        size_t rdlength_at;

        assert_int_equal(dns_name_parse(answer->key_name, &key_name), 0);
        assert_int_equal(dns_name_parse(answer->algorithm, &algorithm), 0);

        wire_write_u16(&input, request->request_mac_length);
        wire_write_bytes(&input, request->request_mac, request->request_mac_length);
        wire_write_u16(&input, answer->original_id);
        wire_write_bytes(&input, "\250\0\0\1\0\0\0\0\0\0", 10);
        wire_write_bytes(&input, question, sizeof(question) - 1);
        wire_write_bytes(&input, key_name.wire, key_name.length);
        wire_write_u16(&input, 255);
        wire_write_u32(&input, 0);
        wire_write_bytes(&input, algorithm.wire, algorithm.length);
        wire_write_u48(&input, answer->time_signed);
        wire_write_u16(&input, answer->fudge);
        wire_write_u16(&input, answer->error);
        wire_write_u16(&input, (uint16_t) answer->other_size);
        wire_write_bytes(&input, answer->other, answer->other_size);
        assert_false(input.error);
        HMAC(EVP_get_digestbyname(digests[answer->hash].digest), answer->secret, (int) strlen(answer->secret),
             signed_octets, input.position, mac, &mac_size);
        if (answer->mac_size >= 0)
                mac_size = (unsigned) answer->mac_size;

        wire_write_u16(&out, answer->id);
        wire_write_bytes(&out, "\250\0\0\1\0\0\0\0\0\1", 10);
        wire_write_bytes(&out, question, sizeof(question) - 1);
        wire_write_bytes(&out, key_name.wire, key_name.length);
        wire_write_u16(&out, 250);
        wire_write_u16(&out, 255);
        wire_write_u32(&out, 0);
        rdlength_at = out.position;
        wire_write_u16(&out, 0);
        wire_write_bytes(&out, algorithm.wire, algorithm.length);
        wire_write_u48(&out, answer->time_signed);
        wire_write_u16(&out, answer->fudge);
        wire_write_u16(&out, (uint16_t) mac_size);
        wire_write_bytes(&out, mac, mac_size);
        wire_write_u16(&out, answer->original_id);
        wire_write_u16(&out, answer->error);
        wire_write_u16(&out, (uint16_t) answer->other_size);
        wire_write_bytes(&out, answer->other, answer->other_size);
        wire_patch_u16(&out, rdlength_at, (uint16_t) (out.position - rdlength_at - 2));
        assert_false(out.error);
        return out.position;
}

static enum tsig_verdict verify(const uint8_t *wire, size_t size, const struct tsig_context *context,
                                unsigned *ret_error, uint64_t *ret_server_time)
{
        struct tsig_answer answer;
        enum tsig_verdict verdict;

        if (dns_message_walk(wire, size, NULL, &message, NULL) < 0)
                return TSIG_BAD;
        verdict = tsig_verify(&message, context, &answer);
        if (ret_error)
                *ret_error = answer.error;
        if (ret_server_time)
                *ret_server_time = answer.server_time;
        return verdict;
}

static enum tsig_verdict judge(const struct answer *answer, const struct tsig_context *context)
{
        uint8_t buffer[1024];

        return verify(buffer, sign_answer(answer, context, buffer), context, NULL, NULL);
}

static void make_request(const struct tsig_key *key, struct tsig_context *ret)
{
        struct dns_builder builder;
        uint8_t buffer[512];

        build_update(&builder, buffer, sizeof(buffer), 0x1234);
        assert_int_equal(tsig_sign(&builder, key, NOW, TSIG_FUDGE_SEC, ret), 0);
}

static void test_sign(void **state)
{
        for (unsigned i = 0; i < ELEMENTSOF(digests); i++) {
                struct tsig_key key = make_key((enum tsig_algorithm) i);
                uint8_t buffer[512], input[512], mac[EVP_MAX_MD_SIZE];
                struct wire_writer writer = wire_writer_init(input, sizeof(input));
                struct tsig_context context;
                struct dns_builder builder;
                struct dns_name algorithm, owner;
                const struct dns_rr *rr;
                unsigned mac_size;
                size_t unsigned_size;
                ssize_t size;

                unsigned_size = build_update(&builder, buffer, sizeof(buffer), 0x1234);
                wire_write_bytes(&writer, buffer, unsigned_size);
                assert_int_equal(tsig_sign(&builder, &key, NOW, TSIG_FUDGE_SEC, &context), 0);
                size = dns_builder_end(&builder);
                assert_true(size > 0);
                assert_true((size_t) size - unsigned_size <= tsig_key_room(&key));

                assert_int_equal(dns_message_walk(buffer, (size_t) size, NULL, &message, NULL), 0);
                assert_int_equal(message.tsig, message.n_rrs - 1);
                rr = &message.rrs[message.tsig];
                assert_int_equal(rr->owner, unsigned_size);
                assert_int_equal(dns_message_owner(&message, rr, &owner), 0);
                assert_true(dns_name_equal(&owner, &key.name));
                assert_int_equal(context.id, 0x1234);
                assert_int_equal(context.request_mac_length, digests[i].size);

                assert_int_equal(dns_name_parse(digests[i].name, &algorithm), 0);
                wire_write_bytes(&writer, key.name.wire, key.name.length);
                wire_write_bytes(&writer, "\0\377\0\0\0\0", 6);
                wire_write_bytes(&writer, algorithm.wire, algorithm.length);
                wire_write_u48(&writer, NOW);
                wire_write_u16(&writer, 300);
                wire_write_u32(&writer, 0);
                HMAC(EVP_get_digestbyname(digests[i].digest), key.secret, (int) key.secret_length, input,
                     writer.position, mac, &mac_size);
                assert_int_equal(mac_size, context.request_mac_length);
                assert_memory_equal(mac, context.request_mac, mac_size);
                assert_memory_equal(mac, buffer + rr->rdata + algorithm.length + 10, mac_size);
        }
}

static void test_good_answers(void **state)
{
        for (unsigned i = 0; i < ELEMENTSOF(digests); i++) {
                struct tsig_key key = make_key((enum tsig_algorithm) i);
                struct answer answer = good_answer(i);
                struct tsig_context context;

                make_request(&key, &context);
                assert_int_equal(judge(&answer, &context), TSIG_GOOD);
                /* Its MAC is bound to our request: whenever it was signed, it is the answer to that. */
                answer.time_signed = NOW - 1000000;
                assert_int_equal(judge(&answer, &context), TSIG_GOOD);
        }
}

/* The server signed for the ID that a forwarder gave the request. */
static void test_forwarded_answer(void **state)
{
        struct tsig_key key = make_key(TSIG_HMAC_SHA256);
        struct answer answer = good_answer(TSIG_HMAC_SHA256);
        struct tsig_context context;
        struct tsig_answer result;
        uint8_t buffer[1024];

        make_request(&key, &context);
        assert_int_equal(
                dns_message_walk(buffer, sign_answer(&answer, &context, buffer), NULL, &message, NULL), 0);
        assert_int_equal(tsig_verify(&message, &context, &result), TSIG_GOOD);
        assert_false(result.forwarded);
        answer.original_id = 0x4321;
        assert_int_equal(
                dns_message_walk(buffer, sign_answer(&answer, &context, buffer), NULL, &message, NULL), 0);
        assert_int_equal(tsig_verify(&message, &context, &result), TSIG_GOOD);
        assert_true(result.forwarded);
}

static void test_any_flipped_bit_is_noticed(void **state)
{
        for (unsigned i = 0; i < ELEMENTSOF(digests); i++) {
                struct tsig_key key = make_key((enum tsig_algorithm) i);
                struct answer answer = good_answer(i);
                struct tsig_context context;
                uint8_t buffer[1024];
                size_t size;

                make_request(&key, &context);
                size = sign_answer(&answer, &context, buffer);
                for (size_t offset = 0; offset < size; offset++)
                        for (unsigned bit = 0; bit < 8; bit++) {
                                enum tsig_verdict verdict;
                                uint8_t original = buffer[offset];

                                buffer[offset] ^= (uint8_t) (1 << bit);
                                verdict = verify(buffer, size, &context, NULL, NULL);
                                buffer[offset] = original;

                                /* Names are compared and signed in lower case, so another case is the same
                                 * name. */
                                if (bit == 5 && ((original | 0x20) >= 'a' && (original | 0x20) <= 'z') &&
                                    verdict == TSIG_GOOD)
                                        assert_true(offset > 12 + 15);
                                else
                                        assert_int_not_equal(verdict, TSIG_GOOD);
                        }
                assert_int_equal(verify(buffer, size, &context, NULL, NULL), TSIG_GOOD);
        }
}

static void test_wrong_answers(void **state)
{
        struct tsig_key key = make_key(TSIG_HMAC_SHA256);
        struct tsig_context context, other_context;
        struct answer answer;
        struct dns_builder builder;
        uint8_t buffer[512];

        make_request(&key, &context);

        answer = good_answer(TSIG_HMAC_SHA256);
        answer.secret = "another secret";
        assert_int_equal(judge(&answer, &context), TSIG_BAD);

        answer = good_answer(TSIG_HMAC_SHA256);
        answer.key_name = "other-key.example";
        assert_int_equal(judge(&answer, &context), TSIG_BAD);

        /* the same digest under another name, and another digest under its own */
        answer = good_answer(TSIG_HMAC_SHA256);
        answer.algorithm = "hmac-sha512";
        assert_int_equal(judge(&answer, &context), TSIG_BAD);
        answer = good_answer(TSIG_HMAC_SHA512);
        assert_int_equal(judge(&answer, &context), TSIG_BAD);

        answer = good_answer(TSIG_HMAC_SHA256);
        answer.id = answer.original_id = 0x1235;
        assert_int_equal(judge(&answer, &context), TSIG_BAD);
        answer = good_answer(TSIG_HMAC_SHA256);
        answer.id = 0x1235;
        assert_int_equal(judge(&answer, &context), TSIG_BAD);

        for (int mac_size = 0; mac_size < 32; mac_size++) {
                answer = good_answer(TSIG_HMAC_SHA256);
                answer.mac_size = mac_size;
                assert_int_equal(judge(&answer, &context), TSIG_BAD);
        }

        /* an answer to another request of ours */
        other_context = context;
        other_context.request_mac[0] ^= 1;
        answer = good_answer(TSIG_HMAC_SHA256);
        assert_int_equal(verify(buffer, sign_answer(&answer, &other_context, buffer), &context, NULL, NULL),
                         TSIG_BAD);

        assert_int_equal(
                verify(buffer, build_update(&builder, buffer, sizeof(buffer), 0x1234), &context, NULL, NULL),
                TSIG_MISSING);
}

static void test_tsig_errors(void **state)
{
        struct tsig_key key = make_key(TSIG_HMAC_SHA256);
        struct tsig_context context;
        struct answer answer;
        uint64_t server_time = 0;
        unsigned error = 0;
        uint8_t buffer[1024];

        make_request(&key, &context);

        for (unsigned code = DNS_RCODE_BADSIG; code <= DNS_RCODE_BADKEY; code++) {
                answer = good_answer(TSIG_HMAC_SHA256);
                answer.error = (uint16_t) code;
                answer.mac_size = 0;
                assert_int_equal(
                        verify(buffer, sign_answer(&answer, &context, buffer), &context, &error, NULL),
                        TSIG_UNSIGNED);
                assert_int_equal(error, code);
                /* with a MAC that is right it is nonsense */
                answer.mac_size = -1;
                assert_int_equal(judge(&answer, &context), TSIG_BAD);
        }

        /* the server's clock is one day ahead; it repeats our time */
        answer = good_answer(TSIG_HMAC_SHA256);
        answer.error = DNS_RCODE_BADTIME;
        answer.other = "\0\0\131\152\160\200";
        answer.other_size = 6;
        assert_int_equal(
                verify(buffer, sign_answer(&answer, &context, buffer), &context, &error, &server_time),
                TSIG_BADTIME);
        assert_int_equal(error, DNS_RCODE_BADTIME);
        assert_true(server_time == 0x596a7080);

        answer.other_size = 5;
        assert_int_equal(judge(&answer, &context), TSIG_BAD);
        answer.other_size = 6;
        answer.mac_size = 0;
        assert_int_equal(judge(&answer, &context), TSIG_BAD);
        answer.mac_size = -1;
        answer.secret = "another secret";
        assert_int_equal(judge(&answer, &context), TSIG_BAD);
}

static void test_no_room_to_sign(void **state)
{
        struct tsig_key key = make_key(TSIG_HMAC_SHA512);
        struct tsig_context context;
        struct dns_builder builder;
        uint8_t buffer[512];
        size_t size = build_update(&builder, buffer, sizeof(buffer), 1);

        build_update(&builder, buffer, size + 60, 1);
        assert_int_equal(tsig_sign(&builder, &key, NOW, TSIG_FUDGE_SEC, &context), -EMSGSIZE);
}

static void test_algorithm_names(void **state)
{
        enum tsig_algorithm algorithm;

        for (unsigned i = 0; i < ELEMENTSOF(digests); i++) {
                assert_int_equal(tsig_algorithm_from_string(digests[i].name, &algorithm), 0);
                assert_int_equal(algorithm, i);
                assert_string_equal(tsig_algorithm_to_string(algorithm), digests[i].name);
        }
        assert_int_equal(tsig_algorithm_from_string("HMAC-SHA384.", &algorithm), 0);
        assert_int_equal(algorithm, TSIG_HMAC_SHA384);
        assert_int_equal(tsig_algorithm_from_string("hmac-sha2", &algorithm), -EINVAL);
        assert_int_equal(tsig_algorithm_from_string("hmac-sha256..", &algorithm), -EINVAL);
        assert_int_equal(tsig_algorithm_from_string("", &algorithm), -EINVAL);
        assert_int_equal(tsig_algorithm_from_string(".", &algorithm), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sign),
                cmocka_unit_test(test_good_answers),
                cmocka_unit_test(test_forwarded_answer),
                cmocka_unit_test(test_any_flipped_bit_is_noticed),
                cmocka_unit_test(test_wrong_answers),
                cmocka_unit_test(test_tsig_errors),
                cmocka_unit_test(test_no_room_to_sign),
                cmocka_unit_test(test_algorithm_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
