/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The hardware address that packets to somewhere are handed to: which network this is, whatever its numbers.
 */

#include "util/address.h"

#define NEXT_HOP_TEXT_MAX 32

/* Of an address that was just spoken to; else the kernel may not know it. "02:00:5e:10:00:01", shortened
 * where hardware addresses are longer. 0; -ENOENT: there is none (this machine, a tunnel); -errno. */
int next_hop(const struct address *towards, char ret[static NEXT_HOP_TEXT_MAX]);
