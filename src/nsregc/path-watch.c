/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/path-watch.h"

#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "util/log.h"

#define STEPS_MAX 40 /* names on the way, those of links' targets included; links may go round in circles */

/* One name in one directory. */
struct step {
        struct path_watch *watch;
        char *directory, *name;
        sd_event_source *source;
};

struct path_watch {
        sd_event *event;
        char *path;
        struct step steps[STEPS_MAX];
        size_t n_steps;
        sd_event_source *itself; /* the file at the end, which may be a mount of its own */
        void (*changed)(void *userdata);
        void *userdata;
};

static void arm(struct path_watch *watch);

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        struct step *step = userdata;
        struct path_watch *watch = step->watch;

        if (event->len > 0 && !(event->mask & IN_Q_OVERFLOW) && !streq(event->name, step->name))
                return 0;
        arm(watch);
        watch->changed(watch->userdata);
        return 0;
}

static int on_itself(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        struct path_watch *watch = userdata;

        watch->changed(watch->userdata);
        return 0;
}

static void disarm(struct path_watch *watch)
{
        for (size_t i = 0; i < watch->n_steps; i++) {
                sd_event_source_disable_unref(watch->steps[i].source);
                free(watch->steps[i].directory);
                free(watch->steps[i].name);
        }
        watch->n_steps = 0;
        watch->itself = sd_event_source_disable_unref(watch->itself);
}

static int step_add(struct path_watch *watch, const char *directory, const char *name, size_t length)
{
        struct step *step = &watch->steps[watch->n_steps];

        if (watch->n_steps == STEPS_MAX)
                return -ELOOP;
        *step = (struct step){
                .watch = watch,
                .directory = strdup(directory),
                .name = strndup(name, length),
        };
        watch->n_steps++;
        return step->directory && step->name ? 0 : -ENOMEM;
}

/* directory + "/" + name, in its place. */
static int descend(char directory[static PATH_MAX], const char *name, size_t length)
{
        size_t used = strlen(directory);

        if (used == 1)
                used = 0; /* the root */
        if (used + 1 + length + 1 > PATH_MAX)
                return -ENAMETOOLONG;
        directory[used] = '/';
        memcpy(directory + used + 1, name, length);
        directory[used + 1 + length] = '\0';
        return 0;
}

static void ascend(char directory[static PATH_MAX])
{
        char *slash = strrchr(directory, '/');

        slash[slash == directory] = '\0';
}

/* Puts the target of a link before the rest of the way. */
static int follow(char directory[static PATH_MAX], const char *target, const char *rest, char **ret_rest)
{
        char *joined;

        if (asprintf(&joined, "%s/%s", target, rest) < 0)
                return -ENOMEM;
        if (target[0] == '/')
                strcpy(directory, "/");
        free(*ret_rest);
        *ret_rest = joined;
        return 0;
}

/* Goes the way step by step, as the kernel does, and notes the steps. A name that is not there is the last.
 */
static int walk(struct path_watch *watch)
{
        _cleanup_free_ char *rest = strdup(watch->path);
        char directory[PATH_MAX] = "/", target[PATH_MAX];
        char *at = rest;
        int r = 0;

        if (!rest)
                return -ENOMEM;
        while (r >= 0) {
                size_t length;
                ssize_t n;

                at += strspn(at, "/");
                length = strcspn(at, "/");
                if (length == 0)
                        break;
                if (length == 1 && at[0] == '.') {
                        at++;
                        continue;
                }
                if (length == 2 && at[0] == '.' && at[1] == '.') {
                        ascend(directory);
                        at += 2;
                        continue;
                }
                r = step_add(watch, directory, at, length);
                if (r >= 0)
                        r = descend(directory, at, length);
                if (r < 0)
                        break;
                at += length;
                n = readlink(directory, target, sizeof(target) - 1);
                if (n < 0)
                        continue; /* no link; or not there, and then nothing below it is */
                target[n] = '\0';
                ascend(directory);
                r = follow(directory, target, at, &rest);
                at = rest;
        }
        return r;
}

static void watch_steps(struct path_watch *watch)
{
        for (size_t i = 0; i < watch->n_steps; i++) {
                struct step *step = &watch->steps[i];

                (void) sd_event_add_inotify(watch->event, &step->source, step->directory,
                                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                                    IN_DELETE | IN_ONLYDIR,
                                            on_inotify, step);
        }
        (void) sd_event_add_inotify(watch->event, &watch->itself, watch->path, IN_CLOSE_WRITE, on_itself,
                                    watch);
}

static bool same_steps(const struct path_watch *a, const struct path_watch *b)
{
        for (size_t i = 0; i < a->n_steps && i < b->n_steps; i++)
                if (!streq(a->steps[i].directory, b->steps[i].directory) ||
                    !streq(a->steps[i].name, b->steps[i].name) ||
                    (access(a->steps[i].directory, F_OK) == 0 && !a->steps[i].source))
                        return false;
        return a->n_steps == b->n_steps;
}

/* Is the way another by now, or has a directory on it come to exist, since it was watched. */
static bool outdated(const struct path_watch *watch)
{
        struct path_watch now = { .path = watch->path };
        bool different;

        (void) walk(&now);
        different = !same_steps(watch, &now);
        disarm(&now);
        return different;
}

static void arm(struct path_watch *watch)
{
        /* What changes while the watches are put up is seen by the next round. */
        for (int i = 0; i < 4; i++) {
                int r;

                disarm(watch);
                r = walk(watch);
                if (r < 0)
                        log_debug("%s: cannot be watched to its end: %s", watch->path, strerror(-r));
                watch_steps(watch);
                if (!outdated(watch))
                        return;
        }
}

int path_watch_new(sd_event *event, const char *path, void (*changed)(void *userdata), void *userdata,
                   struct path_watch **ret)
{
        struct path_watch *watch = calloc(1, sizeof(*watch));

        if (!watch)
                return -ENOMEM;
        watch->event = sd_event_ref(event);
        watch->changed = changed;
        watch->userdata = userdata;
        watch->path = strdup(path);
        if (!watch->path) {
                path_watch_free(watch);
                return -ENOMEM;
        }
        arm(watch);
        *ret = watch;
        return 0;
}

struct path_watch *path_watch_free(struct path_watch *watch)
{
        if (!watch)
                return NULL;
        disarm(watch);
        sd_event_unref(watch->event);
        free(watch->path);
        free(watch);
        return NULL;
}
