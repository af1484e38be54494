/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Another nsregc that runs on this machine is asked to do what the command line wants, so that there is one
 * identity and one who speaks for it. */

#include <stdbool.h>

#include "util/macro.h"

struct bus_ask;

/* 0; -ENOENT: none runs, or there is no bus to see it on; -errno. */
int bus_ask_open(struct bus_ask **ret);
struct bus_ask *bus_ask_free(struct bus_ask *ask);
DEFINE_CLEANUP(struct bus_ask *, bus_ask_free)

/* Registers, or releases, and waits for the answers. 0, or -errno with what went wrong in "*why" (owned by
 * the caller). */
int bus_ask_run(struct bus_ask *ask, bool release, char **why);
/* Registers a record, or takes it away; likewise. */
int bus_ask_record(struct bus_ask *ask, bool add, const char *below, const char *type, const char *data,
                   char **why);
