/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one place that joins the floors: makes the parts of nsregd, in their order, and nothing else. */

#include <systemd/sd-event.h>

#include "util/macro.h"

struct manager;

/* Reads the configuration and sets everything up, sockets included. Says what went wrong. 0 or -errno;
 * -EINVAL: the configuration is bad. */
int manager_new(sd_event *event, const char *config_path, struct manager **ret);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager *, manager_free)

/* Ready to serve: tells the service manager so. */
void manager_ready(struct manager *manager);
/* SIGHUP: reads the configuration again. */
void manager_reload(struct manager *manager);
/* TERM: ends the loop when all is stored. */
void manager_stop(struct manager *manager);
