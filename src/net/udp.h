/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* DNS over UDP, the server's side: sockets of both families, read in bounded batches (recvmmsg). The address
 * that was asked is told, and the answer leaves from it (PKTINFO). */

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "net/peer.h"
#include "util/macro.h"

struct udp_server;

/* Where an answer goes: a value, good as long as the server lives. */
struct udp_peer {
        struct net_peer peer;
        struct sockaddr_storage remote; /* with its scope */
        socklen_t remote_length;
        struct in6_pktinfo local;
        uint32_t socket; /* which of the server's */
};

struct udp_server_ops {
        /* One datagram, whole; the bytes are the server's, and gone when this returns. An answer is sent, now
         * or later, by udp_server_reply(), or not at all. */
        void (*on_datagram)(void *userdata, const struct udp_peer *peer, const uint8_t *message, size_t size);
};

int udp_server_new(sd_event *event, const struct udp_server_ops *ops, void *userdata,
                   struct udp_server **ret);
struct udp_server *udp_server_free(struct udp_server *server);
DEFINE_CLEANUP(struct udp_server *, udp_server_free)

/* Takes a bound datagram socket, own or passed; the server closes it, also when this fails. 0 or -errno. */
int udp_server_add(struct udp_server *server, int fd);
/* Closes all sockets; peers of before are not answered any more. */
void udp_server_remove_all(struct udp_server *server);

/* 0 or what sendmsg says; -EAGAIN: the socket's buffer is full, the answer is lost, as UDP may. */
int udp_server_reply(struct udp_server *server, const struct udp_peer *peer, const void *message,
                     size_t size);

/* A bound socket, non-blocking and close-on-exec, IPv6 ones for IPv6 only; "port" 0 takes a free one. Returns
 * the descriptor or -errno. */
int udp_socket_open(const struct address *address, uint16_t port);
