/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Record data: two octets of type, then data as it stands in a message behind a question. What is read is
 * canonical, shown as printable text, and what is shown is read as the same. */

#include "dns/rdata.h"
#include "fuzz.h"
#include "util/macro.h"

#define DATA_MAX 4096

static void check_text(uint16_t type, const uint8_t *octets, uint16_t length, bool canonical)
{
        _cleanup_free_ char *text = rdata_format(type, octets, length);
        _cleanup_free_ uint8_t *again = NULL;
        uint16_t length_again;
        int r;

        FUZZ_ASSERT(text);
        for (const char *p = text; *p; p++)
                FUZZ_ASSERT(*p >= ' ' && *p <= '~');
        /* ldns reads lines of a bounded length. */
        if (!canonical || !rdata_type_to_string(type) || strlen(text) > 4000)
                return;
        r = rdata_parse(type, text, &again, &length_again);
        FUZZ_ASSERT(r == 0);
        FUZZ_ASSERT(length == length_again && memcmp(octets, again, length) == 0);
}

static void check_rr(const struct dns_message *message, const struct dns_rr *rr, bool as_answer)
{
        _cleanup_free_ uint8_t *octets = NULL;
        const char *why = NULL;
        uint16_t length;
        int r;

        r = rdata_read(message, rr, as_answer, &octets, &length, &why);
        FUZZ_ASSERT(r == 0 || (r == -EBADMSG && why && !octets));
        if (r == 0)
                check_text(rr->type, octets, length, true);
        if (r == 0 && !as_answer)
                FUZZ_ASSERT(length == rr->rdlength);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct dns_message message;
        static uint8_t wire[DATA_MAX + 512];
        const struct dns_name name = { .length = 9, .wire = "\3foo\3bar" };
        struct dns_builder builder;
        uint16_t type;
        ssize_t n;

        if (size < 2 || size > DATA_MAX)
                return 0;
        type = (uint16_t) (data[0] << 8 | data[1]);
        check_text(type, data + 2, (uint16_t) (size - 2), false);
        dns_builder_begin(&builder, wire, sizeof(wire), 1, DNS_FLAG_QR);
        dns_builder_question(&builder, &name, DNS_TYPE_SOA, DNS_CLASS_IN);
        dns_builder_rr(&builder, DNS_SECTION_ANSWER, &name, type, DNS_CLASS_IN, 60, data + 2, size - 2);
        n = dns_builder_end(&builder);
        if (n < 0 || dns_message_walk(wire, (size_t) n, NULL, &message, NULL) < 0)
                return 0;
        for (unsigned i = 0; i < message.n_rrs; i++) {
                check_rr(&message, &message.rrs[i], false);
                check_rr(&message, &message.rrs[i], true);
        }
        return 0;
}
