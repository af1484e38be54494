/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "upstream/nsupdate-internal.h"
#include "util/log.h"

/* How often it is tried how to sign, before it is given up for now. */
#define TRIES_MAX 4

static bool has_answers(const struct plan_batch *batch)
{
        return batch->action == PLAN_QUERY || batch->action == PLAN_PROBE;
}

static void exchange_free(struct exchange *exchange)
{
        dns_request_cancel(exchange->request);
        LIST_REMOVE(exchange, exchanges);
        free(exchange);
}

static void job_free(struct job *job, unsigned n_units)
{
        for (unsigned i = 0; i < n_units; i++)
                rrset_clear(&job->answers[i].found);
        free(job);
}

/* --- life --- */

static void nsupdate_close(void *userdata)
{
        struct nsupdate *driver = userdata;
        struct job *job;

        while (!LIST_EMPTY(&driver->exchanges)) {
                struct exchange *exchange = LIST_FIRST(&driver->exchanges);

                job = exchange->job;
                exchange_free(exchange);
                if (job && --job->n_open == 0) {
                        struct plan_batch *batch = job->batch;

                        job_free(job, has_answers(batch) ? batch->n_units : 0);
                        free(batch);
                }
        }
        while ((job = TAILQ_FIRST(&driver->held))) {
                TAILQ_REMOVE(&driver->held, job, held);
                free(job->batch);
                job_free(job, 0);
        }
        dns_client_free(driver->client);
        free(driver);
}

static void on_state(void *userdata, enum dns_client_state state, int error)
{
        struct nsupdate *driver = userdata;

        if (state != DNS_CLIENT_CONNECTED)
                return;
        /* Not in every connection of a server that answers one message in each. */
        if (driver->upstream->driver != driver || driver->asked_last)
                return;
        driver->asked_last = true;
        upstream_connected(driver->upstream);
}

static int nsupdate_open(struct upstream *upstream, void **ret, char **why)
{
        const struct upstream_config *config = upstream->config;
        struct dns_client_options options = {
                .host = config->hostname,
                .port = config->port,
                .udp = !config->tcp,
                .connect_timeout_usec = config->timeout_usec,
                .idle_timeout_usec = 30 * USEC_PER_SEC,
                .reset_unanswered = true,
        };
        struct nsupdate *driver = calloc(1, sizeof(*driver));
        int r;

        if (!driver)
                return -ENOMEM;
        driver->upstream = upstream;
        LIST_INIT(&driver->exchanges);
        TAILQ_INIT(&driver->held);
        r = dns_client_new(upstream_event(upstream), &options, on_state, driver, &driver->client);
        if (r < 0) {
                free(driver);
                *why = strdup("its connection cannot be set up");
                return r;
        }
        /* One that is opened beside another is not in force yet. */
        if (!upstream->driver)
                upstream->plan->fudge_sec = nsupdate_fudge(driver, NULL);
        *ret = driver;
        return 0;
}

static bool nsupdate_is_connected(const void *userdata)
{
        const struct nsupdate *driver = userdata;

        return dns_client_get_state(driver->client) == DNS_CLIENT_CONNECTED;
}

/* --- ends --- */

static void finish_answers(struct job *job, usec_t now_usec)
{
        struct plan_batch *batch = job->batch;

        for (unsigned i = 0; i < batch->n_units; i++) {
                struct answer *answer = &job->answers[i];

                /* What was not asked, or not answered, is not "nothing there". */
                if (answer->n_missing > 0)
                        continue;
                if (batch->action == PLAN_QUERY)
                        plan_answer(batch, i, &answer->found, answer->alias, now_usec);
                else
                        plan_probed(batch, i, job->has_zone && answer->cut[0] ? answer->cut : NULL,
                                    job->has_zone && answer->absent, now_usec);
        }
}

/* The batch is over; "upstream_sent" looks for the next. */
static void finish_job(struct nsupdate *driver, struct job *job)
{
        struct plan_batch *batch = job->batch;
        struct upstream *upstream = driver->upstream;
        unsigned n_units = has_answers(batch) ? batch->n_units : 0;
        usec_t now_usec = upstream_now();

        if (job->outcome == PLAN_ACKNOWLEDGED)
                upstream_succeeded(upstream);
        if (n_units > 0)
                finish_answers(job, now_usec);
        plan_finish_rest(batch, job->outcome, job->reason, now_usec);
        job_free(job, n_units);
        upstream_sent(upstream);
}

static void end_job(struct nsupdate *driver, struct job *job, enum plan_outcome outcome, const char *reason)
{
        nsupdate_note(job, outcome, "%s", reason);
        if (job->n_open == 0)
                finish_job(driver, job);
}

/* --- exchanges --- */

static void end_try(struct nsupdate *driver, struct exchange *exchange, int error,
                    const struct dns_message *reply);

static void take_serial(struct exchange *exchange, int error, const struct dns_message *reply)
{
        struct upstream *upstream = exchange->driver->upstream;
        struct tsig_answer answer;
        unsigned lane = exchange->unit;
        uint32_t serial = 0;

        if (error >= 0 && (!reply || nsupdate_verify(exchange, reply, &answer) != TSIG_GOOD))
                error = -EBADMSG;
        if (error >= 0)
                error = nsupdate_read_serial(reply, &upstream->plan->lanes[lane].zone, &serial);
        exchange_free(exchange);
        upstream_serial(upstream, lane, error, serial);
}

static int send_question(struct nsupdate *driver, enum exchange_kind kind, struct job *job, unsigned unit,
                         const struct dns_name *owner, uint16_t type);

static struct dns_name asked_owner(const struct exchange *exchange)
{
        const struct plan_batch *batch = exchange->job->batch;

        return exchange->unit < batch->n_units ? unit_owner(batch->units[exchange->unit])
                                               : batch->plan->lanes[batch->lane].zone;
}

/* A question that a connection left unanswered which answered others goes out again by itself: a server that
 * answers one message in a connection would else have all of them asked anew for ever. */
static bool ask_again(const struct exchange *exchange, int error)
{
        struct nsupdate *driver = exchange->driver;
        struct dns_name owner;

        if (exchange->kind == EXCHANGE_UPDATE || error != -ECONNABORTED)
                return false;
        owner = asked_owner(exchange);
        return send_question(driver, exchange->kind, exchange->job, exchange->unit, &owner, exchange->type) >=
               0;
}

static void take_reply(struct exchange *exchange, int error, const struct dns_message *reply)
{
        struct nsupdate *driver = exchange->driver;
        struct job *job = exchange->job;

        if (error < 0 && ask_again(exchange, error))
                log_debug("%s: asked again on another connection", driver->upstream->identity);
        else if (error < 0)
                nsupdate_judge_error(exchange, error);
        else if (!reply)
                nsupdate_note(job, PLAN_LOST, "the answer is malformed");
        else
                nsupdate_judge_reply(exchange, reply);
        exchange_free(exchange);
        if (--job->n_open == 0)
                finish_job(driver, job);
}

static void on_reply(void *userdata, int error, const uint8_t *bytes, size_t size)
{
        struct exchange *exchange = userdata;
        struct nsupdate *driver = exchange->driver;
        _cleanup_free_ struct dns_message *reply = malloc(sizeof(*reply));

        exchange->request = NULL;
        driver->asked_last &= error < 0 || exchange->kind == EXCHANGE_SERIAL;
        if (error >= 0 && reply && dns_message_walk(bytes, size, NULL, reply, NULL) < 0) {
                free(reply);
                reply = NULL;
        }
        switch (exchange->kind) {
        case EXCHANGE_UPDATE:
        case EXCHANGE_QUERY:
        case EXCHANGE_PROBE:
                take_reply(exchange, error, reply);
                break;
        case EXCHANGE_SERIAL:
                take_serial(exchange, error, reply);
                break;
        case EXCHANGE_FUDGE:
                end_try(driver, exchange, error, reply);
                break;
        }
        if (!driver->step_back)
                return;
        driver->step_back = false;
        dns_client_disconnect(driver->client);
}

static void on_sent(void *userdata)
{
        struct exchange *exchange = userdata;

        if (exchange->sent)
                return;
        exchange->sent = true;
        if (exchange->kind == EXCHANGE_UPDATE)
                plan_sent(exchange->job->batch, nsupdate_time(exchange), exchange->tsig.fudge,
                          exchange->peer ? (uint8_t) (exchange->peer - exchange->driver->peers + 1) : 0,
                          upstream_now());
}

static struct exchange *exchange_new(struct nsupdate *driver, enum exchange_kind kind, struct job *job)
{
        struct exchange *exchange = calloc(1, sizeof(*exchange));

        if (!exchange)
                return NULL;
        exchange->driver = driver;
        exchange->kind = kind;
        exchange->job = job;
        LIST_INSERT_HEAD(&driver->exchanges, exchange, exchanges);
        return exchange;
}

/* Takes the exchange. */
static int exchange_begin(struct exchange *exchange, const uint8_t *octets, ssize_t size)
{
        struct nsupdate *driver = exchange->driver;
        struct job *job = exchange->job;
        size_t room = nsupdate_room(driver);
        const struct dns_client_message message = {
                .octets = octets,
                .size = (size_t) size,
                .room = room,
                .timeout_usec = driver->upstream->config->timeout_usec,
                .first = exchange->kind == EXCHANGE_SERIAL,
                .over_tcp = (size_t) size + room > NSUPDATE_DATAGRAM_MAX || (job && job->batch->stream),
                .prepare = nsupdate_prepare,
                .sent = on_sent,
                .done = on_reply,
                .userdata = exchange,
        };
        int r = size < 0 ? (int) size : dns_client_send(driver->client, &message, &exchange->request);

        if (r < 0)
                exchange_free(exchange);
        else if (job)
                job->n_open++;
        return r;
}

static uint8_t message_buffer[DNS_MESSAGE_MAX];

static int send_question(struct nsupdate *driver, enum exchange_kind kind, struct job *job, unsigned unit,
                         const struct dns_name *owner, uint16_t type)
{
        struct exchange *exchange = exchange_new(driver, kind, job);

        if (!exchange)
                return -ENOMEM;
        exchange->unit = unit;
        exchange->type = type;
        return exchange_begin(exchange, message_buffer,
                              nsupdate_write_query(owner, type, dns_client_id(driver->client), message_buffer,
                                                   sizeof(message_buffer)));
}

static void nsupdate_ask_serial(void *userdata, unsigned lane)
{
        struct nsupdate *driver = userdata;
        const struct dns_name *zone = &driver->upstream->plan->lanes[lane].zone;
        int r = send_question(driver, EXCHANGE_SERIAL, NULL, lane, zone, DNS_TYPE_SOA);

        if (r < 0)
                upstream_serial(driver->upstream, lane, r, 0);
}

static int ask_content(struct nsupdate *driver, struct job *job, unsigned unit)
{
        struct dns_name owner = unit_owner(job->batch->units[unit]);
        struct plan_position position = {};
        struct plan_item item;
        int r = 0;

        while (r >= 0 && plan_item_next(job->batch->units[unit], &position, &item)) {
                job->answers[unit].n_missing++;
                r = send_question(driver, EXCHANGE_QUERY, job, unit, &owner, item.type);
        }
        return r;
}

static int ask_cut(struct nsupdate *driver, struct job *job, unsigned unit)
{
        struct dns_name owner = unit_owner(job->batch->units[unit]);

        job->answers[unit].n_missing = 1;
        return send_question(driver, EXCHANGE_PROBE, job, unit, &owner, DNS_TYPE_SOA);
}

static void send_questions(struct nsupdate *driver, struct job *job)
{
        const struct plan_batch *batch = job->batch;
        int r = 0;

        for (unsigned i = 0; i < batch->n_units; i++)
                job->answers[i].n_missing = 1; /* until it was asked */
        if (batch->action == PLAN_PROBE)
                r = send_question(driver, EXCHANGE_PROBE, job, batch->n_units,
                                  &batch->plan->lanes[batch->lane].zone, DNS_TYPE_SOA);
        for (unsigned i = 0; i < batch->n_units && r >= 0; i++) {
                job->answers[i].n_missing = 0;
                r = batch->action == PLAN_QUERY ? ask_content(driver, job, i) : ask_cut(driver, job, i);
        }
        /* Too many at once, say: those that were asked are answered. */
        if (r < 0)
                end_job(driver, job, r == -ENOBUFS ? PLAN_AGAIN : PLAN_UNSENT, strerror(-r));
}

static void send_update(struct nsupdate *driver, struct job *job)
{
        struct exchange *exchange = exchange_new(driver, EXCHANGE_UPDATE, job);
        ssize_t size = exchange ? nsupdate_write_update(driver, job->batch, dns_client_id(driver->client),
                                                        message_buffer, sizeof(message_buffer))
                                : -ENOMEM;
        int r;

        if (!exchange)
                r = -ENOMEM;
        else {
                exchange->max_fudge_sec = job->batch->fudge_sec;
                r = exchange_begin(exchange, message_buffer, size);
        }
        if (r == -EMSGSIZE)
                end_job(driver, job, PLAN_REJECTED, "it does not fit into a message");
        else if (r < 0)
                end_job(driver, job, PLAN_UNSENT, strerror(-r));
}

/* --- how to sign --- */

/* What was held goes out, or ends. */
static void release(struct nsupdate *driver, enum plan_outcome outcome, const char *reason)
{
        struct job_queue held = TAILQ_HEAD_INITIALIZER(held);
        struct job *job;

        TAILQ_CONCAT(&held, &driver->held, held);
        while ((job = TAILQ_FIRST(&held))) {
                TAILQ_REMOVE(&held, job, held);
                if (outcome == PLAN_ACKNOWLEDGED)
                        send_update(driver, job);
                else
                        end_job(driver, job, outcome, reason);
        }
}

/* An UPDATE that does nothing, signed as the next ones are to be. */
static void begin_try(struct nsupdate *driver)
{
        const struct job *first = TAILQ_FIRST(&driver->held);
        const struct dns_name *zone = &first->batch->plan->lanes[first->batch->lane].zone;
        struct exchange *exchange = exchange_new(driver, EXCHANGE_FUDGE, NULL);
        int r = exchange ? exchange_begin(exchange, message_buffer,
                                          nsupdate_write_nothing(zone, dns_client_id(driver->client),
                                                                 message_buffer, sizeof(message_buffer)))
                         : -ENOMEM;

        if (r < 0) {
                release(driver, PLAN_UNSENT, strerror(-r));
                return;
        }
        driver->trying = true;
        driver->n_tried++;
}

static void end_try(struct nsupdate *driver, struct exchange *exchange, int error,
                    const struct dns_message *reply)
{
        /* A batch of nothing, for what the answer says. */
        struct plan_batch batch = {};
        struct job job = { .batch = &batch, .outcome = PLAN_ACKNOWLEDGED };
        struct peer *peer = exchange->peer;

        exchange->job = &job;
        if (error < 0)
                nsupdate_judge_error(exchange, error);
        else if (!reply)
                nsupdate_note(&job, PLAN_LOST, "the answer is malformed");
        else
                nsupdate_judge_reply(exchange, reply);
        /* Refused without a signature: perhaps for the fudge alone. */
        if (reply && reply->tsig < 0 && peer && peer->fudge == FUDGE_UNTRIED)
                peer->fudge = FUDGE_TRY_WIDE;
        else if (reply && reply->tsig < 0 && peer)
                peer->fudge = FUDGE_UNTRIED;
        exchange->job = NULL;
        exchange_free(exchange);
        driver->trying = false;
        /* Another message had its turn on that connection. */
        driver->n_tried -= error == -ECONNABORTED;
        driver->upstream->plan->fudge_sec = nsupdate_fudge(driver, peer);

        if (nsupdate_is_ready(driver)) {
                driver->n_tried = 0;
                release(driver, PLAN_ACKNOWLEDGED, NULL);
        } else if (driver->n_tried < TRIES_MAX && (job.outcome == PLAN_LATE || job.outcome == PLAN_AGAIN ||
                                                   (peer && peer->fudge == FUDGE_TRY_WIDE))) {
                if (!TAILQ_EMPTY(&driver->held) && !driver->step_back)
                        begin_try(driver);
                else
                        release(driver, PLAN_AGAIN, job.reason);
        } else {
                driver->n_tried = 0;
                /* Nothing that was held was sent, so that nothing of it is in doubt. */
                release(driver,
                        job.outcome == PLAN_ACKNOWLEDGED ? PLAN_AGAIN
                        : job.outcome == PLAN_DENIED     ? PLAN_DENIED
                                                         : PLAN_UNSENT,
                        job.reason);
        }
}

static void nsupdate_send(void *userdata, struct plan_batch *batch)
{
        struct nsupdate *driver = userdata;
        bool answers = has_answers(batch);
        struct job *job = calloc(1, sizeof(*job) + (answers ? batch->n_units * sizeof(job->answers[0]) : 0));

        if (!job) {
                plan_finish(batch, PLAN_UNSENT, "out of memory", upstream_now());
                return;
        }
        job->batch = batch;
        job->outcome = PLAN_ACKNOWLEDGED;
        batch->twin = !driver->upstream->config->tcp;
        driver->upstream->plan->fudge_sec = nsupdate_fudge(driver, nsupdate_peer(driver));
        if (answers)
                send_questions(driver, job);
        else if (nsupdate_is_ready(driver))
                send_update(driver, job);
        else {
                TAILQ_INSERT_TAIL(&driver->held, job, held);
                if (!driver->trying)
                        begin_try(driver);
        }
}

/* What went out may be applied; the rest goes out again, over whatever comes next. */
static void nsupdate_abandon(void *userdata, const char *reason)
{
        struct nsupdate *driver = userdata;

        driver->trying = false;
        while (!LIST_EMPTY(&driver->exchanges)) {
                struct exchange *exchange = LIST_FIRST(&driver->exchanges);
                enum exchange_kind kind = exchange->kind;
                struct job *job = exchange->job;
                unsigned lane = exchange->unit;

                if (job)
                        nsupdate_note(job, exchange->sent ? PLAN_LOST : PLAN_AGAIN, "%s", reason);
                exchange_free(exchange);
                if (kind == EXCHANGE_SERIAL)
                        upstream_serial(driver->upstream, lane, -ECANCELED, 0);
                if (job && --job->n_open == 0)
                        finish_job(driver, job);
        }
        release(driver, PLAN_AGAIN, reason);
}

const struct upstream_driver nsupdate_driver = {
        .open = nsupdate_open,
        .close = nsupdate_close,
        .abandon = nsupdate_abandon,
        .send = nsupdate_send,
        .ask_serial = nsupdate_ask_serial,
        .is_connected = nsupdate_is_connected,
};
