/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the journal hears of a registration. */

#include <systemd/sd-id128.h>

#include "dns/name.h"
#include "nsregc/address-table.h"

#define REPORT_REASON_MAX 1024

/* A reason is logged when it is new, not at every attempt; "told" is the one that was logged last. */
void report_reason(const struct dns_name *zone, const struct dns_name *name, int level, sd_id128_t id,
                   const char *what, const char reason[static REPORT_REASON_MAX],
                   char told[static REPORT_REASON_MAX]);
/* addresses: may be NULL. */
void report_done(const struct dns_name *zone, const struct dns_name *name, sd_id128_t id, const char *what,
                 const struct address_set *addresses);
