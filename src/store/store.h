/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The durable registrations: SQLite on a thread of its own. The loop never waits for a disk: it appends
 * changes as values, the thread takes all that have collected into one transaction while the next collect,
 * and completions come back through an eventfd. The order of appending is the order on the disk and the order
 * of completions. Appending fails for lack of memory only, whatever state the event loop is in.
 *
 * Whoever appends with a waiter learns how it ended; error: nothing of it is stored, and nobody tries again.
 * Clearing the waiter takes nothing back. What is appended without a waiter the store itself tries until it
 * is on the disk, ahead of everything that came later.
 *
 * Pure refreshes are not stored one by one. What stands for them is the heartbeat, which covers some time
 * ahead, and a stamp of the last refresh in memory that outlives the process: after a crash no lease ends
 * before it was granted to. Their ends are written along with the heartbeat bit by bit (write-back.h), and
 * all that are left at a clean stop. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "registry/state.h"
#include "registry/unit-row.h"
#include "store/ends.h"
#include "store/lease-clock.h"
#include "store/page.h"
#include "util/waiter.h"

struct store;

/* Opens or makes "directory"/registry.db, exclusively; one of an earlier version is brought up to date. 0 or
 * -errno: -EBUSY (another process has it), -EBADMSG (corrupt), -EPROTONOSUPPORT (made by a newer version),
 * -ENODATA (this machine's boot id is not known), -EIO, ...; "*why" is owned by the caller. It is never
 * overwritten. "runtime_directory" (may be NULL: "directory") is where the stamp is; it should be in memory.
 */
int store_open(sd_event *event, const char *directory, const char *runtime_directory, struct store **ret,
               char **why);
/* Waits for the transaction that is under way, then closes; tells nobody. What is still in the queue is lost,
 * as in a crash: nobody was told that it is stored. Whoever wants it on the disk waits for it, with
 * store_stop() or store_drain(). Where the disk may be dead, _exit() instead. */
struct store *store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free)

/* True when the database was made by this store_open(). */
bool store_is_new(const struct store *store);
const struct lease_clock *store_clock(const struct store *store);
/* Time off that begins to count now (lease_clock_time_off()), for what was granted before "*ret_since_usec".
 */
usec_t store_take_time_off(struct store *store, const struct lease_clock_now *now, usec_t *ret_since_usec);
/* The lease clock, now. */
usec_t store_lease_now(const struct store *store);
/* Who is held must be held behind a crash of this run, too. */
void store_hold(struct store *store, const struct registry_hold *hold);

/* --- reading: before store_start(), or behind a store_drain() that succeeded --- */

int store_load_names(struct store *store, const struct store_loader *loader, void *userdata, char **why);
int store_load_units(struct store *store, const struct store_loader *loader, void *userdata, char **why);
/* Of which upstreams and zones there are rows. */
int store_load_places(struct store *store, const struct store_loader *loader, void *userdata, char **why);
int store_load_serials(struct store *store, const struct store_loader *loader, void *userdata, char **why);
int store_load_imports(struct store *store, const struct store_loader *loader, void *userdata, char **why);
/* All rows of one upstream are another's, durably; before store_start(). 0 or -errno. */
int store_inherit_units(struct store *store, const char *from, const char *to);

/* Says durably that this run is not over yet, and starts the thread; once. Before anything is granted. 0 or
 * -errno. */
int store_start(struct store *store);

/* --- changes: all are copied; 0 or -ENOMEM --- */

/* Gives the state its generation. An empty state deletes the name. */
int store_put_name(struct store *store, const struct dns_name *zone, const char *label,
                   struct name_state *state, struct waiter *waiter, waiter_done done);
int store_put_unit(struct store *store, const struct unit_row *row, struct waiter *waiter, waiter_done done);
int store_delete_unit(struct store *store, const struct unit_row *key, struct waiter *waiter,
                      waiter_done done);
/* All rows of one upstream are another's from now on; "to" NULL: they are forgotten. */
int store_move_units(struct store *store, const char *from, const char *to, struct waiter *waiter,
                     waiter_done done);
int store_put_serial(struct store *store, const struct dns_name *zone, uint32_t serial, struct waiter *waiter,
                     waiter_done done);

/* Ends of many names of one zone. They come to nothing for a name whose stored state is another one. */
struct moved_slice {
        unsigned n_references;
        struct dns_name zone;
        unsigned n, n_allocated;
        struct moved_ends **ends; /* owned */
};
struct moved_slice *moved_slice_new(const struct dns_name *zone);
struct moved_slice *moved_slice_ref(struct moved_slice *slice);
struct moved_slice *moved_slice_free(struct moved_slice *slice); /* drops one reference */
DEFINE_CLEANUP(struct moved_slice *, moved_slice_free)
int moved_slice_add(struct moved_slice *slice, const char *label, const struct name_state *state);
/* Takes a reference; the slice is not to be changed any more. */
int store_move_ends(struct store *store, struct moved_slice *slice, struct waiter *waiter, waiter_done done);

/* Names of one zone and the mark that its key file was imported: all or nothing. */
struct store_import;
struct store_import *store_import_new(struct store *store, const struct dns_name *zone);
struct store_import *store_import_free(struct store_import *import);
DEFINE_CLEANUP(struct store_import *, store_import_free)
/* Gives the state its generation. 0 or -ENOMEM. */
int store_import_add(struct store_import *import, const char *label, struct name_state *state);
/* Takes the import, also on failure. "imported_usec" is real time, 0: the mark alone, nothing was imported,
 * which does not undo that something was. */
int store_put_import(struct store_import *import, usec_t imported_usec, struct waiter *waiter,
                     waiter_done done);

/* --- reading while everything runs: page.h --- */

/* The thread reads behind everything appended so far; told when the names are there. */
int store_read_page(struct store *store, struct store_page *page, waiter_done done);
/* Names that were not taken are freed. Not while it is waiting: clear the waiter first. */
void store_page_clear(struct store_page *page);

/* The same for units of one upstream. */
int store_read_units(struct store *store, struct store_units *page, waiter_done done);
void store_units_clear(struct store_units *page);

/* --- refreshes --- */

/* A lease was refreshed in memory. Cheap: it writes a word that outlives the process, and every few seconds
 * lets a heartbeat be written that covers the next ones. */
void store_note_refresh(struct store *store);
/* Would a refresh now survive a power cut, too? 1: it is covered by a heartbeat that is on the disk, and the
 * waiter waits for nothing. 0: told when it is. -ENOMEM. Only the first refresh after a quiet minute, or
 * while the disk fails, has to wait. */
int store_cover_refresh(struct store *store, struct waiter *waiter, waiter_done done);
/* Called when a heartbeat is about to be written: what is appended then goes along with it. */
typedef void (*store_heartbeat)(void *userdata);
void store_set_heartbeat(struct store *store, store_heartbeat heartbeat, void *userdata);

/* --- a damaged database --- */

/* Appends what is in memory, a part of it with each call: the names, without waiters. "begin": from
 * the beginning. 1: there is more; 0: that was all; -errno. Called when the database turns out to be damaged
 * while everything runs; a fresh one is written from it, and changes wait until it has taken the other's
 * place. Without it every change fails from then on. */
typedef int (*store_memory)(void *userdata, bool begin);
void store_set_memory(struct store *store, store_memory memory, void *userdata);

/* --- the end --- */

/* The last transaction: everything before it is on the disk and nothing has to be lengthened. Whatever is
 * appended behind it takes that back. The caller has had the ends written first (write_back_flush()). */
int store_stop(struct store *store, struct waiter *waiter, waiter_done done);
/* Waits until everything appended is on the disk, and tells all waiters. 0, or -errno of the first
 * transaction that failed: what had no waiter stays to be tried again. */
int store_drain(struct store *store);

struct store_statistics {
        uint64_t transactions;
        uint64_t changes;
        uint64_t failures;
        uint64_t pending;
        uint64_t rebuilt;        /* a damaged database was replaced so often */
        uint64_t retried;        /* changes that were or will be tried again */
        usec_t last_commit_usec; /* how long it took */
        usec_t failing_usec;     /* CLOCK_MONOTONIC: since when no transaction succeeded; 0: none failed */
        int last_error;          /* -errno, while failing */
        int checkpoint_error;    /* -errno: the log could not be written into the file, it goes on growing */
};
void store_statistics(const struct store *store, struct store_statistics *ret);
