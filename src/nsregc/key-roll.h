/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The key that is to take the place of the one in force. It lies beside that one, with ".new" behind its
 * name, from before any registrar hears of it until all have it: whatever interrupts, the next attempt goes
 * on with the same one. */

#include <stdbool.h>

#include "config/nsregc-config.h"
#include "dns/key.h"

/* "path" is where the key in force is, or where it is sealed. Makes one, or takes what an earlier attempt
 * left ("*ret_left"). 0, or -errno with "*why", owned by the caller. */
int key_roll_begin(const char *path, struct dns_keypair **ret, bool *ret_left, char **why);
/* It is the one in force from now on. "label" becomes the owner name of the public half, where there is a
 * file of it. */
int key_roll_take(const char *path, const char *public_path, const char *label, const struct dns_key *key,
                  char **why);
/* No registrar has heard of it. */
int key_roll_drop(const char *path, char **why);
