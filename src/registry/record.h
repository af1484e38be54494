/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One record of a registration: type and data, at its host name or at a name below it. Data is in canonical
 * form (dns/rdata.h), so that records are compared octet by octet. A name below is what stands in front of
 * the host name, as wire labels without an end: "\017_acme-challenge". */

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "dns/name.h"
#include "util/address.h"
#include "util/macro.h"
#include "util/time.h"

struct name_entry;

/* Views of somebody else's octets. */
struct record_value {
        uint16_t type;
        uint16_t length; /* of rdata */
        uint8_t below_length;
        const uint8_t *rdata;
        const uint8_t *below;
};

#define RECORD_INLINE_MAX 16

struct record {
        RB_ENTRY(record) by_address; /* in struct registry, while installed: addresses of the host alone */
        struct name_entry *entry;    /* while it is there */
        usec_t end_usec;
        uint32_t lease_sec; /* as granted last */
        uint16_t type;
        uint16_t length;
        uint8_t below_length;
        bool proven : 1;      /* a request for this name came from this very address */
        bool provisional : 1; /* an upstream may still object to it: enum provisional */
        uint8_t right : 2;    /* to the address' PTR, while installed: enum pointer_right */
        /* The data, and what is below behind it: most are addresses. */
        union {
                uint8_t inline_octets[RECORD_INLINE_MAX]; /* zero behind the data */
                uint8_t *octets;                          /* owned, where they are more */
        };
};

/* 0 or -ENOMEM, nothing to be cleared. */
int record_init(struct record *record, const struct record_value *value);
/* One that is not installed, otherwise alike. 0 or -ENOMEM. */
int record_copy(struct record *ret, const struct record *record);
void record_clear(struct record *record);

struct record_value record_value(const struct record *record);
bool record_is(const struct record *record, const struct record_value *value);
/* Good while the address is. */
struct record_value record_value_of_address(const struct address *address);

/* The name that it is at. 0 or -ENAMETOOLONG. */
int record_owner(const struct dns_name *host, const struct record_value *value, struct dns_name *ret);
/* Are both at the same name. */
bool record_is_beside(const struct record_value *a, const struct record_value *b);

/* A or AAAA at the host itself. */
static inline bool record_is_address(const struct record *record)
{
        return (record->type == DNS_TYPE_A || record->type == DNS_TYPE_AAAA) && record->below_length == 0;
}
/* Family 0 for a record that is none. */
struct address record_address(const struct record *record);
