/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/change.h"
#include "nsregd/announce.h"
#include "nsregd/context.h"
#include "nsregd/zones.h"
#include "upstream/publisher.h"

struct changes {
        struct context *context;
        unsigned n_committing;
};

int changes_new(struct context *context, struct changes **ret)
{
        struct changes *changes = calloc(1, sizeof(*changes));

        if (!changes)
                return -ENOMEM;
        changes->context = context;
        *ret = changes;
        return 0;
}

struct changes *changes_free(struct changes *changes)
{
        if (!changes)
                return NULL;
        assert(changes->n_committing == 0);
        free(changes);
        return NULL;
}

unsigned changes_committing(const struct changes *changes)
{
        return changes->n_committing;
}

int change_lock(struct changes *changes, struct change *change, const struct dns_name *name,
                name_lock_granted granted)
{
        change->changes = changes;
        change->after = NULL;
        change->first_claim = false;
        return name_lock_take(changes->context->locks, &change->lock, name, granted);
}

/* What a first claim holds before it is installed, so that claims that wait are counted like those that
 * stand. */
static void change_charge(struct change *change, int sign)
{
        change->served->zone->n_pending += (uint32_t) sign;
        quota_count_name(change->changes->context->quota, &change->after->source, sign);
}

static void change_uncommit(struct change *change)
{
        if (!change->after)
                return;
        if (change->first_claim)
                change_charge(change, -1);
        change->first_claim = false;
        change->after = name_state_free(change->after);
        change->changes->n_committing--;
        zone_end(change->changes->context->zones, TAKE_PTR(change->served));
}

void change_clear(struct change *change)
{
        waiter_clear(&change->stored);
        change_uncommit(change);
        name_lock_release(&change->lock);
}

static void count_sources(struct quota *quota, const struct name_state *before,
                          const struct name_state *after)
{
        if (after && after->claimed)
                quota_count_name(quota, &after->source, 1);
        if (before && before->claimed)
                quota_count_name(quota, &before->source, -1);
}

/* The stored state becomes the one that everybody sees. */
static int change_install(struct change *change)
{
        struct context *context = change->changes->context;
        _cleanup_(name_state_freep) struct name_state *before = NULL, *copy = NULL;
        const struct dns_name *name = &change->lock.name;
        struct name_state *after = TAKE_PTR(change->after);
        _cleanup_free_ struct ptr_change *ptrs = NULL;
        bool kept = !name_state_is_empty(after);
        char label[DNS_LABEL_MAX + 1];
        struct effects effects;
        int r;

        /* An empty state goes with its entry, and is still to be told of. */
        if (!kept)
                copy = name_state_copy(after);
        dns_name_copy_label(name, label);
        publisher_before_change(context->publisher, registry_find(change->served->zone, name), after);
        r = registry_install(change->served->zone, label, after, &effects, &before);
        if (r < 0) {
                name_state_free(after);
                return r;
        }
        ptrs = effects.ptrs;
        if (!kept)
                after = copy;
        count_sources(context->quota, before, after);
        zone_count_change(change->served, before, after);
        announce_name_changed(context->announcer, name, before, after);
        return publisher_change(context->publisher, change->served->zone, name, before, after, &effects);
}

static void change_on_stored(struct waiter *waiter, int error)
{
        struct change *change = container_of(waiter, struct change, stored);
        struct context *context = change->changes->context;
        change_done done = change->done;

        assert(name_lock_is_held(&change->lock) && change->after);
        if (change->first_claim)
                change_charge(change, -1);
        change->first_claim = false;
        change->changes->n_committing--;
        if (error >= 0)
                error = change_install(change);
        change->after = name_state_free(change->after);
        zone_end(context->zones, TAKE_PTR(change->served));
        name_lock_release(&change->lock);
        done(change, error);
}

int change_commit(struct change *change, struct served_zone *served, struct name_state *after,
                  change_done done)
{
        struct context *context = change->changes->context;
        const struct name_entry *entry = registry_find(served->zone, &change->lock.name);
        char label[DNS_LABEL_MAX + 1];
        int r;

        assert(name_lock_is_held(&change->lock) && !change->after && !waiter_is_waiting(&change->stored));
        dns_name_copy_label(&change->lock.name, label);
        r = zone_store_serial(context->zones, served, entry ? entry->state : NULL, after);
        if (r >= 0)
                r = store_put_name(context->store, &served->policy.zone, label, after, &change->stored,
                                   change_on_stored);
        if (r < 0) {
                name_state_free(after);
                return r;
        }
        change->after = after;
        change->done = done;
        change->served = zone_begin(served);
        change->changes->n_committing++;
        change->first_claim = after->claimed && !(entry && entry->state->claimed);
        if (change->first_claim)
                change_charge(change, 1);
        return 0;
}
