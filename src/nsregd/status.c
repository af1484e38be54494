/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <systemd/sd-daemon.h>

#include "nsregd/announce.h"
#include "nsregd/context.h"
#include "nsregd/status.h"
#include "nsregd/zones.h"
#include "upstream/publisher.h"

/* How often a disk that fails is looked at. */
#define FAILING_USEC (5 * USEC_PER_SEC)

struct status {
        struct context *context;
        struct observer observer;
        sd_event_source *source;
};

static unsigned count_retrying(const struct publisher *publisher)
{
        const struct upstream *upstream;
        unsigned n = 0;

        LIST_FOREACH (upstream, publisher_upstreams(publisher), upstreams)
                for (unsigned i = 0; i < upstream->plan->n_lanes; i++)
                        if (upstream->plan->lanes[i].error) {
                                n++;
                                break;
                        }
        return n;
}

static void status_look_again(struct status *status, usec_t usec)
{
        int enabled = SD_EVENT_OFF;

        if (sd_event_source_get_enabled(status->source, &enabled) < 0 || enabled != SD_EVENT_OFF)
                return;
        /* A source that exists is set without memory. */
        (void) sd_event_source_set_time_relative(status->source, usec);
        (void) sd_event_source_set_enabled(status->source, SD_EVENT_ONESHOT);
}

void status_tell(struct status *status)
{
        const struct context *context = status->context;
        unsigned long long n_names = context->registry->n_names;
        size_t n_zones = zones_count(context->zones);
        unsigned n_retrying = count_retrying(context->publisher);
        char retrying[64] = "", failing[96] = "";
        struct store_statistics store;

        if (n_zones == 0) {
                /* Without a service manager there is nobody to tell; so below. */
                (void) sd_notify(false, "STATUS=Serving no zone: none is configured");
                return;
        }
        if (n_retrying > 0)
                snprintf(retrying, sizeof(retrying), ", %u upstream%s retrying", n_retrying,
                         n_retrying == 1 ? "" : "s");
        store_statistics(context->store, &store);
        if (store.failing_usec > 0) {
                snprintf(failing, sizeof(failing), ", the disk fails: %s", strerror(-store.last_error));
                /* Until it works again; nobody else tells that. */
                status_look_again(status, FAILING_USEC);
        }
        (void) sd_notifyf(false, "STATUS=Serving %zu zone%s, %llu name%s%s%s", n_zones,
                          n_zones == 1 ? "" : "s", n_names, n_names == 1 ? "" : "s", retrying, failing);
}

static int on_second(sd_event_source *source, uint64_t usec, void *userdata)
{
        status_tell(userdata);
        return 0;
}

/* Many names may come or go within a second; it is told once. */
static void status_changed(struct status *status)
{
        status_look_again(status, USEC_PER_SEC);
}

static void on_name(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        status_changed(userdata);
}

static void on_expired_besides(void *userdata, uint64_t n)
{
        status_changed(userdata);
}

static void on_not_stored(void *userdata, const struct dns_name *name, int error)
{
        status_changed(userdata);
}

static void on_upstream(void *userdata, const struct upstream *upstream, const char *reason)
{
        status_tell(userdata);
}

static void on_reconfigured(void *userdata, bool done)
{
        if (done)
                status_tell(userdata);
}

static const struct observer_ops observer_ops = {
        .claimed = on_name,
        .released = on_name,
        .expired = on_name,
        .expired_besides = on_expired_besides,
        .not_stored = on_not_stored,
        .upstream_changed = on_upstream,
        .reconfigured = on_reconfigured,
};

int status_new(struct context *context, struct status **ret)
{
        _cleanup_(status_freep) struct status *status = calloc(1, sizeof(*status));
        int r;

        if (!status)
                return -ENOMEM;
        status->context = context;
        status->observer = (struct observer){ .ops = &observer_ops, .userdata = status };
        announcer_add(context->announcer, &status->observer);
        r = sd_event_add_time(context->event, &status->source, CLOCK_MONOTONIC, 0, 100 * USEC_PER_MSEC,
                              on_second, status);
        if (r >= 0)
                r = sd_event_source_set_enabled(status->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(status);
        return 0;
}

struct status *status_free(struct status *status)
{
        if (!status)
                return NULL;
        announcer_remove(status->context->announcer, &status->observer);
        sd_event_source_disable_unref(status->source);
        free(status);
        return NULL;
}
