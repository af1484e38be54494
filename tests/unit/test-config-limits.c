/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/nsregd-config.h"

/* Part of the warnings, or NULL: there are none. */
static void expect(const char *text, const char *part)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;

        assert_int_equal(nsregd_config_parse("nsregd.yaml", text, strlen(text), &config, &error), 0);
        if (!part) {
                assert_null(error.warnings);
                return;
        }
        assert_non_null(error.warnings);
        if (!strstr(error.warnings, part))
                fail_msg("%s", error.warnings);
}

static void test_defaults_fit(void **state)
{
        expect("zones: {d.example: {}}", NULL);
        expect("zones: {d.example: {max-records-per-name: 59}}", NULL);
}

static void test_more_records_than_a_message_has(void **state)
{
        expect("zones: {d.example: {max-records-per-name: 60}}",
               "nsregd.yaml:1:43: max-records-per-name: an update with all 60 addresses");
        expect("zones: {d.example: {max-records-per-name: 60}}",
               "65 records, and limits: rrs-per-message allows 64");
        expect("limits: {rrs-per-message: 100}\nzones: {d.example: {max-records-per-name: 60}}", NULL);
}

static void test_a_message_too_small_for_the_usual_number(void **state)
{
        expect("limits: {rrs-per-message: 20}\nzones: {d.example: {}}",
               "nsregd.yaml:1:27: rrs-per-message: an update with all 16 addresses");
        expect("limits: {message-bytes: 1024}\nzones: {d.example: {}}",
               "nsregd.yaml:1:25: message-bytes: an update with all 16 addresses");
}

static void test_more_octets_than_a_message_has(void **state)
{
        expect("limits: {rrs-per-message: 200}\nzones: {d.example: {max-records-per-name: 150}}",
               "octets, and limits: message-bytes allows 8192");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults_fit),
                cmocka_unit_test(test_more_records_than_a_message_has),
                cmocka_unit_test(test_a_message_too_small_for_the_usual_number),
                cmocka_unit_test(test_more_octets_than_a_message_has),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
