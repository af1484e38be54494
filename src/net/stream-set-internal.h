/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the stream set share: stream-set.c serves connections, stream-accept.c lets them in. */

#include <sys/epoll.h>
#include <sys/queue.h>

#include "net/frame-input.h"
#include "net/frame-queue.h"
#include "net/stream-places.h"
#include "net/stream-set.h"
#include "net/stream-slots.h"
#include "util/heap.h"

#define STREAM_EVENTS_PER_TURN 64
#define STREAM_LISTENERS_MAX   64
#define STREAM_LISTENER_EVENT  (UINT64_C(1) << 63)

struct connection {
        struct heap_node deadline;
        TAILQ_ENTRY(connection) resume_entry;
        int fd;
        uint32_t index;
        uint32_t events; /* as told to epoll */
        struct net_peer peer;
        struct place place;
        usec_t idle_since_usec;

        struct frame_input in;
        struct frame_queue out;

        uint32_t in_flight;
        bool held;       /* the next message is there, and waits for the end of one before it */
        bool failed;     /* had a message with a signature that was wrong */
        bool eof;        /* the peer sends no more, but may still read */
        bool processing; /* on the stack: nobody frees it */
        bool doomed;
        bool queued;      /* in the resume list */
        unsigned express; /* so many more messages it is looked at before the others */
};

TAILQ_HEAD(connection_list, connection);

struct listener {
        int fd;
        bool paused;
};

/* An epoll set, and what the last turn had no time for. */
struct stream_batch {
        int fd;
        struct epoll_event events[STREAM_EVENTS_PER_TURN];
        int n, next;
};

struct stream_set {
        sd_event *event;
        const struct stream_set_ops *ops;
        void *userdata;
        struct stream_limits limits;

        struct stream_batch arrivals, express, common; /* the first two are in the set of the last */
        int wake_fd; /* eventfd in the set: a look at the resume list is due */
        bool woken;
        sd_event_source *io_source;
        sd_event_source *timer;
        usec_t timer_at_usec; /* USEC_INFINITY: off */

        struct listener listeners[STREAM_LISTENERS_MAX];
        size_t n_listeners;
        struct heap_node accept_pause; /* in the heap while accepting is paused for want of descriptors */

        struct slots slots;
        struct places places;
        struct heap deadlines;
        struct connection_list resume;
        bool draining;
        bool drained; /* told */

        usec_t turn_ends_usec;

        struct stream_statistics statistics;
};

static inline size_t out_pending(const struct connection *connection)
{
        return frame_queue_pending(&connection->out);
}

static inline struct epoll_event stream_slot_event(const struct stream_set *set, uint32_t index,
                                                   uint32_t events)
{
        return (struct epoll_event){
                .events = events, .data.u64 = (uint64_t) slots_id(&set->slots, index).generation << 32 | index
        };
}

/* Reads once, and hands on what is there. The connection may be gone afterwards. */
void stream_connection_read(struct stream_set *set, struct connection *connection);
void stream_connection_close(struct stream_set *set, struct connection *connection);
/* Gone at once, with all that the kernel holds for it: a peer that took nothing gets no farewell. */
void stream_connection_abort(struct stream_set *set, struct connection *connection);
void stream_arm_timer(struct stream_set *set);
bool stream_turn_is_over(const struct stream_set *set);

void stream_dispatch_listener(struct stream_set *set, size_t index);
void stream_resume_accepting(struct stream_set *set);
void stream_close_listeners(struct stream_set *set);
