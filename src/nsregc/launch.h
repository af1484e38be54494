/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From the command line to whoever does what it says: this process, with key and lock, or one that runs
 * already. All of it tells what goes wrong. */

#include "config/nsregc-config.h"
#include "nsregc/identity.h"
#include "nsregc/options.h"

/* The configuration with the command line, "userdata", laid over it: a manager_load. */
int launch_load(void *userdata, struct nsregc_config **ret, char **why);
/* One who runs already is asked. -ENOENT: there is none, nothing was told; else 0, an exit status, or -errno.
 */
int launch_ask(const struct options *options, const struct nsregc_config *config);
/* The key, and where the state directory is. */
int launch_key(const struct options *options, const struct nsregc_config *config, struct identity *ret);
/* Behind that: takes the state directory. */
int launch_state(struct identity *identity);
/* The key, and the state directory with its lock; to be cleared on failure too. 0 or -errno. */
int launch_identity(const struct options *options, const struct nsregc_config *config, struct identity *ret);
