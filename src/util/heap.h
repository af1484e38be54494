/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A binary heap of pointers, least first, whose elements know their place: removal and re-ordering of any
 * element is O(log n). Used for everything that has deadlines. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NOWHERE UINT32_MAX

struct heap_node {
        uint64_t key;   /* usually a usec_t */
        uint32_t index; /* HEAP_NOWHERE while not in a heap */
};

struct heap {
        struct heap_node **items;
        uint32_t n_items;
        uint32_t n_allocated;
};

#define HEAP_NODE_INIT ((struct heap_node){ .index = HEAP_NOWHERE })

static inline bool heap_contains(const struct heap_node *node)
{
        return node->index != HEAP_NOWHERE;
}

static inline struct heap_node *heap_first(const struct heap *heap)
{
        return heap->n_items > 0 ? heap->items[0] : NULL;
}

/* Makes room for n elements in all, so that the following puts cannot fail. 0 or -ENOMEM. */
int heap_reserve(struct heap *heap, uint32_t n);
/* Puts a node in, or moves it if it is in already, with this key. 0 or -ENOMEM (never when moving). */
int heap_put(struct heap *heap, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *heap, struct heap_node *node); /* no-op when not in */
void heap_clear(struct heap *heap);                          /* forgets the elements, frees the array */
