/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Base64 (RFC 4648 section 4), for this room only. What goes through may be secret: copies are wiped. */

#include <stddef.h>
#include <stdint.h>

/* The caller's, to be wiped when the data is secret; NULL: no memory. */
char *base64_encode(const uint8_t *data, size_t length);
/* White space is passed over. The length, 1 to "size"; -EINVAL: not Base64, nothing, or longer than that. */
int base64_decode(const char *text, uint8_t *buffer, size_t size);
