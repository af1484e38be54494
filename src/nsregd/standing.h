/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which source last proved to own which name. What strangers cannot take from an owner is kept by this. A
 * table of a fixed size: one who is forgotten loses a privilege until the next good signature, nothing else.
 */

#include <stdbool.h>

#include "dns/name.h"
#include "util/address.h"
#include "util/macro.h"

struct standing;

struct standing *standing_new(void); /* NULL when memory is out */
struct standing *standing_free(struct standing *standing);
DEFINE_CLEANUP(struct standing *, standing_free)

/* A signature for this name, from this source, was good. */
void standing_note(struct standing *standing, const struct dns_name *name, const struct address *source);
bool standing_has(const struct standing *standing, const struct dns_name *name, const struct address *source);
