/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/peer.h"

#include <errno.h>

int net_peer_find_local(int fd, struct net_peer *peer)
{
        struct sockaddr_storage local = { 0 };
        socklen_t length = sizeof(local);

        if (getsockname(fd, (struct sockaddr *) &local, &length) < 0)
                return -errno;
        return address_from_sockaddr((const struct sockaddr *) &local, &peer->local, &peer->local_port);
}
