/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <netdb.h>
#include <systemd/sd-daemon.h>

#include "net/stream-set.h"
#include "net/udp.h"
#include "nsregd/context.h"
#include "nsregd/listener.h"
#include "util/log.h"

static int take_passed(struct context *context, int n)
{
        int r;

        for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
                if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0)
                        r = stream_set_listen(context->streams, fd);
                else if (sd_is_socket(fd, AF_UNSPEC, SOCK_DGRAM, -1) > 0)
                        r = udp_server_add(context->datagrams, fd);
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

#define SOCKETS_MAX 16

struct listener_setup {
        unsigned n;
        struct {
                int fd;
                bool stream;
        } sockets[SOCKETS_MAX];
};

struct listener_setup *listener_setup_free(struct listener_setup *setup)
{
        if (!setup)
                return NULL;
        for (unsigned i = 0; i < setup->n; i++)
                closep(&setup->sockets[i].fd);
        free(setup);
        return NULL;
}

static int setup_take(struct listener_setup *setup, int fd, bool stream)
{
        if (fd < 0)
                return fd;
        if (setup->n == SOCKETS_MAX) {
                close(fd);
                return -E2BIG;
        }
        setup->sockets[setup->n].fd = fd;
        setup->sockets[setup->n++].stream = stream;
        return 0;
}

static int setup_address(struct listener_setup *setup, const struct address *address, uint16_t port,
                         char **why)
{
        char text[ADDRESS_FORMAT_MAX];
        int r;

        r = setup_take(setup, stream_listen_open(address, port), true);
        if (r >= 0)
                r = setup_take(setup, udp_socket_open(address, port), false);
        if (r < 0 && r != -EADDRNOTAVAIL && r != -EAFNOSUPPORT &&
            asprintf(why, "Cannot listen on %s port %u: %s.%s", address_format(address, text), port,
                     strerror(-r),
                     r == -EADDRINUSE
                             ? " Another program has the port, or this one has it at another address; "
                               "change listen-port, or restart."
                             : "") < 0)
                *why = NULL;
        return r;
}

/* "::" is everywhere, hence both families, by sockets of their own: what system-wide settings say of IPv6
 * sockets makes no difference. A machine without one of the families has an address less. */
static int setup_found(struct listener_setup *setup, const struct address *address, uint16_t port, char **why)
{
        static const struct address everywhere_ipv4 = { .family = AF_INET };
        int r = setup_address(setup, address, port, why);

        if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)
                r = 0;
        if (r < 0 || address->family != AF_INET6 || !address_is_unspecified(address))
                return r;
        return setup_found(setup, &everywhere_ipv4, port, why);
}

static int setup_open(const struct nsregd_config *config, struct listener_setup **ret, char **why)
{
        _cleanup_(listener_setup_freep) struct listener_setup *setup = calloc(1, sizeof(*setup));
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
        int r;

        if (!setup)
                return -ENOMEM;
        r = getaddrinfo(config->listen_addr, NULL, &hints, &found);
        if (r != 0) {
                if (asprintf(why, "listen-addr \"%s\" is no address of this machine: %s.",
                             config->listen_addr, gai_strerror(r)) < 0)
                        *why = NULL;
                return -EADDRNOTAVAIL;
        }
        r = 0;
        for (const struct addrinfo *info = found; info && r >= 0; info = info->ai_next) {
                struct address address;

                if (address_from_sockaddr(info->ai_addr, &address, NULL) < 0)
                        continue;
                r = setup_found(setup, &address, config->listen_port, why);
        }
        freeaddrinfo(found);
        if (r >= 0 && setup->n == 0) {
                if (asprintf(why, "listen-addr \"%s\" has no address that can be listened on.",
                             config->listen_addr) < 0)
                        *why = NULL;
                r = -EADDRNOTAVAIL;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(setup);
        return 0;
}

/* Takes the sockets. */
static int setup_use(struct context *context, struct listener_setup *setup)
{
        int r = 0;

        for (unsigned i = 0; i < setup->n; i++) {
                int fd = TAKE_FD(setup->sockets[i].fd);
                int k = setup->sockets[i].stream ? stream_set_listen(context->streams, fd)
                                                 : udp_server_add(context->datagrams, fd);

                r = k < 0 ? k : r;
        }
        return r;
}

int listener_open(struct context *context)
{
        _cleanup_(listener_setup_freep) struct listener_setup *setup = NULL;
        _cleanup_free_ char *why = NULL;
        int n, r;

        n = sd_listen_fds(true);
        if (n < 0)
                return n;
        if (n > 0) {
                context->sockets_passed = true;
                return take_passed(context, n);
        }
        r = setup_open(context->config, &setup, &why);
        if (r >= 0)
                r = setup_use(context, setup);
        if (r < 0)
                log_error("%s", why ?: strerror(-r));
        return r;
}

int listener_prepare(struct context *context, const struct nsregd_config *config, struct listener_setup **ret,
                     char **why)
{
        *ret = NULL;
        if (context->sockets_passed || (streq(config->listen_addr, context->config->listen_addr) &&
                                        config->listen_port == context->config->listen_port))
                return 0;
        return setup_open(config, ret, why);
}

void listener_commit(struct context *context, struct listener_setup *setup)
{
        int r;

        if (!setup)
                return;
        stream_set_unlisten(context->streams);
        udp_server_remove_all(context->datagrams);
        r = setup_use(context, setup);
        if (r < 0)
                log_error("Not all of the new sockets can be waited for: %s. Restart the service.",
                          strerror(-r));
        listener_setup_free(setup);
}
