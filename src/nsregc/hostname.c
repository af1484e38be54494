/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/hostname.h"

#include <ctype.h>
#include <sys/inotify.h>

#include "dns/name.h"
#include "util/file.h"

#define FILE_MAX 4096

struct hostname_watch {
        sd_event_source *source;
        void (*changed)(void *userdata);
        void *userdata;
};

int hostname_parse(const char *text, char ret[static HOSTNAME_LABEL_MAX])
{
        size_t n = 0;

        /* Comments and empty lines may stand before the name. */
        for (;;) {
                text += strspn(text, " \t\r\n");
                if (*text != '#')
                        break;
                text += strcspn(text, "\n");
        }
        n = strcspn(text, " \t\r\n");
        if (n == 0)
                return -ENODATA;
        n = MIN(n, strcspn(text, "."));
        if (n == 0 || n > DNS_LABEL_MAX || !dns_label_is_ldh((const uint8_t *) text, n))
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                ret[i] = (char) tolower((unsigned char) text[i]);
        ret[n] = '\0';
        return streq(ret, "localhost") ? -ENODATA : 0;
}

int hostname_read(const char *directory, char ret[static HOSTNAME_LABEL_MAX])
{
        _cleanup_free_ char *path = path_join(directory, "hostname"), *text = NULL;
        size_t size;
        int r;

        if (!path)
                return -ENOMEM;
        r = file_read(path, FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return -ENODATA;
        if (r < 0)
                return r;
        return hostname_parse(text, ret);
}

int hostname_choose(const char *configured, const char *directory, char ret[static HOSTNAME_LABEL_MAX])
{
        return configured ? hostname_parse(configured, ret) : hostname_read(directory, ret);
}

/* The directory is watched, since the file is replaced as a whole. */
static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        struct hostname_watch *watch = userdata;

        if ((event->mask & IN_Q_OVERFLOW) || (event->len > 0 && streq(event->name, "hostname")))
                watch->changed(watch->userdata);
        return 0;
}

int hostname_watch_new(sd_event *event, const char *directory, void (*changed)(void *userdata),
                       void *userdata, struct hostname_watch **ret)
{
        struct hostname_watch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->changed = changed;
        watch->userdata = userdata;
        r = sd_event_add_inotify(event, &watch->source, directory,
                                 IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR, on_inotify, watch);
        if (r < 0) {
                free(watch);
                return r;
        }
        *ret = watch;
        return 0;
}

struct hostname_watch *hostname_watch_free(struct hostname_watch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->source);
        free(watch);
        return NULL;
}
