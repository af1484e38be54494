/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes of names: stored, then installed and published, one at a time per name. While a change is on its
 * way to the disk the name is pending: whatever else wants to work on it waits in order of arrival, readers
 * see the old state. */

#include <stdbool.h>

#include "registry/registry.h"

struct manager;
struct changes;

/* Runs when the name is not pending. It may submit one change. "zone" is NULL when the zone is gone. */
typedef void (*change_turn)(void *userdata, struct registry_zone *zone);
/* error 0: installed, publication is on its way; else nothing changed. */
typedef void (*change_done)(void *userdata, int error);

struct changes *changes_new(struct manager *manager);
struct changes *changes_free(struct changes *changes); /* waiting turns and changes are dropped */
DEFINE_CLEANUP(struct changes *, changes_free)

/* Runs "turn" now, or behind what is pending at this name. 0 or -ENOMEM. */
int change_when_free(struct changes *changes, const struct dns_name *name, change_turn turn, void *userdata);
bool change_is_pending(const struct changes *changes, const struct dns_name *name);
/* Makes "after" (taken, also on failure) the state of a name that is not pending. 0 or -errno; then done is
 * not called. */
int change_submit(struct changes *changes, struct registry_zone *zone, const struct dns_name *name,
                  struct name_state *after, change_done done, void *userdata);
