/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the disk has becomes the registry and the plans of the zones that are configured. */

struct context;

/* Before the store is started. Says what went wrong. 0 or -errno. */
int load_state(struct context *context);
