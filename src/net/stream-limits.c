/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <netinet/tcp.h>

#include "net/stream-set.h"

int stream_limits_copy(struct stream_limits *to, const struct stream_limits *from)
{
        struct prefix_list exempt = { 0 };

        for (size_t i = 0; i < from->exempt_nets.n_items; i++) {
                int r = prefix_list_add(&exempt, &from->exempt_nets.items[i]);
                if (r < 0) {
                        prefix_list_clear(&exempt);
                        return r;
                }
        }
        prefix_list_clear(&to->exempt_nets);
        *to = *from;
        to->exempt_nets = exempt;
        to->message_bytes = CLAMP(to->message_bytes, 12u, 65535u);
        to->in_flight = MAX(to->in_flight, 1u);
        to->unread_output = MAX(to->unread_output, 1u);
        to->connections = MAX(to->connections, 1u);
        return 0;
}

void stream_limits_apply(const struct stream_limits *limits, int fd)
{
        /* The kernel doubles them, for what an octet costs it. Of its own accord it would hold megabytes for
         * a peer that does not read. */
        int send = (int) CLAMP(limits->unread_output / 2, 4096u, 1048576u);
        int receive = (int) CLAMP(limits->message_bytes * 2, 16384u, 262144u);
        /* Also where we have closed already, and the peer does not take what is left. */
        unsigned milliseconds = (unsigned) MIN(limits->message_timeout_usec / USEC_PER_MSEC,
                                               UINT64_C(3600000));
        int one = 1;

        /* Each is a bound that the next time-out makes up for. */
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send));
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}
