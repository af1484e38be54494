/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/source-count.h"

#include <errno.h>
#include <stdlib.h>

struct source {
        RB_ENTRY(source) entry;
        struct prefix prefix;
        uint32_t count;
};

static int source_compare(const struct source *a, const struct source *b)
{
        int r = address_compare(&a->prefix.base, &b->prefix.base);

        return r != 0 ? r : (int) a->prefix.length - (int) b->prefix.length;
}

RB_PROTOTYPE(source_tree, source, entry, source_compare)
RB_GENERATE(source_tree, source, entry, source_compare)

static struct source *source_find(struct source_count *count, const struct address *address, unsigned level)
{
        struct source key = { .prefix = source_prefix(address, level) };

        return RB_FIND(source_tree, &count->tree, &key);
}

bool source_count_admits(struct source_count *count, const struct address *address, uint32_t per_source,
                         uint32_t most)
{
        for (unsigned level = 0; level < source_levels(address); level++) {
                const struct source *source = source_find(count, address, level);
                uint64_t bound = (uint64_t) per_source * source_factor(level);

                if (source && (source->count >= bound || source->count >= most))
                        return false;
        }
        return per_source > 0 && most > 0;
}

int source_count_add(struct source_count *count, const struct address *address, struct source_handle *ret)
{
        struct source_handle handle = { 0 };

        for (unsigned level = 0; level < source_levels(address); level++) {
                struct source *source = source_find(count, address, level);

                if (!source) {
                        source = calloc(1, sizeof(*source));
                        if (!source) {
                                source_count_remove(count, handle);
                                return -ENOMEM;
                        }
                        source->prefix = source_prefix(address, level);
                        RB_INSERT(source_tree, &count->tree, source);
                }
                source->count++;
                handle.levels[level] = source;
        }
        *ret = handle;
        return 0;
}

void source_count_remove(struct source_count *count, struct source_handle handle)
{
        for (unsigned level = 0; level < SOURCE_LEVELS; level++) {
                struct source *source = handle.levels[level];

                if (source && --source->count == 0) {
                        RB_REMOVE(source_tree, &count->tree, source);
                        free(source);
                }
        }
}

uint32_t source_count_widest(struct source_handle handle)
{
        uint32_t widest = 0;

        for (unsigned level = 0; level < SOURCE_LEVELS; level++)
                if (handle.levels[level] && handle.levels[level]->count > widest)
                        widest = handle.levels[level]->count;
        return widest;
}

void source_count_clear(struct source_count *count)
{
        struct source *source, *next;

        RB_FOREACH_SAFE (source, source_tree, &count->tree, next) {
                RB_REMOVE(source_tree, &count->tree, source);
                free(source);
        }
}
