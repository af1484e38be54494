/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/random.h>

#include "net/dns-client-internal.h"
#include "util/log.h"

#define PENDING_MAX    1024
#define CONNECT_USEC   (5 * USEC_PER_SEC)
#define IDLE_USEC      (10 * USEC_PER_SEC)
#define RETRY_USEC     USEC_PER_SEC
#define TIMER_ACCURACY USEC_PER_MSEC

static int request_compare(const struct dns_request *a, const struct dns_request *b)
{
        return (int) a->id - (int) b->id;
}

RB_GENERATE(request_tree, dns_request, entry, request_compare)

struct dns_request *dns_client_find(struct dns_client *client, uint16_t id)
{
        struct dns_request key = { .id = id };

        return RB_FIND(request_tree, &client->requests, &key);
}

void dns_client_arm(struct dns_client *client)
{
        const struct heap_node *first = heap_first(&client->deadlines);

        if (!first) {
                (void) sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(client->timer, first->key);
        (void) sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
}

void dns_client_set_state(struct dns_client *client, enum dns_client_state state, int error)
{
        if (client->state == state)
                return;
        client->state = state;
        if (client->on_state)
                client->on_state(client->userdata, state, error);
}

void dns_request_close_socket(struct dns_request *request)
{
        request->io_source = sd_event_source_disable_unref(request->io_source);
        heap_remove(&request->client->deadlines, &request->retry.node);
        if (request->fd >= 0)
                close(request->fd);
        request->fd = -1;
}

void dns_request_enter(struct dns_request *request)
{
        if (request->first)
                TAILQ_INSERT_HEAD(&request->client->turns, request, by_turn);
        else
                TAILQ_INSERT_TAIL(&request->client->turns, request, by_turn);
        request->waits = true;
}

void dns_request_leave(struct dns_request *request)
{
        if (request->waits)
                TAILQ_REMOVE(&request->client->turns, request, by_turn);
        request->waits = false;
}

/* Nothing under way over TCP: the connection may stay for a while. */
void dns_client_note_idle(struct dns_client *client)
{
        if (client->state != DNS_CLIENT_CONNECTED)
                return;
        if (client->n_tcp == 0)
                (void) heap_put(&client->deadlines, &client->connection_deadline,
                                usec_add(now_usec(CLOCK_MONOTONIC), client->idle_timeout_usec));
        else
                heap_remove(&client->deadlines, &client->connection_deadline);
}

static void request_unlink(struct dns_request *request)
{
        struct dns_client *client = request->client;

        dns_request_close_socket(request);
        dns_request_leave(request);
        heap_remove(&client->deadlines, &request->deadline.node);
        RB_REMOVE(request_tree, &client->requests, request);
        client->n_requests--;
        if (request->over_tcp) {
                client->n_tcp--;
                dns_client_note_idle(client);
        }
        dns_client_arm(client);
}

struct dns_request *dns_request_cancel(struct dns_request *request)
{
        if (!request)
                return NULL;
        request_unlink(request);
        free(request);
        return NULL;
}

/* False when the client is gone. */
bool dns_request_complete(struct dns_request *request, int error, const uint8_t *reply, size_t size)
{
        struct dns_client *client = request->client;
        struct guard guard = { .outer = client->guards };
        dns_client_done done = request->done;
        void *userdata = request->userdata;

        dns_request_cancel(request);
        client->guards = &guard;
        done(userdata, error, reply, size);
        if (guard.gone)
                return false;
        client->guards = guard.outer;
        return true;
}

/* All requests of one transport end with this error; those that callers add meanwhile do not. */
bool dns_client_complete_all(struct dns_client *client, bool over_tcp, int error)
{
        uint16_t ids[PENDING_MAX];
        struct dns_request *pending[PENDING_MAX], *request;
        size_t n = 0;

        RB_FOREACH (request, request_tree, &client->requests) {
                if (request->over_tcp == over_tcp && n < PENDING_MAX) {
                        ids[n] = request->id;
                        pending[n++] = request;
                }
        }
        for (size_t i = 0; i < n; i++) {
                request = dns_client_find(client, ids[i]);
                /* The handle is compared, never followed: an ID may have been taken anew. */
                if (!request || request != pending[i])
                        continue;
                if (!dns_request_complete(request, error, NULL, 0))
                        return false;
        }
        return true;
}

/* The request ends with this error, from the loop. */
void dns_request_fail(struct dns_request *request, int error)
{
        dns_request_leave(request);
        request->error = error;
        (void) heap_put(&request->client->deadlines, &request->deadline.node, 0); /* it is in there */
}

/* Makes the message as it is sent now. Its size, or negative errno. */
ssize_t dns_request_prepare(const struct dns_request *request, uint8_t *octets)
{
        size_t capacity = MIN(request->size + request->room, (size_t) DNS_MESSAGE_MAX);

        memcpy(octets, request->message, request->size);
        return request->prepare ? request->prepare(request->userdata, octets, request->size, capacity)
                                : (ssize_t) request->size;
}

void dns_request_note_sent(struct dns_request *request)
{
        if (request->sent)
                request->sent(request->userdata);
}

/* A connection that gave nothing since the request was sent, or is stuck within a message, is taken for dead,
 * and everybody on it told. False when the client is gone. */
static bool request_timeout(struct dns_request *request)
{
        struct dns_client *client = request->client;
        bool stuck = request->queued ? request->received_before == client->received || client->in_have > 0
                                     : client->rest != NULL;
        bool dead = request->over_tcp && client->state == DNS_CLIENT_CONNECTED && stuck;

        if (request->error < 0)
                return dns_request_complete(request, request->error, NULL, 0);
        if (dead)
                return dns_client_end_connection(client, -ETIMEDOUT);
        return dns_request_complete(request, -ETIMEDOUT, NULL, 0);
}

/* False when the client is gone. */
static bool connection_timeout(struct dns_client *client)
{
        heap_remove(&client->deadlines, &client->connection_deadline);
        switch (client->state) {
        case DNS_CLIENT_IDLE:
                return true;
        case DNS_CLIENT_RESOLVING:
                if (!client->udp)
                        client->lookup = lookup_free(client->lookup);
                return dns_client_end_connection(client, -ETIMEDOUT);
        case DNS_CLIENT_CONNECTING: {
                struct guard guard = { .outer = client->guards };

                client->connect_error = -ETIMEDOUT;
                client->guards = &guard;
                dns_client_try_address(client);
                if (guard.gone)
                        return false;
                client->guards = guard.outer;
                return true;
        }
        case DNS_CLIENT_CONNECTED:
                return dns_client_end_connection(client, 0);
        }
        return true;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct dns_client *client = userdata;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        struct heap_node *first;

        while ((first = heap_first(&client->deadlines)) && first->key <= now) {
                struct request_timer *timer = container_of(first, struct request_timer, node);

                if (first == &client->connection_deadline) {
                        if (!connection_timeout(client))
                                return 0;
                } else if (timer == &timer->request->retry)
                        dns_client_start_datagram(timer->request);
                else if (!request_timeout(timer->request))
                        return 0;
        }
        dns_client_arm(client);
        return 0;
}

int dns_client_new(sd_event *event, const struct dns_client_options *options, dns_client_on_state on_state,
                   void *userdata, struct dns_client **ret)
{
        _cleanup_(dns_client_freep) struct dns_client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        *client = (struct dns_client){
                .event = sd_event_ref(event),
                .port = options->port,
                .udp = options->udp,
                .connect_timeout_usec = options->connect_timeout_usec ?: CONNECT_USEC,
                .idle_timeout_usec = options->idle_timeout_usec ?: IDLE_USEC,
                .retry_usec = options->retry_usec ?: RETRY_USEC,
                .reset_unanswered = options->reset_unanswered,
                .on_state = on_state,
                .userdata = userdata,
                .connection_deadline = HEAP_NODE_INIT,
                .fd = -1,
        };
        TAILQ_INIT(&client->turns);
        client->host = strdup(options->host);
        if (!client->host)
                return -ENOMEM;
        r = heap_reserve(&client->deadlines, 8);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &client->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_timer, client);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(client);
        return 0;
}

struct dns_client *dns_client_free(struct dns_client *client)
{
        struct dns_request *request, *next;

        if (!client)
                return NULL;
        for (struct guard *guard = client->guards; guard; guard = guard->outer)
                guard->gone = true;
        client->on_state = NULL;
        lookup_free(client->lookup);
        RB_FOREACH_SAFE (request, request_tree, &client->requests, next)
                dns_request_cancel(request);
        dns_client_close_connection(client);
        sd_event_source_disable_unref(client->timer);
        heap_clear(&client->deadlines);
        sd_event_unref(client->event);
        free(client->host);
        free(client);
        return NULL;
}

uint16_t dns_client_id(struct dns_client *client)
{
        uint16_t id = 0;

        if (getrandom(&id, sizeof(id), 0) != sizeof(id))
                id = (uint16_t) now_usec(CLOCK_MONOTONIC);
        while (dns_client_find(client, id))
                id++;
        return id;
}

static struct dns_request *request_new(struct dns_client *client, const struct dns_client_message *message)
{
        struct dns_request *request = calloc(1, sizeof(*request) + message->size + message->room);

        if (!request)
                return NULL;
        request->client = client;
        request->deadline = request->retry = (struct request_timer){ .node = HEAP_NODE_INIT,
                                                                     .request = request };
        request->fd = -1;
        request->prepare = message->prepare;
        request->sent = message->sent;
        request->done = message->done;
        request->userdata = message->userdata;
        request->retry_span_usec = client->retry_usec;
        request->over_tcp = !client->udp || message->over_tcp;
        request->first = message->first;
        request->size = message->size;
        request->room = message->room;
        memcpy(request->message, message->octets, message->size);
        request->id = (uint16_t) (request->message[0] << 8 | request->message[1]);
        return request;
}

static void request_begin(struct dns_request *request, usec_t now)
{
        struct dns_client *client = request->client;

        if (!request->over_tcp) {
                if (client->n_addresses > 0 && now < client->addresses_until_usec)
                        dns_client_start_datagram(request);
                else
                        (void) dns_client_start_lookup(client); /* its failure is found by the deadline */
                return;
        }
        client->n_tcp++;
        dns_request_enter(request);
        if (client->state == DNS_CLIENT_CONNECTED)
                dns_client_feed_connection(client);
        else if (client->state == DNS_CLIENT_IDLE)
                dns_client_start_connection(client);
}

int dns_client_send(struct dns_client *client, const struct dns_client_message *message,
                    struct dns_request **ret)
{
        struct dns_request *request;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        int r;

        if (message->size < DNS_HEADER_SIZE || message->size > DNS_MESSAGE_MAX)
                return -EMSGSIZE;
        if (client->n_requests >= PENDING_MAX)
                return -ENOBUFS;
        r = heap_reserve(&client->deadlines, (uint32_t) client->n_requests * 2 + 4);
        if (r < 0)
                return r;
        request = request_new(client, message);
        if (!request)
                return -ENOMEM;
        if (dns_client_find(client, request->id)) {
                free(request);
                return -EEXIST;
        }

        RB_INSERT(request_tree, &client->requests, request);
        client->n_requests++;
        (void) heap_put(&client->deadlines, &request->deadline.node,
                        usec_add(now, message->timeout_usec)); /* there is room */
        if (ret)
                *ret = request;
        request_begin(request, now);
        dns_client_arm(client);
        return 0;
}

int dns_client_request(struct dns_client *client, const void *message, size_t size, usec_t timeout_usec,
                       dns_client_done done, void *userdata, struct dns_request **ret)
{
        const struct dns_client_message plain = {
                .octets = message,
                .size = size,
                .timeout_usec = timeout_usec,
                .done = done,
                .userdata = userdata,
        };

        return dns_client_send(client, &plain, ret);
}

void dns_client_connect(struct dns_client *client)
{
        if (client->state == DNS_CLIENT_IDLE)
                dns_client_start_connection(client);
}

void dns_client_watch(struct dns_client *client, dns_client_on_state on_state, void *userdata)
{
        client->on_state = on_state;
        client->userdata = userdata;
}

void dns_client_disconnect(struct dns_client *client)
{
        struct guard guard = { .outer = client->guards };

        client->lookup = lookup_free(client->lookup);
        client->guards = &guard;
        if (!dns_client_complete_all(client, false, -ECONNABORTED))
                return;
        (void) dns_client_end_connection(client, -ECONNABORTED);
        if (!guard.gone)
                client->guards = guard.outer;
}

enum dns_client_state dns_client_get_state(const struct dns_client *client)
{
        return client->state;
}

size_t dns_client_pending(const struct dns_client *client)
{
        return client->n_requests;
}

const struct sockaddr_storage *dns_client_peer(const struct dns_client *client)
{
        if (client->state == DNS_CLIENT_CONNECTED && client->next_address > 0)
                return &client->addresses[client->next_address - 1].sockaddr;
        return client->udp && client->n_addresses > 0 ? &client->addresses[0].sockaddr : NULL;
}
