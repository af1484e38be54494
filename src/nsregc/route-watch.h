/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which links have a default route in the main table. Of all the routes of the machine only those are
 * listened to; a router may have a million others. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "util/macro.h"

struct route_watch;

/* What was asked for is known, or it changed. */
typedef void (*route_changed)(void *userdata);

int route_watch_new(sd_event *event, route_changed changed, void *userdata, struct route_watch **ret);
struct route_watch *route_watch_free(struct route_watch *watch);
DEFINE_CLEANUP(struct route_watch *, route_watch_free)

/* Asks anew; changed() follows, in another turn of the loop. */
void route_watch_ask(struct route_watch *watch);
/* The last answer; one under way makes no difference. */
bool route_watch_has(const struct route_watch *watch, uint32_t ifindex);
bool route_watch_is_busy(const struct route_watch *watch);
