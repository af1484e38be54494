/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/name-lock.h"
#include "util/background.h"

static int compare_lock(const struct name_lock *a, const struct name_lock *b)
{
        return dns_name_compare(&a->name, &b->name);
}

RB_HEAD(name_lock_tree, name_lock);
RB_PROTOTYPE(name_lock_tree, name_lock, by_name, compare_lock)
RB_GENERATE(name_lock_tree, name_lock, by_name, compare_lock)

/*   lock         locks  holder  to_be_told  is in
 *   none         NULL   NULL    no          nothing
 *   held         set    NULL    no          held
 *   handed on    set    NULL    yes         held, told
 *   waiting      set    set     no          the holder's waiting
 */
struct name_locks {
        struct name_lock_tree held;
        unsigned n_held;
        struct name_lock_list told; /* hold, and do not know it yet */
        sd_event_source *source;
};

static struct name_lock *name_lock_find(const struct name_locks *locks, const struct dns_name *name)
{
        struct name_lock key;

        if (RB_EMPTY(&locks->held))
                return NULL;
        key.name = *name;
        return RB_FIND(name_lock_tree, (struct name_lock_tree *) &locks->held, &key);
}

/* One a turn: what follows may release, take or hand on any other. */
static int name_locks_on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct name_locks *locks = userdata;
        struct name_lock *lock = TAILQ_FIRST(&locks->told);

        if (!lock)
                return 0;
        TAILQ_REMOVE(&locks->told, lock, by_turn);
        assert(lock->to_be_told && !lock->holder);
        lock->to_be_told = false;
        if (!TAILQ_EMPTY(&locks->told))
                background_source_wake(source);
        lock->granted(lock);
        return 0;
}

int name_locks_new(sd_event *event, struct name_locks **ret)
{
        _cleanup_(name_locks_freep) struct name_locks *locks = calloc(1, sizeof(*locks));
        int r;

        if (!locks)
                return -ENOMEM;
        RB_INIT(&locks->held);
        TAILQ_INIT(&locks->told);
        r = background_source_new(event, name_locks_on_turn, locks, &locks->source);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(locks);
        return 0;
}

struct name_locks *name_locks_free(struct name_locks *locks)
{
        if (!locks)
                return NULL;
        assert(RB_EMPTY(&locks->held));
        sd_event_source_disable_unref(locks->source);
        free(locks);
        return NULL;
}

static void name_lock_hold(struct name_locks *locks, struct name_lock *lock)
{
        lock->holder = NULL;
        RB_INSERT(name_lock_tree, &locks->held, lock);
        locks->n_held++;
}

/* Some places are kept for who verified last, so that strangers who queue up with forged updates do not keep
 * the owner out. */
static bool name_lock_has_room(const struct name_lock *holder, const struct name_lock *lock)
{
        const struct name_lock *waiting;
        unsigned n_source = 0;

        if (!lock->source.family)
                return true;
        if (holder->n_waiting >= NAME_LOCK_WAITING_MAX - (lock->favoured ? 0 : NAME_LOCK_WAITING_KEPT))
                return false;
        TAILQ_FOREACH (waiting, &holder->waiting, by_turn)
                n_source += waiting->source.family && address_equal(&waiting->source, &lock->source);
        return n_source < NAME_LOCK_WAITING_SOURCE;
}

int name_lock_take(struct name_locks *locks, struct name_lock *lock, const struct dns_name *name,
                   name_lock_granted granted)
{
        struct name_lock *holder = name_lock_find(locks, name);

        assert(!lock->locks);
        lock->name = *name;
        lock->granted = granted;
        lock->to_be_told = false;
        lock->n_waiting = 0;
        TAILQ_INIT(&lock->waiting);
        if (!holder) {
                lock->locks = locks;
                name_lock_hold(locks, lock);
                return 1;
        }
        if (!name_lock_has_room(holder, lock))
                return -EBUSY;
        lock->locks = locks;
        lock->holder = holder;
        TAILQ_INSERT_TAIL(&holder->waiting, lock, by_turn);
        holder->n_waiting++;
        return 0;
}

static void name_lock_hand_on(struct name_locks *locks, struct name_lock *from)
{
        struct name_lock *next = TAILQ_FIRST(&from->waiting), *waiting;

        RB_REMOVE(name_lock_tree, &locks->held, from);
        locks->n_held--;
        if (!next)
                return;
        TAILQ_REMOVE(&from->waiting, next, by_turn);
        TAILQ_CONCAT(&next->waiting, &from->waiting, by_turn);
        TAILQ_FOREACH (waiting, &next->waiting, by_turn)
                waiting->holder = next;
        next->n_waiting = from->n_waiting - 1;
        name_lock_hold(locks, next);
        next->to_be_told = true;
        TAILQ_INSERT_TAIL(&locks->told, next, by_turn);
        background_source_wake(locks->source);
}

void name_lock_release(struct name_lock *lock)
{
        struct name_locks *locks = lock->locks;

        if (!locks)
                return;
        if (lock->holder) {
                TAILQ_REMOVE(&lock->holder->waiting, lock, by_turn);
                lock->holder->n_waiting--;
                lock->holder = NULL;
        } else {
                if (lock->to_be_told)
                        TAILQ_REMOVE(&locks->told, lock, by_turn);
                lock->to_be_told = false;
                name_lock_hand_on(locks, lock);
        }
        lock->locks = NULL;
}

bool name_lock_is_held(const struct name_lock *lock)
{
        return lock->locks && !lock->holder && !lock->to_be_told;
}

bool name_lock_has_peer(const struct name_locks *locks, const struct dns_name *name, uint64_t peer)
{
        const struct name_lock *holder = name_lock_find(locks, name), *waiting;

        if (!holder)
                return false;
        if (holder->peer == peer)
                return true;
        TAILQ_FOREACH (waiting, &holder->waiting, by_turn)
                if (waiting->peer == peer)
                        return true;
        return false;
}

unsigned name_locks_count(const struct name_locks *locks)
{
        return locks->n_held;
}
