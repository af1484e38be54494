/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What time does to leases when nobody could refresh them, or when the clock cannot be believed: the one
 * place that looks at the machine's clocks for the daemon. */

#include <stdbool.h>

#include "util/time.h"

struct context;
struct hold;

/* Before anything is loaded: the store is open. NULL when memory is out. */
struct hold *hold_new(struct context *manager);
struct hold *hold_free(struct hold *hold);

/* Everything is loaded and READY is about to be said. */
void hold_begin(struct hold *hold);
/* Before leases are ended: were the last hours such that they may. */
void hold_look(struct hold *hold);
/* Is the machine's clock to be believed, so that a signature may be called too old or too new. */
bool hold_is_synchronized(const struct hold *hold);
