/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>

#include "nsregd/change.h"
#include "nsregd/clock-watch.h"
#include "nsregd/context.h"
#include "nsregd/lease-end.h"
#include "nsregd/zones.h"
#include "util/time.h"

/* Names looked at in one turn of the loop, and changes under way at once. */
#define DUE_PER_TURN  100
#define UNDER_WAY_MAX 2000
/* How long a name is left alone whose change could not be stored: a full disk is not there again at once. */
#define POSTPONE_USEC (10 * USEC_PER_SEC)

struct lease_end {
        LIST_ENTRY(lease_end) ends;
        struct lease_ends *owner;
        struct change change;
};

struct lease_ends {
        struct context *context;
        sd_event_source *source;
        usec_t armed_usec; /* CLOCK_BOOTTIME */
        unsigned n_under_way;
        LIST_HEAD(, lease_end) under_way;
        bool frozen;
};

static struct served_zone *lease_end_zone(const struct lease_end *end)
{
        struct dns_name zone_name;

        if (dns_name_parent(&end->change.lock.name, &zone_name) < 0)
                return NULL;
        return zones_serving(end->owner->context->zones, &zone_name);
}

static void lease_end_free(struct lease_end *end)
{
        change_clear(&end->change);
        LIST_REMOVE(end, ends);
        end->owner->n_under_way--;
        free(end);
}

/* Tried again by itself: what has ended stays due. */
static void lease_end_postpone(struct lease_end *end)
{
        struct context *context = end->owner->context;
        struct served_zone *served = lease_end_zone(end);
        struct name_entry *entry = served ? registry_find(served->zone, &end->change.lock.name) : NULL;

        if (entry)
                registry_postpone(context->registry, entry, context_time(context).lease_usec + POSTPONE_USEC);
        lease_end_free(end);
}

static void lease_end_on_done(struct change *change, int error)
{
        struct lease_end *end = container_of(change, struct lease_end, change);

        if (error < 0)
                lease_end_postpone(end);
        else
                lease_end_free(end);
}

static void lease_end_on_lock(struct name_lock *lock)
{
        struct lease_end *end = container_of(change_of(lock), struct lease_end, change);
        struct context *context = end->owner->context;
        struct registry_time now = context_time(context);
        struct served_zone *served = lease_end_zone(end);
        struct name_entry *entry = served ? registry_find(served->zone, &lock->name) : NULL;
        struct name_state *after;

        if (!entry || end->owner->frozen) {
                lease_end_free(end);
                return;
        }
        /* Its owner may have refreshed it while it was waited for. */
        if (!registry_is_due(entry, now.lease_usec)) {
                registry_reschedule(entry);
                lease_end_free(end);
                return;
        }
        after = registry_expire(entry, &now);
        if (!after || change_commit(&end->change, served, after, lease_end_on_done) < 0)
                lease_end_postpone(end);
}

/* Takes the name out of what is due until its change is through. False: memory is out. */
static bool lease_end_begin(struct lease_ends *ends, struct name_entry *entry)
{
        struct lease_end *end = calloc(1, sizeof(*end));
        struct dns_name name = name_entry_name(entry);

        if (!end)
                return false;
        end->owner = ends;
        LIST_INSERT_HEAD(&ends->under_way, end, ends);
        ends->n_under_way++;
        registry_postpone(ends->context->registry, entry, USEC_INFINITY);
        /* Work of our own always finds a place. */
        if (change_lock(ends->context->changes, &end->change, &name, lease_end_on_lock) > 0)
                lease_end_on_lock(&end->change.lock);
        return true;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct lease_ends *ends = userdata;
        struct context *context = ends->context;
        usec_t now_usec = context_time(context).lease_usec;
        struct name_entry *entry;

        clock_watch_look(context->clock_watch);
        for (unsigned i = 0; i < DUE_PER_TURN && ends->n_under_way < UNDER_WAY_MAX; i++) {
                entry = registry_next_due(context->registry, now_usec);
                if (!entry)
                        break;
                /* Of a zone that comes, nothing ends before it is there; of one that goes, nothing any more.
                 */
                if (entry->zone->hidden) {
                        registry_postpone(context->registry, entry, now_usec + POSTPONE_USEC);
                        continue;
                }
                if (!lease_end_begin(ends, entry)) {
                        registry_postpone(context->registry, entry, now_usec + POSTPONE_USEC);
                        break;
                }
        }
        return 0;
}

/* Before the loop sleeps: whatever moved the earliest end since. */
static int on_prepare(sd_event_source *source, void *userdata)
{
        struct lease_ends *ends = userdata;
        usec_t deadline = registry_next_deadline(ends->context->registry), at = USEC_INFINITY;

        if (deadline != USEC_INFINITY && !ends->frozen && ends->n_under_way < UNDER_WAY_MAX)
                at = lease_clock_to_boottime(store_clock(ends->context->store), deadline);
        if (at == ends->armed_usec)
                return 0;
        ends->armed_usec = at;
        return sd_event_source_set_time(source, at);
}

void lease_ends_freeze(struct lease_ends *ends)
{
        ends->frozen = true;
}

int lease_ends_new(struct context *context, struct lease_ends **ret)
{
        _cleanup_(lease_ends_freep) struct lease_ends *ends = calloc(1, sizeof(*ends));
        int r;

        if (!ends)
                return -ENOMEM;
        ends->context = context;
        ends->armed_usec = USEC_INFINITY;
        LIST_INIT(&ends->under_way);
        r = sd_event_add_time(context->event, &ends->source, CLOCK_BOOTTIME, USEC_INFINITY,
                              10 * USEC_PER_MSEC, on_deadline, ends);
        if (r >= 0)
                r = sd_event_source_set_prepare(ends->source, on_prepare);
        if (r >= 0)
                r = sd_event_source_set_enabled(ends->source, SD_EVENT_ON);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ends);
        return 0;
}

struct lease_ends *lease_ends_free(struct lease_ends *ends)
{
        if (!ends)
                return NULL;
        while (!LIST_EMPTY(&ends->under_way))
                lease_end_free(LIST_FIRST(&ends->under_way));
        sd_event_source_disable_unref(ends->source);
        free(ends);
        return NULL;
}
