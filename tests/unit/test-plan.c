/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The publication plan with a fake clock, a store that writes when it is told to, and a server whose answers
 * are in the script of each test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "registry/plan.h"

enum { FORWARD, REVERSE };

struct lab {
        struct plan *plan;
        usec_t now;
        unsigned n_puts, n_waiting_puts, n_deletes, n_drifts, n_lane_changes, n_refusals;
        struct dns_name unwritten; /* owner of the row write that waits; length 0: none */
        enum unit_kind unwritten_kind;
        enum row_state row_of_put;
        bool hold_rows; /* row writes are not completed at once */
        char refused_reason[128];
};

struct waiter {
        struct plan_waiter waiter;
        struct waiter *twin; /* goes when this one is told */
        bool ended;
        enum wait_outcome outcome;
        char reason[128];
};

static void on_put(void *userdata, struct unit *unit, bool wait)
{
        struct lab *lab = userdata;

        lab->n_puts++;
        lab->row_of_put = unit->row;
        assert_false(rrset_is_empty(&unit->row_set));
        if (!wait)
                return;
        lab->n_waiting_puts++;
        lab->unwritten = unit_owner(unit);
        lab->unwritten_kind = unit->kind;
}

static void on_delete(void *userdata, const struct unit *unit)
{
        ((struct lab *) userdata)->n_deletes++;
}

static void on_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                      const char *reason)
{
        struct waiter *end = container_of(waiter, struct waiter, waiter);

        assert_false(end->ended);
        assert_null(waiter->unit);
        end->ended = true;
        if (end->twin) {
                plan_waiter_cancel(&end->twin->waiter);
                memset(end->twin, 0xaa, sizeof(*end->twin));
        }
        end->outcome = outcome;
        snprintf(end->reason, sizeof(end->reason), "%s", reason ?: "");
}

static void on_refused(void *userdata, struct unit *unit, const char *reason)
{
        struct lab *lab = userdata;

        lab->n_refusals++;
        snprintf(lab->refused_reason, sizeof(lab->refused_reason), "%s", reason);
}

static void on_drifted(void *userdata, const struct unit *unit)
{
        ((struct lab *) userdata)->n_drifts++;
}

static void on_lane_changed(void *userdata, unsigned lane)
{
        ((struct lab *) userdata)->n_lane_changes++;
}

static const struct plan_ops ops = {
        .put_row = on_put,
        .delete_row = on_delete,
        .waited = on_waited,
        .refused = on_refused,
        .drifted = on_drifted,
        .lane_changed = on_lane_changed,
};

static struct dns_name name_of(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

static void set_up(struct lab *lab, const struct plan_options *options)
{
        struct dns_name zone = name_of("d.example."), reverse = name_of("10.in-addr.arpa.");

        *lab = (struct lab){ .now = 1000 * USEC_PER_SEC };
        lab->plan = plan_new(options, &ops, lab, 42);
        assert_non_null(lab->plan);
        assert_int_equal(plan_add_lane(lab->plan, UNIT_FORWARD, &zone), FORWARD);
        assert_int_equal(plan_add_lane(lab->plan, UNIT_PTR, &reverse), REVERSE);
}

static const struct plan_options plain = {
        .protect_foreign = true,
        .verify = true,
        .max_units = 8,
        .max_bytes = 16000,
        .max_in_flight = 2,
};
static const struct plan_options reading_back = {
        .protect_foreign = true,
        .verify = true,
        .read_back = true,
        .max_units = 8,
        .max_bytes = 16000,
        .max_in_flight = 2,
};

static struct rrset addresses(const char *first, const char *second)
{
        const char *texts[] = { first, second };
        struct rrset set = {};

        for (unsigned i = 0; i < 2; i++) {
                struct address address;

                if (!texts[i])
                        continue;
                assert_int_equal(address_parse(texts[i], &address), 0);
                assert_int_equal(rrset_add_address(&set, &address), 0);
        }
        return set;
}

static struct rrset pointers(const char *first, const char *second)
{
        const char *texts[] = { first, second };
        struct rrset set = {};

        for (unsigned i = 0; i < 2; i++) {
                struct dns_name name;

                if (!texts[i])
                        continue;
                name = name_of(texts[i]);
                assert_int_equal(rrset_add_name(&set, DNS_TYPE_PTR, &name), 0);
        }
        return set;
}

static void settle_rows(struct lab *lab, bool ok)
{
        while (lab->unwritten.length > 0) {
                struct dns_name owner = lab->unwritten;

                lab->unwritten.length = 0;
                plan_row_written(lab->plan, lab->unwritten_kind, &owner, ok, lab->now);
                if (!ok)
                        break;
        }
}

/* What is wanted at a name, from what was wanted before; NULL: nothing. */
static void want(struct lab *lab, const char *owner, const char *before, const char *wanted)
{
        struct dns_name name = name_of(owner);
        struct rrset old = addresses(before, NULL), new = addresses(wanted, NULL);

        assert_int_equal(plan_change(lab->plan, UNIT_FORWARD, FORWARD, &name, &old, &new), 0);
        rrset_clear(&old);
        rrset_clear(&new);
        if (!lab->hold_rows)
                settle_rows(lab, true);
}

static void want_ptr(struct lab *lab, const char *owner, const char *before, const char *wanted)
{
        struct dns_name name = name_of(owner);
        struct rrset old = pointers(before, NULL), new = pointers(wanted, NULL);

        assert_int_equal(plan_change(lab->plan, UNIT_PTR, REVERSE, &name, &old, &new), 0);
        rrset_clear(&old);
        rrset_clear(&new);
        if (!lab->hold_rows)
                settle_rows(lab, true);
}

static struct unit *unit_at(const struct lab *lab, const char *owner)
{
        struct dns_name name = name_of(owner);

        return plan_find(lab->plan, strstr(owner, "arpa") ? UNIT_PTR : UNIT_FORWARD, &name);
}

static void wait_at(struct lab *lab, const char *owner, struct waiter *waiter)
{
        *waiter = (struct waiter){};
        assert_non_null(unit_at(lab, owner));
        plan_wait(unit_at(lab, owner), &waiter->waiter);
}

static struct plan_batch *next(struct lab *lab, enum plan_action action, unsigned n_units)
{
        struct plan_batch *batch = plan_next(lab->plan, lab->now);

        assert_non_null(batch);
        assert_int_equal(batch->action, action);
        assert_int_equal(batch->n_units, n_units);
        return batch;
}

static void finish(struct lab *lab, struct plan_batch *batch, enum plan_outcome outcome)
{
        plan_finish(batch, outcome, outcome == PLAN_ACKNOWLEDGED ? NULL : "because", lab->now);
        settle_rows(lab, true);
}

static void answer(struct lab *lab, struct plan_batch *batch, struct rrset found, bool foreign)
{
        assert_int_equal(batch->n_units, 1);
        plan_answer(batch, 0, &found, foreign, lab->now);
        plan_finish_rest(batch, PLAN_ACKNOWLEDGED, NULL, lab->now);
        rrset_clear(&found);
        settle_rows(lab, true);
}

static void assert_sends(const struct unit *unit, const char *first, const char *second)
{
        struct rrset set = addresses(first, second);

        assert_true(rrset_equal(&unit->sending, &set));
        rrset_clear(&set);
}

static void nothing_to_send(struct lab *lab)
{
        assert_null(plan_next(lab->plan, lab->now));
}

static void is_quiet(struct lab *lab)
{
        assert_int_equal(lab->plan->n_units, 0);
        assert_int_equal(lab->plan->n_in_flight, 0);
        assert_int_equal(plan_deadline(lab->plan), USEC_INFINITY);
        nothing_to_send(lab);
}

/* A name that was published, by a plan that forgot it since. */
static void published(struct lab *lab, const char *owner, const char *address)
{
        want(lab, owner, NULL, address);
        finish(lab, next(lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        is_quiet(lab);
        lab->n_puts = lab->n_waiting_puts = 0;
}

static void tear_down(struct lab *lab)
{
        lab->plan = plan_free(lab->plan);
}

static void test_row_is_written_before_sending(void **state)
{
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        lab.hold_rows = true;
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        assert_int_equal(lab.n_waiting_puts, 1);
        assert_int_equal(lab.row_of_put, ROW_DOUBTFUL);
        nothing_to_send(&lab);
        wait_at(&lab, "foo.d.example.", &waiter);

        settle_rows(&lab, true);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        /* Known to be ours from now on, which nobody has to wait for. */
        assert_int_equal(lab.row_of_put, ROW_OURS);
        assert_int_equal(lab.n_waiting_puts, 1);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_row_cannot_be_written(void **state)
{
        struct waiter waiter;
        struct lab lab;
        usec_t deadline;

        set_up(&lab, &plain);
        lab.hold_rows = true;
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        wait_at(&lab, "foo.d.example.", &waiter);
        settle_rows(&lab, false);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_FAILED);
        assert_non_null(strstr(waiter.reason, "store"));
        nothing_to_send(&lab);
        assert_non_null(unit_trouble(unit_at(&lab, "foo.d.example."), lab.now));

        /* Tried again by itself. */
        deadline = plan_deadline(lab.plan);
        assert_true(deadline > lab.now && deadline < lab.now + 10 * USEC_PER_SEC);
        lab.now = deadline;
        nothing_to_send(&lab);
        assert_int_equal(lab.n_waiting_puts, 2);
        settle_rows(&lab, true);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_change_and_removal(void **state)
{
        struct waiter waiter;
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, "foo.d.example.", "10.0.0.1");

        want(&lab, "foo.d.example.", "10.0.0.1", "10.0.0.2");
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], "10.0.0.2", NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* The same again is nothing. */
        want(&lab, "foo.d.example.", "10.0.0.2", "10.0.0.2");
        is_quiet(&lab);

        want(&lab, "foo.d.example.", "10.0.0.2", NULL);
        wait_at(&lab, "foo.d.example.", &waiter);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], NULL, NULL);
        assert_int_equal(lab.n_deletes, 0);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_true(waiter.ended);
        assert_int_equal(lab.n_deletes, 1);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_wished_away_before_it_was_sent(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        want(&lab, "foo.d.example.", "10.0.0.1", NULL);
        assert_int_equal(lab.n_deletes, 1);
        is_quiet(&lab);

        /* While the row is on its way to the disk. */
        lab.hold_rows = true;
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        want(&lab, "foo.d.example.", "10.0.0.1", NULL);
        settle_rows(&lab, true);
        assert_int_equal(lab.n_deletes, 2);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_wish_changes_in_flight(void **state)
{
        struct waiter before, after;
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, "foo.d.example.", "10.0.0.1");
        want(&lab, "foo.d.example.", "10.0.0.1", "10.0.0.2");
        wait_at(&lab, "foo.d.example.", &before);
        batch = next(&lab, PLAN_REPLACE, 1);
        want(&lab, "foo.d.example.", "10.0.0.2", "10.0.0.3");
        wait_at(&lab, "foo.d.example.", &after);
        nothing_to_send(&lab);

        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_true(before.ended && !after.ended);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], "10.0.0.3", NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_true(after.ended);
        assert_int_equal(after.outcome, WAIT_PUBLISHED);
        is_quiet(&lab);

        /* And back again: what is in flight has to be followed by what was there. */
        want(&lab, "foo.d.example.", "10.0.0.3", "10.0.0.4");
        batch = next(&lab, PLAN_REPLACE, 1);
        want(&lab, "foo.d.example.", "10.0.0.4", "10.0.0.3");
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], "10.0.0.3", NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* First publication in flight, and the name goes. */
        want(&lab, "bar.d.example.", NULL, "10.0.0.9");
        batch = next(&lab, PLAN_FIRST, 1);
        want(&lab, "bar.d.example.", "10.0.0.9", NULL);
        wait_at(&lab, "bar.d.example.", &after);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_false(after.ended);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], NULL, NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_true(after.ended);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_foreign_data_refuses(void **state)
{
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        assert_false(waiter.ended);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("192.0.2.1", NULL), false);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_REFUSED);
        assert_int_equal(lab.n_refusals, 1);
        assert_int_equal(lab.n_deletes, 1);
        assert_int_equal(lab.plan->n_refused, 1);
        nothing_to_send(&lab);
        assert_non_null(unit_trouble(unit_at(&lab, "foo.d.example."), lab.now));

        /* What follows from it removes the unit without a message. */
        want(&lab, "foo.d.example.", "10.0.0.1", NULL);
        is_quiet(&lab);
        assert_int_equal(lab.plan->n_refused, 0);

        /* The very same address, never sent by us, is foreign too; so is an alias. */
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        assert_int_equal(lab.n_refusals, 2);
        want(&lab, "foo.d.example.", "10.0.0.1", NULL);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), true);
        assert_int_equal(lab.n_refusals, 3);
        assert_non_null(strstr(lab.refused_reason, "CNAME"));
        tear_down(&lab);
}

static void test_refusal_of_what_is_wanted_no_more(void **state)
{
        struct plan_batch *batch;
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        batch = next(&lab, PLAN_FIRST, 1);
        want(&lab, "foo.d.example.", "10.0.0.1", NULL);
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, batch, PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("192.0.2.1", NULL), false);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        assert_int_equal(lab.n_refusals, 0);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_unprotected(void **state)
{
        struct plan_options options = plain;
        struct lab lab;

        options.protect_foreign = false;
        set_up(&lab, &options);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        assert_int_equal(lab.row_of_put, ROW_OURS);
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

/* After a lost acknowledgement the owner is never refused its own record, and others' are never taken. */
static void test_lost_acknowledgement(void **state)
{
        struct waiter waiter;
        struct lab lab;

        /* It was applied: verified in one message, and again behind what may come late. */
        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* It was not: sent again. That it arrives late after all is no reason to refuse it. */
        want(&lab, "bar.d.example.", NULL, "10.0.0.2");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), false);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        wait_at(&lab, "bar.d.example.", &waiter);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.2", NULL), false);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        assert_int_equal(lab.n_refusals, 0);

        /* Somebody else's is there. */
        want(&lab, "baz.d.example.", NULL, "10.0.0.3");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.3", "192.0.2.1"), false);
        assert_int_equal(lab.n_refusals, 1);
        tear_down(&lab);
}

/* Lost, then wished otherwise: what was sent is ours, and goes. */
static void test_lost_and_wished_otherwise(void **state)
{
        struct plan_batch *batch;
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        batch = next(&lab, PLAN_FIRST, 1);
        want(&lab, "foo.d.example.", "10.0.0.1", "10.0.0.2");
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, batch, PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        /* Told when the server failed. */
        assert_true(waiter.ended);
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        assert_false(waiter.ended);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], "10.0.0.2", NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_true(waiter.ended);
        /* A while behind the change, whether something came late. */
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* Wished away: asked for, then deleted. */
        want(&lab, "bar.d.example.", NULL, "10.0.0.1");
        batch = next(&lab, PLAN_FIRST, 1);
        want(&lab, "bar.d.example.", "10.0.0.1", NULL);
        finish(&lab, batch, PLAN_LOST);
        assert_int_equal(lab.n_deletes, 0);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], NULL, NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_int_equal(lab.n_deletes, 0);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        assert_int_equal(lab.n_deletes, 1);
        is_quiet(&lab);

        /* Not there, then wished otherwise: either may turn up now, and is ours. */
        want(&lab, "baz.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), false);
        want(&lab, "baz.d.example.", "10.0.0.1", "10.0.0.2");
        batch = next(&lab, PLAN_FIRST, 1);
        assert_sends(batch->units[0], "10.0.0.2", NULL);
        finish(&lab, batch, PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        assert_int_equal(lab.n_refusals, 0);
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_ACKNOWLEDGED);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

/* What is found may be older than what somebody waits for, though that is not the last wish either. */
static void test_old_set_found_ends_no_wait(void **state)
{
        struct plan_batch *batch;
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        batch = next(&lab, PLAN_VERIFY, 1);
        want(&lab, "foo.d.example.", "10.0.0.1", "10.0.0.2");
        wait_at(&lab, "foo.d.example.", &waiter);
        want(&lab, "foo.d.example.", "10.0.0.2", "10.0.0.3");
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_false(waiter.ended);
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_ACKNOWLEDGED);
        assert_true(waiter.ended);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_lost_change_is_sent_again(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, "foo.d.example.", "10.0.0.1");
        want(&lab, "foo.d.example.", "10.0.0.1", "10.0.0.2");
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        /* Back to what it was: it is not known any more what is there. */
        want(&lab, "foo.d.example.", "10.0.0.2", "10.0.0.1");
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_ACKNOWLEDGED);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_unsent_is_not_doubted(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_UNSENT);
        nothing_to_send(&lab);
        want(&lab, "foo.d.example.", "10.0.0.1", NULL);
        assert_int_equal(lab.n_deletes, 1);
        is_quiet(&lab);
        tear_down(&lab);
}

/* An unsigned refusal may be anybody's: what was sent with it may be there. */
static void test_denied_is_doubted(void **state)
{
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_DENIED);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        assert_int_equal(lab.n_refusals, 0);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_server_says_twice_what_cannot_be(void **state)
{
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), false);
        assert_false(waiter.ended);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), false);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_FAILED);
        nothing_to_send(&lab);
        assert_true(plan_deadline(lab.plan) > lab.now);
        tear_down(&lab);
}

static void test_read_back(void **state)
{
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &reading_back);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        want(&lab, "bar.d.example.", NULL, "10.0.0.2");
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 2), PLAN_ACKNOWLEDGED);
        assert_false(waiter.ended);
        assert_false(unit_is_published(unit_at(&lab, "foo.d.example.")));
        finish(&lab, next(&lab, PLAN_VERIFY, 2), PLAN_ACKNOWLEDGED);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        is_quiet(&lab);

        /* Said and not done, of one of the two. What is there of it is ours all the same. */
        want(&lab, "one.d.example.", NULL, "10.0.0.3");
        want(&lab, "two.d.example.", NULL, "10.0.0.4");
        wait_at(&lab, "two.d.example.", &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 2), PLAN_ACKNOWLEDGED);
        finish(&lab, next(&lab, PLAN_VERIFY, 2), PLAN_PREREQUISITE);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), false);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_FAILED);
        assert_non_null(strstr(waiter.reason, "does not have"));
        assert_int_equal(lab.n_refusals, 0);
        assert_int_equal(lab.n_drifts, 0);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_batches(void **state)
{
        char owner[64];
        struct plan_batch *first, *second, *third;
        struct plan_options options = plain;
        struct lab lab;

        set_up(&lab, &options);
        published(&lab, "old.d.example.", "10.1.0.1");
        for (unsigned i = 0; i < 20; i++) {
                snprintf(owner, sizeof(owner), "n%u.d.example.", i);
                want(&lab, owner, NULL, "10.0.0.1");
        }
        want(&lab, "old.d.example.", "10.1.0.1", "10.1.0.2");

        /* What is established goes first, and never together with what is new. */
        first = next(&lab, PLAN_REPLACE, 1);
        second = next(&lab, PLAN_FIRST, 8);
        /* No more than two at a time. */
        nothing_to_send(&lab);
        finish(&lab, first, PLAN_ACKNOWLEDGED);
        third = next(&lab, PLAN_FIRST, 8);
        finish(&lab, second, PLAN_ACKNOWLEDGED);
        finish(&lab, third, PLAN_ACKNOWLEDGED);
        finish(&lab, next(&lab, PLAN_FIRST, 4), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);

        /* By octets: one that is too large for the limit still goes, alone. */
        options.max_bytes = 250;
        set_up(&lab, &options);
        want(&lab, "one.d.example.", NULL, "10.0.0.1");
        want(&lab, "two.d.example.", NULL, "10.0.0.1");
        first = next(&lab, PLAN_FIRST, 1);
        second = next(&lab, PLAN_FIRST, 1);
        assert_ptr_not_equal(first->units[0], second->units[0]);
        finish(&lab, first, PLAN_ACKNOWLEDGED);
        finish(&lab, second, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
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

/* Halved until the guilty one is alone; all others are published meanwhile, and the lane does not back off.
 */
static void test_guilty_one_is_found(void **state)
{
        struct waiter guilty, innocent;
        unsigned n_messages = 0;
        char owner[64];
        struct lab lab;

        set_up(&lab, &plain);
        for (unsigned i = 0; i < 8; i++) {
                snprintf(owner, sizeof(owner), "n%u.d.example.", i);
                want(&lab, owner, NULL, "10.0.0.1");
        }
        wait_at(&lab, "n5.d.example.", &guilty);
        wait_at(&lab, "n4.d.example.", &innocent);
        for (struct plan_batch *batch; (batch = plan_next(lab.plan, lab.now)); n_messages++)
                finish(&lab, batch, contains(batch, "n5.d.example.") ? PLAN_REJECTED : PLAN_ACKNOWLEDGED);
        assert_int_equal(n_messages, 7);
        assert_true(guilty.ended && innocent.ended);
        assert_int_equal(guilty.outcome, WAIT_FAILED);
        assert_int_equal(innocent.outcome, WAIT_PUBLISHED);
        assert_int_equal(lab.plan->n_units, 1);
        assert_int_equal(lab.n_lane_changes, 0);
        assert_null(lab.plan->lanes[FORWARD].error);

        /* However often it is rejected again, nobody else waits for it. */
        for (unsigned i = 0; i < 12; i++) {
                lab.now = plan_deadline(lab.plan);
                finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_REJECTED);
                assert_int_equal(lab.plan->lanes[FORWARD].backoff_until_usec, 0);
        }
        want(&lab, "other.d.example.", NULL, "10.0.0.7");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        assert_int_equal(lab.plan->n_units, 1);
        tear_down(&lab);
}

/* A suspect that changed while its group waited goes its own way. */
static void test_suspect_changes(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "a.d.example.", NULL, "10.0.0.1");
        want(&lab, "b.d.example.", NULL, "10.0.0.2");
        finish(&lab, next(&lab, PLAN_FIRST, 2), PLAN_PREREQUISITE);
        want(&lab, "a.d.example.", "10.0.0.1", NULL);
        batch = next(&lab, PLAN_FIRST, 1);
        assert_true(contains(batch, "b.d.example."));
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_all_rejected_is_the_server(void **state)
{
        unsigned n_messages = 0;
        char owner[64];
        struct lab lab;

        set_up(&lab, &plain);
        for (unsigned i = 0; i < 8; i++) {
                snprintf(owner, sizeof(owner), "n%u.d.example.", i);
                want(&lab, owner, NULL, "10.0.0.1");
        }
        for (struct plan_batch *batch; (batch = plan_next(lab.plan, lab.now)); n_messages++)
                finish(&lab, batch, PLAN_REJECTED);
        assert_in_range(n_messages, 3, 8);
        assert_non_null(lab.plan->lanes[FORWARD].error);
        assert_true(plan_deadline(lab.plan) > lab.now);
        /* The other lane is not concerned. */
        want_ptr(&lab, "1.0.0.10.in-addr.arpa.", NULL, "foo.d.example.");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        tear_down(&lab);
}

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
                plan_free(lab.plan);
                lab.plan = plan_new(&plain, &ops, &lab, seed * 7919);
                {
                        struct dns_name zone = name_of("d.example.");

                        assert_int_equal(plan_add_lane(lab.plan, UNIT_FORWARD, &zone), FORWARD);
                }
                want(&lab, "foo.d.example.", NULL, "10.0.0.1");
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
                }
                finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
                /* It is as if nothing had been. */
                assert_null(lab.plan->lanes[FORWARD].error);
                want(&lab, "foo.d.example.", "10.0.0.1", "10.0.0.2");
                finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_UNSENT);
                assert_true(plan_deadline(lab.plan) - lab.now < 2 * USEC_PER_SEC);
                tear_down(&lab);
        }
        for (unsigned i = 0; i < ELEMENTSOF(shortest); i++)
                assert_true(longest[i] - shortest[i] > longest[i] / 10);
}

static void test_flush_ends_back_offs(void **state)
{
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        wait_at(&lab, "foo.d.example.", &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_UNSENT);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_FAILED);
        assert_string_equal(waiter.reason, "because");
        assert_string_equal(unit_trouble(unit_at(&lab, "foo.d.example."), lab.now), "because");
        assert_int_equal(lab.n_lane_changes, 1);
        nothing_to_send(&lab);
        plan_flush(lab.plan);
        assert_null(unit_trouble(unit_at(&lab, "foo.d.example."), lab.now));
        /* Rejected alone: flushed as well. */
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_REJECTED);
        nothing_to_send(&lab);
        plan_flush(lab.plan);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        assert_int_equal(lab.n_lane_changes, 2);
        is_quiet(&lab);
        tear_down(&lab);
}

static void test_unreachable_and_stopped(void **state)
{
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        wait_at(&lab, "foo.d.example.", &waiter);
        plan_unreachable(lab.plan, "no route", lab.now);
        assert_true(waiter.ended);
        assert_int_equal(lab.n_lane_changes, 2);
        /* Said again it is the same failure. */
        plan_unreachable(lab.plan, "no route", lab.now);
        assert_int_equal(lab.n_lane_changes, 2);
        plan_flush(lab.plan);
        lab.plan->stopped = true;
        nothing_to_send(&lab);
        tear_down(&lab);
}

static void test_cancelled_waiter_is_not_told(void **state)
{
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        wait_at(&lab, "foo.d.example.", &waiter);
        plan_waiter_cancel(&waiter.waiter);
        plan_waiter_cancel(&waiter.waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        assert_false(waiter.ended);
        tear_down(&lab);
}

/* Two parts of one request wait for one unit: told of the end of the first, it takes back the second. */
static void test_waiter_cancelled_by_another(void **state)
{
        struct waiter first, second;
        struct lab lab;

        set_up(&lab, &plain);
        for (unsigned i = 0; i < 2; i++) {
                want(&lab, "foo.d.example.", i ? "10.0.0.1" : NULL, i ? "10.0.0.2" : "10.0.0.1");
                wait_at(&lab, "foo.d.example.", &first);
                wait_at(&lab, "foo.d.example.", &second);
                first.twin = i ? &second : NULL;
                second.twin = i ? NULL : &first;
                finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_REJECTED);
                assert_true(i ? first.ended : second.ended);
                plan_flush(lab.plan);
        }
        tear_down(&lab);
}

static void test_pointers(void **state)
{
        static const char owner[] = "1.0.0.10.in-addr.arpa.";
        struct plan_batch *batch;
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want_ptr(&lab, owner, NULL, "one.d.example.");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* To another name: the old one is deleted by its value, so both are in the row before it is sent. */
        lab.n_waiting_puts = 0;
        lab.hold_rows = true;
        want_ptr(&lab, owner, "one.d.example.", "two.d.example.");
        assert_int_equal(lab.n_waiting_puts, 1);
        nothing_to_send(&lab);
        settle_rows(&lab, true);
        lab.hold_rows = false;
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_int_equal(rrset_count(&batch->units[0]->row_set), 2);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* Beside that of somebody else. */
        want_ptr(&lab, "2.0.0.10.in-addr.arpa.", NULL, "foo.d.example.");
        wait_at(&lab, "2.0.0.10.in-addr.arpa.", &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), pointers("printer.example.", NULL), false);
        assert_false(waiter.ended);
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_ACKNOWLEDGED);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        is_quiet(&lab);
        tear_down(&lab);
}

/* One like ours that was there before is left alone, then and later, and nobody is refused for it. */
static void test_identical_foreign_pointer(void **state)
{
        static const char owner[] = "1.0.0.10.in-addr.arpa.";
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want_ptr(&lab, owner, NULL, "foo.d.example.");
        wait_at(&lab, owner, &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), pointers("foo.d.example.", "printer.example."), false);
        assert_true(waiter.ended);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        assert_int_equal(lab.n_refusals, 0);
        nothing_to_send(&lab);
        want_ptr(&lab, owner, "foo.d.example.", NULL);
        is_quiet(&lab);

        /* The same after a lost acknowledgement is ours. */
        want_ptr(&lab, owner, NULL, "foo.d.example.");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), pointers("foo.d.example.", "printer.example."), false);
        finish(&lab, next(&lab, PLAN_REPLACE, 1), PLAN_ACKNOWLEDGED);
        tear_down(&lab);
}

/* RFC 2317: the owner is an alias into somebody else's zone. Nothing is sent over and over. */
static void test_pointer_at_an_alias(void **state)
{
        static const char owner[] = "1.0.0.10.in-addr.arpa.";
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        want_ptr(&lab, owner, NULL, "foo.d.example.");
        wait_at(&lab, owner, &waiter);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), pointers(NULL, NULL), true);
        assert_int_equal(waiter.outcome, WAIT_PUBLISHED);
        assert_true(waiter.ended);
        nothing_to_send(&lab);
        tear_down(&lab);

        /* A server that contradicts itself is not asked again at once. */
        set_up(&lab, &plain);
        want_ptr(&lab, owner, NULL, "foo.d.example.");
        for (unsigned i = 0; i < 2; i++) {
                finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
                answer(&lab, next(&lab, PLAN_QUERY, 1), pointers(NULL, NULL), false);
        }
        nothing_to_send(&lab);
        assert_true(plan_deadline(lab.plan) > lab.now);
        tear_down(&lab);
}

static void load_row(struct lab *lab, const char *owner, enum row_state row, const char *first,
                     const char *second)
{
        struct dns_name name = name_of(owner);
        struct rrset set = addresses(first, second);

        assert_int_equal(plan_load(lab->plan, UNIT_FORWARD, FORWARD, &name, row, &set), 0);
        rrset_clear(&set);
}

static void test_load(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        plan_load_begin(lab.plan);
        want(&lab, "same.d.example.", NULL, "10.0.0.1");
        want(&lab, "new.d.example.", NULL, "10.0.0.2");
        want(&lab, "changed.d.example.", NULL, "10.0.0.3");
        assert_int_equal(lab.n_puts, 0);
        nothing_to_send(&lab);
        load_row(&lab, "same.d.example.", ROW_OURS, "10.0.0.1", NULL);
        load_row(&lab, "changed.d.example.", ROW_OURS, "10.0.0.9", NULL);
        load_row(&lab, "gone.d.example.", ROW_OURS, "10.0.0.4", NULL);
        nothing_to_send(&lab);
        plan_load_done(lab.plan);
        settle_rows(&lab, true);

        assert_null(unit_at(&lab, "same.d.example."));
        batch = next(&lab, PLAN_REPLACE, 2);
        assert_true(contains(batch, "changed.d.example.") && contains(batch, "gone.d.example."));
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_int_equal(lab.n_deletes, 1);
        batch = next(&lab, PLAN_FIRST, 1);
        assert_true(contains(batch, "new.d.example."));
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

/* What a crash left in doubt is looked at before anything is sent. */
static void test_load_doubts(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        plan_load_begin(lab.plan);
        want(&lab, "there.d.example.", NULL, "10.0.0.1");
        want(&lab, "also.d.example.", NULL, "10.0.0.2");
        load_row(&lab, "there.d.example.", ROW_DOUBTFUL, "10.0.0.1", NULL);
        load_row(&lab, "also.d.example.", ROW_DOUBTFUL, "10.0.0.2", NULL);
        load_row(&lab, "gone.d.example.", ROW_DOUBTFUL, "10.0.0.3", NULL);
        plan_load_done(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 3), PLAN_ACKNOWLEDGED);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_true(contains(batch, "gone.d.example."));
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* Never sent, and wanted no more: nothing but the look. */
        lab.n_deletes = 0;
        plan_load_begin(lab.plan);
        load_row(&lab, "unsent.d.example.", ROW_DOUBTFUL, "10.0.0.3", NULL);
        plan_load_done(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), false);
        assert_int_equal(lab.n_deletes, 1);
        is_quiet(&lab);

        /* Somebody else's: the row goes, the records stay. */
        plan_load_begin(lab.plan);
        load_row(&lab, "theirs.d.example.", ROW_DOUBTFUL, "10.0.0.3", NULL);
        plan_load_done(lab.plan);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("192.0.2.9", NULL), false);
        assert_int_equal(lab.n_deletes, 2);
        is_quiet(&lab);
        tear_down(&lab);
}

static void check(struct lab *lab, const char *owner, const char *address)
{
        struct dns_name name = name_of(owner);
        struct rrset set = addresses(address, NULL);

        assert_int_equal(plan_check(lab->plan, UNIT_FORWARD, FORWARD, &name, &set), 0);
        rrset_clear(&set);
}

static void test_reconciliation(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        /* As it should be: one message for all, and no row is touched. */
        check(&lab, "a.d.example.", "10.0.0.1");
        check(&lab, "b.d.example.", "10.0.0.2");
        check(&lab, "c.d.example.", "10.0.0.3");
        assert_true(unit_is_published(unit_at(&lab, "a.d.example.")));
        finish(&lab, next(&lab, PLAN_VERIFY, 3), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        assert_int_equal(lab.n_puts + lab.n_deletes + lab.n_drifts, 0);

        /* One is not. */
        check(&lab, "a.d.example.", "10.0.0.1");
        check(&lab, "b.d.example.", "10.0.0.2");
        finish(&lab, next(&lab, PLAN_VERIFY, 2), PLAN_PREREQUISITE);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_ACKNOWLEDGED);
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("192.0.2.1", NULL), false);
        assert_int_equal(lab.n_drifts, 1);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], "10.0.0.2", NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* An alias has taken the place of ours: it is not written beside it. */
        check(&lab, "a.d.example.", "10.0.0.1");
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses(NULL, NULL), true);
        assert_int_equal(lab.n_drifts, 2);
        assert_int_equal(lab.n_refusals, 1);
        nothing_to_send(&lab);
        /* Looked at again by the next one. */
        check(&lab, "a.d.example.", "10.0.0.1");
        settle_rows(&lab, true);
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

/* A change while the look is under way is no drift. */
static void test_change_during_reconciliation(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        check(&lab, "a.d.example.", "10.0.0.1");
        finish(&lab, next(&lab, PLAN_VERIFY, 1), PLAN_REJECTED);
        batch = next(&lab, PLAN_QUERY, 1);
        want(&lab, "a.d.example.", "10.0.0.1", "10.0.0.2");
        answer(&lab, batch, addresses("10.0.0.1", NULL), false);
        assert_int_equal(lab.n_drifts, 0);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], "10.0.0.2", NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);
        tear_down(&lab);
}

static void republish(struct lab *lab, const char *owner, const char *address)
{
        struct dns_name name = name_of(owner);
        struct rrset set = addresses(address, NULL);

        assert_int_equal(plan_republish(lab->plan, UNIT_FORWARD, FORWARD, &name, &set), 0);
        rrset_clear(&set);
}

static void test_republish(void **state)
{
        struct plan_batch *batch;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, "foo.d.example.", "10.0.0.1");
        republish(&lab, "foo.d.example.", "10.0.0.1");
        assert_false(unit_is_published(unit_at(&lab, "foo.d.example.")));
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_sends(batch->units[0], "10.0.0.1", NULL);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        is_quiet(&lab);

        /* What was about to go is gone. */
        want(&lab, "foo.d.example.", "10.0.0.1", NULL);
        republish(&lab, "foo.d.example.", NULL);
        assert_int_equal(lab.n_deletes, 1);
        is_quiet(&lab);
        tear_down(&lab);
}

/* The server forgot everything while a change was on its way: that change alone is not enough. */
static void test_republish_in_flight(void **state)
{
        struct plan_batch *batch;
        struct waiter waiter;
        struct lab lab;

        set_up(&lab, &plain);
        published(&lab, "foo.d.example.", "10.0.0.1");
        want(&lab, "foo.d.example.", "10.0.0.1", "10.0.0.2");
        wait_at(&lab, "foo.d.example.", &waiter);
        batch = next(&lab, PLAN_REPLACE, 1);
        republish(&lab, "foo.d.example.", "10.0.0.2");
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_false(waiter.ended);
        batch = next(&lab, PLAN_REPLACE, 1);
        assert_false(batch->units[0]->published_known);
        finish(&lab, batch, PLAN_ACKNOWLEDGED);
        assert_true(waiter.ended);
        is_quiet(&lab);
        tear_down(&lab);
}

/* A message that may reach the server twice may find itself there already. */
static void test_repeated_message(void **state)
{
        struct plan_options options = plain;
        struct lab lab;

        options.repeats = true;
        set_up(&lab, &options);
        want(&lab, "foo.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        assert_int_equal(lab.n_refusals, 0);
        is_quiet(&lab);
        want(&lab, "bar.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_PREREQUISITE);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("192.0.2.1", NULL), false);
        assert_int_equal(lab.n_refusals, 1);
        tear_down(&lab);
}

static void test_without_verification_it_is_asked(void **state)
{
        struct plan_options options = plain;
        struct lab lab;

        options.verify = false;
        set_up(&lab, &options);
        check(&lab, "a.d.example.", "10.0.0.1");
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        is_quiet(&lab);
        want(&lab, "b.d.example.", NULL, "10.0.0.1");
        finish(&lab, next(&lab, PLAN_FIRST, 1), PLAN_LOST);
        lab.now = plan_deadline(lab.plan);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        nothing_to_send(&lab);
        lab.now = plan_deadline(lab.plan);
        answer(&lab, next(&lab, PLAN_QUERY, 1), addresses("10.0.0.1", NULL), false);
        is_quiet(&lab);
        tear_down(&lab);
}

/* Whatever the server does, in whatever order: when it behaves again, it has what is wanted. */
static void test_random_walk(void **state)
{
        static const char *const owners[] = { "a.d.example.", "b.d.example.", "c.d.example.", "d.d.example.",
                                              "e.d.example." };
        static const char *const texts[] = { NULL, "10.0.0.1", "10.0.0.2", "10.0.0.3" };
        uint64_t random = 20240229;

        for (unsigned round = 0; round < 300; round++) {
                unsigned wanted[ELEMENTSOF(owners)] = {};
                struct rrset there[ELEMENTSOF(owners)] = {};
                struct lab lab;

                set_up(&lab, round % 2 ? &reading_back : &plain);
                for (unsigned step = 0; step < 120; step++) {
                        bool calm = step >= 60;
                        struct plan_batch *batch;
                        enum plan_outcome outcome = PLAN_ACKNOWLEDGED;

                        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
                        if (!calm) {
                                unsigned i = (unsigned) (random >> 40) % ELEMENTSOF(owners);
                                unsigned k = (unsigned) (random >> 48) % ELEMENTSOF(texts);

                                want(&lab, owners[i], texts[wanted[i]], texts[k]);
                                wanted[i] = k;
                        }
                        batch = plan_next(lab.plan, lab.now);
                        if (!batch) {
                                usec_t deadline = plan_deadline(lab.plan);

                                if (deadline != USEC_INFINITY)
                                        lab.now = MAX(lab.now, deadline);
                                continue;
                        }
                        if (!calm && (random >> 33) % 3 == 0)
                                outcome = (enum plan_outcome)((random >> 36) % 2 ? PLAN_LOST : PLAN_REJECTED);
                        if (batch->action == PLAN_QUERY) {
                                for (unsigned u = 0; u < batch->n_units; u++)
                                        for (unsigned i = 0; i < ELEMENTSOF(owners); i++) {
                                                struct dns_name name;

                                                if (!batch->units[u])
                                                        continue;
                                                name = unit_owner(batch->units[u]);
                                                if (plan_find(lab.plan, UNIT_FORWARD, &name) ==
                                                    unit_at(&lab, owners[i])) {
                                                        plan_answer(batch, u, &there[i], false, lab.now);
                                                        settle_rows(&lab, true);
                                                }
                                        }
                                plan_finish_rest(batch, outcome, "because", lab.now);
                                settle_rows(&lab, true);
                                continue;
                        }
                        {
                                bool applied = outcome == PLAN_ACKNOWLEDGED ||
                                               (outcome == PLAN_LOST && (random >> 50) % 2);
                                bool stands = true;

                                for (unsigned i = 0; i < ELEMENTSOF(owners); i++) {
                                        struct unit *unit = unit_at(&lab, owners[i]);

                                        if (!unit || !contains(batch, owners[i]))
                                                continue;
                                        if (batch->action == PLAN_FIRST)
                                                stands = stands && rrset_is_empty(&there[i]);
                                        if (batch->action == PLAN_VERIFY)
                                                stands = stands && rrset_equal(&there[i], &unit->sending);
                                }
                                if (!stands && outcome == PLAN_ACKNOWLEDGED)
                                        outcome = PLAN_PREREQUISITE;
                                for (unsigned i = 0; i < ELEMENTSOF(owners); i++) {
                                        struct unit *unit = unit_at(&lab, owners[i]);

                                        if (!applied || !stands || batch->action == PLAN_VERIFY || !unit ||
                                            !contains(batch, owners[i]))
                                                continue;
                                        rrset_clear(&there[i]);
                                        assert_int_equal(rrset_copy(&there[i], &unit->sending), 0);
                                }
                        }
                        finish(&lab, batch, outcome);
                }
                assert_int_equal(lab.n_refusals, 0);
                is_quiet(&lab);
                for (unsigned i = 0; i < ELEMENTSOF(owners); i++) {
                        struct rrset set = addresses(texts[wanted[i]], NULL);

                        assert_true(rrset_equal(&there[i], &set));
                        rrset_clear(&set);
                        rrset_clear(&there[i]);
                }
                tear_down(&lab);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_row_is_written_before_sending),
                cmocka_unit_test(test_row_cannot_be_written),
                cmocka_unit_test(test_change_and_removal),
                cmocka_unit_test(test_wished_away_before_it_was_sent),
                cmocka_unit_test(test_wish_changes_in_flight),
                cmocka_unit_test(test_foreign_data_refuses),
                cmocka_unit_test(test_refusal_of_what_is_wanted_no_more),
                cmocka_unit_test(test_unprotected),
                cmocka_unit_test(test_lost_acknowledgement),
                cmocka_unit_test(test_lost_and_wished_otherwise),
                cmocka_unit_test(test_old_set_found_ends_no_wait),
                cmocka_unit_test(test_lost_change_is_sent_again),
                cmocka_unit_test(test_unsent_is_not_doubted),
                cmocka_unit_test(test_denied_is_doubted),
                cmocka_unit_test(test_server_says_twice_what_cannot_be),
                cmocka_unit_test(test_read_back),
                cmocka_unit_test(test_batches),
                cmocka_unit_test(test_guilty_one_is_found),
                cmocka_unit_test(test_suspect_changes),
                cmocka_unit_test(test_all_rejected_is_the_server),
                cmocka_unit_test(test_back_off),
                cmocka_unit_test(test_flush_ends_back_offs),
                cmocka_unit_test(test_unreachable_and_stopped),
                cmocka_unit_test(test_cancelled_waiter_is_not_told),
                cmocka_unit_test(test_waiter_cancelled_by_another),
                cmocka_unit_test(test_pointers),
                cmocka_unit_test(test_identical_foreign_pointer),
                cmocka_unit_test(test_pointer_at_an_alias),
                cmocka_unit_test(test_load),
                cmocka_unit_test(test_load_doubts),
                cmocka_unit_test(test_reconciliation),
                cmocka_unit_test(test_change_during_reconciliation),
                cmocka_unit_test(test_republish),
                cmocka_unit_test(test_republish_in_flight),
                cmocka_unit_test(test_repeated_message),
                cmocka_unit_test(test_without_verification_it_is_asked),
                cmocka_unit_test(test_random_walk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
