/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/address-set.h"

#include <stdio.h>

#include "util/macro.h"

int address_set_add_ranked(struct address_set *set, const struct address *address, usec_t valid_until_usec,
                           unsigned rank)
{
        size_t place = 0;

        while (place < set->n_items && address_compare(&set->items[place].address, address) < 0)
                place++;
        if (place < set->n_items && address_equal(&set->items[place].address, address)) {
                set->items[place].valid_until_usec = MAX(set->items[place].valid_until_usec,
                                                         valid_until_usec);
                set->items[place].rank = MIN(set->items[place].rank, rank);
                return 0;
        }
        struct usable_address *items = reallocarray(set->items, set->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        set->items = items;
        memmove(&items[place + 1], &items[place], (set->n_items - place) * sizeof(*items));
        items[place] = (struct usable_address){ *address, valid_until_usec, rank };
        set->n_items++;
        return 0;
}

int address_set_add(struct address_set *set, const struct address *address, usec_t valid_until_usec)
{
        return address_set_add_ranked(set, address, valid_until_usec, 0);
}

bool address_set_equal(const struct address_set *a, const struct address_set *b)
{
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++)
                if (!address_equal(&a->items[i].address, &b->items[i].address))
                        return false;
        return true;
}

bool address_set_contains(const struct address_set *set, const struct address *address)
{
        for (size_t i = 0; i < set->n_items; i++)
                if (address_equal(&set->items[i].address, address))
                        return true;
        return false;
}

int address_set_merge(struct address_set *set, const struct address_set *more)
{
        int r = 0;

        for (size_t i = 0; i < more->n_items && r >= 0; i++)
                r = address_set_add_ranked(set, &more->items[i].address, more->items[i].valid_until_usec,
                                           more->items[i].rank);
        return r;
}

void address_set_subtract(struct address_set *set, const struct address_set *less)
{
        size_t n = 0;

        for (size_t i = 0; i < set->n_items; i++)
                if (!address_set_contains(less, &set->items[i].address))
                        set->items[n++] = set->items[i];
        set->n_items = n;
}

int address_set_copy(const struct address_set *from, struct address_set *to)
{
        struct address_set copy = { 0 };
        int r = address_set_merge(&copy, from);

        if (r < 0) {
                address_set_clear(&copy);
                return r;
        }
        address_set_clear(to);
        *to = copy;
        return 0;
}

void address_set_clear(struct address_set *set)
{
        free(set->items);
        *set = (struct address_set){ 0 };
}

char *address_set_text(const struct address_set *set, const struct address_set *without,
                       char buffer[static ADDRESS_SET_TEXT_MAX])
{
        size_t n = 0;

        buffer[0] = '\0';
        for (size_t i = 0; i < set->n_items; i++) {
                char text[ADDRESS_FORMAT_MAX];
                size_t length = strlen(buffer);

                if ((without && address_set_contains(without, &set->items[i].address)) || n++ >= 8)
                        continue;
                (void) snprintf(buffer + length, ADDRESS_SET_TEXT_MAX - length, "%s%s",
                                length > 0 ? ", " : "", address_format(&set->items[i].address, text));
        }
        return buffer;
}
