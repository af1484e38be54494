/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The UPDATE that nsregc sends, and what the answer to it means. Pure: bytes in, bytes out. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/extra-record.h"
#include "dns/key.h"
#include "dns/name.h"
#include "nsregc/address-table.h"
#include "util/address.h"

#define UPDATE_SIZE_MAX     8192
#define UPDATE_VALIDITY_SEC 300 /* of the signature, before and after now */
#define UPDATE_TEXT_MAX     512

enum update_kind {
        UPDATE_SET,      /* these addresses stand; "removals" go */
        UPDATE_WITHDRAW, /* "removals" go, the name stays ours */
        UPDATE_RELEASE,  /* the name is given up too */
        UPDATE_ROLL,     /* "new_key" takes the place of the one that signs */
        UPDATE_RECORDS,  /* the records beside addresses alone: "extra" stand, "extra_removals" go */
};

struct update {
        enum update_kind kind;
        uint16_t id;
        const struct dns_name *zone;
        const struct dns_name *name;
        const struct dns_keypair *pair;
        const struct dns_key *new_key; /* UPDATE_ROLL */
        uint32_t key_ttl_sec;
        uint32_t addr_ttl_sec; /* TTLs are what is left of an address's life, at most this */
        const struct address_set *addresses;
        const struct address_set *removals; /* single RRs, class NONE: every server knows that */
        /* NULL: none. A withdrawal takes the latter along. */
        const struct extra_record_list *extra, *extra_removals;
        bool by_rrset; /* the server knows RRset deletion: everything at the name goes first */
        usec_t now_boottime_usec;
        uint64_t now_sec; /* since 1970 */
};

/* Returns the size, or -EMSGSIZE, -EIO. */
ssize_t update_build(const struct update *update, uint8_t buffer[static UPDATE_SIZE_MAX]);

enum verdict {
        VERDICT_GRANTED,
        VERDICT_LATER,   /* SERVFAIL: may be different in a minute */
        VERDICT_CLOCK,   /* our time is not the server's */
        VERDICT_REFUSED, /* only a person, or another key, can change that */
        VERDICT_FORM,    /* FORMERR, NOTIMP: the server does not know what was said */
};

struct update_answer {
        enum verdict verdict;
        unsigned rcode;
        int ede;                    /* -1: none */
        char text[UPDATE_TEXT_MAX]; /* the server's words, escaped; may be empty */
        bool knows_lease;           /* it answered the Update Lease: it knows RRset deletion too */
        uint32_t lease_sec;         /* the shortest that was granted, 0: not told */
        struct address_set granted; /* the echo, to be cleared by the caller */
};

/* 0; -EBADMSG: no DNS message; -ENOMEM. */
int update_answer_read(const uint8_t *bytes, size_t size, const struct dns_name *name,
                       struct update_answer *ret);
/* The name belongs to another key. */
bool update_answer_is_foreign(const struct update_answer *answer);
/* Granted, and there is another machine that has this one's key and changes the same name. */
bool update_answer_has_twin(const struct update_answer *answer);
/* How many records a name may have, by the words of a refusal; 0: they do not tell. */
uint32_t update_answer_limit(const struct update_answer *answer);
void update_answer_clear(struct update_answer *answer);
