/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "nsregc/address-table.h"
#include "util/macro.h"

#define NOW      (1000 * USEC_PER_SEC)
#define INFINITE UINT32_MAX

static char buffer[512] __attribute__((aligned(8)));

static struct address parse(const char *text)
{
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        return address;
}

/* As the kernel words it. */
static int apply_address(struct address_table *table, uint16_t type, uint32_t ifindex, const char *text,
                         uint8_t length, uint32_t flags, uint8_t scope, uint32_t valid)
{
        struct address address = parse(text);
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct ifaddrmsg *message;
        struct ifa_cacheinfo info = { .ifa_valid = valid, .ifa_prefered = valid };

        header->nlmsg_type = type;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->ifa_family = address.family;
        message->ifa_prefixlen = length;
        message->ifa_flags = (uint8_t) flags;
        message->ifa_scope = scope;
        message->ifa_index = ifindex;
        mnl_attr_put(header, IFA_ADDRESS, address_size(&address), address.bytes);
        mnl_attr_put_u32(header, IFA_FLAGS, flags);
        mnl_attr_put(header, IFA_CACHEINFO, sizeof(info), &info);
        return address_table_apply(table, header, NOW);
}

static int add(struct address_table *table, uint32_t ifindex, const char *text, uint32_t flags)
{
        return apply_address(table, RTM_NEWADDR, ifindex, text, 24, flags, RT_SCOPE_UNIVERSE, INFINITE);
}

/* Of the hardware's own kind, and up. */
static int apply_link(struct address_table *table, uint16_t type, int ifindex, const char *name)
{
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct ifinfomsg *message;

        header->nlmsg_type = type;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->ifi_family = AF_UNSPEC;
        message->ifi_index = ifindex;
        message->ifi_flags = IFF_UP | IFF_RUNNING | (streq(name, "lo") ? IFF_LOOPBACK : 0);
        mnl_attr_put_strz(header, IFLA_IFNAME, name);
        mnl_attr_put_u8(header, IFLA_OPERSTATE, 6);
        return address_table_apply(table, header, NOW);
}

struct lab {
        struct address_table table;
        struct string_list globs;
        struct prefix_list exclude;
        struct address_rules rules;
};

static int set_up(void **state)
{
        struct lab *lab = calloc(1, sizeof(*lab));

        assert_int_equal(prefix_list_parse_add(&lab->exclude, "127.0.0.0/8"), 0);
        assert_int_equal(prefix_list_parse_add(&lab->exclude, "fe80::/10"), 0);
        lab->rules = (struct address_rules){ .interfaces = &lab->globs, .exclude_subnets = &lab->exclude };
        apply_link(&lab->table, RTM_NEWLINK, 1, "lo");
        apply_link(&lab->table, RTM_NEWLINK, 2, "eth0");
        apply_link(&lab->table, RTM_NEWLINK, 3, "wlan0");
        *state = lab;
        return 0;
}

static int tear_down(void **state)
{
        struct lab *lab = *state;

        address_table_clear(&lab->table);
        string_list_clear(&lab->globs);
        prefix_list_clear(&lab->exclude);
        free(lab);
        return 0;
}

/* The set, as "a b c". */
static void expect(struct lab *lab, const char *wanted)
{
        struct address_set set;
        char text[1024] = "", one[ADDRESS_FORMAT_MAX];

        assert_int_equal(address_set_compute(&lab->table, &lab->rules, NOW, &set), 0);
        for (size_t i = 0; i < set.n_items; i++) {
                strcat(text, i > 0 ? " " : "");
                strcat(text, address_format(&set.items[i].address, one));
        }
        assert_string_equal(text, wanted);
        address_set_clear(&set);
}

static void test_flags(void **state)
{
        struct lab *lab = *state;

        add(&lab->table, 2, "10.0.0.1", 0);
        add(&lab->table, 2, "10.0.0.2", IFA_F_SECONDARY);
        add(&lab->table, 2, "10.0.0.3", IFA_F_DEPRECATED);
        add(&lab->table, 2, "fd00::1", IFA_F_PERMANENT);
        add(&lab->table, 2, "fd00::2", IFA_F_TENTATIVE);
        add(&lab->table, 2, "fd00::3", IFA_F_DADFAILED | IFA_F_PERMANENT);
        add(&lab->table, 2, "fd00::4", IFA_F_DEPRECATED);
        add(&lab->table, 2, "fd00::5", IFA_F_TEMPORARY);
        add(&lab->table, 2, "fd00::6", IFA_F_OPTIMISTIC | IFA_F_TENTATIVE);
        add(&lab->table, 2, "fd00::7", IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE);
        expect(lab, "10.0.0.1 10.0.0.2 fd00::1 fd00::7");
        lab->rules.ipv6_temporary = true;
        expect(lab, "10.0.0.1 10.0.0.2 fd00::1 fd00::5 fd00::7");
}

static void test_scope_and_subnets(void **state)
{
        struct lab *lab = *state;

        add(&lab->table, 1, "127.0.0.1", 0);
        apply_address(&lab->table, RTM_NEWADDR, 2, "169.254.3.3", 16, 0, RT_SCOPE_LINK, INFINITE);
        apply_address(&lab->table, RTM_NEWADDR, 2, "fe80::1", 64, 0, RT_SCOPE_LINK, INFINITE);
        apply_address(&lab->table, RTM_NEWADDR, 2, "10.9.9.9", 32, 0, RT_SCOPE_HOST, INFINITE);
        expect(lab, "");
        add(&lab->table, 2, "127.5.5.5", 0); /* global scope, but excluded */
        expect(lab, "");
        prefix_list_clear(&lab->exclude);
        expect(lab, "127.5.5.5");
        /* Loopback only by name. */
        string_list_add(&lab->globs, "*");
        expect(lab, "127.0.0.1 127.5.5.5");
}

static void test_lifetimes(void **state)
{
        struct lab *lab = *state;
        struct address_set a, b;

        apply_address(&lab->table, RTM_NEWADDR, 2, "10.0.0.1", 24, 0, RT_SCOPE_UNIVERSE, 100);
        apply_address(&lab->table, RTM_NEWADDR, 2, "10.0.0.2", 24, 0, RT_SCOPE_UNIVERSE, INFINITE);
        assert_int_equal(address_set_compute(&lab->table, &lab->rules, NOW, &a), 0);
        assert_int_equal(a.items[0].valid_until_usec, NOW + 100 * USEC_PER_SEC);
        assert_true(a.items[1].valid_until_usec == USEC_INFINITY);
        apply_address(&lab->table, RTM_NEWADDR, 2, "10.0.0.1", 24, 0, RT_SCOPE_UNIVERSE, 500);
        assert_int_equal(address_set_compute(&lab->table, &lab->rules, NOW, &b), 0);
        assert_true(address_set_equal(&a, &b));
        assert_int_equal(b.items[0].valid_until_usec, NOW + 500 * USEC_PER_SEC);
        address_set_clear(&a);
        address_set_clear(&b);
        apply_address(&lab->table, RTM_NEWADDR, 2, "10.0.0.1", 24, 0, RT_SCOPE_UNIVERSE, 0);
        expect(lab, "10.0.0.2");
}

static void test_globs(void **state)
{
        struct lab *lab = *state;

        add(&lab->table, 2, "10.0.0.1", 0);
        add(&lab->table, 3, "10.0.1.1", 0);
        add(&lab->table, 9, "10.0.9.1", 0); /* of a link that is told of later */
        expect(lab, "10.0.0.1 10.0.1.1");
        apply_link(&lab->table, RTM_NEWLINK, 9, "wwan0");
        expect(lab, "10.0.0.1 10.0.1.1 10.0.9.1");
        string_list_add(&lab->globs, "eth*");
        expect(lab, "10.0.0.1");
        string_list_add(&lab->globs, "!eth0");
        expect(lab, "");
        string_list_clear(&lab->globs);
        string_list_add(&lab->globs, "!eth0");
        expect(lab, "10.0.1.1 10.0.9.1");
        apply_link(&lab->table, RTM_NEWLINK, 2, "lan0");
        expect(lab, "10.0.0.1 10.0.1.1 10.0.9.1");
}

static void test_same_address_twice(void **state)
{
        struct lab *lab = *state;

        add(&lab->table, 2, "10.0.0.1", 0);
        add(&lab->table, 3, "10.0.0.1", 0);
        expect(lab, "10.0.0.1");
        assert_int_equal(
                apply_address(&lab->table, RTM_DELADDR, 2, "10.0.0.1", 24, 0, RT_SCOPE_UNIVERSE, INFINITE),
                ADDRESS_TABLE_OTHER);
        expect(lab, "10.0.0.1");
        apply_link(&lab->table, RTM_DELLINK, 3, "wlan0");
        expect(lab, "");
}

static void test_extra(void **state)
{
        struct lab *lab = *state;
        struct address extra[] = { parse("127.9.9.9"), parse("10.0.0.1") };

        lab->rules.extra = extra;
        lab->rules.n_extra = 2;
        add(&lab->table, 2, "10.0.0.1", 0);
        expect(lab, "10.0.0.1 127.9.9.9");
}

static void test_dump_removes_what_it_does_not_name(void **state)
{
        struct lab *lab = *state;

        add(&lab->table, 2, "10.0.0.1", 0);
        add(&lab->table, 2, "10.0.0.2", 0);
        address_table_dump_begin(&lab->table, false);
        add(&lab->table, 2, "10.0.0.2", 0);
        add(&lab->table, 2, "10.0.0.3", 0);
        address_table_dump_end(&lab->table, false);
        expect(lab, "10.0.0.2 10.0.0.3");
        assert_int_equal(lab->table.links.n_items, 3);
        address_table_dump_begin(&lab->table, true);
        apply_link(&lab->table, RTM_NEWLINK, 2, "eth0");
        address_table_dump_end(&lab->table, true);
        assert_int_equal(lab->table.links.n_items, 1);
}

static void test_point_to_point(void **state)
{
        struct lab *lab = *state;
        struct address local = parse("10.8.0.2"), remote = parse("10.8.0.1");
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct ifaddrmsg *message;

        header->nlmsg_type = RTM_NEWADDR;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->ifa_family = AF_INET;
        message->ifa_prefixlen = 32;
        message->ifa_index = 2;
        mnl_attr_put(header, IFA_ADDRESS, 4, remote.bytes);
        mnl_attr_put(header, IFA_LOCAL, 4, local.bytes);
        assert_int_equal(address_table_apply(&lab->table, header, NOW), ADDRESS_TABLE_OTHER);
        expect(lab, "10.8.0.2");
}

static void test_malformed(void **state)
{
        struct lab *lab = *state;
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct ifaddrmsg *message;

        header->nlmsg_type = RTM_NEWADDR; /* no payload at all */
        assert_int_equal(address_table_apply(&lab->table, header, NOW), 0);
        header = mnl_nlmsg_put_header(buffer);
        header->nlmsg_type = RTM_NEWLINK;
        assert_int_equal(address_table_apply(&lab->table, header, NOW), 0);
        header = mnl_nlmsg_put_header(buffer);
        header->nlmsg_type = RTM_NEWADDR;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->ifa_family = AF_INET6;
        mnl_attr_put(header, IFA_ADDRESS, 4, "abcd"); /* an IPv4 address in an IPv6 message */
        assert_int_equal(address_table_apply(&lab->table, header, NOW), 0);
        expect(lab, "");
}

static void test_networks(void **state)
{
        struct lab *lab = *state;
        struct prefix_list networks;
        char text[PREFIX_FORMAT_MAX];

        add(&lab->table, 2, "192.168.1.5", 0);
        add(&lab->table, 3, "192.168.1.6", 0);
        add(&lab->table, 1, "127.0.0.1", 0);
        assert_int_equal(address_table_networks(&lab->table, &lab->rules, NOW, &networks), 0);
        assert_int_equal(networks.n_items, 1);
        assert_string_equal(prefix_format(&networks.items[0], text), "192.168.1.0/24");
        prefix_list_clear(&networks);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_flags),
                TEST(test_scope_and_subnets),
                TEST(test_lifetimes),
                TEST(test_globs),
                TEST(test_same_address_twice),
                TEST(test_extra),
                TEST(test_dump_removes_what_it_does_not_name),
                TEST(test_point_to_point),
                TEST(test_malformed),
                TEST(test_networks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
