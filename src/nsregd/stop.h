/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The end, in phases, while the loop still runs: completions come nowhere else. */

#include "util/macro.h"

struct context;
struct stop;

int stop_new(struct context *context, struct stop **ret); /* 0 or -errno */
struct stop *stop_free(struct stop *stop);
DEFINE_CLEANUP(struct stop *, stop_free)

/* Takes nothing new, withdraws what is not to be kept, lets what is under way come to its end, stores what is
 * only in memory, and ends the loop. Asked for again, the phases that wait for others are cut short; the disk
 * is waited for all the same. */
void stop_begin(struct stop *stop);
/* Everything that was to be withdrawn is: for struct publisher_ops. */
void stop_on_withdrawn(struct stop *stop);
