/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net-test.h"

#include "net/dns-client.h"
#include "net/lookup.h"
#include "net/stream-set.h"
#include "net/udp.h"

/* A server of both transports on one port. Requests are 12 octets of header plus one question; the answer is
 * the request with QR set, unless the mode says otherwise. */
enum mode { ANSWER, HOLD, TRUNCATE, FORGE, SILENT };

struct lab {
        sd_event *event;
        struct stream_set *set;
        struct udp_server *udp;
        uint16_t port;
        enum mode mode;
        unsigned n_datagrams, n_messages;
        struct stream_id held[64];
        uint8_t held_bytes[64][64];
        size_t held_size[64];
        unsigned n_held;
        unsigned silent_first; /* datagrams that get no answer */

        struct dns_client *client;
        enum dns_client_state last_state;
        int last_state_error;
        unsigned n_done;
        int error;
        uint8_t reply[512];
        size_t reply_size;
        bool free_in_done;
};

static int on_message(void *userdata, struct stream_id id, const uint8_t *message, size_t size,
                      const struct net_peer *peer)
{
        struct lab *lab = userdata;
        uint8_t reply[512];

        lab->n_messages++;
        if (lab->mode == HOLD) {
                lab->held[lab->n_held] = id;
                memcpy(lab->held_bytes[lab->n_held], message, size);
                lab->held_size[lab->n_held++] = size;
                return 0;
        }
        if (lab->mode == SILENT)
                return -EIO;
        memcpy(reply, message, size);
        reply[2] |= 0x80;
        return stream_set_reply(lab->set, id, reply, size);
}

static void on_datagram(void *userdata, const struct udp_peer *peer, const uint8_t *message, size_t size)
{
        struct lab *lab = userdata;
        uint8_t reply[512];

        lab->n_datagrams++;
        if (lab->silent_first > 0) {
                lab->silent_first--;
                return;
        }
        memcpy(reply, message, size);
        reply[2] |= 0x80;
        if (lab->mode == TRUNCATE)
                reply[2] |= 0x02;
        if (lab->mode == FORGE) {
                reply[0] ^= 1; /* another ID */
                (void) udp_server_reply(lab->udp, peer, reply, size);
                reply[0] ^= 1;
                reply[13] ^= 1; /* another question */
                (void) udp_server_reply(lab->udp, peer, reply, size);
                reply[13] ^= 1;
                reply[2] &= 0x7f; /* a question, not an answer */
                (void) udp_server_reply(lab->udp, peer, reply, size);
                reply[2] |= 0x80;
                reply[5] = 0; /* none at all */
                (void) udp_server_reply(lab->udp, peer, reply, 12);
                reply[5] = 1;
                (void) udp_server_reply(lab->udp, peer, reply, 5);
        }
        reply[3] = 0x42; /* to be told from the forged ones */
        (void) udp_server_reply(lab->udp, peer, reply, size);
}

static const struct stream_set_ops stream_ops = { .on_message = on_message };
static const struct udp_server_ops udp_ops = { .on_datagram = on_datagram };

static struct lab *lab_new(void)
{
        struct lab *lab = calloc(1, sizeof(*lab));
        struct stream_limits limits = STREAM_LIMITS_DEFAULT;
        struct address address = loopback();
        int udp, tcp;

        assert_true(sd_event_new(&lab->event) >= 0);
        assert_int_equal(stream_set_new(lab->event, &limits, &stream_ops, lab, &lab->set), 0);
        assert_int_equal(udp_server_new(lab->event, &udp_ops, lab, &lab->udp), 0);
        do {
                tcp = stream_listen_open(&address, 0);
                assert_true(tcp >= 0);
                lab->port = port_of(tcp);
                udp = udp_socket_open(&address, lab->port);
                if (udp < 0)
                        close(tcp);
        } while (udp < 0);
        assert_int_equal(stream_set_listen(lab->set, tcp), 0);
        assert_int_equal(udp_server_add(lab->udp, udp), 0);
        return lab;
}

static struct lab *lab_free(struct lab *lab)
{
        dns_client_free(lab->client);
        stream_set_free(lab->set);
        udp_server_free(lab->udp);
        sd_event_unref(lab->event);
        free(lab);
        return NULL;
}
DEFINE_CLEANUP(struct lab *, lab_free)

static void on_state(void *userdata, enum dns_client_state state, int error)
{
        struct lab *lab = userdata;

        lab->last_state = state;
        lab->last_state_error = error;
}

static void on_done(void *userdata, int error, const uint8_t *reply, size_t size)
{
        struct lab *lab = userdata;

        lab->n_done++;
        lab->error = error;
        if (error == 0) {
                assert_true(size <= sizeof(lab->reply));
                memcpy(lab->reply, reply, size);
                lab->reply_size = size;
        }
        if (lab->free_in_done)
                lab->client = dns_client_free(lab->client);
}

static void client_new(struct lab *lab, const char *host, bool udp)
{
        struct dns_client_options options = {
                .host = host,
                .port = lab->port,
                .udp = udp,
                .connect_timeout_usec = 2 * USEC_PER_SEC,
                .retry_usec = 50 * USEC_PER_MSEC,
        };

        assert_int_equal(dns_client_new(lab->event, &options, on_state, lab, &lab->client), 0);
}

static uint16_t ask(struct lab *lab, usec_t timeout, struct dns_request **ret)
{
        uint8_t message[] = { 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'F', 'o', 'o', 1, 'd', 0, 0, 1, 0, 1 };
        uint16_t id = dns_client_id(lab->client);

        message[0] = (uint8_t) (id >> 8);
        message[1] = (uint8_t) id;
        assert_int_equal(
                dns_client_request(lab->client, message, sizeof(message), timeout, on_done, lab, ret), 0);
        return id;
}

static void test_tcp_exchange(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        uint16_t id;

        client_new(lab, "127.0.0.1", false);
        assert_int_equal(dns_client_get_state(lab->client), DNS_CLIENT_IDLE);
        for (unsigned i = 1; i <= 3; i++) {
                id = ask(lab, PATIENCE_USEC, NULL);
                assert_int_equal(lab->n_done, i - 1); /* never from within the call */
                pump_until(lab->event, lab->n_done == i);
                assert_int_equal(lab->error, 0);
                assert_int_equal(lab->reply[0] << 8 | lab->reply[1], id);
                assert_int_equal(lab->reply_size, 23);
        }
        assert_int_equal(lab->last_state, DNS_CLIENT_CONNECTED);
        struct stream_statistics statistics;
        stream_set_statistics(lab->set, &statistics);
        assert_int_equal(statistics.accepted, 1);
}

static void test_tcp_many_in_any_order(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        uint16_t ids[20];

        lab->mode = HOLD;
        client_new(lab, "localhost", false);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                ids[i] = ask(lab, PATIENCE_USEC, NULL);
        assert_int_equal(dns_client_pending(lab->client), 20);
        pump_until(lab->event, lab->n_held == 20);
        /* The server has them in some order; answered backwards, each completes its own. */
        for (unsigned i = 20; i-- > 0;) {
                lab->held_bytes[i][2] |= 0x80;
                assert_int_equal(
                        stream_set_reply(lab->set, lab->held[i], lab->held_bytes[i], lab->held_size[i]), 0);
                pump_until(lab->event, lab->n_done == 20 - i);
                assert_memory_equal(lab->reply, lab->held_bytes[i], 2);
        }
        assert_int_equal(dns_client_pending(lab->client), 0);
        (void) ids;
}

static void test_tcp_connection_lost(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->mode = HOLD;
        client_new(lab, "127.0.0.1", false);
        ask(lab, PATIENCE_USEC, NULL);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_held == 2);
        stream_set_close(lab->set, lab->held[0]);
        pump_until(lab->event, lab->n_done == 2);
        /* Two may have been too many at a time. */
        assert_int_equal(lab->error, -ECONNABORTED);
        assert_int_equal(lab->last_state, DNS_CLIENT_IDLE);
        /* The next ones open a new connection, and are sent one at a time. */
        lab->n_held = 0;
        ask(lab, PATIENCE_USEC, NULL);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_held == 1);
        stream_set_close(lab->set, lab->held[0]);
        pump_until(lab->event, lab->n_done == 4);
        assert_int_equal(lab->n_held, 1);
        /* That was not it. */
        assert_int_equal(lab->error, -ECONNRESET);
        lab->mode = ANSWER;
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 5);
        assert_int_equal(lab->error, 0);
}

static void test_tcp_refused(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        stream_set_unlisten(lab->set);
        client_new(lab, "127.0.0.1", false);
        ask(lab, PATIENCE_USEC, NULL);
        assert_int_equal(lab->n_done, 0);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, -ECONNREFUSED);
}

static void test_tcp_deadline(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->mode = HOLD;
        client_new(lab, "127.0.0.1", false);
        ask(lab, 100 * USEC_PER_MSEC, NULL);
        ask(lab, PATIENCE_USEC, NULL);
        /* Nothing came since: the connection is dead, for both. */
        pump_until(lab->event, lab->n_done == 2);
        assert_int_equal(lab->error, -ETIMEDOUT);
        assert_int_equal(dns_client_get_state(lab->client), DNS_CLIENT_IDLE);
}

static void test_tcp_deadline_of_one(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->mode = HOLD;
        client_new(lab, "127.0.0.1", false);
        ask(lab, 300 * USEC_PER_MSEC, NULL);
        pump_until(lab->event, lab->n_held == 1);
        lab->mode = ANSWER;
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, 0);
        pump_until(lab->event, lab->n_done == 2);
        assert_int_equal(lab->error, -ETIMEDOUT);
        assert_int_equal(dns_client_get_state(lab->client), DNS_CLIENT_CONNECTED);
        /* The late answer meets nobody. */
        lab->held_bytes[0][2] |= 0x80;
        assert_int_equal(stream_set_reply(lab->set, lab->held[0], lab->held_bytes[0], lab->held_size[0]), 0);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 3);
        assert_int_equal(lab->error, 0);
}

static void test_cancel_and_free(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        struct dns_request *request;

        lab->mode = HOLD;
        client_new(lab, "127.0.0.1", false);
        ask(lab, PATIENCE_USEC, &request);
        ask(lab, PATIENCE_USEC, NULL);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_held == 3);
        assert_null(dns_request_cancel(request));
        assert_int_equal(dns_client_pending(lab->client), 2);
        /* Freed by the first completion: the second never comes. */
        lab->free_in_done = true;
        stream_set_close(lab->set, lab->held[0]);
        pump_until(lab->event, lab->n_done == 1);
        assert_null(lab->client);
        assert_true(sd_event_run(lab->event, 10000) >= 0);
        assert_int_equal(lab->n_done, 1);
}

static void test_disconnect_completes(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->mode = HOLD;
        client_new(lab, "127.0.0.1", false);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_held == 1);
        dns_client_disconnect(lab->client);
        assert_int_equal(lab->n_done, 1);
        assert_int_equal(lab->error, -ECONNABORTED);
}

static void test_same_id(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        uint8_t message[12] = { 1, 2 };

        client_new(lab, "127.0.0.1", false);
        assert_int_equal(dns_client_request(lab->client, message, 12, USEC_PER_SEC, on_done, lab, NULL), 0);
        assert_int_equal(dns_client_request(lab->client, message, 12, USEC_PER_SEC, on_done, lab, NULL),
                         -EEXIST);
        assert_int_equal(dns_client_request(lab->client, message, 11, USEC_PER_SEC, on_done, lab, NULL),
                         -EMSGSIZE);
}

static void test_udp_exchange(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        client_new(lab, "localhost", true);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, 0);
        assert_int_equal(lab->reply[3], 0x42);
        assert_int_equal(lab->n_messages, 0);
}

static void test_udp_retry(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->silent_first = 2;
        client_new(lab, "127.0.0.1", true);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, 0);
        assert_int_equal(lab->n_datagrams, 3);
}

static void test_udp_forged(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->mode = FORGE;
        client_new(lab, "127.0.0.1", true);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, 0);
        assert_int_equal(lab->reply[3], 0x42);
        assert_int_equal(lab->reply_size, 23);
}

static void test_udp_truncated(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->mode = TRUNCATE;
        client_new(lab, "127.0.0.1", true);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, 0);
        assert_int_equal(lab->n_messages, 1);
        assert_int_equal(lab->reply[2] & 0x02, 0);
}

static void test_udp_nobody(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        udp_server_remove_all(lab->udp);
        client_new(lab, "127.0.0.1", true);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, -ECONNREFUSED);

        lab->client = dns_client_free(lab->client);
        client_new(lab, "127.0.0.1", true);
        lab->mode = SILENT;
}

static void test_udp_deadline(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        lab->silent_first = 1000;
        client_new(lab, "127.0.0.1", true);
        ask(lab, 200 * USEC_PER_MSEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_int_equal(lab->error, -ETIMEDOUT);
}

static void test_no_such_host(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();

        client_new(lab, "no-such-host.invalid", false);
        ask(lab, PATIENCE_USEC, NULL);
        pump_until(lab->event, lab->n_done == 1);
        assert_true(lab->error < 0);
        lab->client = dns_client_free(lab->client);

        /* Given up while the thread still asks. */
        client_new(lab, "another-host.invalid", true);
        ask(lab, PATIENCE_USEC, NULL);
        lab->client = dns_client_free(lab->client);
}

/* The answer leaves from the address that was asked, though the socket is bound to all. */
static void test_udp_pktinfo(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        struct address any = { .family = AF_INET }, asked;
        struct sockaddr_storage sockaddr, from;
        socklen_t length, from_length = sizeof(from);
        uint8_t reply[64];
        uint16_t port;
        int server = udp_socket_open(&any, 0);

        assert_true(server >= 0);
        port = port_of(server);
        assert_int_equal(udp_server_add(lab->udp, server), 0);
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(address_parse("127.0.0.9", &asked), 0);
        length = address_to_sockaddr(&asked, port, &sockaddr);
        assert_int_equal(sendto(fd, "0123456789ab", 12, 0, (struct sockaddr *) &sockaddr, length), 12);
        pump_until(lab->event, recvfrom(fd, reply, sizeof(reply), MSG_DONTWAIT, (struct sockaddr *) &from,
                                        &from_length) == 12);
        assert_int_equal(from_length, length);
        assert_memory_equal(&from, &sockaddr, offsetof(struct sockaddr_in, sin_zero));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcp_exchange),
                cmocka_unit_test(test_tcp_many_in_any_order),
                cmocka_unit_test(test_tcp_connection_lost),
                cmocka_unit_test(test_tcp_refused),
                cmocka_unit_test(test_tcp_deadline),
                cmocka_unit_test(test_tcp_deadline_of_one),
                cmocka_unit_test(test_cancel_and_free),
                cmocka_unit_test(test_disconnect_completes),
                cmocka_unit_test(test_same_id),
                cmocka_unit_test(test_udp_exchange),
                cmocka_unit_test(test_udp_retry),
                cmocka_unit_test(test_udp_forged),
                cmocka_unit_test(test_udp_truncated),
                cmocka_unit_test(test_udp_nobody),
                cmocka_unit_test(test_udp_deadline),
                cmocka_unit_test(test_no_such_host),
                cmocka_unit_test(test_udp_pktinfo),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
