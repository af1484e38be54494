/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <netdb.h>
#include <systemd/sd-daemon.h>

#include "nsregd/listener.h"
#include "nsregd/manager.h"
#include "util/log.h"

static int take_passed(struct manager *manager, int n)
{
        int r;

        for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
                if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0)
                        r = stream_set_listen(manager->streams, fd);
                else if (sd_is_socket(fd, AF_UNSPEC, SOCK_DGRAM, -1) > 0)
                        r = udp_server_add(manager->datagrams, fd);
                else
                        r = -ENOTSOCK;
                if (r < 0) {
                        log_error(
                                "A passed file descriptor (%d) cannot be used: %s. Only listening stream and "
                                "bound datagram sockets can.",
                                fd, strerror(-r));
                        return r;
                }
        }
        return 0;
}

static int open_address(struct manager *manager, const struct address *address, uint16_t port)
{
        char text[ADDRESS_FORMAT_MAX];
        int fd, r;

        fd = stream_listen_open(address, port);
        r = fd < 0 ? fd : stream_set_listen(manager->streams, fd);
        if (r >= 0) {
                fd = udp_socket_open(address, port);
                r = fd < 0 ? fd : udp_server_add(manager->datagrams, fd);
        }
        if (r < 0 && r != -EADDRNOTAVAIL && r != -EAFNOSUPPORT)
                log_error("Cannot listen on %s port %u: %s.%s", address_format(address, text), port,
                          strerror(-r),
                          r == -EADDRINUSE ? " Another program has the port; change listen-port or stop it."
                                           : "");
        return r;
}

int listener_open(struct manager *manager)
{
        const struct nsregd_config *config = manager->config;
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
        unsigned n_open = 0;
        int n, r;

        n = sd_listen_fds(true);
        if (n < 0)
                return n;
        if (n > 0)
                return take_passed(manager, n);

        r = getaddrinfo(config->listen_addr, NULL, &hints, &found);
        if (r != 0) {
                log_error("listen-addr \"%s\" is no address of this machine: %s.", config->listen_addr,
                          gai_strerror(r));
                return -EADDRNOTAVAIL;
        }
        r = 0;
        for (const struct addrinfo *info = found; info && r >= 0; info = info->ai_next) {
                struct address address;

                if (address_from_sockaddr(info->ai_addr, &address, NULL) < 0)
                        continue;
                r = open_address(manager, &address, config->listen_port);
                /* A machine without IPv6 has a "localhost" with one address less. */
                if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)
                        r = 0;
                else if (r >= 0)
                        n_open++;
        }
        freeaddrinfo(found);
        if (r >= 0 && n_open == 0) {
                log_error("listen-addr \"%s\" has no address that can be listened on.", config->listen_addr);
                r = -EADDRNOTAVAIL;
        }
        return r;
}
