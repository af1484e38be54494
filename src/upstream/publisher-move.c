/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is published of each name is moved from the configuration that was to the one that is in force: in
 * slices, while everybody is served. What an entry says whose epoch is not the registry's was published by
 * the attachments of before; the first that touches it, this or a change of the name, moves it. A unit of a
 * plan is made only where the two differ, so that a configuration that changes nothing costs a look at each
 * name and no message. */

#include <stdio.h>

#include "upstream/publisher-internal.h"
#include "util/background.h"

#define NAMES_PER_TURN 50
/* No more units than this are put into plans that have as many to do. */
#define BACKLOG_MAX 10000

struct move_zone {
        struct move_zone *next;
        struct registry_zone *zone;
        struct attachment *before;
};

struct publisher_move {
        struct publisher *publisher;
        sd_event_source *source;
        struct move_zone *zones; /* one for each zone there was */
        struct registry_zone *zone;
        char label[DNS_LABEL_MAX + 1];
};

static const struct attachment *attachments_before(const struct publisher *publisher,
                                                   const struct registry_zone *zone)
{
        for (const struct move_zone *moved = publisher->move ? publisher->move->zones : NULL; moved;
             moved = moved->next)
                if (moved->zone == zone)
                        return moved->before;
        return NULL;
}

static bool is_moved(const struct publisher *publisher, const struct name_entry *entry)
{
        return !publisher->move || entry->epoch == publisher->registry->epoch;
}

const struct attachment *attachments_of(const struct publisher *publisher, const struct name_entry *entry)
{
        return is_moved(publisher, entry) ? entry->zone->userdata
                                          : attachments_before(publisher, entry->zone);
}

/* --- one name --- */

/* From one lane to the other, which may be the same, or none. Two sets that are equal may still have to be
 * written or looked at anew. */
static int move_unit(struct upstream *upstream, int from, int to, const struct dns_name *owner,
                     struct rrset *before, struct rrset *wanted, bool republish)
{
        struct plan *plan = upstream->plan;
        const struct rrset nothing = {};
        int r = 0;

        if (from >= 0 && from != to && !rrset_is_empty(before))
                r = plan_change(plan, (unsigned) from, owner, before, &nothing);
        if (from != to)
                rrset_clear(before);
        if (r >= 0 && to >= 0 && !rrset_equal(before, wanted))
                r = plan_change(plan, (unsigned) to, owner, before, wanted);
        if (r >= 0 && to >= 0 && republish && !rrset_is_empty(wanted))
                r = plan_republish(plan, (unsigned) to, owner, wanted);
        else if (to >= 0 && upstream->relook && !rrset_is_empty(wanted))
                r = plan_check(plan, (unsigned) to, owner, wanted);
        rrset_clear(before);
        rrset_clear(wanted);
        return r;
}

static bool another_ttl(const struct attachment *before, const struct attachment *now)
{
        return before && now && before->config->record_ttl_sec != now->config->record_ttl_sec;
}

static int move_forward(struct upstream *upstream, const struct name_entry *entry,
                        const struct record_value *name, const struct attachment *before,
                        const struct attachment *now)
{
        struct dns_name host = name_entry_name(entry), owner;
        struct rrset old = {}, wanted = {};
        int r;

        r = record_owner(&host, name, &owner);
        if (r >= 0)
                r = forward_set(before, entry->state, name, &old);
        if (r >= 0)
                r = forward_set(now, entry->state, name, &wanted);
        if (r < 0) {
                rrset_clear(&old);
                return r;
        }
        return move_unit(upstream, before ? forward_lane(before, entry->zone) : -1,
                         now ? forward_lane(now, entry->zone) : -1, &owner, &old, &wanted,
                         another_ttl(before, now));
}

static int move_names(struct upstream *upstream, const struct name_entry *entry,
                      const struct attachment *before, const struct attachment *now)
{
        struct record_value name;
        unsigned position = 0;
        int r = 0;

        while (name_state_next_name(entry->state, &position, &name)) {
                int k = move_forward(upstream, entry, &name, before, now);

                r = k < 0 ? k : r;
        }
        return r;
}

/* Who has the PTR of an address, and by which attachments it was published. */
struct pointer {
        struct dns_name name;
        const struct attachment *attachments;
        bool found;
};

static struct pointer find_pointer(const struct publisher *publisher, const struct record *record)
{
        struct address address = record_address(record);
        const struct name_entry *entry = address.family ? registry_ptr_owner(publisher->registry, &address)
                                                        : NULL;

        if (!entry)
                return (struct pointer){};
        return (struct pointer){ .name = name_entry_name(entry),
                                 .attachments = attachments_of(publisher, entry),
                                 .found = true };
}

static int pointer_set(const struct pointer *pointer, const struct upstream *upstream,
                       const struct address *address, struct rrset *ret)
{
        *ret = (struct rrset){};
        if (!pointer->found)
                return 0;
        return ptr_set(find_attachment(pointer->attachments, upstream), &pointer->name, address, ret);
}

static int move_pointer(struct upstream *upstream, const struct address *address,
                        const struct pointer *before, const struct pointer *now)
{
        struct dns_name owner = dns_name_reverse(address);
        struct rrset old = {}, wanted = {};
        int r;

        r = pointer_set(before, upstream, address, &old);
        if (r >= 0)
                r = pointer_set(now, upstream, address, &wanted);
        if (r < 0) {
                rrset_clear(&old);
                return r;
        }
        return move_unit(upstream, reverse_lane(upstream, &owner, LANE_CONFIGURED_BEFORE),
                         reverse_lane(upstream, &owner, LANE_CONFIGURED), &owner, &old, &wanted,
                         another_ttl(find_attachment(before->attachments, upstream),
                                     find_attachment(now->attachments, upstream)));
}

void move_entry(struct publisher *publisher, struct name_entry *entry)
{
        const struct attachment *before, *now;
        struct upstream *upstream;
        unsigned n = entry->state->n_records;
        _cleanup_free_ struct pointer *pointers = NULL;
        int r = 0;

        if (is_moved(publisher, entry))
                return;
        before = attachments_of(publisher, entry);
        pointers = n > 0 ? calloc(n, sizeof(*pointers)) : NULL;
        for (unsigned i = 0; pointers && i < n; i++)
                pointers[i] = find_pointer(publisher, &entry->state->records[i]);
        /* Both may be others now: who has a pointer, and where it is published. */
        registry_reindex(entry);
        entry->epoch = publisher->registry->epoch;
        now = attachments_of(publisher, entry);

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                int k = move_names(upstream, entry, find_attachment(before, upstream),
                                   find_attachment(now, upstream));

                r = k < 0 ? k : r;
                for (unsigned i = 0; pointers && i < n; i++) {
                        struct address address = record_address(&entry->state->records[i]);
                        struct pointer pointer = find_pointer(publisher, &entry->state->records[i]);

                        if (!address.family)
                                continue;
                        k = move_pointer(upstream, &address, &pointers[i], &pointer);
                        r = k < 0 ? k : r;
                }
                /* Without memory the plan cannot be told; the next reconciliation looks at everything. */
                if (r < 0 || (n > 0 && !pointers))
                        (void) publisher_reconcile(publisher, publisher->registry);
        }
}

void publisher_before_change(struct publisher *publisher, struct name_entry *entry,
                             const struct name_state *after)
{
        if (!publisher->move)
                return;
        if (entry)
                move_entry(publisher, entry);
        for (unsigned i = 0; i < after->n_records; i++) {
                struct address address = record_address(&after->records[i]);
                struct name_entry *owner = address.family ? registry_ptr_owner(publisher->registry, &address)
                                                          : NULL;

                if (owner)
                        move_entry(publisher, owner);
        }
}

/* --- all of them --- */

static bool has_room(const struct publisher *publisher)
{
        const struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                if (plan_pending(upstream->plan) >= BACKLOG_MAX && !upstream->plan->loading &&
                    upstream->state != UPSTREAM_LEFT_OVER)
                        return false;
        return true;
}

static void move_end(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                upstream->relook = false;
                if (upstream->plan->loading)
                        plan_load_done(upstream->plan, upstream_now());
        }
        move_free(publisher);
        publisher_pump(publisher);
        publisher->ops->moved(publisher->userdata);
}

static int on_move(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct publisher *publisher = userdata;
        struct publisher_move *move = publisher->move;

        /* Where one server takes no more, what it has yet to take is not lost: the entry is moved, later. */
        for (unsigned n = 0; move->zone && n < NAMES_PER_TURN && has_room(publisher); n++) {
                struct name_entry *entry = registry_after(move->zone, move->label);

                if (!entry) {
                        move->zone = move->zone->next;
                        move->label[0] = '\0';
                        continue;
                }
                move_entry(publisher, entry);
                snprintf(move->label, sizeof(move->label), "%s", entry->label);
        }
        publisher_pump(publisher);
        if (move->zone)
                background_source_wake(source);
        else
                move_end(publisher);
        return 0;
}

int move_prepare(struct publisher *publisher, struct publisher_move **ret)
{
        struct publisher_move *move = calloc(1, sizeof(*move));
        int r;

        if (!move)
                return -ENOMEM;
        move->publisher = publisher;
        for (struct registry_zone *zone = publisher->registry->zones; zone; zone = zone->next) {
                struct move_zone *moved = calloc(1, sizeof(*moved));

                if (!moved) {
                        move_unprepare(move);
                        return -ENOMEM;
                }
                *moved = (struct move_zone){ .next = move->zones, .zone = zone };
                move->zones = moved;
        }
        r = background_source_new(publisher->event, on_move, publisher, &move->source);
        if (r < 0) {
                move_unprepare(move);
                return r;
        }
        *ret = move;
        return 0;
}

void move_unprepare(struct publisher_move *move)
{
        if (!move)
                return;
        while (move->zones) {
                struct move_zone *moved = move->zones;

                move->zones = moved->next;
                attachment_free_all(moved->before);
                free(moved);
        }
        sd_event_source_disable_unref(move->source);
        free(move);
}

void move_begin(struct publisher *publisher, struct publisher_move *move)
{
        for (struct move_zone *moved = move->zones; moved; moved = moved->next) {
                moved->before = moved->zone->userdata;
                moved->zone->userdata = NULL;
        }
        publisher->registry->epoch++;
        publisher->move = move;
        move->zone = publisher->registry->zones;
        background_source_wake(move->source);
}

void move_free(struct publisher *publisher)
{
        move_unprepare(publisher->move);
        publisher->move = NULL;
}

void publisher_forget_zone(struct publisher *publisher, struct registry_zone *zone)
{
        assert(!publisher->move);
        zone->userdata = attachment_free_all(zone->userdata);
}
