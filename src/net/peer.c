/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/peer.h"

#include <errno.h>

int net_peer_from_socket(int fd, const struct sockaddr *remote, struct net_peer *ret)
{
        struct sockaddr_storage local = { 0 };
        socklen_t length = sizeof(local);
        int r;

        r = address_from_sockaddr(remote, &ret->remote, &ret->remote_port);
        if (r < 0)
                return r;
        if (getsockname(fd, (struct sockaddr *) &local, &length) < 0)
                return -errno;
        return address_from_sockaddr((const struct sockaddr *) &local, &ret->local, &ret->local_port);
}
