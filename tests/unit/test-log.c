/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util/log.h"
#include "util/macro.h"

#define MESSAGE_ID SD_ID128_MAKE(00, 11, 22, 33, 44, 55, 66, 77, 88, 99, aa, bb, cc, dd, ee, ff)

static const struct log_fields fields = { .name = "printer", .reason = "no\\010line" };

/* Puts a pipe in stderr's place; what was written comes out of stderr_end(). */
static int saved_stderr = -1, pipe_read_end = -1;

static void stderr_begin(void)
{
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        saved_stderr = dup(STDERR_FILENO);
        assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
        close(ends[1]);
        pipe_read_end = ends[0];
}

static const char *stderr_end(void)
{
        static char text[8192];
        ssize_t n;

        assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
        close(saved_stderr);
        n = read(pipe_read_end, text, sizeof(text) - 1);
        text[MAX(n, 0)] = 0;
        close(pipe_read_end);
        return text;
}

static void test_lines(void **state)
{
        log_set_max_level(LOG_INFO);

        stderr_begin();
        log_open("nsregt");
        log_warning("%s number %d", "message", 7);
        log_debug("not shown");
        log_event(LOG_INFO, MESSAGE_ID, &fields, "an event");
        assert_string_equal(stderr_end(), "nsregt: message number 7\nnsregt: an event\n");
}

static void test_debug_shows_fields(void **state)
{
        log_set_max_level(LOG_DEBUG);
        assert_int_equal(log_get_max_level(), LOG_DEBUG);

        stderr_begin();
        log_open("nsregt");
        log_debug("shown");
        log_event(LOG_INFO, MESSAGE_ID, &fields, "an event");
        assert_string_equal(stderr_end(),
                            "nsregt: shown\nnsregt: an event name=printer reason=no\\010line\n");
}

static void test_long_message_is_cut(void **state)
{
        char text[5000];
        const char *line;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;

        stderr_begin();
        log_open("nsregt");
        log_error("%s", text);
        line = stderr_end();
        assert_in_range(strlen(line), 1000, 2100);
        assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_log_keeps_errno(void **state)
{
        stderr_begin();
        log_open("nsregt");
        errno = ENOTTY;
        log_error("something");
        assert_int_equal(errno, ENOTTY);
        assert_int_equal(log_oom(), -ENOMEM);
        assert_string_equal(stderr_end(), "nsregt: something\nnsregt: out of memory\n");
}

/* A mount namespace of our own where /run/systemd/journal/socket is ours. */
static int bind_journal(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
        int fd;

        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
            mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
                return -1;

        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(mkdir("/run/systemd/journal", 0755), 0);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

static void test_journal(void **state)
{
        int fd = bind_journal();
        char stream[64], entry[8192], wrong[80];
        struct stat st;
        ssize_t n;

        if (fd < 0)
                skip();

        stderr_begin();
        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev,
                 (unsigned long long) st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        log_open("nsregt");
        log_event(LOG_NOTICE, MESSAGE_ID, &fields, "claimed %s", "printer");

        n = recv(fd, entry, sizeof(entry) - 1, 0);
        assert_true(n > 0);
        entry[n] = 0;
        assert_non_null(strstr(entry, "MESSAGE=claimed printer\n"));
        assert_non_null(strstr(entry, "PRIORITY=5\n"));
        assert_non_null(strstr(entry, "SYSLOG_IDENTIFIER=nsregt\n"));
        assert_non_null(strstr(entry, "MESSAGE_ID=00112233445566778899aabbccddeeff\n"));
        assert_non_null(strstr(entry, "NSREG_NAME=printer\n"));
        assert_non_null(strstr(entry, "NSREG_REASON=no\\010line\n"));
        assert_null(strstr(entry, "NSREG_ZONE"));
        assert_string_equal(stderr_end(), "");

        /* stderr was sent elsewhere since: the variable is somebody else's */
        stderr_begin();
        snprintf(wrong, sizeof(wrong), "%s1", stream);
        setenv("JOURNAL_STREAM", wrong, 1);
        log_open("nsregt");
        log_notice("to the file");
        assert_true(recv(fd, entry, sizeof(entry), 0) < 0);
        assert_string_equal(stderr_end(), "nsregt: to the file\n");
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_debug_shows_fields),
                cmocka_unit_test(test_long_message_is_cut),
                cmocka_unit_test(test_log_keeps_errno),
                cmocka_unit_test(test_journal),
        };

        unsetenv("JOURNAL_STREAM");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
