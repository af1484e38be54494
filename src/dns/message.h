/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The walk over a message: header, counts and sections to exactly the last octet. What it accepted may be
 * looked at through views; what it refused is looked at by nobody. Nothing is copied and nothing allocated:
 * a struct dns_message points into the caller's bytes.
 *
 * Linear in the message's size: names are skipped, a pointer must point strictly backwards, to a place >= 12
 * and is only followed when a name is asked for. RDATA of the types whose form is known (A, AAAA, NS, CNAME,
 * SOA, PTR, MX, SRV, KEY, SIG, OPT, TSIG, TXT) must end exactly at RDLENGTH; RFC 2136's empty RDATA is
 * accepted for classes ANY and NONE and in prerequisites. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dns/name.h"
#include "dns/protocol.h"
#include "dns/wire.h"

enum dns_section {
        DNS_SECTION_QUESTION,  /* UPDATE: zone */
        DNS_SECTION_ANSWER,    /* UPDATE: prerequisite */
        DNS_SECTION_AUTHORITY, /* UPDATE: update */
        DNS_SECTION_ADDITIONAL,
        _DNS_SECTIONS,
};

struct dns_rr {
        uint16_t owner; /* offset of its owner name in the message */
        uint16_t type;
        uint16_t class; /* of an OPT: the UDP payload size */
        uint16_t rdata; /* offset */
        uint16_t rdlength;
        uint32_t ttl;
};

#define DNS_MESSAGE_RRS_MAX 512 /* the walk refuses more */

struct dns_message {
        const uint8_t *wire;
        size_t size;
        uint16_t id;
        uint16_t flags; /* the second word of the header, opcode and RCODE included */
        uint16_t counts[_DNS_SECTIONS];
        /* First question (the zone, in an UPDATE); type 0 when there is none. */
        struct dns_name question_name;
        uint16_t question_type;
        uint16_t question_class;
        /* RRs of answer, authority, additional, in this order, OPT and SIG included. */
        uint16_t n_rrs;
        struct dns_rr rrs[DNS_MESSAGE_RRS_MAX];
        /* Indexes into rrs, or -1. */
        int opt;  /* at most one, in additional, owner root */
        int sig0; /* the SIG (covered type 0) that is the very last RR, in additional */
        int tsig; /* the TSIG that is the very last RR, in additional */
};

/* What the peer is allowed to make us look at. */
struct dns_walk_limits {
        size_t message_bytes;
        unsigned rrs;
};

/* 0; -EBADMSG: not a well-formed message (answer FORMERR if there is a header); -E2BIG: over the limits.
 * limits NULL: DNS_MESSAGE_MAX and DNS_MESSAGE_RRS_MAX. "*why" (may be NULL) is a constant text for a log or
 * an EDE. A second OPT, an OPT elsewhere, a SIG(0) or a TSIG that is not the last RR, octets behind the last
 * RR: refused. The header fields are filled in whenever there are 12 octets, also on failure. */
int dns_message_walk(const uint8_t *wire, size_t size, const struct dns_walk_limits *limits,
                     struct dns_message *ret, const char **why);

/* For an answer to a message that is not read any further, of which only the beginning may be there: header
 * and first question, as far as they are. */
void dns_message_peek(const uint8_t *wire, size_t size, struct dns_message *ret);

/* As the header counts them, OPT and SIG included. */
unsigned dns_message_count_rrs(const struct dns_message *message);

static inline unsigned dns_message_opcode(const struct dns_message *message)
{
        return (message->flags >> 11) & 0xf;
}

/* With the upper bits from the OPT, RFC 6891 section 6.1.3. */
unsigned dns_message_rcode(const struct dns_message *message);

/* RRs of one section: rrs[*ret_first] .. rrs[*ret_first + n - 1]; returns n. */
unsigned dns_message_section(const struct dns_message *message, enum dns_section section,
                             unsigned *ret_first);

/* Expands the name at an offset; *ret_end (may be NULL) is the offset behind it as it lies there. 0 or
 * -EBADMSG. */
int dns_message_name(const struct dns_message *message, size_t offset, struct dns_name *ret, size_t *ret_end);
/* The same with the letters' case as sent, which is what a signature covers. */
int dns_message_expand(const struct dns_message *message, size_t offset, uint8_t buffer[static DNS_NAME_MAX],
                       size_t *ret_length, size_t *ret_end);
int dns_message_owner(const struct dns_message *message, const struct dns_rr *rr, struct dns_name *ret);
const uint8_t *dns_message_rdata(const struct dns_message *message, const struct dns_rr *rr);

/* A and AAAA. 0, or -EBADMSG when type and RDLENGTH are not those of an address. */
int dns_rr_address(const struct dns_message *message, const struct dns_rr *rr, struct address *ret);

/* Building. The writer holds header and RRs; begin writes the header with zero counts, each RR counts itself
 * in. Owner names are compressed against the (first) question's name, and where an owner is the one of the RR
 * before, against that (unless "plain"); names in RDATA never are. At most DNS_MESSAGE_MAX octets are
 * written, whatever the buffer holds. */
struct dns_builder {
        struct wire_writer writer;
        uint16_t counts[_DNS_SECTIONS];
        size_t rdlength_at;
        uint16_t question_at; /* 0: no question written */
        struct dns_name question;
        bool plain;        /* no compression at all; for the caller to set after begin */
        uint16_t owner_at; /* 0: none that can be pointed to */
        struct dns_name owner;
};

void dns_builder_begin(struct dns_builder *builder, void *buffer, size_t size, uint16_t id, uint16_t flags);
void dns_builder_question(struct dns_builder *builder, const struct dns_name *name, uint16_t type,
                          uint16_t class);
/* Opens an RR in a section (sections only move forward) and leaves the writer at its RDATA ... */
void dns_builder_rr_begin(struct dns_builder *builder, enum dns_section section, const struct dns_name *owner,
                          uint16_t type, uint16_t class, uint32_t ttl);
/* ... and closes it: RDLENGTH is filled in. */
void dns_builder_rr_end(struct dns_builder *builder);
/* Both in one, for RDATA that is ready. */
void dns_builder_rr(struct dns_builder *builder, enum dns_section section, const struct dns_name *owner,
                    uint16_t type, uint16_t class, uint32_t ttl, const void *rdata, size_t rdlength);
void dns_builder_address(struct dns_builder *builder, enum dns_section section, const struct dns_name *owner,
                         uint16_t class, uint32_t ttl, const struct address *address);
/* Uncompressed name into RDATA. */
void dns_builder_rdata_name(struct dns_builder *builder, const struct dns_name *name);
/* Goes on behind a message that was ended before: only in its last section, and without compression. */
void dns_builder_resume(struct dns_builder *builder, void *buffer, size_t size, size_t capacity);
/* Undoes everything written since "mark" (for answers that outgrow a UDP payload). */
struct dns_builder_mark {
        size_t position;
        uint16_t counts[_DNS_SECTIONS];
};
struct dns_builder_mark dns_builder_mark(const struct dns_builder *builder);
void dns_builder_reset(struct dns_builder *builder, struct dns_builder_mark mark);
/* Writes the counts into the header. Returns the size, or -EMSGSIZE. May be called again after more RRs. */
ssize_t dns_builder_end(struct dns_builder *builder);
