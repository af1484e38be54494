/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a configuration lies: one main file, and drop-ins NAME.d/ *.yaml in the order of their names. */

#include "config/document.h"

/* Reads "path" and the drop-ins in "path.d". A missing main file is an error. */
int config_files_load_path(const char *path, struct config_document **ret, struct config_error *error);

/* Reads the first "name" that is in one of the directories (a NULL-terminated list, most important first),
 * and the drop-ins of all of them, where a file hides those of the same name further down. With none of all
 * these the document is empty. */
int config_files_load_directories(const char *const *directories, const char *name,
                                  struct config_document **ret, struct config_error *error);
