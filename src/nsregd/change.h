/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A change of one name: locked, stored, then installed, announced and published. The struct is a member of
 * whoever makes the change (a request, a lease's end, an administrator's order). While it is on its way to
 * the disk the name stays locked and readers see the old state. */

#include <stdbool.h>

#include "nsregd/name-lock.h"
#include "registry/registry.h"
#include "util/waiter.h"

struct context;
struct changes;
struct served_zone;
struct change;

/* error 0: installed, publication is on its way; else nothing changed. The name is not locked any more. */
typedef void (*change_done)(struct change *change, int error);

/*   stage         lock      stored    after
 *   none          -         -         NULL
 *   locking       waits     -         NULL
 *   judging       held      -         NULL
 *   committing    held      waits     set
 */
struct change {
        struct name_lock lock;
        struct waiter stored;
        struct changes *changes;
        struct served_zone *served; /* pinned while it is committed */
        struct name_state *after;   /* owned */
        bool first_claim;           /* charged: in the zone's n_pending and on its source's account */
        change_done done;
};

int changes_new(struct context *context, struct changes **ret); /* 0 or -errno */
struct changes *changes_free(struct changes *changes);
DEFINE_CLEANUP(struct changes *, changes_free)
/* How many are on their way to the disk. */
unsigned changes_committing(const struct changes *changes);

/* See name_lock_take(); "change" is zeroed but for what the lock wants set. */
int change_lock(struct changes *changes, struct change *change, const struct dns_name *name,
                name_lock_granted granted);
/* Makes "after" (taken, also on failure) the state of the name in this zone; its lock is held. 0: done()
 * follows, never from within. -ENOMEM: nothing is under way, the lock is still held. */
int change_commit(struct change *change, struct served_zone *served, struct name_state *after,
                  change_done done);
/* Ends in any stage: the lock is released, nothing is told. What is on its way to the disk arrives there. */
void change_clear(struct change *change);
/* Whose lock this is. */
static inline struct change *change_of(struct name_lock *lock)
{
        return container_of(lock, struct change, lock);
}
