/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/escape.h"
#include "util/file.h"
#include "util/heap.h"
#include "util/macro.h"
#include "util/time.h"

static void test_escape(void **state)
{
        char buffer[32], small[9];

        assert_string_equal(escape_string(buffer, sizeof(buffer), "plain text"), "plain text");
        assert_string_equal(escape_bytes(buffer, sizeof(buffer), "a\0\x1b[m\xff\\\n", 8),
                            "a\\000\\027[m\\255\\092\\010");
        assert_string_equal(escape_bytes(buffer, sizeof(buffer), "", 0), "");

        assert_string_equal(escape_string(small, sizeof(small), "12345678"), "12345678");
        assert_string_equal(escape_string(small, sizeof(small), "123456789"), "12345...");
        /* an escape is never cut in the middle */
        assert_string_equal(escape_string(small, sizeof(small), "1234\n678"), "1234...");
        assert_string_equal(escape_string(small, sizeof(small), "1\n2\n3\n"), "1\\010...");
        assert_string_equal(escape_string(small, 3, "\n\n\n"), "..");
        assert_string_equal(escape_string(small, 1, "abc"), "");
}

static void test_escape_is_always_printable(void **state)
{
        for (size_t size = 1; size < 40; size++)
                for (unsigned octet = 0; octet < 256; octet++) {
                        uint8_t input[12];
                        _cleanup_free_ char *buffer = malloc(size);

                        memset(input, (int) octet, sizeof(input));
                        escape_bytes(buffer, size, input, sizeof(input));
                        assert_true(strlen(buffer) < size);
                        for (const char *p = buffer; *p; p++)
                                assert_in_range(*p, ' ', '~');
                }
}

static char *temporary_directory(void)
{
        static char path[64];

        snprintf(path, sizeof(path), "/tmp/nsreg-test-util-XXXXXX");
        assert_non_null(mkdtemp(path));
        return path;
}

static void test_file(void **state)
{
        char *directory = temporary_directory();
        _cleanup_free_ char *path = path_join(directory, "file"), *content = NULL, *again = NULL;
        struct stat st;
        size_t size;
        mode_t mask;

        assert_int_equal(file_read(path, 100, &content, &size), -ENOENT);

        mask = umask(0777);
        assert_int_equal(file_write_atomic(path, "first\0half", 10, 0640), 0);
        umask(mask);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(file_read(path, 10, &content, &size), 0);
        assert_int_equal(size, 10);
        assert_memory_equal(content, "first\0half", 11);

        assert_int_equal(file_read(path, 9, &again, &size), -EFBIG);
        assert_null(again);
        assert_int_equal(file_read(directory, 100, &again, &size), -EISDIR);
        assert_int_equal(file_read("/dev/null", 100, &again, &size), -EINVAL);

        assert_int_equal(file_write_atomic(path, "second", 6, 0600), 0);
        assert_int_equal(file_read(path, 100, &again, NULL), 0);
        assert_string_equal(again, "second");

        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0); /* nothing temporary was left beside it */
}

static void test_file_larger_than_a_step(void **state)
{
        char *directory = temporary_directory();
        _cleanup_free_ char *path = path_join(directory, "large"), *content = NULL, *data = malloc(100001);
        size_t size;

        for (size_t i = 0; i < 100001; i++)
                data[i] = (char) (i * 7);
        assert_int_equal(file_write_atomic(path, data, 100001, 0600), 0);
        assert_int_equal(file_read(path, 200000, &content, &size), 0);
        assert_int_equal(size, 100001);
        assert_memory_equal(content, data, size);

        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

static void test_failed_write_keeps_the_old_file(void **state)
{
        char *directory = temporary_directory();
        _cleanup_free_ char *path = path_join(directory, "sub"), *inner = path_join(path, "x");

        assert_int_equal(directory_ensure(path, 0700), 0);
        assert_int_equal(file_write_atomic(inner, "x", 1, 0600), 0);
        /* a file cannot replace a directory */
        assert_int_equal(file_write_atomic(path, "y", 1, 0600), -EISDIR);

        assert_int_equal(unlink(inner), 0);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(directory), 0);
        assert_int_equal(file_write_atomic(inner, "x", 1, 0600), -ENOENT);
}

static void test_directory_ensure(void **state)
{
        char *directory = temporary_directory();
        _cleanup_free_ char *path = path_join(directory, "d"), *file = path_join(path, "f"),
                            *deep = path_join(path, "a/b");
        struct stat st;
        mode_t mask = umask(0777);

        assert_int_equal(directory_ensure(path, 0750), 0);
        umask(mask);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0750);
        assert_int_equal(directory_ensure(path, 0700), 0);
        assert_int_equal(directory_ensure(deep, 0700), -ENOENT);
        assert_int_equal(file_write_atomic(file, "", 0, 0600), 0);
        assert_int_equal(directory_ensure(file, 0700), -ENOTDIR);

        assert_int_equal(unlink(file), 0);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

static void test_directory_ensure_all(void **state)
{
        char *directory = temporary_directory();
        _cleanup_free_ char *a = path_join(directory, "a"), *b = path_join(a, "b"), *c = path_join(b, "c"),
                            *file = path_join(c, "f"), *beyond = path_join(file, "x");
        struct stat st;

        assert_int_equal(directory_ensure_all(c, 0700), 0);
        assert_int_equal(directory_ensure_all(c, 0700), 0);
        assert_int_equal(stat(b, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(file_write_atomic(file, "", 0, 0600), 0);
        assert_int_equal(directory_ensure_all(beyond, 0700), -ENOTDIR);

        assert_int_equal(unlink(file), 0);
        assert_int_equal(rmdir(c), 0);
        assert_int_equal(rmdir(b), 0);
        assert_int_equal(rmdir(a), 0);
        assert_int_equal(rmdir(directory), 0);
}

static void test_path_parent(void **state)
{
        static const char *const pairs[][2] = {
                { "/etc/x.yaml", "/etc" },
                { "/x", "/" },
                { "x", "." },
                { "d/x", "d" },
        };

        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                _cleanup_free_ char *parent = path_parent(pairs[i][0]);

                assert_string_equal(parent, pairs[i][1]);
        }
}

static void test_path_join(void **state)
{
        _cleanup_free_ char *a = path_join("/run", "x"), *b = path_join("/", "x");

        assert_string_equal(a, "/run/x");
        assert_string_equal(b, "/x");
}

#define N_NODES 500

static void assert_heap_order(const struct heap *heap)
{
        for (uint32_t i = 0; i < heap->n_items; i++) {
                assert_int_equal(heap->items[i]->index, i);
                if (i > 0)
                        assert_true(heap->items[(i - 1) / 2]->key <= heap->items[i]->key);
        }
}

static void test_heap(void **state)
{
        struct heap_node nodes[N_NODES];
        struct heap heap = {};
        uint32_t seed = 1, left = 0;
        uint64_t last = 0;

        for (size_t i = 0; i < N_NODES; i++)
                nodes[i] = HEAP_NODE_INIT;
        assert_null(heap_first(&heap));

        /* puts, moves and removals in a mixed order that is the same in every run */
        for (unsigned round = 0; round < 20000; round++) {
                struct heap_node *node;

                seed = seed * 1664525 + 1013904223;
                node = &nodes[(seed >> 8) % N_NODES];
                if (seed >> 30 == 0)
                        heap_remove(&heap, node);
                else
                        assert_int_equal(heap_put(&heap, node, (seed >> 4) % 1000), 0);
                if (round % 97 == 0)
                        assert_heap_order(&heap);
        }
        assert_heap_order(&heap);

        for (size_t i = 0; i < N_NODES; i++)
                left += heap_contains(&nodes[i]);
        assert_int_equal(left, heap.n_items);
        assert_true(left > 100);

        while (heap_first(&heap)) {
                struct heap_node *node = heap_first(&heap);

                assert_true(node->key >= last);
                last = node->key;
                heap_remove(&heap, node);
                assert_false(heap_contains(node));
                heap_remove(&heap, node); /* no-op */
                left--;
        }
        assert_int_equal(left, 0);
        heap_clear(&heap);
}

static void test_heap_reserve_and_clear(void **state)
{
        struct heap_node node = HEAP_NODE_INIT;
        struct heap heap = {};
        struct heap_node **items;

        assert_int_equal(heap_reserve(&heap, 10), 0);
        items = heap.items;
        assert_int_equal(heap_put(&heap, &node, 7), 0);
        assert_ptr_equal(heap.items, items);
        assert_ptr_equal(heap_first(&heap), &node);

        heap_clear(&heap);
        assert_false(heap_contains(&node));
        assert_null(heap_first(&heap));
        assert_int_equal(heap_put(&heap, &node, 8), 0);
        heap_clear(&heap);
}

static void test_time_arithmetic(void **state)
{
        assert_int_equal(usec_add(1, 2), 3);
        assert_true(usec_add(USEC_INFINITY, 1) == USEC_INFINITY);
        assert_true(usec_add(USEC_INFINITY - 1, 5) == USEC_INFINITY);
        assert_int_equal(usec_sub(5, 3), 2);
        assert_int_equal(usec_sub(3, 5), 0);
        assert_true(usec_sub(USEC_INFINITY, 5) == USEC_INFINITY);
        assert_true(now_usec(CLOCK_MONOTONIC) <= now_usec(CLOCK_MONOTONIC));
        assert_true(now_usec(CLOCK_REALTIME) / USEC_PER_DAY > 365 * 50);
}

static void test_time_span_parse(void **state)
{
        static const struct {
                const char *text;
                usec_t usec;
        } good[] = {
                { "0", 0 },
                { "30", 30 * USEC_PER_SEC },
                { "1.5", 1500 * USEC_PER_MSEC },
                { "720h", 720 * USEC_PER_HOUR },
                { "1h30m", 90 * USEC_PER_MINUTE },
                { "1h 30min", 90 * USEC_PER_MINUTE },
                { "1.5s", 1500 * USEC_PER_MSEC },
                { ".5s", 500 * USEC_PER_MSEC },
                { "10ms", 10 * USEC_PER_MSEC },
                { "250us", 250 },
                { "250\xc2\xb5s", 250 },
                { "2 weeks", 14 * USEC_PER_DAY },
                { "6months", 6 * UINT64_C(2629800000000) },
                { "1y", UINT64_C(31557600000000) },
                { "  1d  2h ", 26 * USEC_PER_HOUR },
                { "2562047h47m16.854775807s", UINT64_C(9223372036854775) }, /* Go's longest, cut to us */
        };
        static const char *const bad[] = { "",    " ",     "h",    "1x", "1h30", "30 1h",
                                           "-1s", "1..5s", "1 hm", "s1", "1s,",  "1e3" };
        usec_t usec;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(time_span_parse(good[i].text, &usec), 0);
                assert_true(usec == good[i].usec);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(time_span_parse(bad[i], &usec), -EINVAL);

        assert_int_equal(time_span_parse("99999999999999999999", &usec), -ERANGE);
        assert_int_equal(time_span_parse("1000000y", &usec), -ERANGE);
        assert_int_equal(time_span_parse("18446744073709551615us", &usec), -ERANGE);
}

static void test_time_format(void **state)
{
        char buffer[TIME_SPAN_FORMAT_MAX], stamp[TIMESTAMP_FORMAT_MAX];
        usec_t back;

        assert_string_equal(time_span_format(buffer, sizeof(buffer), 0), "0");
        assert_string_equal(time_span_format(buffer, sizeof(buffer), 90 * USEC_PER_MINUTE), "1h 30min");
        assert_string_equal(time_span_format(buffer, sizeof(buffer), 250 * USEC_PER_MSEC), "250ms");
        assert_string_equal(time_span_format(buffer, sizeof(buffer), USEC_INFINITY), "infinity");
        time_span_format(buffer, sizeof(buffer), UINT64_C(123456789123456));
        assert_string_equal(buffer, "1428d 21h 33min 9s 123ms 456us");
        assert_int_equal(time_span_parse(buffer, &back), 0);
        assert_true(back == UINT64_C(123456789123456));
        time_span_format(buffer, sizeof(buffer), USEC_INFINITY - 1);
        assert_int_equal(time_span_parse(buffer, &back), 0);
        assert_true(back == USEC_INFINITY - 1);
        assert_string_equal(time_span_format(buffer, 4, 90 * USEC_PER_MINUTE), "1h");

        assert_string_equal(timestamp_format(stamp, sizeof(stamp), UINT64_C(1493719200999999)),
                            "2017-05-02T10:00:00Z");
        assert_string_equal(timestamp_format(stamp, sizeof(stamp), 0), "1970-01-01T00:00:00Z");
        assert_string_equal(timestamp_format(stamp, sizeof(stamp), USEC_INFINITY), "never");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_escape),
                cmocka_unit_test(test_escape_is_always_printable),
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_file_larger_than_a_step),
                cmocka_unit_test(test_failed_write_keeps_the_old_file),
                cmocka_unit_test(test_directory_ensure),
                cmocka_unit_test(test_directory_ensure_all),
                cmocka_unit_test(test_path_parent),
                cmocka_unit_test(test_path_join),
                cmocka_unit_test(test_heap),
                cmocka_unit_test(test_heap_reserve_and_clear),
                cmocka_unit_test(test_time_arithmetic),
                cmocka_unit_test(test_time_span_parse),
                cmocka_unit_test(test_time_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
