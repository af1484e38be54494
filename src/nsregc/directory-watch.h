/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files of some name in a directory: told when one of them was written, replaced or taken away. The directory
 * is watched, since such files are replaced as a whole. */

#include <systemd/sd-event.h>

#include "util/macro.h"

struct directory_watch;
/* "pattern" (fnmatch, a view) of their names. 0 or -errno: -ENOENT where there is no such directory. */
int directory_watch_new(sd_event *event, const char *directory, const char *pattern,
                        void (*changed)(void *userdata), void *userdata, struct directory_watch **ret);
struct directory_watch *directory_watch_free(struct directory_watch *watch);
DEFINE_CLEANUP(struct directory_watch *, directory_watch_free)
