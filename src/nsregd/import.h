/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking over the key files of the original nsregd. A name that is claimed already keeps its owner. */

#include "registry/registry.h"
#include "store/store.h"

/* --import-keydb: files named <zone>keydb. Says what happens. 0 or -errno. */
int import_keydbs(const char *config_path, char **paths, int n_files);

struct context;

/* The files that lie in the data directory, of zones that are seen for the first time. One that cannot be
 * taken keeps new names from being given in its zone: their owners are in it. It is tried again at the next
 * start, until it is given up. 0 or -errno: the store fails. */
int import_directory(struct context *context);
/* Of a zone that is added later: when it was imported, if it was. */
void import_recall(const struct context *context, struct registry_zone *zone);
/* What is remembered for that. */
struct imports *imports_free(struct imports *imports);
/* The key file of this zone is given up: as if it had been imported. 0 or -ENOMEM. */
int import_abandon(struct context *context, struct registry_zone *zone);
