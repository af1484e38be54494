/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages on their way out of a stream: framed by two octets of length, kept until the kernel has taken
 * them. A plain value; all zero is an empty queue. */

#include <stddef.h>
#include <stdint.h>

#include "util/time.h"

struct frame_queue {
        uint8_t *bytes;
        size_t size;
        size_t start; /* first octet not taken yet */
        size_t end;
        size_t boundary;   /* end of the message that start lies in */
        usec_t since_usec; /* MONOTONIC: when the message at the front came there */
};

static inline size_t frame_queue_pending(const struct frame_queue *queue)
{
        return queue->end - queue->start;
}

/* Copies. 0, -EMSGSIZE (over 65535 octets), -ENOMEM. */
int frame_queue_append(struct frame_queue *queue, const void *message, size_t size);
/* Sends what the socket takes. 0 (look at what is pending), or what send says. */
int frame_queue_flush(struct frame_queue *queue, int fd);
void frame_queue_clear(struct frame_queue *queue);
