/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "dns/rdata.h"
#include "net/control-stream.h"
#include "upstream/unbound-list.h"
#include "upstream/unbound.h"
#include "util/escape.h"
#include "util/log.h"

#define REPLY_MAX (64U * 1024 * 1024)
/* How often an Unbound that nothing is sent to is asked whether it still has what it was told. */
#define WATCH_USEC    (10 * USEC_PER_SEC)
#define MARKER_SUFFIX ".nsregd.invalid."

/* "Name of a registrar of this machine", for the marker. */
#define APPLICATION_ID SD_ID128_MAKE(5c, 1f, 0e, 8b, 7a, 93, 4d, 0c, 9e, 21, 6f, b0, d4, 48, 17, 3a)

/* What is done to a batch, one command after the other. */
enum step {
        STEP_IDLE,
        STEP_ZONES,     /* which local zones are there, our marker among them? */
        STEP_ADD_ZONES, /* those that are missing */
        STEP_LIST,      /* all local data: foreign? as it should be? */
        STEP_REMOVE,
        STEP_ADD,
};

struct text {
        char *octets; /* owned */
        size_t size;
        bool failed;
};

struct unbound {
        struct upstream *upstream;
        struct control_tls *tls;
        struct control_stream *stream;
        sd_event_source *watch_source;
        char marker[64];
        bool checked; /* the marker was seen, and nothing has failed since */
        bool known;   /* the marker was there, or put there, in this life */
        enum step step;
        unsigned n_sent; /* lines of the command under way */
        bool removed;    /* of this batch something is gone already */
        struct plan_batch *batch;
        struct unbound_list *list; /* that is being read */
        struct text new_zones;
        unsigned n_new_zones;
};

static void begin_step(struct unbound *driver, enum step step);
static void finish(struct unbound *driver, enum plan_outcome outcome, const char *reason);

/* --- text --- */

static void text_clear(struct text *text)
{
        free(text->octets);
        *text = (struct text){};
}

static void text_add(struct text *text, const char *format, ...) _printf_(2, 3);

static void text_add(struct text *text, const char *format, ...)
{
        _cleanup_free_ char *line = NULL;
        va_list arguments;
        char *octets;
        int size;

        va_start(arguments, format);
        size = vasprintf(&line, format, arguments);
        va_end(arguments);
        if (size < 0)
                line = NULL;
        octets = size >= 0 ? realloc(text->octets, text->size + (size_t) size + 1) : NULL;
        if (!octets) {
                text->failed = true;
                return;
        }
        memcpy(octets + text->size, line, (size_t) size + 1);
        text->octets = octets;
        text->size += (size_t) size;
}

/* --- commands --- */

static void on_reply(void *userdata, int error, const char *reply, size_t size);

/* "lines" NULL: the command has none. */
static int run(struct unbound *driver, const char *command, const struct text *lines)
{
        const struct upstream_config *config = driver->upstream->config;
        const struct control_stream_options options = {
                .path = config->control_socket,
                .host = config->hostname,
                .port = config->port,
                .tls = driver->tls,
                .timeout_usec = config->timeout_usec,
                .reply_max = REPLY_MAX,
        };
        struct text text = {};
        int r;

        if (lines && lines->failed)
                return -ENOMEM;
        text_add(&text, "UBCT1 %s\n", command);
        if (lines && !text.failed) {
                char *octets = realloc(text.octets, text.size + lines->size + 3);

                if (octets) {
                        text.octets = octets;
                        memcpy(octets + text.size, lines->octets, lines->size);
                        /* EOT alone on a line ends the list. */
                        memcpy(octets + text.size + lines->size, "\x04\n", 3);
                        text.size += lines->size + 2;
                } else
                        text.failed = true;
        }
        r = text.failed ? -ENOMEM
                        : control_stream_run(upstream_event(driver->upstream), &options, text.octets,
                                             text.size, on_reply, driver, &driver->stream);
        text_clear(&text);
        return r;
}

static void finish(struct unbound *driver, enum plan_outcome outcome, const char *reason)
{
        struct upstream *upstream = driver->upstream;
        struct plan_batch *batch = TAKE_PTR(driver->batch);

        driver->step = STEP_IDLE;
        text_clear(&driver->new_zones);
        if (!batch)
                return;
        if (outcome == PLAN_ACKNOWLEDGED)
                upstream_succeeded(upstream);
        plan_finish_rest(batch, outcome, reason, upstream_now());
        upstream_sent(upstream);
}

static const char *explain(int error)
{
        switch (error) {
        case -ETIMEDOUT:
                return "no answer within the time-out";
        case -EKEYREJECTED:
                return "its certificate is not the one that is configured, or it does not accept ours";
        case -EPROTO:
                return "it does not speak TLS as expected, or does not accept our certificate";
        case -EFBIG:
                return "its reply is too long";
        case -ENOENT:
                return "its control socket is not there";
        default:
                return strerror(-error);
        }
}

static void fail(struct unbound *driver, int error)
{
        bool writing = driver->step == STEP_REMOVE || driver->step == STEP_ADD;
        bool unsent = error == -ECONNREFUSED || error == -ENOENT || error == -EACCES || error == -ENXIO ||
                      error == -EHOSTUNREACH || error == -ENETUNREACH || error == -EKEYREJECTED ||
                      error == -ENOMEM;

        /* Whoever does not answer may have been restarted when he does. */
        driver->checked = false;
        if (!driver->batch)
                plan_unreachable(driver->upstream->plan, explain(error), upstream_now());
        if (driver->batch && (!writing || (unsent && !driver->removed)))
                driver->batch->sent = false;
        finish(driver, writing && (!unsent || driver->removed) ? PLAN_LOST : PLAN_UNSENT, explain(error));
}

/* A reply that is not what was to be said; foreign text. */
static void reject(struct unbound *driver, const char *reply)
{
        char text[128], reason[192];

        escape_bytes(text, sizeof(text), reply, strcspn(reply, "\n"));
        snprintf(reason, sizeof(reason), "Unbound says \"%s\"", text);
        if (driver->step == STEP_REMOVE || driver->step == STEP_ADD)
                /* A part of it may be there. */
                finish(driver, PLAN_FAILED, reason);
        else {
                if (!driver->batch)
                        plan_unreachable(driver->upstream->plan, reason, upstream_now());
                finish(driver, PLAN_DENIED, reason);
        }
}

/* "added 3 datas": the whole of the last line, and of as many as were sent. */
static bool says(const char *reply, const char *verb, unsigned n, const char *noun)
{
        char expected[64];

        snprintf(expected, sizeof(expected), "%s %u %s\n", verb, n, noun);
        return streq(reply, expected);
}

/* --- zones and the marker --- */

static void make_marker(struct unbound *driver)
{
        const char *identity = driver->upstream->identity;
        uint64_t hash = UINT64_C(14695981039346656037);
        sd_id128_t id = SD_ID128_NULL;

        (void) sd_id128_get_machine_app_specific(APPLICATION_ID, &id);
        for (unsigned i = 0; i < sizeof(id.bytes); i++)
                hash = (hash ^ id.bytes[i]) * UINT64_C(1099511628211);
        for (; *identity; identity++)
                hash = (hash ^ (uint8_t) *identity) * UINT64_C(1099511628211);
        snprintf(driver->marker, sizeof(driver->marker), "%016llx" MARKER_SUFFIX, (unsigned long long) hash);
}

/* Is a zone in the list, whose lines are "name. type". */
static bool lists_zone(const char *list, const struct dns_name *zone)
{
        struct dns_name name;
        char text[DNS_NAME_FORMAT_MAX];

        for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
                size_t length = strcspn(line, " \n");

                if (length == 0 || length >= sizeof(text))
                        continue;
                memcpy(text, line, length);
                text[length] = '\0';
                if (dns_name_parse(text, &name) >= 0 && dns_name_equal(&name, zone))
                        return true;
        }
        return false;
}

static void read_zones(struct unbound *driver, const char *reply)
{
        struct upstream *upstream = driver->upstream;
        const char *type = upstream->config->zone_type ?: "transparent";
        char text[DNS_NAME_FORMAT_MAX];
        struct dns_name marker;

        driver->n_new_zones = 0;
        (void) dns_name_parse(driver->marker, &marker);
        if (!lists_zone(reply, &marker)) {
                log_debug("%s has been restarted, or is new.", upstream->identity);
                upstream_restarted(upstream, driver->known);
                text_add(&driver->new_zones, "%s static\n", driver->marker);
                driver->n_new_zones++;
        }
        for (unsigned i = 0; i < upstream->plan->n_lanes && !streq(type, "none"); i++) {
                if (!upstream->serials[i].configured)
                        continue;
                const struct dns_name *zone = &upstream->plan->lanes[i].zone;

                if (lists_zone(reply, zone))
                        continue;
                text_add(&driver->new_zones, "%s %s\n", dns_name_format(zone, text), type);
                driver->n_new_zones++;
        }
}

/* --- all local data --- */

/* Something of the batch may be there from now on. */
static void note_sent(struct unbound *driver)
{
        usec_t now_usec = upstream_now();

        if (!driver->batch->sent)
                plan_sent(driver->batch, now_usec / USEC_PER_SEC, 0, 1, now_usec);
}

/* Is what was found what is there of ours already: nothing, or the other types of the name? */
static bool is_expected(const struct unit *unit, const struct finding *finding)
{
        struct rrset expected = {};
        bool same = !finding->other;

        FOREACH_PART (part, unit)
                if (part_known(part) && rrset_add_all(&expected, part_known(part)) < 0)
                        same = false;
        same = same && rrset_equal(&expected, &finding->found);
        rrset_clear(&expected);
        return same;
}

/* Removing is by name here, so that nothing of others may be at a name of ours, pointers included. */
static bool is_beside_others(const struct unit *unit, const struct finding *finding)
{
        struct rrset_item item;
        uint32_t position = 0;
        bool others = finding->other;

        while (unit_mode(unit) == UNIT_SHARED && rrset_next(&finding->found, &position, &item))
                others |= !unit_has_part(unit, &item);
        return others;
}

static void on_list(void *userdata, int error)
{
        struct unbound *driver = userdata;
        struct plan_batch *batch = driver->batch;
        usec_t now_usec = upstream_now();

        for (unsigned i = 0; error >= 0 && i < batch->n_units; i++) {
                const struct finding *finding = unbound_list_finding(driver->list, i);
                const struct unit *unit = batch->units[i];

                if (batch->action == PLAN_QUERY)
                        plan_answer(batch, i, &finding->found, is_beside_others(unit, finding), now_usec);
                else if (!is_expected(unit, finding))
                        plan_finish_unit(batch, i, PLAN_PREREQUISITE,
                                         "there is local data of its own at this name", now_usec);
        }
        driver->list = unbound_list_free(driver->list);
        if (error < 0)
                finish(driver, PLAN_UNSENT, "out of memory");
        else if (batch->action == PLAN_FIRST)
                begin_step(driver, STEP_REMOVE);
        else
                finish(driver, PLAN_ACKNOWLEDGED, NULL);
}

static void read_list(struct unbound *driver, const char *reply, size_t size)
{
        int r = unbound_list_new(upstream_event(driver->upstream), driver->batch, reply, size, on_list,
                                 driver, &driver->list);

        if (r < 0)
                finish(driver, PLAN_UNSENT, "out of memory");
}

/* --- changes --- */

/* What is to be at a part of a unit behind this batch; NULL: nothing that is ours to say. */
static const struct rrset *part_after(const struct unit_part *part)
{
        return part->in_message ? &part->values[part->after] : part_known(part);
}

/* Only to be added to: nothing has to go for a moment. */
static bool is_addition(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (part->in_message && (!part_known(part) || part->again_then ||
                                         !rrset_contains_all(&part->values[part->after], part_known(part))))
                        return false;
        return true;
}

static unsigned list_removals(const struct plan_batch *batch, struct text *text)
{
        char owner[DNS_NAME_FORMAT_MAX];
        unsigned n = 0;

        for (unsigned i = 0; i < batch->n_units; i++) {
                struct dns_name name;

                if (!batch->units[i] || is_addition(batch->units[i]))
                        continue;
                name = unit_owner(batch->units[i]);
                text_add(text, "%s\n", dns_name_format(&name, owner));
                n++;
        }
        return n;
}

static unsigned list_part(const struct upstream *upstream, const struct unit_part *part, bool addition,
                          struct text *text)
{
        char owner[DNS_NAME_FORMAT_MAX], type[RDATA_TYPE_FORMAT_MAX];
        const struct rrset *after = part_after(part), *before = part_known(part);
        struct dns_name name = unit_owner(part->unit);
        struct rrset_item item;
        uint32_t position = 0;
        unsigned n = 0;

        dns_name_format(&name, owner);
        while (after && rrset_next(after, &position, &item)) {
                _cleanup_free_ char *rdata = NULL;

                if (addition && before && rrset_contains(before, &item))
                        continue;
                rdata = rdata_format(item.type, item.rdata, item.length);
                text->failed |= !rdata;
                text_add(text, "%s %u IN %s %s\n", owner, upstream_record_ttl(upstream, part->unit, after),
                         rdata_type_format(item.type, type), rdata ?: "");
                n++;
        }
        return n;
}

static unsigned list_additions(const struct upstream *upstream, const struct plan_batch *batch,
                               struct text *text)
{
        unsigned n = 0;

        for (unsigned i = 0; i < batch->n_units; i++) {
                const struct unit *unit = batch->units[i];
                bool addition = unit && is_addition(unit);

                if (!unit)
                        continue;
                FOREACH_PART (part, unit)
                        n += list_part(upstream, part, addition, text);
        }
        return n;
}

/* --- steps --- */

static enum step first_step(const struct plan_batch *batch)
{
        switch (batch->action) {
        case PLAN_FIRST:
        case PLAN_QUERY:
        case PLAN_VERIFY:
        case PLAN_PROBE:
                return STEP_LIST;
        case PLAN_REPLACE:
        case _PLAN_ACTIONS:
                break;
        }
        return STEP_REMOVE;
}

static int run_step(struct unbound *driver, struct text *lines)
{
        switch (driver->step) {
        case STEP_IDLE:
                return 0;
        case STEP_ZONES:
                return run(driver, "list_local_zones", NULL);
        case STEP_ADD_ZONES:
                driver->n_sent = driver->n_new_zones;
                return driver->n_sent > 0 ? run(driver, "local_zones", &driver->new_zones) : 1;
        case STEP_LIST:
                if (driver->batch->action == PLAN_QUERY)
                        note_sent(driver);
                return run(driver, "list_local_data", NULL);
        case STEP_REMOVE:
                driver->n_sent = list_removals(driver->batch, lines);
                if (driver->n_sent == 0)
                        return 1;
                note_sent(driver);
                return run(driver, "local_datas_remove", lines);
        case STEP_ADD:
                driver->n_sent = list_additions(driver->upstream, driver->batch, lines);
                if (driver->n_sent == 0)
                        return 1;
                note_sent(driver);
                return run(driver, "local_datas", lines);
        }
        return -EINVAL;
}

/* Behind a step that is done, or has nothing to do. */
static void next_step(struct unbound *driver)
{
        switch (driver->step) {
        case STEP_ZONES:
                begin_step(driver, STEP_ADD_ZONES);
                return;
        case STEP_ADD_ZONES:
                driver->checked = driver->known = true;
                text_clear(&driver->new_zones);
                if (driver->batch) {
                        begin_step(driver, first_step(driver->batch));
                        return;
                }
                driver->step = STEP_IDLE;
                plan_reachable(driver->upstream->plan);
                upstream_sent(driver->upstream);
                return;
        case STEP_REMOVE:
                driver->removed |= driver->n_sent > 0;
                begin_step(driver, STEP_ADD);
                return;
        case STEP_ADD:
                finish(driver, PLAN_ACKNOWLEDGED, NULL);
                return;
        case STEP_LIST:
        case STEP_IDLE:
                return;
        }
}

static void begin_step(struct unbound *driver, enum step step)
{
        struct text lines = {};
        int r;

        driver->step = step;
        r = run_step(driver, &lines);
        text_clear(&lines);
        if (r < 0)
                fail(driver, r);
        else if (r > 0)
                next_step(driver);
}

static void on_reply(void *userdata, int error, const char *reply, size_t size)
{
        struct unbound *driver = userdata;

        driver->stream = NULL;
        if (error < 0) {
                fail(driver, error);
                return;
        }
        switch (driver->step) {
        case STEP_IDLE:
                return;
        case STEP_ZONES:
                if (strncmp(reply, "error", 5) == 0)
                        break;
                read_zones(driver, reply);
                next_step(driver);
                return;
        case STEP_ADD_ZONES:
                if (!says(reply, "added", driver->n_sent, "zones"))
                        break;
                next_step(driver);
                return;
        case STEP_LIST:
                if (strncmp(reply, "error", 5) == 0)
                        break;
                read_list(driver, reply, size);
                return;
        case STEP_REMOVE:
                if (!says(reply, "removed", driver->n_sent, "datas"))
                        break;
                next_step(driver);
                return;
        case STEP_ADD:
                if (!says(reply, "added", driver->n_sent, "datas"))
                        break;
                next_step(driver);
                return;
        }
        reject(driver, reply);
}

static void unbound_send(void *userdata, struct plan_batch *batch)
{
        struct unbound *driver = userdata;

        driver->batch = batch;
        driver->removed = false;
        /* A watch that is under way goes on to the batch. */
        if (driver->step == STEP_IDLE)
                begin_step(driver, driver->checked ? first_step(batch) : STEP_ZONES);
}

static int on_watch(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct unbound *driver = userdata;

        /* One that is prepared for another configuration is silent until that is in force. */
        if (driver->step == STEP_IDLE && driver->upstream->driver == driver &&
            driver->upstream->state != UPSTREAM_JOINING)
                begin_step(driver, STEP_ZONES);
        else
                driver->checked = false;
        (void) sd_event_source_set_time_relative(source, WATCH_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* --- life --- */

static void unbound_close(void *userdata)
{
        struct unbound *driver = userdata;

        unbound_list_free(driver->list);
        control_stream_free(driver->stream);
        control_tls_free(driver->tls);
        sd_event_source_disable_unref(driver->watch_source);
        text_clear(&driver->new_zones);
        free(driver->batch);
        free(driver);
}

static void unbound_abandon(void *userdata, const char *reason)
{
        struct unbound *driver = userdata;
        struct plan_batch *batch = TAKE_PTR(driver->batch);

        driver->stream = control_stream_free(driver->stream);
        driver->step = STEP_IDLE;
        if (batch)
                plan_finish_rest(batch, PLAN_LOST, reason, upstream_now());
}

static int unbound_open(struct upstream *upstream, void **ret, char **why)
{
        const struct upstream_config *config = upstream->config;
        struct unbound *driver = calloc(1, sizeof(*driver));
        int r = 0;

        if (!driver)
                return -ENOMEM;
        driver->upstream = upstream;
        make_marker(driver);
        if (!config->control_socket)
                r = control_tls_new(config->client_cert, config->client_key, config->server_cert,
                                    config->server_name, &driver->tls, why);
        if (r >= 0)
                r = sd_event_add_time_relative(upstream_event(upstream), &driver->watch_source,
                                               CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_watch, driver);
        if (r < 0) {
                unbound_close(driver);
                return r;
        }
        *ret = driver;
        return 0;
}

static bool unbound_is_connected(const void *userdata)
{
        const struct unbound *driver = userdata;

        return driver->checked;
}

const struct upstream_driver unbound_driver = {
        .open = unbound_open,
        .close = unbound_close,
        .abandon = unbound_abandon,
        .send = unbound_send,
        .is_connected = unbound_is_connected,
};
