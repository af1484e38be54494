/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/source-count.h"

#include <errno.h>
#include <stdlib.h>

struct source {
        RB_ENTRY(source) entry;
        struct prefix prefix;
        uint32_t count;
};

static const unsigned ipv6_lengths[SOURCE_LEVELS] = { 128, 64, 56 };
static const uint32_t level_factor[SOURCE_LEVELS] = { 1, 4, 8 };

static int source_compare(const struct source *a, const struct source *b)
{
        int r = address_compare(&a->prefix.base, &b->prefix.base);

        return r != 0 ? r : (int) a->prefix.length - (int) b->prefix.length;
}

RB_PROTOTYPE(source_tree, source, entry, source_compare)
RB_GENERATE(source_tree, source, entry, source_compare)

static size_t levels_of(const struct address *address)
{
        return address->family == AF_INET6 ? SOURCE_LEVELS : 1;
}

static struct prefix prefix_at(const struct address *address, size_t level)
{
        return prefix_from_address(address, address->family == AF_INET6 ? ipv6_lengths[level] : 32);
}

static struct source *source_find(struct source_count *count, const struct address *address, size_t level)
{
        struct source key = { .prefix = prefix_at(address, level) };

        return RB_FIND(source_tree, &count->tree, &key);
}

bool source_count_admits(struct source_count *count, const struct address *address, uint32_t per_source,
                         uint32_t most)
{
        for (size_t level = 0; level < levels_of(address); level++) {
                const struct source *source = source_find(count, address, level);
                uint64_t bound = (uint64_t) per_source * level_factor[level];

                if (source && (source->count >= bound || source->count >= most))
                        return false;
        }
        return per_source > 0 && most > 0;
}

int source_count_add(struct source_count *count, const struct address *address, struct source_handle *ret)
{
        struct source_handle handle = { 0 };

        for (size_t level = 0; level < levels_of(address); level++) {
                struct source *source = source_find(count, address, level);

                if (!source) {
                        source = calloc(1, sizeof(*source));
                        if (!source) {
                                source_count_remove(count, handle);
                                return -ENOMEM;
                        }
                        source->prefix = prefix_at(address, level);
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
        for (size_t level = 0; level < SOURCE_LEVELS; level++) {
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

        for (size_t level = 0; level < SOURCE_LEVELS; level++)
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
