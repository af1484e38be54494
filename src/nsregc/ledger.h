/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this machine may have in the DNS, kept in a small file so that a successor can take it away: written
 * before an address is first sent, never by a pure refresh. One line each: zone, name, kind of server,
 * addresses. */

#include <stdbool.h>
#include <stddef.h>

#include "dns/name.h"
#include "nsregc/address-table.h"
#include "util/macro.h"

enum server_kind {
        SERVER_UNKNOWN,
        SERVER_ORIGINAL, /* single RRs only, refresh by the echoed TTL */
        SERVER_MODERN,   /* Update Lease, RRset deletion */
};

struct ledger_entry {
        struct dns_name zone;
        struct dns_name name;
        enum server_kind kind;
        struct address_set addresses;
};

struct ledger;

/* "path" NULL: kept in memory only. A file that makes no sense is taken for an empty one. 0; -ENOMEM; what
 * reading it says. */
int ledger_open(const char *path, struct ledger **ret);
struct ledger *ledger_free(struct ledger *ledger);
DEFINE_CLEANUP(struct ledger *, ledger_free)

size_t ledger_count(const struct ledger *ledger);
const struct ledger_entry *ledger_get(const struct ledger *ledger, size_t index);
const struct ledger_entry *ledger_find(const struct ledger *ledger, const struct dns_name *zone,
                                       const struct dns_name *name);
/* Writes the file when that changes anything, or when the last time failed. 0, -ENOMEM, or what writing it
 * says: memory has it then, and the file is behind. */
int ledger_set(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name,
               enum server_kind kind, const struct address_set *addresses);
int ledger_remove(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name);
bool ledger_is_dirty(const struct ledger *ledger);
/* Writes what could not be written. 0 or as above. */
int ledger_flush(struct ledger *ledger);
