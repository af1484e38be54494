/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* KEY RRs (RFC 2535 section 3, RFC 3445) and the private keys that go with them, as BIND writes both. */

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dns/message.h"
#include "dns/name.h"
#include "util/macro.h"

#define DNS_KEY_PUBLIC_MAX 520 /* RSA-4096 with a three-octet exponent needs 516 */

struct dns_key {
        uint16_t flags;
        uint8_t protocol;  /* 3 */
        uint8_t algorithm; /* enum dns_algorithm */
        uint16_t length;   /* of public_key */
        uint8_t public_key[DNS_KEY_PUBLIC_MAX];
};

/* From RDATA; only the form is judged: -EBADMSG (shorter than its fixed part, too long). */
int dns_key_from_rdata(const uint8_t *rdata, size_t length, struct dns_key *ret);
size_t dns_key_to_rdata(const struct dns_key *key, uint8_t *buffer, size_t size); /* 0: does not fit */
/* RFC 4034 appendix B over the RDATA, flags included. */
uint16_t dns_key_tag(const struct dns_key *key);
/* Same algorithm and public key, whatever the flags. */
bool dns_key_same(const struct dns_key *a, const struct dns_key *b);
/* SHA-256 over algorithm and public key, lower-case hex, for people and D-Bus; returns buffer. */
#define DNS_KEY_FINGERPRINT_MAX 65
char *dns_key_fingerprint(const struct dns_key *key, char buffer[static DNS_KEY_FINGERPRINT_MAX]);

/* Is the key worth trusting: protocol 3, the algorithm's exact length, a point on the curve, not of small
 * order, RSA with odd modulus of 2048..4096 bits and odd exponent > 1. 0; -EKEYREJECTED: weak or malformed;
 * -EOPNOTSUPP: algorithm unknown here (known: 8, 10, 13, 14, 15, 16). "*why" (may be NULL): constant text. */
int dns_key_check(const struct dns_key *key, const char **why);

/* The key for OpenSSL, to be freed with EVP_PKEY_free. Errors as dns_key_check. */
int dns_key_load(const struct dns_key *key, EVP_PKEY **ret);

/* A key pair of ours. */
struct dns_keypair {
        struct dns_key key;
        EVP_PKEY *private_key;
};

struct dns_keypair *dns_keypair_free(struct dns_keypair *pair);
DEFINE_CLEANUP(struct dns_keypair *, dns_keypair_free)

/* Algorithms 13, 14, 15, 16. KEY flags 0, protocol 3. */
int dns_keypair_generate(uint8_t number, struct dns_keypair **ret);
/* BIND's "Private-key-format: v1.2" and v1.3 text: 8, 10, 13, 14, 15, 16. The public half is computed from
 * the private one; "flags" of the result are 0. -EBADMSG (not such a file), -EOPNOTSUPP (algorithm). */
int dns_keypair_parse(const char *text, size_t length, struct dns_keypair **ret);
/* Private half as v1.3 text; *ret is owned by the caller, and is to be wiped. 13, 14, 15, 16. */
int dns_keypair_format(const struct dns_keypair *pair, char **ret);

/* "name. [TTL] [IN] KEY 512 3 13 base64": the .key file. 0 or -EBADMSG. */
int dns_key_parse_rr(const char *text, struct dns_name *ret_owner, struct dns_key *ret);
int dns_key_format_rr(const struct dns_name *owner, const struct dns_key *key, char **ret);
