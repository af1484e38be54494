/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Follows the machine's addresses: rtnetlink is the truth. A dump at the start and whenever events were lost,
 * events in between. */

#include <systemd/sd-event.h>

#include "nsregc/address-table.h"
#include "util/macro.h"

struct address_monitor;

/* The set of usable addresses, or an interface, changed. A new lifetime of the same address is no change. */
typedef void (*address_changed)(void *userdata);

/* The rules' contents must outlive the monitor. The first change is told when the first dump is complete. 0
 * or -errno. */
int address_monitor_new(sd_event *event, const struct address_rules *rules, address_changed changed,
                        void *userdata, struct address_monitor **ret);
struct address_monitor *address_monitor_free(struct address_monitor *monitor);
DEFINE_CLEANUP(struct address_monitor *, address_monitor_free)

/* Other rules: what follows from them is told like any change. */
void address_monitor_set_rules(struct address_monitor *monitor, const struct address_rules *rules);

/* As of now; lifetimes are current. Owned by the monitor, good until the next turn of the loop. */
const struct address_set *address_monitor_get(struct address_monitor *monitor);
/* For when that is empty: addresses of links that lead to where nobody looks for the machine. Likewise owned.
 */
const struct address_set *address_monitor_spare(struct address_monitor *monitor);
/* Both, of these links alone. To be cleared by the caller. 0 or -ENOMEM. */
int address_monitor_get_of(struct address_monitor *monitor, const struct link_set *links,
                           struct address_set *ret, struct address_set *ret_spare);
/* As address_table_left_out(). */
int address_monitor_left_out(struct address_monitor *monitor, struct left_out_list *ret);
/* To be cleared by the caller. 0 or -ENOMEM. */
int address_monitor_networks(struct address_monitor *monitor, struct prefix_list *ret);
struct link_set address_monitor_links(struct address_monitor *monitor, const struct prefix *network);
