/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The domain of the registrar: zones, the names in them, who owns each, until when. Pure: no I/O, no event
 * loop, no clock of its own; time is an argument. Main thread only. */

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "registry/decision.h"
#include "registry/policy.h"
#include "registry/state.h"
#include "registry/update.h"
#include "util/heap.h"

struct registry_time {
        usec_t lease_usec; /* lease clock, see state.h */
        usec_t real_usec;  /* CLOCK_REALTIME */
};

struct registry_zone;

struct name_entry {
        RB_ENTRY(name_entry) by_label;
        struct registry_zone *zone;
        struct name_state *state; /* never NULL */
        struct heap_node deadline;
        uint32_t generation; /* how often a state was installed: who judges later sees whether it is the same
                              */
        uint32_t epoch;      /* registry's when it was last published; the publisher's */
        char label[];        /* lower case, NUL-terminated */
};

/* What does not end although its time is over, because nobody could refresh it in time; lease clock, 0 holds
 * nothing. Whoever starts the day decides (store/lease-clock.h). */
struct registry_hold {
        usec_t records_until_usec; /* no record ends before this */
        usec_t keys_before_usec;   /* key leases with an end before this ... */
        usec_t keys_until_usec;    /* ... do not end before that */
};

RB_HEAD(name_tree, name_entry);
RB_HEAD(record_tree, record);

struct registry_zone {
        struct registry *registry;
        const struct zone_policy *policy; /* owned by the configuration */
        struct name_tree names;
        uint32_t n_entries; /* claimed or not */
        uint32_t n_names;   /* claimed */
        uint32_t n_records;
        uint32_t n_pending;   /* first claims on their way to the disk */
        bool hidden;          /* comes or goes: none of its records has a right to a PTR */
        usec_t imported_usec; /* real time: its names were taken over from another registrar then; 0: never */
        struct registry_zone *next;
        void *userdata; /* of who joins the floors */
};

struct registry {
        struct registry_zone *zones;
        struct heap deadlines;
        uint32_t n_entries;           /* of all zones: each has room among the deadlines */
        struct record_tree addresses; /* of all zones: (address, right to its PTR, age of the claim) */
        uint64_t n_names;
        uint32_t epoch; /* moves when what is published of a name moves without the name; new entries have it
                         */
        struct registry_hold hold;
};

struct registry *registry_new(void);
struct registry *registry_free(struct registry *registry);
DEFINE_CLEANUP(struct registry *, registry_free)

/* "policy" must outlive the zone. NULL when memory is out. */
struct registry_zone *registry_add_zone(struct registry *registry, const struct zone_policy *policy);
/* Forgets the zone and its names, here only. */
void registry_remove_zone(struct registry_zone *zone);
/* The zone of exactly this name, or NULL. */
struct registry_zone *registry_find_zone(const struct registry *registry, const struct dns_name *name);
/* The innermost zone that name is in or below, or NULL. */
struct registry_zone *registry_find_zone_of(const struct registry *registry, const struct dns_name *name);

struct name_entry *registry_find(const struct registry_zone *zone, const struct dns_name *name);
/* The host that the name is, or is below of, and its own name. */
struct name_entry *registry_find_host(const struct registry_zone *zone, const struct dns_name *name,
                                      struct dns_name *ret_host);
struct name_entry *registry_find_label(const struct registry_zone *zone, const char *label);
/* The one behind it in the same zone, or NULL. */
struct name_entry *registry_next(struct name_entry *entry);
/* First entry whose label is greater ("" = the first), for paging. */
struct name_entry *registry_after(const struct registry_zone *zone, const char *label);
struct dns_name name_entry_name(const struct name_entry *entry);

/* Checks 7 and 8 of the order of checks: before the signature, and once more when state may have changed. */
enum admission {
        ADMISSION_REFUSED, /* decision is filled in */
        ADMISSION_NEW,
        ADMISSION_DUPLICATE, /* the request accepted last, again: it waits for the same and gets the same */
};
enum admission registry_admit(const struct registry_zone *zone, const struct update *update,
                              const struct registry_time *now, struct decision *decision);

/* What a request is granted: the same for a duplicate, whatever happened since. */
struct grant {
        uint32_t record_lease_sec; /* the shortest of all, 0 without additions */
        uint32_t key_lease_sec;
};
uint32_t registry_grant_record(const struct zone_policy *policy, const struct update *update,
                               uint32_t ttl_sec);
/* "state" is what the update made of the name, or NULL before that is known: what is told is what is kept. */
struct grant registry_grant(const struct registry_zone *zone, const struct update *update,
                            const struct name_state *state);

/* Marks the additions of which something is left in this state (may be NULL: nothing). */
void registry_note_standing(struct update *update, const struct name_state *state);

/* Check 11: what the update makes of the name. */
enum application {
        APPLICATION_REFUSED, /* decision is filled in */
        APPLICATION_NOTHING, /* nothing is there and nothing was asked for: NOERROR */
        APPLICATION_REFRESH, /* only ends move: *ret_after, for registry_refresh(), nothing to be stored */
        APPLICATION_CHANGE,  /* *ret_after, to be stored, then installed */
};
enum application registry_apply(const struct registry_zone *zone, const struct update *update,
                                const struct registry_time *now, struct name_state **ret_after,
                                struct decision *decision);

/* A pure refresh, in memory: takes over what registry_apply() made of the ends of this name, and its replay
 * memory. "after" is the caller's. The state that is installed must be the one that it was made from. */
void registry_refresh(struct registry_zone *zone, const struct dns_name *name, struct name_state *after);

/* The PTR records that follow from an installation. A zone of NULL: nobody has the address (any more). */
struct ptr_change {
        struct address address;
        struct registry_zone *zone_before, *zone_after;
        struct dns_name before, after;
};

struct effects {
        struct ptr_change *ptrs; /* owned; free() */
        unsigned n_ptrs;
};

/* Replaces the state of a name; takes "after" on success. An empty state removes the entry. Both "*ret_old"
 * (the state it had, to be freed; may be NULL: there was none) and effects are the caller's. 0 or -ENOMEM. */
int registry_install(struct registry_zone *zone, const char *label, struct name_state *after,
                     struct effects *ret_effects, struct name_state **ret_old);

/* A name that is not there yet, as it was stored; nobody is told what follows from it. Takes the state on
 * success. 0 or -ENOMEM. */
int registry_load(struct registry_zone *zone, const char *label, struct name_state *state);

/* What claim a record has to its address' PTR. Where the zone has no reverse zone for it, none. */
enum pointer_right {
        POINTER_PROVEN,  /* the claim was made from that very address */
        POINTER_ALLOWED, /* the zone's ptr-policy grants it: the oldest has it */
        POINTER_NONE,
};

/* Who gets the PTR of an address, or NULL: the first in order of right, at any number of claims. */
struct name_entry *registry_ptr_owner(const struct registry *registry, const struct address *address);

/* The zone's policy is another one: the records of this entry stand where it says they do. */
void registry_reindex(struct name_entry *entry);

/* Is what a DNS server has at this name left to its owner, though it was not published from here: for names
 * that were owned before, up to the zone's date, and for as long as an imported name may live unheard of. */
bool registry_adopts(const struct name_entry *entry, usec_t real_usec);

/* Is any address of this prefix registered. */
bool registry_has_address_in(const struct registry *registry, const struct prefix *prefix);

/* From now on this is held: as long as what was held before, or longer. */
void registry_hold(struct registry *registry, const struct registry_hold *hold);
/* Time off that is counted late: what was granted at this name before "since_usec" (lease clock) ends so much
 * earlier. True if anything moved. */
bool registry_take_time_off(struct name_entry *entry, usec_t since_usec, usec_t off_usec);

/* The earliest end of anything, USEC_INFINITY if there is none. */
usec_t registry_next_deadline(const struct registry *registry);
/* An entry at which something has ended, or NULL (the next deadline may be over all the same, then it is held
 * and the next call goes on). It is to be changed to what registry_expire() gives, or put off with
 * registry_postpone(), before the next call. */
struct name_entry *registry_next_due(struct registry *registry, usec_t lease_usec);
struct name_state *registry_expire(const struct name_entry *entry, const struct registry_time *now);
/* Makes the name free in this state: replay memory stays as long as any accepted request could be replayed.
 */
void registry_free_name(struct name_state *state, const struct registry_time *now);
void registry_postpone(struct registry *registry, struct name_entry *entry, usec_t until_usec);
/* Has anything ended at this name. */
bool registry_is_due(const struct name_entry *entry, usec_t lease_usec);
/* Looked at again when the next thing ends, however long it was put off. */
void registry_reschedule(struct name_entry *entry);
