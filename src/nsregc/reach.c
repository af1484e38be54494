/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/reach.h"

#include "util/log.h"

#define SUSPECT_USEC     (50 * USEC_PER_MSEC)  /* for one that was dead the last time, and may be still */
#define SAME_TARGET_USEC (250 * USEC_PER_MSEC) /* between two addresses of one, as RFC 8305 has it */

struct attempt {
        struct reach *reach;
        const struct endpoint *endpoint;
        struct dns_client *client; /* NULL: it has failed */
        int error;
        bool over;
};

struct reach {
        sd_event *event;
        struct reach_options options;
        struct targets *targets;
        const struct reach_events *events;
        void *userdata;
        struct attempt attempts[SERVICE_ENDPOINTS_MAX];
        size_t n_attempts;
        sd_event_source *step;  /* what a connection told is dealt with outside of its callbacks */
        sd_event_source *timer; /* the next target's turn */
};

static void on_state(void *userdata, enum dns_client_state state, int error)
{
        struct attempt *attempt = userdata;

        if (state == DNS_CLIENT_IDLE) {
                attempt->over = true;
                attempt->error = error < 0 ? error : -ECONNRESET;
        }
        if (attempt->over || state == DNS_CLIENT_CONNECTED)
                (void) sd_event_source_set_enabled(attempt->reach->step, SD_EVENT_ONESHOT);
}

static void attempt_fail(struct attempt *attempt, int error)
{
        struct reach *reach = attempt->reach;

        attempt->client = dns_client_free(attempt->client);
        attempt->error = error;
        reach->events->failed(reach->userdata, attempt->endpoint, error);
}

static int attempt_begin(struct reach *reach, const struct endpoint *endpoint)
{
        struct attempt *attempt = &reach->attempts[reach->n_attempts];
        struct dns_client_options options = {
                .host = endpoint->host,
                .port = endpoint->port,
                .connect_timeout_usec = reach->options.connect_usec,
                .idle_timeout_usec = reach->options.idle_usec,
                .reset_unanswered = true,
        };
        int r;

        log_debug("connecting to %s@%u", endpoint->host, (unsigned) endpoint->port);
        *attempt = (struct attempt){ .reach = reach, .endpoint = endpoint };
        r = dns_client_new(reach->event, &options, on_state, attempt, &attempt->client);
        if (r < 0)
                return r;
        reach->n_attempts++;
        dns_client_connect(attempt->client);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void begin_next(struct reach *reach)
{
        const struct endpoint *endpoint = targets_next(reach->targets), *before = NULL;
        usec_t patience = reach->options.patience_usec;

        reach->timer = sd_event_source_disable_unref(reach->timer);
        if (!endpoint)
                return;
        if (reach->n_attempts > 0)
                before = reach->attempts[reach->n_attempts - 1].endpoint;
        if (attempt_begin(reach, endpoint) < 0)
                return;
        if (before && before->target == endpoint->target)
                patience = MIN(patience, SAME_TARGET_USEC);
        if (targets_is_suspect(reach->targets, endpoint))
                patience = MIN(patience, SUSPECT_USEC);
        (void) sd_event_add_time_relative(reach->event, &reach->timer, CLOCK_MONOTONIC, patience,
                                          USEC_PER_MSEC, on_timer, reach);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        begin_next(userdata);
        return 0;
}

static void finish(struct reach *reach, struct attempt *winner)
{
        const struct reach_events *events = reach->events;
        const struct endpoint *endpoint = winner ? winner->endpoint : NULL;
        struct dns_client *client = winner ? TAKE_PTR(winner->client) : NULL;
        void *userdata = reach->userdata;

        if (client)
                dns_client_watch(client, NULL, NULL);
        reach_free(reach);
        events->done(userdata, client, endpoint);
}

static void silent_fail(struct reach *reach, const struct attempt *end)
{
        for (struct attempt *attempt = reach->attempts; attempt < end; attempt++)
                if (attempt->client)
                        attempt_fail(attempt, -ETIMEDOUT);
}

void reach_tell_silent(struct reach *reach)
{
        if (reach->n_attempts > 0)
                silent_fail(reach, &reach->attempts[reach->n_attempts - 1]);
}

static int on_step(sd_event_source *source, void *userdata)
{
        struct reach *reach = userdata;
        struct attempt *winner = NULL;
        bool trying = false;

        for (size_t i = 0; i < reach->n_attempts; i++) {
                struct attempt *attempt = &reach->attempts[i];

                if (attempt->client && attempt->over)
                        attempt_fail(attempt, attempt->error);
                else if (attempt->client && !winner &&
                         dns_client_get_state(attempt->client) == DNS_CLIENT_CONNECTED)
                        winner = attempt;
                else if (attempt->client)
                        trying = true;
        }
        if (winner) {
                silent_fail(reach, winner);
                finish(reach, winner);
                return 0;
        }
        /* Nobody is waited for: the next one's turn has come. */
        while (!trying && targets_left(reach->targets)) {
                size_t before = reach->n_attempts;

                begin_next(reach);
                trying = reach->n_attempts > before;
        }
        if (!trying)
                finish(reach, NULL);
        return 0;
}

int reach_new(sd_event *event, const struct reach_options *options, struct targets *targets,
              const struct reach_events *events, void *userdata, struct reach **ret)
{
        struct reach *reach = calloc(1, sizeof(*reach));
        int r;

        if (!reach)
                return -ENOMEM;
        reach->event = sd_event_ref(event);
        reach->options = *options;
        reach->targets = targets;
        reach->events = events;
        reach->userdata = userdata;
        r = sd_event_add_defer(event, &reach->step, on_step, reach);
        if (r < 0) {
                reach_free(reach);
                return r;
        }
        *ret = reach;
        return 0;
}

struct reach *reach_free(struct reach *reach)
{
        if (!reach)
                return NULL;
        for (size_t i = 0; i < reach->n_attempts; i++)
                dns_client_free(reach->attempts[i].client);
        sd_event_source_disable_unref(reach->step);
        sd_event_source_disable_unref(reach->timer);
        sd_event_unref(reach->event);
        free(reach);
        return NULL;
}
