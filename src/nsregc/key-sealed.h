/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service's key as root finds it without the service: sealed with the host's own secret. systemd-creds
 * opens it for root alone, nsregc-keygen makes it, for the service as for the command line. */

#include "dns/key.h"

#define KEY_SEALED_PATH "/etc/credstore.encrypted/nsregc.private"

/* "*why" as from key_obtain(). 0; -EIO: systemd-creds failed and has said why; -EBADMSG, -EOPNOTSUPP: no key.
 */
int key_unseal(const char *path, struct dns_keypair **ret, char **why);
/* Seals this text, for KEY_SEALED_PATH, into a file of another name. 0 or -EIO, said; -errno. */
int key_seal(const char *text, const char *path, char **why);
/* Leaves one that is there as it is. 0 or -EIO, said. */
int key_seal_new(char **why);
