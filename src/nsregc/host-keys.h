/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host keys of sshd, as SSHFP records (RFC 4255, SHA-256): the machine's public ones. */

#include "config/extra-record.h"
#include "util/macro.h"

/* Those of "directory"/ssh_host_*_key.pub; a file that cannot be read, or is of no kind known here, is passed
 * over. Adds to the list. 0 or -ENOMEM. */
int host_keys_read(const char *directory, struct extra_record_list *list);

/* Names of their files, for directory_watch_new(). */
#define HOST_KEYS_PATTERN "ssh_host_*"
