/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <systemd/sd-daemon.h>

#include "nsregd/manager.h"
#include "nsregd/stop.h"
#include "util/log.h"

/* Below the 30 s that the unit gives, so that leases are stored behind it. */
#define WITHDRAW_USEC (20 * USEC_PER_SEC)
/* As long as something comes to the disk in each of these, the service manager is asked for more time. */
#define STORE_USEC (10 * USEC_PER_SEC)

struct stop {
        struct manager *manager;
        sd_event_source *timer;
        struct waiter waiter;
        bool storing;
        uint64_t n_transactions;
};

/* Nothing is clean that is not on the disk: the next start lengthens what it cannot know. */
static void give_up(struct stop *stop, int error)
{
        log_error("Leases refreshed of late could not be stored: %s. They will count from the last "
                  "heartbeat.",
                  strerror(-error));
        /* A dead disk would keep the thread, and who waits for it, for ever. */
        _exit(EXIT_FAILURE);
}

static void on_stopped(struct waiter *waiter, int error)
{
        struct stop *stop = container_of(waiter, struct stop, waiter);

        if (error < 0)
                give_up(stop, error);
        error = sd_event_exit(stop->manager->event, EXIT_SUCCESS);
        if (error < 0)
                give_up(stop, error);
}

static void on_flushed(struct waiter *waiter, int error)
{
        struct stop *stop = container_of(waiter, struct stop, waiter);

        if (error >= 0)
                error = store_stop(stop->manager->store, &stop->waiter, on_stopped);
        if (error < 0)
                give_up(stop, error);
}

bool stop_is_storing(const struct manager *manager)
{
        return manager->stop && manager->stop->storing;
}

static int arm(struct stop *stop, usec_t usec)
{
        int r;

        r = sd_event_source_set_time_relative(stop->timer, usec);
        return r < 0 ? r : sd_event_source_set_enabled(stop->timer, SD_EVENT_ONESHOT);
}

void stop_store(struct manager *manager)
{
        struct stop *stop = manager->stop;
        int r;

        if (!stop || stop->storing)
                return;
        stop->storing = true;
        (void) sd_notify(false, "STATUS=Storing leases");
        r = write_back_flush(manager->write_back, &stop->waiter, on_flushed);
        if (r >= 0)
                r = arm(stop, STORE_USEC / 2);
        if (r < 0)
                give_up(stop, r);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct stop *stop = userdata;
        struct store_statistics statistics;

        if (!stop->storing) {
                log_warning("Not everything could be withdrawn in time; that is done at the next start, if "
                            "it is still to be done then.");
                stop_store(stop->manager);
                return 0;
        }
        store_statistics(stop->manager->store, &statistics);
        if (statistics.transactions == stop->n_transactions)
                give_up(stop, statistics.last_error < 0 ? statistics.last_error : -ETIMEDOUT);
        stop->n_transactions = statistics.transactions;
        (void) sd_notifyf(false, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long) (2 * STORE_USEC));
        return arm(stop, STORE_USEC);
}

int stop_begin(struct manager *manager)
{
        struct stop *stop;
        int r;

        if (manager->stop) {
                stop_store(manager);
                return 0;
        }
        stop = manager->stop = calloc(1, sizeof(*stop));
        if (!stop)
                return log_oom();
        stop->manager = manager;
        stream_set_unlisten(manager->streams);
        r = sd_event_add_time_relative(manager->event, &stop->timer, CLOCK_MONOTONIC, WITHDRAW_USEC,
                                       USEC_PER_MSEC, on_timer, stop);
        if (r < 0)
                return r;
        if (!publisher_withdraw(manager->publisher))
                stop_store(manager);
        return 0;
}

struct stop *stop_free(struct stop *stop)
{
        if (!stop)
                return NULL;
        waiter_clear(&stop->waiter);
        sd_event_source_disable_unref(stop->timer);
        free(stop);
        return NULL;
}
