/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is known of this machine's clocks: what does not end because nobody could refresh it in time, and
 * whether a signature may be called too old or too new for good. */

#include <stdbool.h>

#include "util/macro.h"

struct clock_watch;
struct context;

int clock_watch_new(struct context *context, struct clock_watch **ret); /* 0 or -errno */
struct clock_watch *clock_watch_free(struct clock_watch *watch);
DEFINE_CLEANUP(struct clock_watch *, clock_watch_free)

/* When the names are there and READY is about to be said. */
void clock_watch_begin(struct clock_watch *watch);
/* Before leases are ended: was the time such that they may. */
void clock_watch_look(struct clock_watch *watch);
bool clock_watch_is_synchronized(const struct clock_watch *watch);
