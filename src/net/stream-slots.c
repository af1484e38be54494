/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "net/stream-slots.h"

#include "util/macro.h"

int slots_reserve(struct slots *slots)
{
        uint32_t n = MAX(slots->n_slots * 2, 64u);
        struct slot *grown;

        if (slots->n_free > 0)
                return 0;
        grown = reallocarray(slots->slots, n, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        for (uint32_t i = slots->n_slots; i < n; i++)
                grown[i] = (struct slot){ .generation = 1, .next_free = i + 1 };
        slots->first_free = slots->n_slots;
        slots->n_free = n - slots->n_slots;
        slots->slots = grown;
        slots->n_slots = n;
        return 0;
}

void slots_put(struct slots *slots, struct connection *connection)
{
        struct slot *slot = &slots->slots[slots->first_free];

        assert(slots->n_free > 0 && !slot->connection);
        slots->first_free = slot->next_free;
        slots->n_free--;
        slot->connection = connection;
}

void slots_remove(struct slots *slots, uint32_t index)
{
        struct slot *slot = &slots->slots[index];

        slot->connection = NULL;
        if (++slot->generation == 0)
                slot->generation = 1;
        slot->next_free = slots->first_free;
        slots->first_free = index;
        slots->n_free++;
}

struct connection *slots_find(const struct slots *slots, struct stream_id id)
{
        if (id.index >= slots->n_slots || slots->slots[id.index].generation != id.generation)
                return NULL;
        return slots->slots[id.index].connection;
}

void slots_clear(struct slots *slots)
{
        free(slots->slots);
        *slots = (struct slots){};
}
