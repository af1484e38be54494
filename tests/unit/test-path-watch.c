/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nsregc/path-watch.h"
#include "util/file.h"
#include "util/time.h"

struct fixture {
        char root[32];
        sd_event *event;
        struct path_watch *watch;
        unsigned n_changes;
};

static void on_changed(void *userdata)
{
        ((struct fixture *) userdata)->n_changes++;
}

static int set_up(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        strcpy(fixture->root, "/tmp/nsreg-watch-XXXXXX");
        assert_non_null(mkdtemp(fixture->root));
        assert_int_equal(sd_event_new(&fixture->event), 0);
        assert_int_equal(chdir(fixture->root), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;
        char command[64];

        path_watch_free(fixture->watch);
        sd_event_unref(fixture->event);
        assert_int_equal(chdir("/"), 0);
        snprintf(command, sizeof(command), "rm -r %s", fixture->root);
        assert_int_equal(system(command), 0);
        free(fixture);
        return 0;
}

static void watch(struct fixture *fixture, const char *path)
{
        char full[128];

        snprintf(full, sizeof(full), "%s/%s", fixture->root, path);
        assert_int_equal(path_watch_new(fixture->event, full, on_changed, fixture, &fixture->watch), 0);
}

static void put(const char *path, const char *text)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* Everything that waits is dealt with; whether there was a change among it. */
static bool seen(struct fixture *fixture)
{
        unsigned before = fixture->n_changes;
        int r;

        while ((r = sd_event_run(fixture->event, 50 * USEC_PER_MSEC)) > 0)
                ;
        assert_int_equal(r, 0);
        return fixture->n_changes > before;
}

static void replace(const char *path, const char *text)
{
        put("new", text);
        assert_int_equal(rename("new", path), 0);
}

static void test_plain_file(void **state)
{
        struct fixture *fixture = *state;

        watch(fixture, "conf");
        assert_false(seen(fixture));
        put("conf", "a");
        assert_true(seen(fixture));
        put("conf", "b");
        assert_true(seen(fixture));
        replace("conf", "c");
        assert_true(seen(fixture));
        assert_int_equal(unlink("conf"), 0);
        assert_true(seen(fixture));
        put("other", "x");
        assert_false(seen(fixture));
        put("conf", "d");
        assert_true(seen(fixture));
}

/* As NetworkManager and resolvconf have it. */
static void test_target_of_a_link_is_replaced(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(mkdir("run", 0755), 0);
        put("run/real", "a");
        assert_int_equal(symlink("run/real", "conf"), 0);
        watch(fixture, "conf");
        for (unsigned i = 0; i < 3; i++) {
                replace("run/real", "b");
                assert_true(seen(fixture));
                assert_int_equal(unlink("run/real"), 0);
                assert_true(seen(fixture));
                put("run/real", "c");
                assert_true(seen(fixture));
        }
        /* The link itself is turned elsewhere. */
        assert_int_equal(mkdir("other", 0755), 0);
        put("other/real", "d");
        assert_int_equal(symlink("other/real", "new"), 0);
        assert_int_equal(rename("new", "conf"), 0);
        assert_true(seen(fixture));
        put("other/real", "e");
        assert_true(seen(fixture));
        put("run/real", "f");
        assert_false(seen(fixture));
}

static void test_every_link_on_the_way(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(mkdir("a", 0755), 0);
        assert_int_equal(mkdir("b", 0755), 0);
        assert_int_equal(mkdir("c", 0755), 0);
        put("a/real", "1");
        put("b/real", "2");
        assert_int_equal(symlink("../a", "c/dir"), 0);
        assert_int_equal(symlink("c/../c/dir/./real", "middle"), 0);
        assert_int_equal(symlink("middle", "conf"), 0);
        watch(fixture, "conf");
        replace("a/real", "3");
        assert_true(seen(fixture));
        assert_int_equal(symlink("../b", "new"), 0);
        assert_int_equal(rename("new", "c/dir"), 0);
        assert_true(seen(fixture));
        put("b/real", "4");
        assert_true(seen(fixture));
        put("a/real", "5");
        assert_false(seen(fixture));
        assert_int_equal(symlink("a/real", "new"), 0);
        assert_int_equal(rename("new", "middle"), 0);
        assert_true(seen(fixture));
        put("a/real", "6");
        assert_true(seen(fixture));
}

static void test_directories_that_come_later(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(symlink("run/systemd/netif/state", "conf"), 0);
        watch(fixture, "conf");
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(mkdir("run", 0755), 0);
                (void) seen(fixture);
                assert_int_equal(mkdir("run/systemd", 0755), 0);
                (void) seen(fixture);
                assert_int_equal(mkdir("run/systemd/netif", 0755), 0);
                (void) seen(fixture);
                put("run/systemd/netif/state", "a");
                assert_true(seen(fixture));
                put("run/systemd/netif/state", "b");
                assert_true(seen(fixture));
                assert_int_equal(system("rm -r run"), 0);
                assert_true(seen(fixture));
        }
        /* All at once. */
        assert_int_equal(system("mkdir -p new/systemd/netif; echo a > new/systemd/netif/state; mv new run"),
                         0);
        assert_true(seen(fixture));
        put("run/systemd/netif/state", "b");
        assert_true(seen(fixture));
}

static void test_circles_end(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(symlink("two", "one"), 0);
        assert_int_equal(symlink("one", "two"), 0);
        watch(fixture, "one");
        replace("two", "a");
        assert_true(seen(fixture));
        put("two", "b");
        assert_true(seen(fixture));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_plain_file),
                TEST(test_target_of_a_link_is_replaced),
                TEST(test_every_link_on_the_way),
                TEST(test_directories_that_come_later),
                TEST(test_circles_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
