/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What somebody before us has published at names of ours, and left to us. */

#include "plan-lab.h"

#define FOO "foo.d.example."
#define PTR "1.0.0.10.in-addr.arpa."

/* As upstreams are: a name server, and one that only says what it has. */
static const struct plan_options kinds[] = {
        { .protect_foreign = true,
          .look_first = true,
          .verify = true,
          .probe = true,
          .read_back = true,
          .bounded = true,
          .margin_sec = MARGIN_SEC,
          .max_units = 8,
          .max_in_flight = 2 },
        { .protect_foreign = true,
          .look_first = true,
          .bounded = true,
          .margin_sec = MARGIN_SEC,
          .max_units = 8,
          .max_in_flight = 1 },
};

static void set_up_kind(struct lab *lab, unsigned kind)
{
        set_up(lab, &kinds[kind]);
        lab->adopts = true;
}

/* All of it is the owner's now: other addresses, more of them, those of another family. */
static void test_addresses_are_adopted(void **state)
{
        static const char *const found[] = { "10.0.0.1", "192.0.2.1", "fd00::9",
                                             "10.0.0.1 10.0.0.2 fd00::9" };

        for (unsigned i = 0; i < ELEMENTSOF(kinds) * ELEMENTSOF(found); i++) {
                struct end end;
                struct lab lab;

                set_up_kind(&lab, i % ELEMENTSOF(kinds));
                serve(&lab, FOO, found[i / ELEMENTSOF(kinds)]);
                want(&lab, FOO, NULL, "10.0.0.1");
                wait_at(&lab, FOO, &end);
                exchange_on(&lab);
                assert_true(end.ended);
                assert_int_equal(end.outcome, WAIT_PUBLISHED);
                assert_int_equal(lab.n_refusals, 0);
                assert_int_equal(lab.n_drifts, 0);
                assert_serves(&lab, FOO, "10.0.0.1");
                is_quiet(&lab);
                /* From then on it is as if it had been published here. */
                lab.adopts = false;
                start_again(&lab, FOO, "10.0.0.1");
                want(&lab, FOO, "10.0.0.1", NULL);
                exchange_on(&lab);
                assert_serves(&lab, FOO, NULL);
                assert_int_equal(n_rows(&lab), 0);
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* Nobody is there who left anything. */
static void test_nothing_to_adopt(void **state)
{
        for (unsigned kind = 0; kind < ELEMENTSOF(kinds); kind++) {
                struct lab lab;

                set_up_kind(&lab, kind);
                want(&lab, FOO, NULL, "10.0.0.1");
                exchange_on(&lab);
                assert_serves(&lab, FOO, "10.0.0.1");
                assert_int_equal(lab.n_refusals, 0);
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* Killed at any time, it ends the same. */
static void test_killed_while_adopting(void **state)
{
        for (unsigned n = 0; n < 12; n++) {
                struct lab lab;

                set_up_kind(&lab, 0);
                serve(&lab, FOO, "192.0.2.1 fd00::9");
                want(&lab, FOO, NULL, "10.0.0.1");
                for (unsigned i = 0; i < n; i++) {
                        struct plan_batch *batch = take(&lab);

                        if (batch)
                                exchange(&lab, batch);
                }
                start_again(&lab, FOO, "10.0.0.1");
                exchange_on(&lab);
                assert_serves(&lab, FOO, "10.0.0.1");
                assert_int_equal(lab.n_refusals, 0);
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* Answers that are lost, of messages that were applied or not. */
static void test_lost_while_adopting(void **state)
{
        for (unsigned n = 0; n < 16; n++) {
                struct plan_batch *batch;
                struct lab lab;

                set_up_kind(&lab, 0);
                serve(&lab, FOO, "192.0.2.1 fd00::9");
                want(&lab, FOO, NULL, "10.0.0.1");
                for (unsigned i = 0; i < n / 2 && (batch = take(&lab)); i++)
                        exchange(&lab, batch);
                batch = take(&lab);
                if (batch && batch->action != PLAN_QUERY && batch->action != PLAN_PROBE)
                        lose(&lab, batch, n % 2);
                else if (batch)
                        exchange(&lab, batch);
                exchange_on(&lab);
                assert_serves(&lab, FOO, "10.0.0.1");
                assert_int_equal(lab.n_refusals, 0);
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* A CNAME was nobody's registration. */
static void test_an_alias_is_not_adopted(void **state)
{
        for (unsigned kind = 0; kind < ELEMENTSOF(kinds); kind++) {
                struct dns_name name = name_of(FOO);
                struct lab lab;

                set_up_kind(&lab, kind);
                content_of(&lab, &name)->alias = true;
                want(&lab, FOO, NULL, "10.0.0.1");
                exchange_on(&lab);
                assert_int_equal(lab.n_refusals, 1);
                assert_serves(&lab, FOO, NULL);
                want(&lab, FOO, "10.0.0.1", NULL);
                exchange_on(&lab);
                is_quiet(&lab);
                tear_down(&lab);
        }
}

/* That of the same name, beside those of others; and it goes with the name. */
static void test_a_pointer_is_adopted(void **state)
{
        struct end end;
        struct lab lab;

        set_up_kind(&lab, 0);
        serve(&lab, PTR, "foo.d.example. other.d.example.");
        want(&lab, PTR, NULL, "foo.d.example.");
        wait_at(&lab, PTR, &end);
        exchange_on(&lab);
        assert_true(end.ended);
        assert_int_equal(end.outcome, WAIT_PUBLISHED);
        assert_serves(&lab, PTR, "foo.d.example. other.d.example.");
        want(&lab, PTR, "foo.d.example.", NULL);
        exchange_on(&lab);
        assert_serves(&lab, PTR, "other.d.example.");
        assert_int_equal(n_rows(&lab), 0);
        is_quiet(&lab);
        tear_down(&lab);
}

/* Refused before it was said that it is left to us. */
static void test_adopted_after_a_refusal(void **state)
{
        for (unsigned kind = 0; kind < ELEMENTSOF(kinds); kind++) {
                struct lab lab;

                set_up(&lab, &kinds[kind]);
                serve(&lab, FOO, "192.0.2.1 fd00::9");
                want(&lab, FOO, NULL, "10.0.0.1");
                exchange_on(&lab);
                assert_int_equal(lab.n_refusals, 1);
                lab.adopts = true;
                plan_flush(lab.plan);
                exchange_on(&lab);
                assert_int_equal(lab.n_refusals, 1);
                assert_serves(&lab, FOO, "10.0.0.1");
                is_quiet(&lab);
                tear_down(&lab);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses_are_adopted),   cmocka_unit_test(test_nothing_to_adopt),
                cmocka_unit_test(test_killed_while_adopting),   cmocka_unit_test(test_lost_while_adopting),
                cmocka_unit_test(test_an_alias_is_not_adopted), cmocka_unit_test(test_a_pointer_is_adopted),
                cmocka_unit_test(test_adopted_after_a_refusal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
