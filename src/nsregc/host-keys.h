/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host keys of sshd, as SSHFP records (RFC 4255, SHA-256): the machine's public ones, and their change.
 */

#include <systemd/sd-event.h>

#include "config/extra-record.h"
#include "util/macro.h"

/* Those of "directory"/ssh_host_*_key.pub; a file that cannot be read, or is of no kind known here, is passed
 * over. Adds to the list. 0 or -ENOMEM. */
int host_keys_read(const char *directory, struct extra_record_list *list);

struct host_keys_watch;
/* 0 or -errno. */
int host_keys_watch_new(sd_event *event, const char *directory, void (*changed)(void *userdata),
                        void *userdata, struct host_keys_watch **ret);
struct host_keys_watch *host_keys_watch_free(struct host_keys_watch *watch);
DEFINE_CLEANUP(struct host_keys_watch *, host_keys_watch_free)
