/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/random.h>

#include "net/dns-client.h"
#include "upstream/nsupdate.h"
#include "util/log.h"

struct nsupdate {
        struct upstream *upstream;
        struct dns_client *client;
        LIST_HEAD(, exchange) exchanges;
};

/* A message under way: an UPDATE for all units of a batch, a query for one of them, or, without a job, for
 * the serial of a lane's zone. */
struct exchange {
        LIST_ENTRY(exchange) exchanges;
        struct nsupdate *driver;
        struct dns_request *request;
        struct job *job;
        unsigned unit; /* or lane */
        uint16_t type; /* of a query */
        struct tsig_context tsig;
};

/* A batch under way. */
struct job {
        struct plan_batch *batch;
        unsigned n_open;
        enum plan_outcome outcome; /* the worst so far */
        char reason[160];
        struct answer {
                struct rrset found;
                bool foreign;
                unsigned n_missing; /* answers still to come */
        } answers[];                /* of a query batch */
};

static void note(struct job *job, enum plan_outcome outcome, const char *format, ...) _printf_(3, 4);
static void finish_job(struct nsupdate *driver, struct job *job);

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

static void nsupdate_close(void *userdata)
{
        struct nsupdate *driver = userdata;

        while (!LIST_EMPTY(&driver->exchanges)) {
                struct exchange *exchange = LIST_FIRST(&driver->exchanges);
                struct job *job = exchange->job;

                exchange_free(exchange);
                if (job && --job->n_open == 0) {
                        struct plan_batch *batch = job->batch;

                        job_free(job, batch->action == PLAN_QUERY ? batch->n_units : 0);
                        free(batch);
                }
        }
        dns_client_free(driver->client);
        free(driver);
}

static void nsupdate_abandon(void *userdata, const char *reason)
{
        struct nsupdate *driver = userdata;

        while (!LIST_EMPTY(&driver->exchanges)) {
                struct exchange *exchange = LIST_FIRST(&driver->exchanges);
                struct upstream *upstream = driver->upstream;
                struct job *job = exchange->job;
                unsigned lane = exchange->unit;

                exchange_free(exchange);
                if (!job) {
                        upstream_serial(upstream, lane, -ECANCELED, 0);
                        continue;
                }
                note(job, PLAN_LOST, "%s", reason);
                if (--job->n_open == 0)
                        finish_job(driver, job);
        }
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
        };
        struct nsupdate *driver = calloc(1, sizeof(*driver));
        int r;

        if (!driver)
                return -ENOMEM;
        driver->upstream = upstream;
        LIST_INIT(&driver->exchanges);
        r = dns_client_new(upstream_event(upstream), &options, NULL, driver, &driver->client);
        if (r < 0) {
                free(driver);
                *why = strdup("its connection cannot be set up");
                return r;
        }
        *ret = driver;
        return 0;
}

static bool nsupdate_is_connected(const void *userdata)
{
        const struct nsupdate *driver = userdata;

        return dns_client_get_state(driver->client) == DNS_CLIENT_CONNECTED;
}

/* --- building --- */

static void write_records(struct dns_builder *builder, const struct unit *unit, const struct dns_name *owner,
                          uint32_t ttl_sec)
{
        struct rrset_item item;
        uint32_t position = 0;

        while (rrset_next(&unit->sending, &position, &item))
                dns_builder_rr(builder, DNS_SECTION_AUTHORITY, owner, item.type, DNS_CLASS_IN, ttl_sec,
                               item.rdata, item.length);
}

/* Nothing foreign is at the name: no address, no alias, no delegation. A TXT may be. */
static void write_prerequisites(struct dns_builder *builder, const struct unit *unit)
{
        static const uint16_t forward[] = { DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_CNAME, DNS_TYPE_NS };
        static const uint16_t ptr[] = { DNS_TYPE_PTR, DNS_TYPE_CNAME };
        const uint16_t *types = unit->kind == UNIT_FORWARD ? forward : ptr;
        size_t n = unit->kind == UNIT_FORWARD ? ELEMENTSOF(forward) : ELEMENTSOF(ptr);
        struct dns_name owner = unit_owner(unit);

        for (size_t i = 0; i < n; i++)
                dns_builder_rr(builder, DNS_SECTION_ANSWER, &owner, types[i], DNS_CLASS_NONE, 0, NULL, 0);
}

static void write_forward(struct dns_builder *builder, const struct unit *unit, enum plan_action action,
                          uint32_t ttl_sec)
{
        struct dns_name owner = unit_owner(unit);

        if (action == PLAN_REPLACE) {
                dns_builder_rr(builder, DNS_SECTION_AUTHORITY, &owner, DNS_TYPE_A, DNS_CLASS_ANY, 0, NULL, 0);
                dns_builder_rr(builder, DNS_SECTION_AUTHORITY, &owner, DNS_TYPE_AAAA, DNS_CLASS_ANY, 0, NULL,
                               0);
        }
        write_records(builder, unit, &owner, ttl_sec);
}

/* PTRs are deleted by value: beside ours there may be others. */
static void write_ptr(struct dns_builder *builder, const struct unit *unit, uint32_t ttl_sec)
{
        struct dns_name owner = unit_owner(unit);
        struct rrset_item item;
        uint32_t position = 0;

        while (rrset_next(&unit->row_set, &position, &item))
                if (!rrset_contains(&unit->sending, &item))
                        dns_builder_rr(builder, DNS_SECTION_AUTHORITY, &owner, item.type, DNS_CLASS_NONE, 0,
                                       item.rdata, item.length);
        write_records(builder, unit, &owner, ttl_sec);
}

/* The RRset of each type is as expected, or absent (RFC 2136 sections 2.4.2 and 2.4.3). */
static void write_expectations(struct dns_builder *builder, const struct unit *unit)
{
        static const uint16_t forward[] = { DNS_TYPE_A, DNS_TYPE_AAAA };
        static const uint16_t ptr[] = { DNS_TYPE_PTR };
        const uint16_t *types = unit->kind == UNIT_FORWARD ? forward : ptr;
        size_t n = unit->kind == UNIT_FORWARD ? ELEMENTSOF(forward) : ELEMENTSOF(ptr);
        struct dns_name owner = unit_owner(unit);

        for (size_t i = 0; i < n; i++) {
                struct rrset_item item;
                uint32_t position = 0;
                bool absent = true;

                while (rrset_next(&unit->sending, &position, &item)) {
                        if (item.type != types[i])
                                continue;
                        dns_builder_rr(builder, DNS_SECTION_ANSWER, &owner, item.type, DNS_CLASS_IN, 0,
                                       item.rdata, item.length);
                        absent = false;
                }
                if (absent)
                        dns_builder_rr(builder, DNS_SECTION_ANSWER, &owner, types[i], DNS_CLASS_NONE, 0, NULL,
                                       0);
        }
}

static void build_update(struct dns_builder *builder, const struct plan_batch *batch, uint32_t ttl_sec)
{
        const struct dns_name *zone = &batch->plan->lanes[batch->lane].zone;

        dns_builder_question(builder, zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        if (batch->action == PLAN_VERIFY) {
                for (unsigned i = 0; i < batch->n_units; i++)
                        write_expectations(builder, batch->units[i]);
                return;
        }
        if (batch->action == PLAN_FIRST)
                for (unsigned i = 0; i < batch->n_units; i++)
                        write_prerequisites(builder, batch->units[i]);
        for (unsigned i = 0; i < batch->n_units; i++)
                if (batch->units[i]->kind == UNIT_FORWARD)
                        write_forward(builder, batch->units[i], batch->action, ttl_sec);
                else
                        write_ptr(builder, batch->units[i], ttl_sec);
}

/* --- answers --- */

static void finish_job(struct nsupdate *driver, struct job *job)
{
        struct plan_batch *batch = job->batch;
        struct upstream *upstream = driver->upstream;
        usec_t now_usec = upstream_now();

        if (job->outcome == PLAN_ACKNOWLEDGED)
                upstream_succeeded(upstream);
        if (batch->action != PLAN_QUERY) {
                plan_finish(batch, job->outcome, job->reason, now_usec);
                job_free(job, 0);
        } else {
                unsigned n_units = batch->n_units;

                for (unsigned i = 0; i < n_units; i++)
                        if (job->answers[i].n_missing == 0)
                                plan_answer(batch, i, &job->answers[i].found, job->answers[i].foreign,
                                            now_usec);
                plan_finish_rest(batch, job->outcome, job->reason, now_usec);
                job_free(job, n_units);
        }
        upstream_sent(upstream);
}

static void note(struct job *job, enum plan_outcome outcome, const char *format, ...)
{
        va_list arguments;

        if (!job || job->outcome != PLAN_ACKNOWLEDGED)
                return;
        job->outcome = outcome;
        va_start(arguments, format);
        vsnprintf(job->reason, sizeof(job->reason), format, arguments);
        va_end(arguments);
}

/* No connection was there: nothing can have been applied. */
static bool surely_unsent(int error)
{
        return error == -ECONNREFUSED || error == -EHOSTUNREACH || error == -ENETUNREACH || error == -ENXIO;
}

static void judge_error(struct job *job, int error)
{
        switch (error) {
        case -ETIMEDOUT:
                note(job, PLAN_LOST, "no answer within the time-out");
                break;
        case -ENXIO:
                note(job, PLAN_UNSENT, "the server's host name has no address");
                break;
        case -EBADMSG:
                note(job, PLAN_LOST, "the answer is malformed");
                break;
        default:
                note(job, surely_unsent(error) ? PLAN_UNSENT : PLAN_LOST, "connection failed: %s",
                     strerror(-error));
        }
}

/* The reply's signature. True: it may be believed. */
static bool judge_tsig(const struct exchange *exchange, const struct dns_message *reply)
{
        const struct upstream_config *config = exchange->driver->upstream->config;
        struct job *job = exchange->job;
        uint64_t server_time = 0;
        unsigned error = 0;
        int64_t skew;

        if (config->key_source == UPSTREAM_KEY_NONE)
                return true;
        switch (tsig_verify(reply, &exchange->tsig, now_usec(CLOCK_REALTIME) / USEC_PER_SEC, &error,
                            &server_time)) {
        case TSIG_GOOD:
                return true;
        case TSIG_BADTIME:
                skew = (int64_t) (server_time - exchange->tsig.time_signed);
                note(job, PLAN_DENIED, "BADTIME: its clock and ours differ by %lld s; synchronize both",
                     (long long) skew);
                return false;
        case TSIG_UNSIGNED:
                note(job, PLAN_DENIED,
                     error == DNS_RCODE_BADKEY
                             ? "BADKEY: the server does not know the TSIG key; check tsig-name "
                               "and tsig-algorithm"
                             : "BADSIG: the TSIG secrets differ; check tsig-secret");
                return false;
        case TSIG_MISSING:
                note(job, PLAN_LOST, "the answer is not signed (%s)",
                     dns_rcode_to_string(dns_message_rcode(reply)) ?: "unknown RCODE");
                return false;
        case TSIG_BAD:
                note(job, PLAN_LOST, "the answer's TSIG is wrong");
                return false;
        }
        return false;
}

static void judge_update(struct job *job, unsigned rcode)
{
        const char *text = dns_rcode_to_string(rcode) ?: "unknown RCODE";

        switch (rcode) {
        case DNS_RCODE_NOERROR:
                return;
        case DNS_RCODE_YXDOMAIN:
        case DNS_RCODE_YXRRSET:
        case DNS_RCODE_NXRRSET:
        case DNS_RCODE_NXDOMAIN:
                note(job, PLAN_PREREQUISITE, "%s: the server has data of its own at this name", text);
                return;
        case DNS_RCODE_NOTAUTH:
                note(job, PLAN_DENIED,
                     "%s: the server is not authoritative for the zone, or the key may not "
                     "update it",
                     text);
                return;
        case DNS_RCODE_NOTIMP:
                note(job, PLAN_DENIED, "%s: the server takes no updates", text);
                return;
        default:
                note(job, PLAN_REJECTED, "the server answers %s to the update", text);
        }
}

static void judge_answer(struct exchange *exchange, const struct dns_message *reply)
{
        struct answer *answer = &exchange->job->answers[exchange->unit];
        const struct unit *unit = exchange->job->batch->units[exchange->unit];
        struct dns_name owner = unit_owner(unit), name;
        unsigned rcode = dns_message_rcode(reply), first, n;

        if (rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN) {
                note(exchange->job, PLAN_REJECTED, "the server answers %s to a query",
                     dns_rcode_to_string(rcode) ?: "unknown RCODE");
                return;
        }
        n = dns_message_section(reply, DNS_SECTION_ANSWER, &first);
        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &reply->rrs[i];

                if (dns_message_owner(reply, rr, &name) < 0 || !dns_name_equal(&name, &owner))
                        continue;
                if (rr->type == DNS_TYPE_CNAME || rr->type == DNS_TYPE_DNAME)
                        answer->foreign = true;
                else if (rr->type == DNS_TYPE_PTR && rr->type == exchange->type) {
                        if (dns_message_name(reply, rr->rdata, &name, NULL) >= 0)
                                (void) rrset_add_name(&answer->found, DNS_TYPE_PTR, &name);
                } else if (rr->type == exchange->type)
                        (void) rrset_add(&answer->found, rr->type, dns_message_rdata(reply, rr),
                                         rr->rdlength);
        }
        /* A referral at the name itself. */
        n = dns_message_section(reply, DNS_SECTION_AUTHORITY, &first);
        for (unsigned i = first; i < first + n; i++)
                if (reply->rrs[i].type == DNS_TYPE_NS && !(reply->flags & DNS_FLAG_AA) &&
                    dns_message_owner(reply, &reply->rrs[i], &name) >= 0 && dns_name_equal(&name, &owner))
                        answer->foreign = true;
        answer->n_missing--;
}

/* MNAME and RNAME are two names, the serial is behind them (RFC 1035 section 3.3.13). */
static int read_serial(const struct dns_message *reply, const struct dns_name *zone, uint32_t *ret)
{
        unsigned first, n = dns_message_section(reply, DNS_SECTION_ANSWER, &first);
        struct dns_name name;

        if (dns_message_rcode(reply) != DNS_RCODE_NOERROR || !(reply->flags & DNS_FLAG_AA))
                return -EBADMSG;
        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &reply->rrs[i];
                const uint8_t *rdata = dns_message_rdata(reply, rr);

                if (rr->type != DNS_TYPE_SOA || rr->rdlength < 22 ||
                    dns_message_owner(reply, rr, &name) < 0 || !dns_name_equal(&name, zone))
                        continue;
                rdata += rr->rdlength - 20;
                *ret = (uint32_t) rdata[0] << 24 | (uint32_t) rdata[1] << 16 | (uint32_t) rdata[2] << 8 |
                       rdata[3];
                return 0;
        }
        return -EBADMSG;
}

static void take_serial(struct exchange *exchange, int error, const uint8_t *bytes, size_t size,
                        struct dns_message *reply)
{
        struct upstream *upstream = exchange->driver->upstream;
        unsigned lane = exchange->unit;
        uint32_t serial = 0;

        if (error >= 0 &&
            (!reply || dns_message_walk(bytes, size, NULL, reply, NULL) < 0 || !judge_tsig(exchange, reply)))
                error = -EBADMSG;
        if (error >= 0)
                error = read_serial(reply, &upstream->plan->lanes[lane].zone, &serial);
        exchange_free(exchange);
        upstream_serial(upstream, lane, error, serial);
}

static void on_reply(void *userdata, int error, const uint8_t *bytes, size_t size)
{
        struct exchange *exchange = userdata;
        struct nsupdate *driver = exchange->driver;
        struct job *job = exchange->job;
        _cleanup_free_ struct dns_message *reply = malloc(sizeof(*reply));

        exchange->request = NULL;
        if (!job) {
                take_serial(exchange, error, bytes, size, reply);
                return;
        }
        if (error < 0)
                judge_error(job, error);
        else if (!reply)
                note(job, PLAN_LOST, "out of memory");
        else if (dns_message_walk(bytes, size, NULL, reply, NULL) < 0)
                note(job, PLAN_LOST, "the answer is malformed");
        else if (judge_tsig(exchange, reply)) {
                if (job->batch->action == PLAN_QUERY)
                        judge_answer(exchange, reply);
                else
                        judge_update(job, dns_message_rcode(reply));
        }
        exchange_free(exchange);
        if (--job->n_open == 0)
                finish_job(driver, job);
}

/* --- sending --- */

static int send_message(struct nsupdate *driver, struct job *job, unsigned unit, uint16_t type)
{
        const struct upstream_config *config = driver->upstream->config;
        static uint8_t buffer[DNS_MESSAGE_MAX];
        struct exchange *exchange = calloc(1, sizeof(*exchange));
        const struct plan_batch *batch = job ? job->batch : NULL;
        struct dns_builder builder;
        ssize_t size;
        int r;

        if (!exchange)
                return -ENOMEM;
        exchange->driver = driver;
        exchange->job = job;
        exchange->unit = unit;
        exchange->type = type;
        LIST_INSERT_HEAD(&driver->exchanges, exchange, exchanges);

        dns_builder_begin(&builder, buffer, sizeof(buffer), dns_client_id(driver->client),
                          (uint16_t) (type ? 0 : DNS_OPCODE_UPDATE << 11));
        if (type) {
                struct dns_name owner = batch ? unit_owner(batch->units[unit])
                                              : driver->upstream->plan->lanes[unit].zone;

                dns_builder_question(&builder, &owner, type, DNS_CLASS_IN);
        } else
                build_update(&builder, batch, config->record_ttl_sec);
        size = dns_builder_end(&builder);
        r = size < 0 ? (int) size : 0;
        if (r >= 0 && config->key_source != UPSTREAM_KEY_NONE) {
                r = tsig_sign(&builder, &config->tsig_key, now_usec(CLOCK_REALTIME) / USEC_PER_SEC,
                              &exchange->tsig);
                if (r >= 0) {
                        size = dns_builder_end(&builder);
                        r = size < 0 ? (int) size : 0;
                }
        }
        if (r >= 0)
                r = dns_client_request(driver->client, buffer, (size_t) size, config->timeout_usec, on_reply,
                                       exchange, &exchange->request);
        if (r < 0) {
                exchange_free(exchange);
                return r;
        }
        if (job)
                job->n_open++;
        return 0;
}

static void nsupdate_ask_serial(void *userdata, unsigned lane)
{
        struct nsupdate *driver = userdata;
        int r = send_message(driver, NULL, lane, DNS_TYPE_SOA);

        if (r < 0)
                upstream_serial(driver->upstream, lane, r, 0);
}

static int send_queries(struct nsupdate *driver, struct job *job)
{
        int r;

        for (unsigned i = 0; i < job->batch->n_units; i++) {
                bool forward = job->batch->units[i]->kind == UNIT_FORWARD;

                job->answers[i].n_missing = forward ? 2 : 1;
                r = send_message(driver, job, i, forward ? DNS_TYPE_A : DNS_TYPE_PTR);
                if (r >= 0 && forward)
                        r = send_message(driver, job, i, DNS_TYPE_AAAA);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void nsupdate_send(void *userdata, struct plan_batch *batch)
{
        struct nsupdate *driver = userdata;
        bool query = batch->action == PLAN_QUERY;
        struct job *job = calloc(1, sizeof(*job) + (query ? batch->n_units * sizeof(job->answers[0]) : 0));
        int r;

        if (!job) {
                plan_finish(batch, PLAN_UNSENT, "out of memory", upstream_now());
                return;
        }
        job->batch = batch;
        job->outcome = PLAN_ACKNOWLEDGED;
        r = query ? send_queries(driver, job) : send_message(driver, job, 0, 0);
        if (r >= 0)
                return;
        note(job, PLAN_UNSENT, "cannot send: %s", strerror(-r));
        if (job->n_open == 0)
                finish_job(driver, job);
}

const struct upstream_driver nsupdate_driver = {
        .open = nsupdate_open,
        .close = nsupdate_close,
        .abandon = nsupdate_abandon,
        .send = nsupdate_send,
        .ask_serial = nsupdate_ask_serial,
        .is_connected = nsupdate_is_connected,
};
