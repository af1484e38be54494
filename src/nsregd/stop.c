/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <systemd/sd-daemon.h>

#include "net/stream-set.h"
#include "net/udp.h"
#include "nsregd/change.h"
#include "nsregd/context.h"
#include "nsregd/lease-end.h"
#include "nsregd/name-lock.h"
#include "nsregd/reload.h"
#include "nsregd/request.h"
#include "nsregd/stop.h"
#include "upstream/publisher.h"
#include "util/log.h"

/* How long each phase may take without getting on; the service manager is told to wait as long as they do. */
#define WITHDRAW_USEC (20 * USEC_PER_SEC)
#define DRAIN_USEC    (10 * USEC_PER_SEC)
#define STORE_USEC    (10 * USEC_PER_SEC)

/* clang-format off */
/*   phase         what is awaited                              at the time-out, or a second request
 *   RUNNING       nothing
 *   WITHDRAWING   upstreams that do not keep records           goes on; the next start does it
 *                 take them away
 *   DRAINING      requests, changes and orders end             those that wait for upstreams are answered
 *   STORING       ends of leases, then the clean heartbeat     _exit without it: as after a crash
 *   DONE          the loop ends
 */
/* clang-format on */
enum stop_phase {
        STOP_RUNNING,
        STOP_WITHDRAWING,
        STOP_DRAINING,
        STOP_STORING,
        STOP_DONE,
};

struct stop {
        struct context *context;
        enum stop_phase phase;
        struct waiter stored;
        uint64_t n_transactions; /* when the disk was looked at last */
        sd_event_source *timer;
        sd_event_source *source; /* looks whether a phase is over, before the loop sleeps */
};

static void stop_set_timer(struct stop *stop, usec_t usec)
{
        /* Without a service manager there is nobody to tell. */
        (void) sd_notifyf(false, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long) (usec + 5 * USEC_PER_SEC));
        /* A source that exists is set without memory. */
        (void) sd_event_source_set_time_relative(stop->timer, usec);
        (void) sd_event_source_set_enabled(stop->timer, SD_EVENT_ONESHOT);
}

static void stop_done(struct stop *stop, int error)
{
        stop->phase = STOP_DONE;
        if (error < 0) {
                log_error("Leases refreshed of late could not be stored: %s. They will count from the last "
                          "heartbeat.",
                          strerror(-error));
                /* A disk that fails may also be one that is waited for in vain. */
                _exit(EXIT_FAILURE);
        }
        /* The loop runs, so that this cannot fail. */
        (void) sd_event_exit(stop->context->event, EXIT_SUCCESS);
}

static void stop_on_stored(struct waiter *waiter, int error)
{
        stop_done(container_of(waiter, struct stop, stored), error);
}

static void stop_on_flushed(struct waiter *waiter, int error)
{
        struct stop *stop = container_of(waiter, struct stop, stored);

        if (error >= 0)
                error = store_stop(stop->context->store, &stop->stored, stop_on_stored);
        if (error < 0)
                stop_done(stop, error);
}

static void stop_enter_storing(struct stop *stop)
{
        int r;

        stop->phase = STOP_STORING;
        publisher_freeze(stop->context->publisher);
        stop_set_timer(stop, STORE_USEC);
        r = write_back_flush(stop->context->write_back, &stop->stored, stop_on_flushed);
        if (r < 0)
                stop_done(stop, r);
}

static bool stop_is_drained(const struct stop *stop)
{
        const struct context *context = stop->context;

        return context->n_requests == 0 && LIST_EMPTY(&context->administrations) &&
               name_locks_count(context->locks) == 0 && changes_committing(context->changes) == 0;
}

static int stop_on_prepare(sd_event_source *source, void *userdata)
{
        struct stop *stop = userdata;

        if (stop->phase == STOP_DRAINING && stop_is_drained(stop))
                stop_enter_storing(stop);
        return 0;
}

static int stop_on_never(sd_event_source *source, uint64_t usec, void *userdata)
{
        return 0;
}

static void stop_enter_draining(struct stop *stop)
{
        stop->phase = STOP_DRAINING;
        lease_ends_freeze(stop->context->lease_ends);
        stop_set_timer(stop, DRAIN_USEC);
        (void) sd_event_source_set_enabled(stop->source, SD_EVENT_ON);
}

void stop_on_withdrawn(struct stop *stop)
{
        if (stop->phase == STOP_WITHDRAWING)
                stop_enter_draining(stop);
}

static int stop_on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct stop *stop = userdata;
        struct store_statistics statistics;

        switch (stop->phase) {
        case STOP_WITHDRAWING:
                log_warning(
                        "Not everything could be withdrawn in time; that is done at the next start, if it is "
                        "still to be done then.");
                stop_enter_draining(stop);
                break;
        case STOP_DRAINING:
                requests_end_publishing(stop->context, "the registrar stops");
                stop_set_timer(stop, DRAIN_USEC);
                break;
        case STOP_STORING:
                store_statistics(stop->context->store, &statistics);
                if (statistics.transactions != stop->n_transactions) {
                        stop->n_transactions = statistics.transactions;
                        stop_set_timer(stop, STORE_USEC);
                        break;
                }
                log_error("The disk does not answer; leases will count from the last heartbeat.");
                _exit(EXIT_FAILURE);
        case STOP_RUNNING:
        case STOP_DONE:
                break;
        }
        return 0;
}

void stop_begin(struct stop *stop)
{
        struct context *context = stop->context;

        switch (stop->phase) {
        case STOP_RUNNING:
                break;
        case STOP_WITHDRAWING:
        case STOP_DRAINING:
                /* Asked for twice: what waits for others waits no more. */
                if (stop->phase == STOP_WITHDRAWING)
                        stop_enter_draining(stop);
                requests_end_publishing(context, "the registrar stops");
                return;
        case STOP_STORING:
        case STOP_DONE:
                return;
        }
        (void) sd_notify(false, "STOPPING=1\nSTATUS=Stopping");
        reload_freeze(context->reload);
        udp_server_remove_all(context->datagrams);
        stream_set_drain(context->streams);
        stop->phase = STOP_WITHDRAWING;
        stop_set_timer(stop, WITHDRAW_USEC);
        if (!publisher_withdraw(context->publisher))
                stop_enter_draining(stop);
}

int stop_new(struct context *context, struct stop **ret)
{
        _cleanup_(stop_freep) struct stop *stop = calloc(1, sizeof(*stop));
        int r;

        if (!stop)
                return -ENOMEM;
        stop->context = context;
        r = sd_event_add_time(context->event, &stop->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC,
                              stop_on_timeout, stop);
        if (r >= 0)
                r = sd_event_source_set_enabled(stop->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(context->event, &stop->source, CLOCK_MONOTONIC, USEC_INFINITY,
                                      USEC_PER_MSEC, stop_on_never, stop);
        if (r >= 0)
                r = sd_event_source_set_prepare(stop->source, stop_on_prepare);
        if (r >= 0)
                r = sd_event_source_set_enabled(stop->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(stop);
        return 0;
}

struct stop *stop_free(struct stop *stop)
{
        if (!stop)
                return NULL;
        waiter_clear(&stop->stored);
        sd_event_source_disable_unref(stop->timer);
        sd_event_source_disable_unref(stop->source);
        free(stop);
        return NULL;
}
