/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* nsregc.yaml (nsregc.yaml(5)) as values. Command line options are laid over them by the program. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/error.h"
#include "config/schema.h"
#include "config/types.h"
#include "registry/policy.h"
#include "util/macro.h"
#include "util/time.h"

#define NSREGC_DNS_PORT 53

enum name_on_conflict {
        NAME_ON_CONFLICT_KEEP,   /* refused is refused */
        NAME_ON_CONFLICT_SUFFIX, /* name-2 and so on */
};

struct nsregc_config {
        char *name; /* one label, or NULL: the host's name */
        enum name_on_conflict name_on_conflict;
        struct name_list zones; /* as given; empty: discovered ones only */
        bool discover_zones;
        struct string_list interfaces;      /* globs; "!" in front excludes; empty: all */
        struct prefix_list exclude_subnets; /* loopback and link-local unless configured */
        struct address_list extra_addresses;
        bool keep_records;
        char *key_file;         /* the public KEY RR */
        char *private_key_file; /* BIND v1.3 */
        bool key_file_given, private_key_file_given;
        bool gen_key;
        uint32_t key_ttl_sec;
        uint32_t addr_ttl_sec;
        struct config_server dns_server; /* host NULL: the system's resolver */
        bool dns_tcp;
        usec_t dns_timeout_usec;
        bool ipv6_temporary;
        struct string_list records; /* beside addresses, as extra_record_parse_line() reads them */
        bool ssh_host_keys;
        char *directory; /* of the configuration file; NULL: there was none */
        bool found;      /* there was a configuration file */
};

extern const struct config_table nsregc_config_table;

/* Reads "path" with its drop-ins. NULL: the user's file ($XDG_CONFIG_HOME/nsregc/nsregc.yaml, else
 * ~/.nsregc/nsregc.yaml) unless the program runs for the system (root, or no home), else nsregc/nsregc.yaml
 * of the usual directories, and for root its ~/.nsregc/nsregc.yaml where those have none; nothing at all is
 * no error. 0; -EINVAL with the errors told; -ENOMEM. */
int nsregc_config_load(const char *path, struct nsregc_config **ret, struct config_error *error);

/* From a text, without files: for tests. "path" is for messages only. */
int nsregc_config_parse(const char *path, const char *text, size_t length, struct nsregc_config **ret,
                        struct config_error *error);

struct nsregc_config *nsregc_config_free(struct nsregc_config *config);
DEFINE_CLEANUP(struct nsregc_config *, nsregc_config_free)

void nsregc_config_print(const struct nsregc_config *config, FILE *out);
