/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this machine can do, in processor time: measured at the start, and again with what is verified, so
 * that neither what else runs nor a processor that changes its pace makes it wrong for long. */

#include <stdint.h>

#include "util/time.h"

/* Verifications with P-256 that a processor does in a second. */
uint32_t capacity_verifications_per_second(void);
/* As how many of those one with this algorithm counts, at least 1. */
unsigned capacity_weight(unsigned algorithm);

/* Around a verification that is good (a bad one may have cost less): what it took. */
usec_t capacity_begin(void);
void capacity_end(unsigned algorithm, usec_t begin);
