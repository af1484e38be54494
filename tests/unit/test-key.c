/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/base64.h"
#include "dns/key.h"
#include "dns/tsig.h"
#include "util/file.h"
#include "util/macro.h"

#define KEYS TESTS_DIRECTORY "/data/keys/"

static char *read_fixture(const char *name, const char *suffix)
{
        char path[256], *content;

        snprintf(path, sizeof(path), "%s%s%s", KEYS, name, suffix);
        assert_int_equal(file_read(path, 10000, &content, NULL), 0);
        return content;
}

static void read_public(const char *name, struct dns_name *ret_owner, struct dns_key *ret)
{
        _cleanup_free_ char *text = read_fixture(name, ".key");

        assert_int_equal(dns_key_parse_rr(text, ret_owner, ret), 0);
}

static int read_private(const char *name, struct dns_keypair **ret)
{
        _cleanup_free_ char *text = read_fixture(name, ".private");

        return dns_keypair_parse(text, strlen(text), ret);
}

/* dnssec-keygen's files; the tags are in the names it gave them. */
static void test_bind_files(void **state)
{
        static const struct {
                const char *file, *owner;
                uint16_t flags, tag;
                uint8_t algorithm;
        } cases[] = {
                { "p256", "host.d.example", 512, 52562, DNS_ALGORITHM_ECDSAP256SHA256 },
                { "p384", "host.d.example", 512, 28497, DNS_ALGORITHM_ECDSAP384SHA384 },
                { "ed25519", "host.d.example", 512, 29377, DNS_ALGORITHM_ED25519 },
                { "ed448", "host.d.example", 512, 4455, DNS_ALGORITHM_ED448 },
                { "rsa256", "host.d.example", 512, 9905, DNS_ALGORITHM_RSASHA256 },
                { "rsa512", "host.d.example", 512, 49137, DNS_ALGORITHM_RSASHA512 },
                { "zone-flags", "zone.d.example", 256, 58733, DNS_ALGORITHM_ECDSAP256SHA256 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
                struct dns_name owner, expected;
                struct dns_key key;
                const char *why;

                read_public(cases[i].file, &owner, &key);
                assert_int_equal(dns_name_parse(cases[i].owner, &expected), 0);
                assert_true(dns_name_equal(&owner, &expected));
                assert_int_equal(key.flags, cases[i].flags);
                assert_int_equal(key.protocol, 3);
                assert_int_equal(key.algorithm, cases[i].algorithm);
                assert_int_equal(dns_key_tag(&key), cases[i].tag);
                assert_int_equal(dns_key_check(&key, &why), 0);
                assert_null(why);

                assert_int_equal(read_private(cases[i].file, &pair), 0);
                assert_true(dns_key_same(&key, &pair->key));
                assert_int_equal(pair->key.flags, 0);
                assert_int_equal(pair->key.protocol, 3);
                assert_int_equal(dns_key_tag(&pair->key), (uint16_t) (cases[i].tag - cases[i].flags));
        }
}

static void test_public_text(void **state)
{
        static const char *const bad[] = {
                "",
                "host.example.",
                "; only a comment\n",
                "host.example. IN A 192.0.2.1",
                "host.example. IN DNSKEY 256 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=",
                "host.example. CH KEY 512 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=",
                "host.example. IN KEY 512 3 15 !!!",
                "host.example. IN KEY 512 3",
                "host.example. IN KEY 65536 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=",
                "host.example. IN KEY 512 256 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=",
                "host.example. IN KEY 512 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8= trailing",
                "host.example. IN IN KEY 512 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=",
                "host.example. 1 2 KEY 512 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=",
                "host..example. IN KEY 512 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=",
                "$ORIGIN \"example;\n",
        };
        static const char *const good[] = {
                "host.example. IN KEY 0 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=\n",
                "; This is a key\n\nHOST.example 3600 IN KEY 0 3 15 ( JarVDUnZLxlfJEOZ21Eh01BNrwp\n "
                "piSZ3l7PDu8Z9qt8=) ; it",
                "host.example. in 3600 key 0 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8= ; at the end",
                "host.example. 3600 KEY 0 3 15 JarVDUnZLxlfJEOZ21 Eh01BNrwpniSZ3l7PDu8Z9qt8=",
        };
        _cleanup_free_ char *text = NULL;
        struct dns_name owner, expected;
        struct dns_key key, again;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(dns_key_parse_rr(bad[i], &owner, &key), -EBADMSG);

        assert_int_equal(dns_name_parse("host.example", &expected), 0);
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(dns_key_parse_rr(good[i], &owner, &key), 0);
                assert_true(dns_name_equal(&owner, &expected));
                assert_int_equal(key.flags, 0);
                assert_int_equal(key.length, 32);
        }

        assert_int_equal(dns_key_format_rr(&owner, &key, &text), 0);
        assert_string_equal(text,
                            "host.example. IN KEY 0 3 15 JarVDUnZLxlfJEOZ21Eh01BNrwpniSZ3l7PDu8Z9qt8=\n");
        assert_int_equal(dns_key_parse_rr(text, &owner, &again), 0);
        assert_true(dns_key_same(&key, &again));
}

static void test_private_text(void **state)
{
        static const struct {
                const char *text;
                int result;
        } bad[] = {
                { "", -EBADMSG },
                { "\n", -EBADMSG },
                { "nonsense", -EBADMSG },
                { "Private-key-format: v1.3\n", -EBADMSG },
                { "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n", -EBADMSG },
                { "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: AAAA\n", -EBADMSG },
                { "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\nPrivateKey: AAAA\n", -EBADMSG },
                { "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n"
                  "PrivateKey: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
                  -EBADMSG },
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct dns_keypair *pair = NULL;

                assert_int_equal(dns_keypair_parse(bad[i].text, strlen(bad[i].text), &pair), bad[i].result);
                assert_null(pair);
        }
}

static void test_generate_and_format(void **state)
{
        static const uint8_t numbers[] = { 13, 14, 15, 16 };
        struct dns_keypair *none = NULL;

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL, *again = NULL;
                _cleanup_free_ char *text = NULL;

                assert_int_equal(dns_keypair_generate(numbers[i], &pair), 0);
                assert_int_equal(pair->key.algorithm, numbers[i]);
                assert_int_equal(pair->key.flags, 0);
                assert_int_equal(dns_key_check(&pair->key, NULL), 0);

                assert_int_equal(dns_keypair_format(pair, &text), 0);
                assert_memory_equal(text, "Private-key-format: v1.3\n", 25);
                assert_int_equal(dns_keypair_parse(text, strlen(text), &again), 0);
                assert_true(dns_key_same(&pair->key, &again->key));
                assert_int_equal(EVP_PKEY_eq(pair->private_key, again->private_key), 1);
        }

        assert_int_equal(dns_keypair_generate(8, &none), -EOPNOTSUPP);
        assert_int_equal(dns_keypair_generate(5, &none), -EOPNOTSUPP);
}

/* What BIND wrote comes out again as BIND wrote it, without its dates. */
static void test_format_is_binds(void **state)
{
        static const char *const files[] = { "p256", "p384", "ed25519", "ed448" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
                _cleanup_free_ char *original = read_fixture(files[i], ".private"), *text = NULL;

                assert_int_equal(read_private(files[i], &pair), 0);
                assert_int_equal(dns_keypair_format(pair, &text), 0);
                assert_memory_equal(text, original, strlen(text));
                assert_memory_equal(original + strlen(text), "Created:", 8);
        }
}

static void test_rdata(void **state)
{
        uint8_t rdata[4 + DNS_KEY_PUBLIC_MAX + 1] = { 2, 0, 3, 13 }, back[sizeof(rdata)];
        struct dns_key key;

        assert_int_equal(dns_key_from_rdata(rdata, 3, &key), -EBADMSG);
        assert_int_equal(dns_key_from_rdata(rdata, sizeof(rdata), &key), -EBADMSG);
        assert_int_equal(dns_key_from_rdata(rdata, 4, &key), 0);
        assert_int_equal(key.flags, 512);
        assert_int_equal(key.length, 0);
        assert_int_equal(dns_key_from_rdata(rdata, sizeof(rdata) - 1, &key), 0);
        assert_int_equal(dns_key_to_rdata(&key, back, sizeof(back)), sizeof(rdata) - 1);
        assert_memory_equal(rdata, back, sizeof(rdata) - 1);
        assert_int_equal(dns_key_to_rdata(&key, back, sizeof(rdata) - 2), 0);
}

static void test_same_and_fingerprint(void **state)
{
        char a_print[DNS_KEY_FINGERPRINT_MAX], b_print[DNS_KEY_FINGERPRINT_MAX];
        struct dns_key a, b;
        struct dns_name owner;

        read_public("p256", &owner, &a);
        b = a;
        b.flags = 0;
        assert_true(dns_key_same(&a, &b));
        assert_string_equal(dns_key_fingerprint(&a, a_print), dns_key_fingerprint(&b, b_print));
        assert_int_equal(strlen(a_print), 64);

        b.public_key[63] ^= 1;
        assert_false(dns_key_same(&a, &b));
        assert_string_not_equal(a_print, dns_key_fingerprint(&b, b_print));
        b = a;
        b.algorithm = 14;
        assert_false(dns_key_same(&a, &b));
        b = a;
        b.length--;
        assert_false(dns_key_same(&a, &b));
}

static void assert_weak(const struct dns_key *key, const char *reason)
{
        EVP_PKEY *loaded = NULL;
        const char *why = NULL;

        assert_int_equal(dns_key_check(key, &why), -EKEYREJECTED);
        assert_string_equal(why, reason);
        assert_int_equal(dns_key_load(key, &loaded), -EKEYREJECTED);
        assert_null(loaded);
}

static void test_form_is_checked(void **state)
{
        struct dns_name owner;
        struct dns_key key;

        read_public("p256", &owner, &key);
        key.protocol = 2;
        assert_weak(&key, "key protocol is not 3");
        read_public("p256", &owner, &key);
        key.length = 63;
        assert_weak(&key, "key is not of its algorithm's length");
        key.length = 0;
        assert_weak(&key, "key is not of its algorithm's length");
        read_public("p256", &owner, &key);
        key.algorithm = 5;
        assert_int_equal(dns_key_check(&key, NULL), -EOPNOTSUPP);
        key.algorithm = 0;
        assert_int_equal(dns_key_check(&key, NULL), -EOPNOTSUPP);
}

static void test_ecdsa_points(void **state)
{
        static const char *const files[] = { "p256", "p384" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                struct dns_name owner;
                struct dns_key key;

                read_public(files[i], &owner, &key);
                key.public_key[key.length - 1] ^= 1;
                assert_weak(&key, "point is not on the curve");
                memset(key.public_key, 0, key.length);
                assert_weak(&key, "point is not on the curve");
                memset(key.public_key, 0xff, key.length);
                assert_weak(&key, "point is not on the curve");
        }
}

static void test_edwards_points(void **state)
{
        /* y of the points of order 1, 4, 2, 8, 8 and two non-canonical forms; little endian */
        static const uint8_t ed25519[][32] = {
                { 1 },
                { 0 },
                { 0xec, [1 ... 30] = 0xff, 0x7f },
                { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
                  0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
                  0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
                { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
                  0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
                  0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
        };
        static const uint8_t ed448[][57] = {
                { 1 },
                { 0 },
                { 0xfe, [1 ... 27] = 0xff, 0xfe, [29 ... 55] = 0xff, 0 },
        };
        struct dns_key key = { .protocol = 3, .algorithm = DNS_ALGORITHM_ED25519, .length = 32 };

        for (unsigned sign = 0; sign <= 0x80; sign += 0x80) {
                key.algorithm = DNS_ALGORITHM_ED25519;
                key.length = 32;
                for (size_t i = 0; i < ELEMENTSOF(ed25519); i++) {
                        memcpy(key.public_key, ed25519[i], 32);
                        key.public_key[31] |= (uint8_t) sign;
                        assert_weak(&key, "point of small order");
                }
                /* p and p + 1, which are 0 and 1 */
                for (uint8_t last = 0xed; last <= 0xee; last++) {
                        memset(key.public_key, 0xff, 32);
                        key.public_key[0] = last;
                        key.public_key[31] = (uint8_t) (0x7f | sign);
                        assert_weak(&key, "point is not in its canonical form");
                }

                key.algorithm = DNS_ALGORITHM_ED448;
                key.length = 57;
                for (size_t i = 0; i < ELEMENTSOF(ed448); i++) {
                        memcpy(key.public_key, ed448[i], 57);
                        key.public_key[56] |= (uint8_t) sign;
                        assert_weak(&key, "point of small order");
                }
        }

        memset(key.public_key, 0xff, 57);
        assert_weak(&key, "point is not in its canonical form");
}

/* About half of all y belong to a point. OpenSSL's own decoder is asked, by way of a verification that it can
 * only begin with a point, whether it agrees. */
static void test_edwards_off_curve(void **state)
{
        static const struct {
                uint8_t algorithm;
                uint16_t length;
        } cases[] = { { DNS_ALGORITHM_ED25519, 32 }, { DNS_ALGORITHM_ED448, 57 } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct dns_key key = { .protocol = 3,
                                       .algorithm = cases[i].algorithm,
                                       .length = cases[i].length };
                unsigned on = 0, off = 0;

                for (unsigned y = 2; y < 200; y++) {
                        const char *why = NULL;
                        int r;

                        memset(key.public_key, 0, sizeof(key.public_key));
                        key.public_key[0] = (uint8_t) y;
                        r = dns_key_check(&key, &why);
                        if (r == 0)
                                on++;
                        else {
                                assert_int_equal(r, -EKEYREJECTED);
                                assert_string_equal(why, "point is not on the curve");
                                off++;
                        }
                }
                assert_in_range(on, 60, 140);
                assert_in_range(off, 60, 140);
        }

        /* generated keys are never refused */
        for (unsigned i = 0; i < 50; i++) {
                _cleanup_(dns_keypair_freep) struct dns_keypair *a = NULL, *b = NULL;

                assert_int_equal(dns_keypair_generate(DNS_ALGORITHM_ED25519, &a), 0);
                assert_int_equal(dns_keypair_generate(DNS_ALGORITHM_ED448, &b), 0);
                assert_int_equal(dns_key_check(&a->key, NULL), 0);
                assert_int_equal(dns_key_check(&b->key, NULL), 0);
        }
}

/* Puts another exponent before the modulus of a good key. */
static struct dns_key rsa_with_exponent(const void *field, size_t length)
{
        struct dns_name owner;
        struct dns_key key;

        read_public("rsa256", &owner, &key);
        assert_memory_equal(key.public_key, "\3\1\0\1", 4);
        memmove(key.public_key + length, key.public_key + 4, key.length - 4u);
        memcpy(key.public_key, field, length);
        key.length = (uint16_t) (key.length - 4 + length);
        return key;
}

static void test_rsa(void **state)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        uint8_t large[3 + 200] = { 0, 0, 200, 1, [202] = 1 };
        struct dns_name owner;
        struct dns_key key;

        read_public("rsa1024", &owner, &key);
        assert_weak(&key, "RSA modulus is not of 2048 to 4096 bits");

        key = rsa_with_exponent("\1\3", 2);
        assert_int_equal(dns_key_check(&key, NULL), 0);
        key = rsa_with_exponent("\0\0\3\1\0\1", 6);
        assert_int_equal(dns_key_check(&key, NULL), 0);
        key = rsa_with_exponent("\1\1", 2);
        assert_weak(&key, "RSA exponent is even or 1");
        key = rsa_with_exponent("\1\4", 2);
        assert_weak(&key, "RSA exponent is even or 1");
        key = rsa_with_exponent("\2\0\3", 3);
        assert_weak(&key, "RSA key is malformed");
        key = rsa_with_exponent("\0\0\0", 3);
        assert_weak(&key, "RSA key is malformed");
        key = rsa_with_exponent(large, sizeof(large));
        assert_weak(&key, "RSA exponent is too large");

        read_public("rsa256", &owner, &key);
        key.public_key[key.length - 1] &= 0xfe;
        assert_weak(&key, "RSA modulus is even");
        read_public("rsa256", &owner, &key);
        key.public_key[4] = 0x7f; /* 2047 bits */
        assert_weak(&key, "RSA modulus is not of 2048 to 4096 bits");
        key.public_key[4] = 0;
        assert_weak(&key, "RSA key is malformed");
        key.length = 4;
        assert_weak(&key, "RSA key is malformed");
        key.length = 0;
        assert_weak(&key, "RSA key is malformed");
}

static void test_tsig_files(void **state)
{
        static const char *const digests[] = { "sha1", "sha224", "sha256", "sha384", "sha512" };
        static const size_t lengths[] = { 20, 28, 32, 48, 64 };

        for (size_t i = 0; i < ELEMENTSOF(digests); i++) {
                char name[32], owner[64];
                struct tsig_key key;
                struct dns_name expected;
                _cleanup_free_ char *text = NULL;

                snprintf(name, sizeof(name), "tsig-%s", digests[i]);
                text = read_fixture(name, ".conf");
                assert_int_equal(tsig_key_parse_file(text, strlen(text), &key, NULL), 0);
                snprintf(owner, sizeof(owner), "upstream-%s.example", digests[i]);
                assert_int_equal(dns_name_parse(owner, &expected), 0);
                assert_true(dns_name_equal(&key.name, &expected));
                assert_string_equal(tsig_algorithm_to_string(key.algorithm) + strlen("hmac-"), digests[i]);
                assert_true(key.secret_length >= MIN(lengths[i], (size_t) 20));
        }
}

static void test_tsig_file_syntax(void **state)
{
        static const char *const good[] = {
                "key k { algorithm hmac-sha256; secret \"c2VjcmV0\"; };",
                "# comment\nkey \"k\" { // another\n secret c2VjcmV0; /* of \n more lines */ algorithm "
                "HMAC-SHA256.; };\n",
                "key\"k.\"{algorithm\"hmac-sha256\";secret\"c2VjcmV0\";};",
        };
        static const struct {
                const char *text, *why;
        } bad[] = {
                { "", "not a key file: it must begin with \"key\"" },
                { "zone k { };", "not a key file: it must begin with \"key\"" },
                { "key", "the key's name is no domain name" },
                { "key { algorithm hmac-sha256; secret \"c2VjcmV0\"; };",
                  "the key's name is no domain name" },
                { "key a..b { algorithm hmac-sha256; secret \"c2VjcmV0\"; };",
                  "the key's name is no domain name" },
                { "key k algorithm hmac-sha256;", "an opening brace is missing" },
                { "key k { algorithm hmac-md5; secret \"c2VjcmV0\"; };", "the algorithm is unknown" },
                { "key k { algorithm hmac-sha256; secret \"***\"; };", "the secret is not Base64" },
                { "key k { algorithm hmac-sha256; secret \"\"; };", "the secret is not Base64" },
                { "key k { algorithm hmac-sha256; };", "\"algorithm\" or \"secret\" is missing" },
                { "key k { secret \"c2VjcmV0\"; };", "\"algorithm\" or \"secret\" is missing" },
                { "key k { secret a; secret b; };", "the secret is not Base64" },
                { "key k { secret \"c2VjcmV0\"; secret \"c2VjcmV0\"; };",
                  "\"algorithm\" or \"secret\" stands there twice" },
                { "key k { colour blue; };", "only \"algorithm\" and \"secret\" may stand in a key" },
                { "key k { algorithm hmac-sha256 secret \"c2VjcmV0\"; };", "a semicolon is missing" },
                { "key k { algorithm hmac-sha256; secret \"c2VjcmV0\"; }", "a semicolon is missing" },
                { "key k { algorithm hmac-sha256; secret \"c2VjcmV0\";", "a closing brace is missing" },
                { "key k { algorithm hmac-sha256; secret \"c2VjcmV0", "a value is missing" },
                { "key k { algorithm hmac-sha256; secret \"c2VjcmV0\"; }; /* no end",
                  "there is more than one key" },
                { "key k { algorithm hmac-sha256; secret \"c2VjcmV0\"; }; key l { };",
                  "there is more than one key" },
        };
        struct tsig_key key;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(tsig_key_parse_file(good[i], strlen(good[i]), &key, NULL), 0);
                assert_int_equal(key.algorithm, TSIG_HMAC_SHA256);
                assert_int_equal(key.secret_length, 6);
                assert_memory_equal(key.secret, "secret", 6);
                assert_int_equal(key.name.length, 3);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                const char *why = NULL;

                assert_int_equal(tsig_key_parse_file(bad[i].text, strlen(bad[i].text), &key, &why), -EBADMSG);
                assert_string_equal(why, bad[i].why);
        }
}

static void test_tsig_secret(void **state)
{
        struct tsig_key key = {};
        char text[1200];

        assert_int_equal(tsig_key_set_secret(&key, "c2VjcmV0"), 0);
        assert_int_equal(key.secret_length, 6);
        assert_int_equal(tsig_key_set_secret(&key, ""), -EINVAL);
        assert_int_equal(tsig_key_set_secret(&key, "c2VjcmV"), -EINVAL);
        assert_int_equal(key.secret_length, 6);

        memset(text, 'A', sizeof(text));
        strcpy(text + 680, "AAA=");
        assert_int_equal(tsig_key_set_secret(&key, text), 0);
        assert_int_equal(key.secret_length, 512);
        memset(text, 'A', sizeof(text));
        strcpy(text + 680, "AAAA");
        assert_int_equal(tsig_key_set_secret(&key, text), -EINVAL);
}

/* One text for each key: what fills up at the end is nothing. */
static void test_base64(void **state)
{
        static const struct {
                const char *text;
                int length;
        } cases[] = {
                { "QUJD", 3 },       { "QUI=", 2 },
                { "QQ==", 1 },       { " QU\tJD\nQQ = =\r\n", 4 },
                { "+/+/", 3 },       { "", -EINVAL },
                { "   ", -EINVAL },  { "====", -EINVAL },
                { "QR==", -EINVAL }, { "QUJ=", -EINVAL },
                { "QQ=", -EINVAL },  { "QQ", -EINVAL },
                { "Q===", -EINVAL }, { "QQ==QUJD", -EINVAL },
                { "QU-D", -EINVAL }, { "QUJDQUJD", -EINVAL },
        };
        uint8_t buffer[5];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (base64_decode(cases[i].text, buffer, sizeof(buffer)) != cases[i].length)
                        fail_msg("%s", cases[i].text);
        assert_int_equal(base64_decode("QUJDQQ==", buffer, 5), 4);
        assert_memory_equal(buffer, "ABCA", 4);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bind_files),           cmocka_unit_test(test_public_text),
                cmocka_unit_test(test_private_text),         cmocka_unit_test(test_generate_and_format),
                cmocka_unit_test(test_format_is_binds),      cmocka_unit_test(test_rdata),
                cmocka_unit_test(test_same_and_fingerprint), cmocka_unit_test(test_form_is_checked),
                cmocka_unit_test(test_ecdsa_points),         cmocka_unit_test(test_edwards_points),
                cmocka_unit_test(test_edwards_off_curve),    cmocka_unit_test(test_rsa),
                cmocka_unit_test(test_tsig_files),           cmocka_unit_test(test_tsig_file_syntax),
                cmocka_unit_test(test_tsig_secret),          cmocka_unit_test(test_base64),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
