/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The types of values. In brackets: what the key's offset must point at. Ranges (minimum, maximum) are in the
 * unit of that. Lists append; texts already there are freed by whoever owns the object. */

#include "config/schema.h"
#include "util/address.h"

struct config_server {
        char *host;    /* address literal or name; owned; NULL: not set */
        uint16_t port; /* host order */
};

struct address_list {
        struct address *items; /* owned */
        size_t n_items;
};

void address_list_clear(struct address_list *list);
int address_list_add(struct address_list *list, const struct address *address); /* 0 or -ENOMEM */

/* "HOST", "HOST@PORT"; without a port the default one. An IPv6 literal may stand in brackets. 0, -EINVAL,
 * -ENOMEM. Also for command lines. */
int config_server_parse(const char *text, uint16_t default_port, struct config_server *ret);
void config_server_clear(struct config_server *server);

/* As a YAML text in double quotes. */
void config_print_quoted(const char *text, FILE *out);

extern const struct config_type config_type_bool;       /* [bool] */
extern const struct config_type config_type_number;     /* [uint32_t] */
extern const struct config_type config_type_port;       /* [uint16_t] */
extern const struct config_type config_type_percent;    /* [uint32_t] "25", "25%", "25 %" */
extern const struct config_type config_type_size;       /* [uint32_t] bytes; "64K", "1M" */
extern const struct config_type config_type_tsig_fudge; /* [uint16_t] seconds; 0: auto */
extern const struct config_type config_type_seconds;    /* [uint32_t] a time span of whole seconds */
extern const struct config_type config_type_time_span;  /* [usec_t] */
extern const struct config_type config_type_string;     /* [char *] */
extern const struct config_type config_type_enum;     /* [int, or an enum] argument: names, NULL-terminated */
extern const struct config_type config_type_choice;   /* [char *] one of the names of the argument */
extern const struct config_type config_type_dns_name; /* [struct dns_name] */
extern const struct config_type config_type_server;   /* [struct config_server] argument: uint16_t port */
extern const struct config_type config_type_strings;  /* [struct string_list] */
extern const struct config_type config_type_labels;   /* [struct string_list] label globs, lower-cased */
extern const struct config_type config_type_names;    /* [struct name_list] */
extern const struct config_type
        config_type_reverse_zones;                     /* [struct name_list] below in-addr.arpa or ip6.arpa */
extern const struct config_type config_type_prefixes;  /* [struct prefix_list] */
extern const struct config_type config_type_addresses; /* [struct address_list] */
extern const struct config_type config_type_key_algorithms; /* [uint32_t] bits 1 << enum dns_algorithm */
extern const struct config_type config_type_tsig_algorithm; /* [enum tsig_algorithm] */
extern const struct config_type config_type_tsig_secret;    /* [struct tsig_key] */
