/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether what a name may have can be said in one message. */

#include "config/schema.h"
#include "registry/policy.h"

/* Warns at the zone, or at the limits, whichever was configured to be too narrow for the other. The nodes may
 * be NULL. */
void config_check_limits(struct config_decoder *decoder, const struct config_node *zone_node,
                         const struct config_node *limits_node, const struct zone_policy *policy,
                         const struct peer_limits *limits);
