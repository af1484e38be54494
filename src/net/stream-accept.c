/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "net/stream-set-internal.h"
#include "util/log.h"

#define ACCEPT_PAUSE_USEC (200 * USEC_PER_MSEC)
/* More than anybody could send who waits for an answer each time: where the queue of the kernel is full, an
 * owner among them waits for seconds. */
#define ARRIVALS_PER_TURN 256

static void watch_listeners(struct stream_set *set, bool on)
{
        for (size_t i = 0; i < set->n_listeners; i++) {
                struct listener *listener = &set->listeners[i];
                struct epoll_event event = { .events = on ? EPOLLIN : 0,
                                             .data.u64 = STREAM_LISTENER_EVENT | i };

                if (listener->paused == !on)
                        continue;
                if (epoll_ctl(set->arrivals.fd, EPOLL_CTL_MOD, listener->fd, &event) >= 0)
                        listener->paused = !on;
        }
}

/* Without descriptors or memory the listening socket stays readable: not looked at for a while. */
static void pause_accepting(struct stream_set *set)
{
        if (heap_put(&set->deadlines, &set->accept_pause, now_usec(CLOCK_MONOTONIC) + ACCEPT_PAUSE_USEC) < 0)
                return;
        watch_listeners(set, false);
        stream_arm_timer(set);
}

void stream_resume_accepting(struct stream_set *set)
{
        if (!heap_contains(&set->accept_pause))
                return;
        heap_remove(&set->deadlines, &set->accept_pause);
        watch_listeners(set, true);
}

static bool connection_is_busy(const struct place *place)
{
        const struct connection *connection = container_of(place, const struct connection, place);

        return connection->in_flight > 0 || out_pending(connection) > 0;
}

/* Closed for the sake of another. False: there is none. */
static bool evict(struct stream_set *set, struct place *place)
{
        struct connection *connection = place ? container_of(place, struct connection, place) : NULL;

        if (!connection)
                return false;
        assert(!connection->processing);
        set->statistics.evicted++;
        if (!place->proven)
                stream_connection_abort(set, connection);
        else
                stream_connection_close(set, connection);
        return true;
}

/* False: nobody goes who holds a place there. One goes at each level at most: where there are more, they were
 * let in when there was room for them. */
static bool make_place(struct stream_set *set, const struct address *address)
{
        bool exempt = prefix_list_contains(&set->limits.exempt_nets, address);
        struct place *instead;

        for (unsigned i = 0; i < SOURCE_LEVELS; i++) {
                if (stream_places_judge(&set->places, address, &set->limits.exempt_nets, exempt,
                                        set->limits.connections_per_source,
                                        MAX(set->limits.connections / 2, 1u), connection_is_busy,
                                        &instead) == PLACE_FREE)
                        break;
                if (!evict(set, instead))
                        return false;
        }
        if (set->statistics.connections < set->limits.connections)
                return true;
        return evict(set, stream_places_fullest(&set->places, connection_is_busy));
}

/* Takes fd; negative: the connection was not taken up, and fd is closed. */
static int connection_add(struct stream_set *set, int fd, const struct sockaddr_storage *remote)
{
        _cleanup_close_ int owned = fd;
        _cleanup_free_ struct connection *connection = calloc(1, sizeof(*connection));
        usec_t now = now_usec(CLOCK_MONOTONIC);
        uint32_t index;
        int r;

        if (!connection)
                return -ENOMEM;
        r = address_from_sockaddr((const struct sockaddr *) remote, &connection->peer.remote,
                                  &connection->peer.remote_port);
        if (r < 0)
                return r;
        if (!make_place(set, &connection->peer.remote)) {
                set->statistics.refused++;
                return -EUSERS;
        }

        r = slots_reserve(&set->slots);
        if (r < 0)
                return r;
        index = slots_next(&set->slots);
        r = heap_reserve(&set->deadlines, set->statistics.connections + 2);
        if (r < 0)
                return r;
        struct epoll_event event = stream_slot_event(set, index, EPOLLIN);
        if (epoll_ctl(set->express.fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        r = stream_places_add(&set->places, &connection->place, &connection->peer.remote,
                              &set->limits.exempt_nets, now);
        if (r < 0)
                return r;

        slots_put(&set->slots, connection);
        set->statistics.connections++;
        set->statistics.accepted++;
        connection->fd = TAKE_FD(owned);
        connection->index = index;
        connection->events = EPOLLIN;
        connection->express = 1;
        connection->deadline = HEAP_NODE_INIT;
        connection->idle_since_usec = now;
        /* What it says may be there already; then it is heard before somebody comes who wants its place. */
        stream_connection_read(set, TAKE_PTR(connection));
        return 0;
}

/* Is there more to accept, perhaps. */
static bool accept_failed(struct stream_set *set, int error)
{
        /* Who comes has a place while there is one who has less reason to stay. */
        if (error == EMFILE && evict(set, stream_places_fullest(&set->places, connection_is_busy)))
                return true;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
                log_debug("stream: accept: %s, pausing", strerror(error));
                pause_accepting(set);
        }
        /* Errors of a connection that died while it waited are its own. */
        return error == ECONNABORTED || error == EINTR || error == EPROTO;
}

static bool listener_accept(struct stream_set *set, int listener_fd)
{
        struct sockaddr_storage remote = { 0 };
        socklen_t length = sizeof(remote);
        int fd = accept4(listener_fd, (struct sockaddr *) &remote, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return accept_failed(set, errno);
        if (connection_add(set, fd, &remote) == -ENOMEM) {
                pause_accepting(set);
                return false;
        }
        return true;
}

void stream_dispatch_listener(struct stream_set *set, size_t index)
{
        if (index >= set->n_listeners || set->listeners[index].paused)
                return;
        for (unsigned i = 0; i < ARRIVALS_PER_TURN && !stream_turn_is_over(set); i++)
                if (!listener_accept(set, set->listeners[index].fd))
                        return;
}

void stream_close_listeners(struct stream_set *set)
{
        heap_remove(&set->deadlines, &set->accept_pause);
        for (size_t i = 0; i < set->n_listeners; i++) {
                /* A passed socket may live on in another process: closing alone would leave it in the set. */
                (void) epoll_ctl(set->arrivals.fd, EPOLL_CTL_DEL, set->listeners[i].fd, NULL);
                close(set->listeners[i].fd);
        }
        set->n_listeners = 0;
}

int stream_set_listen(struct stream_set *set, int fd)
{
        _cleanup_close_ int owned = fd;
        struct epoll_event event = { .events = EPOLLIN,
                                     .data.u64 = STREAM_LISTENER_EVENT | set->n_listeners };
        int flags;

        if (set->n_listeners >= STREAM_LISTENERS_MAX)
                return -E2BIG;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        if (epoll_ctl(set->arrivals.fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        stream_limits_apply(&set->limits, fd);
        set->listeners[set->n_listeners++] = (struct listener){ .fd = TAKE_FD(owned) };
        return 0;
}

void stream_set_unlisten(struct stream_set *set)
{
        /* Closing resets whoever is connected and not accepted yet. */
        for (size_t i = 0; i < set->n_listeners; i++)
                for (unsigned n = 0; n < SOMAXCONN && listener_accept(set, set->listeners[i].fd); n++)
                        ;
        stream_close_listeners(set);
}
