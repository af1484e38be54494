/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/eventfd.h>

#include "net/stream-set-internal.h"
#include "util/log.h"

#define TURN_USEC      (5 * USEC_PER_MSEC)
#define TIMER_ACCURACY USEC_PER_MSEC
#define WAKE_EVENT     UINT64_MAX
#define INNER_EVENT    (UINT64_MAX - 1)
/* Nothing tells when a peer acknowledges. */
#define LOOK_AGAIN_USEC (10 * USEC_PER_MSEC)
/* So many messages later a connection must have shown itself useful again, or it waits with the others. */
#define EXPRESS_MESSAGES 16

/* What waits in the kernel counts: it is held for this peer as well. */
static bool connection_output_full(const struct stream_set *set, struct connection *connection)
{
        if (frame_queue_unread(&connection->out) < set->limits.unread_output)
                return false;
        frame_queue_look(&connection->out, connection->fd);
        return frame_queue_unread(&connection->out) >= set->limits.unread_output;
}

static bool connection_stalled(const struct stream_set *set, struct connection *connection)
{
        return connection->held || connection->in_flight >= set->limits.in_flight ||
               connection_output_full(set, connection);
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

static int connection_epoll(const struct stream_set *set, const struct connection *connection)
{
        return connection->express > 0 ? set->express.fd : set->common.fd;
}

/* Those who showed themselves useful, and newcomers, are looked at before the others, however many there
 * are. */
static void connection_set_express(struct stream_set *set, struct connection *connection, unsigned messages)
{
        struct epoll_event event = stream_slot_event(set, connection->index, connection->events);
        int before = connection_epoll(set, connection), after;

        connection->express = messages;
        after = connection_epoll(set, connection);
        if (before == after)
                return;
        (void) epoll_ctl(before, EPOLL_CTL_DEL, connection->fd, NULL);
        /* Without memory for that it is heard no more. */
        if (epoll_ctl(after, EPOLL_CTL_ADD, connection->fd, &event) < 0)
                connection->doomed = true;
}

static void connection_answered(struct connection *connection)
{
        if (connection->in_flight > 0)
                connection->in_flight--;
        connection->held = false;
}

/* One timer for all deadlines. It is only moved forward here; one that fires too early finds nothing to do
 * and is set to what is next. */
void stream_arm_timer(struct stream_set *set)
{
        const struct heap_node *first = heap_first(&set->deadlines);

        if (!first || first->key >= set->timer_at_usec)
                return;
        set->timer_at_usec = first->key;
        (void) sd_event_source_set_time(set->timer, first->key);
        (void) sd_event_source_set_enabled(set->timer, SD_EVENT_ONESHOT);
}

/* Work that no descriptor announces comes through the same door: an sd-event source of its own kind would be
 * served before the others of its priority. */
static void wake(struct stream_set *set)
{
        if (!set->woken)
                set->woken = eventfd_write(set->wake_fd, 1) >= 0;
}

void stream_connection_close(struct stream_set *set, struct connection *connection)
{
        if (connection->queued)
                TAILQ_REMOVE(&set->resume, connection, resume_entry);
        heap_remove(&set->deadlines, &connection->deadline);
        stream_places_remove(&set->places, &connection->place);
        close(connection->fd);
        frame_input_clear(&connection->in);
        frame_queue_clear(&connection->out);

        slots_remove(&set->slots, connection->index);
        free(connection);

        set->statistics.connections--;
        stream_resume_accepting(set);
        if (set->draining && set->statistics.connections == 0)
                wake(set);
}

void stream_connection_abort(struct stream_set *set, struct connection *connection)
{
        struct linger at_once = { .l_onoff = 1 };

        (void) setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        stream_connection_close(set, connection);
}

/* "looked": what is unread is not only believed so. */
static usec_t connection_deadline(const struct stream_set *set, struct connection *connection, bool looked)
{
        bool at_rest = !frame_input_busy(&connection->in) && connection->in_flight == 0 &&
                       out_pending(connection) == 0;
        bool unread = frame_queue_unread(&connection->out) > 0;
        usec_t deadline = USEC_INFINITY;

        if (unread)
                deadline = usec_add(connection->out.since_usec, set->limits.message_timeout_usec);
        if (frame_input_busy(&connection->in) && !connection->eof && !connection_stalled(set, connection))
                deadline = MIN(deadline,
                               usec_add(connection->in.since_usec, set->limits.message_timeout_usec));
        if (at_rest && (!unread || !looked))
                deadline = MIN(deadline,
                               usec_add(connection->idle_since_usec, set->limits.idle_timeout_usec));
        if (out_pending(connection) == 0 && unread &&
            (connection->eof || connection_output_full(set, connection)))
                deadline = MIN(deadline, now_usec(CLOCK_MONOTONIC) + LOOK_AGAIN_USEC);
        return deadline;
}

/* Nothing is left to be done, and the peer has all of it. */
static bool connection_done(struct connection *connection)
{
        if (connection->in_flight > 0 || out_pending(connection) > 0)
                return false;
        frame_queue_look(&connection->out, connection->fd);
        return frame_queue_unread(&connection->out) == 0;
}

static void queue_resume(struct stream_set *set, struct connection *connection)
{
        if (connection->queued)
                return;
        connection->queued = true;
        TAILQ_INSERT_TAIL(&set->resume, connection, resume_entry);
        wake(set);
}

static void connection_settle_at(struct stream_set *set, struct connection *connection, bool looked)
{
        bool stalled = connection_stalled(set, connection);
        uint32_t events = 0;

        if (connection->processing)
                return;
        if (connection->doomed) {
                stream_connection_close(set, connection);
                return;
        }

        if ((connection->eof && !in_complete(set, connection)) || set->draining) {
                frame_input_clear(&connection->in);
                if (set->draining ? connection->in_flight == 0 && out_pending(connection) == 0
                                  : connection_done(connection)) {
                        stream_connection_close(set, connection);
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
                struct epoll_event event = stream_slot_event(set, connection->index, events);

                /* Reading starts again: the time in which we did not look is not the peer's. */
                if ((events & EPOLLIN) && !(connection->events & EPOLLIN))
                        connection->in.since_usec = now_usec(CLOCK_MONOTONIC);
                if (epoll_ctl(connection_epoll(set, connection), EPOLL_CTL_MOD, connection->fd, &event) < 0) {
                        stream_connection_close(set, connection);
                        return;
                }
                connection->events = events;
        }

        usec_t deadline = connection_deadline(set, connection, looked);
        if (deadline == USEC_INFINITY)
                heap_remove(&set->deadlines, &connection->deadline);
        else if (heap_put(&set->deadlines, &connection->deadline, deadline) < 0) {
                stream_connection_close(set, connection);
                return;
        }
        stream_arm_timer(set);
}

static void connection_settle(struct stream_set *set, struct connection *connection)
{
        connection_settle_at(set, connection, false);
}

/* What has come to its end, by what is known. */
static void connection_expire(struct stream_set *set, struct connection *connection)
{
        frame_queue_look(&connection->out, connection->fd);
        if (connection_deadline(set, connection, true) > now_usec(CLOCK_MONOTONIC)) {
                connection_settle_at(set, connection, true);
                return;
        }
        set->statistics.timeouts++;
        if (frame_queue_unread(&connection->out) > 0)
                stream_connection_abort(set, connection);
        else
                stream_connection_close(set, connection);
}

static void connection_flush(struct connection *connection)
{
        bool busy = frame_queue_pending(&connection->out) > 0;

        if (frame_queue_flush(&connection->out, connection->fd) < 0)
                connection->doomed = true;
        else if (busy && frame_queue_pending(&connection->out) == 0)
                connection->idle_since_usec = now_usec(CLOCK_MONOTONIC);
}

bool stream_turn_is_over(const struct stream_set *set)
{
        return now_usec(CLOCK_MONOTONIC) >= set->turn_ends_usec;
}

/* As stream_set_ops.on_message(). */
static int connection_tell(struct stream_set *set, struct connection *connection, enum frame_kind kind,
                           const struct frame *frame)
{
        struct stream_id id = connection_id(set, connection);

        if (!connection->peer.local.family && net_peer_find_local(connection->fd, &connection->peer) < 0)
                return -EBADMSG;
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
        bool first = true, express = connection->express > 0;
        enum frame_kind kind;
        struct frame frame;

        connection->processing = true;
        while (!connection->doomed && !set->draining && !connection_stalled(set, connection)) {
                kind = frame_input_next(&connection->in, set->limits.message_bytes, &frame);
                if (kind == FRAME_NONE)
                        break;
                if (!first && (stream_turn_is_over(set) || (express && connection->express == 0))) {
                        queue_resume(set, connection);
                        break;
                }

                connection->in_flight++;
                if (connection->express > 0)
                        connection_set_express(set, connection, connection->express - 1);
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
void stream_connection_read(struct stream_set *set, struct connection *connection)
{
        ssize_t n = frame_input_read(&connection->in, connection->fd, set->limits.message_bytes);

        if (n == -ENOMEM) {
                stream_connection_close(set, connection);
                return;
        }
        if (n < 0 && n != -EAGAIN && n != -EINTR)
                connection->doomed = true;
        if (n == 0)
                connection->eof = true;
        connection_process(set, connection);
}

static void resume_some(struct stream_set *set)
{
        struct connection *connection, *last = TAILQ_LAST(&set->resume, connection_list);
        eventfd_t value;
        bool is_last = false;

        (void) eventfd_read(set->wake_fd, &value);
        set->woken = false;
        while (!is_last && !stream_turn_is_over(set) && (connection = TAILQ_FIRST(&set->resume))) {
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
        if (event->data.u64 == INNER_EVENT)
                return;
        if (event->data.u64 & STREAM_LISTENER_EVENT) {
                stream_dispatch_listener(set, event->data.u64 & ~STREAM_LISTENER_EVENT);
                return;
        }

        struct stream_id id = { .index = (uint32_t) event->data.u64,
                                .generation = (uint32_t) (event->data.u64 >> 32) };
        struct connection *connection = find(set, id);
        if (!connection)
                return;
        if (event->events & (EPOLLERR | EPOLLHUP)) {
                stream_connection_close(set, connection);
                return;
        }
        if (event->events & EPOLLOUT) {
                connection_flush(connection);
                connection_settle(set, connection);
                connection = find(set, id);
        }
        if (connection && (event->events & EPOLLIN) && (connection->events & EPOLLIN))
                stream_connection_read(set, connection);
}

/* What one turn has no time for is looked at first in the next: asked anew, epoll would begin with the same
 * ones again. */
static void batch_dispatch(struct stream_set *set, struct stream_batch *batch, usec_t until_usec)
{
        if (batch->next >= batch->n) {
                int n = epoll_wait(batch->fd, batch->events, STREAM_EVENTS_PER_TURN, 0);

                batch->next = 0;
                batch->n = MAX(n, 0);
        }
        set->turn_ends_usec = until_usec;
        while (batch->next < batch->n) {
                event_dispatch(set, &batch->events[batch->next++]);
                if (stream_turn_is_over(set))
                        break;
        }
}

static int on_epoll(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct stream_set *set = userdata;
        usec_t now = now_usec(CLOCK_MONOTONIC);

        batch_dispatch(set, &set->arrivals, now + TURN_USEC / 2);
        batch_dispatch(set, &set->express, now_usec(CLOCK_MONOTONIC) + TURN_USEC / 4);
        batch_dispatch(set, &set->common, MAX(now + TURN_USEC, now_usec(CLOCK_MONOTONIC)));

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
                        stream_resume_accepting(set);
                        continue;
                }
                connection_expire(set, container_of(first, struct connection, deadline));
        }
        stream_arm_timer(set);
        return 0;
}

int stream_set_new(sd_event *event, const struct stream_limits *limits, const struct stream_set_ops *ops,
                   void *userdata, struct stream_set **ret)
{
        _cleanup_(stream_set_freep) struct stream_set *set = calloc(1, sizeof(*set));
        struct epoll_event wake_event = { .events = EPOLLIN, .data.u64 = WAKE_EVENT },
                           inner_event = { .events = EPOLLIN, .data.u64 = INNER_EVENT };
        int r;

        if (!set)
                return -ENOMEM;
        set->event = sd_event_ref(event);
        set->wake_fd = set->arrivals.fd = set->express.fd = -1;
        set->ops = ops;
        set->userdata = userdata;
        set->timer_at_usec = USEC_INFINITY;
        set->accept_pause = HEAP_NODE_INIT;
        TAILQ_INIT(&set->resume);
        stream_places_init(&set->places);
        set->common.fd = epoll_create1(EPOLL_CLOEXEC);
        if (set->common.fd < 0)
                return -errno;
        set->express.fd = epoll_create1(EPOLL_CLOEXEC);
        if (set->express.fd < 0)
                return -errno;
        set->arrivals.fd = epoll_create1(EPOLL_CLOEXEC);
        if (set->arrivals.fd < 0)
                return -errno;
        if (epoll_ctl(set->common.fd, EPOLL_CTL_ADD, set->express.fd, &inner_event) < 0 ||
            epoll_ctl(set->common.fd, EPOLL_CTL_ADD, set->arrivals.fd, &inner_event) < 0)
                return -errno;
        set->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (set->wake_fd < 0)
                return -errno;
        if (epoll_ctl(set->common.fd, EPOLL_CTL_ADD, set->wake_fd, &wake_event) < 0)
                return -errno;

        r = stream_limits_copy(&set->limits, limits);
        if (r < 0)
                return r;
        r = heap_reserve(&set->deadlines, 2);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &set->io_source, set->common.fd, EPOLLIN, on_epoll, set);
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

struct stream_set *stream_set_free(struct stream_set *set)
{
        if (!set)
                return NULL;
        sd_event_source_disable_unref(set->io_source);
        set->draining = false;
        for (uint32_t i = 0; i < set->slots.n_slots; i++)
                if (set->slots.slots[i].connection)
                        stream_connection_close(set, set->slots.slots[i].connection);
        stream_close_listeners(set);
        sd_event_source_disable_unref(set->timer);
        heap_clear(&set->deadlines);
        prefix_list_clear(&set->limits.exempt_nets);
        slots_clear(&set->slots);
        closep(&set->wake_fd);
        closep(&set->arrivals.fd);
        closep(&set->express.fd);
        closep(&set->common.fd);
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

                if (connection)
                        connection_settle(set, connection);
        }
        for (size_t i = 0; i < set->n_listeners; i++)
                stream_limits_apply(&set->limits, set->listeners[i].fd);
        return 0;
}

void stream_set_drain(struct stream_set *set)
{
        /* Who waits at a passed socket waits for the next daemon. */
        stream_close_listeners(set);
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

        if (!connection)
                return;
        stream_places_prove(&set->places, &connection->place, now_usec(CLOCK_MONOTONIC));
        connection_set_express(set, connection, EXPRESS_MESSAGES);
}

void stream_set_mark_failed(struct stream_set *set, struct stream_id id)
{
        struct connection *connection = find(set, id);

        if (!connection)
                return;
        connection->failed = true;
        connection_set_express(set, connection, 0);
}

enum stream_record stream_set_record(const struct stream_set *set, struct stream_id id)
{
        const struct connection *connection = find(set, id);

        if (!connection)
                return STREAM_NEW;
        if (connection->failed)
                return STREAM_FAILED;
        return connection->place.proven ? STREAM_PROVEN : STREAM_NEW;
}

bool stream_set_is_alive(const struct stream_set *set, struct stream_id id)
{
        return find(set, id) != NULL;
}

void stream_set_statistics(const struct stream_set *set, struct stream_statistics *ret)
{
        *ret = set->statistics;
}
