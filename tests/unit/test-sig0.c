/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/sig0.h"
#include "util/file.h"
#include "util/macro.h"

#define SIGNED TESTS_DIRECTORY "/data/messages/signed/"

static const char *const files[] = {
        "bind-ecdsap256sha256",
        "bind-ecdsap384sha384",
        "bind-ed25519",
        "bind-ed448",
        "bind-rsa",
        "comp-p256",
        "netdns-ecdsap256sha256",
        "netdns-ecdsap384sha384",
        "netdns-ed25519",
        "netdns-ed448",
        "netdns-rsa",
};

static struct dns_message message;

static uint8_t *load(const char *name, size_t *ret_size, EVP_PKEY **ret_key, uint16_t *ret_tag)
{
        char path[256], *wire;
        _cleanup_free_ char *text = NULL;
        struct dns_name owner;
        struct dns_key key;

        snprintf(path, sizeof(path), SIGNED "%s.bin", name);
        assert_int_equal(file_read(path, DNS_MESSAGE_MAX, &wire, ret_size), 0);
        snprintf(path, sizeof(path), SIGNED "%s.key", name);
        assert_int_equal(file_read(path, 10000, &text, NULL), 0);
        assert_int_equal(dns_key_parse_rr(text, &owner, &key), 0);
        assert_int_equal(dns_key_load(&key, ret_key), 0);
        *ret_tag = dns_key_tag(&key);
        return (uint8_t *) wire;
}

/* The whole way of a message: walk, SIG, signature. 0 only if all is well. */
static int check(const uint8_t *wire, size_t size, EVP_PKEY *key)
{
        struct dns_sig0 sig;
        int r;

        r = dns_message_walk(wire, size, NULL, &message, NULL);
        if (r < 0)
                return r;
        r = dns_sig0_parse(&message, &sig);
        if (r < 0)
                return r;

        return dns_sig0_verify(&message, &sig, key);
}

static void test_foreign_signatures(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                EVP_PKEY *key;
                size_t size;
                uint16_t tag;
                _cleanup_free_ uint8_t *wire = load(files[i], &size, &key, &tag);
                struct dns_name zone;
                struct dns_sig0 sig;

                assert_int_equal(check(wire, size, key), 0);
                assert_int_equal(dns_sig0_parse(&message, &sig), 0);
                assert_int_equal(sig.key_tag, tag);
                assert_true(sig.expiration > sig.inception);
                assert_int_equal(dns_name_parse("d.example", &zone), 0);
                assert_true(dns_name_is_subdomain(&sig.signer, &zone));
                EVP_PKEY_free(key);
        }
}

static void test_any_flipped_bit_is_noticed(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                /* all bits where checking is cheap, one per octet where it is not */
                bool slow = strstr(files[i], "384") || strstr(files[i], "448");
                EVP_PKEY *key;
                size_t size;
                uint16_t tag;
                _cleanup_free_ uint8_t *wire = load(files[i], &size, &key, &tag);

                for (size_t offset = 0; offset < size; offset++)
                        for (unsigned bit = 0; bit < 8; bit++) {
                                uint8_t mask = slow ? (uint8_t) (1 << offset % 8) : (uint8_t) (1 << bit);

                                wire[offset] ^= mask;
                                assert_true(check(wire, size, key) < 0);
                                wire[offset] ^= mask;
                                if (slow)
                                        break;
                        }
                assert_int_equal(check(wire, size, key), 0);
                EVP_PKEY_free(key);
        }
}

static void test_wrong_key(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                EVP_PKEY *key, *other;
                size_t size, other_size;
                uint16_t tag;
                _cleanup_free_ uint8_t *wire = load(files[i], &size, &key, &tag);

                for (size_t j = 0; j < ELEMENTSOF(files); j++) {
                        _cleanup_free_ uint8_t *other_wire = load(files[j], &other_size, &other, &tag);

                        assert_int_equal(check(wire, size, other),
                                         EVP_PKEY_eq(key, other) == 1 ? 0 : -EKEYREJECTED);
                        EVP_PKEY_free(other);
                }
                EVP_PKEY_free(key);
        }
}

static size_t build(struct dns_builder *builder, uint8_t *buffer, size_t size, size_t padding)
{
        struct dns_name zone, owner;
        struct address address;
        ssize_t n;

        assert_int_equal(dns_name_parse("d.example", &zone), 0);
        assert_int_equal(dns_name_parse("host.d.example", &owner), 0);
        assert_int_equal(address_parse("192.0.2.1", &address), 0);

        dns_builder_begin(builder, buffer, size, 0x1234, DNS_OPCODE_UPDATE << 11);
        dns_builder_question(builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        dns_builder_address(builder, DNS_SECTION_AUTHORITY, &owner, DNS_CLASS_IN, 60, &address);
        if (padding > 0) {
                _cleanup_free_ uint8_t *octets = calloc(1, padding);

                dns_builder_rr(builder, DNS_SECTION_AUTHORITY, &owner, 65280, DNS_CLASS_IN, 0, octets,
                               padding);
        }
        n = dns_builder_end(builder);
        assert_true(n > 0);
        return (size_t) n;
}

static void test_own_signatures(void **state)
{
        static const uint8_t algorithms[] = { 13, 14, 15, 16 };
        static const size_t paddings[] = { 0, 1900, 30000 }; /* on the stack, about its limit, beyond */
        static uint8_t buffer[DNS_MESSAGE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(algorithms); i++)
                for (size_t j = 0; j < ELEMENTSOF(paddings); j++) {
                        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
                        struct dns_builder builder;
                        struct dns_name signer;
                        struct dns_sig0 sig;
                        EVP_PKEY *key;
                        ssize_t size;

                        assert_int_equal(dns_keypair_generate(algorithms[i], &pair), 0);
                        assert_int_equal(dns_key_load(&pair->key, &key), 0);
                        assert_int_equal(dns_name_parse("host.d.example", &signer), 0);
                        build(&builder, buffer, sizeof(buffer), paddings[j]);
                        assert_int_equal(dns_sig0_sign(&builder, pair, &signer, UINT64_C(0x1ffffff00),
                                                       UINT64_C(0x200000100)),
                                         0);
                        size = dns_builder_end(&builder);
                        assert_true(size > 0);

                        assert_int_equal(check(buffer, (size_t) size, key), 0);
                        assert_int_equal(dns_sig0_parse(&message, &sig), 0);
                        assert_true(dns_name_equal(&sig.signer, &signer));
                        assert_int_equal(sig.algorithm, algorithms[i]);
                        assert_int_equal(sig.key_tag, dns_key_tag(&pair->key));
                        assert_int_equal(sig.inception, 0xffffff00);
                        assert_int_equal(sig.expiration, 0x100);
                        buffer[30] ^= 1;
                        assert_true(check(buffer, (size_t) size, key) < 0);
                        EVP_PKEY_free(key);
                }
}

static void test_own_rsa_signature(void **state)
{
        static const char *const names[] = { "rsa256", "rsa512" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
                _cleanup_free_ char *text = NULL;
                struct dns_builder builder;
                struct dns_name signer;
                uint8_t buffer[1024];
                EVP_PKEY *key;
                char path[256];

                snprintf(path, sizeof(path), TESTS_DIRECTORY "/data/keys/%s.private", names[i]);
                assert_int_equal(file_read(path, 10000, &text, NULL), 0);
                assert_int_equal(dns_keypair_parse(text, strlen(text), &pair), 0);
                assert_int_equal(dns_key_load(&pair->key, &key), 0);
                assert_int_equal(dns_name_parse("host.d.example", &signer), 0);
                build(&builder, buffer, sizeof(buffer), 0);
                assert_int_equal(dns_sig0_sign(&builder, pair, &signer, 1, 2), 0);
                assert_int_equal(check(buffer, (size_t) dns_builder_end(&builder), key), 0);
                EVP_PKEY_free(key);
        }
}

static void test_no_room_to_sign(void **state)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        struct dns_builder builder;
        struct dns_name signer;
        uint8_t buffer[1024];
        size_t size;

        assert_int_equal(dns_keypair_generate(15, &pair), 0);
        assert_int_equal(dns_name_parse("host.d.example", &signer), 0);
        size = build(&builder, buffer, sizeof(buffer), 0);
        build(&builder, buffer, size + 50, 0);
        assert_int_equal(dns_sig0_sign(&builder, pair, &signer, 1, 2), -EMSGSIZE);
        assert_int_equal(dns_builder_end(&builder), -EMSGSIZE);
}

static void test_sig_form(void **state)
{
        EVP_PKEY *key;
        size_t size;
        uint16_t tag;
        _cleanup_free_ uint8_t *wire = load("bind-ed25519", &size, &key, &tag);
        struct dns_sig0 sig;
        struct dns_rr rr;

        assert_int_equal(dns_message_walk(wire, size, NULL, &message, NULL), 0);
        rr = message.rrs[message.sig0];

        wire[rr.owner + 4] = DNS_CLASS_IN; /* class */
        assert_int_equal(check(wire, size, key), -EBADMSG);
        wire[rr.owner + 4] = DNS_CLASS_ANY;
        wire[rr.owner + 8] = 1; /* TTL */
        assert_int_equal(check(wire, size, key), -EBADMSG);
        wire[rr.owner + 8] = 0;
        wire[rr.rdata + 3] = 2; /* labels */
        assert_int_equal(check(wire, size, key), -EBADMSG);
        wire[rr.rdata + 3] = 0;
        wire[rr.rdata + 1] = DNS_TYPE_A; /* type covered: no SIG(0) any more */
        assert_int_equal(check(wire, size, key), -ENODATA);
        wire[rr.rdata + 1] = 0;
        assert_int_equal(check(wire, size, key), 0);

        /* a SIG without a signature */
        size -= 64;
        wire[rr.rdata - 2] = 0;
        wire[rr.rdata - 1] = (uint8_t) (rr.rdlength - 64);
        assert_int_equal(dns_message_walk(wire, size, NULL, &message, NULL), 0);
        assert_int_equal(dns_sig0_parse(&message, &sig), -EBADMSG);
        EVP_PKEY_free(key);
}

/* The hash names the request, not the signature: two ECDSA signatures of one request have the same. */
static void test_hash(void **state)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        uint8_t buffers[3][1024], hashes[3][DNS_SIG0_HASH_SIZE];
        struct dns_builder builder;
        struct dns_name signer;

        assert_int_equal(dns_keypair_generate(13, &pair), 0);
        assert_int_equal(dns_name_parse("host.d.example", &signer), 0);
        for (size_t i = 0; i < 3; i++) {
                struct dns_sig0 sig;
                ssize_t size;

                build(&builder, buffers[i], sizeof(buffers[i]), 0);
                assert_int_equal(dns_sig0_sign(&builder, pair, &signer, i == 2 ? 11 : 10, 20), 0);
                size = dns_builder_end(&builder);
                assert_int_equal(dns_message_walk(buffers[i], (size_t) size, NULL, &message, NULL), 0);
                assert_int_equal(dns_sig0_parse(&message, &sig), 0);
                assert_int_equal(dns_sig0_hash(&message, &sig, hashes[i]), 0);
        }
        assert_memory_not_equal(buffers[0], buffers[1], builder.writer.position);
        assert_memory_equal(hashes[0], hashes[1], DNS_SIG0_HASH_SIZE);
        assert_memory_not_equal(hashes[0], hashes[2], DNS_SIG0_HASH_SIZE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_foreign_signatures), cmocka_unit_test(test_any_flipped_bit_is_noticed),
                cmocka_unit_test(test_wrong_key),          cmocka_unit_test(test_own_signatures),
                cmocka_unit_test(test_own_rsa_signature),  cmocka_unit_test(test_no_room_to_sign),
                cmocka_unit_test(test_sig_form),           cmocka_unit_test(test_hash),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
