/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Carries the rows of the plans to the store: what was ever sent has a row until it can no longer be there.
 */

#include "upstream/publisher.h"
#include "util/macro.h"

struct context;
struct rows;

int rows_new(struct context *context, struct rows **ret); /* 0 or -ENOMEM */
/* Writes that are under way arrive on the disk; nobody is told. */
struct rows *rows_free(struct rows *rows);
DEFINE_CLEANUP(struct rows *, rows_free)

/* For struct publisher_ops. */
void rows_put(struct rows *rows, const struct upstream *upstream, const struct unit *unit, bool wait);
void rows_delete(struct rows *rows, const struct upstream *upstream, const struct unit *unit);
/* All rows of an upstream are another one's. */
void rows_rename(struct rows *rows, const char *from, const char *to);
