/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/udp.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "util/log.h"

#define SOCKETS_MAX   32
#define BATCH         32
#define DATAGRAM_SIZE 4096 /* a query is far smaller; a longer datagram is no query */

struct udp_socket {
        struct udp_server *server;
        sd_event_source *source;
        int fd;
        int family;
        uint16_t port;
        uint32_t index;
};

struct udp_server {
        sd_event *event;
        const struct udp_server_ops *ops;
        void *userdata;
        struct udp_socket *sockets[SOCKETS_MAX]; /* a place is used once, so that an old peer finds nothing */
        uint32_t n_sockets;
        uint32_t epoch; /* in the upper half of udp_peer.socket */

        uint8_t buffers[BATCH][DATAGRAM_SIZE];
        uint8_t controls[BATCH]
                        [CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct sockaddr_storage names[BATCH];
        struct iovec vectors[BATCH];
        struct mmsghdr messages[BATCH];
};

static struct udp_socket *udp_socket_free(struct udp_socket *socket)
{
        if (!socket)
                return NULL;
        sd_event_source_disable_unref(socket->source);
        if (socket->fd >= 0)
                close(socket->fd);
        free(socket);
        return NULL;
}
DEFINE_CLEANUP(struct udp_socket *, udp_socket_free)

/* IPv4's information is kept in the IPv6 form, mapped, so that there is one. */
static void pktinfo_read(struct msghdr *message, struct in6_pktinfo *ret)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
                        memcpy(ret, CMSG_DATA(c), sizeof(*ret));
                if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                        struct in_pktinfo info;

                        memcpy(&info, CMSG_DATA(c), sizeof(info));
                        *ret = (struct in6_pktinfo){ .ipi6_ifindex = (unsigned) info.ipi_ifindex };
                        ret->ipi6_addr.s6_addr[10] = ret->ipi6_addr.s6_addr[11] = 0xff;
                        memcpy(ret->ipi6_addr.s6_addr + 12, &info.ipi_addr, 4);
                }
        }
}

static int peer_fill(const struct udp_socket *socket, struct mmsghdr *message, struct udp_peer *ret)
{
        struct sockaddr_in6 local = { .sin6_family = AF_INET6 };
        int r;

        ret->remote_length = message->msg_hdr.msg_namelen;
        if (ret->remote_length > sizeof(ret->remote))
                return -EINVAL;
        memcpy(&ret->remote, message->msg_hdr.msg_name, ret->remote_length);
        pktinfo_read(&message->msg_hdr, &ret->local);
        ret->socket = socket->index | socket->server->epoch << 16;

        r = address_from_sockaddr((struct sockaddr *) &ret->remote, &ret->peer.remote,
                                  &ret->peer.remote_port);
        if (r < 0)
                return r;
        local.sin6_addr = ret->local.ipi6_addr;
        ret->peer.local_port = socket->port;
        return address_from_sockaddr((struct sockaddr *) &local, &ret->peer.local, NULL);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct udp_socket *socket = userdata;
        struct udp_server *server = socket->server;
        uint32_t epoch = server->epoch;
        int n;

        for (size_t i = 0; i < BATCH; i++) {
                server->vectors[i] = (struct iovec){ server->buffers[i], DATAGRAM_SIZE };
                server->messages[i].msg_hdr = (struct msghdr){
                        .msg_name = &server->names[i],
                        .msg_namelen = sizeof(server->names[i]),
                        .msg_iov = &server->vectors[i],
                        .msg_iovlen = 1,
                        .msg_control = server->controls[i],
                        .msg_controllen = sizeof(server->controls[i]),
                };
        }
        n = recvmmsg(fd, server->messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
                struct udp_peer peer = { 0 };

                if (server->messages[i].msg_hdr.msg_flags & MSG_TRUNC)
                        continue;
                if (peer_fill(socket, &server->messages[i], &peer) < 0)
                        continue;
                server->ops->on_datagram(server->userdata, &peer, server->buffers[i],
                                         server->messages[i].msg_len);
                if (server->epoch != epoch)
                        break; /* the sockets were removed */
        }
        return 0;
}

int udp_server_new(sd_event *event, const struct udp_server_ops *ops, void *userdata, struct udp_server **ret)
{
        struct udp_server *server = calloc(1, sizeof(*server));

        if (!server)
                return -ENOMEM;
        server->event = sd_event_ref(event);
        server->ops = ops;
        server->userdata = userdata;
        *ret = server;
        return 0;
}

struct udp_server *udp_server_free(struct udp_server *server)
{
        if (!server)
                return NULL;
        udp_server_remove_all(server);
        sd_event_unref(server->event);
        free(server);
        return NULL;
}

int udp_server_add(struct udp_server *server, int fd)
{
        _cleanup_close_ int owned = fd;
        _cleanup_(udp_socket_freep) struct udp_socket *socket = NULL;
        struct sockaddr_storage local = { 0 };
        socklen_t length = sizeof(local);
        struct address address;
        int r, one = 1, flags;

        if (server->n_sockets >= SOCKETS_MAX)
                return -E2BIG;
        socket = calloc(1, sizeof(*socket));
        if (!socket)
                return -ENOMEM;
        *socket = (struct udp_socket){ .server = server, .fd = TAKE_FD(owned), .index = server->n_sockets };

        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        if (getsockname(fd, (struct sockaddr *) &local, &length) < 0)
                return -errno;
        r = address_from_sockaddr((struct sockaddr *) &local, &address, &socket->port);
        if (r < 0)
                return r;
        socket->family = local.ss_family;
        if (socket->family == AF_INET6) {
                int only = 1;
                socklen_t only_length = sizeof(only);

                if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) < 0)
                        return -errno;
                (void) getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &only_length);
                if (!only)
                        (void) setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
        } else if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) < 0)
                return -errno;

        r = sd_event_add_io(server->event, &socket->source, fd, EPOLLIN, on_readable, socket);
        if (r < 0)
                return r;
        server->sockets[server->n_sockets++] = TAKE_PTR(socket);
        return 0;
}

void udp_server_remove_all(struct udp_server *server)
{
        for (uint32_t i = 0; i < server->n_sockets; i++)
                server->sockets[i] = udp_socket_free(server->sockets[i]);
        server->n_sockets = 0;
        server->epoch = (server->epoch + 1) & 0xffff;
}

/* The control message that makes the answer leave from the address that was asked. The interface is left to
 * the routing, but for link-local addresses, which mean nothing without one. */
static size_t pktinfo_write(struct msghdr *message, const struct udp_socket *socket,
                            const struct udp_peer *peer)
{
        struct cmsghdr *c = CMSG_FIRSTHDR(message);
        bool link_local = address_is_link_local(&peer->peer.local);

        if (IN6_IS_ADDR_V4MAPPED(&peer->local.ipi6_addr) && socket->family == AF_INET) {
                struct in_pktinfo info = { .ipi_ifindex = link_local ? (int) peer->local.ipi6_ifindex : 0 };

                memcpy(&info.ipi_spec_dst, peer->local.ipi6_addr.s6_addr + 12, 4);
                c->cmsg_level = IPPROTO_IP;
                c->cmsg_type = IP_PKTINFO;
                c->cmsg_len = CMSG_LEN(sizeof(info));
                memcpy(CMSG_DATA(c), &info, sizeof(info));
                return CMSG_SPACE(sizeof(info));
        }

        struct in6_pktinfo info = peer->local;
        if (!link_local)
                info.ipi6_ifindex = 0;
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        return CMSG_SPACE(sizeof(info));
}

int udp_server_reply(struct udp_server *server, const struct udp_peer *peer, const void *message, size_t size)
{
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
        } control = { 0 };
        struct sockaddr_storage remote = peer->remote;
        struct iovec vector = { (void *) message, size };
        struct msghdr header = {
                .msg_name = &remote,
                .msg_namelen = peer->remote_length,
                .msg_iov = &vector,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        uint32_t index = peer->socket & 0xffff;

        if (peer->socket >> 16 != server->epoch || index >= server->n_sockets)
                return -ENOTCONN;
        header.msg_controllen = pktinfo_write(&header, server->sockets[index], peer);
        if (sendmsg(server->sockets[index]->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return -errno;
        return 0;
}
