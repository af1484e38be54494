/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Root can read what the service, which runs as a user of its own, cannot: for --check-config. */

#include "config/nsregd-config.h"

/* For the service's own configuration, read by root. Says which files are out of the service's reach, and
 * what to type. 0; -EACCES: told; -errno. Without such a user it says so, and that is all. */
int service_user_check(const struct nsregd_config *config);
