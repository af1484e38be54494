/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which zones to register in: the configured ones, and what the networks recommend. For each candidate domain
 * (local., home.arpa., search and route domains, the reverse names of network base addresses) the PTR RRs at
 * r._dns-sd._udp, else dr (RFC 6763 section 11); a search or route domain that has an SRV _nsreg._tcp is a
 * zone itself.
 *
 * A zone is one as soon as it is found, and as long as it is not surely gone: a candidate that has nothing to
 * say all of a sudden is asked again over minutes, and one whose link vanished is kept for a moment. */

#include <systemd/sd-event.h>

#include "nsregc/link-set.h"
#include "nsregc/resolve.h"
#include "registry/policy.h"
#include "util/address.h"
#include "util/macro.h"

struct discovery;

/* The zones may have changed, or something else that is told below. May call anything but free. */
typedef void (*discovery_changed)(void *userdata);

int discovery_new(sd_event *event, struct resolver *resolver, discovery_changed changed, void *userdata,
                  struct discovery **ret);
struct discovery *discovery_free(struct discovery *discovery);
DEFINE_CLEANUP(struct discovery *, discovery_free)

/* configured: copied. discover false: nothing but those. Holds from the next run on. 0 or -ENOMEM. */
int discovery_configure(struct discovery *discovery, const struct name_list *configured, bool discover);

/* These are the domains and networks from now on, with the links of each network. Asks the candidates that
 * are new, that failed, or whose answer is no longer good; all of them if "anew", or if no network is one of
 * before. */
int discovery_run(struct discovery *discovery, const struct link_domain_list *domains,
                  const struct prefix_list *networks, const struct link_set *network_links, bool anew);
/* Is there a candidate that was not heard since the last run. */
bool discovery_is_busy(const struct discovery *discovery);
/* Have all been heard, and said the same for long enough: what is in no zone belongs nowhere. */
bool discovery_is_sure(const struct discovery *discovery);
/* Borrowed, good until the next call. */
const struct name_list *discovery_zones(struct discovery *discovery);
/* The links that recommend the zone: what is found on a link is told of that link's addresses only. All of
 * them for one that is configured, or that was found by what is no link's. */
struct link_set discovery_links(const struct discovery *discovery, const struct dns_name *zone);
/* Why one of them cannot be asked, or NULL. Of local., which hardly anybody answers for, nothing is told. */
const char *discovery_problem(const struct discovery *discovery);
