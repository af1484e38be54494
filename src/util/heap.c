/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/heap.h"

#include "util/macro.h"

#define HEAP_FIRST_ALLOCATION 16

static void place(struct heap *heap, uint32_t index, struct heap_node *node)
{
        heap->items[index] = node;
        node->index = index;
}

static void sift_up(struct heap *heap, uint32_t index)
{
        struct heap_node *node = heap->items[index];

        while (index > 0) {
                uint32_t parent = (index - 1) / 2;

                if (heap->items[parent]->key <= node->key)
                        break;
                place(heap, index, heap->items[parent]);
                index = parent;
        }

        place(heap, index, node);
}

static void sift_down(struct heap *heap, uint32_t index)
{
        struct heap_node *node = heap->items[index];

        for (;;) {
                uint64_t child = (uint64_t) index * 2 + 1;

                if (child >= heap->n_items)
                        break;
                if (child + 1 < heap->n_items && heap->items[child + 1]->key < heap->items[child]->key)
                        child++;
                if (node->key <= heap->items[child]->key)
                        break;
                place(heap, index, heap->items[child]);
                index = (uint32_t) child;
        }

        place(heap, index, node);
}

/* The element at "index" may be too small or too large for its place; one of the two is a no-op. */
static void settle(struct heap *heap, uint32_t index)
{
        struct heap_node *node = heap->items[index];

        sift_up(heap, index);
        sift_down(heap, node->index);
}

int heap_reserve(struct heap *heap, uint32_t n)
{
        struct heap_node **items;

        if (n <= heap->n_allocated)
                return 0;
        if (n == HEAP_NOWHERE)
                return -ENOMEM;

        items = reallocarray(heap->items, n, sizeof(*items));
        if (!items)
                return -ENOMEM;

        heap->items = items;
        heap->n_allocated = n;
        return 0;
}

int heap_put(struct heap *heap, struct heap_node *node, uint64_t key)
{
        int r;

        if (heap_contains(node)) {
                node->key = key;
                settle(heap, node->index);
                return 0;
        }

        if (heap->n_items == heap->n_allocated) {
                uint64_t doubled = MAX((uint64_t) heap->n_allocated * 2, (uint64_t) HEAP_FIRST_ALLOCATION);

                r = heap_reserve(heap, (uint32_t) MIN(doubled, (uint64_t) HEAP_NOWHERE));
                if (r < 0)
                        return r;
        }

        node->key = key;
        place(heap, heap->n_items++, node);
        sift_up(heap, node->index);
        return 0;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
        uint32_t index = node->index;
        struct heap_node *last;

        if (!heap_contains(node))
                return;

        node->index = HEAP_NOWHERE;
        last = heap->items[--heap->n_items];
        if (last == node)
                return;

        place(heap, index, last);
        settle(heap, index);
}

void heap_clear(struct heap *heap)
{
        for (uint32_t i = 0; i < heap->n_items; i++)
                heap->items[i]->index = HEAP_NOWHERE;

        free(heap->items);
        *heap = (struct heap){};
}
