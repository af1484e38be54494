/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ends what has ended: records, key leases, blocks, replay memory, each when its time on the lease clock has
 * come. Many may end at once; they end in slices, in turn with everything else. */

#include "util/macro.h"

struct context;
struct lease_ends;

int lease_ends_new(struct context *context, struct lease_ends **ret); /* 0 or -errno */
struct lease_ends *lease_ends_free(struct lease_ends *ends);
DEFINE_CLEANUP(struct lease_ends *, lease_ends_free)

/* Nothing ends any more: the daemon is about to stop. */
void lease_ends_freeze(struct lease_ends *ends);
