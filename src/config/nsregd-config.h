/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* nsregd.yaml (nsregd.yaml(5)) as values. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/error.h"
#include "config/schema.h"
#include "dns/name.h"
#include "registry/policy.h"
#include "upstream/config.h"
#include "util/macro.h"

struct zone_config {
        struct zone_policy policy;
        struct name_list reverse_zones; /* as given; already part of the builtin upstream's own */
        /* As in the file, UPSTREAM_DISABLED ones included. Never empty: without any there is one builtin. */
        struct upstream_config *upstreams;
        size_t n_upstreams;
};

struct nsregd_config {
        char *listen_addr; /* "localhost", an address, or a name */
        uint16_t listen_port;
        bool listen_port_given;      /* then it is the SRV answer's port, whatever socket was asked */
        struct dns_name server_name; /* length 0: not set */
        char *data_dir;              /* absolute or relative to the working directory */
        usec_t restart_grace_usec;   /* 0: leases end as if nothing had been */
        struct zone_config *zones;   /* in the order of the file; NULL when there are none */
        size_t n_zones;
        struct peer_limits limits;
        struct string_list files; /* that all this was read from, drop-ins included */
        bool found;               /* there was a configuration file */
        bool is_empty;            /* nothing at all stands in it */
};

extern const struct config_table nsregd_config_table;

/* Reads "path" with its drop-ins; NULL: nsregd/nsregd.yaml of the usual directories, where nothing at all is
 * no error. 0; -EINVAL with the errors told; -ENOMEM. Warnings may be there in any case. */
int nsregd_config_load(const char *path, struct nsregd_config **ret, struct config_error *error);

/* From a text, without files: for tests. "path" is for messages only. */
int nsregd_config_parse(const char *path, const char *text, size_t length, struct nsregd_config **ret,
                        struct config_error *error);

struct nsregd_config *nsregd_config_free(struct nsregd_config *config);
DEFINE_CLEANUP(struct nsregd_config *, nsregd_config_free)

/* What is in force, without secrets. */
void nsregd_config_print(const struct nsregd_config *config, FILE *out);
