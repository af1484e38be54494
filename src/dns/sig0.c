/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/sig0.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/sha.h>

#include "dns/algorithm.h"
#include "util/macro.h"

#define SIG_FIXED_SIZE     18
#define SIGNATURE_MAX      512 /* RSA-4096 */
#define ECDSA_DER_MAX      128 /* two integers of 48 octets with their headers are 104 */
#define SIGNED_STACK_BYTES 2048
#define ARCOUNT_OFFSET     10

/* clang-format off */
DEFINE_CLEANUP_VOID(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP_VOID(ECDSA_SIG *, ECDSA_SIG_free)
/* clang-format on */

/* The octets that are signed, in one piece because Ed25519 and Ed448 want them so. Nearly all requests fit
 * into what the stack has. */
struct signed_data {
        uint8_t small[SIGNED_STACK_BYTES];
        uint8_t *octets;
        size_t length;
};

static void signed_data_done(struct signed_data *data)
{
        if (data->octets != data->small)
                free(data->octets);
}

/* "message" ends where the SIG RR begins; "arcount" is the count without it. RFC 2931 section 3.1. */
static int signed_data_fill(struct signed_data *data, const uint8_t *rdata, size_t rdata_length,
                            const uint8_t *message, size_t message_length, uint16_t arcount)
{
        uint8_t *header;

        data->length = rdata_length + message_length;
        data->octets = data->length <= sizeof(data->small) ? data->small : malloc(data->length);
        if (!data->octets)
                return -ENOMEM;

        memcpy(data->octets, rdata, rdata_length);
        memcpy(data->octets + rdata_length, message, message_length);

        header = data->octets + rdata_length;
        header[ARCOUNT_OFFSET] = (uint8_t) (arcount >> 8);
        header[ARCOUNT_OFFSET + 1] = (uint8_t) arcount;
        return 0;
}

static int signed_data_from_message(struct signed_data *data, const struct dns_message *message,
                                    const struct dns_sig0 *sig)
{
        return signed_data_fill(data, sig->signed_rdata, sig->signed_rdata_length, message->wire,
                                message->rrs[message->sig0].owner,
                                (uint16_t) (message->counts[DNS_SECTION_ADDITIONAL] - 1));
}

int dns_sig0_parse(const struct dns_message *message, struct dns_sig0 *ret)
{
        struct wire_reader reader;
        uint8_t signer[DNS_NAME_MAX], labels;
        size_t signer_length, end;
        const struct dns_rr *rr;
        int r;

        if (message->sig0 < 0)
                return -ENODATA;

        rr = &message->rrs[message->sig0];
        if (rr->class != DNS_CLASS_ANY || rr->ttl != 0 || message->wire[rr->owner] != 0)
                return -EBADMSG;

        reader = wire_reader_init(dns_message_rdata(message, rr), rr->rdlength);
        wire_read_u16(&reader); /* the type covered is 0, or the walk would not have noted it */
        ret->algorithm = wire_read_u8(&reader);
        labels = wire_read_u8(&reader);
        wire_read_u32(&reader); /* original TTL: without meaning here, but signed */
        ret->expiration = wire_read_u32(&reader);
        ret->inception = wire_read_u32(&reader);
        ret->key_tag = wire_read_u16(&reader);
        if (reader.error || labels != 0)
                return -EBADMSG;

        r = dns_message_expand(message, rr->rdata + SIG_FIXED_SIZE, signer, &signer_length, &end);
        if (r >= 0)
                r = dns_name_from_wire(signer, signer_length, &ret->signer);
        if (r < 0)
                return r;
        if (end >= (size_t) rr->rdata + rr->rdlength)
                return -EBADMSG;

        ret->signature = message->wire + end;
        ret->signature_length = (uint16_t) (rr->rdata + rr->rdlength - end);
        memcpy(ret->signed_rdata, dns_message_rdata(message, rr), SIG_FIXED_SIZE);
        memcpy(ret->signed_rdata + SIG_FIXED_SIZE, signer, signer_length);
        ret->signed_rdata_length = (uint16_t) (SIG_FIXED_SIZE + signer_length);
        return 0;
}

int dns_sig0_hash(const struct dns_message *message, const struct dns_sig0 *sig,
                  uint8_t ret[static DNS_SIG0_HASH_SIZE])
{
        _cleanup_(signed_data_done) struct signed_data data = {};
        int r;

        r = signed_data_from_message(&data, message, sig);
        if (r < 0)
                return r;

        SHA256(data.octets, data.length, ret);
        return 0;
}

/* The DNS has r and s side by side, OpenSSL wants them in DER. */
static int ecdsa_to_der(const uint8_t *signature, size_t length, uint8_t ret[static ECDSA_DER_MAX],
                        size_t *ret_length)
{
        _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *pair = ECDSA_SIG_new();
        BIGNUM *r = BN_bin2bn(signature, (int) length / 2, NULL);
        BIGNUM *s = BN_bin2bn(signature + length / 2, (int) length / 2, NULL);
        int n;

        if (!pair || !r || !s || !ECDSA_SIG_set0(pair, r, s)) {
                BN_free(r);
                BN_free(s);
                return -ENOMEM;
        }

        n = i2d_ECDSA_SIG(pair, &ret);
        if (n <= 0)
                return -ENOMEM;

        *ret_length = (size_t) n;
        return 0;
}

static int ecdsa_from_der(const uint8_t *der, size_t length, uint8_t *ret, size_t ret_length)
{
        _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long) length);

        if (!pair)
                return -EIO;
        if (BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret, (int) ret_length / 2) < 0 ||
            BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret + ret_length / 2, (int) ret_length / 2) < 0)
                return -EIO;

        return 0;
}

static int verify_octets(EVP_PKEY *key, const struct algorithm *algorithm, const struct signed_data *data,
                         const uint8_t *signature, size_t length)
{
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool good;

        if (!context)
                return -ENOMEM;

        /* A key of another type than the algorithm's fails here. */
        good = EVP_DigestVerifyInit_ex(context, NULL, algorithm->digest, NULL, NULL, key, NULL) > 0 &&
               EVP_DigestVerify(context, signature, length, data->octets, data->length) == 1;
        ERR_clear_error();
        return good ? 0 : -EKEYREJECTED;
}

int dns_sig0_verify(const struct dns_message *message, const struct dns_sig0 *sig, EVP_PKEY *key)
{
        const struct algorithm *algorithm = algorithm_find(sig->algorithm);
        _cleanup_(signed_data_done) struct signed_data data = {};
        uint8_t der[ECDSA_DER_MAX];
        const uint8_t *signature = sig->signature;
        size_t length = sig->signature_length;
        int r;

        if (!algorithm || (algorithm->signature_length != 0 && length != algorithm->signature_length))
                return -EKEYREJECTED;

        if (algorithm->family == ALGORITHM_ECDSA) {
                r = ecdsa_to_der(sig->signature, sig->signature_length, der, &length);
                if (r < 0)
                        return r;
                signature = der;
        }

        r = signed_data_from_message(&data, message, sig);
        if (r < 0)
                return r;

        return verify_octets(key, algorithm, &data, signature, length);
}

static int sign_octets(const struct dns_keypair *pair, const struct algorithm *algorithm,
                       const struct signed_data *data, uint8_t ret[static SIGNATURE_MAX], size_t *ret_length)
{
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        uint8_t signature[SIGNATURE_MAX];
        size_t length = sizeof(signature);
        int r;

        if (!context)
                return -ENOMEM;
        if (EVP_DigestSignInit_ex(context, NULL, algorithm->digest, NULL, NULL, pair->private_key, NULL) <=
                    0 ||
            EVP_DigestSign(context, signature, &length, data->octets, data->length) <= 0) {
                ERR_clear_error();
                return -EIO;
        }

        if (algorithm->family == ALGORITHM_ECDSA) {
                r = ecdsa_from_der(signature, length, ret, algorithm->signature_length);
                if (r < 0)
                        return r;
                length = algorithm->signature_length;
        } else
                memcpy(ret, signature, length);

        *ret_length = length;
        return 0;
}

static size_t write_signed_rdata(uint8_t *buffer, size_t size, const struct dns_key *key,
                                 const struct dns_name *signer, uint64_t inception_sec,
                                 uint64_t expiration_sec)
{
        struct wire_writer writer = wire_writer_init(buffer, size);

        wire_write_u16(&writer, 0); /* type covered */
        wire_write_u8(&writer, key->algorithm);
        wire_write_u8(&writer, 0);  /* labels */
        wire_write_u32(&writer, 0); /* original TTL */
        wire_write_u32(&writer, (uint32_t) expiration_sec);
        wire_write_u32(&writer, (uint32_t) inception_sec);
        wire_write_u16(&writer, dns_key_tag(key));
        wire_write_bytes(&writer, signer->wire, signer->length);
        return writer.position;
}

int dns_sig0_sign(struct dns_builder *builder, const struct dns_keypair *pair, const struct dns_name *signer,
                  uint64_t inception_sec, uint64_t expiration_sec)
{
        static const struct dns_name root = { .length = 1 };
        const struct algorithm *algorithm = algorithm_find(pair->key.algorithm);
        uint8_t rdata[SIG_FIXED_SIZE + DNS_NAME_MAX + SIGNATURE_MAX];
        _cleanup_(signed_data_done) struct signed_data data = {};
        size_t rdata_length, signature_length;
        int r;

        if (!algorithm)
                return -EIO;
        if (dns_builder_end(builder) < 0)
                return -EMSGSIZE;

        rdata_length = write_signed_rdata(rdata, sizeof(rdata), &pair->key, signer, inception_sec,
                                          expiration_sec);
        r = signed_data_fill(&data, rdata, rdata_length, builder->writer.data, builder->writer.position,
                             builder->counts[DNS_SECTION_ADDITIONAL]);
        if (r < 0)
                return r;
        r = sign_octets(pair, algorithm, &data, rdata + rdata_length, &signature_length);
        if (r < 0)
                return r;

        dns_builder_rr(builder, DNS_SECTION_ADDITIONAL, &root, DNS_TYPE_SIG, DNS_CLASS_ANY, 0, rdata,
                       rdata_length + signature_length);
        return builder->writer.error ? -EMSGSIZE : 0;
}
