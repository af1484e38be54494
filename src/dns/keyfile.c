/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ldns/ldns.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "dns/algorithm.h"
#include "dns/key.h"
#include "util/macro.h"

#define PRIVATE_KEY_MAX      66 /* the longest private half written here: Ed448's 57 */
#define EC_POINT_FORM_OCTETS 1
#define RSA_EXPONENT_SHORT   255

/* clang-format off */
DEFINE_CLEANUP_VOID(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP_VOID(BIGNUM *, BN_free)
DEFINE_CLEANUP_VOID(ldns_key *, ldns_key_deep_free)
DEFINE_CLEANUP_VOID(ldns_rr *, ldns_rr_free)
DEFINE_CLEANUP_VOID(FILE *, fclose)
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
        _cleanup_(BN_freep) BIGNUM *modulus = NULL, *exponent = NULL;
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

int dns_keypair_parse(const char *text, size_t length, struct dns_keypair **ret)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        _cleanup_(ldns_key_deep_freep) ldns_key *read = NULL;
        _cleanup_(fclosep) FILE *file = NULL;
        const struct algorithm *algorithm;
        int r;

        if (length == 0)
                return -EBADMSG;
        file = fmemopen((void *) text, length, "r");
        if (!file)
                return -errno;

        if (ldns_key_new_frm_fp(&read, file) != LDNS_STATUS_OK) {
                ERR_clear_error();
                return -EBADMSG;
        }

        algorithm = algorithm_find((uint8_t) ldns_key_algorithm(read));
        if (!algorithm || ldns_key_algorithm(read) > UINT8_MAX)
                return -EOPNOTSUPP;
        if (!ldns_key_evp_key(read))
                return -EBADMSG;

        r = keypair_new(ldns_key_evp_key(read), algorithm, &pair);
        ERR_clear_error();
        if (r < 0)
                return r;

        *ret = TAKE_PTR(pair);
        return 0;
}

static int get_private(const struct dns_keypair *pair, const struct algorithm *algorithm,
                       uint8_t ret[static PRIVATE_KEY_MAX], size_t *ret_length)
{
        _cleanup_(BN_freep) BIGNUM *scalar = NULL;
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

        BN_clear(scalar);
        *ret_length = n;
        return 0;
}

static char *encode_base64(const uint8_t *data, size_t length)
{
        char *text = malloc((length + 2) / 3 * 4 + 1);

        if (text)
                EVP_EncodeBlock((unsigned char *) text, data, (int) length);
        return text;
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
                encoded = encode_base64(secret, length);
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

static int key_from_rr(const ldns_rr *rr, struct dns_key *ret)
{
        uint8_t rdata[4 + DNS_KEY_PUBLIC_MAX];
        struct wire_writer writer = wire_writer_init(rdata, sizeof(rdata));

        if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_KEY || ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
                return -EBADMSG;

        for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
                const ldns_rdf *field = ldns_rr_rdf(rr, i);

                wire_write_bytes(&writer, ldns_rdf_data(field), ldns_rdf_size(field));
        }
        if (writer.error)
                return -EBADMSG;

        return dns_key_from_rdata(rdata, writer.position, ret);
}

int dns_key_parse_rr(const char *text, struct dns_name *ret_owner, struct dns_key *ret)
{
        _cleanup_(ldns_rr_freep) ldns_rr *rr = NULL;
        _cleanup_(fclosep) FILE *file = NULL;
        ldns_status status;
        struct dns_name owner;
        struct dns_key key;
        int r;

        if (*text == 0)
                return -EBADMSG;
        file = fmemopen((void *) text, strlen(text), "r");
        if (!file)
                return -errno;

        /* Comments and empty lines come back one by one. */
        do
                status = ldns_rr_new_frm_fp(&rr, file, NULL, NULL, NULL);
        while (status == LDNS_STATUS_SYNTAX_EMPTY && !feof(file));
        if (status != LDNS_STATUS_OK)
                return -EBADMSG;

        r = dns_name_from_wire(ldns_rdf_data(ldns_rr_owner(rr)), ldns_rdf_size(ldns_rr_owner(rr)), &owner);
        if (r >= 0)
                r = key_from_rr(rr, &key);
        if (r < 0)
                return r;

        *ret_owner = owner;
        *ret = key;
        return 0;
}

int dns_key_format_rr(const struct dns_name *owner, const struct dns_key *key, char **ret)
{
        _cleanup_free_ char *encoded = encode_base64(key->public_key, key->length);
        char name[DNS_NAME_FORMAT_MAX], *text;

        if (!encoded)
                return -ENOMEM;

        if (asprintf(&text, "%s IN KEY %u %u %u %s\n", dns_name_format(owner, name), key->flags,
                     key->protocol, key->algorithm, encoded) < 0)
                return -ENOMEM;

        *ret = text;
        return 0;
}
