/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which source last proved to own which name, and what that entitles it to. What strangers cannot take from
 * an owner is kept by this. A table of a fixed size; only who proves to own a name writes to it, and for that
 * name alone. One who is forgotten loses a privilege until the next good signature, nothing else. */

#include <stdbool.h>

#include "dns/name.h"
#include "util/address.h"
#include "util/macro.h"
#include "util/time.h"

struct standing;

struct standing *standing_new(void); /* NULL when memory is out */
struct standing *standing_free(struct standing *standing);
DEFINE_CLEANUP(struct standing *, standing_free)

/* A signature for this name, from this source, was good. Time is MONOTONIC. */
void standing_note(struct standing *standing, const struct dns_name *name, const struct address *source,
                   usec_t now_usec);
/* Was the last one from this source, or from its /64. */
bool standing_has(const struct standing *standing, const struct dns_name *name, const struct address *source);
/* Has the owner something left: of its updates, 10 a second; of its signatures that may turn out wrong, one a
 * second. Each takes one. False where standing_has() is. */
bool standing_take_update(struct standing *standing, const struct dns_name *name,
                          const struct address *source, usec_t now_usec);
bool standing_take_failure(struct standing *standing, const struct dns_name *name,
                           const struct address *source, usec_t now_usec);
/* It turned out right. */
void standing_return_failure(struct standing *standing, const struct dns_name *name,
                             const struct address *source, usec_t now_usec);
