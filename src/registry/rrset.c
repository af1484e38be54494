/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/rrset.h"
#include "util/macro.h"

#define ITEM_HEADER 4U

void rrset_clear(struct rrset *set)
{
        free(set->bytes);
        *set = (struct rrset){};
}

bool rrset_next(const struct rrset *set, uint32_t *position, struct rrset_item *ret)
{
        const uint8_t *at;

        if (*position >= set->size)
                return false;
        at = set->bytes + *position;
        ret->type = (uint16_t) (at[0] << 8 | at[1]);
        ret->length = (uint16_t) (at[2] << 8 | at[3]);
        ret->rdata = at + ITEM_HEADER;
        *position += ITEM_HEADER + ret->length;
        return true;
}

static int compare_items(const struct rrset_item *a, const struct rrset_item *b)
{
        int r;

        if (a->type != b->type)
                return a->type < b->type ? -1 : 1;
        r = memcmp(a->rdata, b->rdata, MIN(a->length, b->length));
        if (r != 0)
                return r;
        return a->length == b->length ? 0 : a->length < b->length ? -1 : 1;
}

int rrset_add(struct rrset *set, uint16_t type, const void *rdata, uint16_t length)
{
        struct rrset_item added = { .type = type, .length = length, .rdata = rdata }, item;
        uint32_t position = 0, at = 0;
        uint8_t *bytes;

        while (rrset_next(set, &position, &item)) {
                int r = compare_items(&item, &added);

                if (r == 0)
                        return 0;
                if (r > 0)
                        break;
                at = position;
        }

        bytes = realloc(set->bytes, set->size + ITEM_HEADER + length);
        if (!bytes)
                return -ENOMEM;
        memmove(bytes + at + ITEM_HEADER + length, bytes + at, set->size - at);
        bytes[at] = (uint8_t) (type >> 8);
        bytes[at + 1] = (uint8_t) type;
        bytes[at + 2] = (uint8_t) (length >> 8);
        bytes[at + 3] = (uint8_t) length;
        memcpy(bytes + at + ITEM_HEADER, rdata, length);
        set->bytes = bytes;
        set->size += ITEM_HEADER + length;
        return 0;
}

int rrset_add_address(struct rrset *set, const struct address *address)
{
        return rrset_add(set, address->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA, address->bytes,
                         (uint16_t) address_size(address));
}

int rrset_add_name(struct rrset *set, uint16_t type, const struct dns_name *name)
{
        return rrset_add(set, type, name->wire, name->length);
}

int rrset_add_all(struct rrset *set, const struct rrset *other)
{
        struct rrset_item item;
        uint32_t position = 0;
        int r;

        while (rrset_next(other, &position, &item)) {
                r = rrset_add(set, item.type, item.rdata, item.length);
                if (r < 0)
                        return r;
        }
        return 0;
}

int rrset_add_item(struct rrset *set, const struct rrset_item *item)
{
        return rrset_add(set, item->type, item->rdata, item->length);
}

struct rrset rrset_of_type(const struct rrset *set, uint16_t type)
{
        struct rrset_item item;
        uint32_t position = 0, at = 0, from = 0, to = 0;

        /* They are in the order of their types. */
        while (rrset_next(set, &position, &item)) {
                if (item.type == type && to == 0)
                        from = at;
                if (item.type == type)
                        to = position;
                at = position;
        }
        return to == 0 ? (struct rrset){} : (struct rrset){ .bytes = set->bytes + from, .size = to - from };
}

int rrset_copy(struct rrset *ret, const struct rrset *set)
{
        *ret = (struct rrset){};
        if (set->size == 0)
                return 0;
        ret->bytes = malloc(set->size);
        if (!ret->bytes)
                return -ENOMEM;
        memcpy(ret->bytes, set->bytes, set->size);
        ret->size = set->size;
        return 0;
}

bool rrset_equal(const struct rrset *a, const struct rrset *b)
{
        return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

bool rrset_contains(const struct rrset *set, const struct rrset_item *item)
{
        struct rrset_item there;
        uint32_t position = 0;

        while (rrset_next(set, &position, &there))
                if (compare_items(&there, item) == 0)
                        return true;
        return false;
}

bool rrset_contains_all(const struct rrset *set, const struct rrset *other)
{
        struct rrset_item item;
        uint32_t position = 0;

        while (rrset_next(other, &position, &item))
                if (!rrset_contains(set, &item))
                        return false;
        return true;
}

unsigned rrset_count(const struct rrset *set)
{
        struct rrset_item item;
        uint32_t position = 0;
        unsigned n = 0;

        while (rrset_next(set, &position, &item))
                n++;
        return n;
}

int rrset_from_bytes(struct rrset *ret, const void *bytes, size_t size)
{
        const uint8_t *at = bytes;
        struct rrset set = {};
        size_t position = 0;
        int r;

        while (position < size) {
                size_t length;

                if (size - position < ITEM_HEADER) {
                        r = -EBADMSG;
                        goto fail;
                }
                length = (size_t) at[position + 2] << 8 | at[position + 3];
                if (size - position - ITEM_HEADER < length) {
                        r = -EBADMSG;
                        goto fail;
                }
                r = rrset_add(&set, (uint16_t) (at[position] << 8 | at[position + 1]),
                              at + position + ITEM_HEADER, (uint16_t) length);
                if (r < 0)
                        goto fail;
                position += ITEM_HEADER + length;
        }
        *ret = set;
        return 0;
fail:
        rrset_clear(&set);
        return r;
}
