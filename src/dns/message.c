/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/message.h"

#include "util/macro.h"

#define POINTER_BITS    0xc0
#define POINTER_MASK    0x3fff
#define POINTER_HOPS    127 /* a name has at most 127 labels; more pointers than that lead nowhere useful */
#define RR_FIXED_SIZE   10  /* type, class, TTL, RDLENGTH */
#define QUESTION_FIXED  4   /* type, class */
#define SOA_FIXED_SIZE  20
#define SIG_FIXED_SIZE  18
#define KEY_FIXED_SIZE  4
#define TSIG_TIME_FUDGE 8 /* time signed, fudge */
#define TSIG_TAIL_FIXED 6 /* original id, error, other length */
#define OPTION_FIXED    4

static uint16_t load_u16(const uint8_t *bytes)
{
        return (uint16_t) (bytes[0] << 8 | bytes[1]);
}

static uint32_t load_u32(const uint8_t *bytes)
{
        return (uint32_t) load_u16(bytes) << 16 | load_u16(bytes + 2);
}

/* Passes over a name that lies at "offset" and must end at or before "end". Returns the offset behind it, or
 * 0. A pointer must lead in front of the name it ends, so that following it later comes to an end. */
static size_t skip_name(const uint8_t *wire, size_t offset, size_t end)
{
        size_t start = offset;

        while (offset < end) {
                uint8_t length = wire[offset];

                if (length == 0)
                        return offset + 1;
                if (length <= DNS_LABEL_MAX) {
                        offset += 1u + length;
                        if (offset - start >= DNS_NAME_MAX)
                                return 0;
                        continue;
                }
                if ((length & POINTER_BITS) != POINTER_BITS || end - offset < 2)
                        return 0;

                size_t target = load_u16(wire + offset) & POINTER_MASK;
                if (target < DNS_HEADER_SIZE || target >= start)
                        return 0;
                return offset + 2;
        }

        return 0;
}

static bool names_end_at(const uint8_t *wire, size_t offset, size_t end, unsigned n_names,
                         size_t fixed_behind)
{
        for (unsigned i = 0; i < n_names; i++) {
                offset = skip_name(wire, offset, end);
                if (offset == 0)
                        return false;
        }

        return end - offset == fixed_behind;
}

static bool strings_end_at(const uint8_t *wire, size_t offset, size_t end)
{
        if (offset == end)
                return false;
        while (offset < end)
                offset += 1u + wire[offset];

        return offset == end;
}

static bool options_end_at(const uint8_t *wire, size_t offset, size_t end)
{
        while (end - offset >= OPTION_FIXED) {
                size_t length = load_u16(wire + offset + 2);

                if (length > end - offset - OPTION_FIXED)
                        return false;
                offset += OPTION_FIXED + length;
        }

        return offset == end;
}

static bool tsig_ends_at(const uint8_t *wire, size_t offset, size_t end)
{
        size_t mac_size;

        offset = skip_name(wire, offset, end);
        if (offset == 0 || end - offset < TSIG_TIME_FUDGE + 2)
                return false;

        offset += TSIG_TIME_FUDGE;
        mac_size = load_u16(wire + offset);
        offset += 2;
        if (end - offset < mac_size + TSIG_TAIL_FIXED)
                return false;

        offset += mac_size + TSIG_TAIL_FIXED;
        return end - offset == load_u16(wire + offset - 2);
}

static bool rdata_is_well_formed(const uint8_t *wire, uint16_t type, size_t offset, size_t end)
{
        size_t length = end - offset;

        switch (type) {
        case DNS_TYPE_A:
                return length == 4;
        case DNS_TYPE_AAAA:
                return length == 16;
        case DNS_TYPE_NS:
        case DNS_TYPE_CNAME:
        case DNS_TYPE_PTR:
        case DNS_TYPE_DNAME:
                return names_end_at(wire, offset, end, 1, 0);
        case DNS_TYPE_SOA:
                return names_end_at(wire, offset, end, 2, SOA_FIXED_SIZE);
        case DNS_TYPE_MX:
                return length > 2 && names_end_at(wire, offset + 2, end, 1, 0);
        case DNS_TYPE_SRV:
                return length > 6 && names_end_at(wire, offset + 6, end, 1, 0);
        case DNS_TYPE_TXT:
                return strings_end_at(wire, offset, end);
        case DNS_TYPE_KEY:
                return length >= KEY_FIXED_SIZE;
        case DNS_TYPE_SIG:
                return length > SIG_FIXED_SIZE && skip_name(wire, offset + SIG_FIXED_SIZE, end) != 0;
        case DNS_TYPE_OPT:
                return options_end_at(wire, offset, end);
        case DNS_TYPE_TSIG:
                return tsig_ends_at(wire, offset, end);
        default:
                return true;
        }
}

/* RFC 2136 writes "any RRset" and "no RRset" as RRs without RDATA. The types that belong to the message and
 * not to a zone always have some. */
static bool may_be_empty(const struct dns_message *message, const struct dns_rr *rr, enum dns_section section)
{
        if (rr->type == DNS_TYPE_OPT || rr->type == DNS_TYPE_TSIG)
                return false;
        if (rr->type == DNS_TYPE_SIG && section == DNS_SECTION_ADDITIONAL)
                return false;
        if (rr->class == DNS_CLASS_ANY || rr->class == DNS_CLASS_NONE)
                return true;

        return section == DNS_SECTION_ANSWER && dns_message_opcode(message) == DNS_OPCODE_UPDATE;
}

static bool is_sig0(const uint8_t *wire, const struct dns_rr *rr)
{
        return rr->type == DNS_TYPE_SIG && rr->rdlength > SIG_FIXED_SIZE && load_u16(wire + rr->rdata) == 0;
}

/* The RRs that may be in one place only. "index" is the place the RR has among all. */
static const char *note_special(struct dns_message *message, const struct dns_rr *rr, unsigned index,
                                enum dns_section section, bool last)
{
        if (rr->type == DNS_TYPE_OPT) {
                if (section != DNS_SECTION_ADDITIONAL)
                        return "OPT record outside the additional section";
                if (message->opt >= 0)
                        return "more than one OPT record";
                if (message->wire[rr->owner] != 0)
                        return "OPT record whose owner is not the root";
                message->opt = (int) index;
        } else if (rr->type == DNS_TYPE_TSIG) {
                if (section != DNS_SECTION_ADDITIONAL || !last)
                        return "TSIG is not the last record";
                message->tsig = (int) index;
        } else if (is_sig0(message->wire, rr)) {
                if (section != DNS_SECTION_ADDITIONAL || !last)
                        return "SIG(0) is not the last record";
                message->sig0 = (int) index;
        }

        return NULL;
}

static const char *walk_questions(struct dns_message *message, size_t *position)
{
        const uint8_t *wire = message->wire;
        size_t offset = *position;

        for (unsigned i = 0; i < message->counts[DNS_SECTION_QUESTION]; i++) {
                size_t end = skip_name(wire, offset, message->size);

                if (end == 0 || message->size - end < QUESTION_FIXED)
                        return "question section is malformed";
                if (i == 0) {
                        /* In front of the first name there is nothing that a pointer might lead to. */
                        if (dns_name_from_wire(wire + offset, end - offset, &message->question_name) < 0)
                                return "question name is malformed";
                        message->question_type = load_u16(wire + end);
                        message->question_class = load_u16(wire + end + 2);
                }
                offset = end + QUESTION_FIXED;
        }

        *position = offset;
        return NULL;
}

static const char *walk_rr(struct dns_message *message, enum dns_section section, bool last, size_t *position)
{
        const uint8_t *wire = message->wire;
        struct dns_rr *rr = &message->rrs[message->n_rrs];
        size_t offset, end;
        const char *why;

        offset = skip_name(wire, *position, message->size);
        if (offset == 0)
                return "owner name is malformed";
        if (message->size - offset < RR_FIXED_SIZE)
                return "record runs over the end of the message";

        rr->owner = (uint16_t) *position;
        rr->type = load_u16(wire + offset);
        rr->class = load_u16(wire + offset + 2);
        rr->ttl = load_u32(wire + offset + 4);
        rr->rdlength = load_u16(wire + offset + 8);
        offset += RR_FIXED_SIZE;
        rr->rdata = (uint16_t) offset;

        if (rr->rdlength > message->size - offset)
                return "record data runs over the end of the message";
        end = offset + rr->rdlength;

        if (rr->rdlength == 0 && may_be_empty(message, rr, section))
                ;
        else if (!rdata_is_well_formed(wire, rr->type, offset, end))
                return "record data is malformed";

        why = note_special(message, rr, message->n_rrs, section, last);
        if (why)
                return why;

        message->n_rrs++;
        *position = end;
        return NULL;
}

static const char *walk_sections(struct dns_message *message)
{
        size_t position = DNS_HEADER_SIZE;
        const char *why;
        unsigned left = 0;

        why = walk_questions(message, &position);
        if (why)
                return why;

        for (enum dns_section s = DNS_SECTION_ANSWER; s < _DNS_SECTIONS; s++)
                left += message->counts[s];

        for (enum dns_section s = DNS_SECTION_ANSWER; s < _DNS_SECTIONS; s++)
                for (unsigned i = 0; i < message->counts[s]; i++) {
                        why = walk_rr(message, s, --left == 0, &position);
                        if (why)
                                return why;
                }

        return position == message->size ? NULL : "octets behind the last record";
}

/* Everything but the array of RRs, whose 8 KB nobody reads beyond n_rrs. */
static void reset(struct dns_message *message, const uint8_t *wire, size_t size)
{
        message->wire = wire;
        message->size = size;
        message->id = 0;
        message->flags = 0;
        memset(message->counts, 0, sizeof(message->counts));
        message->question_name.length = 0;
        message->question_type = 0;
        message->question_class = 0;
        message->n_rrs = 0;
        message->opt = message->sig0 = message->tsig = -1;
}

static void read_header(struct dns_message *message)
{
        message->id = load_u16(message->wire);
        message->flags = load_u16(message->wire + 2);
        for (enum dns_section s = DNS_SECTION_QUESTION; s < _DNS_SECTIONS; s++)
                message->counts[s] = load_u16(message->wire + 4 + (size_t) 2 * s);
}

unsigned dns_message_count_rrs(const struct dns_message *message)
{
        unsigned n = 0;

        for (enum dns_section s = DNS_SECTION_ANSWER; s < _DNS_SECTIONS; s++)
                n += message->counts[s];
        return n;
}

void dns_message_peek(const uint8_t *wire, size_t size, struct dns_message *ret)
{
        size_t position = DNS_HEADER_SIZE;

        reset(ret, wire, size);
        if (size < DNS_HEADER_SIZE)
                return;
        read_header(ret);
        /* What of the questions cannot be read is not there, for whoever repeats the first. */
        (void) walk_questions(ret, &position);
}

static int walk(const struct dns_walk_limits *limits, struct dns_message *message, const char **why)
{
        size_t max_bytes = limits ? MIN(limits->message_bytes, (size_t) DNS_MESSAGE_MAX) : DNS_MESSAGE_MAX;
        unsigned max_rrs = limits ? MIN(limits->rrs, (unsigned) DNS_MESSAGE_RRS_MAX) : DNS_MESSAGE_RRS_MAX;

        if (message->size < DNS_HEADER_SIZE) {
                *why = "shorter than a header";
                return -EBADMSG;
        }
        read_header(message);
        if (message->size > max_bytes) {
                *why = "message is too large";
                return -E2BIG;
        }
        if (dns_message_count_rrs(message) > max_rrs) {
                *why = "too many records";
                return -E2BIG;
        }

        *why = walk_sections(message);
        return *why ? -EBADMSG : 0;
}

int dns_message_walk(const uint8_t *wire, size_t size, const struct dns_walk_limits *limits,
                     struct dns_message *ret, const char **why)
{
        const char *reason = NULL;
        int r;

        reset(ret, wire, size);
        r = walk(limits, ret, &reason);
        if (why)
                *why = reason;
        return r;
}

unsigned dns_message_rcode(const struct dns_message *message)
{
        unsigned rcode = message->flags & 0xf;

        if (message->opt >= 0)
                rcode |= message->rrs[message->opt].ttl >> 24 << 4;
        return rcode;
}

unsigned dns_message_section(const struct dns_message *message, enum dns_section section, unsigned *ret_first)
{
        unsigned first = 0;

        for (enum dns_section s = DNS_SECTION_ANSWER; s < section; s++)
                first += message->counts[s];

        *ret_first = first;
        return message->counts[section];
}

int dns_message_expand(const struct dns_message *message, size_t offset, uint8_t buffer[static DNS_NAME_MAX],
                       size_t *ret_length, size_t *ret_end)
{
        const uint8_t *wire = message->wire;
        size_t start = offset, length = 0, end = 0;
        unsigned hops = 0;

        while (offset < message->size) {
                size_t label = wire[offset];

                if (label <= DNS_LABEL_MAX) {
                        if (label + 1 > message->size - offset || length + label + 1 > DNS_NAME_MAX)
                                return -EBADMSG;
                        memcpy(buffer + length, wire + offset, label + 1);
                        length += label + 1;
                        offset += label + 1;
                        if (label > 0)
                                continue;

                        *ret_length = length;
                        if (ret_end)
                                *ret_end = end != 0 ? end : offset;
                        return 0;
                }
                if ((label & POINTER_BITS) != POINTER_BITS || message->size - offset < 2)
                        return -EBADMSG;

                size_t target = load_u16(wire + offset) & POINTER_MASK;
                if (target < DNS_HEADER_SIZE || target >= start || ++hops > POINTER_HOPS)
                        return -EBADMSG;
                if (end == 0)
                        end = offset + 2;
                offset = start = target;
        }

        return -EBADMSG;
}

int dns_message_name(const struct dns_message *message, size_t offset, struct dns_name *ret, size_t *ret_end)
{
        uint8_t expanded[DNS_NAME_MAX];
        size_t length;
        int r;

        r = dns_message_expand(message, offset, expanded, &length, ret_end);
        if (r < 0)
                return r;

        return dns_name_from_wire(expanded, length, ret);
}

int dns_message_owner(const struct dns_message *message, const struct dns_rr *rr, struct dns_name *ret)
{
        return dns_message_name(message, rr->owner, ret, NULL);
}

const uint8_t *dns_message_rdata(const struct dns_message *message, const struct dns_rr *rr)
{
        return message->wire + rr->rdata;
}

int dns_rr_address(const struct dns_message *message, const struct dns_rr *rr, struct address *ret)
{
        if (rr->type == DNS_TYPE_A && rr->rdlength == 4)
                *ret = address_from_bytes(AF_INET, dns_message_rdata(message, rr));
        else if (rr->type == DNS_TYPE_AAAA && rr->rdlength == 16)
                *ret = address_from_bytes(AF_INET6, dns_message_rdata(message, rr));
        else
                return -EBADMSG;

        return 0;
}
