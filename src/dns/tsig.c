/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/tsig.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <strings.h>

#include "dns/base64.h"

#define TSIG_OTHER_TIME_SIZE 6
#define ARCOUNT_OFFSET       10
/* Algorithm name, time, fudge, MAC size, MAC, original id, error, other length. */
#define TSIG_RDATA_MAX (DNS_NAME_MAX + 8 + 2 + TSIG_MAC_MAX + 6)

static const struct {
        const char *name;
        const char *digest;
        size_t mac_size;
} algorithms[_TSIG_ALGORITHMS] = {
        [TSIG_HMAC_SHA1] = { "hmac-sha1", "SHA1", 20 },
        [TSIG_HMAC_SHA224] = { "hmac-sha224", "SHA224", 28 },
        [TSIG_HMAC_SHA256] = { "hmac-sha256", "SHA256", 32 },
        [TSIG_HMAC_SHA384] = { "hmac-sha384", "SHA384", 48 },
        [TSIG_HMAC_SHA512] = { "hmac-sha512", "SHA512", 64 },
};

/* clang-format off */
DEFINE_CLEANUP_VOID(EVP_MAC *, EVP_MAC_free)
DEFINE_CLEANUP_VOID(EVP_MAC_CTX *, EVP_MAC_CTX_free)
/* clang-format on */

/* A TSIG RR taken apart; the pointers are views into the message. */
struct tsig {
        struct dns_name name;
        struct dns_name algorithm;
        uint64_t time_signed;
        uint16_t fudge;
        const uint8_t *mac;
        size_t mac_size;
        uint16_t original_id;
        uint16_t error;
        const uint8_t *other;
        size_t other_size;
};

int tsig_algorithm_from_string(const char *text, enum tsig_algorithm *ret)
{
        size_t length = strlen(text);

        if (length > 0 && text[length - 1] == '.')
                length--;

        for (enum tsig_algorithm i = TSIG_HMAC_SHA1; i < _TSIG_ALGORITHMS; i++)
                if (strlen(algorithms[i].name) == length &&
                    strncasecmp(algorithms[i].name, text, length) == 0) {
                        *ret = i;
                        return 0;
                }

        return -EINVAL;
}

const char *tsig_algorithm_to_string(enum tsig_algorithm algorithm)
{
        return algorithms[algorithm].name;
}

int tsig_key_set_secret(struct tsig_key *key, const char *base64)
{
        uint8_t secret[TSIG_SECRET_MAX];
        int n = base64_decode(base64, secret, sizeof(secret));

        if (n >= 0) {
                memcpy(key->secret, secret, (size_t) n);
                key->secret_length = (size_t) n;
        }

        OPENSSL_cleanse(secret, sizeof(secret));
        return n < 0 ? n : 0;
}

static struct dns_name algorithm_name(enum tsig_algorithm algorithm)
{
        const char *text = algorithms[algorithm].name;
        struct dns_name name = {};

        name.wire[0] = (uint8_t) strlen(text);
        memcpy(name.wire + 1, text, strlen(text));
        name.length = (uint8_t) (strlen(text) + 2);
        return name;
}

/* RFC 8945 section 4.3.3, without the parts that stand in the message. */
static size_t write_variables(uint8_t *buffer, size_t size, const struct tsig *tsig)
{
        struct wire_writer writer = wire_writer_init(buffer, size);

        wire_write_bytes(&writer, tsig->name.wire, tsig->name.length);
        wire_write_u16(&writer, DNS_CLASS_ANY);
        wire_write_u32(&writer, 0); /* TTL */
        wire_write_bytes(&writer, tsig->algorithm.wire, tsig->algorithm.length);
        wire_write_u48(&writer, tsig->time_signed);
        wire_write_u16(&writer, tsig->fudge);
        wire_write_u16(&writer, tsig->error);
        wire_write_u16(&writer, (uint16_t) tsig->other_size);
        wire_write_bytes(&writer, tsig->other, tsig->other_size);
        return writer.position;
}

/* The MAC over [request MAC,] header as it was before the TSIG, rest of the message, variables. */
static int compute_mac(const struct tsig_key *key, const struct tsig_context *request,
                       const uint8_t header[static DNS_HEADER_SIZE], const uint8_t *body, size_t body_length,
                       const struct tsig *tsig, uint8_t ret[static TSIG_MAC_MAX])
{
        _cleanup_(EVP_MAC_freep) EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        _cleanup_(EVP_MAC_CTX_freep) EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
        uint8_t variables[2 * DNS_NAME_MAX + 18 + TSIG_OTHER_TIME_SIZE], request_length[2] = {};
        OSSL_PARAM parameters[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) algorithms[key->algorithm].digest, 0),
                OSSL_PARAM_construct_end(),
        };
        size_t variables_length, length;

        variables_length = write_variables(variables, sizeof(variables), tsig);
        if (!context || !EVP_MAC_init(context, key->secret, key->secret_length, parameters))
                goto fail;

        if (request) {
                request_length[1] = request->request_mac_length;
                if (!EVP_MAC_update(context, request_length, sizeof(request_length)) ||
                    !EVP_MAC_update(context, request->request_mac, request->request_mac_length))
                        goto fail;
        }
        if (!EVP_MAC_update(context, header, DNS_HEADER_SIZE) ||
            !EVP_MAC_update(context, body, body_length) ||
            !EVP_MAC_update(context, variables, variables_length) ||
            !EVP_MAC_final(context, ret, &length, TSIG_MAC_MAX))
                goto fail;

        return 0;

fail:
        ERR_clear_error();
        return -EIO;
}

/* Type, class, TTL and length, then time, fudge, the MAC's size, the ID, the error, no other data. */
size_t tsig_key_room(const struct tsig_key *key)
{
        struct dns_name algorithm = algorithm_name(key->algorithm);

        return key->name.length + 10 + algorithm.length + 16 + algorithms[key->algorithm].mac_size;
}

static void write_tsig(struct dns_builder *builder, const struct tsig *tsig)
{
        struct wire_writer *writer = &builder->writer;

        dns_builder_rr_begin(builder, DNS_SECTION_ADDITIONAL, &tsig->name, DNS_TYPE_TSIG, DNS_CLASS_ANY, 0);
        dns_builder_rdata_name(builder, &tsig->algorithm);
        wire_write_u48(writer, tsig->time_signed);
        wire_write_u16(writer, tsig->fudge);
        wire_write_u16(writer, (uint16_t) tsig->mac_size);
        wire_write_bytes(writer, tsig->mac, tsig->mac_size);
        wire_write_u16(writer, tsig->original_id);
        wire_write_u16(writer, tsig->error);
        wire_write_u16(writer, (uint16_t) tsig->other_size);
        wire_write_bytes(writer, tsig->other, tsig->other_size);
        dns_builder_rr_end(builder);
}

int tsig_sign(struct dns_builder *builder, const struct tsig_key *key, uint64_t now_sec, uint16_t fudge_sec,
              struct tsig_context *ret)
{
        struct tsig_context context = { .key = key, .time_signed = now_sec, .fudge = fudge_sec };
        struct tsig tsig = {
                .name = key->name,
                .algorithm = algorithm_name(key->algorithm),
                .time_signed = now_sec,
                .fudge = fudge_sec,
        };
        const uint8_t *data = builder->writer.data;
        int r;

        if (dns_builder_end(builder) < 0)
                return -EMSGSIZE;

        context.id = tsig.original_id = (uint16_t) (data[0] << 8 | data[1]);
        r = compute_mac(key, NULL, data, data + DNS_HEADER_SIZE, builder->writer.position - DNS_HEADER_SIZE,
                        &tsig, context.request_mac);
        if (r < 0)
                return r;

        context.request_mac_length = (uint8_t) algorithms[key->algorithm].mac_size;
        tsig.mac = context.request_mac;
        tsig.mac_size = context.request_mac_length;
        write_tsig(builder, &tsig);
        if (builder->writer.error)
                return -EMSGSIZE;

        *ret = context;
        return 0;
}

ssize_t tsig_sign_message(uint8_t *message, size_t size, size_t capacity, const struct tsig_key *key,
                          uint64_t now_sec, uint16_t fudge_sec, struct tsig_context *ret)
{
        struct dns_builder builder;
        int r;

        dns_builder_resume(&builder, message, size, capacity);
        r = tsig_sign(&builder, key, now_sec, fudge_sec, ret);
        return r < 0 ? r : dns_builder_end(&builder);
}

static int parse_tsig(const struct dns_message *message, struct tsig *ret)
{
        const struct dns_rr *rr = &message->rrs[message->tsig];
        struct wire_reader reader;
        size_t end;

        if (rr->class != DNS_CLASS_ANY || rr->ttl != 0)
                return -EBADMSG;
        if (dns_message_owner(message, rr, &ret->name) < 0 ||
            dns_message_name(message, rr->rdata, &ret->algorithm, &end) < 0 ||
            end > (size_t) rr->rdata + rr->rdlength)
                return -EBADMSG;

        reader = wire_reader_init(message->wire + end, rr->rdata + rr->rdlength - end);
        ret->time_signed = wire_read_u48(&reader);
        ret->fudge = wire_read_u16(&reader);
        ret->mac_size = wire_read_u16(&reader);
        ret->mac = wire_read_bytes(&reader, ret->mac_size);
        ret->original_id = wire_read_u16(&reader);
        ret->error = wire_read_u16(&reader);
        ret->other_size = wire_read_u16(&reader);
        ret->other = wire_read_bytes(&reader, ret->other_size);

        return reader.error || wire_reader_left(&reader) > 0 ? -EBADMSG : 0;
}

static bool mac_is_right(const struct dns_message *message, const struct tsig_context *context,
                         const struct tsig *tsig)
{
        uint8_t header[DNS_HEADER_SIZE], mac[TSIG_MAC_MAX];
        uint16_t arcount = (uint16_t) (message->counts[DNS_SECTION_ADDITIONAL] - 1);
        size_t end = message->rrs[message->tsig].owner;

        if (tsig->mac_size != algorithms[context->key->algorithm].mac_size)
                return false;
        if (tsig->other_size > TSIG_OTHER_TIME_SIZE)
                return false;

        memcpy(header, message->wire, sizeof(header));
        header[0] = (uint8_t) (tsig->original_id >> 8);
        header[1] = (uint8_t) tsig->original_id;
        header[ARCOUNT_OFFSET] = (uint8_t) (arcount >> 8);
        header[ARCOUNT_OFFSET + 1] = (uint8_t) arcount;

        if (compute_mac(context->key, context, header, message->wire + DNS_HEADER_SIZE, end - DNS_HEADER_SIZE,
                        tsig, mac) < 0)
                return false;

        return CRYPTO_memcmp(mac, tsig->mac, tsig->mac_size) == 0;
}

enum tsig_verdict tsig_verify(const struct dns_message *reply, const struct tsig_context *context,
                              struct tsig_answer *ret)
{
        struct dns_name algorithm = algorithm_name(context->key->algorithm);
        struct wire_reader reader;
        struct tsig tsig;

        *ret = (struct tsig_answer){};
        if (reply->tsig < 0)
                return TSIG_MISSING;
        if (parse_tsig(reply, &tsig) < 0)
                return TSIG_BAD;

        ret->error = tsig.error;
        if (reply->id != context->id)
                return TSIG_BAD;
        if (tsig.mac_size == 0 && (tsig.error == DNS_RCODE_BADKEY || tsig.error == DNS_RCODE_BADSIG))
                return TSIG_UNSIGNED;
        if (!dns_name_equal(&tsig.name, &context->key->name) || !dns_name_equal(&tsig.algorithm, &algorithm))
                return TSIG_BAD;
        if (!mac_is_right(reply, context, &tsig))
                return TSIG_BAD;

        ret->forwarded = tsig.original_id != context->id;
        /* Whoever signs an error other than these two had better not say that the request went well. */
        if (tsig.error == DNS_RCODE_NOERROR)
                return TSIG_GOOD;
        if (tsig.error != DNS_RCODE_BADTIME)
                return TSIG_BAD;
        /* In such an answer the time signed is the one of the request; the server's is in the other data. */
        reader = wire_reader_init(tsig.other, tsig.other_size);
        ret->server_time = wire_read_u48(&reader);
        return reader.error ? TSIG_BAD : TSIG_BADTIME;
}
