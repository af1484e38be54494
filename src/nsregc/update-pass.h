/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A change of the addresses that are registered, in as many updates as it takes. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "dns/key.h"
#include "dns/name.h"
#include "nsregc/address-set.h"

/* What registrars take at least, unless somebody configured less (RRs of the update section; KEY, OPT and the
 * signature come on top of them). */
#define UPDATE_ROOM_RRS 56

struct update_room {
        size_t rrs;
        size_t bytes;
};

/* For what is to be said of this name. "rrs": at most so many. */
struct update_room update_room(const struct dns_name *zone, const struct dns_name *name,
                               const struct dns_key *key, size_t rrs);

struct update_pass {
        struct address_set removals, additions; /* not said yet */
        bool by_rrset;                          /* the first update begins with the deletion of all */
};

void update_pass_clear(struct update_pass *pass);
/* From what is there to what shall be. "replace": whatever there may be goes first. "knows_rrset": the server
 * can delete all at once, which is done too where the list of removals would not fit into one update. 0 or
 * -ENOMEM. */
int update_pass_begin(struct update_pass *pass, const struct address_set *there,
                      const struct address_set *target, bool knows_rrset, bool replace,
                      const struct update_room *room, const struct dns_name *name);
bool update_pass_is_done(const struct update_pass *pass);
/* The next update: moves what fits from the pass into the two sets (emptied before), removals first. "true"
 * in *by_rrset: it begins with the deletion of all. 0 or -ENOMEM. */
int update_pass_next(struct update_pass *pass, const struct update_room *room, const struct dns_name *name,
                     struct address_set *removals, struct address_set *additions, bool *by_rrset);
