/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is read from the database: all of it at the start, by callbacks, or page by page while everything
 * runs. */

#include <stdbool.h>
#include <stdint.h>

#include "dns/name.h"
#include "registry/state.h"
#include "registry/unit-row.h"
#include "util/waiter.h"

/* A negative return of a callback ends the reading and is returned. */
struct store_loader {
        /* "state" is the callee's. Its leases are already lengthened as a crash demands. A positive return:
         * it is not served here now, and was freed. */
        int (*name)(void *userdata, const struct dns_name *zone, const char *label, struct name_state *state);
        int (*unit)(void *userdata, const struct unit_row *row);
        /* There are rows of this upstream, zone (empty in those of an old version) and mode; nothing else of
         * "row" is set. */
        int (*place)(void *userdata, const struct unit_row *row);
        int (*serial)(void *userdata, const struct dns_name *zone, uint32_t serial);
        /* The key file of this zone was imported then (real time; 0: there was none); NULL: those of all
         * zones. */
        int (*import)(void *userdata, const struct dns_name *zone, usec_t imported_usec);
};

#define STORE_PAGE_MAX 500

struct stored_name {
        char label[DNS_LABEL_MAX + 1];
        struct name_state *state; /* owned, but may be taken */
};

/* Embedded in whoever reads. Begin with the zone and an empty "after"; to go on, put the last label there. */
struct store_page {
        struct waiter waiter; /* attached to the store while it reads */
        struct dns_name zone;
        char after[DNS_LABEL_MAX + 1];
        bool is_last;
        unsigned n_names;
        struct stored_name names[STORE_PAGE_MAX];
};

/* Units of one upstream. Begin with "after" NULL; to go on, hand the last one over: keep it
 * until then. */
struct stored_unit {
        struct unit_row row; /* its views are into: */
        uint8_t *octets;     /* owned */
};
struct store_units {
        struct waiter waiter;
        const char *upstream;         /* the caller's, while store_read_units() runs */
        const struct unit_row *after; /* likewise */
        bool is_last;
        unsigned n_units;
        struct stored_unit units[STORE_PAGE_MAX];
};
