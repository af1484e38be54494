/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads a whole regular file of at most "max" bytes; *ret is NUL-terminated behind its end and owned by the
 * caller. 0, -EFBIG, or what open and read say. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_size);

/* Replaces "path" as a whole: a temporary file beside it, fsync, rename, fsync of the directory. "mode" is
 * set exactly, whatever the umask. 0 or -errno; on failure the old file is as it was. */
int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode);

/* Makes one directory, with "mode", if it is not there. Its parents must exist. 0 or -errno. */
int directory_ensure(const char *path, mode_t mode);

/* The same for all that are missing on the way. "path" is absolute. 0 or -errno. */
int directory_ensure_all(const char *path, mode_t mode);

/* The directory that "path" is in, "." where it names none; NULL when memory is out. */
char *path_parent(const char *path);

/* directory + "/" + name; NULL when memory is out. */
char *path_join(const char *directory, const char *name);
/* Can everybody read it: it, and the way to it, behind symbolic links. False also where it is not there. */
bool file_is_public(const char *path);
