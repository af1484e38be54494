/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A database that turns out to be damaged while everything runs: memory is the truth. A fresh one is written
 * beside it and takes its place once it is whole; the old one is kept as registry.db.damaged. On the thread.
 *
 * Files: registry.db.new while it is written; registry.db.whole from the moment on that it counts. A start
 * that finds the latter finishes the exchange. */

#include "store/database.h"

/* What of the old one is no name (units, serials, imports) is taken over as far as it can be read. */
int rebuild_begin(struct database *old, struct database *fresh);
/* "fresh" takes the place of "database"; both are closed if that fails. */
int rebuild_end(struct database *database, struct database *fresh);
/* Before opening "path". 0 or -errno. */
int rebuild_finish(const char *path);
