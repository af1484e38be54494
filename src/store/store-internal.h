/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Among the files of the store. store.c: opening, reading, the end. store-change.c: changes as values.
 * store-queue.c: from the loop to the thread and back. store-thread.c: the thread. */

#include <bsd/sys/queue.h>
#include <pthread.h>

#include "store/database.h"
#include "store/store.h"

/* More than this in one transaction gains nothing and keeps the first one waiting. */
#define BATCH_MAX 2000

enum job_kind {
        JOB_PUT_NAME,
        JOB_PUT_UNIT,
        JOB_DELETE_UNIT,
        JOB_MOVE_UNITS, /* unit: from the upstream to the one that stands for the values; none: forgotten */
        JOB_PUT_SERIAL,
        JOB_MOVE_ENDS,
        JOB_IMPORT,
        JOB_READ_PAGE, /* behind the transaction */
        JOB_READ_UNITS,
        JOB_HEARTBEAT, /* every transaction writes one; this one covers what is to come */
        JOB_STOP,      /* a clean one, in a transaction of its own */
        JOB_REBUILD_BEGIN,
        JOB_REBUILD_END,
};

/* A change as a value. The loop makes it, the thread reads it, the loop completes and frees it. */
struct job {
        STAILQ_ENTRY(job) next;
        enum job_kind kind;
        bool kept; /* nobody waits: tried until it is on the disk */
        struct waiter *waiter;
        int error;
        unsigned weight; /* rows, roughly */
        struct dns_name zone;
        char label[DNS_LABEL_MAX + 1];
        struct name_state *state;
        struct stored_unit unit; /* to be written, or behind which is read */
        uint32_t serial;
        struct moved_slice *slice; /* a reference */
        struct store_import *import;
        struct store_page *page; /* the store's own, handed over when told */
        struct store_units *units;
};
STAILQ_HEAD(job_list, job);

struct imported_name {
        STAILQ_ENTRY(imported_name) next;
        struct name_state *state;
        char label[];
};

struct store_import {
        struct store *store;
        struct dns_name zone;
        usec_t imported_usec;
        unsigned n;
        STAILQ_HEAD(, imported_name) names;
};

/* What outlives a killed process without costing a disk: one page in a file, best in memory. */
struct stamp {
        sd_id128_t run_id;
        sd_id128_t boot_id;
        usec_t lease_usec;                        /* of the last refresh */
        usec_t held_before_usec, held_until_usec; /* see struct registry_hold: keys; 0 */
};

enum rebuild_state {
        REBUILD_NOT,
        REBUILD_BEGINNING, /* a fresh database is opened */
        REBUILD_WRITING,   /* memory goes into it */
        REBUILD_ENDING,    /* it takes the damaged one's place */
};

struct store {
        sd_event *event;
        struct database database; /* the thread's, once started, while it is not idle */
        struct database fresh;    /* the thread's: what takes its place, while rebuilding */
        struct lease_clock clock;
        sd_id128_t run_id;
        sd_id128_t boot_id;
        struct lengthening lengthening; /* of what was stored by the run before */
        uint64_t generation;            /* the last one given */
        struct stamp *stamp;

        /* The loop's. */
        struct job_list queue;
        unsigned n_eager; /* of them, that somebody waits for */
        sd_event_source *submit_source;
        sd_event_source *done_source;
        sd_event_source *retry_source;
        bool in_flight;
        bool ended; /* the last transaction on the disk is the clean end */
        bool backing_off;
        usec_t backoff_usec;
        usec_t cover_usec;     /* refreshed_usec of the newest heartbeat made */
        usec_t covered_usec;   /* of the newest one that is on the disk */
        bool heartbeat_queued; /* one that nobody waits for */
        enum rebuild_state rebuild;
        struct job_list rebuild_queue; /* what is to be written first, while rebuilding */
        bool memory_speaks;            /* what is appended belongs there */
        bool memory_left;
        store_memory memory; /* may be NULL */
        void *memory_userdata;
        store_heartbeat heartbeat; /* may be NULL */
        void *heartbeat_userdata;
        int done_fd;
        struct store_statistics statistics;

        pthread_t thread;
        bool started;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        /* Under the lock. */
        struct job_list batch; /* handed to the thread */
        struct job_list finished;
        struct heartbeat batch_heartbeat;
        uint64_t batch_generation;
        bool batch_is_fresh; /* for the fresh database */
        int finished_error;  /* of the transaction */
        usec_t commit_usec;
        int checkpoint_error;
        bool busy; /* the thread uses the database */
        bool quit;
};

struct job *job_new(enum job_kind kind, const struct dns_name *zone);
struct job *job_free(struct job *job);
DEFINE_CLEANUP(struct job *, job_free)
void job_list_clear(struct job_list *list);
/* A copy in one piece of memory. 0 or -ENOMEM. */
int stored_unit_set(struct stored_unit *unit, const struct unit_row *row);

/* Takes the job. Cannot fail. */
void store_append(struct store *store, struct job *job, struct waiter *waiter, waiter_done done);
/* Sources of the loop, all off. 0 or -errno. */
int store_queue_init(struct store *store);
/* Until the queue is empty, or a transaction fails. */
int store_queue_drain(struct store *store);
struct heartbeat store_make_heartbeat(const struct store *store, usec_t refreshed_usec);

int store_thread_start(struct store *store);
void store_thread_stop(struct store *store);
/* One heartbeat in a transaction of its own: before there is a thread. */
int store_write_heartbeat(struct database *database, const struct heartbeat *heartbeat, uint64_t generation);
