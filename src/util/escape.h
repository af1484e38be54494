/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only way for foreign octets out of the process: printable ASCII, bounded, everything else as \DDD. */

#include <stddef.h>

/* Writes at most "size" - 1 characters and a NUL; what does not fit ends in "...". Returns buffer. */
char *escape_bytes(char *buffer, size_t size, const void *bytes, size_t length);
char *escape_string(char *buffer, size_t size, const char *string);
