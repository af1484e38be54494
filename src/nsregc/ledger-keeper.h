/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes up for what could not be written into the ledger: a disk that is full has room again some time. */

#include <systemd/sd-event.h>

#include "nsregc/ledger.h"
#include "util/macro.h"

struct ledger_keeper;

/* The ledger outlives it. 0 or -ENOMEM. */
int ledger_keeper_new(sd_event *event, struct ledger *ledger, struct ledger_keeper **ret);
struct ledger_keeper *ledger_keeper_free(struct ledger_keeper *keeper);
DEFINE_CLEANUP(struct ledger_keeper *, ledger_keeper_free)

/* Something may have been written, or not. */
void ledger_keeper_look(struct ledger_keeper *keeper);
