/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* TSIG, RFC 8945: signing our updates and queries, verifying the answers to them. */

#include <stdint.h>
#include <sys/types.h>

#include "dns/message.h"
#include "util/macro.h"

enum tsig_algorithm {
        TSIG_HMAC_SHA1,
        TSIG_HMAC_SHA224,
        TSIG_HMAC_SHA256,
        TSIG_HMAC_SHA384,
        TSIG_HMAC_SHA512,
        _TSIG_ALGORITHMS,
};

#define TSIG_MAC_MAX    64
#define TSIG_SECRET_MAX 512

struct tsig_key {
        struct dns_name name;
        enum tsig_algorithm algorithm;
        size_t secret_length;
        uint8_t secret[TSIG_SECRET_MAX];
};

/* "hmac-sha256", with or without final dot, any case. -EINVAL. */
int tsig_algorithm_from_string(const char *text, enum tsig_algorithm *ret);
const char *tsig_algorithm_to_string(enum tsig_algorithm algorithm);
/* Base64. 0 or -EINVAL. */
int tsig_key_set_secret(struct tsig_key *key, const char *base64);
/* A key file as tsig-keygen writes it: key "name" { algorithm hmac-sha256; secret "..."; };  Comments as in
 * named.conf. Exactly one key. 0 or -EBADMSG; "*why" (may be NULL) is constant text. */
int tsig_key_parse_file(const char *text, size_t length, struct tsig_key *ret, const char **why);

/* Kept between request and answer. */
struct tsig_context {
        const struct tsig_key *key;
        uint8_t request_mac[TSIG_MAC_MAX];
        uint8_t request_mac_length;
        uint16_t id;
        uint16_t fudge;       /* seconds */
        uint64_t time_signed; /* seconds */
};

#define TSIG_FUDGE_SEC 300
/* At most so many octets are appended by signing with this key. */
size_t tsig_key_room(const struct tsig_key *key);

/* Appends a TSIG as last RR, fills in the context; dns_builder_end() is then for the caller to call. 0,
 * -EMSGSIZE, -EIO. */
int tsig_sign(struct dns_builder *builder, const struct tsig_key *key, uint64_t now_sec, uint16_t fudge_sec,
              struct tsig_context *ret);
/* The same to a message that is complete but for it, in a buffer of "capacity" octets. Its new size, or as
 * above. */
ssize_t tsig_sign_message(uint8_t *message, size_t size, size_t capacity, const struct tsig_key *key,
                          uint64_t now_sec, uint16_t fudge_sec, struct tsig_context *ret);

enum tsig_verdict {
        TSIG_GOOD,
        TSIG_MISSING,  /* no TSIG in the answer: a hint, never success */
        TSIG_UNSIGNED, /* BADKEY or BADSIG, unsigned as the RFC has it: a hint, never success */
        TSIG_BADTIME,  /* properly signed: the server's clock is in server_time */
        TSIG_BAD,      /* wrong key, name, algorithm, MAC, id */
};

struct tsig_answer {
        unsigned error;       /* the TSIG error field */
        uint64_t server_time; /* of BADTIME; seconds */
        /* It came through a forwarder: the message was signed for another ID than ours (RFC 8945 section
         * 5.3). */
        bool forwarded;
};

/* Verifies the answer to the request that filled the context. Its MAC is bound to ours, so that the time in
 * it says nothing about its age, and is not judged. */
enum tsig_verdict tsig_verify(const struct dns_message *reply, const struct tsig_context *context,
                              struct tsig_answer *ret);
