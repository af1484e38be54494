/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Machines as they are, in the words in which the kernel tells of them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "nsregc/address-table.h"
#include "nsregc/link-choice.h"
#include "util/macro.h"

#define NOW       (1000 * USEC_PER_SEC)
#define RUNS      (IFF_UP | IFF_RUNNING)
#define ELSEWHERE UINT32_MAX

enum operstate {
        UNKNOWN = 0,
        DOWN = 2,
        LOWER_LAYER_DOWN = 3,
        DORMANT = 5,
        UP = 6,
};

struct machine {
        struct address_table table;
        struct string_list globs;
        struct prefix_list exclude;
        struct address_rules rules;
        uint32_t last;
};

static int set_up(void **state)
{
        struct machine *machine = calloc(1, sizeof(*machine));

        machine->rules = (struct address_rules){ .interfaces = &machine->globs,
                                                 .exclude_subnets = &machine->exclude };
        *state = machine;
        return 0;
}

static int tear_down(void **state)
{
        struct machine *machine = *state;

        address_table_clear(&machine->table);
        string_list_clear(&machine->globs);
        free(machine);
        return 0;
}

struct link_words {
        const char *name, *kind;
        uint32_t flags;
        enum operstate operstate;
        uint32_t master, lower;
};

static void tell_link(struct machine *machine, uint32_t ifindex, const struct link_words *words, usec_t now)
{
        char buffer[512] __attribute__((aligned(8)));
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct ifinfomsg *message;

        header->nlmsg_type = RTM_NEWLINK;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->ifi_family = AF_UNSPEC;
        message->ifi_index = (int) ifindex;
        message->ifi_flags = words->flags;
        mnl_attr_put_strz(header, IFLA_IFNAME, words->name);
        mnl_attr_put_u8(header, IFLA_OPERSTATE, (uint8_t) words->operstate);
        if (words->master)
                mnl_attr_put_u32(header, IFLA_MASTER, words->master);
        if (words->lower == ELSEWHERE) {
                mnl_attr_put_u32(header, IFLA_LINK, 7);
                mnl_attr_put_u32(header, IFLA_LINK_NETNSID, 0);
        } else if (words->lower)
                mnl_attr_put_u32(header, IFLA_LINK, words->lower);
        if (words->kind) {
                struct nlattr *info = mnl_attr_nest_start(header, IFLA_LINKINFO);

                mnl_attr_put_str(header, IFLA_INFO_KIND, words->kind);
                mnl_attr_nest_end(header, info);
        }
        assert_true(address_table_apply(&machine->table, header, now) >= 0);
}

static void tell_address(struct machine *machine, uint32_t ifindex, const char *text)
{
        char buffer[256] __attribute__((aligned(8)));
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct ifaddrmsg *message;
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        header->nlmsg_type = RTM_NEWADDR;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->ifa_family = address.family;
        message->ifa_prefixlen = 24;
        message->ifa_scope = RT_SCOPE_UNIVERSE;
        message->ifa_index = ifindex;
        mnl_attr_put(header, IFA_LOCAL, address_size(&address), address.bytes);
        assert_true(address_table_apply(&machine->table, header, NOW) > 0);
}

/* A link that is up, with an address (NULL: none). Returns its index. */
static uint32_t add(struct machine *machine, struct link_words words, const char *address)
{
        uint32_t ifindex = ++machine->last;

        words.flags |= RUNS;
        if (words.operstate == UNKNOWN)
                words.operstate = UP;
        tell_link(machine, ifindex, &words, NOW);
        if (address)
                tell_address(machine, ifindex, address);
        return ifindex;
}

static void default_route(struct machine *machine, uint32_t ifindex)
{
        link_table_find(&machine->table.links, ifindex)->default_route = true;
}

static void expect_at(struct machine *machine, usec_t now, const char *wanted, const char *spare)
{
        struct address_set set;
        char text[ADDRESS_SET_TEXT_MAX];

        assert_int_equal(address_set_compute(&machine->table, &machine->rules, now, &set), 0);
        assert_string_equal(address_set_text(&set, NULL, text), wanted);
        address_set_clear(&set);
        if (!spare)
                return;
        assert_int_equal(address_set_compute_spare(&machine->table, &machine->rules, now, &set), 0);
        assert_string_equal(address_set_text(&set, NULL, text), spare);
        address_set_clear(&set);
}

static void expect(struct machine *machine, const char *wanted)
{
        expect_at(machine, NOW, wanted, NULL);
}

/* The rule that left this address out. */
static void expect_rule(struct machine *machine, const char *address, const char *rule)
{
        struct left_out_list list;
        bool found = false;

        assert_int_equal(address_table_left_out(&machine->table, &machine->rules, NOW, &list), 0);
        for (size_t i = 0; i < list.n_items; i++) {
                char text[ADDRESS_FORMAT_MAX];

                if (!streq(address_format(&list.items[i].address, text), address))
                        continue;
                assert_string_equal(list.items[i].rule, rule);
                found = true;
        }
        free(list.items);
        assert_true(found);
}

static bool asks(struct machine *machine)
{
        return address_table_asks_for_routes(&machine->table, &machine->rules, NOW);
}

#define LINK(...) ((struct link_words){ __VA_ARGS__ })

static void test_docker_host(void **state)
{
        struct machine *machine = *state;
        uint32_t docker0;

        (void) add(machine, LINK("eth0"), "192.168.1.5");
        assert_false(asks(machine));
        docker0 = add(machine, LINK("docker0", "bridge"), "172.17.0.1");
        assert_true(asks(machine));
        (void) add(machine, LINK("veth12ab", "veth", .master = docker0, .lower = ELSEWHERE), NULL);
        expect_at(machine, NOW, "192.168.1.5", "172.17.0.1");
        expect_rule(machine, "172.17.0.1", "a bridge inside this machine, without a default route");
}

static void test_virtual_machines(void **state)
{
        struct machine *machine = *state;
        uint32_t virbr0;

        (void) add(machine, LINK("enp3s0"), "192.168.1.5");
        virbr0 = add(machine, LINK("virbr0", "bridge"), "192.168.122.1");
        (void) add(machine, LINK("vnet0", "tun", .master = virbr0), NULL);
        expect(machine, "192.168.1.5");
}

static void test_kubernetes_node(void **state)
{
        struct machine *machine = *state;
        uint32_t cni0;

        (void) add(machine, LINK("eth0"), "10.0.0.11");
        cni0 = add(machine, LINK("cni0", "bridge"), "10.244.1.1");
        (void) add(machine, LINK("veth1", "veth", .master = cni0, .lower = ELSEWHERE), NULL);
        (void) add(machine, LINK("flannel.1", "vxlan"), "10.244.1.0");
        (void) add(machine, LINK("kube-ipvs0", "dummy"), "10.96.0.1");
        (void) add(machine, LINK("nodelocaldns", "dummy"), "169.254.20.10");
        (void) add(machine, LINK("cali1", "veth", .lower = ELSEWHERE), "10.244.9.9");
        (void) add(machine, LINK("tunl0", "ipip"), "10.244.7.7");
        expect(machine, "10.0.0.11");
        expect_rule(machine, "10.96.0.1", "a link of kind dummy");
        expect_rule(machine, "10.244.1.0", "a link of kind vxlan");
        expect_rule(machine, "10.244.9.9", "a link of kind veth without a default route");
}

static void test_cilium_node(void **state)
{
        struct machine *machine = *state;

        (void) add(machine, LINK("ens5"), "172.31.1.1");
        (void) add(machine, LINK("cilium_host", "veth"), "10.0.1.7");
        (void) add(machine, LINK("lxc1", "netkit", .lower = ELSEWHERE), "10.0.1.8");
        (void) add(machine, LINK("cilium_vxlan", "vxlan"), NULL);
        expect(machine, "172.31.1.1");
}

static void test_proxmox_host(void **state)
{
        struct machine *machine = *state;
        uint32_t vmbr0, vmbr1;

        vmbr0 = add(machine, LINK("vmbr0", "bridge"), "192.168.1.10");
        (void) add(machine, LINK("eno1", .master = vmbr0), NULL);
        (void) add(machine, LINK("tap100i0", "tun", .master = vmbr0), NULL);
        vmbr1 = add(machine, LINK("vmbr1", "bridge"), "10.10.10.1");
        (void) add(machine, LINK("fwpr1", "veth", .master = vmbr1), NULL);
        expect(machine, "192.168.1.10");
        /* A tagged network on the same bridge is one like it. */
        (void) add(machine, LINK("vmbr0.5", "vlan", .lower = vmbr0), "192.168.5.10");
        (void) add(machine, LINK("vmbr1.5", "vlan", .lower = vmbr1), "10.10.5.1");
        expect(machine, "192.168.1.10, 192.168.5.10");
        expect_rule(machine, "10.10.5.1", "the link below it is left out");
}

static void test_container(void **state)
{
        struct machine *machine = *state;
        uint32_t eth0 = add(machine, LINK("eth0", "veth", .lower = ELSEWHERE), "10.0.3.5");

        assert_true(asks(machine));
        expect_at(machine, NOW, "", "10.0.3.5");
        default_route(machine, eth0);
        expect_at(machine, NOW, "10.0.3.5", "");
        /* What is nested in it leads further in. */
        (void) add(machine, LINK("ve-inner", "veth", .lower = ELSEWHERE), "192.168.9.1");
        expect(machine, "10.0.3.5");
}

static void test_macvlan_container(void **state)
{
        struct machine *machine = *state;

        (void) add(machine, LINK("mv-eth0", "macvlan", .lower = ELSEWHERE), "192.168.1.77");
        assert_false(asks(machine));
        expect(machine, "192.168.1.77");
}

static void test_router_with_radio_only(void **state)
{
        struct machine *machine = *state;
        uint32_t bridge = add(machine, LINK("br-lan", "bridge"), "192.168.1.1");

        (void) add(machine, LINK("wlan0", .master = bridge), NULL);
        expect(machine, "192.168.1.1");
}

static void test_address_on_loopback(void **state)
{
        struct machine *machine = *state;

        (void) add(machine, LINK("lo", NULL, IFF_LOOPBACK), "192.0.2.53");
        (void) add(machine, LINK("eth0"), "10.0.0.1");
        expect_at(machine, NOW, "10.0.0.1", "");
        expect_rule(machine, "192.0.2.53", "loopback");
        assert_int_equal(string_list_add(&machine->globs, "lo"), 0);
        expect(machine, "192.0.2.53");
}

static void test_vpn(void **state)
{
        struct machine *machine = *state;
        uint32_t wg0;

        (void) add(machine, LINK("wlan0"), "192.168.1.5");
        (void) add(machine, LINK("tun0", "tun", IFF_POINTOPOINT), "10.8.0.6");
        wg0 = add(machine, LINK("wg0", "wireguard", IFF_POINTOPOINT), "10.9.0.2");
        /* Even where everything goes through it. */
        default_route(machine, wg0);
        expect_at(machine, NOW, "192.168.1.5", "10.8.0.6, 10.9.0.2");
        expect_rule(machine, "10.8.0.6", "a point-to-point link");
}

static void test_never(void **state)
{
        static const char *const kinds[] = { "tun", "wireguard", "ovpn", "gre",  "gretap", "ipip",
                                             "sit", "ip6tnl",    "vti",  "xfrm", "vxlan",  "geneve",
                                             "ppp", "dummy",     "ifb",  "vrf" };
        struct machine *machine = *state;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                uint32_t ifindex = add(machine, LINK("x0", kinds[i]), "10.1.1.1");

                default_route(machine, ifindex);
                expect(machine, "");
        }
}

static void test_everything_else(void **state)
{
        struct machine *machine = *state;
        uint32_t eth0 = add(machine, LINK("eth0"), NULL);

        (void) add(machine, LINK("bond0", "bond"), "10.0.0.1");
        (void) add(machine, LINK("team0", "team"), "10.0.0.2");
        (void) add(machine, LINK("eth0.7", "vlan", .lower = eth0), "10.0.0.3");
        (void) add(machine, LINK("ib0", "ipoib"), "10.0.0.4");
        (void) add(machine, LINK("usb0"), "10.0.0.5");
        expect(machine, "10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5");
}

static void test_open_vswitch(void **state)
{
        struct machine *machine = *state;
        uint32_t bridge = add(machine, LINK("br-ex", "openvswitch"), "10.0.0.1");

        assert_true(asks(machine));
        expect(machine, "");
        default_route(machine, bridge);
        expect(machine, "10.0.0.1");
}

static void test_globs_override(void **state)
{
        struct machine *machine = *state;

        (void) add(machine, LINK("eth0"), "10.0.0.1");
        (void) add(machine, LINK("tun0", "tun", IFF_POINTOPOINT), "10.8.0.6");
        (void) add(machine, LINK("docker0", "bridge"), "172.17.0.1");
        /* An exclusion alone names nothing. */
        assert_int_equal(string_list_add(&machine->globs, "!eth0"), 0);
        expect_at(machine, NOW, "", "10.8.0.6, 172.17.0.1");
        expect_rule(machine, "10.0.0.1", "excluded by interfaces");
        string_list_clear(&machine->globs);
        assert_int_equal(string_list_add(&machine->globs, "tun*"), 0);
        assert_int_equal(string_list_add(&machine->globs, "docker0"), 0);
        assert_false(asks(machine));
        expect(machine, "10.8.0.6, 172.17.0.1");
        expect_rule(machine, "10.0.0.1", "not named by interfaces");
        string_list_clear(&machine->globs);
}

static void test_links_that_do_not_run(void **state)
{
        static const struct {
                uint32_t flags;
                enum operstate operstate;
                bool runs;
        } cases[] = {
                { RUNS, UP, true },    { RUNS, UNKNOWN, true },        { IFF_UP, DOWN, false },
                { IFF_UP, UP, false }, { IFF_RUNNING, UP, false },     { RUNS, DORMANT, false },
                { 0, DOWN, false },    { RUNS | 1u << 17, UP, false }, { IFF_UP, LOWER_LAYER_DOWN, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct machine *machine;
                struct link_words words = LINK("eth0", NULL, cases[i].flags, cases[i].operstate);

                assert_int_equal(set_up((void **) &machine), 0);
                tell_link(machine, 1, &words, NOW);
                tell_address(machine, 1, "10.0.0.1");
                expect_at(machine, NOW, cases[i].runs ? "10.0.0.1" : "", "");
                if (!cases[i].runs)
                        expect_rule(machine, "10.0.0.1", "the link is down");
                (void) tear_down((void **) &machine);
        }
}

static void test_carrier_lost_for_a_moment(void **state)
{
        struct machine *machine = *state;
        struct link_words runs = LINK("eth0", NULL, RUNS, UP), lost = LINK("eth0", NULL, IFF_UP, DOWN),
                          down = LINK("eth0", NULL, 0, DOWN);
        usec_t soon = NOW + 4 * USEC_PER_SEC, late = NOW + 6 * USEC_PER_SEC;

        tell_link(machine, 1, &runs, NOW);
        tell_address(machine, 1, "10.0.0.1");
        assert_true(link_table_next_loss(&machine->table.links, NOW) == USEC_INFINITY);
        tell_link(machine, 1, &lost, NOW);
        assert_true(link_table_next_loss(&machine->table.links, NOW) == NOW + 5 * USEC_PER_SEC);
        expect_at(machine, soon, "10.0.0.1", NULL);
        expect_at(machine, late, "", NULL);
        /* Told again, the loss is as old as it is. */
        tell_link(machine, 1, &lost, soon);
        expect_at(machine, late, "", NULL);
        tell_link(machine, 1, &runs, late);
        expect_at(machine, late, "10.0.0.1", NULL);
        /* Taken down on purpose: at once. */
        tell_link(machine, 1, &down, late);
        expect_at(machine, late, "", NULL);
}

/* Wireless drivers tell of their own affairs with the name alone. */
static void test_events_without_the_rest(void **state)
{
        struct machine *machine = *state;
        char buffer[256] __attribute__((aligned(8)));
        struct nlmsghdr *header;
        struct ifinfomsg *message;
        uint32_t bridge = add(machine, LINK("docker0", "bridge"), "172.17.0.1");

        header = mnl_nlmsg_put_header(buffer);
        header->nlmsg_type = RTM_NEWLINK;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->ifi_family = AF_UNSPEC;
        message->ifi_index = (int) bridge;
        message->ifi_flags = RUNS;
        mnl_attr_put_strz(header, IFLA_IFNAME, "docker0");
        assert_int_equal(address_table_apply(&machine->table, header, NOW), 0);
        expect(machine, "");
}

static void test_circle(void **state)
{
        struct machine *machine = *state;

        (void) add(machine, LINK("a", "vlan", .lower = 2), "10.0.0.1");
        (void) add(machine, LINK("b", "vlan", .lower = 1), "10.0.0.2");
        (void) asks(machine);
        expect(machine, "10.0.0.1, 10.0.0.2");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                TEST(test_docker_host),
                TEST(test_virtual_machines),
                TEST(test_kubernetes_node),
                TEST(test_cilium_node),
                TEST(test_proxmox_host),
                TEST(test_container),
                TEST(test_macvlan_container),
                TEST(test_router_with_radio_only),
                TEST(test_address_on_loopback),
                TEST(test_vpn),
                TEST(test_never),
                TEST(test_everything_else),
                TEST(test_open_vswitch),
                TEST(test_globs_override),
                TEST(test_links_that_do_not_run),
                TEST(test_carrier_lost_for_a_moment),
                TEST(test_events_without_the_rest),
                TEST(test_circle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
