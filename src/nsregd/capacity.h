/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* How many P-256 signatures one core of this machine verifies in a second, measured in a few milliseconds,
 * at the first call. */
uint32_t capacity_verifications_per_second(void);
