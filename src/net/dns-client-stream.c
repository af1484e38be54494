/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "net/dns-client-internal.h"
#include "net/reply.h"
#include "util/log.h"

#define IN_SIZE             (FRAME_SIZE + DNS_MESSAGE_MAX)
#define WINDOW_MAX          64
#define ADDRESSES_GOOD_USEC (60 * USEC_PER_SEC)

static int connection_watch(struct dns_client *client, uint32_t events)
{
        if (events == client->events)
                return 0;
        client->events = events;
        return sd_event_source_set_io_events(client->io_source, events);
}

void dns_client_close_connection(struct dns_client *client)
{
        static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

        client->io_source = sd_event_source_disable_unref(client->io_source);
        /* Where this cannot be set, the connection is closed as any other. */
        if (client->fd >= 0 && client->reset_unanswered && client->n_unanswered > 0)
                (void) setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (client->fd >= 0)
                close(client->fd);
        client->fd = -1;
        client->events = 0;
        client->n_unanswered = client->n_answered = 0;
        free(client->rest);
        client->rest = NULL;
        client->rest_size = client->rest_at = 0;
        free(client->in);
        client->in = NULL;
        client->in_have = 0;
        heap_remove(&client->deadlines, &client->connection_deadline);
}

/* False when the client is gone. */
bool dns_client_end_connection(struct dns_client *client, int error)
{
        dns_client_close_connection(client);
        client->connecting_after_lookup = false;
        dns_client_set_state(client, DNS_CLIENT_IDLE, error);
        return dns_client_complete_all(client, true, error < 0 ? error : -ECONNRESET);
}

/* The peer has ended the connection, or it broke. Some servers answer so many messages in each; what they
 * have not read by then makes the kernel reset the connection, and that may take the answers with it. So no
 * more is sent at a time than was answered on the last one, or one, to see. False when the client is gone. */
static bool connection_broke(struct dns_client *client, int error)
{
        bool reset = error == -ECONNRESET || error == -EPIPE;
        bool again = reset && (client->n_answered > 0 || (client->n_unanswered > 1 && client->window != 1));

        if (again && client->n_unanswered > 0)
                client->window = client->n_answered < WINDOW_MAX ? MAX(client->n_answered, (size_t) 1) : 0;
        return dns_client_end_connection(client, again ? -ECONNABORTED : error);
}

static void note_answered(struct dns_client *client)
{
        client->n_unanswered -= client->n_unanswered > 0;
        client->n_answered++;
        /* It goes on longer than the last one. */
        if (client->window > 0 && client->n_answered >= 2 * client->window)
                client->window = client->window < WINDOW_MAX ? 2 * client->window : 0;
}

static bool has_room(const struct dns_client *client)
{
        return client->window == 0 || client->n_unanswered < client->window;
}

/* 1: the kernel has taken it, or a part of it; 0: nothing, later; negative errno. */
static int connection_send(struct dns_client *client, struct dns_request *request)
{
        static uint8_t frame[FRAME_SIZE + DNS_MESSAGE_MAX];
        uint8_t *rest;
        ssize_t size = dns_request_prepare(request, frame + FRAME_SIZE), n;

        if (size < 0) {
                dns_request_fail(request, (int) size);
                return 1;
        }
        frame[0] = (uint8_t) (size >> 8);
        frame[1] = (uint8_t) size;
        size += FRAME_SIZE;
        /* Memory for what the kernel does not take is there before anything is on its way. */
        rest = malloc((size_t) size);
        if (!rest)
                return -ENOMEM;
        n = send(client->fd, frame, (size_t) size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) {
                free(rest);
                return n == 0 || errno == EAGAIN || errno == EINTR ? 0 : -errno;
        }
        dns_request_leave(request);
        request->queued = true;
        request->received_before = client->received;
        client->n_unanswered++;
        dns_request_note_sent(request);
        if (n == size) {
                free(rest);
                return 1;
        }
        client->rest_size = (size_t) (size - n);
        client->rest_at = 0;
        memcpy(rest, frame + n, client->rest_size);
        client->rest = rest;
        return 1;
}

static int connection_flush(struct dns_client *client)
{
        ssize_t n;

        if (!client->rest)
                return 0;
        n = send(client->fd, client->rest + client->rest_at, client->rest_size - client->rest_at,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        client->rest_at += (size_t) n;
        if (client->rest_at == client->rest_size) {
                free(client->rest);
                client->rest = NULL;
                client->rest_size = client->rest_at = 0;
        }
        return 0;
}

/* Gives the requests that wait to the connection, one at a time and as the kernel takes them. An error of the
 * socket shows at its next event. */
void dns_client_feed_connection(struct dns_client *client)
{
        struct dns_request *request;
        bool waits;
        int r = connection_flush(client);

        while (r >= 0 && !client->rest && has_room(client) && (request = TAILQ_FIRST(&client->turns))) {
                r = connection_send(client, request);
                if (r == 0)
                        break;
        }
        waits = client->rest || (has_room(client) && !TAILQ_EMPTY(&client->turns));
        (void) connection_watch(client, EPOLLIN | (waits ? EPOLLOUT : 0));
        dns_client_note_idle(client);
        dns_client_arm(client);
}

/* False: the connection is another one by now, or the client is gone. */
static bool frames_hand_on(struct dns_client *client)
{
        int fd = client->fd;

        while (client->in_have >= FRAME_SIZE) {
                size_t length = (size_t) client->in[0] << 8 | client->in[1];
                struct dns_request *request;

                if (client->in_have < FRAME_SIZE + length)
                        return true;
                if (length < DNS_HEADER_SIZE) {
                        (void) dns_client_end_connection(client, -EBADMSG);
                        return false;
                }

                /* The reply is taken out first, since its completion may end the connection. */
                _cleanup_free_ uint8_t *reply = malloc(length);
                if (!reply) {
                        (void) dns_client_end_connection(client, -ENOMEM);
                        return false;
                }
                memcpy(reply, client->in + FRAME_SIZE, length);
                client->in_have -= FRAME_SIZE + length;
                memmove(client->in, client->in + FRAME_SIZE + length, client->in_have);

                note_answered(client);
                request = dns_client_find(client, (uint16_t) (reply[0] << 8 | reply[1]));
                if (!request || !request->over_tcp || !request->queued ||
                    !dns_reply_matches(request->message, request->size, reply, length, false)) {
                        log_debug("dns client: an answer nobody waits for");
                        continue;
                }
                if (!dns_request_complete(request, 0, reply, length))
                        return false;
                if (client->state != DNS_CLIENT_CONNECTED || client->fd != fd)
                        return false;
        }
        return true;
}

static void connection_read(struct dns_client *client)
{
        ssize_t n = recv(client->fd, client->in + client->in_have, IN_SIZE - client->in_have, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                int error = n < 0 ? -errno : client->n_tcp > 0 ? -ECONNRESET : 0;

                (void) connection_broke(client, error); /* nothing of the client is touched behind it */
                return;
        }
        client->in_have += (size_t) n;
        client->received += (uint64_t) n;
        if (frames_hand_on(client))
                dns_client_feed_connection(client);
}

static void connection_established(struct dns_client *client)
{
        int one = 1;

        client->in = malloc(IN_SIZE);
        if (!client->in) {
                (void) dns_client_end_connection(client, -ENOMEM);
                return;
        }
        (void) setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        heap_remove(&client->deadlines, &client->connection_deadline);
        dns_client_set_state(client, DNS_CLIENT_CONNECTED, 0);
        if (client->state == DNS_CLIENT_CONNECTED)
                dns_client_feed_connection(client);
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
                        dns_client_try_address(client);
                } else
                        connection_established(client);
                return 0;
        }

        if (revents & EPOLLOUT) {
                int r = connection_flush(client);

                if (r < 0) {
                        (void) connection_broke(client, r); /* as above */
                        return 0;
                }
                dns_client_feed_connection(client);
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
void dns_client_try_address(struct dns_client *client)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        dns_client_close_connection(client);
        while (client->next_address < client->n_addresses && now < client->connect_until_usec) {
                size_t left = client->n_addresses - client->next_address;
                int r = socket_connect(client, &client->addresses[client->next_address++]);

                if (r < 0) {
                        client->connect_error = r;
                        continue;
                }
                (void) heap_put(&client->deadlines, &client->connection_deadline,
                                now + (client->connect_until_usec - now) / left);
                dns_client_arm(client);
                dns_client_set_state(client, DNS_CLIENT_CONNECTING, 0);
                return;
        }
        (void) dns_client_end_connection(client,
                                         client->connect_error < 0 ? client->connect_error : -ETIMEDOUT);
}

static void on_lookup(void *userdata, int error, const struct lookup_address *addresses, size_t n)
{
        struct dns_client *client = userdata;

        client->lookup = NULL;
        if (error < 0) {
                bool connecting = client->connecting_after_lookup;

                if (!dns_client_complete_all(client, false, error))
                        return;
                if (connecting)
                        (void) dns_client_end_connection(client, error);
                return;
        }
        memcpy(client->addresses, addresses, n * sizeof(*addresses));
        client->n_addresses = n;
        client->next_address = 0;
        client->addresses_until_usec = now_usec(CLOCK_MONOTONIC) + ADDRESSES_GOOD_USEC;
        dns_client_start_datagrams(client);
        if (client->connecting_after_lookup) {
                client->connecting_after_lookup = false;
                dns_client_try_address(client);
        }
}

int dns_client_start_lookup(struct dns_client *client)
{
        if (client->lookup)
                return 0;
        return lookup_new(client->event, client->host, client->port, on_lookup, client, &client->lookup);
}

/* Never fails at once: what goes wrong is told from the loop. */
void dns_client_start_connection(struct dns_client *client)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        client->connect_until_usec = usec_add(now, client->connect_timeout_usec);
        client->connect_error = 0;
        client->connecting_after_lookup = true;
        if (dns_client_start_lookup(client) < 0)
                client->connect_until_usec = now;
        (void) heap_put(&client->deadlines, &client->connection_deadline, client->connect_until_usec);
        dns_client_arm(client);
        dns_client_set_state(client, DNS_CLIENT_RESOLVING, 0);
}
