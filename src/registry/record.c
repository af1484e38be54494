/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/record.h"

static bool is_inline(const struct record *record)
{
        return (size_t) record->length + record->below_length <= RECORD_INLINE_MAX;
}

static const uint8_t *record_octets(const struct record *record)
{
        return is_inline(record) ? record->inline_octets : record->octets;
}

int record_init(struct record *record, const struct record_value *value)
{
        uint8_t *octets;

        *record = (struct record){ .type = value->type,
                                   .length = value->length,
                                   .below_length = value->below_length };
        octets = record->inline_octets;
        if (!is_inline(record)) {
                octets = malloc((size_t) value->length + value->below_length);
                if (!octets)
                        return -ENOMEM;
                record->octets = octets;
        }
        if (value->length > 0)
                memcpy(octets, value->rdata, value->length);
        if (value->below_length > 0)
                memcpy(octets + value->length, value->below, value->below_length);
        return 0;
}

int record_copy(struct record *ret, const struct record *record)
{
        struct record_value value = record_value(record);
        int r = record_init(ret, &value);

        ret->end_usec = record->end_usec;
        ret->lease_sec = record->lease_sec;
        ret->proven = record->proven;
        ret->provisional = record->provisional;
        return r;
}

void record_clear(struct record *record)
{
        if (!is_inline(record))
                free(record->octets);
}

struct record_value record_value(const struct record *record)
{
        const uint8_t *octets = record_octets(record);

        return (struct record_value){
                .type = record->type,
                .length = record->length,
                .below_length = record->below_length,
                .rdata = octets,
                .below = octets + record->length,
        };
}

bool record_is(const struct record *record, const struct record_value *value)
{
        const uint8_t *octets = record_octets(record);

        return record->type == value->type && record->length == value->length &&
               record->below_length == value->below_length &&
               (value->length == 0 || memcmp(octets, value->rdata, value->length) == 0) &&
               (value->below_length == 0 ||
                memcmp(octets + value->length, value->below, value->below_length) == 0);
}

struct record_value record_value_of_address(const struct address *address)
{
        return (struct record_value){
                .type = address->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA,
                .length = (uint16_t) address_size(address),
                .rdata = address->bytes,
        };
}

struct address record_address(const struct record *record)
{
        if (!record_is_address(record))
                return (struct address){};
        return address_from_bytes(record->type == DNS_TYPE_A ? AF_INET : AF_INET6, record->inline_octets);
}

int record_owner(const struct dns_name *host, const struct record_value *value, struct dns_name *ret)
{
        if ((size_t) host->length + value->below_length > DNS_NAME_MAX)
                return -ENAMETOOLONG;
        ret->length = (uint8_t) (host->length + value->below_length);
        if (value->below_length > 0)
                memcpy(ret->wire, value->below, value->below_length);
        memcpy(ret->wire + value->below_length, host->wire, host->length);
        return 0;
}

bool record_is_beside(const struct record_value *a, const struct record_value *b)
{
        return a->below_length == b->below_length &&
               (a->below_length == 0 || memcmp(a->below, b->below, a->below_length) == 0);
}
