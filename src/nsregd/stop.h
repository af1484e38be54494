/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The end, in the running loop: what is not to be kept is withdrawn, the ends of leases go to the disk, and
 * behind all of it, as the last transaction, that this was a clean end. */

struct manager;
struct stop;

/* TERM. A second one cuts short what waits for the network, never what goes to the disk. 0 or -errno. */
int stop_begin(struct manager *manager);
/* All is withdrawn, or nobody waits for it any more. No-op without stop_begin(), and the second time. */
void stop_store(struct manager *manager);
/* From now on nothing may move any more. */
bool stop_is_storing(const struct manager *manager);
struct stop *stop_free(struct stop *stop);
