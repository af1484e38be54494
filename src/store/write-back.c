/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>

#include "store/write-back.h"

/* Of the log, with each heartbeat. */
#define PORTION_OCTETS (256 * 1024)
/* What one changed page costs there, and what of a page rows fill, roughly: ends of neighbours share one. */
#define PAGE_COST   (4096 + 24)
#define PAGE_FILLED 2700
/* Around a page's rows: the pages above it. */
#define PORTION_PAGES (PORTION_OCTETS / PAGE_COST - 4)
/* Names that are looked at in one turn of the loop: some milliseconds at a million names. */
#define LOOKED_AT_MAX 4000

#define PORTION_ROWS 2000

#define SLICE_MAX 1000
/* Slices on their way to the disk while flushing: one is written, one told, two are ready. */
#define FLUSH_DEPTH 4

struct portion {
        LIST_ENTRY(portion) portions;
        struct write_back *back;
        struct waiter waiter;
        struct moved_slice *slice;
};

struct write_back {
        struct store *store;
        struct registry *registry;
        usec_t round_usec;
        usec_t round_begin_usec; /* CLOCK_MONOTONIC; 0: none yet */
        bool in_round;
        /* How far the round, or the flush, has come. A name that is gone meanwhile is found by its place. */
        struct dns_name zone;
        char label[DNS_LABEL_MAX + 1];
        struct dns_name memory_zone; /* the same for a database that is written anew */
        char memory_label[DNS_LABEL_MAX + 1];
        LIST_HEAD(, portion) portions;
        unsigned n_portions;
        bool flushing;
        bool flush_done; /* all were looked at */
        int flush_error;
        struct waiter *flush_waiter;
        uint64_t flush_seen;
        struct write_back_statistics statistics;
};

static void flush_more(struct write_back *back);

/* --- what becomes of a slice --- */

static struct portion *portion_free(struct portion *portion)
{
        if (!portion)
                return NULL;
        waiter_clear(&portion->waiter);
        if (portion->back) {
                LIST_REMOVE(portion, portions);
                portion->back->n_portions--;
        }
        moved_slice_free(portion->slice);
        free(portion);
        return NULL;
}
DEFINE_CLEANUP(struct portion *, portion_free)

static void note_stored(struct write_back *back, const struct moved_slice *slice)
{
        struct registry_zone *zone = registry_find_zone(back->registry, &slice->zone);

        for (unsigned i = 0; zone && i < slice->n; i++) {
                const struct moved_ends *ends = slice->ends[i];
                struct name_entry *entry = registry_find_label(zone, ends->label);

                /* Another state was stored with the ends as they were then. */
                if (entry && entry->state->generation == ends->generation)
                        entry->state->moves_stored = ends->moves;
        }
}

static void on_written(struct waiter *waiter, int error)
{
        struct portion *portion = container_of(waiter, struct portion, waiter);
        struct write_back *back = portion->back;

        if (error >= 0) {
                back->statistics.written += portion->slice->n;
                note_stored(back, portion->slice);
        } else {
                /* The marks stay: a later round writes them, or nobody claims a clean end. */
                back->statistics.failed += portion->slice->n;
                back->flush_error = back->flush_error ?: error;
        }
        portion_free(portion);
        if (back->flushing)
                flush_more(back);
}

static struct portion *portion_new(const struct dns_name *zone)
{
        _cleanup_(portion_freep) struct portion *portion = calloc(1, sizeof(*portion));

        if (!portion)
                return NULL;
        portion->slice = moved_slice_new(zone);
        return portion->slice ? TAKE_PTR(portion) : NULL;
}

/* Takes the portion. 0 or -ENOMEM. */
static int portion_send(struct write_back *back, struct portion *portion)
{
        _cleanup_(portion_freep) struct portion *owned = portion;
        int r;

        if (portion->slice->n == 0)
                return 0;
        r = store_move_ends(back->store, portion->slice, &portion->waiter, on_written);
        if (r < 0)
                return r;
        portion->back = back;
        LIST_INSERT_HEAD(&back->portions, portion, portions);
        back->n_portions++;
        owned = NULL;
        return 0;
}

/* --- walking --- */

/* Zones have no order among themselves but that of the list; one that is gone ends the walk of this round. */
static struct registry_zone *current_zone(struct write_back *back)
{
        return back->zone.length > 0 ? registry_find_zone(back->registry, &back->zone)
                                     : back->registry->zones;
}

static void go_to(struct write_back *back, const struct registry_zone *zone, const char *label)
{
        back->zone = zone->policy->zone;
        strcpy(back->label, label);
}

static void go_to_begin(struct write_back *back)
{
        back->zone.length = 0;
        back->label[0] = '\0';
}

/* Roughly what the ends of a name take in the table. */
static unsigned stored_size(const struct name_state *state)
{
        return 60U + state->n_hashes * REPLAY_HASH_SIZE + state->n_records * STORED_LEASE_SIZE;
}

struct budget {
        unsigned names;     /* to be looked at */
        unsigned pages;     /* to be changed */
        unsigned rows;      /* to be written */
        uint64_t octets;    /* of the table, walked over */
        uint64_t last_page; /* the last one that is changed already */
};

/* What moved in one zone, as far as the budget goes. True: the zone is done. */
static int collect(struct write_back *back, struct registry_zone *zone, struct budget *budget, bool *ret_done)
{
        _cleanup_(portion_freep) struct portion *portion = portion_new(&zone->policy->zone);
        struct name_entry *entry = registry_after(zone, back->label);
        int r;

        *ret_done = false;
        if (!portion)
                return -ENOMEM;
        for (; entry && budget->names > 0; entry = registry_next(entry), budget->names--) {
                budget->octets += stored_size(entry->state);
                if (name_state_is_moved(entry->state) && entry->state->generation > 0) {
                        uint64_t page = budget->octets / PAGE_FILLED + 1;

                        if (page != budget->last_page && budget->pages == 0)
                                break;
                        if (portion->slice->n == budget->rows)
                                break;
                        r = moved_slice_add(portion->slice, entry->label, entry->state);
                        if (r < 0)
                                return r;
                        budget->pages -= page != budget->last_page;
                        budget->last_page = page;
                }
                go_to(back, zone, entry->label);
                back->flush_seen++;
        }
        *ret_done = !entry;
        budget->rows -= MIN(budget->rows, portion->slice->n);
        return portion_send(back, TAKE_PTR(portion));
}

/* 1: there is nothing more to be looked at; 0: the budget is spent; -ENOMEM: what was not sent is found
 * again.
 */
static int walk(struct write_back *back, struct budget *budget)
{
        struct registry_zone *zone = current_zone(back);
        bool done;
        int r;

        while (zone) {
                char label[DNS_LABEL_MAX + 1];

                strcpy(label, back->label);
                r = collect(back, zone, budget, &done);
                if (r < 0) {
                        go_to(back, zone, label);
                        return r;
                }
                if (!done)
                        return 0;
                zone = zone->next;
                if (!zone)
                        break;
                go_to(back, zone, "");
                if (budget->names == 0 || budget->rows == 0 || budget->pages == 0)
                        return 0;
                budget->last_page = 0;
        }
        return 1;
}

/* --- along with the heartbeat --- */

static void on_heartbeat(void *userdata)
{
        struct budget budget = { .names = LOOKED_AT_MAX, .pages = PORTION_PAGES, .rows = PORTION_ROWS };
        struct write_back *back = userdata;
        usec_t now = now_usec(CLOCK_MONOTONIC);

        /* One portion at a time: a slow disk has enough to do. */
        if (back->flushing || back->n_portions > 0)
                return;
        if (!back->in_round) {
                if (back->round_begin_usec > 0 && now - back->round_begin_usec < back->round_usec)
                        return;
                back->in_round = true;
                back->round_begin_usec = now;
                go_to_begin(back);
        }
        if (walk(back, &budget) > 0) {
                back->in_round = false;
                back->statistics.rounds++;
        }
}

/* --- a damaged database --- */

static int on_memory(void *userdata, bool begin)
{
        struct write_back *back = userdata;
        struct registry_zone *zone;
        int r;

        if (begin) {
                back->memory_zone.length = 0;
                back->memory_label[0] = '\0';
        }
        zone = back->memory_zone.length > 0 ? registry_find_zone(back->registry, &back->memory_zone)
                                            : back->registry->zones;
        for (unsigned i = 0; zone && i < SLICE_MAX; i++) {
                struct name_entry *entry = registry_after(zone, back->memory_label);

                back->memory_zone = zone->policy->zone;
                if (entry) {
                        r = store_put_name(back->store, &back->memory_zone, entry->label, entry->state, NULL,
                                           NULL);
                        if (r < 0)
                                return r;
                        strcpy(back->memory_label, entry->label);
                        continue;
                }
                back->memory_label[0] = '\0';
                zone = zone->next;
                if (zone)
                        back->memory_zone = zone->policy->zone;
        }
        return zone != NULL;
}

/* --- a zone that goes --- */

int write_back_zone(struct write_back *back, struct registry_zone *zone)
{
        struct name_entry *entry = registry_after(zone, "");
        int r = 0;

        while (entry && r >= 0) {
                _cleanup_(moved_slice_freep) struct moved_slice *slice = moved_slice_new(&zone->policy->zone);

                if (!slice)
                        return -ENOMEM;
                for (; entry && slice->n < SLICE_MAX && r >= 0; entry = registry_next(entry))
                        if (name_state_is_moved(entry->state) && entry->state->generation > 0)
                                r = moved_slice_add(slice, entry->label, entry->state);
                if (r >= 0 && slice->n > 0)
                        r = store_move_ends(back->store, slice, NULL, NULL);
        }
        return r;
}

/* --- at the stop --- */

static void flush_more(struct write_back *back)
{
        while (!back->flush_done && back->flush_error >= 0 && back->n_portions < FLUSH_DEPTH) {
                struct budget budget = { .names = LOOKED_AT_MAX, .pages = UINT32_MAX, .rows = SLICE_MAX };
                int r = walk(back, &budget);

                if (r < 0)
                        back->flush_error = r;
                back->flush_done = r > 0;
        }
        if (back->n_portions > 0 || (!back->flush_done && back->flush_error >= 0))
                return;
        back->flushing = false;
        waiter_tell(&back->flush_waiter, back->flush_error);
}

static void on_flush_begun(struct waiter *waiter, int error)
{
        struct portion *portion = container_of(waiter, struct portion, waiter);
        struct write_back *back = portion->back;

        portion_free(portion);
        back->flush_error = back->flush_error ?: error;
        flush_more(back);
}

int write_back_flush(struct write_back *back, struct waiter *waiter, waiter_done done)
{
        /* The first one is empty: it is told from the loop, so that the rest need not be written at once. */
        _cleanup_(portion_freep) struct portion *first = portion_new(&(struct dns_name){});
        int r;

        assert(!back->flushing);
        if (!first)
                return -ENOMEM;
        r = store_move_ends(back->store, first->slice, &first->waiter, on_flush_begun);
        if (r < 0)
                return r;
        first->back = back;
        LIST_INSERT_HEAD(&back->portions, first, portions);
        back->n_portions++;
        first = NULL;
        waiter_attach(waiter, &back->flush_waiter, done);
        back->flushing = true;
        back->flush_done = back->in_round = false;
        back->flush_error = 0;
        back->flush_seen = 0;
        go_to_begin(back);
        return 0;
}

/* --- life --- */

struct write_back *write_back_new(struct store *store, struct registry *registry, usec_t round_usec)
{
        struct write_back *back = calloc(1, sizeof(*back));

        if (!back)
                return NULL;
        back->store = store;
        back->registry = registry;
        back->round_usec = round_usec;
        LIST_INIT(&back->portions);
        store_set_heartbeat(store, on_heartbeat, back);
        store_set_memory(store, on_memory, back);
        return back;
}

struct write_back *write_back_free(struct write_back *back)
{
        struct portion *portion;

        if (!back)
                return NULL;
        while ((portion = LIST_FIRST(&back->portions)))
                portion_free(portion);
        if (back->flush_waiter)
                waiter_clear(back->flush_waiter);
        store_set_heartbeat(back->store, NULL, NULL);
        store_set_memory(back->store, NULL, NULL);
        free(back);
        return NULL;
}

void write_back_statistics(const struct write_back *back, struct write_back_statistics *ret)
{
        *ret = back->statistics;
        if (back->flushing)
                ret->flush_left = usec_sub(back->registry->n_names, back->flush_seen);
}
