/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the store keeps of a unit of publication, as values. The plan says what the flags and the octets mean;
 * for the store they are a key and a content. */

#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

enum unit_mode {
        UNIT_EXCLUSIVE, /* all records of one type at a name that is ours */
        UNIT_SHARED,    /* one RR of ours in a set that others share */
};

struct unit_row {
        /* The key. */
        const char *upstream; /* identity of the upstream; a view */
        struct dns_name zone; /* that holds the owner there */
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
