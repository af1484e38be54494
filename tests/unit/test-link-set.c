/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which links a domain is of. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "nsregc/link.h"
#include "util/file.h"

static struct link_set set_of(unsigned n, const uint32_t *items)
{
        struct link_set set = { 0 };

        for (unsigned i = 0; i < n; i++)
                link_set_add(&set, items[i]);
        return set;
}

static void test_sets(void **state)
{
        struct link_set a = set_of(3, (uint32_t[]){ 2, 3, 2 }), b = set_of(2, (uint32_t[]){ 3, 2 }),
                        c = { 0 };

        assert_int_equal(a.n_items, 2);
        assert_true(link_set_equal(&a, &b));
        assert_false(link_set_equal(&a, &c));
        assert_false(link_set_has(&c, 2));
        link_set_add(&b, 4);
        assert_false(link_set_equal(&a, &b));
        link_set_merge(&c, &a);
        link_set_merge(&c, &b);
        assert_true(link_set_equal(&c, &b));
        assert_false(link_set_has(&c, 5));
        c = (struct link_set){ .all = true };
        assert_true(link_set_has(&c, 5));
        link_set_merge(&a, &c);
        assert_true(link_set_equal(&a, &c));
        /* More than are counted: rather all of them than some. */
        for (uint32_t i = 1; i < 100; i++)
                link_set_add(&b, i);
        assert_true(link_set_has(&b, 99));
        assert_true(link_set_has(&b, 1000));
}

static void write_text(const char *directory, const char *name, const char *text)
{
        char path[256];

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

static void assert_links(const struct link_domain_list *list, const char *name,
                         const struct link_set *expected)
{
        const struct link_domain *domain;
        struct dns_name parsed;

        assert_int_equal(dns_name_parse(name, &parsed), 0);
        domain = link_domain_list_find(list, &parsed);
        assert_non_null(domain);
        assert_true(link_set_equal(&domain->links, expected));
}

static void remove_tree(const char *directory)
{
        static const char *const names[] = { "links/2", "links/7",     "links/x", "links",
                                             "state",   "resolv.conf", "" };
        char path[256];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
                assert_int_equal(remove(path), 0);
        }
}

/* networkd tells all in one file, and each link's in one of its own; resolv.conf knows no links. */
static void test_where_domains_come_from(void **state)
{
        static const uint32_t two[] = { 2, 7 };
        struct link_set all = { .all = true }, second = set_of(1, two), both = set_of(2, two);
        char directory[] = "/tmp/nsreg-links-XXXXXX", networkd[128], resolv_conf[128], links[128];
        struct link_options options = { .resolv_conf = resolv_conf, .networkd_state = networkd };
        struct link_domain_list list = { 0 };
        struct link_monitor *monitor;
        sd_event *event;

        assert_non_null(mkdtemp(directory));
        (void) snprintf(networkd, sizeof(networkd), "%s/state", directory);
        (void) snprintf(resolv_conf, sizeof(resolv_conf), "%s/resolv.conf", directory);
        (void) snprintf(links, sizeof(links), "%s/links", directory);
        assert_int_equal(mkdir(links, 0700), 0);
        write_text(directory, "state",
                   "DOMAINS=lan home.example\nROUTE_DOMAINS=vpn.example both.example ~.\n");
        write_text(directory, "resolv.conf", "nameserver 127.0.0.1\nsearch lan everywhere.example\n");
        write_text(links, "2", "ADMIN_STATE=configured\nDOMAINS=lan both.example\n");
        write_text(links, "7", "ROUTE_DOMAINS=both.example\n");
        write_text(links, "x", "DOMAINS=nobody.example\n");

        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(link_monitor_new(event, &options, NULL, NULL, &monitor), 0);
        assert_int_equal(link_monitor_domains(monitor, &list), 0);
        assert_int_equal(list.n_items, 5);
        assert_links(&list, "lan", &second);
        assert_links(&list, "both.example", &both);
        assert_links(&list, "home.example", &all);
        assert_links(&list, "vpn.example", &all);
        assert_links(&list, "everywhere.example", &all);
        link_domain_list_clear(&list);
        link_monitor_free(monitor);
        sd_event_unref(event);
        remove_tree(directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sets),
                cmocka_unit_test(test_where_domains_come_from),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
