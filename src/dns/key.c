/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/sha.h>

#include "dns/algorithm.h"
#include "dns/wire.h"
#include "util/macro.h"

#define KEY_PROTOCOL_DNSSEC 3
#define KEY_FIXED_SIZE      4

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
/* Checking a signature costs in proportion to the exponent's length, and the key's owner chooses it. */
#define RSA_EXPONENT_OCTETS_MAX 5

#define EC_POINT_UNCOMPRESSED 0x04
#define ED25519_SIZE          32
#define ED448_SIZE            57

static const struct algorithm algorithms[] = {
        { DNS_ALGORITHM_RSASHA256, ALGORITHM_RSA, "RSA", "SHA256", 0, 0 },
        { DNS_ALGORITHM_RSASHA512, ALGORITHM_RSA, "RSA", "SHA512", 0, 0 },
        { DNS_ALGORITHM_ECDSAP256SHA256, ALGORITHM_ECDSA, "P-256", "SHA256", 64, 64 },
        { DNS_ALGORITHM_ECDSAP384SHA384, ALGORITHM_ECDSA, "P-384", "SHA384", 96, 96 },
        { DNS_ALGORITHM_ED25519, ALGORITHM_EDWARDS, "ED25519", NULL, ED25519_SIZE, 64 },
        { DNS_ALGORITHM_ED448, ALGORITHM_EDWARDS, "ED448", NULL, ED448_SIZE, 114 },
};

/* A twisted Edwards curve a x^2 + y^2 = 1 + d x^2 y^2 as far as a point's encoding goes: y little endian with
 * the sign of x in the highest bit. */
struct edwards {
        const char *prime; /* hexadecimal */
        const char *d;
        bool minus_one; /* a = -1, else 1 */
        size_t size;
        const char *const
                *small_order; /* y, big endian hexadecimal, of the points of small order; NULL ends */
};

/* y of the points whose order divides the cofactor: 1 (neutral element), -1, 0, and for cofactor 8 two more.
 */
static const char *const ed25519_small_order[] = {
        "01",
        "00",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
        "05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
        "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
        NULL,
};

static const char *const ed448_small_order[] = {
        "01",
        "00",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffe",
        NULL,
};

static const struct edwards ed25519 = {
        .prime = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
        .d = "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3",
        .minus_one = true,
        .size = ED25519_SIZE,
        .small_order = ed25519_small_order,
};

static const struct edwards ed448 = {
        .prime = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
                 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        .d = "-98a9",
        .minus_one = false,
        .size = ED448_SIZE,
        .small_order = ed448_small_order,
};

/* clang-format off */
DEFINE_CLEANUP_VOID(BIGNUM *, BN_free)
DEFINE_CLEANUP_VOID(BN_CTX *, BN_CTX_free)
DEFINE_CLEANUP_VOID(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP_VOID(OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_CLEANUP_VOID(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
/* clang-format on */

const struct algorithm *algorithm_find(uint8_t number)
{
        for (size_t i = 0; i < ELEMENTSOF(algorithms); i++)
                if (algorithms[i].number == number)
                        return &algorithms[i];

        return NULL;
}

int dns_key_from_rdata(const uint8_t *rdata, size_t length, struct dns_key *ret)
{
        if (length < KEY_FIXED_SIZE || length - KEY_FIXED_SIZE > DNS_KEY_PUBLIC_MAX)
                return -EBADMSG;

        ret->flags = (uint16_t) (rdata[0] << 8 | rdata[1]);
        ret->protocol = rdata[2];
        ret->algorithm = rdata[3];
        ret->length = (uint16_t) (length - KEY_FIXED_SIZE);
        memcpy(ret->public_key, rdata + KEY_FIXED_SIZE, ret->length);
        return 0;
}

size_t dns_key_to_rdata(const struct dns_key *key, uint8_t *buffer, size_t size)
{
        struct wire_writer writer = wire_writer_init(buffer, size);

        wire_write_u16(&writer, key->flags);
        wire_write_u8(&writer, key->protocol);
        wire_write_u8(&writer, key->algorithm);
        wire_write_bytes(&writer, key->public_key, key->length);
        return writer.error ? 0 : writer.position;
}

uint16_t dns_key_tag(const struct dns_key *key)
{
        uint32_t sum = key->flags + ((uint32_t) key->protocol << 8 | key->algorithm);

        for (size_t i = 0; i < key->length; i++)
                sum += i % 2 == 0 ? (uint32_t) key->public_key[i] << 8 : key->public_key[i];
        sum += sum >> 16 & 0xffff;
        return (uint16_t) sum;
}

bool dns_key_same(const struct dns_key *a, const struct dns_key *b)
{
        return a->algorithm == b->algorithm && a->length == b->length &&
               memcmp(a->public_key, b->public_key, a->length) == 0;
}

char *dns_key_fingerprint(const struct dns_key *key, char buffer[static DNS_KEY_FINGERPRINT_MAX])
{
        static const char digits[] = "0123456789abcdef";
        uint8_t hash[SHA256_DIGEST_LENGTH], hashed[1 + DNS_KEY_PUBLIC_MAX];

        hashed[0] = key->algorithm;
        memcpy(hashed + 1, key->public_key, key->length);
        SHA256(hashed, 1u + key->length, hash);

        for (size_t i = 0; i < sizeof(hash); i++) {
                buffer[2 * i] = digits[hash[i] >> 4];
                buffer[2 * i + 1] = digits[hash[i] & 0xf];
        }
        buffer[2 * sizeof(hash)] = 0;
        return buffer;
}

/* x^2 = (y^2 - 1) / (d y^2 - a). There is an x if that is a square, and u / v is one when u v is. */
static int has_point(const struct edwards *curve, const BIGNUM *y, const BIGNUM *prime, BN_CTX *context)
{
        _cleanup_(BN_freep) BIGNUM *d = NULL, *u = BN_new(), *v = BN_new();

        if (!u || !v || BN_hex2bn(&d, curve->d) == 0)
                return -ENOMEM;
        if (!BN_mod_sqr(u, y, prime, context) || !BN_mod_mul(v, u, d, prime, context) || !BN_sub_word(u, 1) ||
            !(curve->minus_one ? BN_add_word(v, 1) : BN_sub_word(v, 1)) ||
            !BN_mod_mul(u, u, v, prime, context))
                return -ENOMEM;

        switch (BN_kronecker(u, prime, context)) {
        case -2:
                return -ENOMEM;
        case 1:
                return 1;
        default:
                return 0;
        }
}

static int is_small_order(const struct edwards *curve, const BIGNUM *y)
{
        for (const char *const *small = curve->small_order; *small; small++) {
                _cleanup_(BN_freep) BIGNUM *value = NULL;

                if (BN_hex2bn(&value, *small) == 0)
                        return -ENOMEM;
                if (BN_cmp(y, value) == 0)
                        return 1;
        }

        return 0;
}

/* OpenSSL takes any octets for an Edwards key. A point of small order as key accepts one and the same
 * signature for every message, or every eighth. */
static int check_edwards(const struct edwards *curve, const uint8_t *octets, const char **why)
{
        _cleanup_(BN_CTX_freep) BN_CTX *context = BN_CTX_new();
        _cleanup_(BN_freep) BIGNUM *prime = NULL, *y = NULL;
        uint8_t encoded[ED448_SIZE];
        int r;

        memcpy(encoded, octets, curve->size);
        encoded[curve->size - 1] &= 0x7f; /* the sign of x */

        y = BN_lebin2bn(encoded, (int) curve->size, NULL);
        if (!context || !y || BN_hex2bn(&prime, curve->prime) == 0)
                return -ENOMEM;

        if (BN_cmp(y, prime) >= 0) {
                *why = "point is not in its canonical form";
                return -EKEYREJECTED;
        }

        r = is_small_order(curve, y);
        if (r < 0)
                return r;
        if (r > 0) {
                *why = "point of small order";
                return -EKEYREJECTED;
        }

        r = has_point(curve, y, prime, context);
        if (r < 0)
                return r;
        if (r == 0) {
                *why = "point is not on the curve";
                return -EKEYREJECTED;
        }

        return 0;
}

struct rsa_public {
        const uint8_t *exponent, *modulus;
        size_t exponent_length, modulus_length;
};

/* RFC 3110 section 2: the exponent's length in one octet, or in three when the first is 0. */
static int parse_rsa(const struct dns_key *key, struct rsa_public *ret)
{
        struct wire_reader reader = wire_reader_init(key->public_key, key->length);

        ret->exponent_length = wire_read_u8(&reader);
        if (ret->exponent_length == 0)
                ret->exponent_length = wire_read_u16(&reader);
        ret->exponent = wire_read_bytes(&reader, ret->exponent_length);
        ret->modulus_length = wire_reader_left(&reader);
        ret->modulus = wire_read_bytes(&reader, ret->modulus_length);

        if (reader.error || ret->exponent_length == 0 || ret->modulus_length == 0 || ret->exponent[0] == 0 ||
            ret->modulus[0] == 0)
                return -EBADMSG;

        return 0;
}

static int check_rsa(const struct dns_key *key, const char **why)
{
        struct rsa_public rsa;
        size_t bits;

        *why = "RSA key is malformed";
        if (parse_rsa(key, &rsa) < 0)
                return -EKEYREJECTED;

        bits = rsa.modulus_length * 8 - ((size_t) __builtin_clz(rsa.modulus[0]) - 24);
        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
                *why = "RSA modulus is not of 2048 to 4096 bits";
                return -EKEYREJECTED;
        }
        if (rsa.modulus[rsa.modulus_length - 1] % 2 == 0) {
                *why = "RSA modulus is even";
                return -EKEYREJECTED;
        }
        if (rsa.exponent_length > RSA_EXPONENT_OCTETS_MAX) {
                *why = "RSA exponent is too large";
                return -EKEYREJECTED;
        }
        if (rsa.exponent[rsa.exponent_length - 1] % 2 == 0 ||
            (rsa.exponent_length == 1 && rsa.exponent[0] == 1)) {
                *why = "RSA exponent is even or 1";
                return -EKEYREJECTED;
        }

        return 0;
}

static int load_rsa(const struct dns_key *key, OSSL_PARAM_BLD *builder, BIGNUM *numbers[static 2])
{
        struct rsa_public rsa;

        if (parse_rsa(key, &rsa) < 0)
                return -EKEYREJECTED;

        numbers[0] = BN_bin2bn(rsa.modulus, (int) rsa.modulus_length, NULL);
        numbers[1] = BN_bin2bn(rsa.exponent, (int) rsa.exponent_length, NULL);
        if (!numbers[0] || !numbers[1] ||
            !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, numbers[0]) ||
            !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, numbers[1]))
                return -ENOMEM;

        return 0;
}

static int load_from_data(const char *type, OSSL_PARAM_BLD *builder, EVP_PKEY **ret)
{
        _cleanup_(OSSL_PARAM_freep) OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
        EVP_PKEY *key = NULL;

        if (!parameters || !context)
                return -ENOMEM;
        if (EVP_PKEY_fromdata_init(context) <= 0 ||
            EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) <= 0) {
                ERR_clear_error();
                return -EKEYREJECTED;
        }

        *ret = key;
        return 0;
}

static int load_key(const struct dns_key *key, const struct algorithm *algorithm, EVP_PKEY **ret)
{
        _cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *builder = NULL;
        uint8_t point[1 + DNS_KEY_PUBLIC_MAX];
        BIGNUM *numbers[2] = {};
        int r;

        if (algorithm->family == ALGORITHM_EDWARDS) {
                *ret = EVP_PKEY_new_raw_public_key_ex(NULL, algorithm->openssl_name, NULL, key->public_key,
                                                      key->length);
                return *ret ? 0 : -ENOMEM;
        }

        builder = OSSL_PARAM_BLD_new();
        if (!builder)
                return -ENOMEM;

        if (algorithm->family == ALGORITHM_RSA) {
                r = load_rsa(key, builder, numbers);
                if (r >= 0)
                        r = load_from_data("RSA", builder, ret);
                BN_free(numbers[0]);
                BN_free(numbers[1]);
                return r;
        }

        /* OpenSSL refuses coordinates that are no point of the curve; its order is prime, and the neutral
         * element has no such form. */
        point[0] = EC_POINT_UNCOMPRESSED;
        memcpy(point + 1, key->public_key, key->length);
        if (!OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->openssl_name,
                                             0) ||
            !OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1u + key->length))
                return -ENOMEM;

        return load_from_data("EC", builder, ret);
}

static int check_and_load(const struct dns_key *key, const char **why, EVP_PKEY **ret)
{
        const struct algorithm *algorithm = algorithm_find(key->algorithm);
        int r = 0;

        if (!algorithm) {
                *why = "key algorithm is not supported";
                return -EOPNOTSUPP;
        }
        if (key->protocol != KEY_PROTOCOL_DNSSEC) {
                *why = "key protocol is not 3";
                return -EKEYREJECTED;
        }
        if (algorithm->public_length != 0 && key->length != algorithm->public_length) {
                *why = "key is not of its algorithm's length";
                return -EKEYREJECTED;
        }

        switch (algorithm->family) {
        case ALGORITHM_RSA:
                r = check_rsa(key, why);
                break;
        case ALGORITHM_EDWARDS:
                r = check_edwards(key->algorithm == DNS_ALGORITHM_ED25519 ? &ed25519 : &ed448,
                                  key->public_key, why);
                break;
        case ALGORITHM_ECDSA:
                break;
        }
        if (r < 0)
                return r;

        *why = "point is not on the curve";
        return load_key(key, algorithm, ret);
}

int dns_key_check(const struct dns_key *key, const char **why)
{
        const char *reason = NULL;
        EVP_PKEY *loaded = NULL;
        int r;

        r = check_and_load(key, &reason, &loaded);
        EVP_PKEY_free(loaded);
        if (why)
                *why = r < 0 ? reason : NULL;
        return r;
}

int dns_key_load(const struct dns_key *key, EVP_PKEY **ret)
{
        const char *reason;

        return check_and_load(key, &reason, ret);
}
