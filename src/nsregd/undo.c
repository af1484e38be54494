/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>

#include "nsregd/announce.h"
#include "nsregd/change.h"
#include "nsregd/context.h"
#include "nsregd/undo.h"
#include "nsregd/zones.h"
#include "util/background.h"

#define BLOCK_MIN_SEC 600
/* What was in the way may be gone, and nobody tells: a name is tried again after so long at the latest. */
#define BLOCK_MAX_SEC 3600

struct undo {
        LIST_ENTRY(undo) undos;
        struct undos *owner;
        struct change change;
        bool lifts;          /* the block, rather than undoing anything */
        bool blocks;         /* the host as a whole was refused: not only a type of it, or a name below */
        uint32_t generation; /* of the state that was refused */
        char reason[];
};

/* Names looked at in one turn of the loop. */
#define LIFTED_PER_TURN 2000

struct undos {
        struct context *context;
        LIST_HEAD(, undo) list;
        sd_event_source *lift_source; /* while blocks are lifted */
        struct dns_name lift_zone;    /* how far that has come; length 0: at the beginning */
        char lift_label[DNS_LABEL_MAX + 1];
};

static void undo_free(struct undo *undo)
{
        change_clear(&undo->change);
        LIST_REMOVE(undo, undos);
        free(undo);
}

/* All that is provisional, though a server may have refused one type only: whoever asked is told that nothing
 * was changed. */
static struct name_state *undo_state(const struct name_state *state, bool blocks, const char *reason,
                                     const struct registry_time *now)
{
        struct name_state *after = name_state_copy(state);

        if (!after)
                return NULL;
        if (state->provisional == PROVISIONAL_CLAIM)
                registry_free_name(after, now);
        for (unsigned i = after->n_records; i-- > 0;)
                if (after->records[i].provisional)
                        name_state_remove(after, &after->records[i]);
        after->provisional = PROVISIONAL_NO;
        if (!blocks)
                return after;
        after->blocked_sec = CLAMP(state->blocked_sec * 2, (uint32_t) BLOCK_MIN_SEC,
                                   (uint32_t) BLOCK_MAX_SEC);
        after->blocked_until_usec = now->lease_usec + after->blocked_sec * USEC_PER_SEC;
        free(after->blocked_reason);
        /* Without memory the reason that is told is a general one. */
        after->blocked_reason = strdup(reason);
        return after;
}

static struct name_state *lift_state(const struct name_state *state)
{
        struct name_state *after = name_state_copy(state);

        if (after)
                name_state_unblock(after);
        return after;
}

static struct served_zone *undo_zone(const struct undos *undos, const struct dns_name *name)
{
        struct dns_name zone_name;

        if (dns_name_parent(name, &zone_name) < 0)
                return NULL;
        return zones_serving(undos->context->zones, &zone_name);
}

static void undo_on_done(struct change *change, int error)
{
        struct undo *undo = container_of(change, struct undo, change);

        /* What could not be undone is still refused there: the upstream says so again when it is looked at.
         */
        if (error < 0)
                announce_not_stored(undo->owner->context->announcer, &change->lock.name, error);
        undo_free(undo);
}

static void undo_on_lock(struct name_lock *lock)
{
        struct undo *undo = container_of(change_of(lock), struct undo, change);
        struct context *context = undo->owner->context;
        struct served_zone *served = undo_zone(undo->owner, &lock->name);
        struct name_entry *entry = served ? registry_find(served->zone, &lock->name) : NULL;
        struct registry_time now = context_time(context);
        struct name_state *after;

        if (!entry || entry->generation != undo->generation ||
            (undo->lifts ? entry->state->blocked_until_usec == 0
                         : entry->state->provisional == PROVISIONAL_NO)) {
                undo_free(undo);
                return;
        }
        after = undo->lifts ? lift_state(entry->state)
                            : undo_state(entry->state, undo->blocks, undo->reason, &now);
        if (!after || change_commit(&undo->change, served, after, undo_on_done) < 0) {
                announce_not_stored(context->announcer, &lock->name, -ENOMEM);
                undo_free(undo);
        }
}

static void undo_start(struct undos *undos, const struct name_entry *entry, bool lifts, bool blocks,
                       const char *reason)
{
        struct undo *undo = calloc(1, sizeof(*undo) + strlen(reason) + 1);
        struct dns_name name = name_entry_name(entry);

        if (!undo) {
                announce_not_stored(undos->context->announcer, &name, -ENOMEM);
                return;
        }
        undo->owner = undos;
        undo->lifts = lifts;
        undo->blocks = blocks;
        undo->generation = entry->generation;
        strcpy(undo->reason, reason);
        LIST_INSERT_HEAD(&undos->list, undo, undos);
        /* Work of our own always finds a place. */
        if (change_lock(undos->context->changes, &undo->change, &name, undo_on_lock) > 0)
                undo_on_lock(&undo->change.lock);
}

void undo_begin(struct undos *undos, const struct dns_name *name, uint16_t type, const char *reason)
{
        struct served_zone *served = zones_serving_of(undos->context->zones, name);
        struct dns_name host;
        struct name_entry *entry = served ? registry_find_host(served->zone, name, &host) : NULL;
        bool blocks = type == 0 || type == DNS_TYPE_A || type == DNS_TYPE_AAAA;

        if (entry && entry->state->provisional != PROVISIONAL_NO)
                undo_start(undos, entry, false, blocks && dns_name_equal(name, &host), reason);
}

/* --- blocks --- */

static int undos_on_lift(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct undos *undos = userdata;
        const struct registry *registry = undos->context->registry;
        struct registry_zone *zone = undos->lift_zone.length > 0
                                             ? registry_find_zone(registry, &undos->lift_zone)
                                             : registry->zones;

        for (unsigned i = 0; zone && i < LIFTED_PER_TURN; i++) {
                struct name_entry *entry = registry_after(zone, undos->lift_label);

                undos->lift_zone = zone->policy->zone;
                if (!entry) {
                        undos->lift_label[0] = '\0';
                        zone = zone->next;
                        if (zone)
                                undos->lift_zone = zone->policy->zone;
                        continue;
                }
                strcpy(undos->lift_label, entry->label);
                if (entry->state->blocked_until_usec > 0)
                        undo_start(undos, entry, true, false, "");
        }
        if (zone)
                background_source_wake(source);
        return 0;
}

void undos_lift_blocks(struct undos *undos)
{
        undos->lift_zone.length = 0;
        undos->lift_label[0] = '\0';
        background_source_wake(undos->lift_source);
}

int undos_new(struct context *context, struct undos **ret)
{
        _cleanup_(undos_freep) struct undos *undos = calloc(1, sizeof(*undos));
        int r;

        if (!undos)
                return -ENOMEM;
        undos->context = context;
        LIST_INIT(&undos->list);
        r = background_source_new(context->event, undos_on_lift, undos, &undos->lift_source);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(undos);
        return 0;
}

struct undos *undos_free(struct undos *undos)
{
        if (!undos)
                return NULL;
        while (!LIST_EMPTY(&undos->list))
                undo_free(LIST_FIRST(&undos->list));
        sd_event_source_disable_unref(undos->lift_source);
        free(undos);
        return NULL;
}
