/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a start would find wrong with a configuration beyond its text, without starting. */

#include "config/nsregd-config.h"

/* Sets up every upstream's connection as a start does, certificates included, and contacts nobody. Says what
 * is wrong. 0 or -errno. */
int prove_upstreams(const struct nsregd_config *config);
