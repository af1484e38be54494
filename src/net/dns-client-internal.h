/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Among the files of the client. dns-client.c: requests, their order and their time. dns-client-stream.c: the
 * connection. dns-client-datagram.c: UDP. */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "dns/protocol.h"
#include "net/dns-client.h"
#include "net/lookup.h"
#include "util/heap.h"

#define FRAME_SIZE 2

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
        TAILQ_ENTRY(dns_request) by_turn;
        bool waits; /* for its turn on the connection */
        bool over_tcp;
        bool first;
        bool queued;              /* given to the connection */
        int error;                /* what it ends with, if not with a time-out */
        uint64_t received_before; /* octets the connection had received when the request was given to it */
        usec_t retry_span_usec;
        size_t attempt;
        int fd; /* UDP */
        sd_event_source *io_source;
        dns_client_prepare prepare;
        dns_client_sent sent;
        dns_client_done done;
        void *userdata;
        size_t size;
        size_t room;
        uint8_t message[];
};

RB_HEAD(request_tree, dns_request);
TAILQ_HEAD(request_list, dns_request);

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
        bool reset_unanswered;
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
        struct request_list turns; /* to be sent, in this order */
        uint8_t *rest;             /* of a message that the kernel has taken a part of; owned */
        size_t rest_size, rest_at;
        size_t n_unanswered; /* sent on this connection */
        size_t n_answered;
        size_t window; /* so many unanswered at most; 0: any number */
        uint8_t *in;
        size_t in_have;
        uint64_t received;
};

RB_PROTOTYPE(request_tree, dns_request, entry, request_compare)

/* dns-client.c */
struct dns_request *dns_client_find(struct dns_client *client, uint16_t id);
void dns_client_arm(struct dns_client *client);
void dns_client_set_state(struct dns_client *client, enum dns_client_state state, int error);
void dns_request_close_socket(struct dns_request *request);
void dns_request_enter(struct dns_request *request);
void dns_request_leave(struct dns_request *request);
void dns_client_note_idle(struct dns_client *client);
/* False when the client is gone. */
bool dns_request_complete(struct dns_request *request, int error, const uint8_t *reply, size_t size);
/* All requests of one transport; false when the client is gone. */
bool dns_client_complete_all(struct dns_client *client, bool over_tcp, int error);
void dns_request_fail(struct dns_request *request, int error);
ssize_t dns_request_prepare(const struct dns_request *request, uint8_t *octets);
void dns_request_note_sent(struct dns_request *request);

/* dns-client-stream.c */
void dns_client_close_connection(struct dns_client *client);
/* False when the client is gone. */
bool dns_client_end_connection(struct dns_client *client, int error);
void dns_client_feed_connection(struct dns_client *client);
void dns_client_try_address(struct dns_client *client);
int dns_client_start_lookup(struct dns_client *client);
void dns_client_start_connection(struct dns_client *client);

/* dns-client-datagram.c */
void dns_client_start_datagram(struct dns_request *request);
void dns_client_start_datagrams(struct dns_client *client);
