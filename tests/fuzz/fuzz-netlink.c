/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel says of links and addresses, as far as it is believed: messages whose header fits, one
 * after the other, and whatever is in them. */

#include <string.h>

#include "fuzz.h"
#include "nsregc/address-table.h"

#define NOW (1000 * USEC_PER_SEC)

static void check(const struct address_table *table, const struct address_rules *rules)
{
        struct left_out_list left_out = { 0 };
        struct prefix_list networks = { 0 };
        struct address_set set = { 0 }, spare = { 0 };

        FUZZ_ASSERT(address_set_compute(table, rules, NOW, &set) == 0);
        FUZZ_ASSERT(address_set_compute_spare(table, rules, NOW, &spare) == 0);
        FUZZ_ASSERT(set.n_items <= table->n_addresses);
        for (size_t i = 0; i < set.n_items; i++)
                FUZZ_ASSERT(!prefix_list_contains(rules->exclude_subnets, &set.items[i].address));
        FUZZ_ASSERT(address_table_left_out(table, rules, NOW, &left_out) == 0);
        for (size_t i = 0; i < left_out.n_items; i++)
                FUZZ_ASSERT(memchr(left_out.items[i].rule, '\0', sizeof(left_out.items[i].rule)));
        FUZZ_ASSERT(address_table_networks(table, rules, NOW, &networks) == 0);
        free(left_out.items);
        prefix_list_clear(&networks);
        address_set_clear(&set);
        address_set_clear(&spare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct prefix_list exclude;
        static const struct string_list interfaces;
        struct address_rules rules = { .interfaces = &interfaces, .exclude_subnets = &exclude };
        struct address_table table = { 0 };

        if (exclude.n_items == 0) {
                FUZZ_ASSERT(prefix_list_parse_add(&exclude, "127.0.0.0/8") == 0);
                FUZZ_ASSERT(prefix_list_parse_add(&exclude, "::1") == 0);
        }
        if (size > 0 && (data[0] & 1))
                address_table_dump_begin(&table, data[0] & 2);
        while (size >= sizeof(struct nlmsghdr)) {
                struct nlmsghdr header;
                uint8_t *exact;

                memcpy(&header, data, sizeof(header));
                /* The kernel's lengths are right, and what receives them checks that they are. */
                if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size)
                        header.nlmsg_len = (uint32_t) size;
                /* It pads the last one as well. */
                exact = calloc(1, NLMSG_ALIGN(header.nlmsg_len));
                FUZZ_ASSERT(exact);
                memcpy(exact, data, header.nlmsg_len);
                memcpy(exact, &header, sizeof(header));
                FUZZ_ASSERT(address_table_apply(&table, (const struct nlmsghdr *) exact, NOW) >= 0);
                free(exact);
                size -= header.nlmsg_len;
                data += header.nlmsg_len;
        }
        check(&table, &rules);
        address_table_dump_end(&table, true);
        address_table_dump_end(&table, false);
        check(&table, &rules);
        address_table_clear(&table);
        return 0;
}
