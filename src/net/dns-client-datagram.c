/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/epoll.h>

#include "net/dns-client-internal.h"
#include "net/reply.h"
#include "util/log.h"

/* A truncated answer: the same question over TCP, in what is left of its time. */
static void request_move_to_tcp(struct dns_request *request)
{
        struct dns_client *client = request->client;

        dns_request_close_socket(request);
        request->over_tcp = true;
        client->n_tcp++;
        dns_request_enter(request);
        if (client->state == DNS_CLIENT_CONNECTED)
                dns_client_feed_connection(client);
        else if (client->state == DNS_CLIENT_IDLE)
                dns_client_start_connection(client);
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
                        dns_client_arm(request->client);
                } else
                        (void) dns_request_complete(request, error, NULL, 0);
                return 0;
        }
        if (!dns_reply_matches(request->message, request->size, reply, (size_t) n, true))
                return 0; /* forged, or late from another request: the right one may still come */
        if (reply[2] & 0x02) {
                request_move_to_tcp(request);
                return 0;
        }
        (void) dns_request_complete(request, 0, reply, (size_t) n);
        return 0;
}

/* Every attempt is the same message, as it was made for the first. */
static int udp_send(struct dns_request *request)
{
        static uint8_t octets[DNS_MESSAGE_MAX];
        ssize_t size = request->prepare ? dns_request_prepare(request, octets) : (ssize_t) request->size;

        if (size < 0) {
                dns_request_fail(request, (int) size);
                return 0;
        }
        if (request->prepare) {
                memcpy(request->message, octets, (size_t) size);
                request->size = (size_t) size;
                request->prepare = NULL;
        }
        if (send(request->fd, request->message, request->size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        dns_request_note_sent(request);
        return 0;
}

static int udp_attempt(struct dns_request *request)
{
        struct dns_client *client = request->client;
        const struct lookup_address *address = &client->addresses[request->attempt++ % client->n_addresses];
        int r;

        dns_request_close_socket(request);
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
        return udp_send(request);
}

/* An attempt that cannot even be sent waits for the next one; the deadline ends it. */
void dns_client_start_datagram(struct dns_request *request)
{
        int r = udp_attempt(request);

        if (r < 0)
                log_debug("dns client: sending: %s", strerror(-r));
        dns_client_arm(request->client);
}

void dns_client_start_datagrams(struct dns_client *client)
{
        struct dns_request *request;

        RB_FOREACH (request, request_tree, &client->requests)
                if (!request->over_tcp && request->attempt == 0)
                        dns_client_start_datagram(request);
}
