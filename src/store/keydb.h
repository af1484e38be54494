/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The key files of the original nsregd: a JSON map of names to their keys, one file per zone. Read only. */

#include <stddef.h>

#include "dns/key.h"
#include "util/time.h"

/* A negative return ends the reading and is returned. "expiry_usec" is real time. */
typedef int (*keydb_entry)(void *userdata, const struct dns_name *name, const struct dns_key *key,
                           usec_t expiry_usec);

/* 0 or -errno: -EBADMSG with "*why" (owned by the caller): not such a file. Nothing is told before the whole
 * file was found good. */
int keydb_read(const char *path, keydb_entry entry, void *userdata, char **why);
