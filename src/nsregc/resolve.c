/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/resolve.h"

#include <bsd/sys/queue.h>
#include <stdio.h>

#include "dns/edns.h"
#include "dns/message.h"
#include "net/dns-client.h"
#include "util/log.h"

#define SERVER_TIMEOUT_USEC (3 * USEC_PER_SEC)
#define PLAIN_MAX           8           /* servers known to do without EDNS */
#define RESOLVED_DNS        UINT64_C(1) /* classic DNS only: no LLMNR, no mDNS */

struct resolve_query {
        LIST_ENTRY(resolve_query) entry;
        struct resolver *resolver;
        struct dns_name name;
        uint16_t type;
        usec_t deadline_usec;
        struct server_list servers;
        bool of_link;  /* the servers: what one does not have another may */
        size_t server; /* being asked; of the second round, in which nobody gets an OPT, from n_items on */
        bool silent[SERVER_LIST_MAX];
        bool begun;
        bool plain; /* the question under way has no OPT */
        int error;
        bool said;     /* the reason is a server's word, not its silence */
        bool negative; /* one has answered, with nothing */
        unsigned negative_rcode;
        uint32_t negative_ttl_sec;
        char why[RESOLVE_WHY_MAX];
        struct dns_client *client;
        sd_bus_slot *slot;
        sd_event_source *later;
        resolve_done done;
        void *userdata;
};

LIST_HEAD(query_list, resolve_query);

struct resolver {
        sd_event *event;
        char *server;
        uint16_t port;
        bool tcp;
        usec_t timeout_usec;
        char *resolv_conf;
        sd_bus *bus;
        bool resolved_absent; /* told once */
        struct server_list link_servers;
        struct dns_name local;
        char *plain[PLAIN_MAX];
        size_t n_plain;
        struct query_list queries;
};

static void ask_next(struct resolve_query *query);

struct resolve_query *resolve_query_free(struct resolve_query *query)
{
        if (!query)
                return NULL;
        LIST_REMOVE(query, entry);
        dns_client_free(query->client);
        sd_bus_slot_unref(query->slot);
        sd_event_source_disable_unref(query->later);
        server_list_clear(&query->servers);
        free(query);
        return NULL;
}

static void query_complete(struct resolve_query *query, const struct resolve_answer *answer)
{
        static const struct record_list none;
        struct resolve_answer told = *answer;
        resolve_done done = query->done;
        void *userdata = query->userdata;
        char why[RESOLVE_WHY_MAX];

        memcpy(why, query->why, sizeof(why));
        told.why = why;
        told.records = answer->records ?: &none;
        resolve_query_free(query);
        done(userdata, &told);
}

static void query_fail(struct resolve_query *query, int error)
{
        query_complete(query, &(struct resolve_answer){ .error = error });
}

/* ------ servers ------ */

static const char *server_at(const struct resolve_query *query)
{
        return query->servers.items[query->server % query->servers.n_items];
}

static struct resolve_question question_of(const struct resolve_query *query)
{
        return (struct resolve_question){
                .name = &query->name,
                .type = query->type,
                .server = server_at(query),
                .port = query->resolver->server ? query->resolver->port : RESOLVE_DNS_PORT,
        };
}

static bool plain_known(const struct resolver *resolver, const char *server)
{
        for (size_t i = 0; i < resolver->n_plain; i++)
                if (streq(resolver->plain[i], server))
                        return true;
        return false;
}

static void plain_note(struct resolver *resolver, const char *server)
{
        char *copy;

        if (plain_known(resolver, server) || resolver->n_plain == PLAIN_MAX || !(copy = strdup(server)))
                return;
        log_debug("%s answers without EDNS only", server);
        resolver->plain[resolver->n_plain++] = copy;
}

void resolver_forget(struct resolver *resolver)
{
        while (resolver->n_plain > 0)
                free(resolver->plain[--resolver->n_plain]);
}

static void note_failure(struct resolve_query *query, int error)
{
        struct resolve_question question = question_of(query);

        query->error = error;
        if (error == -ETIMEDOUT)
                query->silent[query->server % query->servers.n_items] = true;
        if (!query->said)
                resolve_why_error(&question, error, query->why);
}

static void note_refusal(struct resolve_query *query, const struct dns_message *message)
{
        struct resolve_question question = question_of(query);

        query->error = -EAGAIN;
        query->said = true;
        resolve_why_rcode(&question, message, query->why);
}

static int server_ask(struct resolve_query *query);

static void on_message(struct resolve_query *query, const struct dns_message *message)
{
        struct record_list records = { 0 };
        unsigned rcode = dns_message_rcode(message);

        if (!query->plain && resolve_dislikes_edns(message)) {
                note_refusal(query, message);
                query->plain = true;
                if (server_ask(query) < 0)
                        ask_next(query);
                return;
        }
        if (rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN) {
                note_refusal(query, message);
                ask_next(query);
                return;
        }
        if (query->plain)
                plain_note(query->resolver, server_at(query));
        if (record_list_read(&records, message) < 0) {
                note_failure(query, -EBADMSG);
                ask_next(query);
        } else if (records.n_items == 0 && query->of_link) {
                query->negative = true;
                query->negative_rcode = rcode;
                query->negative_ttl_sec = resolve_negative_ttl(message);
                ask_next(query);
        } else
                query_complete(query, &(struct resolve_answer){
                                              .rcode = rcode,
                                              .records = &records,
                                              .negative_ttl_sec = resolve_negative_ttl(message),
                                      });
        record_list_clear(&records);
}

static void on_reply(void *userdata, int error, const uint8_t *reply, size_t size)
{
        struct resolve_query *query = userdata;
        struct dns_message message;

        if (error == 0 && dns_message_walk(reply, size, NULL, &message, NULL) < 0)
                error = -EBADMSG;
        if (error == 0) {
                on_message(query, &message);
                return;
        }
        note_failure(query, error);
        ask_next(query);
}

/* What this server may have of the time that is left: some of them are silent to an OPT, so each may be asked
 * twice. */
static usec_t share(const struct resolve_query *query)
{
        usec_t left = usec_sub(query->deadline_usec, now_usec(CLOCK_MONOTONIC));
        size_t turns = 2 * query->servers.n_items - query->server;

        return turns <= 1 ? left : MIN(left / turns, SERVER_TIMEOUT_USEC);
}

static int server_ask(struct resolve_query *query)
{
        struct resolver *resolver = query->resolver;
        struct resolve_question question = question_of(query);
        usec_t timeout = share(query);
        struct dns_client_options options = {
                .host = question.server,
                .port = question.port,
                .udp = !resolver->tcp,
                .connect_timeout_usec = timeout,
        };
        struct dns_edns edns = { .present = true, .udp_size = DNS_UDP_MAX, .ede_code = -1 };
        struct dns_builder builder;
        uint8_t message[512];
        ssize_t size;
        int r;

        query->client = dns_client_free(query->client);
        r = dns_client_new(resolver->event, &options, NULL, NULL, &query->client);
        if (r < 0)
                return r;
        dns_builder_begin(&builder, message, sizeof(message), dns_client_id(query->client), DNS_FLAG_RD);
        dns_builder_question(&builder, &query->name, query->type, DNS_CLASS_IN);
        if (!query->plain)
                dns_edns_write(&builder, &edns, 0);
        size = dns_builder_end(&builder);
        if (size < 0)
                return (int) size;
        return dns_client_request(query->client, message, (size_t) size, timeout, on_reply, query, NULL);
}

/* Moves on to the next turn that makes sense: in the second round those that were silent. False: there is
 * none. */
static bool turn_next(struct resolve_query *query)
{
        size_t n = query->servers.n_items;

        query->server += query->begun;
        query->begun = true;
        while (query->server >= n && query->server < 2 * n && !query->silent[query->server - n])
                query->server++;
        query->plain = query->server >= n || plain_known(query->resolver, server_at(query));
        return query->server < 2 * n && query->deadline_usec > now_usec(CLOCK_MONOTONIC);
}

static void ask_next(struct resolve_query *query)
{
        while (query->servers.n_items > 0 && turn_next(query)) {
                int r = server_ask(query);

                if (r >= 0)
                        return;
                note_failure(query, r);
        }
        if (query->negative)
                query_complete(query, &(struct resolve_answer){
                                              .rcode = query->negative_rcode,
                                              .negative_ttl_sec = query->negative_ttl_sec,
                                      });
        else
                query_fail(query, query->error < 0 ? query->error : -ETIMEDOUT);
}

static int servers_choose(struct resolve_query *query)
{
        struct resolver *resolver = query->resolver;
        struct resolv_conf conf = { 0 };
        int r;

        server_list_clear(&query->servers);
        if (resolver->server)
                return server_list_add(&query->servers, resolver->server);
        if (query->of_link) {
                for (size_t i = 0; i < resolver->link_servers.n_items; i++) {
                        r = server_list_add(&query->servers, resolver->link_servers.items[i]);
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        r = resolv_conf_read(resolver->resolv_conf ?: "/etc/resolv.conf", &conf);
        query->servers = conf.servers;
        conf.servers = (struct server_list){ 0 };
        resolv_conf_clear(&conf);
        return r;
}

static void ask_servers(struct resolve_query *query)
{
        int r = servers_choose(query);

        if (r < 0) {
                query->error = r;
                (void) snprintf(query->why, sizeof(query->why), "%s: %s",
                                query->resolver->resolv_conf ?: "/etc/resolv.conf", strerror(-r));
        }
        ask_next(query);
}

static int on_later(sd_event_source *source, void *userdata)
{
        struct resolve_query *query = userdata;

        query->later = sd_event_source_disable_unref(query->later);
        ask_servers(query);
        return 0;
}

static bool error_is_absence(const sd_bus_error *error)
{
        return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED);
}

static int records_from_bus(sd_bus_message *reply, struct record_list *ret)
{
        int r = sd_bus_message_enter_container(reply, 'a', "(iqqay)");

        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "iqqay")) > 0) {
                const void *rr;
                size_t size;

                r = sd_bus_message_read(reply, "iqq", NULL, NULL, NULL);
                if (r >= 0)
                        r = sd_bus_message_read_array(reply, 'y', &rr, &size);
                if (r >= 0)
                        r = record_list_read_raw(ret, rr, size);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return MIN(r, 0);
}

static int on_resolved(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        struct resolve_query *query = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        struct resolve_question question = { &query->name, query->type, "systemd-resolved" };
        struct record_list records = { 0 };
        int r;

        query->slot = sd_bus_slot_unref(query->slot);
        if (!error) {
                query->resolver->resolved_absent = false;
                r = records_from_bus(reply, &records);
                if (r < 0)
                        resolve_why_error(&question, r, query->why);
                query_complete(query, &(struct resolve_answer){ .error = r, .records = &records });
                record_list_clear(&records);
        } else if (sd_bus_error_has_name(error, "org.freedesktop.resolve1.DnsError.NXDOMAIN"))
                query_complete(query, &(struct resolve_answer){ .rcode = DNS_RCODE_NXDOMAIN });
        else if (sd_bus_error_has_name(error, "org.freedesktop.resolve1.NoSuchRR"))
                query_complete(query, &(struct resolve_answer){ .rcode = DNS_RCODE_NOERROR });
        else if (error_is_absence(error)) {
                if (!query->resolver->resolved_absent)
                        log_info("systemd-resolved does not answer (%s); asking the servers of resolv.conf",
                                 error->name);
                query->resolver->resolved_absent = true;
                ask_servers(query);
        } else {
                resolve_why_text(&question, error->message ?: error->name, query->why);
                r = -EAGAIN;
                if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                        r = -ETIMEDOUT;
                else if (sd_bus_error_has_name(error, "org.freedesktop.resolve1.NoNameServers"))
                        r = -ENETUNREACH;
                query_fail(query, r);
        }
        return 0;
}

static int ask_resolved(struct resolve_query *query)
{
        sd_bus *bus = query->resolver->bus;
        sd_bus_message *message = NULL;
        char name[DNS_NAME_FORMAT_MAX];
        int r;

        r = sd_bus_message_new_method_call(bus, &message, "org.freedesktop.resolve1",
                                           "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager",
                                           "ResolveRecord");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(message, false);
        if (r >= 0)
                r = sd_bus_message_append(message, "isqqt", 0, dns_name_format(&query->name, name),
                                          DNS_CLASS_IN, (int) query->type, RESOLVED_DNS);
        if (r >= 0)
                r = sd_bus_call_async(bus, &query->slot, message, on_resolved, query,
                                      query->resolver->timeout_usec);
        sd_bus_message_unref(message);
        return r;
}

int resolver_ask(struct resolver *resolver, const struct dns_name *name, uint16_t type, resolve_done done,
                 void *userdata, struct resolve_query **ret)
{
        struct resolve_query *query = calloc(1, sizeof(*query));
        int r = -ENOTCONN;

        if (!query)
                return -ENOMEM;
        query->resolver = resolver;
        query->name = *name;
        query->type = type;
        query->deadline_usec = usec_add(now_usec(CLOCK_MONOTONIC), resolver->timeout_usec);
        query->done = done;
        query->userdata = userdata;
        LIST_INSERT_HEAD(&resolver->queries, query, entry);

        query->of_link = !resolver->server && resolver->bus && resolver->link_servers.n_items > 0 &&
                         dns_name_is_subdomain(name, &resolver->local);
        /* Asked each time, since it may have come (back): an absence is told at once. */
        if (!resolver->server && resolver->bus && !query->of_link)
                r = ask_resolved(query);
        if (r < 0)
                r = sd_event_add_defer(resolver->event, &query->later, on_later, query);
        if (r < 0) {
                resolve_query_free(query);
                return r;
        }
        *ret = query;
        return 0;
}

/* A new bus may bring a resolved; with the old one go its answers. */
void resolver_set_bus(struct resolver *resolver, sd_bus *bus)
{
        struct resolve_query *query;

        resolver->bus = bus;
        resolver->resolved_absent = false;
        LIST_FOREACH (query, &resolver->queries, entry) {
                if (!query->slot)
                        continue;
                query->slot = sd_bus_slot_unref(query->slot);
                (void) sd_event_add_defer(resolver->event, &query->later, on_later, query);
        }
}

int resolver_set_link_servers(struct resolver *resolver, const struct server_list *servers)
{
        struct server_list copy = { 0 };

        for (size_t i = 0; servers && i < servers->n_items; i++) {
                int r = server_list_add(&copy, servers->items[i]);

                if (r < 0) {
                        server_list_clear(&copy);
                        return r;
                }
        }
        server_list_clear(&resolver->link_servers);
        resolver->link_servers = copy;
        return 0;
}

int resolver_configure(struct resolver *resolver, const struct resolver_options *options)
{
        _cleanup_free_ char *server = options->server ? strdup(options->server) : NULL;
        _cleanup_free_ char *resolv_conf = options->resolv_conf ? strdup(options->resolv_conf) : NULL;

        if ((options->server && !server) || (options->resolv_conf && !resolv_conf))
                return -ENOMEM;
        resolver_forget(resolver);
        free(resolver->server);
        free(resolver->resolv_conf);
        resolver->server = TAKE_PTR(server);
        resolver->resolv_conf = TAKE_PTR(resolv_conf);
        resolver->port = options->port;
        resolver->tcp = options->tcp;
        resolver->timeout_usec = options->timeout_usec;
        return 0;
}

int resolver_new(sd_event *event, const struct resolver_options *options, struct resolver **ret)
{
        _cleanup_(resolver_freep) struct resolver *resolver = calloc(1, sizeof(*resolver));
        int r;

        if (!resolver)
                return -ENOMEM;
        resolver->event = sd_event_ref(event);
        LIST_INIT(&resolver->queries);
        r = dns_name_parse("local.", &resolver->local);
        if (r < 0)
                return r;
        r = resolver_configure(resolver, options);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(resolver);
        return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
        if (!resolver)
                return NULL;
        assert(LIST_EMPTY(&resolver->queries));
        resolver_forget(resolver);
        server_list_clear(&resolver->link_servers);
        free(resolver->server);
        free(resolver->resolv_conf);
        sd_event_unref(resolver->event);
        free(resolver);
        return NULL;
}
