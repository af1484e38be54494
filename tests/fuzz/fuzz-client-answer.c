/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nsregc is told from outside: a registrar's answer, a name server's records, files of the system. */

#include <ctype.h>

#include "fuzz.h"
#include "net/reply.h"
#include "nsregc/hostname.h"
#include "nsregc/link.h"
#include "nsregc/random.h"
#include "nsregc/record.h"
#include "nsregc/resolv-conf.h"
#include "nsregc/resolve-answer.h"
#include "nsregc/update.h"

static void answer(const uint8_t *data, size_t size)
{
        struct update_answer told;
        struct dns_name name;

        FUZZ_ASSERT(dns_name_parse("box.d.example", &name) == 0);
        if (update_answer_read(data, size, &name, &told) < 0)
                return;
        FUZZ_ASSERT(strlen(told.text) < sizeof(told.text));
        for (const char *c = told.text; *c; c++)
                FUZZ_ASSERT(isprint((unsigned char) *c));
        for (size_t i = 1; i < told.granted.n_items; i++)
                FUZZ_ASSERT(address_compare(&told.granted.items[i - 1].address,
                                            &told.granted.items[i].address) < 0);
        update_answer_clear(&told);
}

static void told(const struct dns_message *message)
{
        struct resolve_question question = { .type = DNS_TYPE_SRV, .server = "192.0.2.1", .port = 53 };
        char why[RESOLVE_WHY_MAX];
        struct dns_name name;

        FUZZ_ASSERT(dns_name_parse("_nsreg._tcp.d.example", &name) == 0);
        question.name = &name;
        (void) resolve_negative_ttl(message);
        (void) resolve_dislikes_edns(message);
        resolve_why_rcode(&question, message, why);
        for (const char *c = why; *c; c++)
                FUZZ_ASSERT(isprint((unsigned char) *c));
}

static void records(const uint8_t *data, size_t size)
{
        static struct dns_message message;
        struct record_list list = { 0 };

        if (dns_message_walk(data, size, NULL, &message, NULL) >= 0) {
                (void) record_list_read(&list, &message);
                told(&message);
        }
        (void) record_list_read_raw(&list, data, size);
        FUZZ_ASSERT(list.n_items <= RECORDS_MAX);
        record_list_order(&list, random_below, NULL);
        for (size_t i = 1; i < list.n_items; i++)
                FUZZ_ASSERT(list.items[i - 1].priority <= list.items[i].priority);
        record_list_clear(&list);
}

static void texts(const uint8_t *data, size_t size)
{
        char *text = strndup((const char *) data, size), label[HOSTNAME_LABEL_MAX];
        struct resolv_conf conf = { 0 };
        struct name_list domains = { 0 };

        FUZZ_ASSERT(text);
        if (resolv_conf_parse(text, &conf) >= 0)
                FUZZ_ASSERT(conf.servers.n_items <= SERVER_LIST_MAX);
        resolv_conf_clear(&conf);
        (void) networkd_state_parse(text, &domains);
        name_list_clear(&domains);
        if (hostname_parse(text, label) >= 0)
                FUZZ_ASSERT(dns_label_is_ldh((const uint8_t *) label, strlen(label)));
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        answer(data, size);
        records(data, size);
        texts(data, size);
        /* The first half as a request of ours, the second as the datagram that claims to answer it. */
        (void) dns_reply_matches(data, size / 2, data + size / 2, size - size / 2, size % 2 == 0);
        return 0;
}
