/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an upstream will not have is undone: a first claim altogether, else the records that were added and
 * that it may still object to. A host that is refused as such is blocked for a while, twice as long each
 * time, so that trying again costs no upstream anything; a type, or a name below it, blocks nothing. */

#include "registry/registry.h"
#include "util/macro.h"

struct context;
struct undos;

int undos_new(struct context *context, struct undos **ret); /* 0 or -errno */
struct undos *undos_free(struct undos *undos);
DEFINE_CLEANUP(struct undos *, undos_free)

/* An upstream will not have what is at this name, a host or one below it: as a whole ("type" 0), or this
 * type. All of the registration that is provisional is undone, as whoever asked is told that nothing was
 * changed; what was established before stands. What is there when the name's turn has come is judged anew:
 * only the state that was refused is undone. */
void undo_begin(struct undos *undos, const struct dns_name *name, uint16_t type, const char *reason);
/* An administrator says that what the servers had against some names may be gone: they can be claimed again.
 * Done in slices. */
void undos_lift_blocks(struct undos *undos);
