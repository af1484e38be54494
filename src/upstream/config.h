/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One entry of a zone's `upstreams`, as the configuration gives it. */

#include <stdbool.h>
#include <stdint.h>

#include "dns/tsig.h"
#include "registry/policy.h"
#include "util/address.h"
#include "util/time.h"

enum upstream_type {
        UPSTREAM_BUILTIN,
        UPSTREAM_NSUPDATE,
        UPSTREAM_UNBOUND,
        UPSTREAM_DISABLED,
        _UPSTREAM_TYPES,
};

enum upstream_algorithm_source {
        UPSTREAM_KEY_NONE,   /* unsigned updates */
        UPSTREAM_KEY_INLINE, /* tsig-name, tsig-secret, tsig-algorithm */
        UPSTREAM_KEY_FILE,   /* tsig-key-file, already read into tsig_key */
};

struct upstream_config {
        enum upstream_type type;
        char *hostname;       /* name or address literal; NULL for builtin */
        uint16_t port;        /* nsupdate 53, unbound 8953 */
        bool tcp;             /* nsupdate; true */
        usec_t timeout_usec;  /* nsupdate 10 s, unbound 1 s */
        struct dns_name zone; /* length 0: not set */
        struct name_list reverse_zones;
        uint32_t record_ttl_sec;    /* 60 */
        bool keep_records;          /* true */
        bool protect_foreign_names; /* true */
        struct prefix_list exclude_nets;
        uint32_t record_types; /* beside addresses: bits as of rdata_type_registrable() */

        enum upstream_algorithm_source key_source;
        char *tsig_key_file; /* as configured */
        struct tsig_key tsig_key;
        uint16_t tsig_fudge_sec; /* 0: settled with the server */

        char *control_socket; /* unbound: unix path, or NULL for TLS */
        char *client_cert, *client_key, *server_cert, *server_name;
        char *zone_type; /* local-zone type ("transparent" by default); "none": create no zone */
};

void upstream_config_clear(struct upstream_config *config);
/* A deep copy. 0 or -ENOMEM, nothing left to clear. */
int upstream_config_copy(struct upstream_config *ret, const struct upstream_config *config);
/* Everything that makes a difference to what is published, compared; secrets included. */
bool upstream_config_equal(const struct upstream_config *a, const struct upstream_config *b);
/* The same server by the same connection with the same key: what differs beside that is the zone's. */
bool upstream_config_same_connection(const struct upstream_config *a, const struct upstream_config *b);
/* What a unit's row is keyed by: type, target, zone ("nsupdate 127.0.0.1@5300 d.example."), whatever the
 * entry's place in the list. Owned by the caller; NULL when memory is out. */
char *upstream_config_identity(const struct upstream_config *config);
