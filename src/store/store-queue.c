/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <sys/eventfd.h>

#include "store/store-internal.h"

/* What nobody waits for is tried again so late after a transaction failed, twice as late each time. */
#define BACKOFF_MIN_USEC USEC_PER_SEC
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)

struct heartbeat store_make_heartbeat(const struct store *store, usec_t refreshed_usec)
{
        usec_t boottime_usec = now_usec(CLOCK_BOOTTIME);

        return (struct heartbeat){
                .run_id = store->run_id,
                .boot_id = store->boot_id,
                .boottime_usec = boottime_usec,
                .real_usec = now_usec(CLOCK_REALTIME),
                .lease_usec = lease_clock_at(&store->clock, boottime_usec),
                .refreshed_usec = refreshed_usec,
        };
}

/* --- from the loop to the thread --- */

/* Moves what makes one transaction from the queue into the batch. */
static void take_batch(struct store *store, struct job_list *batch)
{
        unsigned weight = 0;
        struct job *job;

        while ((job = STAILQ_FIRST(&store->queue)) && weight < BATCH_MAX) {
                /* A clean end is true of what is on the disk before it. */
                if (job->kind == JOB_STOP && !STAILQ_EMPTY(batch))
                        return;
                STAILQ_REMOVE_HEAD(&store->queue, next);
                STAILQ_INSERT_TAIL(batch, job, next);
                store->n_eager -= !job->kept;
                weight += job->weight;
                if (job->kind == JOB_HEARTBEAT)
                        store->cover_usec = usec_add(store_lease_now(store), HEARTBEAT_COVERS_USEC);
                if (job->kind == JOB_STOP)
                        return;
        }
}

/* What is to be written anew goes in batches of its own: nothing else is written meanwhile. */
static void take_rebuild_batch(struct store *store, struct job_list *batch)
{
        unsigned weight = 0;
        struct job *job;

        while ((job = STAILQ_FIRST(&store->rebuild_queue)) && weight < BATCH_MAX) {
                STAILQ_REMOVE_HEAD(&store->rebuild_queue, next);
                STAILQ_INSERT_TAIL(batch, job, next);
                weight += job->weight;
        }
}

static void submit(struct store *store)
{
        struct job_list batch = STAILQ_HEAD_INITIALIZER(batch);
        usec_t refreshed_usec;

        if (store->in_flight || !store->started)
                return;
        if (store->rebuild == REBUILD_NOT &&
            (STAILQ_EMPTY(&store->queue) || (store->backing_off && store->n_eager == 0)))
                return;
        if (store->rebuild != REBUILD_NOT && STAILQ_EMPTY(&store->rebuild_queue))
                return;
        if (store->backing_off) {
                store->backing_off = false;
                /* If it fires all the same there is nothing to be done twice. */
                (void) sd_event_source_set_enabled(store->retry_source, SD_EVENT_OFF);
        }
        if (store->rebuild == REBUILD_NOT)
                take_batch(store, &batch);
        else
                take_rebuild_batch(store, &batch);
        refreshed_usec = store->cover_usec;
        if (STAILQ_FIRST(&batch)->kind == JOB_STOP)
                /* Names that are not served now were lengthened nowhere but here. */
                refreshed_usec = store->database.n_left_lengthened > 0 ? store->lengthening.floor_usec : 0;
        pthread_mutex_lock(&store->lock);
        STAILQ_CONCAT(&store->batch, &batch);
        store->batch_heartbeat = store_make_heartbeat(store, refreshed_usec);
        store->batch_generation = store->generation;
        store->batch_is_fresh = store->rebuild != REBUILD_NOT;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->lock);
        store->in_flight = true;
        store->ended = false;
}

static int on_submit(sd_event_source *source, void *userdata)
{
        submit(userdata);
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct store *store = userdata;

        store->backing_off = false;
        submit(store);
        return 0;
}

void store_append(struct store *store, struct job *job, struct waiter *waiter, waiter_done done)
{
        if (waiter)
                waiter_attach(waiter, &job->waiter, done);
        job->kept = !waiter;
        store->statistics.pending++;
        if (store->memory_speaks) {
                STAILQ_INSERT_TAIL(&store->rebuild_queue, job, next);
                return;
        }
        STAILQ_INSERT_TAIL(&store->queue, job, next);
        store->n_eager += !job->kept;
        if (store->in_flight || !store->started)
                return;
        /* At the end of this turn, with all that it brings. A loop that has ended takes no wishes; then it
         * goes out at once. */
        if (sd_event_source_set_enabled(store->submit_source, SD_EVENT_ONESHOT) < 0)
                submit(store);
}

/* --- and back --- */

static struct job *new_heartbeat(struct store *store)
{
        struct job *job = job_new(JOB_HEARTBEAT, NULL);

        if (job)
                store->heartbeat_queued = true;
        return job;
}

/* Puts back what is to be tried again, ahead of all that came later. */
static void retry(struct store *store, struct job_list *kept)
{
        struct job *job;

        /* The next transaction that succeeds also settles whether a failed one is on the disk: it takes its
         * place in the log. So there is one, and it says when the disk works again. */
        if (!store->heartbeat_queued && (job = new_heartbeat(store))) {
                job->kept = true;
                STAILQ_INSERT_TAIL(kept, job, next);
                store->statistics.pending++;
        }
        STAILQ_CONCAT(kept, &store->queue);
        STAILQ_CONCAT(&store->queue, kept);
        if (STAILQ_EMPTY(&store->queue))
                return;
        store->backoff_usec = CLAMP(store->backoff_usec * 2, BACKOFF_MIN_USEC, BACKOFF_MAX_USEC);
        store->backing_off = sd_event_source_set_time_relative(store->retry_source, store->backoff_usec) >=
                                     0 &&
                             sd_event_source_set_enabled(store->retry_source, SD_EVENT_ONESHOT) >= 0;
}

/* --- a damaged database --- */

void store_set_memory(struct store *store, store_memory memory, void *userdata)
{
        store->memory = memory;
        store->memory_userdata = userdata;
}

static int append_rebuild(struct store *store, enum job_kind kind, enum rebuild_state state)
{
        struct job *job = job_new(kind, NULL);

        if (!job)
                return -ENOMEM;
        job->kept = true;
        store->statistics.pending++;
        STAILQ_INSERT_TAIL(&store->rebuild_queue, job, next);
        store->rebuild = state;
        return 0;
}

static int let_memory_speak(struct store *store, bool begin)
{
        int r;

        store->memory_speaks = true;
        r = store->memory(store->memory_userdata, begin);
        store->memory_speaks = false;
        return r;
}

/* The next step of writing the database anew, if "error" says that it is damaged or it is under way. A step
 * that fails ends it: the next transaction finds the damaged one again, and it begins anew. */
static void rebuild(struct store *store, int error)
{
        enum rebuild_state state = store->rebuild;
        int r = error;

        if (state == REBUILD_NOT) {
                if (error == -EBADMSG && store->memory)
                        /* Out of memory: as if a step had failed. */
                        (void) append_rebuild(store, JOB_REBUILD_BEGIN, REBUILD_BEGINNING);
                return;
        }
        if (r >= 0 && state == REBUILD_ENDING) {
                store->rebuild = REBUILD_NOT;
                store->statistics.rebuilt++;
                return;
        }
        if (r >= 0 && (state == REBUILD_BEGINNING || store->memory_left)) {
                r = let_memory_speak(store, state == REBUILD_BEGINNING);
                store->rebuild = REBUILD_WRITING;
                store->memory_left = r > 0;
        }
        if (r >= 0 && STAILQ_EMPTY(&store->rebuild_queue))
                r = append_rebuild(store, JOB_REBUILD_END, REBUILD_ENDING);
        if (r >= 0)
                return;
        store->rebuild = REBUILD_NOT;
        while (!STAILQ_EMPTY(&store->rebuild_queue)) {
                struct job *job = STAILQ_FIRST(&store->rebuild_queue);

                STAILQ_REMOVE_HEAD(&store->rebuild_queue, next);
                store->statistics.pending--;
                job_free(job);
        }
}

static void note_outcome(struct store *store, int error, usec_t commit_usec)
{
        struct store_statistics *statistics = &store->statistics;

        statistics->transactions++;
        statistics->last_commit_usec = commit_usec;
        statistics->last_error = error;
        if (error >= 0) {
                statistics->failing_usec = 0;
                store->backoff_usec = 0;
        } else if (statistics->failing_usec == 0)
                statistics->failing_usec = now_usec(CLOCK_MONOTONIC);
}

static void finish_job(struct store *store, struct job *job)
{
        store->statistics.pending--;
        if (job->error < 0)
                store->statistics.failures++;
        else
                store->statistics.changes++;
        if (job->kind == JOB_STOP && job->error >= 0)
                store->ended = !store->in_flight;
        if (job->kind == JOB_HEARTBEAT && job->kept)
                store->heartbeat_queued = false;
        /* What was read belongs to whoever still waits. */
        if (job->kind == JOB_READ_PAGE && job->waiter && job->error >= 0) {
                struct store_page *page = container_of(job->waiter, struct store_page, waiter);

                memcpy(page->names, job->page->names, sizeof(page->names));
                page->n_names = job->page->n_names;
                page->is_last = job->page->is_last;
                job->page->n_names = 0;
        }
        if (job->kind == JOB_READ_UNITS && job->waiter && job->error >= 0) {
                struct store_units *page = container_of(job->waiter, struct store_units, waiter);

                memcpy(page->units, job->units->units, sizeof(page->units));
                page->n_units = job->units->n_units;
                page->is_last = job->units->is_last;
                job->units->n_units = 0;
        }
        waiter_tell(&job->waiter, job->error);
        job_free(job);
}

/* Tells what the thread has finished. 0, or -errno of the transaction. */
static int complete(struct store *store)
{
        struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
        struct job_list told = STAILQ_HEAD_INITIALIZER(told), kept = STAILQ_HEAD_INITIALIZER(kept);
        usec_t commit_usec, covered_usec;
        struct job *job;
        eventfd_t value;
        int r;

        /* It may have been told before: then the list is empty. */
        (void) eventfd_read(store->done_fd, &value);
        pthread_mutex_lock(&store->lock);
        STAILQ_CONCAT(&finished, &store->finished);
        commit_usec = store->commit_usec;
        covered_usec = store->batch_heartbeat.refreshed_usec;
        r = store->finished_error;
        store->statistics.checkpoint_error = store->checkpoint_error;
        pthread_mutex_unlock(&store->lock);
        if (STAILQ_EMPTY(&finished))
                return 0;

        store->in_flight = false;
        note_outcome(store, r, commit_usec);
        while ((job = STAILQ_FIRST(&finished))) {
                STAILQ_REMOVE_HEAD(&finished, next);
                if (r < 0 && store->rebuild == REBUILD_NOT && job->kept && job->error == r) {
                        job->error = 0;
                        store->statistics.retried++;
                        STAILQ_INSERT_TAIL(&kept, job, next);
                } else
                        STAILQ_INSERT_TAIL(&told, job, next);
        }
        if (r < 0)
                retry(store, &kept);
        else
                store->covered_usec = covered_usec;
        rebuild(store, r);
        /* The next one goes to the disk while this one is told. */
        submit(store);
        while ((job = STAILQ_FIRST(&told))) {
                STAILQ_REMOVE_HEAD(&told, next);
                finish_job(store, job);
        }
        return r;
}

static int on_done(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        /* How it ended is told to those who wait, and stands in the statistics. */
        (void) complete(userdata);
        return 0;
}

int store_queue_drain(struct store *store)
{
        struct pollfd pollfd = { .fd = store->done_fd, .events = POLLIN };
        int r = 0;

        /* Completions may append more. */
        for (;;) {
                store->backing_off = false;
                if (r >= 0)
                        submit(store);
                if (!store->in_flight)
                        break;
                if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
                        return -errno;
                r = complete(store) ?: r;
        }
        /* The log may still be on its way into the file. */
        pthread_mutex_lock(&store->lock);
        while (store->busy)
                pthread_cond_wait(&store->changed, &store->lock);
        pthread_mutex_unlock(&store->lock);
        return r;
}

int store_queue_init(struct store *store)
{
        int r;

        store->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (store->done_fd < 0)
                return -errno;
        r = sd_event_add_io(store->event, &store->done_source, store->done_fd, EPOLLIN, on_done, store);
        if (r >= 0)
                r = sd_event_add_defer(store->event, &store->submit_source, on_submit, store);
        if (r >= 0)
                r = sd_event_source_set_enabled(store->submit_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(store->event, &store->retry_source, CLOCK_MONOTONIC, 0,
                                      100 * USEC_PER_MSEC, on_retry, store);
        if (r >= 0)
                r = sd_event_source_set_enabled(store->retry_source, SD_EVENT_OFF);
        return r;
}

/* --- refreshes --- */

void store_note_refresh(struct store *store)
{
        usec_t now = store_lease_now(store);
        struct job *job;

        store->stamp->lease_usec = now;
        /* Ten seconds after the last one was made, long before it is over. */
        if (store->heartbeat_queued ||
            usec_add(now, HEARTBEAT_COVERS_USEC) < usec_add(store->cover_usec, HEARTBEAT_EVERY_USEC))
                return;
        job = new_heartbeat(store);
        /* Without memory the next refresh tries again. */
        if (!job)
                return;
        store_append(store, job, NULL, NULL);
        if (store->heartbeat)
                store->heartbeat(store->heartbeat_userdata);
}

int store_cover_refresh(struct store *store, struct waiter *waiter, waiter_done done)
{
        struct job *job;

        if (store_lease_now(store) < store->covered_usec)
                return 1;
        job = job_new(JOB_HEARTBEAT, NULL);
        if (!job)
                return -ENOMEM;
        store_append(store, job, waiter, done);
        return 0;
}

void store_set_heartbeat(struct store *store, store_heartbeat heartbeat, void *userdata)
{
        store->heartbeat = heartbeat;
        store->heartbeat_userdata = userdata;
}
