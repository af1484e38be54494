/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may judge, verify or change a name: one at a time, first come first served. A request takes the lock
 * before anything that depends on the name's state is looked at and keeps it until what it made is installed,
 * or it is refused; lease ends, administration, undoing and import do the same. So nothing is judged twice,
 * and nothing that was judged has changed when it is acted upon.
 *
 * The lock is a member of its holder: freeing the holder releases it, and handing on needs no memory, since
 * what stands for a locked name is the holder's own lock. */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "dns/name.h"
#include "util/address.h"
#include "util/macro.h"

struct name_locks;
struct name_lock;

/* The lock is held now. Called from the loop, never from within another call of this room. */
typedef void (*name_lock_granted)(struct name_lock *lock);

TAILQ_HEAD(name_lock_list, name_lock);

struct name_lock {
        RB_ENTRY(name_lock) by_name;    /* while held */
        TAILQ_ENTRY(name_lock) by_turn; /* in the holder's list while waiting; among those to be told */
        struct name_lock_list waiting;  /* while held: who comes next, in order */
        struct name_locks *locks;       /* NULL: neither held nor waited for */
        struct name_lock *holder;       /* while waiting */
        bool to_be_told;                /* held, and granted() has not run yet */
        unsigned n_waiting;             /* while held */
        struct dns_name name;
        struct address source; /* family 0: not from the network */
        uint64_t peer;         /* who pipelines: see name_lock_has_peer(); 0: nobody */
        bool favoured;         /* may take one of the places kept for those who verified last */
        name_lock_granted granted;
};

/* How many wait for one name at most; how many of those for one source; how many places of all are kept for
 * sources that last verified for it. Work of our own (no source) always finds a place. */
#define NAME_LOCK_WAITING_MAX    16
#define NAME_LOCK_WAITING_SOURCE 4
#define NAME_LOCK_WAITING_KEPT   2

int name_locks_new(sd_event *event, struct name_locks **ret); /* 0 or -errno */
/* Nobody may hold or wait any more. */
struct name_locks *name_locks_free(struct name_locks *locks);
DEFINE_CLEANUP(struct name_locks *, name_locks_free)

/* Takes "name" for a lock whose source, peer and favoured are set by the caller. 1: it is held; 0: it is
 * waited for, and granted() follows; -EBUSY: too many wait for this name already. */
int name_lock_take(struct name_locks *locks, struct name_lock *lock, const struct dns_name *name,
                   name_lock_granted granted);
/* Releases, or waits no more; no-op for one that does neither. Hands on. */
void name_lock_release(struct name_lock *lock);
bool name_lock_is_held(const struct name_lock *lock);

/* Is the name held, or waited for, by somebody with this peer. */
bool name_lock_has_peer(const struct name_locks *locks, const struct dns_name *name, uint64_t peer);
unsigned name_locks_count(const struct name_locks *locks); /* names that are held */
