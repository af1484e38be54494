/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A plan whose server will not have something, or is not there: who is suspected, how long it waits, who is
 * told. */

#include "plan-lab.h"

#define FOO "foo.d.example."

static const char *nth(unsigned i)
{
        static char owner[32];

        snprintf(owner, sizeof(owner), "n%u.d.example.", i);
        return owner;
}

static void want_many(struct lab *lab, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                want(lab, nth(i), NULL, "10.0.0.1");
}

static bool contains(const struct plan_batch *batch, const char *owner)
{
        struct dns_name name = name_of(owner);

        for (unsigned i = 0; i < batch->n_units; i++) {
                struct dns_name other = unit_owner(batch->units[i]);

                if (dns_name_equal(&name, &other))
                        return true;
        }
        return false;
}

/* The server says no, and says so itself: nothing of it is in doubt. */
static void reject(struct lab *lab, struct plan_batch *batch)
{
        put_out(lab, batch);
        finish(lab, batch, PLAN_REJECTED);
}

static void test_batches(void **state)
{
        struct plan_batch *first, *second, *third;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, "old.d.example.", "10.1.0.1");
        want_many(&lab, 20);
        want(&lab, "old.d.example.", "10.1.0.1", "10.1.0.2");
        /* What is established goes first, and never together with what is new. */
        first = next(&lab, PLAN_REPLACE, 1);
        second = next(&lab, PLAN_FIRST, 8);
        /* No more than two at a time. */
        nothing_to_send(&lab);
        exchange(&lab, first);
        third = next(&lab, PLAN_FIRST, 8);
        exchange(&lab, second);
        exchange(&lab, third);
        exchange(&lab, next(&lab, PLAN_FIRST, 4));
        is_quiet(&lab);
        tear_down(&lab);
}

/* Halved until the guilty one is alone; all others are published meanwhile, and the lane does not back off.
 */
static void test_guilty_one_is_found(void **state)
{
        struct end guilty, innocent;
        unsigned n_messages = 0;
        struct lab lab;

        set_up(&lab, &plain);
        want_many(&lab, 8);
        wait_at(&lab, nth(5), &guilty);
        wait_at(&lab, nth(4), &innocent);
        for (struct plan_batch *batch; (batch = take(&lab)); n_messages++)
                if (contains(batch, nth(5)))
                        reject(&lab, batch);
                else
                        exchange(&lab, batch);
        assert_int_equal(n_messages, 7);
        assert_true(was_told(&guilty, WAIT_FAILED));
        assert_true(was_told(&innocent, WAIT_PUBLISHED));
        assert_int_equal(lab.plan->n_units, 1);
        assert_int_equal(lab.n_lane_changes, 0);
        assert_null(lab.plan->lanes[FORWARD].error);

        /* However often it is rejected again, nobody else waits for it. */
        for (unsigned i = 0; i < 12; i++) {
                lab.now = plan_deadline(lab.plan);
                reject(&lab, next(&lab, PLAN_FIRST, 1));
                assert_int_equal(lab.plan->lanes[FORWARD].backoff_until_usec, 0);
        }
        want(&lab, "other.d.example.", NULL, "10.0.0.7");
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_int_equal(lab.plan->n_units, 1);
        tear_down(&lab);
}

static void test_all_rejected_is_the_server(void **state)
{
        unsigned n_messages = 0;
        struct lab lab;

        set_up(&lab, &plain);
        want_many(&lab, 8);
        for (struct plan_batch *batch; (batch = take(&lab)); n_messages++)
                reject(&lab, batch);
        assert_in_range(n_messages, 3, 8);
        assert_non_null(lab.plan->lanes[FORWARD].error);
        assert_true(plan_deadline(lab.plan) > lab.now);
        assert_int_equal(lab.n_lane_changes, 1);
        /* The other lane is not concerned. */
        want(&lab, "1.0.0.10.in-addr.arpa.", NULL, FOO);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        tear_down(&lab);
}

/* Doubling from a second to five minutes, each time up to a quarter more or less; and begun and ended is told
 * once, however long it lasts. */
static void test_back_off(void **state)
{
        usec_t shortest[12], longest[12];

        for (unsigned i = 0; i < ELEMENTSOF(shortest); i++) {
                shortest[i] = USEC_INFINITY;
                longest[i] = 0;
        }
        for (uint64_t seed = 1; seed <= 64; seed++) {
                struct lab lab;

                set_up(&lab, &plain);
                lab.plan->random = seed * 7919;
                want(&lab, FOO, NULL, "10.0.0.1");
                for (unsigned i = 0; i < ELEMENTSOF(shortest); i++) {
                        usec_t length, base = MIN(USEC_PER_SEC << i, 5 * USEC_PER_MINUTE);

                        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_UNSENT);
                        nothing_to_send(&lab);
                        length = plan_deadline(lab.plan) - lab.now;
                        assert_in_range(length, base - base / 4, base + base / 4);
                        shortest[i] = MIN(shortest[i], length);
                        longest[i] = MAX(longest[i], length);
                        lab.now = plan_deadline(lab.plan) - 1;
                        nothing_to_send(&lab);
                        lab.now++;
                        assert_int_equal(lab.n_lane_changes, 1);
                }
                exchange(&lab, next(&lab, PLAN_FIRST, 1));
                assert_int_equal(lab.n_lane_changes, 2);
                /* It is as if nothing had been. */
                assert_null(lab.plan->lanes[FORWARD].error);
                want(&lab, FOO, "10.0.0.1", "10.0.0.2");
                finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_UNSENT);
                assert_true(plan_deadline(lab.plan) - lab.now < 2 * USEC_PER_SEC);
                tear_down(&lab);
        }
        for (unsigned i = 0; i < ELEMENTSOF(shortest); i++)
                assert_true(longest[i] - shortest[i] > longest[i] / 10);
}

static void test_flush_ends_back_offs(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_UNSENT);
        assert_true(was_told(&end, WAIT_FAILED));
        assert_string_equal(end.reason, "because");
        assert_string_equal(unit_trouble(unit_at(&lab, FOO), lab.now), "because");
        nothing_to_send(&lab);
        plan_flush(lab.plan);
        assert_null(unit_trouble(unit_at(&lab, FOO), lab.now));
        /* Rejected alone: flushed as well. */
        reject(&lab, next(&lab, PLAN_FIRST, 1));
        nothing_to_send(&lab);
        plan_flush(lab.plan);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_int_equal(lab.n_lane_changes, 2);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_unreachable_and_stopped(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        plan_unreachable(lab.plan, "no route", lab.now);
        assert_true(was_told(&end, WAIT_FAILED));
        assert_int_equal(lab.n_lane_changes, 2);
        /* Said again it is the same failure. */
        plan_unreachable(lab.plan, "no route", lab.now);
        assert_int_equal(lab.n_lane_changes, 2);
        plan_reachable(lab.plan);
        assert_int_equal(lab.n_lane_changes, 4);
        lab.plan->stopped = true;
        nothing_to_send(&lab);
        tear_down(&lab);
}

static void test_cancelled_waiter_is_not_told(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        plan_waiter_cancel(&end.waiter);
        plan_waiter_cancel(&end.waiter);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_false(end.ended);
        is_quiet(&lab);
        tear_down(&lab);
}

/* Two parts of one request wait for one unit: told of the end of the first, it takes back the second,
 * whatever it is that both are told. */
static void test_waiter_cancelled_by_another(void **state)
{
        static const enum plan_outcome outcomes[] = { PLAN_ACKNOWLEDGED, PLAN_REJECTED, PLAN_UNSENT };

        for (unsigned i = 0; i < 2 * ELEMENTSOF(outcomes); i++) {
                enum plan_outcome outcome = outcomes[i / 2];
                struct end first, second, elsewhere;
                struct plan_batch *batch;
                struct lab lab;

                set_up(&lab, &plain);
                want(&lab, FOO, NULL, "10.0.0.1");
                want(&lab, "bar.d.example.", NULL, "10.0.0.2");
                wait_at(&lab, "bar.d.example.", &elsewhere);
                wait_at(&lab, FOO, &first);
                wait_at(&lab, FOO, &second);
                first.twin = i % 2 ? &second : NULL;
                second.twin = i % 2 ? NULL : &first;
                batch = next(&lab, PLAN_FIRST, 2);
                if (outcome != PLAN_UNSENT)
                        put_out(&lab, batch);
                finish(&lab, batch, outcome);
                if (outcome == PLAN_REJECTED)
                        for (unsigned j = 0; j < 2; j++)
                                reject(&lab, next(&lab, PLAN_FIRST, 1));
                assert_true(i % 2 ? first.ended : second.ended);
                assert_true(elsewhere.ended);
                tear_down(&lab);
        }
}

static void test_wished_away_before_it_was_sent(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        want(&lab, FOO, "10.0.0.1", NULL);
        nothing_to_send(&lab);
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        /* While the row is on its way to the disk. */
        lab.hold_rows = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        want(&lab, FOO, "10.0.0.1", NULL);
        lab.hold_rows = false;
        nothing_to_send(&lab);
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

static void republish(struct lab *lab, const char *owner, const char *wanted)
{
        struct dns_name name = name_of(owner);
        struct rrset set = set_of(wanted);

        assert_int_equal(plan_republish(lab->plan, lane_of(owner), &name, &set), 0);
        rrset_clear(&set);
        lab_tell(lab);
}

static void test_republish(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1");
        republish(&lab, FOO, "10.0.0.1");
        assert_false(unit_is_published(unit_at(&lab, FOO)));
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_serves(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        /* What was about to go goes all the same. */
        want(&lab, FOO, "10.0.0.1", NULL);
        republish(&lab, FOO, NULL);
        exchange_on(&lab);
        assert_serves(&lab, FOO, NULL);
        is_quiet(&lab);
        tear_down(&lab);
}

/* The server forgot everything while a change was on its way: that change alone is not enough. */
static void test_republish_in_flight(void **state)
{
        struct plan_batch *batch;
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1");
        want(&lab, FOO, "10.0.0.1", "10.0.0.2");
        wait_at(&lab, FOO, &end);
        batch = next(&lab, PLAN_REPLACE, 1);
        put_out(&lab, batch);
        assert_int_equal(serve_batch(&lab, batch), PLAN_ACKNOWLEDGED);
        republish(&lab, FOO, "10.0.0.2");
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        is_quiet(&lab);
        tear_down(&lab);
}

/* The server forgot everything, and before it is published again nobody wants it any more: there is nothing
 * to be done, and nothing is done for ever. */
static void test_republish_of_what_is_given_up(void **state)
{
        struct plan_batch *batch;
        struct lab lab;
        unsigned n;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1");
        serve(&lab, FOO, NULL);
        republish(&lab, FOO, "10.0.0.1");
        batch = next(&lab, PLAN_REPLACE, 1);
        put_out(&lab, batch);
        want(&lab, FOO, "10.0.0.1", NULL);
        /* From here on row by row, and message by message. */
        lab.hold_rows = true;
        finish(&lab, batch, PLAN_PREREQUISITE);
        for (n = 0; n < 20 && (lab.n_writes > 0 || (batch = plan_next(lab.plan, lab.now))); n++)
                if (lab.n_writes > 0) {
                        struct unit_part *part = lab.writes[0];

                        memmove(lab.writes, lab.writes + 1, --lab.n_writes * sizeof(lab.writes[0]));
                        unit_row_written(part, 0);
                } else
                        exchange(&lab, batch);
        assert_true(n < 20);
        lab.hold_rows = false;
        exchange_on(&lab);
        assert_serves(&lab, FOO, NULL);
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

/* --- the first look --- */

static struct plan_options careful(bool probe)
{
        struct plan_options options = plain;

        options.look_first = true;
        options.probe = probe;
        return options;
}

/* The administrator has exactly what is claimed, and the server says nothing any more from the first message
 * that would change something: what is there stays, for it was never ours. */
static void test_a_twin_is_seen_before_anything_is_sent(void **state)
{
        for (unsigned probe = 0; probe < 2; probe++) {
                struct plan_options options = careful(probe > 0);
                struct plan_batch *batch;
                struct end end;
                struct lab lab;

                set_up(&lab, &options);
                serve(&lab, FOO, "10.0.0.1");
                want(&lab, FOO, NULL, "10.0.0.1");
                wait_at(&lab, FOO, &end);
                while ((batch = take(&lab))) {
                        assert_int_not_equal(batch->action, PLAN_FIRST);
                        assert_int_not_equal(batch->action, PLAN_REPLACE);
                        exchange(&lab, batch);
                }
                assert_true(was_told(&end, WAIT_REFUSED));
                assert_int_equal(lab.n_puts, 0);
                want(&lab, FOO, "10.0.0.1", NULL);
                exchange_on(&lab);
                assert_serves(&lab, FOO, "10.0.0.1");
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* Nothing was there when it was looked: what is found after a message without an answer is ours. */
static void test_what_came_after_the_look_is_ours(void **state)
{
        for (unsigned variant = 0; variant < 4; variant++) {
                bool probe = variant & 1, applied = variant & 2;
                struct plan_options options = careful(probe);
                struct lab lab;

                set_up(&lab, &options);
                want(&lab, FOO, NULL, "10.0.0.1");
                /* A name that is not there has nothing of any type: no second question. */
                exchange(&lab, next(&lab, probe ? PLAN_PROBE : PLAN_VERIFY, 1));
                lose(&lab, next(&lab, PLAN_FIRST, 1), applied);
                start_again(&lab, FOO, "10.0.0.1");
                want(&lab, FOO, "10.0.0.1", NULL);
                exchange_on(&lab);
                assert_int_equal(lab.n_refusals, 0);
                assert_serves(&lab, FOO, NULL);
                assert_int_equal(n_rows(&lab), 0);
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* Tried again after a refusal, it is looked again: something else may be there by now. */
static void test_looked_at_again_after_a_refusal(void **state)
{
        struct plan_options options = careful(false);
        struct lab lab;

        set_up(&lab, &options);
        serve(&lab, FOO, "192.0.2.1");
        want(&lab, FOO, NULL, "10.0.0.1");
        (void) exchange_all(&lab); /* refused */
        assert_int_equal(lab.n_refusals, 1);
        serve(&lab, FOO, "10.0.0.1");
        plan_flush(lab.plan);
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        (void) exchange_all(&lab); /* refused again */
        assert_int_equal(lab.n_refusals, 2);
        want(&lab, FOO, "10.0.0.1", NULL);
        exchange_on(&lab);
        assert_serves(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* The name is there with another type, and a type that comes later is looked at for itself. */
static void test_each_type_is_looked_at(void **state)
{
        struct plan_options options = careful(true);
        struct lab lab;

        set_up(&lab, &options);
        published(&lab, FOO, "10.0.0.1");
        serve(&lab, FOO, "10.0.0.1 fd00::1");
        want(&lab, FOO, "10.0.0.1", "10.0.0.1 fd00::1");
        exchange_on(&lab);
        assert_int_equal(lab.n_refusals, 1);
        want(&lab, FOO, "10.0.0.1 fd00::1", NULL);
        exchange_on(&lab);
        assert_serves(&lab, FOO, "fd00::1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* What was ours and is taken away may be the administrator's when it comes again. */
static void test_looked_at_again_after_it_was_gone(void **state)
{
        struct plan_options options = careful(false);
        struct lab lab;

        set_up(&lab, &options);
        published(&lab, FOO, "10.0.0.1");
        want(&lab, FOO, "10.0.0.1", NULL);
        (void) exchange_all(&lab); /* is_quiet() tells */
        is_quiet(&lab);
        serve(&lab, FOO, "10.0.0.1");
        want(&lab, FOO, NULL, "10.0.0.1");
        (void) exchange_all(&lab); /* refused */
        assert_int_equal(lab.n_refusals, 1);
        want(&lab, FOO, "10.0.0.1", NULL);
        exchange_on(&lab);
        assert_serves(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* What a secondary says that it does not have may be there. */
static void test_a_secondary_is_not_believed(void **state)
{
        struct plan_options options = careful(true);
        struct lab lab;

        set_up(&lab, &options);
        lab.plan->forwarded = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        exchange(&lab, next(&lab, PLAN_PROBE, 1));
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        exchange_on(&lab);
        assert_serves(&lab, FOO, "10.0.0.1");
        tear_down(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_batches),
                cmocka_unit_test(test_guilty_one_is_found),
                cmocka_unit_test(test_all_rejected_is_the_server),
                cmocka_unit_test(test_back_off),
                cmocka_unit_test(test_flush_ends_back_offs),
                cmocka_unit_test(test_unreachable_and_stopped),
                cmocka_unit_test(test_cancelled_waiter_is_not_told),
                cmocka_unit_test(test_waiter_cancelled_by_another),
                cmocka_unit_test(test_wished_away_before_it_was_sent),
                cmocka_unit_test(test_republish),
                cmocka_unit_test(test_republish_in_flight),
                cmocka_unit_test(test_republish_of_what_is_given_up),
                cmocka_unit_test(test_a_twin_is_seen_before_anything_is_sent),
                cmocka_unit_test(test_what_came_after_the_look_is_ours),
                cmocka_unit_test(test_looked_at_again_after_a_refusal),
                cmocka_unit_test(test_each_type_is_looked_at),
                cmocka_unit_test(test_looked_at_again_after_it_was_gone),
                cmocka_unit_test(test_a_secondary_is_not_believed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
