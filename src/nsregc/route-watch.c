/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/route-watch.h"

#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "util/log.h"
#include "util/time.h"

#define READS_PER_TURN 16
#define RETRY_MIN_USEC (250 * USEC_PER_MSEC)
#define RETRY_MAX_USEC USEC_PER_MINUTE

struct index_list {
        uint32_t *items;
        size_t n_items;
};

struct route_watch {
        sd_event *event;
        struct mnl_socket *events, *dump;
        sd_event_source *events_source, *dump_source, *retry;
        sd_event_source *tell; /* whoever is told may free us */
        struct index_list known, fresh;
        int family;  /* being asked for; 0: nothing is */
        bool again;  /* asked for meanwhile */
        bool failed; /* the dump under way is of no use */
        unsigned failures;
        uint32_t sequence;
        route_changed changed;
        void *userdata;
};

static bool index_list_has(const struct index_list *list, uint32_t ifindex)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (list->items[i] == ifindex)
                        return true;
        return false;
}

static int index_list_add(struct index_list *list, uint32_t ifindex)
{
        uint32_t *items;

        if (index_list_has(list, ifindex))
                return 0;
        items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items++] = ifindex;
        return 0;
}

static void index_list_clear(struct index_list *list)
{
        free(list->items);
        *list = (struct index_list){ 0 };
}

/* ------ what the kernel says ------ */

static int hops_read(const struct nlattr *attribute, struct index_list *list)
{
        const struct rtnexthop *hop = mnl_attr_get_payload(attribute);
        int left = mnl_attr_get_payload_len(attribute), r = 0;

        for (; r >= 0 && RTNH_OK(hop, left); hop = RTNH_NEXT(hop)) {
                r = index_list_add(list, (uint32_t) hop->rtnh_ifindex);
                left -= (int) RTNH_ALIGN(hop->rtnh_len);
        }
        return r;
}

static int route_read(const struct nlmsghdr *header, struct index_list *list)
{
        const struct rtmsg *route = mnl_nlmsg_get_payload(header);
        const struct nlattr *attribute;
        int r = 0;

        if (header->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(header) < sizeof(*route) ||
            route->rtm_dst_len != 0 || route->rtm_table != RT_TABLE_MAIN || route->rtm_type != RTN_UNICAST ||
            (route->rtm_flags & RTM_F_CLONED))
                return 0;
        mnl_attr_for_each(attribute, header, sizeof(*route))
        {
                if (mnl_attr_get_type(attribute) == RTA_OIF &&
                    mnl_attr_get_payload_len(attribute) >= sizeof(uint32_t))
                        r = index_list_add(list, mnl_attr_get_u32(attribute));
                else if (mnl_attr_get_type(attribute) == RTA_MULTIPATH)
                        r = hops_read(attribute, list);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ------ asking ------ */

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

static void dump_failed(struct route_watch *watch, int error)
{
        watch->family = 0;
        watch->failures = MIN(watch->failures + 1, 16u);
        log_debug("rtnetlink: asking for default routes: %s", strerror(-error));
        watch->retry = sd_event_source_disable_unref(watch->retry);
        /* Without a timer the next change of links or addresses asks again. */
        (void) sd_event_add_time_relative(watch->event, &watch->retry, CLOCK_MONOTONIC,
                                          MIN(RETRY_MIN_USEC << watch->failures, RETRY_MAX_USEC),
                                          USEC_PER_MSEC, on_retry, watch);
}

static int dump_request(struct route_watch *watch, int family)
{
        char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct rtmsg *message;

        header->nlmsg_type = RTM_GETROUTE;
        header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        header->nlmsg_seq = ++watch->sequence;
        message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
        message->rtm_family = (unsigned char) family;
        message->rtm_table = RT_TABLE_MAIN;
        if (mnl_socket_sendto(watch->dump, header, header->nlmsg_len) < 0)
                return -errno;
        watch->family = family;
        return 0;
}

static void dump_begin(struct route_watch *watch)
{
        int r;

        watch->again = watch->failed = false;
        watch->retry = sd_event_source_disable_unref(watch->retry);
        index_list_clear(&watch->fresh);
        r = dump_request(watch, AF_INET);
        if (r < 0)
                dump_failed(watch, r);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        dump_begin(userdata);
        return 0;
}

static int on_tell(sd_event_source *source, void *userdata)
{
        struct route_watch *watch = userdata;

        watch->changed(watch->userdata);
        return 0;
}

static void tell(struct route_watch *watch)
{
        /* Fails after a fork only. */
        (void) sd_event_source_set_enabled(watch->tell, SD_EVENT_ONESHOT);
}

static void dump_end(struct route_watch *watch, int error)
{
        if (error >= 0 && watch->family == AF_INET && !watch->failed && !watch->again) {
                error = dump_request(watch, AF_INET6);
                if (error >= 0)
                        return;
        }
        if (error < 0) {
                dump_failed(watch, error);
                tell(watch);
                return;
        }
        watch->family = 0;
        if (watch->again || watch->failed) {
                dump_begin(watch);
                return;
        }
        watch->failures = 0;
        index_list_clear(&watch->known);
        watch->known = watch->fresh;
        watch->fresh = (struct index_list){ 0 };
        tell(watch);
}

static void dump_messages(struct route_watch *watch, const char *buffer, size_t size)
{
        int length = (int) size;

        for (const struct nlmsghdr *header = (const struct nlmsghdr *) buffer; mnl_nlmsg_ok(header, length);
             header = mnl_nlmsg_next(header, &length)) {
                if (watch->family == 0 || header->nlmsg_seq != watch->sequence)
                        continue;
                if (header->nlmsg_flags & NLM_F_DUMP_INTR)
                        watch->again = true;
                if (header->nlmsg_type == NLMSG_ERROR) {
                        const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);
                        bool whole = mnl_nlmsg_get_payload_len(header) >= sizeof(*error);

                        /* A kernel without IPv6 has no routes of it. */
                        dump_end(watch, whole && error->error != -EOPNOTSUPP ? error->error : 0);
                        return;
                }
                if (header->nlmsg_type == NLMSG_DONE) {
                        dump_end(watch, 0);
                        return;
                }
                if (route_read(header, &watch->fresh) < 0)
                        watch->failed = true;
        }
}

static ssize_t receive(int fd, char *buffer, size_t size)
{
        struct sockaddr_nl from;
        socklen_t length = sizeof(from);
        ssize_t n = recvfrom(fd, buffer, size, MSG_DONTWAIT, (struct sockaddr *) &from, &length);

        if (n < 0)
                return -errno;
        return length == sizeof(from) && from.nl_pid == 0 ? n : 0;
}

static int on_dump(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct route_watch *watch = userdata;
        char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));

        for (unsigned i = 0; i < READS_PER_TURN; i++) {
                ssize_t n = receive(fd, buffer, sizeof(buffer));

                if (n == -ENOBUFS)
                        watch->again = true;
                else if (n < 0)
                        break;
                else
                        dump_messages(watch, buffer, (size_t) n);
        }
        return 0;
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        char buffer[8192] __attribute__((aligned(NLMSG_ALIGNTO)));

        /* That there is something is all they say. */
        for (unsigned i = 0; i < READS_PER_TURN; i++) {
                ssize_t n = receive(fd, buffer, sizeof(buffer));

                if (n < 0 && n != -ENOBUFS)
                        break;
        }
        route_watch_ask(userdata);
        return 0;
}

/* ------ beginning and end ------ */

/* Default routes and nothing else: the length of the destination follows the family, behind the header. */
static int events_filter(int fd)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_dst_len)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno : 0;
}

static int socket_open(unsigned groups, struct mnl_socket **ret)
{
        *ret = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (!*ret)
                return -errno;
        if (groups != 0) {
                int r = events_filter(mnl_socket_get_fd(*ret));

                if (r < 0)
                        return r;
        }
        return mnl_socket_bind(*ret, groups, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
}

int route_watch_new(sd_event *event, route_changed changed, void *userdata, struct route_watch **ret)
{
        _cleanup_(route_watch_freep) struct route_watch *watch = calloc(1, sizeof(*watch));
        int r, strict = 1;

        if (!watch)
                return -ENOMEM;
        watch->event = sd_event_ref(event);
        watch->changed = changed;
        watch->userdata = userdata;
        r = sd_event_add_defer(event, &watch->tell, on_tell, watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->tell, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = socket_open(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE, &watch->events);
        if (r >= 0)
                r = socket_open(0, &watch->dump);
        if (r < 0)
                return r;
        /* Without it (before Linux 4.20) all tables come, and are passed over. */
        (void) setsockopt(mnl_socket_get_fd(watch->dump), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict,
                          sizeof(strict));
        r = sd_event_add_io(event, &watch->events_source, mnl_socket_get_fd(watch->events), EPOLLIN,
                            on_events, watch);
        if (r >= 0)
                r = sd_event_add_io(event, &watch->dump_source, mnl_socket_get_fd(watch->dump), EPOLLIN,
                                    on_dump, watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

struct route_watch *route_watch_free(struct route_watch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->events_source);
        sd_event_source_disable_unref(watch->dump_source);
        sd_event_source_disable_unref(watch->retry);
        sd_event_source_disable_unref(watch->tell);
        if (watch->events)
                mnl_socket_close(watch->events);
        if (watch->dump)
                mnl_socket_close(watch->dump);
        index_list_clear(&watch->known);
        index_list_clear(&watch->fresh);
        sd_event_unref(watch->event);
        free(watch);
        return NULL;
}

void route_watch_ask(struct route_watch *watch)
{
        if (watch->family != 0)
                watch->again = true;
        else
                dump_begin(watch);
}

bool route_watch_has(const struct route_watch *watch, uint32_t ifindex)
{
        return index_list_has(&watch->known, ifindex);
}

bool route_watch_is_busy(const struct route_watch *watch)
{
        return watch->family != 0;
}
