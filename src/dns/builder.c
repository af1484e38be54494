/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/message.h"
#include "util/macro.h"

#define POINTER_BITS    0xc000
#define POINTER_TARGETS 0x4000 /* only what lies before this can be pointed to */

static void count_in(struct dns_builder *builder, enum dns_section section)
{
        /* A section behind this one must be empty: RRs are written in the order of their sections. */
        for (enum dns_section s = section + 1; s < _DNS_SECTIONS; s++)
                assert(builder->counts[s] == 0);

        if (builder->counts[section] == UINT16_MAX)
                builder->writer.error = true;
        else
                builder->counts[section]++;
}

/* The question's name is where nearly all owners end, and many RRs have the owner of the one before. A
 * message without a question is not compressed at all. */
static void write_owner(struct dns_builder *builder, const struct dns_name *owner)
{
        size_t kept = owner->length, position = builder->writer.position;

        if (builder->plain || builder->question_at == 0 || dns_name_is_root(&builder->question)) {
                wire_write_bytes(&builder->writer, owner->wire, kept);
                return;
        }
        if (builder->owner_at != 0 && dns_name_equal(&builder->owner, owner)) {
                wire_write_u16(&builder->writer, (uint16_t) (POINTER_BITS | builder->owner_at));
                return;
        }
        builder->owner_at = position < POINTER_TARGETS && kept > 2 ? (uint16_t) position : 0;
        builder->owner = *owner;
        if (dns_name_is_subdomain(owner, &builder->question)) {
                kept -= builder->question.length;
                wire_write_bytes(&builder->writer, owner->wire, kept);
                wire_write_u16(&builder->writer, (uint16_t) (POINTER_BITS | builder->question_at));
        } else
                wire_write_bytes(&builder->writer, owner->wire, kept);
}

void dns_builder_begin(struct dns_builder *builder, void *buffer, size_t size, uint16_t id, uint16_t flags)
{
        size_t usable = MIN(size, (size_t) DNS_MESSAGE_MAX);

        *builder = (struct dns_builder){ .writer = wire_writer_init(buffer, usable) };

        wire_write_u16(&builder->writer, id);
        wire_write_u16(&builder->writer, flags);
        for (enum dns_section s = DNS_SECTION_QUESTION; s < _DNS_SECTIONS; s++)
                wire_write_u16(&builder->writer, 0);
}

void dns_builder_resume(struct dns_builder *builder, void *buffer, size_t size, size_t capacity)
{
        const uint8_t *octets = buffer;

        *builder = (struct dns_builder){
                .writer = wire_writer_init(buffer, MIN(capacity, (size_t) DNS_MESSAGE_MAX)),
        };
        builder->writer.position = size;
        for (enum dns_section s = DNS_SECTION_QUESTION; s < _DNS_SECTIONS; s++)
                builder->counts[s] = (uint16_t) (octets[4 + 2 * s] << 8 | octets[5 + 2 * s]);
}

void dns_builder_question(struct dns_builder *builder, const struct dns_name *name, uint16_t type,
                          uint16_t class)
{
        count_in(builder, DNS_SECTION_QUESTION);
        if (builder->question_at == 0) {
                builder->question_at = (uint16_t) builder->writer.position;
                builder->question = *name;
        }

        wire_write_bytes(&builder->writer, name->wire, name->length);
        wire_write_u16(&builder->writer, type);
        wire_write_u16(&builder->writer, class);
}

void dns_builder_rr_begin(struct dns_builder *builder, enum dns_section section, const struct dns_name *owner,
                          uint16_t type, uint16_t class, uint32_t ttl)
{
        assert(section != DNS_SECTION_QUESTION);

        count_in(builder, section);
        write_owner(builder, owner);
        wire_write_u16(&builder->writer, type);
        wire_write_u16(&builder->writer, class);
        wire_write_u32(&builder->writer, ttl);
        builder->rdlength_at = builder->writer.position;
        wire_write_u16(&builder->writer, 0);
}

void dns_builder_rr_end(struct dns_builder *builder)
{
        size_t rdlength;

        if (builder->writer.error)
                return;

        /* The buffer has at most DNS_MESSAGE_MAX octets, so this fits 16 bits. */
        rdlength = builder->writer.position - builder->rdlength_at - 2;
        wire_patch_u16(&builder->writer, builder->rdlength_at, (uint16_t) rdlength);
}

void dns_builder_rr(struct dns_builder *builder, enum dns_section section, const struct dns_name *owner,
                    uint16_t type, uint16_t class, uint32_t ttl, const void *rdata, size_t rdlength)
{
        dns_builder_rr_begin(builder, section, owner, type, class, ttl);
        wire_write_bytes(&builder->writer, rdata, rdlength);
        dns_builder_rr_end(builder);
}

void dns_builder_address(struct dns_builder *builder, enum dns_section section, const struct dns_name *owner,
                         uint16_t class, uint32_t ttl, const struct address *address)
{
        uint16_t type = address->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;

        dns_builder_rr(builder, section, owner, type, class, ttl, address->bytes, address_size(address));
}

void dns_builder_rdata_name(struct dns_builder *builder, const struct dns_name *name)
{
        wire_write_bytes(&builder->writer, name->wire, name->length);
}

struct dns_builder_mark dns_builder_mark(const struct dns_builder *builder)
{
        struct dns_builder_mark mark = { .position = builder->writer.position };

        memcpy(mark.counts, builder->counts, sizeof(mark.counts));
        return mark;
}

void dns_builder_reset(struct dns_builder *builder, struct dns_builder_mark mark)
{
        builder->writer.position = mark.position;
        builder->writer.error = false;
        builder->owner_at = 0;
        memcpy(builder->counts, mark.counts, sizeof(builder->counts));
}

ssize_t dns_builder_end(struct dns_builder *builder)
{
        for (enum dns_section s = DNS_SECTION_QUESTION; s < _DNS_SECTIONS; s++)
                wire_patch_u16(&builder->writer, 4 + 2 * s, builder->counts[s]);

        return builder->writer.error ? -EMSGSIZE : (ssize_t) builder->writer.position;
}
