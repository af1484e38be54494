/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nsregc/candidate.h"

#define LOT   (SCHEDULE_LOT / 2)
#define START USEC_PER_HOUR

static bool note(struct candidate_state *state, enum candidate_outcome outcome, uint32_t ttl_sec, usec_t now)
{
        return candidate_note(state, outcome, ttl_sec, now, LOT);
}

static void test_asked_again_when_the_answer_ends(void **state)
{
        struct candidate_state candidate = { 0 };

        assert_true(note(&candidate, CANDIDATE_FOUND, 900, START));
        assert_true(candidate_is_sure(&candidate, START));
        assert_in_range(candidate.next_usec - START, 900 * USEC_PER_SEC, 960 * USEC_PER_SEC);
        /* Neither every moment nor never. */
        assert_true(note(&candidate, CANDIDATE_FOUND, 0, START));
        assert_true(candidate.next_usec - START >= 5 * USEC_PER_MINUTE);
        assert_true(note(&candidate, CANDIDATE_FOUND, UINT32_MAX, START));
        assert_true(candidate.next_usec - START <= 61 * USEC_PER_MINUTE);
}

/* Three seconds of NXDOMAIN, a captive portal: asked again within seconds, and nothing is taken away. */
static void test_one_negative_answer_is_no_reason(void **state)
{
        struct candidate_state candidate = { 0 };
        usec_t now = START;

        assert_true(note(&candidate, CANDIDATE_FOUND, 60, now));
        assert_true(note(&candidate, CANDIDATE_EMPTY, 604800, now += USEC_PER_HOUR));
        assert_false(candidate_is_sure(&candidate, now));
        assert_true(candidate.next_usec - now <= 6 * USEC_PER_SEC);
        assert_true(note(&candidate, CANDIDATE_FOUND, 60, candidate.next_usec));
        assert_true(candidate_is_sure(&candidate, now));
}

static void test_many_over_minutes_are_one(void **state)
{
        struct candidate_state candidate = { 0 };
        usec_t now = START, since = START;
        unsigned n = 0;

        assert_true(note(&candidate, CANDIDATE_FOUND, 60, now));
        while (note(&candidate, CANDIDATE_EMPTY, 0, now)) {
                /* A failure in between says nothing. */
                assert_true(note(&candidate, CANDIDATE_FAILED, 0, now));
                now = candidate.next_usec;
                n++;
        }
        assert_in_range(now - since, 2 * USEC_PER_MINUTE, 6 * USEC_PER_MINUTE);
        assert_in_range(n, 4, 60);
        assert_true(candidate_is_sure(&candidate, now));
        assert_false(candidate.holds);

        /* Without pause they are not many: it is the minutes that count. */
        candidate = (struct candidate_state){ 0 };
        assert_true(note(&candidate, CANDIDATE_FOUND, 60, START));
        for (unsigned i = 0; i < 1000; i++)
                assert_true(note(&candidate, CANDIDATE_EMPTY, 0, START + i));
}

static void test_negative_ttl_counts_and_is_capped(void **state)
{
        struct candidate_state candidate = { 0 };
        usec_t now = START;

        for (unsigned i = 0; i < 4; i++) {
                assert_false(note(&candidate, CANDIDATE_EMPTY, 604800, now));
                assert_true(candidate.next_usec - now <= USEC_PER_MINUTE);
                now = candidate.next_usec;
        }
        for (unsigned i = 0; i < 100; i++) {
                assert_false(note(&candidate, CANDIDATE_EMPTY, 604800, now));
                assert_in_range(candidate.next_usec - now, 13 * USEC_PER_MINUTE, 17 * USEC_PER_MINUTE);
                now = candidate.next_usec;
        }
}

static void test_what_always_fails_is_asked_rarely(void **state)
{
        struct candidate_state candidate = { 0 };
        usec_t now = START;
        unsigned n = 0;

        while (now < START + 24 * USEC_PER_HOUR) {
                assert_false(note(&candidate, CANDIDATE_FAILED, 0, now));
                assert_false(candidate_is_sure(&candidate, now));
                now = candidate.next_usec;
                n++;
        }
        assert_in_range(n, 90, 120);
        /* What it gave before stays for as long. */
        candidate = (struct candidate_state){ 0 };
        assert_true(note(&candidate, CANDIDATE_FOUND, 60, START));
        for (unsigned i = 0; i < 100; i++)
                assert_true(note(&candidate, CANDIDATE_FAILED, 0, START + i * USEC_PER_HOUR));
}

static void test_a_change_keeps_good_answers(void **state)
{
        struct candidate_state candidate = { 0 };
        usec_t next;

        assert_true(note(&candidate, CANDIDATE_FOUND, 900, START));
        next = candidate.next_usec;
        candidate_renew(&candidate, false, START + USEC_PER_MINUTE);
        assert_true(candidate.answered);
        assert_int_equal(candidate.next_usec, next);
        /* It may be another network: asked, and kept meanwhile. */
        candidate_renew(&candidate, true, START + USEC_PER_MINUTE);
        assert_false(candidate.answered);
        assert_true(candidate.holds);
        assert_int_equal(candidate.next_usec, 0);

        /* A failure is none, and its back-off begins anew. */
        candidate = (struct candidate_state){ 0 };
        for (unsigned i = 0; i < 10; i++)
                assert_false(note(&candidate, CANDIDATE_FAILED, 0, START));
        candidate_renew(&candidate, false, START + 1);
        assert_int_equal(candidate.next_usec, 0);
        assert_false(note(&candidate, CANDIDATE_FAILED, 0, START + 2));
        assert_true(candidate.next_usec - START <= 6 * USEC_PER_SEC);
}

/* However often the network changes, what is gone is gone at last. */
static void test_changes_do_not_keep_what_is_gone(void **state)
{
        struct candidate_state candidate = { 0 };
        usec_t now = START;
        unsigned n = 0;

        assert_true(note(&candidate, CANDIDATE_FOUND, 60, now));
        while (note(&candidate, CANDIDATE_EMPTY, 0, now)) {
                candidate_renew(&candidate, false, now);
                now += 10 * USEC_PER_SEC;
                assert_true(n++ < 100);
        }
        assert_true(now - START >= 2 * USEC_PER_MINUTE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_asked_again_when_the_answer_ends),
                cmocka_unit_test(test_one_negative_answer_is_no_reason),
                cmocka_unit_test(test_many_over_minutes_are_one),
                cmocka_unit_test(test_negative_ttl_counts_and_is_capped),
                cmocka_unit_test(test_what_always_fails_is_asked_rarely),
                cmocka_unit_test(test_a_change_keeps_good_answers),
                cmocka_unit_test(test_changes_do_not_keep_what_is_gone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
