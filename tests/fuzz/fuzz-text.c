/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that becomes a value: names, addresses, prefixes, spans of time, algorithms. What was read is written,
 * and what was written is read as the same. */

#include "dns/name.h"
#include "dns/tsig.h"
#include "fuzz.h"
#include "util/address.h"
#include "util/escape.h"
#include "util/time.h"

static void check_name(const char *text)
{
        char formatted[DNS_NAME_FORMAT_MAX];
        struct dns_name name, again;
        struct address address;

        if (dns_name_parse(text, &name) < 0)
                return;

        for (const char *p = dns_name_format(&name, formatted); *p; p++)
                FUZZ_ASSERT(*p > ' ' && *p <= '~');
        FUZZ_ASSERT(dns_name_parse(formatted, &again) == 0);
        FUZZ_ASSERT(dns_name_equal(&name, &again));

        if (dns_name_reverse_parse(&name, &address) >= 0) {
                again = dns_name_reverse(&address);
                FUZZ_ASSERT(dns_name_equal(&name, &again));
        }
}

static void check_prefix(const char *text)
{
        char formatted[PREFIX_FORMAT_MAX];
        struct prefix prefix, again;

        if (prefix_parse(text, &prefix) < 0)
                return;

        FUZZ_ASSERT(prefix_contains(&prefix, &prefix.base));
        FUZZ_ASSERT(prefix_parse(prefix_format(&prefix, formatted), &again) == 0);
        FUZZ_ASSERT(again.length == prefix.length && address_equal(&again.base, &prefix.base));
}

static void check_span(const char *text)
{
        char formatted[TIME_SPAN_FORMAT_MAX];
        usec_t span, again;

        if (time_span_parse(text, &span) < 0)
                return;

        FUZZ_ASSERT(time_span_parse(time_span_format(formatted, sizeof(formatted), span), &again) == 0);
        FUZZ_ASSERT(span == again);
}

static void check_escape(const uint8_t *data, size_t size)
{
        char buffer[64];

        for (const char *p = escape_bytes(buffer, sizeof(buffer), data, size); *p; p++)
                FUZZ_ASSERT(*p >= ' ' && *p <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size);
        enum tsig_algorithm algorithm;
        struct dns_name name;

        check_name(text);
        check_prefix(text);
        check_span(text);
        check_escape(data, size);
        dns_algorithm_from_string(text);
        tsig_algorithm_from_string(text, &algorithm);
        if (dns_name_from_wire(data, size, &name) >= 0)
                FUZZ_ASSERT(name.length == size);
        return 0;
}
