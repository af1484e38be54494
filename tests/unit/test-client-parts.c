/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "nsregc/hostname.h"
#include "nsregc/ledger.h"
#include "nsregc/link.h"
#include "nsregc/record.h"
#include "nsregc/resolv-conf.h"
#include "nsregc/schedule.h"
#include "util/file.h"

static struct dns_name named(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

/* ------ schedule ------ */

static void test_schedule(void **state)
{
        assert_int_equal(schedule_refresh(100, true, 0), 80 * USEC_PER_SEC);
        assert_true(schedule_refresh(100, true, SCHEDULE_LOT - 1) < 85 * USEC_PER_SEC);
        assert_true(schedule_refresh(100, true, SCHEDULE_LOT - 1) > 84 * USEC_PER_SEC);
        assert_int_equal(schedule_refresh(100, false, 500), 50 * USEC_PER_SEC);
        /* The longest lease there can be. */
        assert_true(schedule_refresh(UINT32_MAX, true, SCHEDULE_LOT - 1) < UINT32_MAX * USEC_PER_SEC);

        assert_int_equal(schedule_retry(1, SCHEDULE_LOT / 2), 2 * USEC_PER_SEC);
        assert_int_equal(schedule_retry(3, SCHEDULE_LOT / 2), 8 * USEC_PER_SEC);
        assert_int_equal(schedule_retry(1000000, SCHEDULE_LOT / 2), 5 * USEC_PER_MINUTE);
        assert_int_equal(schedule_retry(1, 0), 1500 * USEC_PER_MSEC);
        assert_int_equal(schedule_refused(1, SCHEDULE_LOT / 2), 10 * USEC_PER_MINUTE);
        assert_int_equal(schedule_refused(1000000, SCHEDULE_LOT / 2), 2 * USEC_PER_HOUR);

        assert_int_equal(schedule_twin(1, SCHEDULE_LOT / 2), 30 * USEC_PER_SEC);
        assert_int_equal(schedule_twin(3, SCHEDULE_LOT / 2), 2 * USEC_PER_MINUTE);
        assert_int_equal(schedule_twin(1000000, SCHEDULE_LOT / 2), 15 * USEC_PER_MINUTE);

        assert_int_equal(schedule_absent(0, 0, SCHEDULE_LOT / 2), 5 * USEC_PER_SEC);
        assert_int_equal(schedule_absent(1, 0, SCHEDULE_LOT / 2), 5 * USEC_PER_SEC);
        assert_int_equal(schedule_absent(3, 0, SCHEDULE_LOT / 2), 20 * USEC_PER_SEC);
        /* A week is what somebody once put into an SOA. */
        assert_int_equal(schedule_absent(4, 604800, SCHEDULE_LOT / 2), 40 * USEC_PER_SEC);
        assert_int_equal(schedule_absent(5, 604800, SCHEDULE_LOT / 2), 15 * USEC_PER_MINUTE);
        assert_int_equal(schedule_absent(5, 300, SCHEDULE_LOT / 2), 5 * USEC_PER_MINUTE);
        assert_int_equal(schedule_absent(1000000, UINT32_MAX, SCHEDULE_LOT / 2), 15 * USEC_PER_MINUTE);
}

/* ------ SRV order, RFC 2782 ------ */

static uint32_t lot_value;

static uint32_t lot(void *userdata, uint32_t below)
{
        return below == 0 ? 0 : lot_value % below;
}

static uint32_t lot_counting(void *userdata, uint32_t below)
{
        uint32_t *n = userdata;

        return (*n)++ % below;
}

static struct record srv(uint16_t priority, uint16_t weight, uint16_t port)
{
        return (struct record){ .type = DNS_TYPE_SRV, .priority = priority, .weight = weight, .port = port };
}

static void test_srv_priority(void **state)
{
        struct record items[] = { srv(20, 0, 3), srv(10, 0, 1), { .type = DNS_TYPE_A }, srv(15, 9, 2) };
        struct record_list list = { items, 4 };

        lot_value = 0;
        record_list_order(&list, lot, NULL);
        assert_int_equal(list.n_items, 3);
        for (uint16_t i = 0; i < 3; i++)
                assert_int_equal(list.items[i].port, i + 1);
}

static void test_srv_weight(void **state)
{
        unsigned first[4] = { 0 };
        uint32_t n = 0;

        /* Over all lots, weight 3 comes first three times as often as weight 1; weight 0 nearly never. */
        for (unsigned round = 0; round < 5; round++) {
                struct record items[] = { srv(1, 1, 1), srv(1, 0, 0), srv(1, 3, 3) };
                struct record_list list = { items, 3 };

                lot_value = round;
                record_list_order(&list, lot, NULL);
                first[list.items[0].port]++;
        }
        assert_int_equal(first[0], 1);
        assert_int_equal(first[1], 1);
        assert_int_equal(first[3], 3);

        /* Everybody is there, whatever the lot. */
        for (unsigned round = 0; round < 200; round++) {
                struct record items[] = { srv(1, 65535, 1), srv(1, 65535, 2), srv(1, 65535, 4),
                                          srv(1, 0, 8) };
                struct record_list list = { items, 4 };
                unsigned sum = 0;

                n += 1000;
                record_list_order(&list, lot_counting, &n);
                for (size_t i = 0; i < 4; i++)
                        sum += list.items[i].port;
                assert_int_equal(sum, 15);
        }
}

static void test_record_raw(void **state)
{
        /* x. SRV IN 60: 1 2 8053 y. */
        static const uint8_t rr[] = { 1, 'X', 0, 0, 33, 0, 1,    0,    0, 0,   60,
                                      0, 9,   0, 1, 0,  2, 0x1f, 0x75, 1, 'Y', 0 };
        struct record_list list = { 0 };
        struct dns_name y = named("y.");

        assert_int_equal(record_list_read_raw(&list, rr, sizeof(rr)), 0);
        assert_int_equal(list.n_items, 1);
        assert_int_equal(list.items[0].type, DNS_TYPE_SRV);
        assert_int_equal(list.items[0].priority, 1);
        assert_int_equal(list.items[0].weight, 2);
        assert_int_equal(list.items[0].port, 8053);
        assert_int_equal(list.items[0].ttl_sec, 60);
        assert_true(dns_name_equal(&list.items[0].target, &y));
        for (size_t n = 0; n < sizeof(rr); n++)
                assert_int_equal(record_list_read_raw(&list, rr, n), -EBADMSG);
        record_list_clear(&list);
}

/* ------ files of the system ------ */

static void test_resolv_conf(void **state)
{
        struct resolv_conf conf = { 0 };

        assert_int_equal(resolv_conf_parse("# comment\n"
                                           "; comment\n"
                                           "domain old.example\n"
                                           "nameserver 192.0.2.1\n"
                                           "nameserver\tfe80::1%eth0 \n"
                                           "search a.example b.example. . not..good\n"
                                           "options edns0 trust-ad\n"
                                           "nameserver\n"
                                           "nameserver 192.0.2.3",
                                           &conf),
                         0);
        assert_int_equal(conf.servers.n_items, 3);
        assert_string_equal(conf.servers.items[0], "192.0.2.1");
        assert_string_equal(conf.servers.items[1], "fe80::1%eth0");
        assert_string_equal(conf.servers.items[2], "192.0.2.3");
        assert_int_equal(conf.search.n_items, 2);
        assert_true(dns_name_equal(&conf.search.items[0], &(struct dns_name[]){ named("a.example") }[0]));

        /* A file with a thousand servers is not followed for ever. */
        char many[20 * 1000] = "";
        for (unsigned i = 0; i < 1000; i++)
                strcat(many, "nameserver 1.1.1.1\n");
        assert_int_equal(resolv_conf_parse(many, &conf), 0);
        assert_int_equal(conf.servers.n_items, SERVER_LIST_MAX);
        assert_int_equal(conf.search.n_items, 0);
        resolv_conf_clear(&conf);
}

static void test_networkd_state(void **state)
{
        struct name_list list = { 0 };
        struct dns_name lan = named("lan"), corp = named("corp.example"), vpn = named("vpn.example");

        assert_int_equal(networkd_state_parse("# This is private data.\n"
                                              "OPER_STATE=routable\n"
                                              "DNS=192.0.2.1\n"
                                              "DOMAINS=lan corp.example\n"
                                              "ROUTE_DOMAINS=vpn.example ~. lan\n",
                                              &list),
                         0);
        assert_int_equal(list.n_items, 3);
        assert_true(name_list_contains(&list, &lan));
        assert_true(name_list_contains(&list, &corp));
        assert_true(name_list_contains(&list, &vpn));
        name_list_clear(&list);
}

static void test_hostname(void **state)
{
        char label[HOSTNAME_LABEL_MAX];

        assert_int_equal(hostname_parse("Printer\n", label), 0);
        assert_string_equal(label, "printer");
        assert_int_equal(hostname_parse("# set by hand\n\n  box.example.org  \n", label), 0);
        assert_string_equal(label, "box");
        assert_int_equal(hostname_parse("", label), -ENODATA);
        assert_int_equal(hostname_parse("\n# nothing\n", label), -ENODATA);
        assert_int_equal(hostname_parse("localhost\n", label), -ENODATA);
        assert_int_equal(hostname_parse("LocalHost.localdomain\n", label), -ENODATA);
        assert_int_equal(hostname_parse("under_score\n", label), -EINVAL);
        assert_int_equal(hostname_parse("-dash\n", label), -EINVAL);
        assert_int_equal(hostname_parse(".example\n", label), -EINVAL);
        assert_int_equal(
                hostname_parse("a23456789b123456789c123456789d123456789e123456789f123456789g123\n", label),
                0);
        assert_int_equal(
                hostname_parse("a23456789b123456789c123456789d123456789e123456789f123456789g1234\n", label),
                -EINVAL);
        assert_int_equal(hostname_read("/nowhere", label), -ENODATA);
}

static void expect_why(const char *configured, const char *part)
{
        char label[HOSTNAME_LABEL_MAX], why[HOSTNAME_WHY_MAX];
        int r = hostname_choose(configured, "/nowhere", label);

        assert_true(r < 0);
        hostname_why(configured, "/nowhere", r, why);
        if (!strstr(why, part))
                fail_msg("%s", why);
}

static void test_hostname_why(void **state)
{
        expect_why(NULL, "has no static host name; set one (hostnamectl hostname NAME)");
        expect_why("", "has no static host name; set one");
        expect_why("localhost", "is localhost");
        expect_why("under_score",
                   "cannot be registered: \"under_score\" has other characters than letters, digits "
                   "and hyphens (an underscore)");
        expect_why("b\xc3\xbcro", "\"b\\195\\188ro\" has other characters");
        expect_why("dash-", "\"dash-\" begins or ends with what a name cannot");
        expect_why("a23456789b123456789c123456789d123456789e123456789f123456789g1234",
                   "has 64 characters, and 63");
}

/* ------ ledger ------ */

static void test_places(void **state)
{
        static const char home[] = "192.168.1.1@8053/02:00:00:00:00:01",
                          friends[] = "192.168.1.1@8053/02:00:00:00:00:02", unknown[] = "192.168.1.1@8053",
                          moved[] = "192.168.7.1@8053/02:00:00:00:00:01";

        assert_true(place_same(home, home));
        assert_false(place_same(home, friends));
        assert_true(place_same(home, unknown));
        assert_true(place_same(home, moved));
        assert_false(place_same(unknown, moved));
        assert_true(place_same("", home));
        assert_false(place_same("192.168.1.1@8053", "192.168.1.1@8054"));
        assert_false(place_same("192.168.1.1@8053", "192.168.1.11@8053"));
        /* One of the internet is the same from everywhere. */
        assert_true(place_same("203.0.113.1@8053/02:00:00:00:00:01", "203.0.113.1@8053/02:00:00:00:00:02"));
        assert_false(place_same("203.0.113.1@8053/02:00:00:00:00:01", "203.0.113.2@8053/02:00:00:00:00:02"));
}

/* home.arpa is everywhere. */
static void test_ledger_of_places(void **state)
{
        static const char home[] = "192.168.1.1@8053/02:00:00:00:00:01", friends[] = "192.168.7.1@8053";
        char directory[] = "/tmp/nsreg-ledger-XXXXXX", path[128];
        struct dns_name zone, name, other;
        struct address_set mine = { 0 }, theirs = { 0 };
        struct address address;
        struct ledger *ledger;

        assert_non_null(mkdtemp(directory));
        (void) snprintf(path, sizeof(path), "%s/registered", directory);
        assert_int_equal(dns_name_parse("home.arpa", &zone), 0);
        assert_int_equal(dns_name_parse("box.home.arpa", &name), 0);
        assert_int_equal(address_parse("192.168.1.5", &address), 0);
        assert_int_equal(address_set_add(&mine, &address, USEC_INFINITY), 0);
        assert_int_equal(address_parse("192.168.7.5", &address), 0);
        assert_int_equal(address_set_add(&theirs, &address, USEC_INFINITY), 0);

        assert_int_equal(ledger_open(path, &ledger), 0);
        assert_int_equal(ledger_set(ledger, &zone, &name, home, SERVER_MODERN, &mine), 0);
        assert_int_equal(ledger_set(ledger, &zone, &name, friends, SERVER_ORIGINAL, &theirs), 0);
        ledger_free(ledger);
        assert_int_equal(ledger_open(path, &ledger), 0);
        assert_int_equal(ledger_count(ledger), 2);
        assert_true(address_set_equal(&ledger_find(ledger, &zone, &name, home)->addresses, &mine));
        assert_true(address_set_equal(&ledger_find(ledger, &zone, &name, friends)->addresses, &theirs));
        assert_int_equal(ledger_find(ledger, &zone, &name, friends)->kind, SERVER_ORIGINAL);
        assert_null(ledger_find(ledger, &zone, &name, "192.168.9.1@8053"));
        assert_non_null(ledger_find(ledger, &zone, &name, ""));
        assert_int_equal(ledger_remove(ledger, &zone, &name, friends), 0);
        assert_int_equal(ledger_count(ledger), 1);
        assert_string_equal(ledger_get(ledger, 0)->place, home);

        /* There is an end to it: the oldest are forgotten, never the newest. */
        for (unsigned i = 0; i < 300; i++) {
                char text[64];

                (void) snprintf(text, sizeof(text), "box%u.home.arpa", i);
                assert_int_equal(dns_name_parse(text, &other), 0);
                assert_int_equal(ledger_set(ledger, &zone, &other, home, SERVER_MODERN, &mine), 0);
        }
        assert_true(ledger_count(ledger) < 300);
        assert_null(ledger_find(ledger, &zone, &name, home));
        assert_non_null(ledger_find(ledger, &zone, &other, home));
        ledger_free(ledger);
        address_set_clear(&mine);
        address_set_clear(&theirs);
        (void) unlink(path);
        (void) rmdir(directory);
}

static void test_ledger_makes_up(void **state)
{
        char directory[] = "/tmp/nsreg-ledger-XXXXXX", path[128];
        struct dns_name zone, name;
        struct address_set set = { 0 };
        struct ledger *ledger;

        assert_non_null(mkdtemp(directory));
        (void) snprintf(path, sizeof(path), "%s/registered", directory);
        assert_int_equal(dns_name_parse("d.example", &zone), 0);
        assert_int_equal(dns_name_parse("box.d.example", &name), 0);
        assert_int_equal(ledger_open(path, &ledger), 0);
        assert_false(ledger_is_dirty(ledger));
        assert_int_equal(rmdir(directory), 0);
        assert_true(ledger_set(ledger, &zone, &name, "", SERVER_MODERN, &set) < 0);
        assert_true(ledger_is_dirty(ledger));
        /* The same again is no success yet. */
        assert_true(ledger_set(ledger, &zone, &name, "", SERVER_MODERN, &set) < 0);
        assert_true(ledger_flush(ledger) < 0);
        assert_int_equal(mkdir(directory, 0700), 0);
        assert_int_equal(ledger_set(ledger, &zone, &name, "", SERVER_MODERN, &set), 0);
        assert_false(ledger_is_dirty(ledger));
        ledger_free(ledger);
        assert_int_equal(ledger_open(path, &ledger), 0);
        assert_int_equal(ledger_count(ledger), 1);
        ledger_free(ledger);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

static void test_ledger(void **state)
{
        char path[] = "/tmp/nsreg-ledger-XXXXXX";
        struct dns_name zone = named("d.example"), name = named("box.d.example"), other = named("e.example");
        struct address_set set = { 0 };
        struct address address;
        struct ledger *ledger;
        const struct ledger_entry *entry;
        char *text;
        size_t size;
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(ledger_open(path, &ledger), 0);
        assert_int_equal(ledger_count(ledger), 0);
        assert_int_equal(address_parse("10.0.0.1", &address), 0);
        assert_int_equal(address_set_add(&set, &address, USEC_INFINITY), 0);
        assert_int_equal(address_parse("fd00::1", &address), 0);
        assert_int_equal(address_set_add(&set, &address, USEC_INFINITY), 0);
        assert_int_equal(ledger_set(ledger, &zone, &name, "", SERVER_MODERN, &set), 0);
        assert_int_equal(ledger_set(ledger, &other, &name, "", SERVER_ORIGINAL, &set), 0);
        assert_int_equal(ledger_remove(ledger, &other, &name, ""), 0);
        assert_int_equal(ledger_remove(ledger, &other, &name, ""), 0);
        ledger_free(ledger);

        assert_int_equal(ledger_open(path, &ledger), 0);
        assert_int_equal(ledger_count(ledger), 1);
        entry = ledger_find(ledger, &zone, &name, "");
        assert_non_null(entry);
        assert_int_equal(entry->kind, SERVER_MODERN);
        assert_true(address_set_equal(&entry->addresses, &set));

        /* What changes nothing is not written. */
        assert_int_equal(unlink(path), 0);
        assert_int_equal(ledger_set(ledger, &zone, &name, "", SERVER_MODERN, &set), 0);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(ledger_set(ledger, &zone, &name, "", SERVER_ORIGINAL, &set), 0);
        assert_int_equal(file_read(path, 4096, &text, &size), 0);
        assert_string_equal(text, "d.example. box.d.example. original 10.0.0.1 fd00::1\n");
        free(text);
        ledger_free(ledger);

        /* Lines that make no sense are passed over. */
        static const char damaged[] = "garbage\n\nd.example.\nd.example. box.d.example. strange 10.0.0.1\n"
                                      "e.example. box.d.example. modern 10.0.0.1 nonsense fd00::1\n\\377\n";
        assert_int_equal(file_write_atomic(path, damaged, strlen(damaged), 0600), 0);
        assert_int_equal(ledger_open(path, &ledger), 0);
        assert_int_equal(ledger_count(ledger), 1);
        assert_true(address_set_equal(&ledger_find(ledger, &other, &name, "")->addresses, &set));
        ledger_free(ledger);
        unlink(path);
        address_set_clear(&set);

        assert_int_equal(ledger_open("/proc/self/mem", &ledger) < 0, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_schedule),    cmocka_unit_test(test_srv_priority),
                cmocka_unit_test(test_srv_weight),  cmocka_unit_test(test_record_raw),
                cmocka_unit_test(test_resolv_conf), cmocka_unit_test(test_networkd_state),
                cmocka_unit_test(test_hostname),    cmocka_unit_test(test_hostname_why),
                cmocka_unit_test(test_places),      cmocka_unit_test(test_ledger_of_places),
                cmocka_unit_test(test_ledger),      cmocka_unit_test(test_ledger_makes_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
