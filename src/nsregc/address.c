/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/address.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "nsregc/link-up.h"
#include "nsregc/route-watch.h"
#include "util/log.h"

#define RECEIVE_BUFFER (1024 * 1024)
#define READS_PER_TURN 16
#define RETRY_MIN_USEC (250 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)

enum dump {
        DUMP_NONE,
        DUMP_LINKS,
        DUMP_ADDRESSES,
};

struct address_monitor {
        sd_event *event;
        struct mnl_socket *socket;
        sd_event_source *io_source;
        sd_event_source *retry; /* a dump that could not be asked for */
        struct address_rules rules;
        struct address_table table;
        struct address_set set, spare;
        struct route_watch *routes; /* NULL: they make no difference now */
        bool routes_stale;          /* links or addresses are others since they were asked for */
        sd_event_source *loss;      /* BOOTTIME: a carrier is lost for good */
        enum dump dump;
        bool dump_heard; /* its first message was */
        bool dump_again; /* events were lost while one is under way */
        bool damaged;    /* what came could not be kept */
        usec_t retry_usec;
        bool complete; /* a first dump is */
        bool told;
        struct link_up links;
        bool came_up; /* one of them */
        uint32_t sequence;
        address_changed changed;
        void *userdata;
};

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

static int dump_request(struct address_monitor *monitor, enum dump what)
{
        char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

        header->nlmsg_type = what == DUMP_LINKS ? RTM_GETLINK : RTM_GETADDR;
        header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        header->nlmsg_seq = ++monitor->sequence;
        if (what == DUMP_LINKS) {
                struct ifinfomsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
                message->ifi_family = AF_UNSPEC;
        } else {
                struct ifaddrmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
                message->ifa_family = AF_UNSPEC;
        }
        if (mnl_socket_sendto(monitor->socket, header, header->nlmsg_len) < 0)
                return -errno;
        monitor->dump = what;
        monitor->dump_heard = false;
        return 0;
}

/* What fails once may fail for long: less and less often. */
static void dump_later(struct address_monitor *monitor, int error)
{
        log_debug("rtnetlink: dumping: %s", strerror(-error));
        monitor->damaged = false;
        monitor->retry_usec = CLAMP(2 * monitor->retry_usec, RETRY_MIN_USEC, RETRY_MAX_USEC);
        monitor->retry = sd_event_source_disable_unref(monitor->retry);
        (void) sd_event_add_time_relative(monitor->event, &monitor->retry, CLOCK_MONOTONIC,
                                          monitor->retry_usec, USEC_PER_MSEC, on_retry, monitor);
}

static void dump_begin(struct address_monitor *monitor)
{
        int r;

        if (monitor->dump != DUMP_NONE) {
                monitor->dump_again = true;
                return;
        }
        monitor->dump_again = false;
        r = dump_request(monitor, DUMP_LINKS);
        if (r < 0)
                dump_later(monitor, r);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        dump_begin(userdata);
        return 0;
}

/* error: of the dump as a whole. */
static void dump_step(struct address_monitor *monitor, int error)
{
        enum dump finished = monitor->dump;

        monitor->dump = DUMP_NONE;
        if (error == 0 && monitor->damaged)
                error = -ENOMEM;
        if (error < 0) {
                dump_later(monitor, error);
                return;
        }
        if (monitor->dump_again) {
                dump_begin(monitor);
                return;
        }
        address_table_dump_end(&monitor->table, finished == DUMP_LINKS);
        monitor->routes_stale = true;
        if (finished == DUMP_LINKS) {
                int r = dump_request(monitor, DUMP_ADDRESSES);

                if (r < 0)
                        dump_later(monitor, r);
                return;
        }
        monitor->complete = true;
        monitor->retry_usec = 0;
}

/* An error of 0 is an acknowledgement, which nobody asked for. */
static int error_of(const struct nlmsghdr *header)
{
        const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);

        if (header->nlmsg_type != NLMSG_ERROR)
                return 0;
        return header->nlmsg_len >= sizeof(*header) + sizeof(*error) && error->error < 0 ? error->error
                                                                                         : -EPROTO;
}

static void messages_apply(struct address_monitor *monitor, const char *buffer, size_t size)
{
        int length = (int) size;
        usec_t now = now_usec(CLOCK_BOOTTIME);

        for (const struct nlmsghdr *header = (const struct nlmsghdr *) buffer; mnl_nlmsg_ok(header, length);
             header = mnl_nlmsg_next(header, &length)) {
                bool ours = header->nlmsg_seq != 0 && header->nlmsg_seq == monitor->sequence;

                if (ours && !monitor->dump_heard) {
                        address_table_dump_begin(&monitor->table, monitor->dump == DUMP_LINKS);
                        monitor->dump_heard = true;
                }
                if (header->nlmsg_flags & NLM_F_DUMP_INTR)
                        monitor->dump_again = true;
                if (ours && (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)) {
                        dump_step(monitor, error_of(header));
                        return;
                }
                monitor->came_up |= link_up_note(&monitor->links, header);
                int r = address_table_apply(&monitor->table, header, now);

                if (r < 0)
                        monitor->damaged = true;
                if (r == ADDRESS_TABLE_OTHER)
                        monitor->routes_stale = true;
        }
}

static void tell_changes(struct address_monitor *monitor);

static void on_routes(void *userdata)
{
        tell_changes(userdata);
}

/* Whether it is known which links have a default route, as far as it matters. */
static bool routes_known(struct address_monitor *monitor, usec_t now)
{
        struct link_table *links = &monitor->table.links;

        if (!address_table_asks_for_routes(&monitor->table, &monitor->rules, now))
                monitor->routes = route_watch_free(monitor->routes);
        else if (!monitor->routes) {
                int r = route_watch_new(monitor->event, on_routes, monitor, &monitor->routes);

                if (r < 0)
                        log_debug("rtnetlink: default routes: %s", strerror(-r));
                monitor->routes_stale = true;
        }
        if (monitor->routes && monitor->routes_stale)
                route_watch_ask(monitor->routes);
        monitor->routes_stale = false;
        if (monitor->routes && route_watch_is_busy(monitor->routes))
                return false;
        for (size_t i = 0; i < links->n_items; i++)
                links->items[i].default_route = monitor->routes &&
                                                route_watch_has(monitor->routes, links->items[i].ifindex);
        return true;
}

static int on_loss(sd_event_source *source, uint64_t usec, void *userdata)
{
        tell_changes(userdata);
        return 0;
}

static void loss_arm(struct address_monitor *monitor, usec_t now)
{
        usec_t next = link_table_next_loss(&monitor->table.links, now);

        monitor->loss = sd_event_source_disable_unref(monitor->loss);
        /* Without a timer it is noticed with the next change. */
        if (next != USEC_INFINITY)
                (void) sd_event_add_time(monitor->event, &monitor->loss, CLOCK_BOOTTIME, next, USEC_PER_MSEC,
                                         on_loss, monitor);
}

static void tell_changes(struct address_monitor *monitor)
{
        struct address_set set, spare;
        usec_t now = now_usec(CLOCK_BOOTTIME);
        bool same;

        if (!monitor->complete || monitor->dump != DUMP_NONE)
                return;
        loss_arm(monitor, now);
        if (!routes_known(monitor, now) ||
            address_set_compute(&monitor->table, &monitor->rules, now, &set) < 0)
                return;
        if (address_set_compute_spare(&monitor->table, &monitor->rules, now, &spare) < 0) {
                address_set_clear(&set);
                return;
        }
        same = monitor->told && address_set_equal(&set, &monitor->set) &&
               (set.n_items > 0 || address_set_equal(&spare, &monitor->spare));

        address_set_clear(&monitor->set);
        address_set_clear(&monitor->spare);
        monitor->set = set;
        /* The link that comes up is what one waits for, though the address on it was there all the time. */
        same = same && !monitor->came_up;
        monitor->came_up = false;
        monitor->spare = spare;
        monitor->told = true;
        if (!same)
                monitor->changed(monitor->userdata);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct address_monitor *monitor = userdata;
        char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));

        for (unsigned i = 0; i < READS_PER_TURN; i++) {
                struct sockaddr_nl from;
                socklen_t length = sizeof(from);
                ssize_t n = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *) &from,
                                     &length);

                if (n < 0 && errno == ENOBUFS) {
                        log_debug("rtnetlink: events were lost, dumping again");
                        dump_begin(monitor);
                        continue;
                }
                if (n < 0)
                        break;
                if (length == sizeof(from) && from.nl_pid == 0)
                        messages_apply(monitor, buffer, (size_t) n);
        }
        if (monitor->dump == DUMP_NONE && monitor->dump_again)
                dump_begin(monitor);
        if (monitor->dump == DUMP_NONE && monitor->damaged)
                dump_later(monitor, -ENOMEM);
        tell_changes(monitor);
        return 0;
}

int address_monitor_new(sd_event *event, const struct address_rules *rules, address_changed changed,
                        void *userdata, struct address_monitor **ret)
{
        _cleanup_(address_monitor_freep) struct address_monitor *monitor = calloc(1, sizeof(*monitor));
        int r, size = RECEIVE_BUFFER, fd;

        if (!monitor)
                return -ENOMEM;
        monitor->event = sd_event_ref(event);
        monitor->rules = *rules;
        monitor->changed = changed;
        monitor->userdata = userdata;
        monitor->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (!monitor->socket)
                return -errno;
        fd = mnl_socket_get_fd(monitor->socket);
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        if (mnl_socket_bind(monitor->socket, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
                            MNL_SOCKET_AUTOPID) < 0)
                return -errno;
        r = sd_event_add_io(event, &monitor->io_source, fd, EPOLLIN, on_readable, monitor);
        if (r < 0)
                return r;
        dump_begin(monitor);
        *ret = TAKE_PTR(monitor);
        return 0;
}

struct address_monitor *address_monitor_free(struct address_monitor *monitor)
{
        if (!monitor)
                return NULL;
        sd_event_source_disable_unref(monitor->io_source);
        sd_event_source_disable_unref(monitor->retry);
        sd_event_source_disable_unref(monitor->loss);
        route_watch_free(monitor->routes);
        if (monitor->socket)
                mnl_socket_close(monitor->socket);
        link_up_clear(&monitor->links);
        address_table_clear(&monitor->table);
        address_set_clear(&monitor->set);
        address_set_clear(&monitor->spare);
        sd_event_unref(monitor->event);
        free(monitor);
        return NULL;
}

void address_monitor_set_rules(struct address_monitor *monitor, const struct address_rules *rules)
{
        monitor->rules = *rules;
        tell_changes(monitor);
}

const struct address_set *address_monitor_get(struct address_monitor *monitor)
{
        return &monitor->set;
}

int address_monitor_networks(struct address_monitor *monitor, struct prefix_list *ret)
{
        return address_table_networks(&monitor->table, &monitor->rules, now_usec(CLOCK_BOOTTIME), ret);
}

const struct address_set *address_monitor_spare(struct address_monitor *monitor)
{
        return &monitor->spare;
}

int address_monitor_left_out(struct address_monitor *monitor, struct left_out_list *ret)
{
        return address_table_left_out(&monitor->table, &monitor->rules, now_usec(CLOCK_BOOTTIME), ret);
}

int address_monitor_get_of(struct address_monitor *monitor, const struct link_set *links,
                           struct address_set *ret, struct address_set *ret_spare)
{
        struct address_rules rules = monitor->rules;
        usec_t now = now_usec(CLOCK_BOOTTIME);
        int r;

        rules.links = links;
        r = address_set_compute(&monitor->table, &rules, now, ret);
        if (r < 0)
                return r;
        r = address_set_compute_spare(&monitor->table, &rules, now, ret_spare);
        if (r < 0)
                address_set_clear(ret);
        return r;
}

struct link_set address_monitor_links(struct address_monitor *monitor, const struct prefix *network)
{
        return address_table_links(&monitor->table, &monitor->rules, network, now_usec(CLOCK_BOOTTIME));
}
