/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The places of a set's connections: an id names a connection as long as it lives, and nothing afterwards. */

#include "net/stream-id.h"

struct connection;

struct slot {
        struct connection *connection; /* NULL: free */
        uint32_t generation;           /* never 0 */
        uint32_t next_free;
};

struct slots {
        struct slot *slots;
        uint32_t n_slots;
        uint32_t n_free;
        uint32_t first_free;
};

/* There is a free place behind this. 0 or -ENOMEM. */
int slots_reserve(struct slots *slots);
/* Where the next connection will be. Only behind slots_reserve(). */
static inline uint32_t slots_next(const struct slots *slots)
{
        return slots->first_free;
}
void slots_put(struct slots *slots, struct connection *connection); /* at slots_next() */
void slots_remove(struct slots *slots, uint32_t index);
struct connection *slots_find(const struct slots *slots, struct stream_id id);
void slots_clear(struct slots *slots);

static inline struct stream_id slots_id(const struct slots *slots, uint32_t index)
{
        return (struct stream_id){ .index = index, .generation = slots->slots[index].generation };
}
