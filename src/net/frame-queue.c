/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/frame-queue.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util/macro.h"

#define FRAME_SIZE 2
#define GROWTH_MAX 65536u

/* Makes "need" octets free behind the end. */
static int make_room(struct frame_queue *queue, size_t need)
{
        if (queue->start > 0 && queue->size - queue->end < need) {
                memmove(queue->bytes, queue->bytes + queue->start, frame_queue_pending(queue));
                queue->boundary -= queue->start;
                queue->end -= queue->start;
                queue->start = 0;
        }
        if (queue->size - queue->end >= need)
                return 0;

        size_t size = MAX(queue->end + need, queue->size + MIN(queue->size, GROWTH_MAX));
        uint8_t *bytes = realloc(queue->bytes, size);
        if (!bytes)
                return -ENOMEM;
        queue->bytes = bytes;
        queue->size = size;
        return 0;
}

int frame_queue_append(struct frame_queue *queue, const void *message, size_t size)
{
        size_t need = FRAME_SIZE + size;
        int r;

        if (size > UINT16_MAX)
                return -EMSGSIZE;
        r = make_room(queue, need);
        if (r < 0)
                return r;
        if (frame_queue_pending(queue) == 0)
                queue->boundary = queue->end + need;
        if (frame_queue_unread(queue) == 0) {
                queue->since_usec = now_usec(CLOCK_MONOTONIC);
                queue->due = queue->sent + need;
        }
        queue->bytes[queue->end++] = (uint8_t) (size >> 8);
        queue->bytes[queue->end++] = (uint8_t) size;
        memcpy(queue->bytes + queue->end, message, size);
        queue->end += size;
        return 0;
}

static void advance(struct frame_queue *queue, size_t n)
{
        queue->start += n;
        queue->sent += n;
        while (queue->start >= queue->boundary && queue->boundary < queue->end) {
                const uint8_t *frame = queue->bytes + queue->boundary;

                queue->boundary += FRAME_SIZE + ((size_t) frame[0] << 8 | frame[1]);
        }
}

static void drop_bytes(struct frame_queue *queue)
{
        free(queue->bytes);
        queue->bytes = NULL;
        queue->size = queue->start = queue->end = queue->boundary = 0;
}

int frame_queue_flush(struct frame_queue *queue, int fd)
{
        while (frame_queue_pending(queue) > 0) {
                ssize_t n = send(fd, queue->bytes + queue->start, frame_queue_pending(queue),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                advance(queue, (size_t) n);
        }
        drop_bytes(queue);
        return 0;
}

/* Each message has its own time, from when it came to the front. What the kernel has taken meanwhile comes
 * there together, with the whole of the message that it has a part of. */
void frame_queue_look(struct frame_queue *queue, int fd)
{
        uint64_t whole = queue->sent + (queue->boundary - queue->start);
        int unsent = 0;

        if (queue->sent > queue->acknowledged && ioctl(fd, SIOCOUTQ, &unsent) >= 0)
                queue->acknowledged = MAX(queue->acknowledged,
                                          queue->sent - MIN((uint64_t) unsent, queue->sent));
        if (queue->acknowledged < queue->due || queue->due >= whole)
                return;
        queue->due = whole;
        queue->since_usec = now_usec(CLOCK_MONOTONIC);
}

void frame_queue_clear(struct frame_queue *queue)
{
        drop_bytes(queue);
        *queue = (struct frame_queue){ 0 };
}
