/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Helpers of the tests of net/: everything runs in one thread and one loop, the peers' sockets included. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "util/address.h"
#include "util/macro.h"
#include "util/time.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)

/* Runs the loop until the expression is true; fails when that takes too long. */
#define pump_until(event, expression)                                                                        \
        do {                                                                                                 \
                usec_t pump_end_ = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;                                \
                while (!(expression)) {                                                                      \
                        assert_true(sd_event_run(event, 5000) >= 0);                                         \
                        assert_true(now_usec(CLOCK_MONOTONIC) < pump_end_);                                  \
                }                                                                                            \
        } while (0)

static inline struct address loopback(void)
{
        struct address address;

        assert_int_equal(address_parse("127.0.0.1", &address), 0);
        return address;
}

static inline uint16_t port_of(int fd)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = sizeof(sockaddr);
        struct address address;
        uint16_t port;

        assert_int_equal(getsockname(fd, (struct sockaddr *) &sockaddr, &length), 0);
        assert_int_equal(address_from_sockaddr((struct sockaddr *) &sockaddr, &address, &port), 0);
        return port;
}

/* On the loopback a connection is there at once, before anybody accepted it. */
static inline int peer_connect_from(const char *from, uint16_t port)
{
        struct sockaddr_storage sockaddr;
        struct address address;
        socklen_t length;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(address_parse(from, &address), 0);
        length = address_to_sockaddr(&address, 0, &sockaddr);
        assert_int_equal(bind(fd, (struct sockaddr *) &sockaddr, length), 0);
        address = loopback();
        length = address_to_sockaddr(&address, port, &sockaddr);
        assert_int_equal(connect(fd, (struct sockaddr *) &sockaddr, length), 0);
        return fd;
}

static inline int peer_connect(uint16_t port)
{
        return peer_connect_from("127.0.0.1", port);
}
