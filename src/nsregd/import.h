/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking over the key files of the original nsregd. A name that is claimed already keeps its owner. */

#include "registry/registry.h"
#include "store/store.h"

/* --import-keydb: files named <zone>keydb. Says what happens. 0 or -errno. */
int import_keydbs(const char *config_path, char **files, int n_files);

/* The files of all zones that lie in "directory": for the first start with a database of our own. */
int import_directory(struct registry *registry, struct store *store, const char *directory);
