/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of record data as one canonical string of octets: (type, length, RDATA) ordered and without
 * repetition, so that two equal sets are equal octet by octet. It is what publication compares, and what the
 * store keeps of it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "util/address.h"

struct rrset {
        uint8_t *bytes; /* owned; NULL when empty */
        uint32_t size;
};

struct rrset_item {
        uint16_t type;
        uint16_t length;
        const uint8_t *rdata; /* a view into the set */
};

void rrset_clear(struct rrset *set);
int rrset_add(struct rrset *set, uint16_t type, const void *rdata, uint16_t length); /* 0 or -ENOMEM */
int rrset_add_address(struct rrset *set, const struct address *address);
int rrset_add_name(struct rrset *set, uint16_t type, const struct dns_name *name);
int rrset_add_all(struct rrset *set, const struct rrset *other);
int rrset_copy(struct rrset *ret, const struct rrset *set);
bool rrset_equal(const struct rrset *a, const struct rrset *b);
bool rrset_contains_all(const struct rrset *set, const struct rrset *other);
bool rrset_contains(const struct rrset *set, const struct rrset_item *item);
static inline bool rrset_is_empty(const struct rrset *set)
{
        return set->size == 0;
}
unsigned rrset_count(const struct rrset *set);
/* All of one type, as a view into the set: good while the set is, and not to be cleared. */
struct rrset rrset_of_type(const struct rrset *set, uint16_t type);
int rrset_add_item(struct rrset *set, const struct rrset_item *item); /* 0 or -ENOMEM */

/* Walks: "position" starts at 0; false at the end. */
bool rrset_next(const struct rrset *set, uint32_t *position, struct rrset_item *ret);

/* From stored octets, which are checked. 0, -EBADMSG, -ENOMEM. */
int rrset_from_bytes(struct rrset *ret, const void *bytes, size_t size);
