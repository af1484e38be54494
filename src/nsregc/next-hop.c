/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/next-hop.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "util/macro.h"

#define ANSWER_MAX   8192
#define HARDWARE_MAX 8

struct hop {
        struct address address; /* the gateway, or where it all goes */
        uint32_t ifindex;
        uint8_t hardware[HARDWARE_MAX];
        size_t n_hardware;
};

DEFINE_CLEANUP_VOID(struct mnl_socket *, mnl_socket_close)

static int route_read(const struct nlmsghdr *header, void *data)
{
        const struct rtmsg *route = mnl_nlmsg_get_payload(header);
        const struct nlattr *attribute;
        struct hop *hop = data;

        if (header->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(header) < sizeof(*route) ||
            route->rtm_type != RTN_UNICAST)
                return MNL_CB_OK;
        mnl_attr_for_each(attribute, header, sizeof(*route))
        {
                size_t length = mnl_attr_get_payload_len(attribute);

                if (mnl_attr_get_type(attribute) == RTA_OIF && length >= sizeof(uint32_t))
                        hop->ifindex = mnl_attr_get_u32(attribute);
                else if (mnl_attr_get_type(attribute) == RTA_GATEWAY && length == address_size(&hop->address))
                        hop->address = address_from_bytes(hop->address.family,
                                                          mnl_attr_get_payload(attribute));
        }
        return MNL_CB_OK;
}

static int neighbour_read(const struct nlmsghdr *header, void *data)
{
        const struct nlattr *attribute;
        struct hop *hop = data;

        if (header->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(header) < sizeof(struct ndmsg))
                return MNL_CB_OK;
        mnl_attr_for_each(attribute, header, sizeof(struct ndmsg))
        {
                if (mnl_attr_get_type(attribute) != NDA_LLADDR)
                        continue;
                hop->n_hardware = MIN((size_t) mnl_attr_get_payload_len(attribute), (size_t) HARDWARE_MAX);
                memcpy(hop->hardware, mnl_attr_get_payload(attribute), hop->n_hardware);
        }
        return MNL_CB_OK;
}

/* The kernel answers while it is asked. */
static int ask(struct mnl_socket *socket, struct nlmsghdr *header, mnl_cb_t read, struct hop *hop)
{
        char answer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
        ssize_t n;

        header->nlmsg_flags = NLM_F_REQUEST;
        if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
                return -errno;
        n = mnl_socket_recvfrom(socket, answer, sizeof(answer));
        if (n < 0 || mnl_cb_run(answer, (size_t) n, 0, mnl_socket_get_portid(socket), read, hop) < 0)
                return -errno;
        return 0;
}

static int ask_route(struct mnl_socket *socket, struct hop *hop)
{
        char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        size_t size = address_size(&hop->address);
        struct rtmsg *route;

        header->nlmsg_type = RTM_GETROUTE;
        route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
        route->rtm_family = hop->address.family;
        route->rtm_dst_len = (uint8_t) (8 * size);
        mnl_attr_put(header, RTA_DST, size, hop->address.bytes);
        return ask(socket, header, route_read, hop);
}

static int ask_neighbour(struct mnl_socket *socket, struct hop *hop)
{
        char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct ndmsg *neighbour;

        header->nlmsg_type = RTM_GETNEIGH;
        neighbour = mnl_nlmsg_put_extra_header(header, sizeof(*neighbour));
        neighbour->ndm_family = hop->address.family;
        neighbour->ndm_ifindex = (int32_t) hop->ifindex;
        mnl_attr_put(header, NDA_DST, address_size(&hop->address), hop->address.bytes);
        return ask(socket, header, neighbour_read, hop);
}

int next_hop(const struct address *towards, char ret[static NEXT_HOP_TEXT_MAX])
{
        _cleanup_(mnl_socket_closep) struct mnl_socket *socket = mnl_socket_open2(
                NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct hop hop = { .address = *towards };
        uint8_t any = 0;
        int r;

        if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
                return -errno;
        r = ask_route(socket, &hop);
        if (r >= 0 && hop.ifindex == 0)
                r = -ENOENT;
        if (r >= 0)
                r = ask_neighbour(socket, &hop);
        if (r < 0)
                return r;
        for (size_t i = 0; i < hop.n_hardware; i++)
                any |= hop.hardware[i];
        if (any == 0)
                return -ENOENT;
        for (size_t i = 0; i < hop.n_hardware; i++)
                (void) sprintf(ret + 3 * i, "%02x%s", hop.hardware[i], i + 1 < hop.n_hardware ? ":" : "");
        return 0;
}
