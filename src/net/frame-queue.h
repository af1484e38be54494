/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages on their way out of a stream: framed by two octets of length, kept until the kernel has taken
 * them, and counted until the peer has acknowledged them: what waits in the kernel is memory as well. A plain
 * value; all zero is an empty queue. */

#include <stddef.h>
#include <stdint.h>

#include "util/time.h"

struct frame_queue {
        uint8_t *bytes;
        size_t size;
        size_t start; /* first octet not taken by the kernel yet */
        size_t end;
        size_t boundary;       /* end of the message that start lies in */
        uint64_t sent;         /* octets that the kernel has taken, since the connection is there */
        uint64_t acknowledged; /* of those, by what is known */
        uint64_t due;          /* what has to be acknowledged within the time of a message ... */
        usec_t since_usec;     /* ... which began then, MONOTONIC: with the first of its octets */
};

/* Octets that the kernel has not taken. */
static inline size_t frame_queue_pending(const struct frame_queue *queue)
{
        return queue->end - queue->start;
}

/* Octets that the peer has not acknowledged, at most: no more than frame_queue_look() knows. */
static inline uint64_t frame_queue_unread(const struct frame_queue *queue)
{
        return frame_queue_pending(queue) + queue->sent - queue->acknowledged;
}

/* Copies. 0, -EMSGSIZE (over 65535 octets), -ENOMEM. */
int frame_queue_append(struct frame_queue *queue, const void *message, size_t size);
/* Sends what the socket takes. 0 (look at what is pending), or what send says. */
int frame_queue_flush(struct frame_queue *queue, int fd);
/* Asks the kernel what the peer has acknowledged. */
void frame_queue_look(struct frame_queue *queue, int fd);
void frame_queue_clear(struct frame_queue *queue);
