/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What time does to leases when nobody could refresh them, or when the clock cannot be believed: the one
 * place that looks at the machine's clocks for the manager. */

#include "util/time.h"

struct manager;
struct hold;

/* Before anything is loaded: the store is open. NULL when memory is out. */
struct hold *hold_new(struct manager *manager);
struct hold *hold_free(struct hold *hold);

/* Everything is loaded and READY is about to be said; again for a registry that takes another's place. */
void hold_begin(struct hold *hold);
/* Before leases are ended: were the last hours such that they may. */
void hold_look(struct hold *hold);
