/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is known of this machine's clock, and what is not done while it cannot be believed: no key lease ends,
 * and no signature is called too old or too new for good. */

#include <stdbool.h>

#include "util/macro.h"

struct clock_watch;
struct context;

int clock_watch_new(struct context *context, struct clock_watch **ret); /* 0 or -errno */
struct clock_watch *clock_watch_free(struct clock_watch *watch);
DEFINE_CLEANUP(struct clock_watch *, clock_watch_free)

/* Looks now, and again until all is well. To be called when the names are there. */
void clock_watch_begin(struct clock_watch *watch);
bool clock_watch_is_synchronized(const struct clock_watch *watch);
