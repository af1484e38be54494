/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How much goes into a message: as much as is sent, neither less nor more. */

#include "dns/message.h"
#include "plan-lab.h"
#include "upstream/nsupdate-internal.h"
#include "upstream/publisher-internal.h"

#define N_UNITS 300

static const struct plan_options large = {
        .protect_foreign = true,
        .verify = true,
        .bounded = true,
        .margin_sec = MARGIN_SEC,
        .max_units = 400,
        .max_in_flight = 2,
};

struct server {
        struct lab lab;
        struct publisher publisher;
        struct upstream_config config;
        struct upstream upstream;
        struct nsupdate driver;
};

static void set_up_server(struct server *server, bool tcp)
{
        static const char secret[] = "c2VjcmV0";

        *server = (struct server){ .config = { .tcp = tcp, .key_source = UPSTREAM_KEY_INLINE } };
        set_up(&server->lab, &large);
        server->config.tsig_key.name = name_of("nsreg-key.");
        server->config.tsig_key.algorithm = TSIG_HMAC_SHA256;
        assert_int_equal(tsig_key_set_secret(&server->config.tsig_key, secret), 0);
        server->publisher.registry = registry_new();
        assert_non_null(server->publisher.registry);
        server->upstream.publisher = &server->publisher;
        server->upstream.config = &server->config;
        server->upstream.plan = server->lab.plan;
        server->driver.upstream = &server->upstream;
}

static void tear_down_server(struct server *server)
{
        registry_free(server->publisher.registry);
        tear_down(&server->lab);
}

static void addresses(struct rrset *ret, unsigned n)
{
        *ret = (struct rrset){};
        for (uint32_t i = 0; i < n; i++) {
                uint8_t octets[4] = { 10, (uint8_t) (i >> 16), (uint8_t) (i >> 8), (uint8_t) i };

                assert_int_equal(rrset_add(ret, DNS_TYPE_A, octets, sizeof(octets)), 0);
        }
}

/* The rows are of no interest here. */
static void want_set(struct server *server, const char *owner, const struct rrset *wanted)
{
        struct dns_name name = name_of(owner);
        struct rrset before = {};

        assert_int_equal(plan_change(server->lab.plan, FORWARD, &name, &before, wanted), 0);
}

static void want_addresses(struct server *server, const char *owner, unsigned n)
{
        struct rrset wanted;

        addresses(&wanted, n);
        want_set(server, owner, &wanted);
        rrset_clear(&wanted);
}

static void want_everywhere(struct server *server, unsigned n)
{
        struct rrset wanted;
        char owner[32];

        addresses(&wanted, n);
        for (unsigned i = 0; i < N_UNITS; i++) {
                snprintf(owner, sizeof(owner), "n%u.d.example.", i);
                want_set(server, owner, &wanted);
        }
        rrset_clear(&wanted);
}

static int put_nothing(void *userdata, struct unit_part *part, const struct unit_row *row, waiter_done done)
{
        struct lab *lab = userdata;

        lab->n_puts++;
        return 0;
}

static const struct plan_ops quiet_ops = {
        .put_row = put_nothing,
        .delete_row = put_nothing,
        .waited = lab_waited,
        .refused = lab_refused,
        .drifted = lab_drifted,
        .lane_changed = lab_lane_changed,
        .ready = lab_ready,
};

/* All rows are written. A unit has one part here, and may go by that. */
static void write_rows(struct server *server)
{
        struct unit *unit, *next;

        RB_FOREACH_SAFE (unit, unit_tree, &server->lab.plan->units, next)
                if (unit->parts->writing || unit->parts->deleting)
                        unit_row_written(unit->parts, 0);
}

static uint8_t buffer[DNS_MESSAGE_MAX];

/* Signed, it is a message. Its size. */
static size_t check_message(const struct server *server, ssize_t written)
{
        struct tsig_context context;
        _cleanup_free_ struct dns_message *message = malloc(sizeof(*message));
        ssize_t size;
        int r;

        assert_non_null(message);
        assert_true(written > 0);
        size = tsig_sign_message(buffer, (size_t) written, sizeof(buffer), &server->config.tsig_key, 1000, 30,
                                 &context);
        assert_true(size > written);
        /* What is sent may have more records than what is read. */
        r = dns_message_walk(buffer, (size_t) size, NULL, message, NULL);
        assert_true(r == 0 || r == -E2BIG);
        return (size_t) size;
}

/* Names of these many addresses go out in messages of at most so many octets, none of them wastefully small,
 * all of them once. */
static void run_units(bool tcp, unsigned n_addresses, size_t limit)
{
        unsigned n_sent = 0, n_messages = 0;
        size_t sum = 0, largest = 0;
        struct server server;

        set_up_server(&server, tcp);
        server.lab.plan->ops = &quiet_ops;
        want_everywhere(&server, n_addresses);
        write_rows(&server);
        while (n_sent < N_UNITS) {
                struct plan_batch *batch = plan_next(server.lab.plan, server.lab.now);
                size_t size;

                assert_non_null(batch);
                size = check_message(&server,
                                     nsupdate_write_update(&server.driver, batch, 1, buffer, sizeof(buffer)));
                assert_true(size <= limit || batch->n_units == 1);
                largest = MAX(largest, size);
                sum += size;
                n_sent += batch->n_units;
                n_messages++;
                put_out(&server.lab, batch);
                plan_finish(batch, PLAN_ACKNOWLEDGED, NULL, server.lab.now);
        }
        assert_int_equal(n_sent, N_UNITS);
        /* All but the last are near to what is allowed. */
        if (n_messages > 1 && n_messages < N_UNITS)
                assert_true((sum - largest) / (n_messages - 1) > limit / 2);
        tear_down_server(&server);
}

static void test_many_in_a_message(void **state)
{
        /* One address each: all of a batch fit. */
        run_units(true, 1, 32000);
        run_units(true, 40, 32000);
        /* Together more than any message has. */
        run_units(true, 250, 32000);
        /* One is more than others should wait for, and goes alone. */
        run_units(true, 3000, 32000);
}

static void test_datagrams(void **state)
{
        run_units(false, 1, NSUPDATE_DATAGRAM_MAX);
        run_units(false, 3, NSUPDATE_DATAGRAM_MAX);
        run_units(false, 100, NSUPDATE_DATAGRAM_MAX);
}

/* The look at what was lost is as large. */
static void test_looks(void **state)
{
        struct server server;
        struct plan_batch *batch;
        char owner[32];
        unsigned n;

        set_up_server(&server, true);
        server.lab.plan->ops = &quiet_ops;
        want_everywhere(&server, 40);
        write_rows(&server);
        for (unsigned i = 0; i < N_UNITS; i++) {
                struct dns_name name;
                struct unit *unit;

                snprintf(owner, sizeof(owner), "n%u.d.example.", i);
                name = name_of(owner);
                unit = plan_find(server.lab.plan, FORWARD, &name);
                assert_non_null(unit);
                unit_look_at(unit, LOOK_EXPECT);
                FOREACH_PART (part, unit)
                        part->known = VALUE_UNKNOWN;
                unit_route(unit);
        }
        for (n = 0; n < N_UNITS;) {
                server.lab.plan->lanes[FORWARD].backoff_until_usec = 0;
                batch = plan_next(server.lab.plan, server.lab.now);
                assert_non_null(batch);
                assert_int_equal(batch->action, PLAN_VERIFY);
                assert_true(check_message(&server, nsupdate_write_update(&server.driver, batch, 1, buffer,
                                                                         sizeof(buffer))) <= 32000);
                n += batch->n_units;
                put_out(&server.lab, batch);
                plan_finish(batch, PLAN_ACKNOWLEDGED, NULL, server.lab.now);
        }
        tear_down_server(&server);
}

/* What is larger than any message is said so, and nothing that waits with it is in its way. */
static void test_larger_than_any(void **state)
{
        struct server server;
        struct plan_batch *batch;

        set_up_server(&server, true);
        server.lab.plan->ops = &quiet_ops;
        want_addresses(&server, "a.d.example.", 2300); /* twice, as a prerequisite it is nothing yet */
        want_addresses(&server, "b.d.example.", 4200);
        want_addresses(&server, "c.d.example.", 1);
        write_rows(&server);
        batch = plan_next(server.lab.plan, server.lab.now);
        assert_non_null(batch);
        assert_true(nsupdate_write_update(&server.driver, batch, 1, buffer, sizeof(buffer)) > 0);
        assert_int_equal(batch->n_units, 1);
        plan_finish(batch, PLAN_UNSENT, "later", server.lab.now);
        server.lab.plan->lanes[FORWARD].backoff_until_usec = 0;
        want_addresses(&server, "d.d.example.", 1);
        for (unsigned i = 0; i < 10; i++) {
                server.lab.plan->lanes[FORWARD].backoff_until_usec = 0;
                write_rows(&server);
                batch = plan_next(server.lab.plan, server.lab.now);
                if (!batch)
                        break;
                if (nsupdate_write_update(&server.driver, batch, 1, buffer, sizeof(buffer)) == -EMSGSIZE)
                        plan_finish(batch, PLAN_REJECTED, "it does not fit into a message", server.lab.now);
                else {
                        put_out(&server.lab, batch);
                        plan_finish(batch, PLAN_ACKNOWLEDGED, NULL, server.lab.now);
                }
        }
        assert_non_null(unit_at(&server.lab, "b.d.example."));
        assert_non_null(unit_trouble(unit_at(&server.lab, "b.d.example."), server.lab.now));
        assert_true(!unit_at(&server.lab, "c.d.example.") ||
                    unit_is_published(unit_at(&server.lab, "c.d.example.")));
        assert_true(!unit_at(&server.lab, "d.d.example.") ||
                    unit_is_published(unit_at(&server.lab, "d.d.example.")));
        tear_down_server(&server);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_many_in_a_message),
                cmocka_unit_test(test_datagrams),
                cmocka_unit_test(test_looks),
                cmocka_unit_test(test_larger_than_any),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
