/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the store keeps of a unit of publication, as values. For the store they are a key and a content.
 *
 * "values" lists every value that may be at the upstream: one after the other, each as four octets of length
 * (big endian) and so many octets of a set as rrset.h has it. An empty set is "nothing is there". In shared
 * mode a value is either empty or the one RR of the key. One value alone: it is there, for certain. The one
 * sent last is the last one.
 *
 * A row is written before anything that it lists is sent, and shortened or deleted only when nothing that was
 * sent can be applied any more. So rows with several values are all that has to be looked at after a start:
 * whatever was under way counts as sent at the start. */

#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

enum unit_mode {
        UNIT_EXCLUSIVE, /* all records of one type at a name that is ours */
        UNIT_SHARED,    /* one RR of ours in a set that others share */
};

#define UNIT_ROW_ACCEPTED                                                                                    \
        UINT32_C(1) /* the upstream has acknowledged records here: what is found is ours                     \
                     */
#define UNIT_ROW_FORWARDED                                                                                   \
        UINT32_C(2)             /* answers came through a forwarder: what is answered may come twice         \
                                 */
#define UNIT_ROW_FUDGE_SHIFT 16 /* above: the widest fudge, in seconds, that something was signed with */

struct unit_row {
        /* The key. */
        const char *upstream; /* identity of the upstream; a view; NULL where the plan makes the row */
        struct dns_name
                zone; /* that holds the owner there; length 0: not known (a row of an older version) */
        enum unit_mode mode;
        struct dns_name owner;
        uint16_t type;
        const uint8_t *rdata; /* shared: of the one RR; else empty; a view */
        size_t rdata_size;
        /* The content. */
        uint32_t flags;
        const uint8_t *values; /* a view */
        size_t values_size;
};
