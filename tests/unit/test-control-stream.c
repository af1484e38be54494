/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net-test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "net/control-stream.h"
#include "net/stream-set.h"

/* Against a real Unbound: its control protocol over TLS and over a unix socket. */
struct lab {
        sd_event *event;
        char directory[64];
        pid_t unbound;
        uint16_t control_port;
        unsigned n_done;
        int error;
        char reply[65536];
};

static int run(const char *const argv[])
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                int null = open("/dev/null", O_RDWR);
                dup2(null, 1);
                dup2(null, 2);
                execvp(argv[0], (char **) argv);
                _exit(127);
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static uint16_t free_port(void)
{
        struct address address = loopback();
        int fd = stream_listen_open(&address, 0);
        uint16_t port = port_of(fd);

        close(fd);
        return port;
}

static char *in_directory(const struct lab *lab, const char *name, char buffer[static 128])
{
        snprintf(buffer, 128, "%s/%s", lab->directory, name);
        return buffer;
}

static void on_done(void *userdata, int error, const char *reply, size_t size)
{
        struct lab *lab = userdata;

        lab->n_done++;
        lab->error = error;
        if (error == 0) {
                assert_int_equal(strlen(reply), size);
                snprintf(lab->reply, sizeof(lab->reply), "%s", reply);
        }
}

static void unbound_start(struct lab *lab, bool tls)
{
        char path[128];
        FILE *file;

        lab->control_port = free_port();
        file = fopen(in_directory(lab, "unbound.conf", path), "we");
        assert_non_null(file);
        fprintf(file,
                "server:\n interface: 127.0.0.1@%u\n chroot: \"\"\n username: \"\"\n do-daemonize: no\n"
                " pidfile: \"\"\n use-syslog: no\n logfile: %s/log\n directory: %s\n module-config: "
                "\"iterator\"\n"
                "remote-control:\n control-enable: yes\n",
                free_port(), lab->directory, lab->directory);
        if (tls)
                fprintf(file,
                        " control-interface: 127.0.0.1\n control-port: %u\n"
                        " server-key-file: %s/unbound_server.key\n server-cert-file: %s/unbound_server.pem\n"
                        " control-key-file: %s/unbound_control.key\n control-cert-file: "
                        "%s/unbound_control.pem\n",
                        lab->control_port, lab->directory, lab->directory, lab->directory, lab->directory);
        else
                fprintf(file, " control-interface: %s/socket\n control-use-cert: no\n", lab->directory);
        fclose(file);

        lab->unbound = fork();
        if (lab->unbound == 0) {
                int null = open("/dev/null", O_RDWR);
                dup2(null, 1);
                dup2(null, 2);
                execlp("unbound", "unbound", "-d", "-c", path, NULL);
                _exit(127);
        }
        assert_true(lab->unbound > 0);
}

static void command(struct lab *lab, const struct control_stream_options *options, const char *text)
{
        struct control_stream *stream = NULL;
        int r;

        lab->n_done = 0;
        r = control_stream_run(lab->event, options, text, strlen(text), on_done, lab, &stream);
        if (r < 0) {
                lab->error = r;
                return;
        }
        assert_int_equal(lab->n_done, 0);
        pump_until(lab->event, lab->n_done == 1);
}

/* Until the server is there. */
static void command_retry(struct lab *lab, const struct control_stream_options *options, const char *text)
{
        usec_t end = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

        do {
                command(lab, options, text);
                if (lab->error == 0)
                        return;
                assert_true(lab->error == -ECONNREFUSED || lab->error == -ENOENT);
                usleep(10000);
        } while (now_usec(CLOCK_MONOTONIC) < end);
        fail_msg("unbound did not start");
}

static struct lab *lab_new(void)
{
        struct lab *lab = calloc(1, sizeof(*lab));

        signal(SIGPIPE, SIG_IGN);
        strcpy(lab->directory, "/tmp/nsreg-control-XXXXXX");
        assert_non_null(mkdtemp(lab->directory));
        assert_true(sd_event_new(&lab->event) >= 0);
        return lab;
}

static struct lab *lab_free(struct lab *lab)
{
        if (lab->unbound > 0) {
                kill(lab->unbound, SIGKILL);
                waitpid(lab->unbound, NULL, 0);
        }
        sd_event_unref(lab->event);
        const char *const argv[] = { "rm", "-rf", lab->directory, NULL };
        run(argv);
        free(lab);
        return NULL;
}
DEFINE_CLEANUP(struct lab *, lab_free)

static void test_unbound_tls(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        _cleanup_(control_tls_freep) struct control_tls *tls = NULL, *stranger = NULL, *misnamed = NULL;
        char cert[128], key[128], server[128];
        const char *const setup[] = { "unbound-control-setup", "-d", lab->directory, NULL };
        _cleanup_free_ char *why = NULL;

        if (run(setup) == 127)
                skip();
        unbound_start(lab, true);
        in_directory(lab, "unbound_control.pem", cert);
        in_directory(lab, "unbound_control.key", key);
        in_directory(lab, "unbound_server.pem", server);
        assert_int_equal(control_tls_new(cert, key, server, "unbound", &tls, NULL), 0);

        struct control_stream_options options = {
                .host = "127.0.0.1",
                .port = lab->control_port,
                .tls = tls,
                .timeout_usec = 5 * USEC_PER_SEC,
        };
        command_retry(lab, &options, "UBCT1 status\n");
        assert_non_null(strstr(lab->reply, "is running"));
        command(lab, &options, "UBCT1 local_data foo.d.example. 60 IN A 192.0.2.1\n");
        assert_int_equal(lab->error, 0);
        assert_string_equal(lab->reply, "ok\n");
        command(lab, &options, "UBCT1 list_local_data\n");
        assert_int_equal(lab->error, 0);
        assert_non_null(strstr(lab->reply, "foo.d.example."));
        options.reply_max = 20;
        command(lab, &options, "UBCT1 list_local_data\n");
        assert_int_equal(lab->error, -EFBIG);
        options.reply_max = 0;

        /* Another name than the certificate's; a server certificate that is not the pinned one. */
        assert_int_equal(control_tls_new(cert, key, server, "other", &misnamed, NULL), 0);
        options.tls = misnamed;
        command(lab, &options, "UBCT1 status\n");
        assert_int_equal(lab->error, -EKEYREJECTED);
        assert_int_equal(control_tls_new(cert, key, cert, NULL, &stranger, NULL), 0);
        options.tls = stranger;
        command(lab, &options, "UBCT1 status\n");
        assert_int_equal(lab->error, -EKEYREJECTED);

        /* Files that are none. */
        struct control_tls *none;
        assert_int_equal(control_tls_new(cert, key, "/nowhere/cert", NULL, &none, &why), -ENOENT);
        assert_string_equal(why, "/nowhere/cert");
        assert_int_equal(control_tls_new(cert, server, server, NULL, &none, NULL), -EKEYREJECTED);
}

static void test_unbound_unix(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        const char *const which[] = { "unbound", "-h", NULL };
        char path[128];

        if (run(which) == 127)
                skip();
        unbound_start(lab, false);
        struct control_stream_options options = {
                .path = in_directory(lab, "socket", path),
                .timeout_usec = 5 * USEC_PER_SEC,
        };
        command_retry(lab, &options, "UBCT1 local_data foo.d.example. 60 IN A 192.0.2.1\n");
        assert_string_equal(lab->reply, "ok\n");
        command(lab, &options, "UBCT1 local_data nonsense\n");
        assert_int_equal(lab->error, 0);
        assert_int_equal(strncmp(lab->reply, "error", 5), 0);
}

static void test_timeout(void **state)
{
        _cleanup_(lab_freep) struct lab *lab = lab_new();
        struct address address = loopback();
        _cleanup_close_ int silent = stream_listen_open(&address, 0);
        struct control_stream_options options = {
                .host = "127.0.0.1",
                .port = port_of(silent),
                .timeout_usec = 50 * USEC_PER_MSEC,
        };
        struct control_stream *stream;

        command(lab, &options, "UBCT1 status\n");
        assert_int_equal(lab->error, -ETIMEDOUT);

        /* Cancelled: not a word. */
        assert_int_equal(control_stream_run(lab->event, &options, "x", 1, on_done, lab, &stream), 0);
        control_stream_free(stream);
        lab->n_done = 0;
        assert_true(sd_event_run(lab->event, 100000) >= 0);
        assert_int_equal(lab->n_done, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unbound_tls),
                cmocka_unit_test(test_unbound_unix),
                cmocka_unit_test(test_timeout),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
