/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which zones to register in: the configured ones, and what the networks recommend. For each candidate domain
 * (local., home.arpa., search and route domains, the reverse names of network base addresses) the PTR RRs at
 * r._dns-sd._udp, else dr (RFC 6763 section 11); a search or route domain that has an SRV _nsreg._tcp is a
 * zone itself. */

#include <systemd/sd-event.h>

#include "nsregc/resolve.h"
#include "registry/policy.h"
#include "util/address.h"
#include "util/macro.h"

struct discovery;

/* The zones may have changed, or a round has ended. May call anything but free. */
typedef void (*discovery_changed)(void *userdata);

int discovery_new(sd_event *event, struct resolver *resolver, discovery_changed changed, void *userdata,
                  struct discovery **ret);
struct discovery *discovery_free(struct discovery *discovery);
DEFINE_CLEANUP(struct discovery *, discovery_free)

/* configured: copied. discover false: nothing but those. Holds from the next round on. 0 or -ENOMEM. */
int discovery_configure(struct discovery *discovery, const struct name_list *configured, bool discover);

/* A round with these domains and networks; one under way is given up. Candidates that nobody answers for keep
 * what they gave before. */
int discovery_run(struct discovery *discovery, const struct name_list *domains,
                  const struct prefix_list *networks);
/* Is a round under way. */
bool discovery_is_busy(const struct discovery *discovery);
/* Borrowed, good until the next call. */
const struct name_list *discovery_zones(struct discovery *discovery);
