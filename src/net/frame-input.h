/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages on their way into a stream: framed by two octets of length, collected until they are whole. Of one
 * that is longer than is taken only the beginning is kept, for whoever tells the peer; the rest is passed
 * over. A plain value; all zero is empty. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/time.h"

struct frame_input {
        uint8_t *octets; /* allocated while octets are in it */
        size_t size;
        size_t have;
        size_t taken;      /* of those: handed on, to be dropped */
        size_t skip;       /* octets still to come of a message that was too long */
        bool ended;        /* a message has ended since the last frame_input_settle() */
        usec_t since_usec; /* MONOTONIC: when the message that is incomplete began */
};

enum frame_kind {
        FRAME_NONE,  /* not there yet */
        FRAME_WHOLE, /* a message */
        FRAME_HEAD,  /* the first octets of one that is longer than the limit */
        FRAME_EMPTY, /* a length of zero, which is no message */
};

struct frame {
        const uint8_t *octets;
        size_t size;   /* of octets */
        size_t length; /* of the message */
};

/* One read, for messages of at most "limit" octets. What recv says (0: the peer has ended, or there is no
 * room), or -errno. */
ssize_t frame_input_read(struct frame_input *input, int fd, size_t limit);
/* The next frame, until frame_input_take() the same. */
enum frame_kind frame_input_next(const struct frame_input *input, size_t limit, struct frame *ret);
void frame_input_take(struct frame_input *input, const struct frame *frame);
/* Is there one, taken together with what was taken. */
static inline bool frame_input_complete(const struct frame_input *input, size_t limit)
{
        struct frame frame;

        return frame_input_next(input, limit, &frame) != FRAME_NONE;
}
/* A message has begun and not ended. */
static inline bool frame_input_busy(const struct frame_input *input)
{
        return input->have > 0 || input->skip > 0;
}
/* After frames were taken: makes room. True: a message has ended. */
bool frame_input_settle(struct frame_input *input);
void frame_input_clear(struct frame_input *input);
