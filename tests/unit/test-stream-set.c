/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net-test.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "net/stream-set.h"

/* The server answers by the message's first octet: 'e' echo at once, 'h' hold (answered by the test), 'n' no
 * answer, 'x' close, 'b' a big answer, 'v' verified and held. Anything is at least 12 octets long. */
struct server {
        sd_event *event;
        struct stream_set *set;
        uint16_t port;
        unsigned n_messages;
        unsigned n_overlong;
        struct stream_id held[4096];
        unsigned n_held;
        struct net_peer last_peer;
        size_t last_size;
        bool drained;
        bool slow;
};

static int on_message(void *userdata, struct stream_id id, const uint8_t *message, size_t size,
                      const struct net_peer *peer)
{
        struct server *server = userdata;
        static const uint8_t big[60000];

        server->n_messages++;
        server->last_peer = *peer;
        server->last_size = size;
        if (server->slow)
                usleep(200);
        switch (message[0]) {
        case 'e':
                assert_int_equal(stream_set_reply(server->set, id, message, size), 0);
                return 0;
        case 'b':
                assert_int_equal(stream_set_reply(server->set, id, big, sizeof(big)), 0);
                return 0;
        case 'v':
                stream_set_mark_verified(server->set, id);
                server->held[server->n_held++] = id;
                return 0;
        case 'h':
                server->held[server->n_held++] = id;
                return 0;
        case 'n':
                stream_set_done(server->set, id);
                return 0;
        default:
                return -EBADMSG;
        }
}

static void on_drained(void *userdata)
{
        ((struct server *) userdata)->drained = true;
}

/* Answered with its length. */
static int on_overlong(void *userdata, struct stream_id id, const uint8_t *start, size_t size, size_t length,
                       const struct net_peer *peer)
{
        struct server *server = userdata;
        uint8_t reply[12] = { 0, start[1], (uint8_t) (length >> 8), (uint8_t) length };

        server->n_overlong++;
        server->last_size = size;
        assert_int_equal(stream_set_reply(server->set, id, reply, sizeof(reply)), 0);
        return 0;
}

static const struct stream_set_ops telling_ops = { .on_message = on_message, .on_overlong = on_overlong };
static const struct stream_set_ops ops = { .on_message = on_message, .on_drained = on_drained };

static struct server *server_new_for(const struct stream_set_ops *what, struct stream_limits limits,
                                     bool exempt)
{
        struct server *server = calloc(1, sizeof(*server));
        struct address address = loopback();
        int fd;

        if (exempt)
                assert_int_equal(prefix_list_parse_add(&limits.exempt_nets, "127.0.0.0/8"), 0);
        assert_true(sd_event_new(&server->event) >= 0);
        assert_int_equal(stream_set_new(server->event, &limits, what, server, &server->set), 0);
        fd = stream_listen_open(&address, 0);
        assert_true(fd >= 0);
        server->port = port_of(fd);
        assert_int_equal(stream_set_listen(server->set, fd), 0);
        prefix_list_clear(&limits.exempt_nets);
        return server;
}

static struct server *server_new_with(struct stream_limits limits, bool exempt)
{
        return server_new_for(&ops, limits, exempt);
}

static struct server *server_new(void)
{
        return server_new_with(STREAM_LIMITS_DEFAULT, true);
}

static struct server *server_free(struct server *server)
{
        stream_set_free(server->set);
        sd_event_unref(server->event);
        free(server);
        return NULL;
}
DEFINE_CLEANUP(struct server *, server_free)

static struct stream_statistics stats(const struct server *server)
{
        struct stream_statistics statistics;

        stream_set_statistics(server->set, &statistics);
        return statistics;
}

static size_t frame(uint8_t *buffer, char what, uint8_t mark, size_t size)
{
        buffer[0] = (uint8_t) (size >> 8);
        buffer[1] = (uint8_t) size;
        memset(buffer + 2, 0, size);
        buffer[2] = (uint8_t) what;
        buffer[3] = mark;
        return size + 2;
}

static void say(int fd, char what, uint8_t mark)
{
        uint8_t buffer[14];
        size_t n = frame(buffer, what, mark, 12);

        assert_int_equal(send(fd, buffer, n, MSG_NOSIGNAL), (ssize_t) n);
}

/* Collects n octets. */
static void hear(struct server *server, int fd, void *buffer, size_t n)
{
        size_t have = 0;

        pump_until(server->event, ({
                           ssize_t got = recv(fd, (uint8_t *) buffer + have, n - have, MSG_DONTWAIT);
                           assert_true(got != 0);
                           if (got > 0)
                                   have += (size_t) got;
                           have == n;
                   }));
}

static void hear_mark(struct server *server, int fd, uint8_t mark)
{
        uint8_t reply[14];

        hear(server, fd, reply, sizeof(reply));
        assert_int_equal(reply[0] << 8 | reply[1], 12);
        assert_int_equal(reply[3], mark);
}

/* The peer sees its connection ended. */
static void hear_end(struct server *server, int fd)
{
        uint8_t rest[4096];
        ssize_t n = -1;

        pump_until(server->event,
                   (n = recv(fd, rest, sizeof(rest), MSG_DONTWAIT)) == 0 || (n < 0 && errno == ECONNRESET));
}

static void test_echo_and_peer(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int fd = peer_connect(server->port);
        struct address address = loopback();

        say(fd, 'e', 7);
        hear_mark(server, fd, 7);
        assert_true(address_equal(&server->last_peer.remote, &address));
        assert_true(address_equal(&server->last_peer.local, &address));
        assert_int_equal(server->last_peer.remote_port, port_of(fd));
        assert_int_equal(server->last_peer.local_port, server->port);
        assert_int_equal(stats(server).connections, 1);
}

static void test_pipelined_any_order(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int fd = peer_connect(server->port);
        uint8_t reply[12] = { 0 };

        for (uint8_t i = 0; i < 3; i++)
                say(fd, 'h', i);
        pump_until(server->event, server->n_held == 3);
        for (uint8_t i = 3; i-- > 0;) {
                reply[1] = i;
                assert_int_equal(stream_set_reply(server->set, server->held[i], reply, sizeof(reply)), 0);
        }
        for (uint8_t i = 3; i-- > 0;)
                hear_mark(server, fd, i);
}

static void test_octet_at_a_time(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int fd = peer_connect(server->port);
        uint8_t buffer[28];

        frame(buffer, 'e', 1, 12);
        frame(buffer + 14, 'e', 2, 12);
        for (size_t i = 0; i < sizeof(buffer); i++) {
                assert_int_equal(send(fd, buffer + i, 1, 0), 1);
                assert_true(sd_event_run(server->event, 1000) >= 0);
        }
        hear_mark(server, fd, 1);
        hear_mark(server, fd, 2);
        assert_int_equal(server->n_messages, 2);
}

/* Octets that keep coming do not move the deadline of the message they belong to. */
static void test_slow_message_times_out(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        uint8_t buffer[1002];
        size_t sent = 0;

        limits.message_timeout_usec = 150 * USEC_PER_MSEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int fd = peer_connect(server->port);

        frame(buffer, 'e', 1, 1000);
        pump_until(server->event, ({
                           if (sent < sizeof(buffer) - 1 && send(fd, buffer + sent, 1, MSG_NOSIGNAL) == 1)
                                   sent++;
                           stats(server).timeouts == 1;
                   }));
        assert_int_equal(server->n_messages, 0);
        assert_int_equal(stats(server).connections, 0);
}

static void test_idle_times_out(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;

        limits.idle_timeout_usec = 100 * USEC_PER_MSEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int idle = peer_connect(server->port);
        _cleanup_close_ int waiting = peer_connect(server->port);

        say(waiting, 'h', 9);
        hear_end(server, idle);
        /* One that waits for us is not idle. */
        usec_t end = now_usec(CLOCK_MONOTONIC) + 300 * USEC_PER_MSEC;
        pump_until(server->event, now_usec(CLOCK_MONOTONIC) > end);
        assert_int_equal(stats(server).connections, 1);
        assert_int_equal(stream_set_reply(server->set, server->held[0], "\0\011..........", 12), 0);
        hear_mark(server, waiting, 9);
        hear_end(server, waiting);
        assert_int_equal(stats(server).timeouts, 2);
}

static void test_refused_lengths(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        static const uint8_t zero[] = { 0, 0 }, large[] = { 0xff, 0xff };
        int fd;

        fd = peer_connect(server->port);
        assert_int_equal(send(fd, zero, 2, 0), 2);
        hear_end(server, fd);
        close(fd);
        fd = peer_connect(server->port);
        assert_int_equal(send(fd, large, 2, 0), 2);
        hear_end(server, fd);
        close(fd);
        fd = peer_connect(server->port);
        say(fd, 'x', 0);
        hear_end(server, fd);
        close(fd);
        assert_int_equal(stats(server).connections, 0);
}

/* Takes the answer to an overlong message. */
static void hear_length(struct server *server, int fd, uint8_t mark, size_t length)
{
        uint8_t reply[14];

        hear(server, fd, reply, sizeof(reply));
        assert_int_equal(reply[3], mark);
        assert_int_equal(reply[4] << 8 | reply[5], length);
}

/* Whatever the pieces are that they come in, those before and behind it are untouched. */
static void test_overlong_is_told_and_passed_over(void **state)
{
        static const size_t pieces[] = { 1, 2, 7, 100, 101, 102, 103, 1000, 1016, 3000 };
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;

        limits.message_bytes = 100;
        for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
                _cleanup_(server_freep) struct server *server = server_new_for(&telling_ops, limits, true);
                _cleanup_close_ int fd = peer_connect(server->port);
                uint8_t buffer[14 + 1002 + 103 + 14];
                size_t n = 0;

                n += frame(buffer + n, 'e', 1, 12);
                n += frame(buffer + n, 'e', 2, 1000);
                n += frame(buffer + n, 'e', 3, 101);
                n += frame(buffer + n, 'e', 4, 12);
                assert_int_equal(n, sizeof(buffer));
                for (size_t at = 0; at < n; at += pieces[i]) {
                        size_t size = MIN(pieces[i], n - at);

                        assert_int_equal(send(fd, buffer + at, size, 0), size);
                        assert_true(sd_event_run(server->event, 1000) >= 0);
                }
                hear_mark(server, fd, 1);
                hear_length(server, fd, 2, 1000);
                hear_length(server, fd, 3, 101);
                hear_mark(server, fd, 4);
                assert_int_equal(server->n_messages, 2);
                assert_int_equal(server->n_overlong, 2);
                assert_int_equal(stats(server).messages, 4);
        }
}

/* The rest of it has no deadline of its own, and gets no other with each octet. */
static void test_slow_overlong_times_out(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        uint8_t buffer[60002];
        size_t sent = 102;

        limits.message_bytes = 100;
        limits.message_timeout_usec = 150 * USEC_PER_MSEC;
        _cleanup_(server_freep) struct server *server = server_new_for(&telling_ops, limits, true);
        _cleanup_close_ int fd = peer_connect(server->port);

        frame(buffer, 'e', 1, 60000);
        assert_int_equal(send(fd, buffer, sent, 0), sent);
        hear_length(server, fd, 1, 60000);
        pump_until(server->event, ({
                           if (sent < sizeof(buffer) - 1 && send(fd, buffer + sent, 1, MSG_NOSIGNAL) == 1)
                                   sent++;
                           stats(server).timeouts == 1;
                   }));
        assert_int_equal(stats(server).connections, 0);
}

/* It waits as others do where too much of a connection is in flight. */
static void test_overlong_in_flight(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        uint8_t buffer[1002], reply[12] = { 0, 1 };

        limits.message_bytes = 100;
        limits.in_flight = 1;
        _cleanup_(server_freep) struct server *server = server_new_for(&telling_ops, limits, true);
        _cleanup_close_ int fd = peer_connect(server->port);

        say(fd, 'h', 1);
        assert_int_equal(send(fd, buffer, frame(buffer, 'e', 2, 1000), 0), sizeof(buffer));
        say(fd, 'e', 3);
        pump_until(server->event, server->n_held == 1);
        assert_int_equal(server->n_overlong, 0);
        assert_int_equal(stream_set_reply(server->set, server->held[0], reply, sizeof(reply)), 0);
        hear_mark(server, fd, 1);
        hear_length(server, fd, 2, 1000);
        hear_mark(server, fd, 3);
}

static void test_half_close_in_overlong(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        uint8_t buffer[1002];

        limits.message_bytes = 100;
        _cleanup_(server_freep) struct server *server = server_new_for(&telling_ops, limits, true);
        _cleanup_close_ int fd = peer_connect(server->port);

        frame(buffer, 'e', 2, 1000);
        assert_int_equal(send(fd, buffer, 500, 0), 500);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        hear_length(server, fd, 2, 1000);
        hear_end(server, fd);
        assert_int_equal(stats(server).connections, 0);
}

static void test_largest_message(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int fd = peer_connect(server->port);
        uint8_t buffer[8194], reply[8194];

        assert_int_equal(send(fd, buffer, frame(buffer, 'e', 3, 8192), 0), sizeof(buffer));
        hear(server, fd, reply, sizeof(reply));
        assert_memory_equal(buffer, reply, sizeof(buffer));
}

/* The peer has said all it has to say, and still gets all its answers. */
static void test_half_close(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int fd = peer_connect(server->port);

        say(fd, 'h', 1);
        say(fd, 'e', 2);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        hear_mark(server, fd, 2);
        assert_int_equal(stats(server).connections, 1);
        assert_int_equal(stream_set_reply(server->set, server->held[0], "\0\001..........", 12), 0);
        hear_mark(server, fd, 1);
        hear_end(server, fd);
        assert_int_equal(stats(server).connections, 0);
}

static void test_half_close_in_message(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int fd = peer_connect(server->port);

        assert_int_equal(send(fd, "\0\014abc", 5, 0), 5);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        hear_end(server, fd);
        assert_int_equal(server->n_messages, 0);
}

static void test_reply_to_dead(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        struct linger linger = { .l_onoff = 1 };
        int fd = peer_connect(server->port);
        struct stream_id old;

        say(fd, 'h', 1);
        pump_until(server->event, server->n_held == 1);
        old = server->held[0];
        assert_true(stream_set_is_alive(server->set, old));
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
        close(fd); /* a reset */
        pump_until(server->event, stats(server).connections == 0);
        assert_int_equal(stream_set_reply(server->set, old, "123456789012", 12), -ENOTCONN);

        /* Its place is taken by another, which gets nothing of it. */
        _cleanup_close_ int next = peer_connect(server->port);
        say(next, 'h', 2);
        pump_until(server->event, server->n_held == 2);
        assert_int_equal(server->held[1].index, old.index);
        assert_int_equal(stream_set_reply(server->set, old, "123456789012", 12), -ENOTCONN);
        stream_set_done(server->set, old);
        stream_set_close(server->set, old);
        assert_int_equal(stats(server).replies_dropped, 2);
        assert_int_equal(stream_set_reply(server->set, server->held[1], "\0\002..........", 12), 0);
        hear_mark(server, next, 2);
}

static void test_in_flight_bound(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;

        limits.in_flight = 4;
        limits.message_timeout_usec = limits.idle_timeout_usec = 100 * USEC_PER_MSEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int fd = peer_connect(server->port);

        for (uint8_t i = 0; i < 10; i++)
                say(fd, 'h', i);
        pump_until(server->event, server->n_held == 4);
        /* Longer than any deadline: it is us who do not read. */
        usec_t end = now_usec(CLOCK_MONOTONIC) + 300 * USEC_PER_MSEC;
        pump_until(server->event, now_usec(CLOCK_MONOTONIC) > end);
        assert_int_equal(server->n_held, 4);
        stream_set_done(server->set, server->held[0]);
        pump_until(server->event, server->n_held == 5);
        for (unsigned i = 1; i < 10; i++) {
                pump_until(server->event, server->n_held > i);
                stream_set_done(server->set, server->held[i]);
        }
        assert_int_equal(server->n_messages, 10);
}

/* A peer that asks and does not read: we stop reading, then give it up. */
static void test_unread_output(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        unsigned n = 0;

        limits.message_timeout_usec = 300 * USEC_PER_MSEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int fd = peer_connect(server->port);

        pump_until(server->event, ({
                           uint8_t buffer[14];
                           size_t size = frame(buffer, 'b', 1, 12);
                           if (n < 2000 && send(fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                                   n++;
                           stats(server).timeouts == 1;
                   }));
        assert_true(n > server->n_messages);
        /* Socket buffers take a few megabytes; the set itself at most its bound and what was in flight. */
        assert_true(server->n_messages < 200);
}

/* Many answers, read slowly but steadily, all arrive. */
static void test_slow_reader(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        size_t got = 0, want = 300 * (size_t) 60002;
        unsigned asked = 0;
        _cleanup_free_ uint8_t *buffer = malloc(100000);

        limits.message_timeout_usec = 2 * USEC_PER_SEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int fd = peer_connect(server->port);
        pump_until(server->event, ({
                           uint8_t question[14];
                           size_t size = frame(question, 'b', 1, 12);
                           if (asked < 300 && send(fd, question, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                                   asked++;
                           ssize_t n = recv(fd, buffer, 100000, MSG_DONTWAIT);
                           if (n > 0)
                                   got += (size_t) n;
                           got == want;
                   }));
        assert_int_equal(stats(server).timeouts, 0);
}

static void test_always_readable_starves_nobody(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        int noisy[4];
        uint8_t flood[14 * 500];

        server->slow = true;
        for (size_t i = 0; i < 500; i++)
                frame(flood + 14 * i, 'n', 0, 12);
        for (size_t i = 0; i < ELEMENTSOF(noisy); i++)
                noisy[i] = peer_connect(server->port);

        for (uint8_t round = 0; round < 5; round++) {
                _cleanup_close_ int fd = peer_connect(server->port);
                uint8_t reply[14];
                unsigned before = server->n_messages;

                say(fd, 'e', round);
                pump_until(server->event, ({
                                   for (size_t i = 0; i < ELEMENTSOF(noisy); i++)
                                           (void) !send(noisy[i], flood, sizeof(flood),
                                                        MSG_DONTWAIT | MSG_NOSIGNAL);
                                   recv(fd, reply, sizeof(reply), MSG_DONTWAIT) == sizeof(reply);
                           }));
                assert_int_equal(reply[3], round);
                /* The four have sent thousands; accept and answer came after a few turns of theirs. */
                assert_true(server->n_messages - before < 1500);
        }
        for (size_t i = 0; i < ELEMENTSOF(noisy); i++)
                close(noisy[i]);
}

static void test_two_thousand(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_free_ int *fds = calloc(2000, sizeof(int));
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        if (limit.rlim_max < 5000)
                skip();
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

        for (size_t i = 0; i < 2000; i++) {
                fds[i] = peer_connect(server->port);
                say(fds[i], 'h', (uint8_t) i);
                if (i % 50 == 0)
                        assert_true(sd_event_run(server->event, 0) >= 0);
        }
        pump_until(server->event, server->n_held == 2000);
        assert_int_equal(stats(server).connections, 2000);
        for (size_t i = 0; i < 2000; i++) {
                uint8_t reply[12] = { 0, 1 };
                assert_int_equal(stream_set_reply(server->set, server->held[i], reply, sizeof(reply)), 0);
        }
        for (size_t i = 0; i < 2000; i++) {
                hear_mark(server, fds[i], 1);
                close(fds[i]);
        }
        pump_until(server->event, stats(server).connections == 0);
}

/* A peer whose kernel takes next to nothing for it. */
static int small_peer_connect(uint16_t port)
{
        struct sockaddr_storage sockaddr;
        struct address address = loopback();
        socklen_t length = address_to_sockaddr(&address, port, &sockaddr);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 4096;

        assert_true(fd >= 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
        assert_int_equal(connect(fd, (struct sockaddr *) &sockaddr, length), 0);
        return fd;
}

/* What waits in the kernel is held for the peer as well: within the bound, and within the time. */
static void test_unread_in_the_kernel(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;

        limits.message_timeout_usec = USEC_PER_SEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int fd = small_peer_connect(server->port);

        pump_until(server->event, ({
                           uint8_t buffer[14];
                           size_t size = frame(buffer, 'b', 1, 12);
                           (void) !send(fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
                           stats(server).timeouts == 1;
                   }));
        /* 64 KiB are the bound, 60000 octets an answer. */
        assert_true(server->n_messages <= 3);
}

/* One small answer after another, and none is read: that the kernel takes them is no sign of life. */
static void test_never_acknowledged(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        usec_t next = 0;

        limits.message_timeout_usec = 500 * USEC_PER_MSEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int fd = small_peer_connect(server->port);

        say(fd, 'b', 1);
        pump_until(server->event, ({
                           if (now_usec(CLOCK_MONOTONIC) >= next) {
                                   uint8_t buffer[14];
                                   size_t size = frame(buffer, 'e', 1, 12);
                                   (void) !send(fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
                                   next = now_usec(CLOCK_MONOTONIC) + 50 * USEC_PER_MSEC;
                           }
                           stats(server).timeouts == 1;
                   }));
        assert_int_equal(stats(server).connections, 0);
}

/* The peer has ended, and does not take what it asked for: that is not left to the kernel for minutes. */
static void test_ended_and_unread(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;

        limits.message_timeout_usec = 500 * USEC_PER_MSEC;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        _cleanup_close_ int fd = small_peer_connect(server->port);

        say(fd, 'b', 1);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        pump_until(server->event, stats(server).connections == 0 && server->n_messages == 1);
        assert_int_equal(stats(server).timeouts, 1);
}

/* Who comes has a place, instead of one who says nothing. */
static void test_per_source_bound(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        int fds[3];

        limits.connections_per_source = 3;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, false);
        for (size_t i = 0; i < 3; i++)
                fds[i] = peer_connect(server->port);
        pump_until(server->event, stats(server).connections == 3);
        _cleanup_close_ int fourth = peer_connect(server->port);
        hear_end(server, fds[0]);
        assert_int_equal(stats(server).connections, 3);
        assert_int_equal(stats(server).evicted, 1);
        say(fourth, 'e', 4);
        hear_mark(server, fourth, 4);
        _cleanup_close_ int other = peer_connect_from("127.0.0.2", server->port);
        say(other, 'e', 5);
        hear_mark(server, other, 5);
        assert_int_equal(stats(server).evicted, 1);
        assert_int_equal(stats(server).connections, 4);
        for (size_t i = 0; i < 3; i++)
                close(fds[i]);
}

/* Within a source as well those go first who never had a verified message; and newcomers find a place. */
static void test_crowd_of_one_source(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        static const uint8_t answer[12] = { 0, 7 };
        int owners[8], crowd[40];

        limits.connections_per_source = 12;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, false);
        for (unsigned i = 0; i < ELEMENTSOF(owners); i++) {
                owners[i] = peer_connect(server->port);
                say(owners[i], 'v', (uint8_t) i);
                pump_until(server->event, server->n_held == i + 1);
                assert_int_equal(stream_set_reply(server->set, server->held[i], answer, sizeof(answer)), 0);
                hear_mark(server, owners[i], 7);
        }
        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++)
                crowd[i] = peer_connect(server->port);
        pump_until(server->event,
                   stats(server).accepted + stats(server).refused == ELEMENTSOF(owners) + ELEMENTSOF(crowd));
        _cleanup_close_ int late = peer_connect(server->port);
        say(late, 'e', 9);
        hear_mark(server, late, 9);
        for (unsigned i = 0; i < ELEMENTSOF(owners); i++) {
                assert_true(stream_set_is_alive(server->set, server->held[i]));
                say(owners[i], 'e', (uint8_t) i);
                hear_mark(server, owners[i], (uint8_t) i);
                close(owners[i]);
        }
        assert_int_equal(stats(server).refused, 0);
        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++)
                close(crowd[i]);
}

/* No rate binds it, and still it leaves half to others. */
static void test_exempt_network_has_a_share(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        char from[32];
        int crowd[20];

        limits.connections = 8;
        limits.connections_per_source = 1;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, true);
        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++) {
                snprintf(from, sizeof(from), "127.0.%u.1", i);
                crowd[i] = peer_connect_from(from, server->port);
        }
        pump_until(server->event, stats(server).accepted == ELEMENTSOF(crowd));
        assert_int_equal(stats(server).connections, 4);
        say(crowd[ELEMENTSOF(crowd) - 1], 'e', 1);
        hear_mark(server, crowd[ELEMENTSOF(crowd) - 1], 1);
        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++)
                close(crowd[i]);
}

static void test_eviction(void **state)
{
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        int crowd[4];

        limits.connections = 8;
        _cleanup_(server_freep) struct server *server = server_new_with(limits, false);
        _cleanup_close_ int lone1 = peer_connect_from("127.0.0.3", server->port);
        pump_until(server->event, stats(server).connections == 1);
        /* At most half of the total for one source. */
        for (size_t i = 0; i < 4; i++) {
                crowd[i] = peer_connect(server->port);
                say(crowd[i], 'v', (uint8_t) i);
                pump_until(server->event, server->n_held == i + 1);
        }
        _cleanup_close_ int fifth = peer_connect(server->port);
        hear_end(server, fifth);
        _cleanup_close_ int lone2 = peer_connect_from("127.0.0.4", server->port);
        _cleanup_close_ int lone3 = peer_connect_from("127.0.0.5", server->port);
        _cleanup_close_ int lone4 = peer_connect_from("127.0.0.6", server->port);
        pump_until(server->event, stats(server).connections == 8);

        /* The first of the crowd showed itself useful again: the second goes. */
        stream_set_mark_verified(server->set, server->held[0]);
        _cleanup_close_ int late = peer_connect_from("127.0.0.7", server->port);
        say(late, 'e', 1);
        hear_mark(server, late, 1);
        hear_end(server, crowd[1]);
        assert_int_equal(stats(server).evicted, 1);
        assert_int_equal(stats(server).connections, 8);
        assert_true(stream_set_is_alive(server->set, server->held[0]));
        assert_false(stream_set_is_alive(server->set, server->held[1]));
        for (size_t i = 0; i < 4; i++)
                close(crowd[i]);
}

/* No descriptor left: the loop does not spin, and goes on when there is one. */
static void test_out_of_descriptors(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int first = peer_connect(server->port);
        _cleanup_close_ int second = peer_connect(server->port);
        struct rlimit before, none;
        unsigned turns = 0;
        int lowest;

        /* valgrind keeps descriptors of its own, and its own idea of the limit. */
        if (strstr(getenv("LD_PRELOAD") ?: "", "vgpreload"))
                return;
        say(first, 'e', 1);
        say(second, 'e', 2);
        lowest = fcntl(0, F_DUPFD, 3);
        close(lowest);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = (rlim_t) lowest;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        usec_t end = now_usec(CLOCK_MONOTONIC) + 500 * USEC_PER_MSEC;
        pump_until(server->event, (turns++, now_usec(CLOCK_MONOTONIC) > end));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(turns < 300); /* each turn of pump waits 5 ms when nothing is to be done */
        hear_mark(server, first, 1);
        hear_mark(server, second, 2);
}

/* No descriptor left, and connections that say nothing have some. */
static void test_descriptors_of_the_silent(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        int crowd[20], owner;
        struct rlimit before, few;
        static const uint8_t answer[12] = { 0, 7 };

        if (strstr(getenv("LD_PRELOAD") ?: "", "vgpreload"))
                return;
        owner = peer_connect(server->port);
        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++)
                crowd[i] = peer_connect(server->port);
        _cleanup_close_ int late = peer_connect(server->port);
        say(owner, 'v', 1);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        few = before;
        few.rlim_cur = (rlim_t) late + 1 + 6;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        pump_until(server->event, server->n_held == 1);
        say(late, 'e', 9);
        hear_mark(server, late, 9);
        assert_int_equal(stream_set_reply(server->set, server->held[0], answer, sizeof(answer)), 0);
        hear_mark(server, owner, 7);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++)
                close(crowd[i]);
        close(owner);
}

static void test_drain(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int idle = peer_connect(server->port);
        _cleanup_close_ int busy = peer_connect(server->port);
        uint16_t port = server->port;

        say(busy, 'h', 4);
        pump_until(server->event, server->n_held == 1 && stats(server).connections == 2);
        stream_set_drain(server->set);
        say(busy, 'e', 5); /* too late */
        hear_end(server, idle);
        assert_false(server->drained);
        assert_int_equal(stream_set_reply(server->set, server->held[0], "\0\004..........", 12), 0);
        hear_mark(server, busy, 4);
        pump_until(server->event, server->drained);
        assert_int_equal(server->n_messages, 1);

        struct sockaddr_storage sockaddr;
        struct address address = loopback();
        socklen_t length = address_to_sockaddr(&address, port, &sockaddr);
        _cleanup_close_ int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(late, (struct sockaddr *) &sockaddr, length), -1);
        assert_int_equal(errno, ECONNREFUSED);
}

static void test_limits_at_run_time(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new();
        _cleanup_close_ int fd = peer_connect(server->port);
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        uint8_t buffer[20002], reply[20002];

        say(fd, 'e', 1);
        hear_mark(server, fd, 1);
        limits.message_bytes = 20000;
        assert_int_equal(stream_set_limits(server->set, &limits), 0);
        assert_int_equal(send(fd, buffer, frame(buffer, 'e', 3, 20000), 0), sizeof(buffer));
        hear(server, fd, reply, sizeof(reply));
        assert_memory_equal(buffer, reply, sizeof(buffer));

        limits.message_bytes = 100;
        assert_int_equal(stream_set_limits(server->set, &limits), 0);
        assert_int_equal(send(fd, buffer, frame(buffer, 'e', 3, 101), 0), 103);
        hear_end(server, fd);
}

/* Who is there stays, but for one who makes room for somebody else. */
static void test_fewer_places_at_run_time(void **state)
{
        _cleanup_(server_freep) struct server *server = server_new_with(STREAM_LIMITS_DEFAULT, false);
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        char from[32];
        int crowd[12];

        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++) {
                snprintf(from, sizeof(from), "127.0.0.%u", i / 6 + 1);
                crowd[i] = peer_connect_from(from, server->port);
        }
        pump_until(server->event, stats(server).connections == ELEMENTSOF(crowd));
        limits.connections = 4;
        limits.connections_per_source = 2;
        assert_int_equal(stream_set_limits(server->set, &limits), 0);
        _cleanup_close_ int other = peer_connect_from("127.0.0.9", server->port);
        say(other, 'e', 1);
        hear_mark(server, other, 1);
        assert_int_equal(stats(server).connections, ELEMENTSOF(crowd));
        _cleanup_close_ int again = peer_connect_from("127.0.0.1", server->port);
        say(again, 'e', 2);
        hear_mark(server, again, 2);
        assert_in_range(stats(server).connections, ELEMENTSOF(crowd) - 3, ELEMENTSOF(crowd));
        for (unsigned i = 0; i < ELEMENTSOF(crowd); i++)
                close(crowd[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_echo_and_peer),
                cmocka_unit_test(test_pipelined_any_order),
                cmocka_unit_test(test_octet_at_a_time),
                cmocka_unit_test(test_slow_message_times_out),
                cmocka_unit_test(test_idle_times_out),
                cmocka_unit_test(test_refused_lengths),
                cmocka_unit_test(test_overlong_is_told_and_passed_over),
                cmocka_unit_test(test_slow_overlong_times_out),
                cmocka_unit_test(test_overlong_in_flight),
                cmocka_unit_test(test_half_close_in_overlong),
                cmocka_unit_test(test_largest_message),
                cmocka_unit_test(test_half_close),
                cmocka_unit_test(test_half_close_in_message),
                cmocka_unit_test(test_reply_to_dead),
                cmocka_unit_test(test_in_flight_bound),
                cmocka_unit_test(test_unread_output),
                cmocka_unit_test(test_slow_reader),
                cmocka_unit_test(test_always_readable_starves_nobody),
                cmocka_unit_test(test_two_thousand),
                cmocka_unit_test(test_unread_in_the_kernel),
                cmocka_unit_test(test_never_acknowledged),
                cmocka_unit_test(test_ended_and_unread),
                cmocka_unit_test(test_per_source_bound),
                cmocka_unit_test(test_crowd_of_one_source),
                cmocka_unit_test(test_exempt_network_has_a_share),
                cmocka_unit_test(test_eviction),
                cmocka_unit_test(test_out_of_descriptors),
                cmocka_unit_test(test_descriptors_of_the_silent),
                cmocka_unit_test(test_drain),
                cmocka_unit_test(test_limits_at_run_time),
                cmocka_unit_test(test_fewer_places_at_run_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
