/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/change.h"
#include "nsregd/event.h"
#include "nsregd/manager.h"

struct turn {
        STAILQ_ENTRY(turn) next;
        change_turn run;
        void *userdata;
};

struct pending {
        RB_ENTRY(pending) by_name;
        struct changes *changes;
        struct dns_name name;
        struct name_state *after;
        bool first_claim;     /* counted in the zone's n_pending */
        struct waiter waiter; /* for the store */
        change_done done;
        void *userdata;
        STAILQ_HEAD(, turn) turns;
};

static int compare_pending(const struct pending *a, const struct pending *b)
{
        return dns_name_compare(&a->name, &b->name);
}

RB_HEAD(pending_tree, pending);
RB_PROTOTYPE(pending_tree, pending, by_name, compare_pending)
RB_GENERATE(pending_tree, pending, by_name, compare_pending)

struct changes {
        struct manager *manager;
        struct pending_tree pending;
};

struct changes *changes_new(struct manager *manager)
{
        struct changes *changes = calloc(1, sizeof(*changes));

        if (!changes)
                return NULL;
        changes->manager = manager;
        RB_INIT(&changes->pending);
        return changes;
}

static void pending_free(struct pending *pending)
{
        struct turn *turn;

        RB_REMOVE(pending_tree, &pending->changes->pending, pending);
        waiter_clear(&pending->waiter);
        while ((turn = STAILQ_FIRST(&pending->turns))) {
                STAILQ_REMOVE_HEAD(&pending->turns, next);
                free(turn);
        }
        name_state_free(pending->after);
        free(pending);
}

struct changes *changes_free(struct changes *changes)
{
        struct pending *pending, *next;

        if (!changes)
                return NULL;
        RB_FOREACH_SAFE (pending, pending_tree, &changes->pending, next)
                pending_free(pending);
        free(changes);
        return NULL;
}

static struct pending *find(const struct changes *changes, const struct dns_name *name)
{
        struct pending *key = &(struct pending){ .name = *name };

        if (RB_EMPTY(&changes->pending))
                return NULL;
        return RB_FIND(pending_tree, (struct pending_tree *) &changes->pending, key);
}

static struct registry_zone *zone_of(const struct changes *changes, const struct dns_name *name)
{
        struct dns_name parent;

        if (dns_name_parent(name, &parent) < 0)
                return NULL;
        return registry_find_zone(changes->manager->registry, &parent);
}

bool change_is_pending(const struct changes *changes, const struct dns_name *name)
{
        return find(changes, name);
}

int change_when_free(struct changes *changes, const struct dns_name *name, change_turn run, void *userdata)
{
        struct pending *pending = find(changes, name);
        struct turn *turn;

        if (!pending) {
                run(userdata, zone_of(changes, name));
                return 0;
        }
        turn = calloc(1, sizeof(*turn));
        if (!turn)
                return -ENOMEM;
        turn->run = run;
        turn->userdata = userdata;
        STAILQ_INSERT_TAIL(&pending->turns, turn, next);
        return 0;
}

static void count_sources(struct manager *manager, const struct name_state *before,
                          const struct name_state *after)
{
        if (before && before->claimed)
                quota_count_name(manager->quota, &before->source, -1);
        if (after && after->claimed)
                quota_count_name(manager->quota, &after->source, 1);
}

/* The stored state becomes the one that everybody sees. */
static int install(struct changes *changes, struct registry_zone *zone, const struct dns_name *name,
                   struct name_state *after)
{
        _cleanup_(name_state_freep) struct name_state *before = NULL;
        struct manager *manager = changes->manager;
        struct served_zone *served = manager_find_zone(manager, zone);
        _cleanup_free_ struct ptr_change *ptrs = NULL;
        struct effects effects;
        char label[DNS_LABEL_MAX + 1];
        bool kept = !name_state_is_empty(after);
        _cleanup_(name_state_freep) struct name_state *copy = kept ? NULL : name_state_copy(after);
        int r;

        dns_name_copy_label(name, label);
        count_sources(manager, NULL, after);
        r = registry_install(zone, label, after, &effects, &before);
        if (r < 0) {
                count_sources(manager, after, NULL);
                return r;
        }
        ptrs = effects.ptrs;
        count_sources(manager, before, NULL);
        if (!name_state_same_addresses(before, kept ? after : copy))
                served->serial = served->next_serial;
        event_changed(manager, name, before, kept ? after : copy);
        return publisher_change(manager->publisher, zone, name, before, kept ? after : copy, &effects);
}

static void run_turns(struct changes *changes, struct pending *finished)
{
        struct dns_name name = finished->name;
        struct turn *turn;

        /* A turn may make the name pending again: the rest waits behind that one. */
        while ((turn = STAILQ_FIRST(&finished->turns))) {
                struct pending *pending = find(changes, &name);

                if (pending) {
                        STAILQ_CONCAT(&pending->turns, &finished->turns);
                        return;
                }
                STAILQ_REMOVE_HEAD(&finished->turns, next);
                turn->run(turn->userdata, zone_of(changes, &name));
                free(turn);
        }
}

static void on_stored(struct waiter *waiter, int error)
{
        struct pending *pending = container_of(waiter, struct pending, waiter);
        struct changes *changes = pending->changes;
        struct registry_zone *zone = zone_of(changes, &pending->name);

        RB_REMOVE(pending_tree, &changes->pending, pending);
        if (zone && pending->first_claim)
                zone->n_pending--;
        /* A zone that was removed meanwhile takes its names with it; the row stays for its return. */
        if (error >= 0 && !zone)
                error = -ENOENT;
        if (error >= 0)
                error = install(changes, zone, &pending->name, TAKE_PTR(pending->after));
        if (pending->done)
                pending->done(pending->userdata, error);
        run_turns(changes, pending);
        manager_arm(changes->manager);

        /* Out of the tree already. */
        name_state_free(pending->after);
        free(pending);
}

/* The serial goes to the disk with the change that it counts. */
static int count_serial(struct changes *changes, struct registry_zone *zone, const struct name_state *before,
                        const struct name_state *after)
{
        struct served_zone *served = manager_find_zone(changes->manager, zone);

        if (name_state_same_addresses(before, after))
                return 0;
        served->next_serial++;
        if (!served->builtin)
                return 0;
        return store_put_serial(changes->manager->store, &zone->policy->zone, served->next_serial, NULL,
                                NULL);
}

int change_submit(struct changes *changes, struct registry_zone *zone, const struct dns_name *name,
                  struct name_state *after, change_done done, void *userdata)
{
        const struct name_entry *entry = registry_find(zone, name);
        struct pending *pending = calloc(1, sizeof(*pending));
        char label[DNS_LABEL_MAX + 1];
        int r;

        if (!pending) {
                name_state_free(after);
                return -ENOMEM;
        }
        dns_name_copy_label(name, label);
        *pending = (struct pending){
                .changes = changes, .name = *name, .after = after, .done = done, .userdata = userdata
        };
        STAILQ_INIT(&pending->turns);
        RB_INSERT(pending_tree, &changes->pending, pending);

        r = count_serial(changes, zone, entry ? entry->state : NULL, after);
        if (r >= 0)
                r = store_put_name(changes->manager->store, &zone->policy->zone, label, after,
                                   &pending->waiter, on_stored);
        if (r < 0) {
                pending_free(pending);
                return r;
        }
        pending->first_claim = after->claimed && !(entry && entry->state->claimed);
        if (pending->first_claim)
                zone->n_pending++;
        return 0;
}
