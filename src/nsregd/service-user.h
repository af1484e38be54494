/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Root can read what the service, which runs as a user of its own, cannot: for --check-config. And what root
 * writes the service can not even read: for --import-keydb. */

#include "config/nsregd-config.h"

/* For the service's own configuration, read by root. Says which files are out of the service's reach, and
 * what to type. 0; -EACCES: told; -errno. Without such a user it says so, and that is all. */
int service_user_check(const struct nsregd_config *config);

/* Makes the directory if it is not there (for the service's user where it is the service's), and becomes
 * whose it is, for good: what is made in it then is that user's. 0 or -errno. */
int service_user_enter(const char *directory, bool of_service);

/* After a failure in that directory: says what to type, if it is for what is in it being others'; whether it
 * is. */
bool service_user_explain(const char *directory);
