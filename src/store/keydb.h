/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The key files of the original nsregd: a JSON map of names to their keys, one file per zone. Read only. */

#include <stddef.h>

#include "dns/key.h"
#include "util/time.h"

struct keydb_entry {
        const char *spelled; /* as it stands there */
        struct dns_name name;
        struct dns_key key;
        usec_t expiry_usec; /* real time */
        const char *why;    /* not NULL: it is unusable, for this reason, and so is all but "spelled" */
};

/* A negative return ends the reading and is returned. */
typedef int (*keydb_told)(void *userdata, const struct keydb_entry *entry);

/* 0 or -errno. "*ret" is the caller's. */
int keydb_read(const char *path, char **ret, size_t *ret_size);

/* Spellings of one name are told one after the other: the canonical one first, then the older ones. 0 or
 * -errno: -EBADMSG: it is no such database, and nothing was told. */
int keydb_parse(const char *text, size_t size, keydb_told told, void *userdata);
