/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* DNS servers that take RFC 2136 updates, signed with TSIG: BIND, Knot, PowerDNS. A batch is one UPDATE
 * message; a forward unit in it is "delete these RRsets, add these records". */

#include "upstream/publisher.h"

extern const struct upstream_driver nsupdate_driver;
