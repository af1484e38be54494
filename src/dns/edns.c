/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/edns.h"

#include "util/macro.h"

#define DNSSEC_OK    UINT32_C(0x8000)
#define EDE_TEXT_MAX 255

static int parse_lease(struct wire_reader *option, struct dns_edns *edns)
{
        size_t length = wire_reader_left(option);

        if (edns->lease_form != 0 || (length != 4 && length != 8))
                return -EBADMSG;

        edns->lease_form = (uint8_t) length;
        edns->lease_sec = wire_read_u32(option);
        edns->key_lease_sec = length == 8 ? wire_read_u32(option) : edns->lease_sec;
        return 0;
}

static int parse_ede(struct wire_reader *option, struct dns_edns *edns)
{
        uint16_t code = wire_read_u16(option);

        if (option->error)
                return -EBADMSG;
        if (edns->ede_code >= 0)
                return 0;

        edns->ede_code = code;
        edns->ede_text_length = (uint16_t) wire_reader_left(option);
        edns->ede_text = (const char *) wire_read_bytes(option, edns->ede_text_length);
        return 0;
}

int dns_edns_parse(const struct dns_message *message, struct dns_edns *ret)
{
        struct dns_edns edns = { .ede_code = DNS_EDE_NONE };
        struct wire_reader reader;
        const struct dns_rr *rr;
        int r = 0;

        if (message->opt < 0) {
                *ret = edns;
                return 0;
        }

        rr = &message->rrs[message->opt];
        edns.present = true;
        edns.udp_size = rr->class;
        edns.extended_rcode = (uint8_t) (rr->ttl >> 24);
        edns.version = (uint8_t) (rr->ttl >> 16);
        edns.dnssec_ok = rr->ttl & DNSSEC_OK;

        reader = wire_reader_init(dns_message_rdata(message, rr), rr->rdlength);
        while (r >= 0 && wire_reader_left(&reader) > 0) {
                uint16_t code = wire_read_u16(&reader), length = wire_read_u16(&reader);
                struct wire_reader option = wire_reader_init(wire_read_bytes(&reader, length), length);

                if (reader.error)
                        return -EBADMSG;
                if (code == DNS_EDNS_UPDATE_LEASE)
                        r = parse_lease(&option, &edns);
                else if (code == DNS_EDNS_EDE)
                        r = parse_ede(&option, &edns);
        }
        if (r < 0 || reader.error)
                return -EBADMSG;

        *ret = edns;
        return 0;
}

void dns_edns_write(struct dns_builder *builder, const struct dns_edns *edns, unsigned rcode)
{
        static const struct dns_name root = { .length = 1 };
        uint32_t ttl = rcode >> 4 << 24 | (edns->dnssec_ok ? DNSSEC_OK : 0);
        struct wire_writer *writer = &builder->writer;

        dns_builder_rr_begin(builder, DNS_SECTION_ADDITIONAL, &root, DNS_TYPE_OPT, edns->udp_size, ttl);

        if (edns->lease_form == 4 || edns->lease_form == 8) {
                wire_write_u16(writer, DNS_EDNS_UPDATE_LEASE);
                wire_write_u16(writer, edns->lease_form);
                wire_write_u32(writer, edns->lease_sec);
                if (edns->lease_form == 8)
                        wire_write_u32(writer, edns->key_lease_sec);
        }
        if (edns->ede_code >= 0) {
                size_t length = MIN(edns->ede_text_length, (uint16_t) EDE_TEXT_MAX);

                wire_write_u16(writer, DNS_EDNS_EDE);
                wire_write_u16(writer, (uint16_t) (2 + length));
                wire_write_u16(writer, (uint16_t) edns->ede_code);
                wire_write_bytes(writer, edns->ede_text, length);
        }

        dns_builder_rr_end(builder);
}
