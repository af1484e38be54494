/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* nsregc --roll-key, from beginning to end: the new key is made by whoever may keep it, and the registrars
 * are told by a child, which may be less than that. */

#include "config/nsregc-config.h"
#include "nsregc/identity.h"
#include "nsregc/options.h"

/* Tells the registrars, in a process of its own; an exit status as of manager.h. "identity" has the old key
 * and no lock yet. */
typedef int (*roll_run)(const struct options *options, struct nsregc_config *config,
                        struct identity *identity, const struct dns_keypair *pair, bool left);

/* Takes the configuration. 0 or -errno, logged. */
int roll_key(const struct options *options, struct nsregc_config *config, roll_run run);
