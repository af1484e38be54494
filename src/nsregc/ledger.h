/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this machine may have in the DNS, kept in a small file so that a successor can take it away: written
 * before an address is first sent, never by a pure refresh. One line each: zone, name, kind of server, place
 * with an @ in front (none where it is not known), addresses. The same name of the same zone may be there for
 * several places. */

#include <stdbool.h>
#include <stddef.h>

#include "dns/name.h"
#include "nsregc/address-table.h"
#include "nsregc/place.h"
#include "util/macro.h"

enum server_kind {
        SERVER_UNKNOWN,
        SERVER_ORIGINAL, /* single RRs only, refresh by the echoed TTL */
        SERVER_MODERN,   /* Update Lease, RRset deletion */
};

struct ledger_entry {
        struct dns_name zone;
        struct dns_name name;
        char place[PLACE_MAX];
        enum server_kind kind;
        struct address_set addresses;
        bool elsewhere; /* its registrar is not the one that is found here; not in the file */
};

struct ledger;

/* "path" NULL: kept in memory only. A file that makes no sense is taken for an empty one. 0; -ENOMEM; what
 * reading it says. */
int ledger_open(const char *path, struct ledger **ret);
struct ledger *ledger_free(struct ledger *ledger);
DEFINE_CLEANUP(struct ledger *, ledger_free)

size_t ledger_count(const struct ledger *ledger);
const struct ledger_entry *ledger_get(const struct ledger *ledger, size_t index);
/* The first one. "place" empty: any. */
const struct ledger_entry *ledger_find(const struct ledger *ledger, const struct dns_name *zone,
                                       const struct dns_name *name, const char *place);
/* Writes the file when that changes anything, or when the last time failed. An entry whose place is the same,
 * see place_same(), is this one, and gets this one's words for it. Where there is no room the oldest goes. 0,
 * -ENOMEM, or what writing it says: memory has it then, and the file is behind. */
int ledger_set(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name,
               const char *place, enum server_kind kind, const struct address_set *addresses);
int ledger_remove(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name,
                  const char *place);
void ledger_set_elsewhere(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name,
                          const char *place);
/* The network changed: all may be here. */
void ledger_look_again(struct ledger *ledger);
bool ledger_is_dirty(const struct ledger *ledger);
/* Writes what could not be written. 0 or as above. */
int ledger_flush(struct ledger *ledger);
