/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether what a name may have can be said in one message. */

#include "config/nsregd-config.h"
#include "config/schema.h"

/* Warns at the zone, or at the limits, that is too narrow for the other. "node" as for a table's check. */
void config_check_limits(struct config_decoder *decoder, const struct config_node *node,
                         const struct nsregd_config *config);
