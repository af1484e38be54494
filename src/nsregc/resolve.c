/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/resolve.h"

#include <sys/queue.h>

#include "dns/edns.h"
#include "dns/message.h"
#include "net/dns-client.h"
#include "nsregc/resolv-conf.h"
#include "util/log.h"

#define DNS_PORT            53
#define SERVER_TIMEOUT_USEC (3 * USEC_PER_SEC)
#define RESOLVED_DNS        UINT64_C(1) /* classic DNS only: no LLMNR, no mDNS */

struct resolve_query {
        LIST_ENTRY(resolve_query) entry;
        struct resolver *resolver;
        struct dns_name name;
        uint16_t type;
        usec_t deadline_usec;
        struct resolv_conf servers;
        size_t next_server;
        int error;
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
        struct query_list queries;
};

static void try_next_server(struct resolve_query *query);

struct resolve_query *resolve_query_free(struct resolve_query *query)
{
        if (!query)
                return NULL;
        LIST_REMOVE(query, entry);
        dns_client_free(query->client);
        sd_bus_slot_unref(query->slot);
        sd_event_source_disable_unref(query->later);
        resolv_conf_clear(&query->servers);
        free(query);
        return NULL;
}

static void query_complete(struct resolve_query *query, int error, unsigned rcode,
                           const struct record_list *records, uint32_t negative_ttl)
{
        static const struct record_list none;
        resolve_done done = query->done;
        void *userdata = query->userdata;

        resolve_query_free(query);
        done(userdata, error, rcode, records ?: &none, negative_ttl);
}

/* RFC 2308: the SOA of a negative answer says how long it holds. */
static uint32_t negative_ttl_of(const struct dns_message *message)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_AUTHORITY, &first);

        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &message->rrs[i];
                const uint8_t *end = dns_message_rdata(message, rr) + rr->rdlength;

                if (rr->type != DNS_TYPE_SOA || rr->rdlength < 22)
                        continue;
                uint32_t minimum = (uint32_t) end[-4] << 24 | (uint32_t) end[-3] << 16 |
                                   (uint32_t) end[-2] << 8 | end[-1];
                return MIN(minimum, rr->ttl);
        }
        return 0;
}

static void on_reply(void *userdata, int error, const uint8_t *reply, size_t size)
{
        struct resolve_query *query = userdata;
        struct record_list records = { 0 };
        struct dns_message message;
        unsigned rcode;

        if (error == 0 && dns_message_walk(reply, size, NULL, &message, NULL) < 0)
                error = -EBADMSG;
        if (error < 0) {
                query->error = error;
                try_next_server(query);
                return;
        }
        rcode = dns_message_rcode(&message);
        if (rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN) {
                query->error = -EAGAIN;
                try_next_server(query);
                return;
        }
        if (record_list_read(&records, &message) < 0)
                error = -EBADMSG;
        query_complete(query, error, rcode, &records, negative_ttl_of(&message));
        record_list_clear(&records);
}

static int server_ask(struct resolve_query *query, const char *host, uint16_t port, bool tcp, usec_t timeout)
{
        struct resolver *resolver = query->resolver;
        struct dns_client_options options = {
                .host = host,
                .port = port,
                .udp = !tcp,
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
        dns_edns_write(&builder, &edns, 0);
        size = dns_builder_end(&builder);
        if (size < 0)
                return (int) size;
        return dns_client_request(query->client, message, (size_t) size, timeout, on_reply, query, NULL);
}

static void try_next_server(struct resolve_query *query)
{
        struct resolver *resolver = query->resolver;

        for (;;) {
                usec_t left = usec_sub(query->deadline_usec, now_usec(CLOCK_MONOTONIC));
                size_t n = resolver->server ? 1 : query->servers.n_servers;
                int r;

                if (query->next_server >= n || left == 0) {
                        query_complete(query, query->error < 0 ? query->error : -ETIMEDOUT, 0, NULL, 0);
                        return;
                }
                if (resolver->server) {
                        query->next_server++;
                        r = server_ask(query, resolver->server, resolver->port, resolver->tcp, left);
                } else {
                        const char *server = query->servers.servers[query->next_server++];

                        if (query->next_server < n)
                                left = MIN(left, SERVER_TIMEOUT_USEC);
                        r = server_ask(query, server, DNS_PORT, resolver->tcp, left);
                }
                if (r >= 0)
                        return;
                query->error = r;
        }
}

static void ask_servers(struct resolve_query *query)
{
        const char *path = query->resolver->resolv_conf ?: "/etc/resolv.conf";

        query->next_server = 0;
        if (!query->resolver->server) {
                int r = resolv_conf_read(path, &query->servers);

                if (r < 0)
                        query->error = r;
                if (query->servers.n_servers == 0 && query->error == 0)
                        query->error = -ENETUNREACH;
        }
        try_next_server(query);
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
        struct record_list records = { 0 };
        int r;

        query->slot = sd_bus_slot_unref(query->slot);
        if (!error) {
                query->resolver->resolved_absent = false;
                r = records_from_bus(reply, &records);
                query_complete(query, r, DNS_RCODE_NOERROR, &records, 0);
                record_list_clear(&records);
        } else if (sd_bus_error_has_name(error, "org.freedesktop.resolve1.DnsError.NXDOMAIN"))
                query_complete(query, 0, DNS_RCODE_NXDOMAIN, NULL, 0);
        else if (sd_bus_error_has_name(error, "org.freedesktop.resolve1.NoSuchRR"))
                query_complete(query, 0, DNS_RCODE_NOERROR, NULL, 0);
        else if (error_is_absence(error)) {
                if (!query->resolver->resolved_absent)
                        log_info("systemd-resolved does not answer (%s); asking the servers of resolv.conf",
                                 error->name);
                query->resolver->resolved_absent = true;
                ask_servers(query);
        } else {
                log_debug("systemd-resolved: %s", error->message ?: error->name);
                r = -EAGAIN;
                if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                        r = -ETIMEDOUT;
                else if (sd_bus_error_has_name(error, "org.freedesktop.resolve1.NoNameServers"))
                        r = -ENETUNREACH;
                query_complete(query, r, 0, NULL, 0);
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

        /* Asked each time, since it may have come (back): an absence is told at once. */
        if (!resolver->server && resolver->bus)
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

int resolver_configure(struct resolver *resolver, const struct resolver_options *options)
{
        _cleanup_free_ char *server = NULL, *resolv_conf = NULL;

        if (options->server && !(server = strdup(options->server)))
                return -ENOMEM;
        if (options->resolv_conf && !(resolv_conf = strdup(options->resolv_conf)))
                return -ENOMEM;
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
        free(resolver->server);
        free(resolver->resolv_conf);
        sd_event_unref(resolver->event);
        free(resolver);
        return NULL;
}
