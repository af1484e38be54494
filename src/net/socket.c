/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/stream-set.h"
#include "net/udp.h"

static int socket_open(const struct address *address, uint16_t port, int type)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = address_to_sockaddr(address, port, &sockaddr);
        _cleanup_close_ int fd = socket(address->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int one = 1;

        if (fd < 0)
                return -errno;
        if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
                return -errno;
        if (address->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *) &sockaddr, length) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int stream_listen_open(const struct address *address, uint16_t port)
{
        _cleanup_close_ int fd = socket_open(address, port, SOCK_STREAM);

        if (fd < 0)
                return fd;
        if (listen(fd, SOMAXCONN) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int udp_socket_open(const struct address *address, uint16_t port)
{
        return socket_open(address, port, SOCK_DGRAM);
}
