/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the daemon has more to do than it gets done: by the time that its loop spends waiting. Told to the
 * quota, whose rates bind only then. */

#include "util/macro.h"

struct busy_watch;
struct context;

int busy_watch_new(struct context *context, struct busy_watch **ret); /* 0 or -errno */
struct busy_watch *busy_watch_free(struct busy_watch *watch);
DEFINE_CLEANUP(struct busy_watch *, busy_watch_free)
