/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/frame-input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/macro.h"

#define FRAME_SIZE 2

static int make_room(struct frame_input *input, size_t limit)
{
        size_t size = FRAME_SIZE + limit;
        uint8_t *grown;

        if (input->size >= size)
                return 0;
        grown = realloc(input->octets, size);
        if (!grown)
                return -ENOMEM;
        input->octets = grown;
        input->size = size;
        return 0;
}

static void pass_over(struct frame_input *input)
{
        size_t n = MIN(input->skip, input->have - input->taken);

        if (input->skip == 0)
                return;
        input->taken += n;
        input->skip -= n;
        input->ended = input->ended || input->skip == 0;
}

ssize_t frame_input_read(struct frame_input *input, int fd, size_t limit)
{
        ssize_t n;

        if (make_room(input, limit) < 0)
                return -ENOMEM;
        if (input->have == input->size)
                return -EAGAIN;
        n = recv(fd, input->octets + input->have, input->size - input->have, MSG_DONTWAIT);
        if (n < 0)
                return -errno;
        if (!frame_input_busy(input))
                input->since_usec = now_usec(CLOCK_MONOTONIC);
        input->have += (size_t) n;
        pass_over(input);
        return n;
}

enum frame_kind frame_input_next(const struct frame_input *input, size_t limit, struct frame *ret)
{
        size_t have = input->have - input->taken;
        const uint8_t *octets;

        if (have < FRAME_SIZE)
                return FRAME_NONE;
        octets = input->octets + input->taken;
        ret->length = (size_t) octets[0] << 8 | octets[1];
        ret->octets = octets + FRAME_SIZE;
        ret->size = MIN(ret->length, limit);
        if (ret->length == 0)
                return FRAME_EMPTY;
        if (have < FRAME_SIZE + ret->size)
                return FRAME_NONE;
        return ret->size == ret->length ? FRAME_WHOLE : FRAME_HEAD;
}

void frame_input_take(struct frame_input *input, const struct frame *frame)
{
        input->taken += FRAME_SIZE + frame->size;
        input->skip = frame->length - frame->size;
        input->ended = input->ended || input->skip == 0;
        pass_over(input);
}

bool frame_input_settle(struct frame_input *input)
{
        bool ended = input->ended;

        if (input->taken > 0) {
                input->have -= input->taken;
                memmove(input->octets, input->octets + input->taken, input->have);
                input->taken = 0;
        }
        /* What is there now began now, at the earliest: the peer may have sent it while we did not look. */
        if (ended)
                input->since_usec = now_usec(CLOCK_MONOTONIC);
        input->ended = false;
        if (input->have == 0) {
                free(input->octets);
                input->octets = NULL;
                input->size = 0;
        }
        return ended;
}

void frame_input_clear(struct frame_input *input)
{
        free(input->octets);
        *input = (struct frame_input){};
}
