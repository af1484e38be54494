/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private half, as OpenSSL has it and as BIND writes it. */

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "dns/algorithm.h"
#include "dns/base64.h"
#include "dns/key.h"
#include "util/macro.h"

#define PRIVATE_KEY_MAX      66 /* the longest private half written here: Ed448's 57 */
#define EC_POINT_MAX         97 /* of P-384, uncompressed */
#define EC_POINT_FORM_OCTETS 1
#define RSA_EXPONENT_SHORT   255
#define RSA_NUMBER_MAX       512 /* 4096 bits */
#define RSA_NUMBERS          8
#define LINE_MAX_LENGTH      1024

/* clang-format off */
DEFINE_CLEANUP_VOID(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP_VOID(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP_VOID(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP_VOID(OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_CLEANUP_VOID(EC_GROUP *, EC_GROUP_free)
DEFINE_CLEANUP_VOID(EC_POINT *, EC_POINT_free)
DEFINE_CLEANUP_VOID(BIGNUM *, BN_clear_free)
/* clang-format on */

struct dns_keypair *dns_keypair_free(struct dns_keypair *pair)
{
        if (!pair)
                return NULL;

        EVP_PKEY_free(pair->private_key);
        free(pair);
        return NULL;
}

static int public_from_rsa(EVP_PKEY *from, struct dns_key *key)
{
        _cleanup_(BN_clear_freep) BIGNUM *modulus = NULL, *exponent = NULL;
        struct wire_writer writer = wire_writer_init(key->public_key, sizeof(key->public_key));
        uint8_t octets[DNS_KEY_PUBLIC_MAX];
        int n;

        if (!EVP_PKEY_get_bn_param(from, OSSL_PKEY_PARAM_RSA_N, &modulus) ||
            !EVP_PKEY_get_bn_param(from, OSSL_PKEY_PARAM_RSA_E, &exponent))
                return -EBADMSG;
        if (BN_num_bytes(modulus) > (int) sizeof(octets) || BN_num_bytes(exponent) > RSA_EXPONENT_SHORT)
                return -EBADMSG;

        n = BN_bn2bin(exponent, octets);
        wire_write_u8(&writer, (uint8_t) n);
        wire_write_bytes(&writer, octets, (size_t) n);
        n = BN_bn2bin(modulus, octets);
        wire_write_bytes(&writer, octets, (size_t) n);

        key->length = (uint16_t) writer.position;
        return writer.error ? -EBADMSG : 0;
}

static int public_from_ecdsa(EVP_PKEY *from, const struct algorithm *algorithm, struct dns_key *key)
{
        unsigned char *point = NULL;
        size_t n = EVP_PKEY_get1_encoded_public_key(from, &point);
        bool uncompressed = n == EC_POINT_FORM_OCTETS + algorithm->public_length;

        if (uncompressed) {
                memcpy(key->public_key, point + EC_POINT_FORM_OCTETS, algorithm->public_length);
                key->length = (uint16_t) algorithm->public_length;
        }
        OPENSSL_free(point);
        return uncompressed ? 0 : -EBADMSG;
}

static int public_from_edwards(EVP_PKEY *from, const struct algorithm *algorithm, struct dns_key *key)
{
        size_t n = sizeof(key->public_key);

        if (EVP_PKEY_get_raw_public_key(from, key->public_key, &n) <= 0 || n != algorithm->public_length)
                return -EBADMSG;

        key->length = (uint16_t) n;
        return 0;
}

static int public_from_private(EVP_PKEY *from, const struct algorithm *algorithm, struct dns_key *ret)
{
        *ret = (struct dns_key){ .protocol = 3, .algorithm = algorithm->number };

        switch (algorithm->family) {
        case ALGORITHM_RSA:
                return public_from_rsa(from, ret);
        case ALGORITHM_ECDSA:
                return public_from_ecdsa(from, algorithm, ret);
        case ALGORITHM_EDWARDS:
                return public_from_edwards(from, algorithm, ret);
        }

        return -EOPNOTSUPP;
}

static int keypair_new(EVP_PKEY *private_key, const struct algorithm *algorithm, struct dns_keypair **ret)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = calloc(1, sizeof(*pair));
        int r;

        if (!pair || !EVP_PKEY_up_ref(private_key))
                return -ENOMEM;
        pair->private_key = private_key;

        r = public_from_private(private_key, algorithm, &pair->key);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(pair);
        return 0;
}

int dns_keypair_generate(uint8_t number, struct dns_keypair **ret)
{
        const struct algorithm *algorithm = algorithm_find(number);
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        if (!algorithm || algorithm->family == ALGORITHM_RSA)
                return -EOPNOTSUPP;

        if (algorithm->family == ALGORITHM_ECDSA)
                key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", algorithm->openssl_name);
        else
                key = EVP_PKEY_Q_keygen(NULL, NULL, algorithm->openssl_name);
        if (!key) {
                ERR_clear_error();
                return -EIO;
        }

        return keypair_new(key, algorithm, ret);
}

/* Looks for "Name: value" in the lines of a key file and copies the value. Returns its length, or -EBADMSG.
 */
static int find_field(const char *text, size_t length, const char *name, char *buffer, size_t size)
{
        size_t name_length = strlen(name);
        const char *end = text + length;

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t) (end - text));
                size_t line = (size_t) ((newline ?: end) - text);

                if (line > name_length + 1 && memcmp(text, name, name_length) == 0 &&
                    text[name_length] == ':') {
                        size_t n = line - name_length - 1;

                        if (n >= size || memchr(text, 0, line))
                                return -EBADMSG;
                        memcpy(buffer, text + name_length + 1, n);
                        buffer[n] = 0;
                        return (int) n;
                }
                text += newline ? line + 1 : line;
        }

        return -EBADMSG;
}

static int find_base64(const char *text, size_t length, const char *name, uint8_t *buffer, size_t size)
{
        char line[LINE_MAX_LENGTH];
        int n;

        n = find_field(text, length, name, line, sizeof(line));
        if (n >= 0)
                n = base64_decode(line, buffer, size);
        OPENSSL_cleanse(line, sizeof(line));
        return n < 0 ? -EBADMSG : n;
}

/* "Private-key-format: v1.3", then "Algorithm: 13 (ECDSAP256SHA256)". Later minor versions only add fields.
 */
static int find_algorithm(const char *text, size_t length, const struct algorithm **ret)
{
        char line[LINE_MAX_LENGTH];
        unsigned major, minor, number;

        if (find_field(text, length, "Private-key-format", line, sizeof(line)) < 0 ||
            sscanf(line, " v%u.%u", &major, &minor) != 2 || major != 1 || minor < 2)
                return -EBADMSG;
        if (find_field(text, length, "Algorithm", line, sizeof(line)) < 0 ||
            sscanf(line, " %3u", &number) != 1)
                return -EBADMSG;

        *ret = number <= UINT8_MAX ? algorithm_find((uint8_t) number) : NULL;
        return *ret ? 0 : -EOPNOTSUPP;
}

static int key_from_parameters(const char *type, OSSL_PARAM_BLD *builder, EVP_PKEY **ret)
{
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
        _cleanup_(OSSL_PARAM_freep) OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);

        if (!context || !parameters)
                return -ENOMEM;
        if (EVP_PKEY_fromdata_init(context) <= 0 ||
            EVP_PKEY_fromdata(context, ret, EVP_PKEY_KEYPAIR, parameters) <= 0)
                return -EBADMSG;

        return 0;
}

static int read_edwards(const char *text, size_t length, const struct algorithm *algorithm, EVP_PKEY **ret)
{
        uint8_t secret[PRIVATE_KEY_MAX];
        int n;

        n = find_base64(text, length, "PrivateKey", secret, sizeof(secret));
        if (n >= 0 && (size_t) n == algorithm->public_length)
                *ret = EVP_PKEY_new_raw_private_key_ex(NULL, algorithm->openssl_name, NULL, secret,
                                                       (size_t) n);
        OPENSSL_cleanse(secret, sizeof(secret));
        return *ret ? 0 : -EBADMSG;
}

/* The file has the scalar only; the point is it times the generator. */
static int multiply_generator(const struct algorithm *algorithm, const BIGNUM *scalar,
                              uint8_t point[static EC_POINT_MAX], size_t *ret_length)
{
        _cleanup_(EC_GROUP_freep)
                EC_GROUP *group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(algorithm->openssl_name));
        _cleanup_(EC_POINT_freep) EC_POINT *product = group ? EC_POINT_new(group) : NULL;

        if (!product)
                return -ENOMEM;
        if (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group)) >= 0)
                return -EBADMSG;
        if (!EC_POINT_mul(group, product, scalar, NULL, NULL, NULL))
                return -ENOMEM;

        *ret_length = EC_POINT_point2oct(group, product, POINT_CONVERSION_UNCOMPRESSED, point, EC_POINT_MAX,
                                         NULL);
        return *ret_length > 0 ? 0 : -ENOMEM;
}

static int read_ecdsa(const char *text, size_t length, const struct algorithm *algorithm, EVP_PKEY **ret)
{
        _cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        _cleanup_(BN_clear_freep) BIGNUM *scalar = BN_secure_new();
        uint8_t secret[PRIVATE_KEY_MAX], point[EC_POINT_MAX];
        size_t point_length;
        int n, r;

        n = find_base64(text, length, "PrivateKey", secret, sizeof(secret));
        if (n < 0)
                return n;
        if (!builder || !scalar || !BN_bin2bn(secret, n, scalar))
                r = -ENOMEM;
        else
                r = multiply_generator(algorithm, scalar, point, &point_length);
        OPENSSL_cleanse(secret, sizeof(secret));
        if (r < 0)
                return r;

        if (!OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->openssl_name,
                                             0) ||
            !OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, point_length) ||
            !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar))
                return -ENOMEM;

        return key_from_parameters("EC", builder, ret);
}

static int read_rsa(const char *text, size_t length, const struct algorithm *algorithm, EVP_PKEY **ret)
{
        static const struct {
                const char *field, *parameter;
        } fields[RSA_NUMBERS] = {
                { "Modulus", OSSL_PKEY_PARAM_RSA_N },
                { "PublicExponent", OSSL_PKEY_PARAM_RSA_E },
                { "PrivateExponent", OSSL_PKEY_PARAM_RSA_D },
                { "Prime1", OSSL_PKEY_PARAM_RSA_FACTOR1 },
                { "Prime2", OSSL_PKEY_PARAM_RSA_FACTOR2 },
                { "Exponent1", OSSL_PKEY_PARAM_RSA_EXPONENT1 },
                { "Exponent2", OSSL_PKEY_PARAM_RSA_EXPONENT2 },
                { "Coefficient", OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
        };
        _cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        BIGNUM *numbers[RSA_NUMBERS] = {};
        uint8_t octets[RSA_NUMBER_MAX];
        int r = builder ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < RSA_NUMBERS; i++) {
                r = find_base64(text, length, fields[i].field, octets, sizeof(octets));
                if (r < 0)
                        break;
                numbers[i] = BN_bin2bn(octets, r, NULL);
                if (!numbers[i] || !OSSL_PARAM_BLD_push_BN(builder, fields[i].parameter, numbers[i]))
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = key_from_parameters("RSA", builder, ret);

        OPENSSL_cleanse(octets, sizeof(octets));
        for (size_t i = 0; i < RSA_NUMBERS; i++)
                BN_clear_free(numbers[i]);
        return r;
}

int dns_keypair_parse(const char *text, size_t length, struct dns_keypair **ret)
{
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        const struct algorithm *algorithm;
        int r;

        r = find_algorithm(text, length, &algorithm);
        if (r < 0)
                return r;

        switch (algorithm->family) {
        case ALGORITHM_RSA:
                r = read_rsa(text, length, algorithm, &key);
                break;
        case ALGORITHM_ECDSA:
                r = read_ecdsa(text, length, algorithm, &key);
                break;
        case ALGORITHM_EDWARDS:
                r = read_edwards(text, length, algorithm, &key);
                break;
        }

        if (r >= 0)
                r = keypair_new(key, algorithm, ret);
        ERR_clear_error();
        return r;
}

static int get_private(const struct dns_keypair *pair, const struct algorithm *algorithm,
                       uint8_t ret[static PRIVATE_KEY_MAX], size_t *ret_length)
{
        _cleanup_(BN_clear_freep) BIGNUM *scalar = NULL;
        size_t n = PRIVATE_KEY_MAX;

        if (algorithm->family == ALGORITHM_EDWARDS) {
                if (EVP_PKEY_get_raw_private_key(pair->private_key, ret, &n) <= 0)
                        return -EIO;
                *ret_length = n;
                return 0;
        }

        n = algorithm->public_length / 2;
        if (!EVP_PKEY_get_bn_param(pair->private_key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar))
                return -EIO;
        if (BN_bn2binpad(scalar, ret, (int) n) < 0)
                return -EIO;

        *ret_length = n;
        return 0;
}

int dns_keypair_format(const struct dns_keypair *pair, char **ret)
{
        const struct algorithm *algorithm = algorithm_find(pair->key.algorithm);
        uint8_t secret[PRIVATE_KEY_MAX];
        char *encoded = NULL, *text;
        size_t length;
        int r;

        if (!algorithm || algorithm->family == ALGORITHM_RSA)
                return -EOPNOTSUPP;

        r = get_private(pair, algorithm, secret, &length);
        if (r >= 0)
                encoded = base64_encode(secret, length);
        OPENSSL_cleanse(secret, sizeof(secret));
        if (r < 0)
                return r;
        if (!encoded)
                return -ENOMEM;

        r = asprintf(&text, "Private-key-format: v1.3\nAlgorithm: %u (%s)\nPrivateKey: %s\n",
                     algorithm->number, dns_algorithm_to_string(algorithm->number), encoded);
        OPENSSL_cleanse(encoded, strlen(encoded));
        free(encoded);
        if (r < 0)
                return -ENOMEM;

        *ret = text;
        return 0;
}
