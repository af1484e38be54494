/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory that runs out while a batch is being sent: what was not asked is not "nothing there", nothing stays
 * busy, nothing spins, and everything goes on when there is memory again. The connection is this test's own;
 * the linker puts it, and a calloc() that fails, in the place of the real ones. */

#include "dns/message.h"
#include "plan-lab.h"
#include "upstream/nsupdate-internal.h"
#include "upstream/nsupdate.h"
#include "upstream/publisher-internal.h"

#define REQUESTS_MAX 32

/* What lies on the wire. */
static struct {
        struct dns_client_message messages[REQUESTS_MAX];
        uint8_t octets[REQUESTS_MAX][512];
        unsigned n;
        unsigned fails_at; /* this allocation fails, and all behind it; 0: none */
        unsigned n_allocations;
} wire;

static struct lab *current;

static bool memory_is_out(void)
{
        return wire.fails_at > 0 && ++wire.n_allocations >= wire.fails_at;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
int __wrap_dns_client_send(struct dns_client *client, const struct dns_client_message *message,
                           struct dns_request **ret);
uint16_t __wrap_dns_client_id(struct dns_client *client);
const struct sockaddr_storage *__wrap_dns_client_peer(const struct dns_client *client);
struct dns_request *__wrap_dns_request_cancel(struct dns_request *request);
void __wrap_upstream_sent(struct upstream *upstream);
void __wrap_upstream_succeeded(struct upstream *upstream);
usec_t __wrap_upstream_now(void);

void *__wrap_calloc(size_t n, size_t size)
{
        return memory_is_out() ? NULL : __real_calloc(n, size);
}

int __wrap_dns_client_send(struct dns_client *client, const struct dns_client_message *message,
                           struct dns_request **ret)
{
        if (memory_is_out())
                return -ENOMEM;
        assert_true(wire.n < REQUESTS_MAX && message->size <= sizeof(wire.octets[0]));
        memcpy(wire.octets[wire.n], message->octets, message->size);
        wire.messages[wire.n++] = *message;
        *ret = NULL;
        return 0;
}

uint16_t __wrap_dns_client_id(struct dns_client *client)
{
        return 7;
}

const struct sockaddr_storage *__wrap_dns_client_peer(const struct dns_client *client)
{
        return NULL;
}

struct dns_request *__wrap_dns_request_cancel(struct dns_request *request)
{
        return NULL;
}

void __wrap_upstream_sent(struct upstream *upstream)
{
}

void __wrap_upstream_succeeded(struct upstream *upstream)
{
}

usec_t __wrap_upstream_now(void)
{
        return current->now;
}

struct server {
        struct lab lab;
        struct publisher publisher;
        struct upstream_config config;
        struct upstream upstream;
        struct nsupdate driver;
};

/* Unsigned, so that an answer needs no signature. */
static void set_up_server(struct server *server, const struct plan_options *options)
{
        struct plan_options unsigned_options = *options;

        memset(&wire, 0, sizeof(wire));
        unsigned_options.bounded = false;
        *server = (struct server){ .config = { .tcp = true, .key_source = UPSTREAM_KEY_NONE } };
        set_up(&server->lab, &unsigned_options);
        current = &server->lab;
        server->publisher.registry = registry_new();
        assert_non_null(server->publisher.registry);
        server->upstream.publisher = &server->publisher;
        server->upstream.config = &server->config;
        server->upstream.plan = server->lab.plan;
        server->upstream.driver = &server->driver;
        server->driver.upstream = &server->upstream;
        TAILQ_INIT(&server->driver.held);
}

static void tear_down_server(struct server *server)
{
        registry_free(server->publisher.registry);
        tear_down(&server->lab);
}

static void send_batch(struct server *server, struct plan_batch *batch)
{
        nsupdate_driver.send(&server->driver, batch);
        lab_tell(&server->lab);
}

/* Everything that lies on the wire is answered with this RCODE and nothing else. */
static void answer_all(struct server *server, unsigned rcode)
{
        unsigned n = wire.n;

        wire.n = 0;
        for (unsigned i = 0; i < n; i++) {
                struct dns_client_message *message = &wire.messages[i];
                uint8_t *octets = wire.octets[i];

                if (message->sent)
                        message->sent(message->userdata);
                octets[2] |= 0x84; /* a response, authoritative */
                octets[3] = (uint8_t) rcode;
                message->done(message->userdata, 0, octets, message->size);
                lab_tell(&server->lab);
        }
}

static const char *const names[] = { "a.d.example.", "b.d.example.", "c.d.example.", "e.d.example." };

static unsigned n_known(struct server *server)
{
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                n += unit_at(&server->lab, names[i])->parts->known >= 0;
        return n;
}

/* Questions about four names, of which a part was asked: the others are looked at later, and published only
 * then. "probe": about zone cuts. */
static void run_questions(bool probe, unsigned fails_at)
{
        struct plan_options options = plain;
        struct plan_batch *batch;
        struct server server;
        unsigned n_asked;

        options.verify = false;
        options.look_first = true;
        options.probe = probe;
        set_up_server(&server, &options);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                want(&server.lab, names[i], NULL, "10.0.0.1");
        batch = next(&server.lab, probe ? PLAN_PROBE : PLAN_QUERY, ELEMENTSOF(names));
        wire.fails_at = fails_at;
        wire.n_allocations = 0;
        send_batch(&server, batch);
        n_asked = wire.n;
        wire.fails_at = 0;
        answer_all(&server, DNS_RCODE_NXDOMAIN);
        assert_int_equal(server.lab.plan->n_in_flight, 0);
        assert_int_equal(server.lab.n_refusals, 0);
        assert_true(probe || n_known(&server) == n_asked);

        /* Somebody's data are at the last name: it is seen, for it was not asked about. */
        serve(&server.lab, names[3], "192.0.2.1");
        if (n_asked < ELEMENTSOF(names)) {
                exchange_on(&server.lab);
                assert_int_equal(server.lab.n_refusals, 1);
                assert_serves(&server.lab, names[3], "192.0.2.1");
                assert_serves(&server.lab, names[0], "10.0.0.1");
        }
        tear_down_server(&server);
}

static void test_what_was_not_asked_is_not_nothing(void **state)
{
        /* The job; then two for each question: what is known of it, and its message. */
        for (unsigned fails_at = 1; fails_at <= 2 * ELEMENTSOF(names) + 1; fails_at++)
                for (unsigned probe = 0; probe < 2; probe++)
                        run_questions(probe > 0, fails_at);
}

/* An update that could not be sent is not in doubt, is not tried again at once, and is sent later. */
static void test_nothing_stays_busy(void **state)
{
        for (unsigned fails_at = 1; fails_at <= 3; fails_at++) {
                struct plan_batch *batch;
                struct server server;

                set_up_server(&server, &plain);
                want(&server.lab, names[0], NULL, "10.0.0.1");
                for (unsigned i = 0; i < 5; i++) {
                        usec_t deadline;

                        batch = next(&server.lab, PLAN_FIRST, 1);
                        wire.fails_at = fails_at;
                        wire.n_allocations = 0;
                        send_batch(&server, batch);
                        wire.fails_at = 0;
                        assert_int_equal(wire.n, 0);
                        assert_int_equal(server.lab.plan->n_in_flight, 0);
                        assert_int_equal(unit_at(&server.lab, names[0])->parts->n_doubts, 0);
                        nothing_to_send(&server.lab);
                        deadline = plan_deadline(server.lab.plan);
                        assert_true(deadline > server.lab.now && deadline != USEC_INFINITY);
                        server.lab.now = deadline;
                }
                batch = next(&server.lab, PLAN_FIRST, 1);
                send_batch(&server, batch);
                assert_int_equal(wire.n, 1);
                answer_all(&server, DNS_RCODE_NOERROR);
                assert_int_equal(server.lab.plan->n_in_flight, 0);
                exchange_on(&server.lab);
                assert_int_equal(server.lab.plan->n_units, 0);
                tear_down_server(&server);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_was_not_asked_is_not_nothing),
                cmocka_unit_test(test_nothing_stays_busy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
