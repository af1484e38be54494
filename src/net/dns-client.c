/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/dns-client.h"

#include <stddef.h>

#include <bsd/sys/tree.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "dns/protocol.h"
#include "net/frame-queue.h"
#include "net/lookup.h"
#include "net/reply.h"
#include "util/heap.h"
#include "util/log.h"

#define PENDING_MAX         1024
#define FRAME_SIZE          2
#define CONNECT_USEC        (5 * USEC_PER_SEC)
#define IDLE_USEC           (10 * USEC_PER_SEC)
#define RETRY_USEC          USEC_PER_SEC
#define ADDRESSES_GOOD_USEC (60 * USEC_PER_SEC)
#define TIMER_ACCURACY      USEC_PER_MSEC

struct request_timer {
        struct heap_node node;
        struct dns_request *request;
};

struct dns_request {
        RB_ENTRY(dns_request) entry;
        struct request_timer deadline;
        struct request_timer retry; /* UDP only */
        struct dns_client *client;
        uint16_t id;
        bool over_tcp;
        bool queued;              /* given to the connection */
        uint64_t received_before; /* octets the connection had received when the request was given to it */
        usec_t retry_span_usec;
        size_t attempt;
        int fd; /* UDP */
        sd_event_source *io_source;
        dns_client_done done;
        void *userdata;
        size_t size;
        uint8_t message[];
};

RB_HEAD(request_tree, dns_request);

/* Callers free the client in their completions: whoever called them looks here whether it is still there. */
struct guard {
        bool gone;
        struct guard *outer;
};

struct dns_client {
        sd_event *event;
        char *host;
        uint16_t port;
        bool udp;
        usec_t connect_timeout_usec, idle_timeout_usec, retry_usec;
        dns_client_on_state on_state;
        void *userdata;

        struct request_tree requests;
        size_t n_requests, n_tcp;
        struct heap deadlines;
        sd_event_source *timer;
        struct guard *guards;

        struct lookup *lookup;
        bool connecting_after_lookup;
        struct lookup_address addresses[LOOKUP_ADDRESSES_MAX];
        size_t n_addresses, next_address;
        usec_t addresses_until_usec;

        enum dns_client_state state;
        struct heap_node connection_deadline; /* of connecting, or of being idle */
        usec_t connect_until_usec;
        int connect_error;
        int fd;
        sd_event_source *io_source;
        uint32_t events;
        struct frame_queue out;
        uint8_t *in;
        size_t in_have;
        uint64_t received;
};

#define IN_SIZE (FRAME_SIZE + DNS_MESSAGE_MAX)

static int request_compare(const struct dns_request *a, const struct dns_request *b)
{
        return (int) a->id - (int) b->id;
}

RB_PROTOTYPE(request_tree, dns_request, entry, request_compare)
RB_GENERATE(request_tree, dns_request, entry, request_compare)

static void address_try_next(struct dns_client *client);
static void udp_start_all(struct dns_client *client);

static struct dns_request *request_find(struct dns_client *client, uint16_t id)
{
        struct dns_request key = { .id = id };

        return RB_FIND(request_tree, &client->requests, &key);
}

static void arm_timer(struct dns_client *client)
{
        const struct heap_node *first = heap_first(&client->deadlines);

        if (!first) {
                (void) sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(client->timer, first->key);
        (void) sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
}

static void set_state(struct dns_client *client, enum dns_client_state state, int error)
{
        if (client->state == state)
                return;
        client->state = state;
        if (client->on_state)
                client->on_state(client->userdata, state, error);
}

static void request_socket_close(struct dns_request *request)
{
        request->io_source = sd_event_source_disable_unref(request->io_source);
        heap_remove(&request->client->deadlines, &request->retry.node);
        if (request->fd >= 0)
                close(request->fd);
        request->fd = -1;
}

/* Nothing under way over TCP: the connection may stay for a while. */
static void note_idle(struct dns_client *client)
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

        request_socket_close(request);
        heap_remove(&client->deadlines, &request->deadline.node);
        RB_REMOVE(request_tree, &client->requests, request);
        client->n_requests--;
        if (request->over_tcp) {
                client->n_tcp--;
                note_idle(client);
        }
        arm_timer(client);
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
static bool request_complete(struct dns_request *request, int error, const uint8_t *reply, size_t size)
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
static bool complete_all(struct dns_client *client, bool over_tcp, int error)
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
                request = request_find(client, ids[i]);
                /* The handle is compared, never followed: an ID may have been taken anew. */
                if (!request || request != pending[i])
                        continue;
                if (!request_complete(request, error, NULL, 0))
                        return false;
        }
        return true;
}

static int connection_watch(struct dns_client *client, uint32_t events)
{
        if (events == client->events)
                return 0;
        client->events = events;
        return sd_event_source_set_io_events(client->io_source, events);
}

static void connection_close(struct dns_client *client)
{
        client->io_source = sd_event_source_disable_unref(client->io_source);
        if (client->fd >= 0)
                close(client->fd);
        client->fd = -1;
        client->events = 0;
        frame_queue_clear(&client->out);
        free(client->in);
        client->in = NULL;
        client->in_have = 0;
        heap_remove(&client->deadlines, &client->connection_deadline);
}

/* False when the client is gone. */
static bool connection_end(struct dns_client *client, int error)
{
        connection_close(client);
        client->connecting_after_lookup = false;
        set_state(client, DNS_CLIENT_IDLE, error);
        return complete_all(client, true, error < 0 ? error : -ECONNRESET);
}

/* Gives the requests that wait to the connection. An error of the socket shows at its next event. */
static void connection_feed(struct dns_client *client)
{
        struct dns_request *request;

        RB_FOREACH (request, request_tree, &client->requests) {
                if (!request->over_tcp || request->queued)
                        continue;
                if (frame_queue_append(&client->out, request->message, request->size) < 0)
                        break;
                request->queued = true;
                request->received_before = client->received;
        }
        (void) frame_queue_flush(&client->out, client->fd);
        (void) connection_watch(client, EPOLLIN | (frame_queue_pending(&client->out) > 0 ? EPOLLOUT : 0));
        note_idle(client);
        arm_timer(client);
}

static void frames_hand_on(struct dns_client *client)
{
        int fd = client->fd;

        while (client->in_have >= FRAME_SIZE) {
                size_t length = (size_t) client->in[0] << 8 | client->in[1];
                struct dns_request *request;

                if (client->in_have < FRAME_SIZE + length)
                        return;
                if (length < DNS_HEADER_SIZE) {
                        (void) connection_end(client, -EBADMSG);
                        return;
                }

                /* The reply is taken out first, since its completion may end the connection. */
                _cleanup_free_ uint8_t *reply = malloc(length);
                if (!reply) {
                        (void) connection_end(client, -ENOMEM);
                        return;
                }
                memcpy(reply, client->in + FRAME_SIZE, length);
                client->in_have -= FRAME_SIZE + length;
                memmove(client->in, client->in + FRAME_SIZE + length, client->in_have);

                request = request_find(client, (uint16_t) (reply[0] << 8 | reply[1]));
                if (!request || !request->over_tcp || !request->queued ||
                    !dns_reply_matches(request->message, request->size, reply, length, false)) {
                        log_debug("dns client: an answer nobody waits for");
                        continue;
                }
                if (!request_complete(request, 0, reply, length))
                        return;
                if (client->state != DNS_CLIENT_CONNECTED || client->fd != fd)
                        return;
        }
}

static void connection_read(struct dns_client *client)
{
        ssize_t n = recv(client->fd, client->in + client->in_have, IN_SIZE - client->in_have, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                (void) connection_end(client, n < 0 ? -errno : client->n_tcp > 0 ? -ECONNRESET : 0);
                return;
        }
        client->in_have += (size_t) n;
        client->received += (uint64_t) n;
        frames_hand_on(client);
}

static void connection_established(struct dns_client *client)
{
        int one = 1;

        client->in = malloc(IN_SIZE);
        if (!client->in) {
                (void) connection_end(client, -ENOMEM);
                return;
        }
        (void) setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        heap_remove(&client->deadlines, &client->connection_deadline);
        set_state(client, DNS_CLIENT_CONNECTED, 0);
        if (client->state == DNS_CLIENT_CONNECTED)
                connection_feed(client);
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct dns_client *client = userdata;

        if (client->state == DNS_CLIENT_CONNECTING) {
                int error = 0;
                socklen_t length = sizeof(error);

                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
                        error = errno;
                if (error != 0) {
                        client->connect_error = -error;
                        address_try_next(client);
                } else
                        connection_established(client);
                return 0;
        }

        if (revents & EPOLLOUT) {
                int r = frame_queue_flush(&client->out, client->fd);

                if (r < 0) {
                        (void) connection_end(client, r);
                        return 0;
                }
                (void) connection_watch(client,
                                        EPOLLIN | (frame_queue_pending(&client->out) > 0 ? EPOLLOUT : 0));
        }
        if (revents & (EPOLLIN | EPOLLERR | EPOLLHUP))
                connection_read(client);
        return 0;
}

static int socket_connect(struct dns_client *client, const struct lookup_address *address)
{
        _cleanup_close_ int fd = socket(address->sockaddr.ss_family,
                                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r;

        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address->sockaddr, address->length) < 0 &&
            errno != EINPROGRESS)
                return -errno;
        r = sd_event_add_io(client->event, &client->io_source, fd, EPOLLOUT, on_connection, client);
        if (r < 0)
                return r;
        client->events = EPOLLOUT;
        client->fd = TAKE_FD(fd);
        return 0;
}

/* The addresses of a name one after the other; each has its share of the time that is left. */
static void address_try_next(struct dns_client *client)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        connection_close(client);
        while (client->next_address < client->n_addresses && now < client->connect_until_usec) {
                size_t left = client->n_addresses - client->next_address;
                int r = socket_connect(client, &client->addresses[client->next_address++]);

                if (r < 0) {
                        client->connect_error = r;
                        continue;
                }
                (void) heap_put(&client->deadlines, &client->connection_deadline,
                                now + (client->connect_until_usec - now) / left);
                arm_timer(client);
                set_state(client, DNS_CLIENT_CONNECTING, 0);
                return;
        }
        (void) connection_end(client, client->connect_error < 0 ? client->connect_error : -ETIMEDOUT);
}

static void on_lookup(void *userdata, int error, const struct lookup_address *addresses, size_t n)
{
        struct dns_client *client = userdata;

        client->lookup = NULL;
        if (error < 0) {
                bool connecting = client->connecting_after_lookup;

                if (!complete_all(client, false, error))
                        return;
                if (connecting)
                        (void) connection_end(client, error);
                return;
        }
        memcpy(client->addresses, addresses, n * sizeof(*addresses));
        client->n_addresses = n;
        client->next_address = 0;
        client->addresses_until_usec = now_usec(CLOCK_MONOTONIC) + ADDRESSES_GOOD_USEC;
        udp_start_all(client);
        if (client->connecting_after_lookup) {
                client->connecting_after_lookup = false;
                address_try_next(client);
        }
}

static int lookup_start(struct dns_client *client)
{
        if (client->lookup)
                return 0;
        return lookup_new(client->event, client->host, client->port, on_lookup, client, &client->lookup);
}

/* Never fails at once: what goes wrong is told from the loop. */
static void connection_start(struct dns_client *client)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        client->connect_until_usec = usec_add(now, client->connect_timeout_usec);
        client->connect_error = 0;
        client->connecting_after_lookup = true;
        if (lookup_start(client) < 0)
                client->connect_until_usec = now;
        (void) heap_put(&client->deadlines, &client->connection_deadline, client->connect_until_usec);
        arm_timer(client);
        set_state(client, DNS_CLIENT_RESOLVING, 0);
}

/* A truncated answer: the same question over TCP, in what is left of its time. */
static void request_move_to_tcp(struct dns_request *request)
{
        struct dns_client *client = request->client;

        request_socket_close(request);
        request->over_tcp = true;
        client->n_tcp++;
        if (client->state == DNS_CLIENT_CONNECTED)
                connection_feed(client);
        else if (client->state == DNS_CLIENT_IDLE)
                connection_start(client);
}

static int on_udp(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct dns_request *request = userdata;
        _cleanup_free_ uint8_t *reply = malloc(DNS_MESSAGE_MAX);
        ssize_t n;

        if (!reply)
                return 0;
        n = recv(fd, reply, DNS_MESSAGE_MAX, MSG_DONTWAIT);
        if (n < 0) {
                int error = -errno;

                /* An ICMP error speaks for one attempt; the next one may go to another address. */
                if (error == -EAGAIN || error == -EINTR)
                        return 0;
                if (request->attempt < request->client->n_addresses) {
                        (void) heap_put(&request->client->deadlines, &request->retry.node,
                                        now_usec(CLOCK_MONOTONIC));
                        arm_timer(request->client);
                } else
                        (void) request_complete(request, error, NULL, 0);
                return 0;
        }
        if (!dns_reply_matches(request->message, request->size, reply, (size_t) n, true))
                return 0; /* forged, or late from another request: the right one may still come */
        if (reply[2] & 0x02) {
                request_move_to_tcp(request);
                return 0;
        }
        (void) request_complete(request, 0, reply, (size_t) n);
        return 0;
}

static int udp_attempt(struct dns_request *request)
{
        struct dns_client *client = request->client;
        const struct lookup_address *address = &client->addresses[request->attempt++ % client->n_addresses];
        int r;

        request_socket_close(request);
        (void) heap_put(&client->deadlines, &request->retry.node,
                        usec_add(now_usec(CLOCK_MONOTONIC), request->retry_span_usec));
        request->retry_span_usec = usec_add(request->retry_span_usec, request->retry_span_usec);

        request->fd = socket(address->sockaddr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (request->fd < 0)
                return -errno;
        if (connect(request->fd, (const struct sockaddr *) &address->sockaddr, address->length) < 0)
                return -errno;
        r = sd_event_add_io(client->event, &request->io_source, request->fd, EPOLLIN, on_udp, request);
        if (r < 0)
                return r;
        if (send(request->fd, request->message, request->size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        return 0;
}

/* An attempt that cannot even be sent waits for the next one; the deadline ends it. */
static void udp_start(struct dns_request *request)
{
        int r = udp_attempt(request);

        if (r < 0)
                log_debug("dns client: sending: %s", strerror(-r));
        arm_timer(request->client);
}

static void udp_start_all(struct dns_client *client)
{
        struct dns_request *request;

        RB_FOREACH (request, request_tree, &client->requests)
                if (!request->over_tcp && request->attempt == 0)
                        udp_start(request);
}

/* A connection that gave nothing since the request was sent, or is stuck within a message, is taken for dead,
 * and everybody on it told. False when the client is gone. */
static bool request_timeout(struct dns_request *request)
{
        struct dns_client *client = request->client;
        bool dead = request->over_tcp && request->queued && client->state == DNS_CLIENT_CONNECTED &&
                    (request->received_before == client->received || client->in_have > 0);

        if (dead)
                return connection_end(client, -ETIMEDOUT);
        return request_complete(request, -ETIMEDOUT, NULL, 0);
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
                return connection_end(client, -ETIMEDOUT);
        case DNS_CLIENT_CONNECTING: {
                struct guard guard = { .outer = client->guards };

                client->connect_error = -ETIMEDOUT;
                client->guards = &guard;
                address_try_next(client);
                if (guard.gone)
                        return false;
                client->guards = guard.outer;
                return true;
        }
        case DNS_CLIENT_CONNECTED:
                return connection_end(client, 0);
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
                        udp_start(timer->request);
                else if (!request_timeout(timer->request))
                        return 0;
        }
        arm_timer(client);
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
                .on_state = on_state,
                .userdata = userdata,
                .connection_deadline = HEAP_NODE_INIT,
                .fd = -1,
        };
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
        connection_close(client);
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
        while (request_find(client, id))
                id++;
        return id;
}

int dns_client_request(struct dns_client *client, const void *message, size_t size, usec_t timeout_usec,
                       dns_client_done done, void *userdata, struct dns_request **ret)
{
        struct dns_request *request;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        int r;

        if (size < DNS_HEADER_SIZE || size > DNS_MESSAGE_MAX)
                return -EMSGSIZE;
        if (client->n_requests >= PENDING_MAX)
                return -ENOBUFS;
        r = heap_reserve(&client->deadlines, (uint32_t) client->n_requests * 2 + 4);
        if (r < 0)
                return r;
        request = calloc(1, sizeof(*request) + size);
        if (!request)
                return -ENOMEM;
        request->client = client;
        request->deadline = request->retry = (struct request_timer){ .node = HEAP_NODE_INIT,
                                                                     .request = request };
        request->fd = -1;
        request->done = done;
        request->userdata = userdata;
        request->retry_span_usec = client->retry_usec;
        request->over_tcp = !client->udp;
        request->size = size;
        memcpy(request->message, message, size);
        request->id = (uint16_t) (request->message[0] << 8 | request->message[1]);
        if (request_find(client, request->id)) {
                free(request);
                return -EEXIST;
        }

        /* With name resolution to be done first, a failure to start it is found by the deadline. */
        RB_INSERT(request_tree, &client->requests, request);
        client->n_requests++;
        (void) heap_put(&client->deadlines, &request->deadline.node, usec_add(now, timeout_usec));
        if (ret)
                *ret = request;

        if (client->udp) {
                if (client->n_addresses > 0 && now < client->addresses_until_usec)
                        udp_start(request);
                else
                        (void) lookup_start(client);
        } else {
                client->n_tcp++;
                if (client->state == DNS_CLIENT_CONNECTED)
                        connection_feed(client);
                else if (client->state == DNS_CLIENT_IDLE)
                        connection_start(client);
        }
        arm_timer(client);
        return 0;
}

int dns_client_connect(struct dns_client *client)
{
        if (client->state == DNS_CLIENT_IDLE)
                connection_start(client);
        return 0;
}

void dns_client_disconnect(struct dns_client *client)
{
        struct guard guard = { .outer = client->guards };

        client->lookup = lookup_free(client->lookup);
        client->guards = &guard;
        if (!complete_all(client, false, -ECONNABORTED))
                return;
        (void) connection_end(client, -ECONNABORTED);
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

size_t dns_client_unsent(const struct dns_client *client)
{
        return frame_queue_pending(&client->out);
}
