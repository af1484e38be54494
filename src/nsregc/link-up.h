/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a link has begun to carry packets: with an address of its own that stays, nothing else tells of
 * that. Pure but for the memory. */

#include <stdbool.h>
#include <stddef.h>

struct nlmsghdr;

struct link_up {
        int *running; /* indices */
        size_t n_running;
};

/* Takes every message of rtnetlink. True: it tells of a link that did not run before. */
bool link_up_note(struct link_up *links, const struct nlmsghdr *message);
void link_up_clear(struct link_up *links);
