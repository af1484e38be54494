/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <sys/eventfd.h>

#include "store/rebuild.h"
#include "store/store-internal.h"

static int write_import(struct database *database, const struct store_import *import)
{
        const struct imported_name *name;
        int r = 0;

        STAILQ_FOREACH (name, &import->names, next) {
                r = database_put_name(database, &import->zone, name->label, name->state);
                if (r < 0)
                        return r;
        }
        return database_put_import(database, &import->zone, import->imported_usec);
}

static int write_slice(struct database *database, const struct moved_slice *slice)
{
        int r = 0;

        for (unsigned i = 0; i < slice->n && r >= 0; i++)
                r = database_move_ends(database, &slice->zone, slice->ends[i]);
        return r;
}

static int write_job(struct database *database, const struct job *job)
{
        switch (job->kind) {
        case JOB_PUT_NAME:
                return database_put_name(database, &job->zone, job->label, job->state);
        case JOB_PUT_UNIT:
                return database_put_unit(database, &job->unit.row);
        case JOB_MOVE_UNITS:
                return database_move_units(database, job->unit.row.upstream,
                                           job->unit.row.values_size > 0 ? (const char *) job->unit.row.values
                                                                         : NULL);
        case JOB_DELETE_UNIT:
                return database_delete_unit(database, &job->unit.row);
        case JOB_PUT_SERIAL:
                return database_put_serial(database, &job->zone, job->serial);
        case JOB_MOVE_ENDS:
                return write_slice(database, job->slice);
        case JOB_IMPORT:
                return write_import(database, job->import);
        case JOB_READ_PAGE:
        case JOB_READ_UNITS:
        case JOB_REBUILD_BEGIN:
        case JOB_REBUILD_END:
        case JOB_HEARTBEAT:
        case JOB_STOP:
                return 0;
        }
        return -EINVAL;
}

/* Fails: "*ret_guilty" is the job that can never be written, if it is one. */
static int try_batch(struct database *database, const struct job_list *batch,
                     const struct heartbeat *heartbeat, uint64_t generation, struct job **ret_guilty)
{
        struct job *job;
        int r;

        *ret_guilty = NULL;
        r = database_begin(database);
        if (r < 0)
                return r;
        STAILQ_FOREACH (job, batch, next) {
                if (job->error < 0)
                        continue;
                r = write_job(database, job);
                if (r < 0) {
                        /* Values that no table takes harm themselves alone. */
                        if (r == -EINVAL && database_in_transaction(database))
                                *ret_guilty = job;
                        break;
                }
        }
        if (r >= 0)
                r = database_put_heartbeat(database, heartbeat, generation);
        if (r >= 0)
                r = database_commit(database);
        if (r < 0)
                database_rollback(database);
        return r;
}

static int write_batch(struct store *store, const struct job_list *batch, const struct heartbeat *heartbeat,
                       uint64_t generation, bool is_fresh)
{
        struct database *database = is_fresh ? &store->fresh : &store->database;
        struct job *guilty, *job;
        int r = 0;

        if (STAILQ_FIRST(batch)->kind == JOB_REBUILD_BEGIN)
                r = rebuild_begin(&store->database, &store->fresh);
        if (r >= 0)
                while ((r = try_batch(database, batch, heartbeat, generation, &guilty)) < 0 && guilty)
                        guilty->error = r;
        if (r >= 0 && STAILQ_FIRST(batch)->kind == JOB_REBUILD_END)
                r = rebuild_end(&store->database, &store->fresh);
        STAILQ_FOREACH (job, batch, next)
                if (job->error == 0 && r < 0)
                        job->error = r;
                else if (job->kind == JOB_READ_PAGE)
                        job->error = database_read_page(&store->database, &store->lengthening, job->page);
                else if (job->kind == JOB_READ_UNITS)
                        job->error = database_read_units(&store->database, &job->unit.row, job->units);
        return r;
}

int store_write_heartbeat(struct database *database, const struct heartbeat *heartbeat, uint64_t generation)
{
        int r;

        r = database_begin(database);
        if (r >= 0)
                r = database_put_heartbeat(database, heartbeat, generation);
        if (r >= 0)
                r = database_commit(database);
        if (r < 0)
                database_rollback(database);
        return r;
}

static void *store_thread(void *userdata)
{
        struct store *store = userdata;

        pthread_mutex_lock(&store->lock);
        for (;;) {
                struct heartbeat heartbeat;
                uint64_t generation;
                struct job_list batch;
                usec_t begin_usec;
                bool is_fresh;
                int r;

                store->busy = false;
                pthread_cond_broadcast(&store->changed);
                while (STAILQ_EMPTY(&store->batch) && !store->quit)
                        pthread_cond_wait(&store->changed, &store->lock);
                if (STAILQ_EMPTY(&store->batch))
                        break;
                store->busy = true;
                STAILQ_INIT(&batch);
                STAILQ_CONCAT(&batch, &store->batch);
                heartbeat = store->batch_heartbeat;
                generation = store->batch_generation;
                is_fresh = store->batch_is_fresh;
                pthread_mutex_unlock(&store->lock);

                begin_usec = now_usec(CLOCK_MONOTONIC);
                r = write_batch(store, &batch, &heartbeat, generation, is_fresh);

                pthread_mutex_lock(&store->lock);
                store->commit_usec = now_usec(CLOCK_MONOTONIC) - begin_usec;
                store->finished_error = r;
                STAILQ_CONCAT(&store->finished, &batch);
                /* It counts to one: that cannot fail. */
                (void) eventfd_write(store->done_fd, 1);
                pthread_mutex_unlock(&store->lock);

                /* Who waited is told meanwhile. */
                r = database_checkpoint(is_fresh && store->fresh.handle ? &store->fresh : &store->database,
                                        false);

                pthread_mutex_lock(&store->lock);
                store->checkpoint_error = r;
        }
        pthread_mutex_unlock(&store->lock);
        return NULL;
}

int store_thread_start(struct store *store)
{
        sigset_t all, old;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&store->thread, NULL, store_thread, store);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0)
                return -r;
        /* A name for people only. */
        (void) pthread_setname_np(store->thread, "store");
        store->started = true;
        return 0;
}

void store_thread_stop(struct store *store)
{
        if (!store->started)
                return;
        pthread_mutex_lock(&store->lock);
        store->quit = true;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->thread, NULL);
        store->started = false;
}
