/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names as people write them, in the form that DNS has for them (RFC 5890: A-labels). Only ever told as a
 * hint: what is configured is taken as it stands or not at all. */

#include <stdbool.h>

bool text_is_ascii(const char *text);

/* The A-label form of each label (RFC 5891, RFC 3492). "text" is UTF-8. Owned by the caller; NULL: memory is
 * out, or the form is not certain without tables of all of Unicode (letters composed of several characters).
 */
char *idna_to_ascii(const char *text);
