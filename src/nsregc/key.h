/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The key that this machine's name belongs to. Looked for in $CREDENTIALS_DIRECTORY/nsregc.private, the
 * configured path, $STATE_DIRECTORY/nsregc.private, the default path; made where it would be kept. */

#include <stdbool.h>

#include "config/nsregc-config.h"
#include "dns/key.h"

struct key_paths {
        char *private_path; /* the file that was read or written */
        char *public_path;  /* NULL for a credential */
};

void key_paths_clear(struct key_paths *paths);

/* "label" becomes the owner name in a public key file that is written. "*why" names the file and what is
 * wrong with it; owned by the caller. 0; -ENOKEY: there is none and none may be made; -EBADMSG, -EOPNOTSUPP:
 * the file is no key; others as from open, read, write. "*ret_made": a new one. */
int key_obtain(const struct nsregc_config *config, const char *label, struct dns_keypair **ret,
               struct key_paths *ret_paths, bool *ret_made, char **why);
/* Makes a new one, unless there is one: -EEXIST, with *why naming it. */
int key_generate(const struct nsregc_config *config, const char *label, struct dns_keypair **ret,
                 struct key_paths *ret_paths, char **why);

/* $STATE_DIRECTORY's first, or NULL. Owned by the caller. */
char *state_directory(void);
