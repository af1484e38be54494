/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is wrong with a configuration, and where. The room does not log: programs print these texts. */

#include <stdbool.h>
#include <stddef.h>

#include "util/macro.h"

/* A place in a file. Lines and columns count from 1; line 0 means the file as a whole. */
struct config_position {
        const char *path; /* borrowed from the document */
        unsigned line;
        unsigned column;
};

/* Errors beyond this many are counted only. */
#define CONFIG_ERRORS_MAX 20

struct config_error {
        char *text; /* "FILE:LINE:COLUMN: KEY.PATH: what is wrong (hint)", one line each, no final newline */
        char *warnings; /* likewise; also there when everything else is well */
        unsigned n_errors;
        unsigned n_warnings;
        bool out_of_memory;
};

#define CONFIG_ERROR_INIT ((struct config_error){})

void config_error_clear(struct config_error *error);

/* "position" and "key" (the key's path) may be NULL. Never fails; what cannot be stored sets out_of_memory.
 */
void config_error_add(struct config_error *error, const struct config_position *position, const char *key,
                      const char *format, ...) _printf_(4, 5);
void config_error_warn(struct config_error *error, const struct config_position *position, const char *key,
                       const char *format, ...) _printf_(4, 5);

/* 0, -EINVAL (there are errors) or -ENOMEM. */
int config_error_result(const struct config_error *error);
