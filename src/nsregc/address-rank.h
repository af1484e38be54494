/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which addresses go first where a registrar does not take all of them. Pure. */

#include <stdbool.h>

#include "nsregc/address-set.h"
#include "util/address.h"

/* The lower, the better: global before unique-local before private before all else; within one of these the
 * link of a default route before others; then what stays before what comes and goes. */
unsigned address_rank(const struct address *address, bool default_route, bool stable);

/* By this measure: it is the same address everywhere. */
bool address_is_global(const struct address *address);

/* The best of them, at most "n". An address of the family that would have none takes the last place: who has
 * only that family reaches the machine too. 0 or -ENOMEM. */
int address_set_best(const struct address_set *set, size_t n, struct address_set *ret);
