/* SPDX-License-Identifier: LGPL-2.1-or-later */
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
