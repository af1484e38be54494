/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/stream-set.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#include "net/frame-input.h"
#include "net/frame-queue.h"
#include "net/source-count.h"
#include "net/stream-slots.h"
#include "util/heap.h"
#include "util/log.h"

#define EVENTS_PER_TURN   64
#define TURN_USEC         (5 * USEC_PER_MSEC)
#define LISTENERS_MAX     64
#define ACCEPT_PAUSE_USEC (200 * USEC_PER_MSEC)
#define TIMER_ACCURACY    USEC_PER_MSEC
#define WAKE_EVENT        UINT64_MAX
#define LISTENER_EVENT    (UINT64_C(1) << 63)

struct connection {
        struct heap_node deadline;
        TAILQ_ENTRY(connection) resume_entry;
        int fd;
        uint32_t index;
        uint32_t events; /* as told to epoll */
        struct net_peer peer;
        struct source_handle source;
        usec_t useful_usec; /* last verified message, else when it was accepted */
        usec_t idle_since_usec;

        struct frame_input in;
        struct frame_queue out;

        uint32_t in_flight;
        bool held;       /* the next message is there, and waits for the end of one before it */
        bool eof;        /* the peer sends no more, but may still read */
        bool processing; /* on the stack: nobody frees it */
        bool doomed;
        bool queued; /* in the resume list */
        bool exempt;
};

TAILQ_HEAD(connection_list, connection);

struct listener {
        int fd;
        bool paused;
};

struct stream_set {
        sd_event *event;
        const struct stream_set_ops *ops;
        void *userdata;
        struct stream_limits limits;

        int epoll_fd;
        int wake_fd; /* eventfd in the set: a look at the resume list is due */
        bool woken;
        sd_event_source *io_source;
        sd_event_source *timer;
        usec_t timer_at_usec; /* USEC_INFINITY: off */

        struct listener listeners[LISTENERS_MAX];
        size_t n_listeners;
        struct heap_node accept_pause; /* in the heap while accepting is paused for want of descriptors */

        struct slots slots;
        struct source_count sources;
        struct heap deadlines;
        struct connection_list resume;
        bool draining;
        bool drained; /* told */

        struct epoll_event events[EVENTS_PER_TURN];
        int n_events, next_event; /* what the last turn had no time for */
        usec_t turn_started_usec;

        struct stream_statistics statistics;
};

static size_t out_pending(const struct connection *connection)
{
        return frame_queue_pending(&connection->out);
}

static bool connection_stalled(const struct stream_set *set, const struct connection *connection)
{
        return connection->held || connection->in_flight >= set->limits.in_flight ||
               out_pending(connection) >= set->limits.unread_output;
}

static bool in_complete(const struct stream_set *set, const struct connection *connection)
{
        return frame_input_complete(&connection->in, set->limits.message_bytes);
}

static struct connection *find(const struct stream_set *set, struct stream_id id)
{
        return slots_find(&set->slots, id);
}

static struct stream_id connection_id(const struct stream_set *set, const struct connection *connection)
{
        return slots_id(&set->slots, connection->index);
}

static struct epoll_event slot_event(const struct stream_set *set, uint32_t index, uint32_t events)
{
        return (struct epoll_event){
                .events = events, .data.u64 = (uint64_t) slots_id(&set->slots, index).generation << 32 | index
        };
}

static void connection_answered(struct connection *connection)
{
        if (connection->in_flight > 0)
                connection->in_flight--;
        connection->held = false;
}

/* One timer for all deadlines. It is only moved forward here; one that fires too early finds nothing to do
 * and is set to what is next. */
static void arm_timer(struct stream_set *set)
{
        const struct heap_node *first = heap_first(&set->deadlines);

        if (!first || first->key >= set->timer_at_usec)
                return;
        set->timer_at_usec = first->key;
        (void) sd_event_source_set_time(set->timer, first->key);
        (void) sd_event_source_set_enabled(set->timer, SD_EVENT_ONESHOT);
}

static void watch_listeners(struct stream_set *set, bool on)
{
        for (size_t i = 0; i < set->n_listeners; i++) {
                struct listener *listener = &set->listeners[i];
                struct epoll_event event = { .events = on ? EPOLLIN : 0, .data.u64 = LISTENER_EVENT | i };

                if (listener->paused == !on)
                        continue;
                if (epoll_ctl(set->epoll_fd, EPOLL_CTL_MOD, listener->fd, &event) >= 0)
                        listener->paused = !on;
        }
}

/* Without descriptors or memory the listening socket stays readable: not looked at for a while. */
static void pause_accepting(struct stream_set *set)
{
        if (heap_put(&set->deadlines, &set->accept_pause, now_usec(CLOCK_MONOTONIC) + ACCEPT_PAUSE_USEC) < 0)
                return;
        watch_listeners(set, false);
        arm_timer(set);
}

static void resume_accepting(struct stream_set *set)
{
        if (!heap_contains(&set->accept_pause))
                return;
        heap_remove(&set->deadlines, &set->accept_pause);
        watch_listeners(set, true);
}

/* Work that no descriptor announces comes through the same door: an sd-event source of its own kind would be
 * served before the others of its priority. */
static void wake(struct stream_set *set)
{
        if (!set->woken)
                set->woken = eventfd_write(set->wake_fd, 1) >= 0;
}

static void connection_close(struct stream_set *set, struct connection *connection)
{
        if (connection->queued)
                TAILQ_REMOVE(&set->resume, connection, resume_entry);
        heap_remove(&set->deadlines, &connection->deadline);
        source_count_remove(&set->sources, connection->source);
        close(connection->fd);
        frame_input_clear(&connection->in);
        frame_queue_clear(&connection->out);

        slots_remove(&set->slots, connection->index);
        free(connection);

        set->statistics.connections--;
        resume_accepting(set);
        if (set->draining && set->statistics.connections == 0)
                wake(set);
}

static usec_t connection_deadline(const struct stream_set *set, const struct connection *connection)
{
        usec_t deadline = USEC_INFINITY;

        if (out_pending(connection) > 0)
                deadline = usec_add(connection->out.since_usec, set->limits.message_timeout_usec);
        if (frame_input_busy(&connection->in) && !connection->eof && !connection_stalled(set, connection))
                deadline = MIN(deadline,
                               usec_add(connection->in.since_usec, set->limits.message_timeout_usec));
        if (!frame_input_busy(&connection->in) && connection->in_flight == 0 && out_pending(connection) == 0)
                deadline = usec_add(connection->idle_since_usec, set->limits.idle_timeout_usec);
        return deadline;
}

static void queue_resume(struct stream_set *set, struct connection *connection)
{
        if (connection->queued)
                return;
        connection->queued = true;
        TAILQ_INSERT_TAIL(&set->resume, connection, resume_entry);
        wake(set);
}

/* After anything that happened to a connection: closes it when it has come to its end, else tells epoll and
 * the deadlines what it waits for now. */
static void connection_settle(struct stream_set *set, struct connection *connection)
{
        bool stalled = connection_stalled(set, connection);
        uint32_t events = 0;

        if (connection->processing)
                return;
        if (connection->doomed) {
                connection_close(set, connection);
                return;
        }

        if ((connection->eof && !in_complete(set, connection)) || set->draining) {
                frame_input_clear(&connection->in);
                if (connection->in_flight == 0 && out_pending(connection) == 0) {
                        connection_close(set, connection);
                        return;
                }
        }

        if (!stalled && in_complete(set, connection))
                queue_resume(set, connection);
        if (!stalled && !connection->eof && !set->draining)
                events |= EPOLLIN;
        if (out_pending(connection) > 0)
                events |= EPOLLOUT;
        if (events != connection->events) {
                struct epoll_event event = slot_event(set, connection->index, events);

                /* Reading starts again: the time in which we did not look is not the peer's. */
                if ((events & EPOLLIN) && !(connection->events & EPOLLIN))
                        connection->in.since_usec = now_usec(CLOCK_MONOTONIC);
                if (epoll_ctl(set->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) < 0) {
                        connection_close(set, connection);
                        return;
                }
                connection->events = events;
        }

        usec_t deadline = connection_deadline(set, connection);
        if (deadline == USEC_INFINITY)
                heap_remove(&set->deadlines, &connection->deadline);
        else if (heap_put(&set->deadlines, &connection->deadline, deadline) < 0) {
                connection_close(set, connection);
                return;
        }
        arm_timer(set);
}

static void connection_flush(struct connection *connection)
{
        bool busy = frame_queue_pending(&connection->out) > 0;

        if (frame_queue_flush(&connection->out, connection->fd) < 0)
                connection->doomed = true;
        else if (busy && frame_queue_pending(&connection->out) == 0)
                connection->idle_since_usec = now_usec(CLOCK_MONOTONIC);
}

static bool turn_is_over(const struct stream_set *set)
{
        return now_usec(CLOCK_MONOTONIC) - set->turn_started_usec >= TURN_USEC;
}

/* As stream_set_ops.on_message(). */
static int connection_tell(struct stream_set *set, struct connection *connection, enum frame_kind kind,
                           const struct frame *frame)
{
        struct stream_id id = connection_id(set, connection);

        if (kind == FRAME_WHOLE)
                return set->ops->on_message(set->userdata, id, frame->octets, frame->length,
                                            &connection->peer);
        log_debug("stream: message of %zu octets", frame->length);
        if (kind == FRAME_EMPTY || !set->ops->on_overlong)
                return -EBADMSG;
        return set->ops->on_overlong(set->userdata, id, frame->octets, frame->size, frame->length,
                                     &connection->peer);
}

/* Hands on the complete messages that are there. Stops where a bound of the connection or the turn's end
 * says so; what is left stays in the buffer. */
static void connection_process(struct stream_set *set, struct connection *connection)
{
        enum frame_kind kind;
        struct frame frame;
        bool first = true;

        connection->processing = true;
        while (!connection->doomed && !set->draining && !connection_stalled(set, connection)) {
                kind = frame_input_next(&connection->in, set->limits.message_bytes, &frame);
                if (kind == FRAME_NONE)
                        break;
                if (!first && turn_is_over(set)) {
                        queue_resume(set, connection);
                        break;
                }

                connection->in_flight++;
                int r = connection_tell(set, connection, kind, &frame);
                if (r == STREAM_LATER) {
                        connection->in_flight--;
                        assert(connection->in_flight > 0);
                        connection->held = true;
                        break;
                }
                set->statistics.messages++;
                if (r < 0)
                        connection->doomed = true;
                frame_input_take(&connection->in, &frame);
                first = false;
        }
        connection->processing = false;

        if (frame_input_settle(&connection->in))
                connection->idle_since_usec = now_usec(CLOCK_MONOTONIC);
        if (!connection->doomed)
                connection_flush(connection);
        connection_settle(set, connection);
}

/* One read a turn: a connection that always has something to say waits for the others. */
static void connection_read(struct stream_set *set, struct connection *connection)
{
        ssize_t n = frame_input_read(&connection->in, connection->fd, set->limits.message_bytes);

        if (n == -ENOMEM) {
                connection_close(set, connection);
                return;
        }
        if (n < 0 && n != -EAGAIN && n != -EINTR)
                connection->doomed = true;
        if (n == 0)
                connection->eof = true;
        connection_process(set, connection);
}

/* Room for one more at the total: closed is the connection that has been without a verified message for the
 * longest time, in the prefix that holds the most. Sources without a bound come last. */
static void evict_one(struct stream_set *set)
{
        struct connection *victim = NULL;
        uint32_t victim_weight = 0;

        for (uint32_t i = 0; i < set->slots.n_slots; i++) {
                struct connection *connection = set->slots.slots[i].connection;

                if (!connection || connection->processing)
                        continue;
                uint32_t weight = connection->exempt ? 0 : source_count_widest(connection->source);
                if (!victim || weight > victim_weight ||
                    (weight == victim_weight && connection->useful_usec < victim->useful_usec)) {
                        victim = connection;
                        victim_weight = weight;
                }
        }
        if (victim) {
                set->statistics.evicted++;
                connection_close(set, victim);
        }
}

/* Takes fd; negative: the connection was not taken up, and fd is closed. */
static int connection_add(struct stream_set *set, int fd, const struct sockaddr_storage *remote)
{
        _cleanup_close_ int owned = fd;
        _cleanup_free_ struct connection *connection = calloc(1, sizeof(*connection));
        uint32_t index;
        int r, one = 1;

        if (!connection)
                return -ENOMEM;
        r = net_peer_from_socket(fd, (const struct sockaddr *) remote, &connection->peer);
        if (r < 0)
                return r;

        connection->exempt = prefix_list_contains(&set->limits.exempt_nets, &connection->peer.remote);
        if (!connection->exempt &&
            !source_count_admits(&set->sources, &connection->peer.remote, set->limits.connections_per_source,
                                 set->limits.connections / 2)) {
                set->statistics.refused++;
                return -EUSERS;
        }
        if (set->statistics.connections >= set->limits.connections)
                evict_one(set);

        r = slots_reserve(&set->slots);
        if (r < 0)
                return r;
        index = slots_next(&set->slots);
        r = heap_reserve(&set->deadlines, set->statistics.connections + 2);
        if (r < 0)
                return r;
        struct epoll_event event = slot_event(set, index, EPOLLIN);
        if (epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        r = source_count_add(&set->sources, &connection->peer.remote, &connection->source);
        if (r < 0)
                return r;

        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        slots_put(&set->slots, connection);
        set->statistics.connections++;
        set->statistics.accepted++;
        connection->fd = TAKE_FD(owned);
        connection->index = index;
        connection->events = EPOLLIN;
        connection->deadline = HEAP_NODE_INIT;
        connection->useful_usec = connection->idle_since_usec = now_usec(CLOCK_MONOTONIC);
        connection_settle(set, connection);
        connection = NULL;
        return 0;
}

/* Is there more to accept, perhaps. */
static bool listener_accept(struct stream_set *set, int listener_fd)
{
        struct sockaddr_storage remote = { 0 };
        socklen_t length = sizeof(remote);
        int fd = accept4(listener_fd, (struct sockaddr *) &remote, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                        log_debug("stream: accept: %s, pausing", strerror(errno));
                        pause_accepting(set);
                }
                /* Errors of a connection that died while it waited are its own. */
                return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
        }
        if (connection_add(set, fd, &remote) == -ENOMEM) {
                pause_accepting(set);
                return false;
        }
        return true;
}

static void listener_dispatch(struct stream_set *set, int listener_fd)
{
        for (unsigned i = 0; i < EVENTS_PER_TURN && !turn_is_over(set); i++)
                if (!listener_accept(set, listener_fd))
                        return;
}

static void resume_some(struct stream_set *set)
{
        struct connection *connection, *last = TAILQ_LAST(&set->resume, connection_list);
        eventfd_t value;
        bool is_last = false;

        (void) eventfd_read(set->wake_fd, &value);
        set->woken = false;
        while (!is_last && !turn_is_over(set) && (connection = TAILQ_FIRST(&set->resume))) {
                is_last = connection == last;
                TAILQ_REMOVE(&set->resume, connection, resume_entry);
                connection->queued = false;
                connection_process(set, connection);
        }
        if (!TAILQ_EMPTY(&set->resume))
                wake(set);
}

static void event_dispatch(struct stream_set *set, const struct epoll_event *event)
{
        if (event->data.u64 == WAKE_EVENT) {
                resume_some(set);
                return;
        }
        if (event->data.u64 & LISTENER_EVENT) {
                size_t index = event->data.u64 & ~LISTENER_EVENT;

                if (index < set->n_listeners && !set->listeners[index].paused)
                        listener_dispatch(set, set->listeners[index].fd);
                return;
        }

        struct stream_id id = { .index = (uint32_t) event->data.u64,
                                .generation = (uint32_t) (event->data.u64 >> 32) };
        struct connection *connection = find(set, id);
        if (!connection)
                return;
        if (event->events & (EPOLLERR | EPOLLHUP)) {
                connection_close(set, connection);
                return;
        }
        if (event->events & EPOLLOUT) {
                connection_flush(connection);
                connection_settle(set, connection);
                connection = find(set, id);
        }
        if (connection && (event->events & EPOLLIN) && (connection->events & EPOLLIN))
                connection_read(set, connection);
}

/* What one turn has no time for is looked at first in the next: asked anew, epoll would begin with the same
 * ones again. */
static int on_epoll(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct stream_set *set = userdata;

        set->turn_started_usec = now_usec(CLOCK_MONOTONIC);
        if (set->next_event >= set->n_events) {
                int n = epoll_wait(set->epoll_fd, set->events, EVENTS_PER_TURN, 0);

                set->next_event = 0;
                set->n_events = MAX(n, 0);
        }
        while (set->next_event < set->n_events && !turn_is_over(set))
                event_dispatch(set, &set->events[set->next_event++]);

        if (set->draining && !set->drained && set->statistics.connections == 0) {
                set->drained = true;
                if (set->ops->on_drained)
                        set->ops->on_drained(set->userdata); /* may free the set */
        }
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct stream_set *set = userdata;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        struct heap_node *first;

        set->timer_at_usec = USEC_INFINITY;
        while ((first = heap_first(&set->deadlines)) && first->key <= now) {
                if (first == &set->accept_pause) {
                        resume_accepting(set);
                        continue;
                }
                set->statistics.timeouts++;
                connection_close(set, container_of(first, struct connection, deadline));
        }
        arm_timer(set);
        return 0;
}

int stream_set_new(sd_event *event, const struct stream_limits *limits, const struct stream_set_ops *ops,
                   void *userdata, struct stream_set **ret)
{
        _cleanup_(stream_set_freep) struct stream_set *set = calloc(1, sizeof(*set));
        struct epoll_event wake_event = { .events = EPOLLIN, .data.u64 = WAKE_EVENT };
        int r;

        if (!set)
                return -ENOMEM;
        set->event = sd_event_ref(event);
        set->wake_fd = -1;
        set->ops = ops;
        set->userdata = userdata;
        set->timer_at_usec = USEC_INFINITY;
        set->accept_pause = HEAP_NODE_INIT;
        TAILQ_INIT(&set->resume);
        set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (set->epoll_fd < 0)
                return -errno;
        set->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (set->wake_fd < 0)
                return -errno;
        if (epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, set->wake_fd, &wake_event) < 0)
                return -errno;

        r = stream_limits_copy(&set->limits, limits);
        if (r < 0)
                return r;
        r = heap_reserve(&set->deadlines, 2);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &set->io_source, set->epoll_fd, EPOLLIN, on_epoll, set);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &set->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_timer, set);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(set->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(set);
        return 0;
}

static void close_listeners(struct stream_set *set)
{
        heap_remove(&set->deadlines, &set->accept_pause);
        for (size_t i = 0; i < set->n_listeners; i++) {
                /* A passed socket may live on in another process: closing alone would leave it in the set. */
                (void) epoll_ctl(set->epoll_fd, EPOLL_CTL_DEL, set->listeners[i].fd, NULL);
                close(set->listeners[i].fd);
        }
        set->n_listeners = 0;
}

struct stream_set *stream_set_free(struct stream_set *set)
{
        if (!set)
                return NULL;
        sd_event_source_disable_unref(set->io_source);
        set->draining = false;
        for (uint32_t i = 0; i < set->slots.n_slots; i++)
                if (set->slots.slots[i].connection)
                        connection_close(set, set->slots.slots[i].connection);
        close_listeners(set);
        sd_event_source_disable_unref(set->timer);
        heap_clear(&set->deadlines);
        source_count_clear(&set->sources);
        prefix_list_clear(&set->limits.exempt_nets);
        slots_clear(&set->slots);
        closep(&set->wake_fd);
        closep(&set->epoll_fd);
        sd_event_unref(set->event);
        free(set);
        return NULL;
}

int stream_set_limits(struct stream_set *set, const struct stream_limits *limits)
{
        int r = stream_limits_copy(&set->limits, limits);

        if (r < 0)
                return r;
        for (uint32_t i = 0; i < set->slots.n_slots; i++) {
                struct connection *connection = set->slots.slots[i].connection;

                if (!connection)
                        continue;
                connection->exempt = prefix_list_contains(&set->limits.exempt_nets, &connection->peer.remote);
                connection_settle(set, connection);
        }
        return 0;
}

int stream_set_listen(struct stream_set *set, int fd)
{
        _cleanup_close_ int owned = fd;
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = LISTENER_EVENT | set->n_listeners };
        int flags;

        if (set->n_listeners >= LISTENERS_MAX)
                return -E2BIG;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        if (epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        set->listeners[set->n_listeners++] = (struct listener){ .fd = TAKE_FD(owned) };
        return 0;
}

void stream_set_unlisten(struct stream_set *set)
{
        /* Closing resets whoever is connected and not accepted yet. */
        for (size_t i = 0; i < set->n_listeners; i++)
                for (unsigned n = 0; n < SOMAXCONN && listener_accept(set, set->listeners[i].fd); n++)
                        ;
        close_listeners(set);
}

void stream_set_drain(struct stream_set *set)
{
        /* Who waits at a passed socket waits for the next daemon. */
        close_listeners(set);
        set->draining = true;
        for (uint32_t i = 0; i < set->slots.n_slots; i++)
                if (set->slots.slots[i].connection)
                        connection_settle(set, set->slots.slots[i].connection);
        wake(set);
}

int stream_set_reply(struct stream_set *set, struct stream_id id, const void *message, size_t size)
{
        struct connection *connection = find(set, id);
        int r;

        if (!connection || connection->doomed) {
                set->statistics.replies_dropped++;
                return -ENOTCONN;
        }
        r = frame_queue_append(&connection->out, message, size);
        if (r == -EMSGSIZE)
                return r;
        if (r < 0)
                connection->doomed = true;
        connection_answered(connection);
        /* While its messages are being handed on, replies are collected and leave together. */
        if (!connection->processing && !connection->doomed)
                connection_flush(connection);
        connection_settle(set, connection);
        return r;
}

void stream_set_offer(struct stream_set *set, struct stream_id id)
{
        struct connection *connection = find(set, id);

        if (!connection || !connection->held)
                return;
        connection->held = false;
        connection_settle(set, connection);
}

void stream_set_done(struct stream_set *set, struct stream_id id)
{
        struct connection *connection = find(set, id);

        if (!connection)
                return;
        connection_answered(connection);
        connection->idle_since_usec = now_usec(CLOCK_MONOTONIC);
        connection_settle(set, connection);
}

void stream_set_close(struct stream_set *set, struct stream_id id)
{
        struct connection *connection = find(set, id);

        if (!connection)
                return;
        connection->doomed = true;
        connection_settle(set, connection);
}

void stream_set_mark_verified(struct stream_set *set, struct stream_id id)
{
        struct connection *connection = find(set, id);

        if (connection)
                connection->useful_usec = now_usec(CLOCK_MONOTONIC);
}

bool stream_set_is_alive(const struct stream_set *set, struct stream_id id)
{
        return find(set, id) != NULL;
}

void stream_set_statistics(const struct stream_set *set, struct stream_statistics *ret)
{
        *ret = set->statistics;
}
