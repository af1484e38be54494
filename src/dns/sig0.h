/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SIG(0), RFC 2931: the signature over a whole request, in its last RR. Signed is the SIG's RDATA without the
 * signature (signer name expanded, as sent, not lower-cased) followed by the message up to the SIG RR with
 * ARCOUNT less one. */

#include <stdint.h>

#include "dns/key.h"
#include "dns/message.h"

struct dns_sig0 {
        uint8_t algorithm;
        uint16_t key_tag;
        uint32_t inception; /* seconds, RFC 1982 arithmetic */
        uint32_t expiration;
        struct dns_name signer;   /* canonical */
        const uint8_t *signature; /* a view */
        uint16_t signature_length;
        uint8_t signed_rdata[18 + DNS_NAME_MAX]; /* RDATA without the signature, as it is signed */
        uint16_t signed_rdata_length;
};

/* Reads message's SIG(0). -ENODATA: it has none. -EBADMSG: covered type or labels not 0, class not ANY, TTL
 * not 0, owner not the root, no signature. */
int dns_sig0_parse(const struct dns_message *message, struct dns_sig0 *ret);

/* SHA-256 of what is signed: two requests with one hash are one request, whatever their signature octets. */
#define DNS_SIG0_HASH_SIZE 32
int dns_sig0_hash(const struct dns_message *message, const struct dns_sig0 *sig,
                  uint8_t ret[static DNS_SIG0_HASH_SIZE]);

/* The price of the whole thing: one public key operation. 0, -EKEYREJECTED: the signature is wrong, or other
 * negative errno (no memory). "key" comes from dns_key_load() for "algorithm". */
int dns_sig0_verify(const struct dns_message *message, const struct dns_sig0 *sig, EVP_PKEY *key);

/* Appends a SIG(0) as last RR; nothing may be written behind it, and dns_builder_end() is then for the caller
 * to call. Seconds since 1970, cut to 32 bits. 0, -EMSGSIZE, -EIO, -ENOMEM. */
int dns_sig0_sign(struct dns_builder *builder, const struct dns_keypair *pair, const struct dns_name *signer,
                  uint64_t inception_sec, uint64_t expiration_sec);
