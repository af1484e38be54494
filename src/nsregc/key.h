/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The key that this machine's name belongs to: one, whoever asks for it. Looked for where the configuration
 * says, as the service's credential, in the state directory, beside the configuration file (where the
 * original keeps it); made where the configuration says, or in the state directory. Never in the working
 * directory. */

#include <stdbool.h>

#include "config/nsregc-config.h"
#include "dns/key.h"

struct key_paths {
        char *private_path; /* the file that was read or written */
        char *public_path;  /* NULL for a credential */
};

void key_paths_clear(struct key_paths *paths);

/* "state" is the state directory. "sealed": the service's key is sealed and read as key-sealed.h does, made
 * if it is not there. "label" becomes the owner name in a public key file that is written. "*why" names the
 * file and what is wrong with it; owned by the caller. 0; -ENOKEY: there is none and none may be made;
 * -EBADMSG, -EOPNOTSUPP: the file is no key; others as from open, read, write. "*ret_made": a new one. */
int key_obtain(const struct nsregc_config *config, const char *state, bool sealed, const char *label,
               struct dns_keypair **ret, struct key_paths *ret_paths, bool *ret_made, char **why);
/* From a file; for key-roll.h. 0; -ENOENT without a word; as above. */
int key_read(const char *path, struct dns_keypair **ret, char **why);
int key_write_public(const char *path, const char *label, const struct dns_key *key, char **why);
/* Where the public half of a key that is a file is kept; NULL: memory is out. */
char *key_public_path(const struct nsregc_config *config, const char *state);
/* Makes a new one, unless there is one: -EEXIST, with *why naming it. */
int key_generate(const struct nsregc_config *config, const char *state, bool sealed, const char *label,
                 struct dns_keypair **ret, struct key_paths *ret_paths, char **why);
