/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An UPDATE (RFC 2136) as values: what is left of a message after the stateless checks, numbers 3 to 6 of the
 * order of checks. It owns all it holds; nothing in it points into the message. */

#include <stdbool.h>
#include <stdint.h>

#include "dns/edns.h"
#include "dns/key.h"
#include "dns/message.h"
#include "dns/sig0.h"
#include "registry/decision.h"
#include "registry/policy.h"
#include "registry/record.h"
#include "util/address.h"

/* What the dialects differ in. Everything behind update_decode() reads this record and never asks which
 * dialect a request speaks. */
struct dialect {
        const char *name;
        enum dns_section key_section; /* where the KEY is */
        bool drops_addresses; /* an address that is not allowed is left out, else refuses the update */
        bool key_claims;      /* the KEY asks for the name even without an address */
        bool refuses_by_txt;  /* the reason of a refusal is in a TXT record; else in an Extended DNS Error
                                 alone */
        bool echoes_removals; /* the answer repeats what was removed, beside what was added */
};

enum operation_kind {
        OPERATION_ADD,          /* class IN: add, or refresh */
        OPERATION_DELETE_RR,    /* class NONE */
        OPERATION_DELETE_RRSET, /* class ANY */
        OPERATION_DELETE_ALL,   /* class ANY, type ANY: everything but the KEY */
        OPERATION_KEY_ADD,      /* of the signer's, or of the one that takes its place */
        OPERATION_KEY_DELETE,   /* the owner gives the name up */
};

/* What an RR speaks of. An address at the signer's name is one; of anything else there are octets. */
struct operand {
        uint8_t *octets; /* owned: the data in canonical form, then the name below; NULL: neither */
        uint16_t length; /* of the data; 0: none, it is a set of records or a whole name */
        uint8_t below_length;
};

struct operation {
        enum operation_kind kind;
        uint16_t type; /* where it says something */
        struct address address;
        struct operand operand;
        uint32_t ttl_sec;
        bool filtered; /* an ADD of an address that this zone does not take: left out */
        bool never;    /* ... and no zone ever does: multicast and the like */
        bool stands;   /* an ADD of which something is left behind all operations */
};

enum prerequisite_kind {
        PREREQUISITE_RRSET_EXISTS,    /* RFC 2136 section 2.4.1 */
        PREREQUISITE_RR_EXISTS,       /* 2.4.2, value dependent: the RRs of one type are the whole RRset */
        PREREQUISITE_RRSET_ABSENT,    /* 2.4.3 */
        PREREQUISITE_NAME_IN_USE,     /* 2.4.4 */
        PREREQUISITE_NAME_NOT_IN_USE, /* 2.4.5 */
};

struct prerequisite {
        enum prerequisite_kind kind;
        uint16_t type;
        struct address address; /* RR_EXISTS of A and AAAA */
        struct operand operand;
        struct dns_key *key; /* RR_EXISTS of KEY */
};

struct update {
        const struct dialect *dialect;
        struct dns_name name;
        struct address source;
        bool has_key; /* the request carries its KEY */
        struct dns_key key;
        uint32_t key_ttl_sec; /* of the KEY RR */
        /* The signer's key is deleted and this one is added: it takes its place. */
        bool has_new_key;
        struct dns_key new_key;
        uint32_t new_key_ttl_sec;
        uint8_t algorithm; /* of the signature */
        uint16_t key_tag;
        uint32_t inception; /* seconds, RFC 1982 */
        uint32_t expiration;
        uint8_t hash[DNS_SIG0_HASH_SIZE];
        struct dns_edns edns; /* its ede_text is not to be used */
        unsigned n_additions; /* of which ... */
        unsigned n_filtered;  /* ... so many are left out */
        struct operation *operations;
        unsigned n_operations;
        struct prerequisite *prerequisites;
        unsigned n_prerequisites;
};

void update_clear(struct update *update);

/* The record that is spoken of, or the set or name as far as it says: views into it. */
struct record_value operation_value(const struct operation *operation);
struct record_value prerequisite_value(const struct prerequisite *prerequisite);
/* Is it about one record (that could be one of ours). */
static inline bool operation_has_record(const struct operation *operation)
{
        return operation->address.family || operation->operand.length > 0;
}

/* Of a message that the walk accepted and that is not decoded: what its answer needs. Only the original's
 * dialect is known by the message alone; else there is none yet. */
void update_sketch(const struct dns_message *message, struct update *ret);

/* Seconds between which a signature may be valid at most. */
#define UPDATE_SIGNATURE_SPAN_SEC 3600

struct update_context {
        const struct zone_policy *policy;   /* of the zone in the zone section */
        const struct dns_name *server_name; /* reserved; may be NULL */
        struct address source;
        usec_t real_usec; /* wall clock */
        bool clock_synchronized;
};

/* Checks 4 to 6. "message" was accepted by the walk, its opcode is UPDATE and its zone section names the
 * policy's zone. True: *ret is filled in, to be cleared by the caller. False: decision is filled in, and of
 * *ret what an answer needs (name, edns); memory running out is a SERVFAIL. The weakness of the KEY is not
 * judged here but with the parsed key (dns_key_load()), which a caller caches. */
bool update_decode(const struct dns_message *message, const struct update_context *context,
                   struct update *ret, struct decision *decision);
