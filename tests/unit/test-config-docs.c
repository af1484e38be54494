/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "config/nsregc-config.h"
#include "config/nsregd-config.h"
#include "util/file.h"

struct page {
        char *text;
        const char *name;
        unsigned n_missing;
        unsigned n_keys;
};

static char *read_source(const char *name)
{
        _cleanup_free_ char *path = path_join(SOURCE_ROOT, name);
        size_t length;
        char *text;

        assert_return_code(file_read(path, 1024 * 1024, &text, &length), 0);
        return text;
}

/* The default as a reader sees it: items with commas. */
static void print_default(const char *value, char *buffer, size_t size)
{
        size_t n = (size_t) snprintf(buffer, size, "\nDefault: ");

        for (const char *c = value; *c && n + 4 < size; c++) {
                if (*c == ' ')
                        buffer[n++] = ',';
                buffer[n++] = *c;
        }
        strcpy(buffer + n, ".\n");
}

/* Is there an item of this key, and if it has a default, one that tells it? */
static bool is_documented(const char *text, const struct config_key *key)
{
        char item[100], told[200];

        snprintf(item, sizeof(item), "\n.It Cm %s ", key->name);
        for (const char *start = strstr(text, item); start; start = strstr(start + 1, item)) {
                const char *end = strstr(start + 1, "\n.It "), *found;

                if (!key->default_value)
                        return true;
                print_default(key->default_value, told, sizeof(told));
                found = strstr(start, told);
                if (found && (!end || found < end))
                        return true;
        }
        return false;
}

static void check_manual(void *userdata, const char *path, const struct config_key *key)
{
        struct page *page = userdata;

        page->n_keys++;
        if (is_documented(page->text, key))
                return;
        print_error("%s: %s%s%s is not described, or not with its default \"%s\"\n", page->name, path,
                    *path ? "." : "", key->name, key->default_value ? key->default_value : "(none)");
        page->n_missing++;
}

static void check_example(void *userdata, const char *path, const struct config_key *key)
{
        struct page *page = userdata;
        char line[100];

        snprintf(line, sizeof(line), "%s:", key->name);
        if (strstr(page->text, line))
                return;
        print_error("%s: %s%s%s is missing\n", page->name, path, *path ? "." : "", key->name);
        page->n_missing++;
}

struct search {
        const char *name;
        bool found;
};

static void find_name(void *userdata, const char *path, const struct config_key *key)
{
        struct search *search = userdata;

        search->found = search->found || streq(key->name, search->name);
}

/* Nor does the manual describe what is not there. */
static void check_no_more(struct page *page, const struct config_table *table)
{
        static const char start[] = "\n.It Cm ";

        for (const char *item = strstr(page->text, start); item; item = strstr(item + 1, start)) {
                char name[100];
                size_t length = strcspn(item + strlen(start), " \n");
                struct search search = { .name = name };

                assert_true(length < sizeof(name));
                memcpy(name, item + strlen(start), length);
                name[length] = '\0';
                config_visit_keys(table, find_name, &search);
                if (!search.found) {
                        print_error("%s: %s is described, but no key\n", page->name, name);
                        page->n_missing++;
                }
        }
}

static void expect_documented(const char *manual, const char *example, const struct config_table *table)
{
        struct page page = { .text = read_source(manual), .name = manual };

        config_visit_keys(table, check_manual, &page);
        assert_true(page.n_keys > 10);
        check_no_more(&page, table);
        free(page.text);

        page.name = example;
        page.text = read_source(example);
        config_visit_keys(table, check_example, &page);
        free(page.text);
        assert_int_equal(page.n_missing, 0);
}

static void test_nsregd_keys_are_documented(void **state)
{
        expect_documented("man/nsregd.yaml.5", "conf/nsregd.yaml", &nsregd_config_table);
}

static void test_nsregc_keys_are_documented(void **state)
{
        expect_documented("man/nsregc.yaml.5", "conf/nsregc.yaml", &nsregc_config_table);
}

/* Prose has exactly one space behind the "#"; all else behind it is a setting. */
static bool is_setting(const char *comment)
{
        return comment[0] == '#' && comment[1] != '\n' && (comment[1] != ' ' || comment[2] == ' ');
}

static void uncomment(char *text)
{
        char *out = text;

        for (const char *line = text; *line;) {
                size_t indent = strspn(line, " "), length = strcspn(line, "\n");

                length += line[length] == '\n';
                memmove(out, line, indent);
                out += indent;
                line += indent;
                length -= indent;
                if (is_setting(line)) {
                        line++;
                        length--;
                }
                memmove(out, line, length);
                out += length;
                line += length;
        }
        *out = '\0';
}

static void test_nsregd_example(void **state)
{
        _cleanup_free_ char *text = read_source("conf/nsregd.yaml");

        for (int i = 0; i < 2; i++) {
                _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
                _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;

                if (nsregd_config_parse("example", text, strlen(text), &config, &error) < 0)
                        fail_msg("%s\n%s", error.text, text);
                assert_int_equal(config->n_zones, i == 0 ? 1 : 2);
                assert_int_equal(config->zones[0].n_upstreams, i == 0 ? 1 : 3);
                uncomment(text);
        }
}

static char *print_nsregc(const struct nsregc_config *config)
{
        char *text = NULL;
        size_t length;
        FILE *out = open_memstream(&text, &length);

        nsregc_config_print(config, out);
        fclose(out);
        return text;
}

static void test_nsregc_example(void **state)
{
        _cleanup_free_ char *text = read_source("conf/nsregc.yaml"), *plain = NULL, *example = NULL;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL, *defaults = NULL, *all = NULL;

        assert_return_code(nsregc_config_parse("example", text, strlen(text), &config, &error), 0);
        assert_return_code(nsregc_config_parse("empty", "", 0, &defaults, &error), 0);
        example = print_nsregc(config);
        plain = print_nsregc(defaults);
        assert_string_equal(example, plain);

        uncomment(text);
        if (nsregc_config_parse("example", text, strlen(text), &all, &error) < 0)
                fail_msg("%s\n%s", error.text, text);
        assert_string_equal(all->name, "printer");
        assert_int_equal(all->interfaces.n_items, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nsregd_keys_are_documented),
                cmocka_unit_test(test_nsregc_keys_are_documented),
                cmocka_unit_test(test_nsregd_example),
                cmocka_unit_test(test_nsregc_example),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
