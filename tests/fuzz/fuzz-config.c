/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Configuration files of both programs: read, printed, and what was printed read again. */

#include "config/nsregc-config.h"
#include "config/nsregd-config.h"
#include "fuzz.h"

static char *print_nsregc(const struct nsregc_config *config, size_t *ret_length)
{
        char *text = NULL;
        FILE *out = open_memstream(&text, ret_length);

        FUZZ_ASSERT(out);
        nsregc_config_print(config, out);
        fclose(out);
        return text;
}

static void fuzz_nsregc(const char *text, size_t length)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL, *again = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;
        size_t first_length, second_length;
        int r;

        r = nsregc_config_parse("input", text, length, &config, &error);
        FUZZ_ASSERT((r == -EINVAL) == (error.n_errors > 0));
        FUZZ_ASSERT((r < 0) == !config);
        if (r < 0)
                return;
        first = print_nsregc(config, &first_length);
        FUZZ_ASSERT(nsregc_config_parse("printed", first, first_length, &again, &error) >= 0);
        second = print_nsregc(again, &second_length);
        FUZZ_ASSERT(first_length == second_length && memcmp(first, second, first_length) == 0);
}

static void fuzz_nsregd(const char *text, size_t length)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_free_ char *printed = NULL;
        size_t printed_length;
        FILE *out;
        int r;

        r = nsregd_config_parse("input", text, length, &config, &error);
        FUZZ_ASSERT((r == -EINVAL) == (error.n_errors > 0));
        FUZZ_ASSERT((r < 0) == !config);
        if (r < 0)
                return;
        out = open_memstream(&printed, &printed_length);
        FUZZ_ASSERT(out);
        nsregd_config_print(config, out);
        fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_nsregd((const char *) data, size);
        fuzz_nsregc((const char *) data, size);
        return 0;
}
