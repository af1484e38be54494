/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The durable registrations: SQLite on a thread of its own. The loop never waits for a disk: it hands over
 * changes as values, the thread takes all that have collected into one transaction while the next collect,
 * and completions come back through an eventfd, in order. A transaction that fails is dropped whole.
 *
 * Pure refreshes are not stored. What stands for them is the heartbeat, and a stamp of the last refresh in
 * memory that outlives the process: after a crash no lease ends before it was granted to. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "registry/plan.h"
#include "registry/state.h"
#include "store/lease-clock.h"

struct store;

/* error 0 or -errno (-ENOSPC, -EIO): nothing of this change is stored. */
typedef void (*store_done)(void *userdata, int error);

/* Opens or makes "directory"/registry.db, exclusively. 0 or -errno: -EBUSY (another process has it), -EBADMSG
 * (corrupt), -EPROTONOSUPPORT (made by a newer version), -EIO, ...; "*why" is owned by the caller. It is
 * never overwritten. "runtime_directory" (may be NULL: "directory") is where the stamp is; it should be in
 * memory. */
int store_open(sd_event *event, const char *directory, const char *runtime_directory, struct store **ret,
               char **why);
/* Waits for what is under way, then closes. Completions that were not told yet are not told. */
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

/* Reading, before store_start(). A negative return of a callback ends it and is returned. */
struct store_loader {
        /* "state" is the callee's. Its leases are already lengthened as a crash demands. */
        int (*name)(void *userdata, const struct dns_name *zone, const char *label, struct name_state *state);
        int (*unit)(void *userdata, const char *upstream, enum unit_kind kind, const struct dns_name *owner,
                    enum row_state row, const struct rrset *set);
        int (*serial)(void *userdata, const struct dns_name *zone, uint32_t serial);
};
int store_load_names(struct store *store, const struct store_loader *loader, void *userdata, char **why);
int store_load_units(struct store *store, const struct store_loader *loader, void *userdata, char **why);
int store_load_serials(struct store *store, const struct store_loader *loader, void *userdata, char **why);

/* Starts the thread. 0 or -errno. */
int store_start(struct store *store);

/* Changes; all are copied. An empty state deletes the name. "done" may be NULL. 0 or -ENOMEM. */
int store_put_name(struct store *store, const struct dns_name *zone, const char *label,
                   const struct name_state *state, store_done done, void *userdata);
int store_put_unit(struct store *store, const char *upstream, enum unit_kind kind,
                   const struct dns_name *owner, enum row_state row, const struct rrset *set, store_done done,
                   void *userdata);
int store_delete_unit(struct store *store, const char *upstream, enum unit_kind kind,
                      const struct dns_name *owner);
int store_put_serial(struct store *store, const struct dns_name *zone, uint32_t serial);

/* A lease was refreshed in memory. Cheap: it writes a word that outlives the process, and every few seconds
 * lets a heartbeat be written that covers the next ones. */
void store_note_refresh(struct store *store);
/* Waits until everything handed over so far is on the disk, tells all completions, and ends the thread: the
 * database may be read again, then store_start()ed. 0, or -errno of the last failure. */
int store_pause(struct store *store);
/* The heartbeat of the clean stop: behind it, nothing is written. Waits until all is on the disk. 0 or
 * -errno. */
int store_stop(struct store *store);

struct store_statistics {
        uint64_t transactions;
        uint64_t changes;
        uint64_t failures;
        uint64_t pending;
        usec_t last_commit_usec; /* how long it took */
};
void store_statistics(const struct store *store, struct store_statistics *ret);
