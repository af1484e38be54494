/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* DNS, the client's side, towards one server: many requests in flight, matched by ID.
 *
 * TCP: one connection, opened by the first request, kept until it was idle for idle_timeout or the server
 * closes it. When it breaks, everything in flight is completed with the error, and nothing is sent twice:
 * whether a request may be repeated is the caller's to know. There is no back-off here. A server may end it
 * behind a few answers: that is -ECONNABORTED, which says that another connection will get further; so many
 * are then sent at a time as were answered.
 *
 * UDP: every request has a connected socket of its own with a port of the kernel's choice; an answer counts
 * when ID, opcode and question are those of the request, anything else is ignored. Sent again while time is
 * left. A truncated answer to a query is asked again over TCP, within the same deadline. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "util/macro.h"
#include "util/time.h"

enum dns_client_state {
        DNS_CLIENT_IDLE, /* no connection; also the state of a UDP client */
        DNS_CLIENT_RESOLVING,
        DNS_CLIENT_CONNECTING,
        DNS_CLIENT_CONNECTED,
};

struct dns_client;
struct dns_request;

struct dns_client_options {
        const char *host; /* address literal or name (resolved off the loop, by getaddrinfo); copied */
        uint16_t port;
        bool udp;
        usec_t connect_timeout_usec; /* name lookup and connection; 0: 5 s. All addresses of a name are tried.
                                      */
        usec_t idle_timeout_usec;    /* 0: 10 s */
        usec_t retry_usec;           /* UDP: sent again after so long, doubling; 0: 1 s */
        bool reset_unanswered;       /* TCP: what was sent and not answered is not to be delivered late by the
                                      * kernel:       the connection is reset, not closed */
};

/* error 0: the reply, in the client's memory, gone when this returns; nothing of it is judged beyond ID,
 * opcode, QR and (where present) the question. Else negative: -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET,
 * -EHOSTUNREACH, -ENXIO (the name has no address), -EBADMSG (the stream made no sense), ... May call anything
 * of the client, its free included. Never called from within dns_client_request(). */
typedef void (*dns_client_done)(void *userdata, int error, const uint8_t *reply, size_t size);

/* Called when the octets of a message are about to go to the kernel: what depends on the time, as a
 * signature, is made here, in a copy of the message. Perhaps more than once, if the kernel takes nothing of
 * it after all. The new size, at most "capacity"; or negative errno: the request ends with it. Nothing of the
 * client may be called. */
typedef ssize_t (*dns_client_prepare)(void *userdata, uint8_t *message, size_t size, size_t capacity);
/* Called when the kernel has taken octets of the message: what is completed without this was surely never
 * sent. Nothing of the client may be called. */
typedef void (*dns_client_sent)(void *userdata);

struct dns_client_message {
        const void *octets; /* copied */
        size_t size;
        size_t room; /* octets that prepare may add */
        usec_t timeout_usec;
        bool over_tcp; /* though the client is one for UDP */
        bool first;    /* TCP: before all that is not under way yet */
        dns_client_prepare prepare;
        dns_client_sent sent;
        dns_client_done done;
        void *userdata;
};

/* Told at every change; error is why a connection ended, or 0. May be NULL. Must not free the client. */
typedef void (*dns_client_on_state)(void *userdata, enum dns_client_state state, int error);

int dns_client_new(sd_event *event, const struct dns_client_options *options, dns_client_on_state on_state,
                   void *userdata, struct dns_client **ret);
/* Pending requests end without a word. */
struct dns_client *dns_client_free(struct dns_client *client);
DEFINE_CLEANUP(struct dns_client *, dns_client_free)

/* A random ID that no request in flight has: to be put into the message before it is signed. */
uint16_t dns_client_id(struct dns_client *client);

/* Sends a message (copied), at most timeout_usec from now for everything, connection included. The handle
 * (ret may be NULL) is good until completion. 0; -EEXIST: the ID is in flight; -EMSGSIZE; -ENOMEM; -ENOBUFS:
 * too many in flight (1024). */
int dns_client_request(struct dns_client *client, const void *message, size_t size, usec_t timeout_usec,
                       dns_client_done done, void *userdata, struct dns_request **ret);
/* The same, with more to be said. */
int dns_client_send(struct dns_client *client, const struct dns_client_message *message,
                    struct dns_request **ret);
/* Without completion. Takes NULL; returns NULL. */
struct dns_request *dns_request_cancel(struct dns_request *request);

/* TCP: opens the connection ahead of the first request. How that goes is told as changes of state.
 */
void dns_client_connect(struct dns_client *client);
/* Another one is told of changes from now on; NULL: nobody. */
void dns_client_watch(struct dns_client *client, dns_client_on_state on_state, void *userdata);

/* Ends the connection; all pending requests complete with -ECONNABORTED. */
void dns_client_disconnect(struct dns_client *client);

enum dns_client_state dns_client_get_state(const struct dns_client *client);
/* Where the connection goes or, of a UDP client, the first of the addresses; NULL: not known yet. A view. */
const struct sockaddr_storage *dns_client_peer(const struct dns_client *client);
size_t dns_client_pending(const struct dns_client *client);
