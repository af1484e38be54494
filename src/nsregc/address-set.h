/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Addresses that are, or are to be, registered. */

#include <stdbool.h>
#include <stddef.h>

#include "util/address.h"
#include "util/time.h"

struct usable_address {
        struct address address;
        usec_t valid_until_usec;
        unsigned rank; /* the lower, the rather it is registered where not all can be */
};

/* Sorted by address, each once. */
struct address_set {
        struct usable_address *items;
        size_t n_items;
};

/* For messages: those that are not in "without" (NULL: all), the first few of them; may be empty. */
#define ADDRESS_SET_TEXT_MAX (8 * 48)
char *address_set_text(const struct address_set *set, const struct address_set *without,
                       char buffer[static ADDRESS_SET_TEXT_MAX]);

/* The same addresses; lifetimes make no difference. */
bool address_set_equal(const struct address_set *a, const struct address_set *b);
bool address_set_contains(const struct address_set *set, const struct address *address);
int address_set_add(struct address_set *set, const struct address *address, usec_t valid_until_usec);
/* Of one that is there already the longer life and the better rank count. */
int address_set_add_ranked(struct address_set *set, const struct address *address, usec_t valid_until_usec,
                           unsigned rank);
int address_set_copy(const struct address_set *from, struct address_set *to);
int address_set_merge(struct address_set *set, const struct address_set *more);
void address_set_subtract(struct address_set *set, const struct address_set *less);
void address_set_clear(struct address_set *set);
