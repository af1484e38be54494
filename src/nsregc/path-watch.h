/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sees that a file may have changed, whatever is a link on the way to it: it is written in place, replaced in
 * its directory, its link is turned elsewhere, the target of that is replaced, or a directory comes to exist
 * that was not there. Every directory on the way is watched for the name that is looked for in it. */

#include <systemd/sd-event.h>

#include "util/macro.h"

struct path_watch;

/* path: absolute; copied. What cannot be watched is looked at whenever something else on the way changes. 0
 * or -errno. */
int path_watch_new(sd_event *event, const char *path, void (*changed)(void *userdata), void *userdata,
                   struct path_watch **ret);
struct path_watch *path_watch_free(struct path_watch *watch);
DEFINE_CLEANUP(struct path_watch *, path_watch_free)
