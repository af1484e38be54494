/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/mman.h>

#include "store/rebuild.h"
#include "store/store-internal.h"
#include "util/file.h"

usec_t store_lease_now(const struct store *store)
{
        return lease_clock_at(&store->clock, now_usec(CLOCK_BOOTTIME));
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

/* From when do all stored leases count in full, after the run that wrote this heartbeat. The stamp is exact
 * where it outlived that process; the heartbeat covers more than what was refreshed. */
static usec_t find_floor(const struct stamp *stamp, const struct heartbeat *last, sd_id128_t boot_id)
{
        if (last->refreshed_usec == 0)
                return 0;
        if (!sd_id128_is_null(last->run_id) && sd_id128_equal(stamp->run_id, last->run_id) &&
            sd_id128_equal(stamp->boot_id, boot_id))
                return stamp->lease_usec;
        return last->refreshed_usec;
}

static int continue_clock(struct store *store, char **why)
{
        struct lease_clock_now now;
        struct heartbeat last;
        bool found;
        int r;

        r = database_read_heartbeat(&store->database, &last, &store->generation, &found);
        if (r < 0)
                return database_explain(why, r, "its heartbeat cannot be read");
        r = lease_clock_read_now(&now);
        if (r < 0)
                return r;
        r = sd_id128_randomize(&store->run_id);
        if (r < 0)
                return r;
        store->boot_id = now.boot_id;
        store->clock = lease_clock_continue(found ? &last : NULL, &now);
        if (found)
                store->lengthening.floor_usec = find_floor(store->stamp, &last, now.boot_id);
        if (found && sd_id128_equal(store->stamp->boot_id, now.boot_id)) {
                store->lengthening.held_before_usec = store->stamp->held_before_usec;
                store->lengthening.held_until_usec = store->stamp->held_until_usec;
        }
        /* Both stay as they are until something is refreshed: a daemon that crashes again and again lengthens
         * nothing twice. */
        store->cover_usec = MAX(store->lengthening.floor_usec, UINT64_C(1));
        *store->stamp = (struct stamp){ .run_id = store->run_id,
                                        .boot_id = now.boot_id,
                                        .lease_usec = store->lengthening.floor_usec,
                                        .held_before_usec = store->lengthening.held_before_usec,
                                        .held_until_usec = store->lengthening.held_until_usec };
        return 0;
}

int store_open(sd_event *event, const char *directory, const char *runtime_directory, struct store **ret,
               char **why)
{
        _cleanup_(store_freep) struct store *store = calloc(1, sizeof(*store));
        _cleanup_free_ char *path = path_join(directory, "registry.db");
        int r;

        *why = NULL;
        if (!store || !path) {
                free(store);
                store = NULL;
                return -ENOMEM;
        }
        store->done_fd = -1;
        STAILQ_INIT(&store->queue);
        STAILQ_INIT(&store->rebuild_queue);
        STAILQ_INIT(&store->batch);
        STAILQ_INIT(&store->finished);
        pthread_mutex_init(&store->lock, NULL);
        pthread_cond_init(&store->changed, NULL);
        store->event = sd_event_ref(event);

        r = rebuild_finish(path);
        if (r < 0)
                return database_explain(why, r, "a database that was written anew cannot take its place");
        r = database_open(&store->database, path, why);
        if (r < 0)
                return r;
        r = map_stamp(store, runtime_directory ?: directory);
        if (r < 0)
                return database_explain(why, r, "the stamp of refreshes beside it cannot be written");
        r = continue_clock(store, why);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(store);
        return 0;
}

bool store_is_new(const struct store *store)
{
        return store->database.is_new;
}

const struct lease_clock *store_clock(const struct store *store)
{
        return &store->clock;
}

void store_hold(struct store *store, const struct registry_hold *hold)
{
        store->stamp->held_before_usec = MAX(store->stamp->held_before_usec, hold->keys_before_usec);
        store->stamp->held_until_usec = MAX(store->stamp->held_until_usec, hold->keys_until_usec);
}

usec_t store_take_time_off(struct store *store, const struct lease_clock_now *now, usec_t *ret_since_usec)
{
        *ret_since_usec = store->clock.lease_usec;
        return lease_clock_time_off(&store->clock, now);
}

/* --- reading --- */

int store_load_names(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_names(&store->database, &store->lengthening, loader, userdata, why);
}

int store_load_units(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_units(&store->database, loader, userdata, why);
}

int store_load_places(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_places(&store->database, loader, userdata, why);
}

int store_inherit_units(struct store *store, const char *from, const char *to)
{
        struct database *database = &store->database;
        int r;

        assert(!store->started);
        r = database_begin(database);
        if (r >= 0)
                r = database_move_units(database, from, to);
        if (r >= 0)
                r = database_commit(database);
        if (r < 0)
                database_rollback(database);
        return r;
}

int store_load_serials(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_serials(&store->database, loader, userdata, why);
}

int store_load_imports(struct store *store, const struct store_loader *loader, void *userdata, char **why)
{
        return database_load_imports(&store->database, loader, userdata, why);
}

/* --- running --- */

int store_start(struct store *store)
{
        struct heartbeat heartbeat = store_make_heartbeat(store, store->cover_usec);
        int r;

        assert(!store->started);
        r = store_queue_init(store);
        if (r >= 0)
                r = store_write_heartbeat(&store->database, &heartbeat, store->generation);
        if (r >= 0)
                r = store_thread_start(store);
        return r;
}

int store_drain(struct store *store)
{
        return store_queue_drain(store);
}

int store_stop(struct store *store, struct waiter *waiter, waiter_done done)
{
        struct job *job = job_new(JOB_STOP, NULL);

        if (!job)
                return -ENOMEM;
        store_append(store, job, waiter, done);
        return 0;
}

struct store *store_free(struct store *store)
{
        struct job *job;

        if (!store)
                return NULL;
        /* Nobody is told any more. */
        STAILQ_FOREACH (job, &store->queue, next)
                if (job->waiter)
                        waiter_clear(job->waiter);
        if (store->started) {
                pthread_mutex_lock(&store->lock);
                while (store->busy || !STAILQ_EMPTY(&store->batch))
                        pthread_cond_wait(&store->changed, &store->lock);
                STAILQ_FOREACH (job, &store->finished, next)
                        if (job->waiter)
                                waiter_clear(job->waiter);
                pthread_mutex_unlock(&store->lock);
        }
        /* A clean end is on the disk: what came behind it would have taken that back, and would now be lost.
         */
        assert(!store->ended || STAILQ_EMPTY(&store->queue));
        store_thread_stop(store);
        sd_event_source_disable_unref(store->submit_source);
        sd_event_source_disable_unref(store->done_source);
        sd_event_source_disable_unref(store->retry_source);
        if (store->done_fd >= 0)
                close(store->done_fd);
        job_list_clear(&store->queue);
        job_list_clear(&store->rebuild_queue);
        job_list_clear(&store->batch);
        job_list_clear(&store->finished);
        if (store->stamp)
                munmap(store->stamp, sizeof(*store->stamp));
        database_close(&store->database);
        database_close(&store->fresh);
        pthread_cond_destroy(&store->changed);
        pthread_mutex_destroy(&store->lock);
        sd_event_unref(store->event);
        free(store);
        return NULL;
}

void store_statistics(const struct store *store, struct store_statistics *ret)
{
        *ret = store->statistics;
}
