/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* At the start: a server of a zone has another address than at the last run, or another spelling of it. Where
 * of a type and zone exactly one upstream that has rows is configured no more, and exactly one that has none
 * is, they are the same, and the rows are that one's. Between two runs this is what publisher_prepare_done()
 * is between two configurations. */

#include "nsregd/context.h"

/* Before rows are loaded and before store_start(). 0 or -errno with "*why" (the caller's). */
int inherit_rows(struct context *context, char **why);
