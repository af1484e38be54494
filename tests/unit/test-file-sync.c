/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A file that is written is on the disk before it takes the place of the one that was there, and so is its
 * name before anybody is told: the linker puts what reaches the disk into this test's hands. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/file.h"
#include "util/macro.h"

static char events[64];
static const char *failing = "";

static int note(const char *what)
{
        strcat(events, what);
        if (!streq(what, failing))
                return 0;
        errno = EIO;
        return -1;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_fsync(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return note(S_ISDIR(st.st_mode) ? "directory " : "file ") < 0 ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
        return note("rename ") < 0 ? -1 : __real_rename(from, to);
}

static void check_content(const char *path, const char *content)
{
        _cleanup_free_ char *read = NULL;
        size_t size;

        assert_int_equal(file_read(path, 1000, &read, &size), 0);
        assert_int_equal(size, strlen(content));
        assert_memory_equal(read, content, size);
}

static void test_order(void **state)
{
        char directory[] = "/tmp/nsreg-file-XXXXXX", path[64];

        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/file", directory);
        for (unsigned i = 0; i < 2; i++) {
                events[0] = '\0';
                assert_int_equal(file_write_atomic(path, i == 0 ? "one" : "two", 3, 0644), 0);
                assert_string_equal(events, "file rename directory ");
                check_content(path, i == 0 ? "one" : "two");
        }

        /* A disk that fails leaves what was there, and is told. */
        failing = "file ";
        events[0] = '\0';
        assert_int_equal(file_write_atomic(path, "bad", 3, 0644), -EIO);
        assert_string_equal(events, "file ");
        check_content(path, "two");
        failing = "directory ";
        assert_int_equal(file_write_atomic(path, "new", 3, 0644), -EIO);
        failing = "";
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_order) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
