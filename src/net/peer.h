/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The two ends of an exchange, as values. IPv4-mapped addresses are told as IPv4. */

#include <stdint.h>

#include "util/address.h"

struct net_peer {
        struct address local; /* the address that was asked */
        struct address remote;
        uint16_t local_port; /* host order */
        uint16_t remote_port;
};

/* Fills in the local end of an accepted socket. 0 or -errno. */
int net_peer_find_local(int fd, struct net_peer *peer);
