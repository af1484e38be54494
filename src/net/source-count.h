/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much each source holds of something: counted at every level of util/source.h. An ordered tree, so
 * nobody chooses its depth. */

#include <stddef.h>

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/source.h"

struct source;
RB_HEAD(source_tree, source);

struct source_count {
        struct source_tree tree;
};

/* The counters of one holder: kept by it, given back with source_count_remove(). */
struct source_handle {
        struct source *levels[SOURCE_LEVELS];
};

/* Is there room for one more: per_source at the narrowest level, four times as many at /64, eight times at
 * /56, and nowhere more than "most". */
bool source_count_admits(struct source_count *count, const struct address *address, uint32_t per_source,
                         uint32_t most);
int source_count_add(struct source_count *count, const struct address *address,
                     struct source_handle *ret); /* 0, -ENOMEM */
void source_count_remove(struct source_count *count, struct source_handle handle);
/* What the widest prefix of this holder holds. */
uint32_t source_count_widest(struct source_handle handle);
void source_count_clear(struct source_count *count);
