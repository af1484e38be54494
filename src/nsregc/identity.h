/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who this nsregc is on its machine: the service, root by hand in the place of the service, or a user with a
 * key of his own. */

#include <stdbool.h>

#include "dns/key.h"
#include "util/macro.h"

struct identity {
        char *state; /* directory */
        struct dns_keypair *pair;
        char *key_source; /* where that was found, or made */
        int lock;         /* -1: not held */
};

void identity_clear(struct identity *identity);

/* Root by hand: takes the service's key and state, and asks the service where that runs. Whoever sets
 * STATE_DIRECTORY has made other arrangements. */
bool identity_is_by_hand(void);
/* The state directory, made if need be: $STATE_DIRECTORY's first, the service's, else the user's
 * ($XDG_STATE_HOME/nsregc or ~/.local/state/nsregc). 0; -ENOENT: the user has no home; -errno. */
int identity_state(char **ret);
/* Root by hand gives what it made to the service's user ... */
int identity_give(const char *path);
/* ... and becomes that user, for good; without one on this machine root stays root. 0 or -errno. */
int identity_become_service(void);
/* Takes the lock in the state directory, until "*ret_fd" is closed. 0; -EWOULDBLOCK: somebody has it (not
 * with "wait"); -errno. */
int identity_lock(const char *state, bool wait, int *ret_fd);
