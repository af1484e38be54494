/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which registrar of a zone's name this is: many networks have a zone home.arpa, and many registrars are at
 * 192.168.1.1. A place is where it says to be, and the hardware address of the next hop to it where there is
 * one. Text, for the ledger: "192.168.1.1@8053/02:00:5e:10:00:01". */

#include <stdbool.h>
#include <stddef.h>

#include "util/address.h"

#define PLACE_MAX 128

/* "server": "192.0.2.1@8053", of several of a registrar always the same one. "towards": the one that was
 * reached; NULL: that makes no difference. */
void place_make(char place[static PLACE_MAX], const char *server, const struct address *towards);
/* The empty one is any, and what is not known of one is no difference. Next hops differ, for the same address
 * of the internet, from network to network; nothing else does. */
bool place_same(const char *a, const char *b);
