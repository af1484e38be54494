/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Somebody who waits for the end of one thing that somebody else does: a write to the disk, a lock, a
 * signature. The struct is embedded in whoever waits; who does the work keeps nothing but a slot that points
 * back at it. Clearing the waiter empties the slot, so a completion cannot outlive who waits for it, and the
 * work itself goes on unheard. */

#include "util/macro.h"

struct waiter;

/* "error": 0 or -errno. The waiter waits no more: it may wait for the next thing, or be freed. */
typedef void (*waiter_done)(struct waiter *waiter, int error);

struct waiter {
        struct waiter **slot; /* where what it waits for points back at it; NULL while it waits for nothing */
        waiter_done done;
};

static inline bool waiter_is_waiting(const struct waiter *waiter)
{
        return waiter->slot;
}

/* For who does the work. */
static inline void waiter_attach(struct waiter *waiter, struct waiter **slot, waiter_done done)
{
        assert(!waiter->slot && !*slot);
        *waiter = (struct waiter){ .slot = slot, .done = done };
        *slot = waiter;
}

/* For who waits: from now on nothing is told. No-op while it waits for nothing. */
static inline void waiter_clear(struct waiter *waiter)
{
        if (!waiter->slot)
                return;
        assert(*waiter->slot == waiter);
        *waiter->slot = NULL;
        waiter->slot = NULL;
}

/* For who does the work: tells whoever still waits. The slot may be gone behind the call. */
static inline void waiter_tell(struct waiter **slot, int error)
{
        struct waiter *waiter = *slot;

        if (!waiter)
                return;
        assert(waiter->slot == slot);
        waiter_clear(waiter);
        waiter->done(waiter, error);
}
