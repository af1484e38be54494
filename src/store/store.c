/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "store/database.h"
#include "store/store.h"
#include "util/file.h"
#include "util/log.h"

/* More than this in one transaction gains nothing and keeps the first one waiting. */
#define BATCH_MAX 2000

enum job_kind {
        JOB_PUT_NAME,
        JOB_PUT_UNIT,
        JOB_DELETE_UNIT,
        JOB_PUT_SERIAL,
        JOB_HEARTBEAT, /* every batch writes one; this makes a batch */
};

/* A change as a value. The loop makes it, the thread reads it, the loop completes and frees it. */
struct job {
        STAILQ_ENTRY(job) next;
        enum job_kind kind;
        struct dns_name name; /* zone, or owner */
        char label[DNS_LABEL_MAX + 1];
        struct name_state *state;
        char *upstream;
        enum unit_kind unit_kind;
        enum row_state row;
        struct rrset set;
        uint32_t serial;
        int error;
        store_done done;
        void *userdata;
};
STAILQ_HEAD(job_list, job);

/* What outlives a killed process without costing a disk: one page in a file, best in memory. */
struct stamp {
        sd_id128_t boot_id;
        usec_t lease_usec; /* of the last refresh */
};

struct store {
        sd_event *event;
        struct database database;
        struct lease_clock clock;
        sd_id128_t boot_id;
        usec_t floor_usec;
        struct stamp *stamp;

        struct job_list collecting; /* the loop's */
        unsigned n_collecting;
        struct sd_event_source *submit_source;
        struct sd_event_source *done_source;
        bool in_flight;
        usec_t covered_usec; /* refreshed_usec of the heartbeat that is, or is about to be, on the disk */
        int done_fd;

        pthread_t thread;
        bool started;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        struct job_list batch; /* under lock: handed to the thread */
        struct job_list finished;
        struct heartbeat heartbeat; /* of the batch */
        bool quit;

        struct store_statistics statistics;
        usec_t commit_usec; /* under lock */
};

static struct job *job_free(struct job *job)
{
        if (!job)
                return NULL;
        name_state_free(job->state);
        free(job->upstream);
        rrset_clear(&job->set);
        free(job);
        return NULL;
}
DEFINE_CLEANUP(struct job *, job_free)

static void job_list_clear(struct job_list *list)
{
        struct job *job;

        while ((job = STAILQ_FIRST(list))) {
                STAILQ_REMOVE_HEAD(list, next);
                job_free(job);
        }
}

usec_t store_lease_now(const struct store *store)
{
        return lease_clock_at(&store->clock, now_usec(CLOCK_BOOTTIME));
}

static struct heartbeat make_heartbeat(const struct store *store)
{
        usec_t boottime_usec = now_usec(CLOCK_BOOTTIME);

        return (struct heartbeat){
                .boot_id = store->boot_id,
                .boottime_usec = boottime_usec,
                .real_usec = now_usec(CLOCK_REALTIME),
                .lease_usec = lease_clock_at(&store->clock, boottime_usec),
                .refreshed_usec = store->covered_usec,
        };
}

/* --- opening --- */

static int map_stamp(struct store *store, const char *directory)
{
        _cleanup_free_ char *path = path_join(directory, "refresh.stamp");
        _cleanup_close_ int fd = -1;
        void *page;
        int r;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        /* Allocated, so that a full file system is told here and not by a signal. */
        r = posix_fallocate(fd, 0, sizeof(struct stamp));
        if (r != 0)
                return -r;
        page = mmap(NULL, sizeof(struct stamp), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED)
                return -errno;
        store->stamp = page;
        return 0;
}

static int continue_clock(struct store *store, char **why)
{
        struct lease_clock_now now;
        struct heartbeat last;
        bool found;
        int r;

        r = database_read_heartbeat(&store->database, &last, &found);
        if (r < 0) {
                *why = strdup("its heartbeat cannot be read");
                return r;
        }
        r = lease_clock_read_now(&now);
        if (r < 0)
                return r;
        store->boot_id = now.boot_id;
        store->clock = lease_clock_continue(found ? &last : NULL, &now);
        /* The stamp is exact where it outlived the process; the heartbeat of another boot covers a little
         * more than what was refreshed. Both stay as they are until something is refreshed: a daemon that
         * crashes again and again does not lengthen anything twice. */
        if (!found || last.refreshed_usec == 0)
                store->floor_usec = 0;
        else if (sd_id128_equal(store->stamp->boot_id, now.boot_id))
                store->floor_usec = store->stamp->lease_usec;
        else
                store->floor_usec = last.refreshed_usec;
        store->covered_usec = MAX(store->floor_usec, UINT64_C(1));
        *store->stamp = (struct stamp){ .boot_id = now.boot_id, .lease_usec = store->floor_usec };
        return 0;
}

int store_open(sd_event *event, const char *directory, const char *runtime_directory, struct store **ret,
               char **why)
{
        _cleanup_(store_freep) struct store *store = calloc(1, sizeof(*store));
        _cleanup_free_ char *path = path_join(directory, "registry.db");
        int r;

        *why = NULL;
        if (!store || !path)
                return -ENOMEM;
        store->done_fd = -1;
        STAILQ_INIT(&store->collecting);
        STAILQ_INIT(&store->batch);
        STAILQ_INIT(&store->finished);
        pthread_mutex_init(&store->lock, NULL);
        pthread_cond_init(&store->wake, NULL);
        store->event = sd_event_ref(event);

        r = database_open(&store->database, path, why);
        if (r < 0)
                return r;
        r = map_stamp(store, runtime_directory ?: directory);
        if (r < 0) {
                *why = strdup("the stamp of refreshes beside it cannot be written");
                return r;
        }
        r = continue_clock(store, why);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(store);
        return 0;
}

usec_t store_take_time_off(struct store *store, const struct lease_clock_now *now, usec_t *ret_since_usec)
{
        *ret_since_usec = store->clock.lease_usec;
        return lease_clock_time_off(&store->clock, now);
}

bool store_is_new(const struct store *store)
{
        return store->database.is_new;
}

const struct lease_clock *store_clock(const struct store *store)
{
        return &store->clock;
}

int store_load_names(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_names(&store->database, store->floor_usec, loader, userdata, why);
}

int store_load_units(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_units(&store->database, loader, userdata, why);
}

int store_load_serials(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_serials(&store->database, loader, userdata, why);
}

/* --- the thread --- */

static int write_job(struct database *database, const struct job *job)
{
        switch (job->kind) {
        case JOB_PUT_NAME:
                return database_put_name(database, &job->name, job->label, job->state);
        case JOB_PUT_UNIT:
                return database_put_unit(database, job->upstream, job->unit_kind, &job->name, job->row,
                                         &job->set);
        case JOB_DELETE_UNIT:
                return database_delete_unit(database, job->upstream, job->unit_kind, &job->name);
        case JOB_PUT_SERIAL:
                return database_put_serial(database, &job->name, job->serial);
        case JOB_HEARTBEAT:
                return 0;
        }
        return -EINVAL;
}

static int write_batch(struct database *database, const struct job_list *batch,
                       const struct heartbeat *heartbeat)
{
        const struct job *job;
        int r;

        r = database_begin(database);
        if (r < 0)
                return r;
        STAILQ_FOREACH (job, batch, next) {
                r = write_job(database, job);
                if (r < 0)
                        goto fail;
        }
        r = database_put_heartbeat(database, heartbeat);
        if (r < 0)
                goto fail;
        r = database_commit(database);
        if (r >= 0)
                return 0;
fail:
        database_rollback(database);
        return r;
}

static void *store_thread(void *userdata)
{
        struct store *store = userdata;

        pthread_mutex_lock(&store->lock);
        for (;;) {
                struct job_list batch;
                struct heartbeat heartbeat;
                struct job *job;
                usec_t begin_usec;
                int r;

                while (STAILQ_EMPTY(&store->batch) && !store->quit)
                        pthread_cond_wait(&store->wake, &store->lock);
                if (STAILQ_EMPTY(&store->batch))
                        break;
                STAILQ_INIT(&batch);
                STAILQ_CONCAT(&batch, &store->batch);
                heartbeat = store->heartbeat;
                pthread_mutex_unlock(&store->lock);

                begin_usec = now_usec(CLOCK_MONOTONIC);
                r = write_batch(&store->database, &batch, &heartbeat);
                STAILQ_FOREACH (job, &batch, next)
                        job->error = r;

                pthread_mutex_lock(&store->lock);
                store->commit_usec = now_usec(CLOCK_MONOTONIC) - begin_usec;
                STAILQ_CONCAT(&store->finished, &batch);
                (void) eventfd_write(store->done_fd, 1);
        }
        pthread_mutex_unlock(&store->lock);
        return NULL;
}

/* --- the loop's side --- */

static void submit(struct store *store)
{
        if (store->in_flight || STAILQ_EMPTY(&store->collecting))
                return;
        pthread_mutex_lock(&store->lock);
        if (store->n_collecting <= BATCH_MAX) {
                STAILQ_CONCAT(&store->batch, &store->collecting);
                store->n_collecting = 0;
        } else
                for (unsigned i = 0; i < BATCH_MAX; i++) {
                        struct job *job = STAILQ_FIRST(&store->collecting);

                        STAILQ_REMOVE_HEAD(&store->collecting, next);
                        STAILQ_INSERT_TAIL(&store->batch, job, next);
                        store->n_collecting--;
                }
        store->heartbeat = make_heartbeat(store);
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        store->in_flight = true;
}

static int on_submit(sd_event_source *source, void *userdata)
{
        submit(userdata);
        return 0;
}

/* Tells what the thread has finished. */
static int complete(struct store *store)
{
        struct job_list finished;
        struct job *job;
        eventfd_t value;
        int r = 0;

        (void) eventfd_read(store->done_fd, &value);
        STAILQ_INIT(&finished);
        pthread_mutex_lock(&store->lock);
        STAILQ_CONCAT(&finished, &store->finished);
        store->statistics.last_commit_usec = store->commit_usec;
        pthread_mutex_unlock(&store->lock);
        if (STAILQ_EMPTY(&finished))
                return 0;

        store->in_flight = false;
        store->statistics.transactions++;
        /* The next batch goes to the disk while this one is told. */
        submit(store);
        while ((job = STAILQ_FIRST(&finished))) {
                STAILQ_REMOVE_HEAD(&finished, next);
                store->statistics.pending--;
                if (job->error < 0) {
                        store->statistics.failures++;
                        r = job->error;
                } else
                        store->statistics.changes++;
                if (job->done)
                        job->done(job->userdata, job->error);
                job_free(job);
        }
        return r;
}

static int on_done(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void) complete(userdata);
        return 0;
}

static int add_job(struct store *store, struct job *job)
{
        if (STAILQ_EMPTY(&store->collecting)) {
                int r = sd_event_source_set_enabled(store->submit_source, SD_EVENT_ONESHOT);

                if (r < 0) {
                        job_free(job);
                        return r;
                }
        }
        STAILQ_INSERT_TAIL(&store->collecting, job, next);
        store->n_collecting++;
        store->statistics.pending++;
        return 0;
}

static struct job *job_new(enum job_kind kind, const struct dns_name *name, store_done done, void *userdata)
{
        struct job *job = calloc(1, sizeof(*job));

        if (!job)
                return NULL;
        job->kind = kind;
        if (name)
                job->name = *name;
        job->done = done;
        job->userdata = userdata;
        return job;
}

int store_put_name(struct store *store, const struct dns_name *zone, const char *label,
                   const struct name_state *state, store_done done, void *userdata)
{
        _cleanup_(job_freep) struct job *job = job_new(JOB_PUT_NAME, zone, done, userdata);

        if (!job)
                return -ENOMEM;
        snprintf(job->label, sizeof(job->label), "%s", label);
        job->state = name_state_copy(state);
        if (!job->state)
                return -ENOMEM;
        return add_job(store, TAKE_PTR(job));
}

int store_put_unit(struct store *store, const char *upstream, enum unit_kind kind,
                   const struct dns_name *owner, enum row_state row, const struct rrset *set, store_done done,
                   void *userdata)
{
        _cleanup_(job_freep) struct job *job = job_new(JOB_PUT_UNIT, owner, done, userdata);

        if (!job)
                return -ENOMEM;
        job->unit_kind = kind;
        job->row = row;
        job->upstream = strdup(upstream);
        if (!job->upstream || rrset_copy(&job->set, set) < 0)
                return -ENOMEM;
        return add_job(store, TAKE_PTR(job));
}

int store_delete_unit(struct store *store, const char *upstream, enum unit_kind kind,
                      const struct dns_name *owner)
{
        _cleanup_(job_freep) struct job *job = job_new(JOB_DELETE_UNIT, owner, NULL, NULL);

        if (!job)
                return -ENOMEM;
        job->unit_kind = kind;
        job->upstream = strdup(upstream);
        if (!job->upstream)
                return -ENOMEM;
        return add_job(store, TAKE_PTR(job));
}

int store_put_serial(struct store *store, const struct dns_name *zone, uint32_t serial)
{
        struct job *job = job_new(JOB_PUT_SERIAL, zone, NULL, NULL);

        if (!job)
                return -ENOMEM;
        job->serial = serial;
        return add_job(store, job);
}

static void on_heartbeat_written(void *userdata, int error)
{
        struct store *store = userdata;

        /* The next refresh tries again. */
        if (error < 0)
                store->covered_usec = 1;
}

void store_note_refresh(struct store *store)
{
        usec_t now = store_lease_now(store);
        struct job *job;

        store->stamp->lease_usec = now;
        if (now + HEARTBEAT_COVERS_USEC / 2 < store->covered_usec)
                return;
        job = job_new(JOB_HEARTBEAT, NULL, on_heartbeat_written, store);
        if (!job)
                return;
        store->covered_usec = now + HEARTBEAT_COVERS_USEC;
        (void) add_job(store, job);
}

static int write_heartbeat(struct store *store)
{
        struct heartbeat heartbeat = make_heartbeat(store);
        int r;

        r = database_begin(&store->database);
        if (r >= 0)
                r = database_put_heartbeat(&store->database, &heartbeat);
        if (r >= 0)
                r = database_commit(&store->database);
        if (r < 0)
                database_rollback(&store->database);
        return r;
}

static int start_thread(struct store *store)
{
        sigset_t all, old;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&store->thread, NULL, store_thread, store);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0)
                return -r;
        (void) pthread_setname_np(store->thread, "store");
        store->started = true;
        return 0;
}

int store_start(struct store *store)
{
        int r;

        if (store->done_source) {
                store->quit = false;
                return start_thread(store);
        }

        store->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (store->done_fd < 0)
                return -errno;
        r = sd_event_add_io(store->event, &store->done_source, store->done_fd, EPOLLIN, on_done, store);
        if (r < 0)
                return r;
        r = sd_event_add_defer(store->event, &store->submit_source, on_submit, store);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(store->submit_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = write_heartbeat(store);
        if (r < 0)
                return r;

        return start_thread(store);
}

static void stop_thread(struct store *store)
{
        if (!store->started)
                return;
        pthread_mutex_lock(&store->lock);
        STAILQ_CONCAT(&store->batch, &store->collecting);
        store->n_collecting = 0;
        store->heartbeat = make_heartbeat(store);
        store->quit = true;
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->thread, NULL);
        store->started = false;
}

int store_pause(struct store *store)
{
        struct pollfd pollfd = { .fd = store->done_fd, .events = POLLIN };
        int r = 0, k;

        /* Completions may hand over more. */
        submit(store);
        while (store->in_flight) {
                if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
                        return -errno;
                k = complete(store);
                if (k < 0)
                        r = k;
        }
        stop_thread(store);
        /* Everything is stored as it is: there is nothing to lengthen. */
        store->floor_usec = 0;
        return r;
}

int store_stop(struct store *store)
{
        const struct job *job;
        int r = 0;

        stop_thread(store);
        STAILQ_FOREACH (job, &store->finished, next)
                if (job->error < 0)
                        r = job->error;
        /* Ends that did not reach the disk must count as after a crash. */
        if (r < 0)
                return r;
        store->covered_usec = 0;
        return write_heartbeat(store);
}

struct store *store_free(struct store *store)
{
        if (!store)
                return NULL;
        stop_thread(store);
        sd_event_source_unref(store->submit_source);
        sd_event_source_unref(store->done_source);
        if (store->done_fd >= 0)
                close(store->done_fd);
        job_list_clear(&store->collecting);
        job_list_clear(&store->batch);
        job_list_clear(&store->finished);
        if (store->stamp)
                munmap(store->stamp, sizeof(*store->stamp));
        database_close(&store->database);
        pthread_cond_destroy(&store->wake);
        pthread_mutex_destroy(&store->lock);
        sd_event_unref(store->event);
        free(store);
        return NULL;
}

void store_statistics(const struct store *store, struct store_statistics *ret)
{
        *ret = store->statistics;
}
