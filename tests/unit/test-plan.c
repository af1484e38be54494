/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The publication plan: each row of the table over part_need(), as one reads it. */

#include "plan-lab.h"

#define FOO "foo.d.example."
#define BAR "bar.d.example."
#define PTR "1.0.0.10.in-addr.arpa."

/* --- rows come first, and go last --- */

static void test_row_is_written_before_sending(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        lab.hold_rows = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        assert_int_equal(lab.n_puts, 1);
        nothing_to_send(&lab);
        wait_at(&lab, FOO, &end);

        lab.hold_rows = false;
        lab_tell(&lab);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_serves(&lab, FOO, "10.0.0.1");
        /* From now on the row says that it is there, for certain. */
        assert_int_equal(lab.n_puts, 2);
        assert_int_equal(n_rows(&lab), 1);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_row_cannot_be_written(void **state)
{
        struct end end;
        struct lab lab;
        usec_t deadline;

        set_up(&lab, &plain);
        lab.hold_rows = lab.break_rows = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        lab.hold_rows = false;
        lab_tell(&lab);
        assert_true(was_told(&end, WAIT_FAILED));
        assert_non_null(strstr(end.reason, "store"));
        nothing_to_send(&lab);
        assert_non_null(unit_trouble(unit_at(&lab, FOO), lab.now));

        /* Tried again by itself. */
        lab.break_rows = false;
        deadline = plan_deadline(lab.plan);
        assert_true(deadline > lab.now && deadline < lab.now + 10 * USEC_PER_SEC);
        exchange_on(&lab);
        assert_serves(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* A row that only says too much is written again until it stands, and nobody waits for it. */
static void test_row_cannot_be_trimmed(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        lab.break_rows = true;
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_int_equal(lab.plan->n_units, 1);
        lab.break_rows = false;
        exchange_on(&lab);
        is_quiet(&lab);

        want(&lab, FOO, "10.0.0.1", NULL);
        lab.break_rows = true;
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_int_equal(lab.plan->n_units, 1);
        lab.break_rows = false;
        exchange_on(&lab);
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_out_of_memory_at_the_row(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        lab.no_memory = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        nothing_to_send(&lab);
        assert_true(plan_deadline(lab.plan) > lab.now);
        lab.no_memory = false;
        exchange_on(&lab);
        assert_serves(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* --- wishes --- */

static void test_nothing_wanted_nothing_done(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, NULL);
        is_quiet(&lab);
        assert_int_equal(lab.n_puts, 0);
        /* Wished away before it was sent: the row goes again. */
        lab.hold_rows = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        want(&lab, FOO, NULL, NULL);
        lab.hold_rows = false;
        lab_tell(&lab);
        is_quiet(&lab);
        assert_int_equal(n_rows(&lab), 0);
        tear_down(&lab);
}

static void test_change_and_removal(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1 fd00::1");
        assert_int_equal(n_rows(&lab), 2);
        want(&lab, FOO, "10.0.0.1 fd00::1", "10.0.0.2 10.0.0.3 fd00::1");
        wait_at(&lab, FOO, &end);
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_serves(&lab, FOO, "10.0.0.2 10.0.0.3 fd00::1");
        is_quiet(&lab);

        want(&lab, FOO, "10.0.0.2 10.0.0.3 fd00::1", NULL);
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_serves(&lab, FOO, NULL);
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_wish_changes_in_flight(void **state)
{
        struct end first, second;
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &first);
        batch = next(&lab, PLAN_FIRST, 1);
        put_out(&lab, batch);
        want(&lab, FOO, "10.0.0.1", "10.0.0.2");
        wait_at(&lab, FOO, &second);
        finish(&lab, batch, serve_batch(&lab, batch));
        /* It was so when the first one was told; the second wants more. */
        assert_true(was_told(&first, WAIT_PUBLISHED));
        assert_false(second.ended);
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_true(was_told(&second, WAIT_PUBLISHED));
        is_quiet(&lab);

        /* Back to what was there: what is under way is not what is wanted. */
        want(&lab, FOO, "10.0.0.2", "10.0.0.3");
        batch = next(&lab, PLAN_REPLACE, 1);
        put_out(&lab, batch);
        want(&lab, FOO, "10.0.0.3", "10.0.0.2");
        assert_false(unit_is_done(unit_at(&lab, FOO)));
        finish(&lab, batch, serve_batch(&lab, batch));
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_serves(&lab, FOO, "10.0.0.2");
        is_quiet(&lab);
        tear_down(&lab);
}

/* --- doubt --- */

static void test_lost_and_found(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        lose(&lab, next(&lab, PLAN_FIRST, 1), true);
        assert_true(was_told(&end, WAIT_FAILED));
        wait_at(&lab, FOO, &end);
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        /* What may still come makes what is there already. */
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_int_equal(lab.n_refusals, 0);
        /* The row stays until nothing can come any more. */
        nothing_to_send(&lab);
        assert_int_equal(lab.plan->n_settling, 1);
        assert_int_equal(plan_pending(lab.plan), 0);
        assert_true(plan_deadline(lab.plan) >= lab.now + SETTLES_USEC);
        lab.now += SETTLES_USEC;
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        assert_int_equal(n_rows(&lab), 1);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_lost_and_not_applied(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        lose(&lab, next(&lab, PLAN_FIRST, 1), false);
        wait_at(&lab, FOO, &end);
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        exchange(&lab, next(&lab, PLAN_QUERY, 1));
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_serves(&lab, FOO, "10.0.0.1");
        exchange_on(&lab);
        is_quiet(&lab);
        tear_down(&lab);
}

/* No NOERROR while something on its way can undo it; and it is undone by nobody else. */
static void test_not_certain_yet(void **state)
{
        struct end end;
        struct plan_batch *lost;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        lost = next(&lab, PLAN_FIRST, 1);
        put_out(&lab, lost);
        finish(&lab, lost, PLAN_LOST);
        plan_flush(lab.plan);
        want(&lab, FOO, "10.0.0.1", NULL);
        wait_at(&lab, FOO, &end);
        (void) exchange_all(&lab); /* it is not there */
        assert_false(end.ended);
        assert_true(unit_is_uncertain(unit_at(&lab, FOO)));
        assert_int_equal(n_rows(&lab), 1);
        /* Applied late. */
        serve(&lab, FOO, "10.0.0.1");
        lab.now += SETTLES_USEC;
        (void) exchange_all(&lab); /* it is found, and taken away */
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_serves(&lab, FOO, NULL);
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

/* The same behind a start: a row of several values counts as sent at the start. */
static void test_start_in_doubt(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        lose(&lab, next(&lab, PLAN_FIRST, 1), false);
        start_again(&lab, FOO, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        (void) exchange_all(&lab); /* it is published now */
        assert_serves(&lab, FOO, "10.0.0.1");
        assert_false(end.ended);
        lab.now += SETTLES_USEC;
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        /* By the server's clock only what was answered first counts: it was too early. */
        exchange_on(&lab);
        assert_true(was_told(&end, WAIT_PUBLISHED));
        is_quiet(&lab);

        /* One value: no doubt. */
        start_again(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        /* Nothing wanted of it any more. */
        start_again(&lab, NULL, NULL);
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        is_quiet(&lab);
        assert_int_equal(n_rows(&lab), 0);
        tear_down(&lab);
}

static void test_barrier_must_be_late_enough(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        lose(&lab, next(&lab, PLAN_FIRST, 1), true);
        (void) exchange_all(&lab); /* found */
        lab.now += SETTLES_USEC;
        /* The clock was set back meanwhile: T2 - f2 is not behind T1 + f1. */
        batch = next(&lab, PLAN_VERIFY, 1);
        plan_sent(batch, lab.now / USEC_PER_SEC - 40, FUDGE_SEC, 1, lab.now);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_int_equal(lab.plan->n_units, 1);
        assert_true(plan_deadline(lab.plan) > lab.now);
        /* Another address of the server says nothing about this one's queue. */
        lab.now = plan_deadline(lab.plan);
        batch = next(&lab, PLAN_VERIFY, 1);
        plan_sent(batch, lab.now / USEC_PER_SEC, FUDGE_SEC, 2, lab.now);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_int_equal(lab.plan->n_units, 1);
        /* Whatever it answers: a failed prerequisite is a barrier, too. */
        serve(&lab, FOO, NULL);
        lab.now = plan_deadline(lab.plan);
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        assert_int_equal(unit_at(&lab, FOO)->parts->n_doubts, 0);
        exchange_on(&lab);
        assert_serves(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_never_sent_is_not_in_doubt(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_UNSENT);
        assert_int_equal(unit_at(&lab, FOO)->parts->n_doubts, 0);
        plan_flush(lab.plan);
        /* On a new connection, at once. */
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_AGAIN);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        is_quiet(&lab);
        tear_down(&lab);
}

/* The connection ended behind other answers: the same swap again, at once, and the doubt stays. */
static void test_again(void **state)
{
        struct plan_batch *batch;
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        batch = next(&lab, PLAN_FIRST, 1);
        put_out(&lab, batch);
        finish(&lab, batch, PLAN_AGAIN);
        assert_false(end.ended);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_int_equal(lab.plan->n_settling, 1);
        exchange_on(&lab);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_late_is_sent_again(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        for (unsigned i = 0; i < 2; i++) {
                batch = next(&lab, PLAN_FIRST, 1);
                put_out(&lab, batch);
                finish(&lab, batch, PLAN_LATE);
                assert_int_equal(unit_at(&lab, FOO)->parts->n_doubts, 0);
        }
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_denied_and_failed_are_in_doubt(void **state)
{
        static const enum plan_outcome outcomes[] = { PLAN_DENIED, PLAN_FAILED, PLAN_LOST };

        for (unsigned i = 0; i < ELEMENTSOF(outcomes); i++) {
                struct plan_batch *batch;
                struct lab lab;

                set_up(&lab, &plain);
                want(&lab, FOO, NULL, "10.0.0.1");
                batch = next(&lab, PLAN_FIRST, 1);
                put_out(&lab, batch);
                finish(&lab, batch, outcomes[i]);
                assert_int_equal(unit_at(&lab, FOO)->parts->n_doubts, 1);
                assert_int_equal(unit_at(&lab, FOO)->parts->known, VALUE_UNKNOWN);
                exchange_on(&lab);
                assert_serves(&lab, FOO, "10.0.0.1");
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* What may arrive twice is in doubt though it was answered. */
static void test_twin(void **state)
{
        struct plan_batch *batch;
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        batch = next(&lab, PLAN_FIRST, 1);
        batch->twin = true;
        exchange(&lab, batch);
        assert_true(was_told(&end, WAIT_PUBLISHED));
        want(&lab, FOO, "10.0.0.1", NULL);
        wait_at(&lab, FOO, &end);
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_false(end.ended);
        assert_int_equal(n_rows(&lab), 1);
        exchange_on(&lab);
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

/* Answers came through a forwarder: what is answered may come a second time, in the next life as well. */
static void test_forwarder(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        lab.plan->forwarded = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_true(lab.rows[0].flags & UNIT_ROW_FORWARDED);
        exchange_on(&lab);
        is_quiet(&lab);
        assert_int_equal(n_rows(&lab), 1);
        assert_true(lab.rows[0].flags & UNIT_ROW_FORWARDED);

        start_again(&lab, FOO, "10.0.0.1");
        assert_true(lab.plan->forwarded);
        want(&lab, FOO, "10.0.0.1", "10.0.0.2");
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        want(&lab, FOO, "10.0.0.2", "10.0.0.1");
        wait_at(&lab, FOO, &end);
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_serves(&lab, FOO, "10.0.0.1");
        assert_false(end.ended);
        exchange_on(&lab);
        assert_true(was_told(&end, WAIT_PUBLISHED));
        is_quiet(&lab);
        tear_down(&lab);
}

static void want_many(struct lab *lab, unsigned n)
{
        char owner[32];

        for (unsigned i = 0; i < n; i++) {
                snprintf(owner, sizeof(owner), "n%u.d.example.", i);
                want(lab, owner, NULL, "10.0.0.1");
        }
}

/* A datagram that was lost was perhaps too large: smaller ones, then the one alone by TCP, by turns. */
static void test_lost_datagrams(void **state)
{
        struct plan_options options = plain;
        struct plan_batch *batch;
        struct lab lab;

        options.datagrams = true;
        options.max_in_flight = 1;
        set_up(&lab, &options);
        want_many(&lab, 8);
        lose(&lab, next(&lab, PLAN_FIRST, 8), false);
        for (unsigned n = 4; n >= 1; n /= 2) {
                /* What is lost is looked for, in messages that are as small. */
                batch = take(&lab);
                while (batch->action != PLAN_VERIFY || batch->n_units > n) {
                        assert_true(batch->n_units <= n);
                        exchange(&lab, batch);
                        batch = take(&lab);
                }
                assert_false(batch->stream);
                lose(&lab, batch, false);
        }
        batch = next(&lab, PLAN_VERIFY, 1);
        assert_true(batch->stream);
        lose(&lab, batch, false);
        batch = next(&lab, PLAN_VERIFY, 1);
        assert_false(batch->stream);
        exchange(&lab, batch);
        exchange_on(&lab);
        is_quiet(&lab);
        for (unsigned i = 0; i < 8; i++) {
                char owner[32];

                snprintf(owner, sizeof(owner), "n%u.d.example.", i);
                assert_serves(&lab, owner, "10.0.0.1");
        }
        tear_down(&lab);
}

/* What does not fit into a message goes back as if it had never been taken, and comes next. */
static void test_trim(void **state)
{
        struct plan_batch *first, *second;
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want_many(&lab, 8);
        wait_at(&lab, "n7.d.example.", &end);
        first = next(&lab, PLAN_FIRST, 8);
        plan_trim(first, 3);
        assert_int_equal(first->n_units, 3);
        second = next(&lab, PLAN_FIRST, 5);
        assert_ptr_equal(second->units[0], unit_at(&lab, "n3.d.example."));
        assert_ptr_equal(second->units[4], unit_at(&lab, "n7.d.example."));
        plan_trim(second, 1);
        exchange(&lab, first);
        exchange(&lab, second);
        assert_false(end.ended);
        exchange(&lab, next(&lab, PLAN_FIRST, 4));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        is_quiet(&lab);
        tear_down(&lab);
}

/* A look that does not fit is made smaller as well: what waits behind it has its turn. */
static void test_trim_a_look(void **state)
{
        struct plan_batch *batch;
        struct lab lab;
        unsigned n = 0;

        set_up(&lab, &plain);
        want_many(&lab, 8);
        lose(&lab, next(&lab, PLAN_FIRST, 8), true);
        want(&lab, FOO, NULL, "10.0.0.9");
        for (; (batch = take(&lab)); n++) {
                if (batch->n_units > 2)
                        plan_trim(batch, 2);
                exchange(&lab, batch);
        }
        assert_true(n >= 5);
        assert_serves(&lab, FOO, "10.0.0.9");
        exchange_on(&lab);
        is_quiet(&lab);
        tear_down(&lab);
}

/* Four values are listed; for a fifth the others are settled first. */
static void test_list_is_full(void **state)
{
        static const char *const wishes[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4" };
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, wishes[0]);
        lose(&lab, next(&lab, PLAN_FIRST, 1), true);
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        for (unsigned i = 1; i < 3; i++) {
                want(&lab, FOO, wishes[i - 1], wishes[i]);
                lose(&lab, next(&lab, PLAN_REPLACE, 1), true);
                exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        }
        assert_int_equal(unit_at(&lab, FOO)->parts->n_values, PART_VALUES_MAX);
        want(&lab, FOO, wishes[2], wishes[3]);
        nothing_to_send(&lab);
        lab.now += SETTLES_USEC;
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_serves(&lab, FOO, wishes[3]);
        is_quiet(&lab);
        tear_down(&lab);
}

/* Values that were listed and never sent take nobody's place. */
static void test_list_of_what_was_never_sent(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1");
        lab.plan->stopped = true;
        want(&lab, FOO, "10.0.0.1", "10.0.0.2");
        want(&lab, FOO, "10.0.0.2", "10.0.0.3");
        want(&lab, FOO, "10.0.0.3", "10.0.0.4");
        want(&lab, FOO, "10.0.0.4", "10.0.0.5");
        want(&lab, FOO, "10.0.0.5", "10.0.0.6");
        lab.plan->stopped = false;
        exchange(&lab, next(&lab, PLAN_REPLACE, 1));
        assert_serves(&lab, FOO, "10.0.0.6");
        is_quiet(&lab);
        tear_down(&lab);
}

/* A wider fudge than the row says is not signed with before the row says it. */
static void test_fudge_is_in_the_row(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, FOO, NULL, "10.0.0.1");
        lab.plan->fudge_sec = 300;
        lab.n_puts = 0;
        batch = next(&lab, PLAN_FIRST, 1);
        assert_int_equal(lab.n_puts, 1);
        assert_int_equal(batch->fudge_sec, 300);
        assert_int_equal(lab.rows[0].flags >> UNIT_ROW_FUDGE_SHIFT, 300);
        exchange(&lab, batch);
        is_quiet(&lab);
        tear_down(&lab);
}

/* Without signatures nothing grows too old: a day. */
static void test_unbounded(void **state)
{
        struct plan_options options = plain;
        struct lab lab;

        options.bounded = false;
        set_up(&lab, &options);
        want(&lab, FOO, NULL, "10.0.0.1");
        lose(&lab, next(&lab, PLAN_FIRST, 1), true);
        (void) exchange_all(&lab); /* found */
        lab.now += 23 * USEC_PER_HOUR;
        nothing_to_send(&lab);
        lab.now += 2 * USEC_PER_HOUR;
        exchange_on(&lab);
        is_quiet(&lab);
        tear_down(&lab);
}

/* --- what is there that is not ours --- */

static void test_foreign_data_refuses(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        serve(&lab, FOO, "192.0.2.1");
        want(&lab, FOO, NULL, "10.0.0.1 fd00::1");
        wait_at(&lab, FOO, &end);
        (void) exchange_all(&lab); /* refused */
        assert_true(was_told(&end, WAIT_REFUSED));
        assert_int_equal(lab.n_refusals, 1);
        assert_int_equal(lab.refused_type, 0);
        assert_int_equal(n_rows(&lab), 0);
        assert_int_equal(lab.plan->n_refused, 1);
        assert_serves(&lab, FOO, "192.0.2.1");
        /* Left alone, until something else is wanted; or until somebody asks. */
        nothing_to_send(&lab);
        plan_flush(lab.plan);
        (void) exchange_all(&lab); /* refused again */
        assert_int_equal(lab.n_refusals, 2);
        serve(&lab, FOO, NULL);
        plan_flush(lab.plan);
        (void) exchange_all(&lab); /* not any more */
        assert_serves(&lab, FOO, "10.0.0.1 fd00::1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* Even what looks exactly like ours, as long as ours was never there. */
static void test_foreign_twin_refuses(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        serve(&lab, FOO, "10.0.0.1");
        want(&lab, FOO, NULL, "10.0.0.1");
        (void) exchange_all(&lab); /* refused */
        assert_int_equal(lab.n_refusals, 1);
        want(&lab, FOO, "10.0.0.1", NULL);
        (void) exchange_all(&lab); /* nothing */
        assert_serves(&lab, FOO, "10.0.0.1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* A part of what may be there is not what may be there. */
static void test_subset_is_not_ours(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        serve(&lab, FOO, "10.0.0.1");
        want(&lab, FOO, NULL, "10.0.0.1 10.0.0.2");
        lose(&lab, next(&lab, PLAN_FIRST, 1), true);
        (void) exchange_all(&lab); /* refused */
        assert_int_equal(lab.n_refusals, 1);
        want(&lab, FOO, "10.0.0.1 10.0.0.2", NULL);
        /* The row stays while the claim is in doubt, and the administrator's own stays for ever. */
        assert_int_equal(n_rows(&lab), 1);
        exchange_on(&lab);
        assert_serves(&lab, FOO, "10.0.0.1");
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_type_added_later_is_refused_alone(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1");
        serve(&lab, FOO, "10.0.0.1 fd00::1");
        want(&lab, FOO, "10.0.0.1", "10.0.0.2 fd00::2");
        wait_at(&lab, FOO, &end);
        (void) exchange_all(&lab); /* the addresses of one kind */
        assert_true(was_told(&end, WAIT_REFUSED));
        assert_int_equal(lab.n_refusals, 1);
        assert_int_equal(lab.refused_type, DNS_TYPE_AAAA);
        assert_serves(&lab, FOO, "10.0.0.2 fd00::1");
        want(&lab, FOO, "10.0.0.2 fd00::2", "10.0.0.2");
        (void) exchange_all(&lab); /* nothing */
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_alias_refuses(void **state)
{
        struct dns_name name = name_of(FOO);
        struct lab lab;

        set_up(&lab, &plain);
        content_of(&lab, &name)->alias = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        (void) exchange_all(&lab); /* refused */
        assert_int_equal(lab.n_refusals, 1);
        assert_non_null(strstr(lab.refused_reason, "CNAME"));
        tear_down(&lab);
}

/* An answer that is made up of a wildcard is no data. */
static void test_wildcard(void **state)
{
        struct dns_name name = name_of(FOO);
        struct lab lab;

        set_up(&lab, &plain);
        serve(&lab, FOO, "192.0.2.99");
        content_of(&lab, &name)->made_up = true;
        want(&lab, FOO, NULL, "10.0.0.1");
        lose(&lab, next(&lab, PLAN_FIRST, 1), false);
        for (unsigned i = 0; i < 20 && unit_at(&lab, FOO)->parts->known != 0; i++)
                exchange(&lab, plan_next(lab.plan, lab.now));
        assert_int_equal(lab.n_refusals, 0);
        content_of(&lab, &name)->made_up = false;
        serve(&lab, FOO, NULL);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_serves(&lab, FOO, "10.0.0.1");
        tear_down(&lab);
}

/* What was accepted once and is something else now: repaired, never a refusal. */
static void test_drift(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1");
        serve(&lab, FOO, "10.0.0.7");
        want(&lab, FOO, "10.0.0.1", "10.0.0.2");
        (void) exchange_all(&lab); /* looked at, and repaired */
        assert_int_equal(lab.n_refusals, 0);
        assert_int_equal(lab.n_drifts, 1);
        assert_serves(&lab, FOO, "10.0.0.2");
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_reconciliation(void **state)
{
        struct dns_name foo = name_of(FOO), bar = name_of(BAR);
        struct rrset one = set_of("10.0.0.1"), two = set_of("10.0.0.2");
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, FOO, "10.0.0.1");
        published(&lab, BAR, "10.0.0.2");
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(plan_check(lab.plan, FORWARD, &foo, &one), 0);
                assert_int_equal(plan_check(lab.plan, FORWARD, &bar, &two), 0);
                exchange(&lab, next(&lab, PLAN_VERIFY, 2));
                (void) exchange_all(&lab); /* repaired, the second time */
                assert_int_equal(lab.n_drifts, i);
                assert_serves(&lab, FOO, "10.0.0.1");
                is_quiet(&lab);
                serve(&lab, FOO, i == 0 ? NULL : "10.0.0.1");
        }
        rrset_clear(&one);
        rrset_clear(&two);
        tear_down(&lab);
}

static void test_unprotected(void **state)
{
        struct plan_options options = plain;
        struct lab lab;

        options.protect_foreign = false;
        set_up(&lab, &options);
        serve(&lab, FOO, "192.0.2.1 fd00::9");
        want(&lab, FOO, NULL, "10.0.0.1");
        exchange_on(&lab);
        assert_int_equal(lab.n_refusals, 0);
        assert_serves(&lab, FOO, "10.0.0.1 fd00::9");
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_cut_refuses(void **state)
{
        struct plan_options options = plain;
        struct plan_batch *batch;
        struct lab lab;

        options.probe = true;
        set_up(&lab, &options);
        want(&lab, FOO, NULL, "10.0.0.1");
        assert_int_equal(lab.n_puts, 0);
        batch = next(&lab, PLAN_PROBE, 1);
        plan_probed(batch, 0, "it is a zone of its own", false, lab.now);
        plan_finish_rest(batch, PLAN_ACKNOWLEDGED, NULL, lab.now);
        assert_int_equal(lab.n_refusals, 1);
        assert_string_equal(lab.refused_reason, "it is a zone of its own");
        assert_int_equal(n_rows(&lab), 0);
        plan_flush(lab.plan);
        exchange(&lab, next(&lab, PLAN_PROBE, 1));
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        is_quiet(&lab);
        tear_down(&lab);
}

/* --- read back --- */

static void test_read_back(void **state)
{
        struct plan_options options = plain;
        struct end end;
        struct lab lab;

        options.read_back = true;
        set_up(&lab, &options);
        want(&lab, FOO, NULL, "10.0.0.1");
        wait_at(&lab, FOO, &end);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        assert_false(end.ended);
        exchange(&lab, next(&lab, PLAN_VERIFY, 1));
        assert_true(was_told(&end, WAIT_PUBLISHED));
        is_quiet(&lab);

        /* It said that it did, and did not. */
        want(&lab, BAR, NULL, "10.0.0.1");
        wait_at(&lab, BAR, &end);
        exchange(&lab, next(&lab, PLAN_FIRST, 1));
        serve(&lab, BAR, NULL);
        (void) exchange_all(&lab); /* looked at */
        assert_true(was_told(&end, WAIT_FAILED));
        assert_non_null(strstr(end.reason, "does not have them"));
        exchange_on(&lab);
        assert_serves(&lab, BAR, "10.0.0.1");
        is_quiet(&lab);
        tear_down(&lab);
}

/* --- shared RRs --- */

static void test_pointers(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        serve(&lab, PTR, "printer.example.");
        want(&lab, PTR, NULL, "one.d.example.");
        (void) exchange_all(&lab); /* beside the other */
        assert_serves(&lab, PTR, "one.d.example. printer.example.");
        want(&lab, PTR, "one.d.example.", "two.d.example.");
        (void) exchange_all(&lab); /* one for the other */
        assert_serves(&lab, PTR, "two.d.example. printer.example.");
        want(&lab, PTR, "two.d.example.", NULL);
        (void) exchange_all(&lab); /* gone */
        assert_serves(&lab, PTR, "printer.example.");
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

/* One like ours that was there before ours survives ours; nobody waits for it. */
static void test_identical_foreign_pointer(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        serve(&lab, PTR, "one.d.example.");
        want(&lab, PTR, NULL, "one.d.example.");
        wait_at(&lab, PTR, &end);
        (void) exchange_all(&lab); /* not granted */
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_int_equal(lab.n_refusals, 0);
        want(&lab, PTR, "one.d.example.", NULL);
        (void) exchange_all(&lab); /* nothing */
        assert_serves(&lab, PTR, "one.d.example.");
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_lost_pointer(void **state)
{
        struct end end;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, PTR, NULL, "one.d.example.");
        lose(&lab, next(&lab, PLAN_FIRST, 1), false);
        want(&lab, PTR, "one.d.example.", NULL);
        wait_at(&lab, PTR, &end);
        (void) exchange_all(&lab); /* it is not there now */
        assert_false(end.ended);
        serve(&lab, PTR, "one.d.example.");
        exchange_on(&lab);
        assert_true(was_told(&end, WAIT_PUBLISHED));
        assert_serves(&lab, PTR, NULL);
        is_quiet(&lab);
        tear_down(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_row_is_written_before_sending),
                cmocka_unit_test(test_row_cannot_be_written),
                cmocka_unit_test(test_row_cannot_be_trimmed),
                cmocka_unit_test(test_out_of_memory_at_the_row),
                cmocka_unit_test(test_nothing_wanted_nothing_done),
                cmocka_unit_test(test_change_and_removal),
                cmocka_unit_test(test_wish_changes_in_flight),
                cmocka_unit_test(test_lost_and_found),
                cmocka_unit_test(test_lost_and_not_applied),
                cmocka_unit_test(test_not_certain_yet),
                cmocka_unit_test(test_start_in_doubt),
                cmocka_unit_test(test_barrier_must_be_late_enough),
                cmocka_unit_test(test_never_sent_is_not_in_doubt),
                cmocka_unit_test(test_again),
                cmocka_unit_test(test_late_is_sent_again),
                cmocka_unit_test(test_denied_and_failed_are_in_doubt),
                cmocka_unit_test(test_twin),
                cmocka_unit_test(test_forwarder),
                cmocka_unit_test(test_lost_datagrams),
                cmocka_unit_test(test_trim),
                cmocka_unit_test(test_trim_a_look),
                cmocka_unit_test(test_list_is_full),
                cmocka_unit_test(test_list_of_what_was_never_sent),
                cmocka_unit_test(test_fudge_is_in_the_row),
                cmocka_unit_test(test_unbounded),
                cmocka_unit_test(test_foreign_data_refuses),
                cmocka_unit_test(test_foreign_twin_refuses),
                cmocka_unit_test(test_subset_is_not_ours),
                cmocka_unit_test(test_type_added_later_is_refused_alone),
                cmocka_unit_test(test_alias_refuses),
                cmocka_unit_test(test_wildcard),
                cmocka_unit_test(test_drift),
                cmocka_unit_test(test_reconciliation),
                cmocka_unit_test(test_unprotected),
                cmocka_unit_test(test_cut_refuses),
                cmocka_unit_test(test_read_back),
                cmocka_unit_test(test_pointers),
                cmocka_unit_test(test_identical_foreign_pointer),
                cmocka_unit_test(test_lost_pointer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
