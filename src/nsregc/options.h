/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line, laid over the configuration. */

#include <stdbool.h>

#include "config/nsregc-config.h"

struct options {
        const char *config_path;
        const char *name;
        const char *server;
        struct string_list interfaces, addresses, zones;
        const char *challenge; /* the value that an ACME authority looks for; NULL: none */
        bool challenge_add;    /* else it goes */
        bool tcp, keep, debug, print, once, release, generate_key, roll_key;
};

/* Returns 0; 1: everything was said, exit with 0; -EINVAL: told on stderr, exit with 2. */
int options_parse(int argc, char *argv[], struct options *ret);
/* Whether options_apply() will do. 0; -EINVAL, told on stderr; -ENOMEM. */
int options_check(const struct options *options);
/* 0; -EINVAL, told on stderr; -ENOMEM. */
int options_apply(const struct options *options, struct nsregc_config *config);
/* What "mine" has and "other" has not, as lines of a configuration joined by ", "; NULL: they say the same.
 * Owned by the caller. 0 or -ENOMEM. */
int options_difference(const struct nsregc_config *other, const struct nsregc_config *mine, char **ret);
void options_clear(struct options *options);
