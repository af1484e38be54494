/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "nsregc/targets.h"
#include "util/macro.h"

/* "a b c": targets with these names, in this order. */
static void given(struct targets *targets, const char *names)
{
        struct service service = { 0 };

        for (const char *at = names; *at; at++) {
                char host[2] = { *at };

                if (*at == ' ')
                        continue;
                service.endpoints[service.n_endpoints] = (struct endpoint){
                        .host = strdup(host),
                        .port = 1,
                        .target = service.n_endpoints,
                };
                service.n_endpoints++;
        }
        targets_set(targets, &service);
        assert_int_equal(service.n_endpoints, 0);
}

static const struct endpoint *find(const struct targets *targets, char name)
{
        for (size_t i = 0; i < targets->service.n_endpoints; i++)
                if (targets->service.endpoints[i].host[0] == name)
                        return &targets->service.endpoints[i];
        fail_msg("no %c", name);
        return NULL;
}

static void assert_pass(struct targets *targets, usec_t now, const char *expected)
{
        char got[64] = "";
        const struct endpoint *endpoint;

        targets_begin(targets, now);
        while ((endpoint = targets_next(targets)))
                snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", got[0] ? " " : "",
                         endpoint->host);
        assert_string_equal(got, expected);
        assert_false(targets_left(targets));
}

static void test_order(void **state)
{
        struct targets targets = { 0 };

        assert_pass(&targets, 0, "");
        given(&targets, "a b c");
        assert_pass(&targets, 0, "a b c");
        assert_pass(&targets, 0, "a b c");
        targets_clear(&targets);
}

static void test_the_dead_come_last(void **state)
{
        usec_t now = USEC_PER_HOUR;
        struct targets targets = { 0 };

        given(&targets, "a b c d");
        targets_failed(&targets, find(&targets, 'b'), now);
        assert_pass(&targets, now, "a c d b");
        targets_failed(&targets, find(&targets, 'a'), now + USEC_PER_SEC);
        assert_pass(&targets, now + USEC_PER_SEC, "c d b a");
        /* All of them: whoever failed the longest ago is the first. */
        targets_failed(&targets, find(&targets, 'd'), now + 2 * USEC_PER_SEC);
        targets_failed(&targets, find(&targets, 'c'), now + 3 * USEC_PER_SEC);
        assert_pass(&targets, now + 3 * USEC_PER_SEC, "b a d c");
        targets_worked(&targets, find(&targets, 'd'));
        assert_pass(&targets, now + 3 * USEC_PER_SEC, "d b a c");
        targets_clear(&targets);
}

/* Another answer to the question for the SRV is no reason to forget who is dead. */
static void test_the_dead_are_remembered_over_answers(void **state)
{
        usec_t now = USEC_PER_HOUR;
        struct targets targets = { 0 };

        given(&targets, "a b");
        targets_failed(&targets, find(&targets, 'a'), now);
        given(&targets, "a b");
        assert_pass(&targets, now, "b a");
        given(&targets, "x y");
        assert_pass(&targets, now, "x y");
        given(&targets, "a x");
        assert_pass(&targets, now + USEC_PER_MINUTE, "x a");
        targets_clear(&targets);
}

static void test_for_a_while_only(void **state)
{
        usec_t now = USEC_PER_HOUR;
        struct targets targets = { 0 };

        given(&targets, "a b");
        targets_failed(&targets, find(&targets, 'a'), now);
        assert_pass(&targets, now + 2 * USEC_PER_MINUTE - 1, "b a");
        assert_pass(&targets, now + 2 * USEC_PER_MINUTE, "a b");
        assert_true(targets_is_suspect(&targets, find(&targets, 'a')));
        assert_false(targets_is_suspect(&targets, find(&targets, 'b')));
        /* Again, and again: longer, but never for ever. */
        now += 2 * USEC_PER_MINUTE;
        targets_failed(&targets, find(&targets, 'a'), now);
        assert_pass(&targets, now + 4 * USEC_PER_MINUTE - 1, "b a");
        assert_pass(&targets, now + 4 * USEC_PER_MINUTE, "a b");
        for (int i = 0; i < 100; i++)
                targets_failed(&targets, find(&targets, 'a'), now);
        assert_pass(&targets, now + 30 * USEC_PER_MINUTE - 1, "b a");
        assert_pass(&targets, now + 30 * USEC_PER_MINUTE, "a b");
        /* It worked: the first time again. */
        targets_worked(&targets, find(&targets, 'a'));
        targets_failed(&targets, find(&targets, 'a'), now);
        assert_pass(&targets, now + 2 * USEC_PER_MINUTE, "a b");
        targets_clear(&targets);
}

static void test_a_pass_is_gone_through(void **state)
{
        struct targets targets = { 0 };

        given(&targets, "a b c");
        targets_begin(&targets, 0);
        assert_string_equal(targets_next(&targets)->host, "a");
        /* What is found within it counts from the next one on. */
        targets_failed(&targets, find(&targets, 'a'), 0);
        targets_failed(&targets, find(&targets, 'b'), 0);
        assert_string_equal(targets_next(&targets)->host, "b");
        assert_true(targets_left(&targets));
        assert_string_equal(targets_next(&targets)->host, "c");
        assert_null(targets_next(&targets));
        targets_clear(&targets);
}

static void test_bounded(void **state)
{
        struct targets targets = { 0 };

        for (size_t i = 0; i < 10 * TARGETS_DEAD_MAX; i++) {
                struct endpoint endpoint = { .host = (char[]){ "h" }, .port = (uint16_t) (i + 1) };

                targets_failed(&targets, &endpoint, i);
        }
        assert_int_equal(targets.n_dead, TARGETS_DEAD_MAX);
        assert_int_equal(targets.dead[TARGETS_DEAD_MAX - 1].port, 10 * TARGETS_DEAD_MAX);
        targets_clear(&targets);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_the_dead_come_last),
                cmocka_unit_test(test_the_dead_are_remembered_over_answers),
                cmocka_unit_test(test_for_a_while_only),
                cmocka_unit_test(test_a_pass_is_gone_through),
                cmocka_unit_test(test_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
