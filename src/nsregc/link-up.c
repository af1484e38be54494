/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/link-up.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "util/macro.h"

#define RUNNING_MAX 1024 /* of more nobody is told */

static int *find(const struct link_up *links, int index)
{
        for (size_t i = 0; i < links->n_running; i++)
                if (links->running[i] == index)
                        return &links->running[i];
        return NULL;
}

static void drop(struct link_up *links, int *at)
{
        if (at)
                *at = links->running[--links->n_running];
}

bool link_up_note(struct link_up *links, const struct nlmsghdr *message)
{
        const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
        int *at, *grown;

        if ((message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) ||
            mnl_nlmsg_get_payload_len(message) < sizeof(*link) || link->ifi_family != AF_UNSPEC)
                return false;
        at = find(links, link->ifi_index);
        if (message->nlmsg_type == RTM_DELLINK || !(link->ifi_flags & IFF_RUNNING)) {
                drop(links, at);
                return false;
        }
        if (at || links->n_running == RUNNING_MAX)
                return false;
        grown = reallocarray(links->running, links->n_running + 1, sizeof(*grown));
        if (!grown)
                return false; /* one occasion to try again less */
        links->running = grown;
        links->running[links->n_running++] = link->ifi_index;
        return true;
}

void link_up_clear(struct link_up *links)
{
        free(links->running);
        *links = (struct link_up){ 0 };
}
