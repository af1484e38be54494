/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* DNS over TCP, the server's side (RFC 7766): listening sockets and all their connections in epoll sets that
 * are one sd-event source, at most 64 events each and 5 ms a turn, of which newcomers and those who had a
 * verified message have half. Messages are framed by two octets of
 * length, may be pipelined, and are answered in any order. Knows nothing of what a message says.
 *
 * Everything a peer can make us hold is bounded by struct stream_limits. Deadlines are per message, never per
 * octet: a message has message_timeout from its first octet (its length) to its last, and a reply has as long
 * to be acknowledged by the peer; a connection with nothing under way has idle_timeout. One that waits for
 * our own answer has no deadline.
 *
 * A connection is known to the outside by an id, never by a pointer: connections die while requests wait. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "net/peer.h"
#include "net/stream-id.h"
#include "util/address.h"
#include "util/macro.h"
#include "util/time.h"

struct stream_limits {
        uint32_t connections;            /* in all; one prefix takes at most half of them */
        uint32_t connections_per_source; /* a source is a /32 or /128; sums also at /64 and /56 (four times,
                                            eight times as many) */
        uint32_t message_bytes;          /* of a longer one no more is kept; on_overlong() tells the peer */
        uint32_t in_flight;     /* messages of one connection that wait for an answer; then we read no more */
        uint32_t unread_output; /* octets of answers a peer has not acknowledged, those in the kernel too;
                                   then we read no more */
        usec_t message_timeout_usec;
        usec_t idle_timeout_usec;
        struct prefix_list exempt_nets; /* sources without a bound of their own: one such network takes at
                                           most half of all; copied */
};

#define STREAM_LIMITS_DEFAULT                                                                                \
        ((struct stream_limits){                                                                             \
                .connections = 4096,                                                                         \
                .connections_per_source = 256,                                                               \
                .message_bytes = 8192,                                                                       \
                .in_flight = 32,                                                                             \
                .unread_output = 64 * 1024,                                                                  \
                .message_timeout_usec = 5 * USEC_PER_SEC,                                                    \
                .idle_timeout_usec = 15 * USEC_PER_SEC,                                                      \
        })

/* Copies, the nets included, into a struct that holds limits already or is all zero; bounds that make no
 * sense are put right. 0 or -ENOMEM (nothing changed). */
int stream_limits_copy(struct stream_limits *to, const struct stream_limits *from);
/* To a listening socket, whose connections inherit it: what the kernel holds for them. */
void stream_limits_apply(const struct stream_limits *limits, int fd);

struct stream_set;

#define STREAM_LATER 1

struct stream_set_ops {
        /* A whole message, at most message_bytes long; the bytes are the set's, and gone when this returns.
         * 0: the message is answered, now or later, by exactly one stream_set_reply() or stream_set_done().
         * STREAM_LATER: not now; it stays where it is, and is offered again when another message of this
         * connection, of which there must be one, has been answered. Negative: the connection is closed
         * without an answer. May call anything of the set but its free. */
        int (*on_message)(void *userdata, struct stream_id id, const uint8_t *message, size_t size,
                          const struct net_peer *peer);
        /* Of a message that is longer than message_bytes the first so many octets, to be answered likewise,
         * but never STREAM_LATER; the rest of it is passed over as it comes, within the time of one message.
         * NULL: the connection is closed. */
        int (*on_overlong)(void *userdata, struct stream_id id, const uint8_t *start, size_t size,
                           size_t length, const struct net_peer *peer);
        /* After stream_set_drain(): no connection is left. May be NULL. May free the set. */
        void (*on_drained)(void *userdata);
};

struct stream_statistics {
        uint32_t connections; /* now */
        uint64_t accepted;
        uint64_t refused; /* closed at once: a bound was reached, and nobody went in its stead */
        uint64_t evicted; /* closed to make room */
        uint64_t timeouts;
        uint64_t messages;
        uint64_t replies_dropped; /* for connections that were gone */
};

/* "ops" is a constant of the caller; limits are copied. 0 or -errno. */
int stream_set_new(sd_event *event, const struct stream_limits *limits, const struct stream_set_ops *ops,
                   void *userdata, struct stream_set **ret);
/* Closes everything at once. */
struct stream_set *stream_set_free(struct stream_set *set);
DEFINE_CLEANUP(struct stream_set *, stream_set_free)

/* Limits changed at run time hold for what comes; connections over them are not closed. 0 or -ENOMEM. */
int stream_set_limits(struct stream_set *set, const struct stream_limits *limits);

/* Takes a listening stream socket, own or passed; the set closes it, also when this fails. 0 or -errno. */
int stream_set_listen(struct stream_set *set, int fd);
/* Closes the listening sockets; connections stay, also those that wait to be accepted. */
void stream_set_unlisten(struct stream_set *set);
/* Unlisten, read no further message, answer what is in flight, close each connection when it is answered;
 * then on_drained(), from the loop. */
void stream_set_drain(struct stream_set *set);

/* 0; -ENOTCONN: the connection is gone, which is no error; -EMSGSIZE: over 65535 octets; -ENOMEM (the
 * connection is closed). The bytes are copied. */
int stream_set_reply(struct stream_set *set, struct stream_id id, const void *message, size_t size);
/* What a message that was put off waited for has ended without an answer: it is offered again. */
void stream_set_offer(struct stream_set *set, struct stream_id id);
/* The message gets no answer; the connection reads on. */
void stream_set_done(struct stream_set *set, struct stream_id id);
/* The message gets no answer and its connection no further attention. */
void stream_set_close(struct stream_set *set, struct stream_id id);
/* A complete message of this connection was verified: among its like it is now the last to be closed when
 * room is needed. */
void stream_set_mark_verified(struct stream_set *set, struct stream_id id);
/* One turned out to be signed by somebody else. */
void stream_set_mark_failed(struct stream_set *set, struct stream_id id);
/* What is known of the connection by its messages. */
enum stream_record {
        STREAM_NEW,    /* nothing, or it is gone */
        STREAM_PROVEN, /* some were verified, and none failed */
        STREAM_FAILED,
};
enum stream_record stream_set_record(const struct stream_set *set, struct stream_id id);
bool stream_set_is_alive(const struct stream_set *set, struct stream_id id);

void stream_set_statistics(const struct stream_set *set, struct stream_statistics *ret);

/* A listening socket, non-blocking and close-on-exec, IPv6 ones for IPv6 only; "port" 0 takes a free one.
 * Returns the descriptor or -errno. */
int stream_listen_open(const struct address *address, uint16_t port);
