/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is still published at upstreams that are configured no more: rows that nobody works on. They count
 * when their upstream is configured again, or are forgotten on demand. */

#include "nsregd/context.h"
#include "upstream/publisher.h"

struct left_over;

int left_over_new(struct context *context, struct left_over **ret);
struct left_over *left_over_free(struct left_over *left_over);
DEFINE_CLEANUP(struct left_over *, left_over_free)

/* A row of an upstream that is not configured was read: one that was accepted is told. 0 or -ENOMEM. */
int left_over_add(struct left_over *left_over, const struct unit_row *row);
/* The rows were read. */
void left_over_tell(const struct left_over *left_over);

/* A zone comes back with this upstream, which has nothing: is it what is left over of that zone at another
 * address? The identity (a view) where exactly one may be it; else NULL. */
const char *left_over_find_former(const struct left_over *left_over, const struct upstream *upstream);
/* Its rows are another's now. */
void left_over_remove(struct left_over *left_over, const char *upstream);
/* What this upstream still has is nothing of ours any more. 0; -EBUSY: it is configured; -ENOENT: nothing is
 * left over there; -ENOMEM. */
int left_over_forget(struct left_over *left_over, const char *upstream);
/* The publisher let go of one that was to be forgotten: for struct publisher_ops. */
void left_over_forgotten(struct left_over *left_over, const char *upstream);
