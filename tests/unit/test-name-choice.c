/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dns/protocol.h"
#include "nsregc/name-choice.h"

static struct dns_name parse(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

static void assert_name(const struct dns_name *name, const char *text)
{
        char buffer[DNS_NAME_FORMAT_MAX];

        assert_string_equal(dns_name_format(name, buffer), text);
}

static struct name_choice choice_of(const char *plain)
{
        return (struct name_choice){ parse(plain), .suffix = true, .number = 1 };
}

static void test_names(void **state)
{
        struct dns_name plain = parse("box.d.example"), made;

        assert_int_equal(name_choice_make(&plain, 1, &made), 0);
        assert_name(&made, "box.d.example.");
        assert_int_equal(name_choice_make(&plain, 9, &made), 0);
        assert_name(&made, "box-9.d.example.");
        assert_int_equal(name_choice_number(&plain, &made), 9);
        assert_int_equal(name_choice_make(&plain, 10, &made), -EINVAL);
        assert_int_equal(name_choice_make(&plain, 0, &made), -EINVAL);
        made = parse("BOX-3.d.example");
        assert_int_equal(name_choice_number(&plain, &made), 3);
        made = parse("box-3.e.example");
        assert_int_equal(name_choice_number(&plain, &made), 0);
}

static void test_long_labels_are_cut(void **state)
{
        char text[300], cut[80];
        struct dns_name plain, made;
        const uint8_t *label;

        memset(text, 'a', 61);
        strcpy(text + 61, "bc.d.example");
        plain = parse(text);
        assert_int_equal(name_choice_make(&plain, 2, &made), 0);
        assert_int_equal(dns_name_first_label(&made, &label), 63);
        memset(cut, 'a', 61);
        memcpy(cut + 61, "-2", 2);
        assert_memory_equal(label, cut, 63);

        /* 255 octets are full. */
        memset(text, 'a', sizeof(text));
        text[31] = text[95] = text[159] = text[223] = '.';
        text[253] = '\0';
        assert_int_equal(dns_name_parse(text, &plain), 0);
        assert_int_equal(name_choice_make(&plain, 2, &made), -EINVAL);
}

static void test_what_is_a_conflict(void **state)
{
        struct update_answer answer = { .rcode = DNS_RCODE_REFUSED, .ede = DNS_EDE_BLOCKED };

        assert_true(name_choice_is_conflict(&answer));
        answer.ede = DNS_EDE_PROHIBITED;
        strcpy(answer.text, "updates are not accepted from this network");
        assert_false(name_choice_is_conflict(&answer));
        strcpy(answer.text, "name \"box\" is owned by another key; choose another name");
        assert_true(name_choice_is_conflict(&answer));
        answer.ede = -1;
        assert_true(name_choice_is_conflict(&answer));
        answer.rcode = DNS_RCODE_SERVFAIL;
        answer.ede = DNS_EDE_BLOCKED;
        assert_false(name_choice_is_conflict(&answer));
}

static void test_all_in_turn(void **state)
{
        struct name_choice choice = choice_of("box.d.example");
        struct dns_name name = choice.plain;
        char reason[NAME_CHOICE_REASON_MAX] = "the first", expected[40];

        for (unsigned round = 0; round < 2; round++) {
                strcpy(reason, "the first");
                for (unsigned number = 2; number <= 9; number++) {
                        assert_true(name_choice_refused(&choice, reason, &name));
                        snprintf(expected, sizeof(expected), "box-%u.d.example.", number);
                        assert_name(&name, expected);
                        strcpy(reason, "another");
                }
                assert_false(name_choice_refused(&choice, reason, &name));
                assert_string_equal(reason, "the first");
                assert_name(&name, "box.d.example.");
        }
}

static void test_keep(void **state)
{
        struct name_choice choice = choice_of("box.d.example");
        struct dns_name name = choice.plain;
        char reason[NAME_CHOICE_REASON_MAX] = "taken";

        choice.suffix = false;
        assert_false(name_choice_refused(&choice, reason, &name));
        assert_name(&name, "box.d.example.");
}

static void test_what_was_granted_is_kept(void **state)
{
        struct name_choice choice = choice_of("box.d.example");
        struct dns_name name = choice.plain;
        char reason[NAME_CHOICE_REASON_MAX] = "taken";

        name_choice_granted(&choice);
        for (unsigned i = 0; i < 3; i++)
                assert_false(name_choice_refused(&choice, reason, &name));
        assert_name(&name, "box.d.example.");

        /* A suffix of before is refused once, then everything is tried from the start. */
        choice = choice_of("box.d.example");
        assert_true(name_choice_refused(&choice, reason, &name));
        name_choice_granted(&choice);
        assert_false(name_choice_refused(&choice, reason, &name));
        assert_name(&name, "box-2.d.example.");
        assert_true(name_choice_refused(&choice, reason, &name));
        assert_name(&name, "box.d.example.");
        assert_true(name_choice_refused(&choice, reason, &name));
        assert_name(&name, "box-2.d.example.");
}

static void test_recall(void **state)
{
        _cleanup_(ledger_freep) struct ledger *ledger = NULL;
        struct name_choice choice = choice_of("box.d.example");
        struct dns_name zone = parse("d.example"), name = parse("box-4.d.example");
        struct address_set none = { 0 };
        char reason[NAME_CHOICE_REASON_MAX] = "taken";

        assert_int_equal(ledger_open(NULL, &ledger), 0);
        assert_null(name_choice_recall(&choice, ledger, &zone, ""));
        assert_int_equal(ledger_set(ledger, &zone, &name, "here", SERVER_MODERN, &none), 0);
        choice.suffix = false;
        assert_null(name_choice_recall(&choice, ledger, &zone, ""));
        choice.suffix = true;
        assert_ptr_equal(name_choice_recall(&choice, ledger, &zone, ""), ledger_get(ledger, 0));
        assert_int_equal(choice.number, 4);
        assert_ptr_equal(name_choice_recall(&choice, ledger, &zone, "here"), ledger_get(ledger, 0));
        assert_null(name_choice_recall(&choice, ledger, &zone, "there"));
        /* Lost meanwhile: the plain one is next. */
        assert_true(name_choice_refused(&choice, reason, &name));
        assert_name(&name, "box.d.example.");
        assert_true(name_choice_refused(&choice, reason, &name));
        assert_name(&name, "box-2.d.example.");
        /* No suffixes any more: this is a name like any other. */
        name_choice_allow(&choice, false, &name);
        assert_name(&choice.plain, "box-2.d.example.");
        assert_false(name_choice_refused(&choice, reason, &name));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_long_labels_are_cut),
                cmocka_unit_test(test_what_is_a_conflict),
                cmocka_unit_test(test_all_in_turn),
                cmocka_unit_test(test_keep),
                cmocka_unit_test(test_what_was_granted_is_kept),
                cmocka_unit_test(test_recall),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
