/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which signature the requests had that were accepted: the registry remembers what was signed, of which there
 * can be many signatures. A table of a fixed size; of what fell out, or was accepted before this process
 * began, the signature has to be verified again. */

#include <stddef.h>
#include <stdint.h>

#include "util/macro.h"

struct repeats;
struct update;

enum repeat_verdict {
        REPEAT_SAME,    /* octet for octet */
        REPEAT_OTHER,   /* with another signature */
        REPEAT_UNKNOWN, /* what was signed is not known here */
};

struct repeats *repeats_new(void); /* NULL when memory is out */
struct repeats *repeats_free(struct repeats *repeats);
DEFINE_CLEANUP(struct repeats *, repeats_free)

/* A request whose signature was good, decoded and as it was received. */
void repeats_note(struct repeats *repeats, const struct update *update, const uint8_t *octets, size_t size);
enum repeat_verdict repeats_judge(const struct repeats *repeats, const struct update *update,
                                  const uint8_t *octets, size_t size);
