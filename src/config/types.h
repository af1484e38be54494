/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The types of values. In brackets: what the key's offset must point at. Ranges (minimum, maximum) are in the
 * unit of that. Lists append; texts already there are freed by whoever owns the object. */

#include "config/schema.h"
#include "dns/name.h"
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

/* For other types: their parts. */
bool config_print_string(const struct config_key *key, const void *target, FILE *out);
bool config_print_strings(const struct config_key *key, const void *target, FILE *out);

/* Always -EINVAL, for "return config_why_not(why, ...)". */
int config_why_not(char why[static CONFIG_WHY_MAX], const char *format, ...) _printf_(2, 3);

/* -EINVAL, with the form that DNS has for it, where a text is not ASCII; else 0. */
int config_refuse_foreign(const char *text, char why[static CONFIG_WHY_MAX]);

/* A domain name as people give them to zones: letters, digits, hyphens, underscores. 0 or -EINVAL; "why" may
 * be left empty. */
int config_name_parse(const char *text, struct dns_name *ret, char why[static CONFIG_WHY_MAX]);

/* Whether fnmatch(3) can read it as it is meant. 0 or -EINVAL. */
int config_pattern_check(const char *text, char why[static CONFIG_WHY_MAX]);

#define CONFIG_HOST_MAX 256

/* A host name or an address, without brackets. */
bool config_is_host(const char *text);

/* The port of "HOST:PORT" or "[ADDRESS]:PORT", with another separator likewise; NULL: it is nothing like it.
 */
const char *config_split_port(const char *text, char separator, char host[static CONFIG_HOST_MAX]);

extern const struct config_type config_type_bool;       /* [bool] */
extern const struct config_type config_type_number;     /* [uint32_t] */
extern const struct config_type config_type_port;       /* [uint16_t] */
extern const struct config_type config_type_percent;    /* [uint32_t] "25", "25%", "25 %" */
extern const struct config_type config_type_size;       /* [uint32_t] bytes; "64K", "1M" */
extern const struct config_type config_type_tsig_fudge; /* [uint16_t] seconds; 0: auto */
extern const struct config_type config_type_seconds;    /* [uint32_t] a time span of whole seconds */
extern const struct config_type config_type_time_span;  /* [usec_t] */
extern const struct config_type config_type_date;       /* [usec_t] real time */
extern const struct config_type config_type_string;     /* [char *] */
extern const struct config_type config_type_enum;     /* [int, or an enum] argument: names, NULL-terminated */
extern const struct config_type config_type_choice;   /* [char *] one of the names of the argument */
extern const struct config_type config_type_host;     /* [char *] name or address, without a port */
extern const struct config_type config_type_own_host; /* likewise, of this machine */
extern const struct config_type config_type_dns_name; /* [struct dns_name] */
extern const struct config_type config_type_key_name; /* [struct dns_name] of a TSIG key */
extern const struct config_type config_type_server;   /* [struct config_server] argument: uint16_t port */
extern const struct config_type config_type_strings;  /* [struct string_list] */
extern const struct config_type config_type_labels;   /* [struct string_list] label globs, lower-cased */
extern const struct config_type config_type_names;    /* [struct name_list] */
extern const struct config_type
        config_type_reverse_zones;                     /* [struct name_list] below in-addr.arpa or ip6.arpa */
extern const struct config_type config_type_prefixes;  /* [struct prefix_list] */
extern const struct config_type config_type_addresses; /* [struct address_list] */
extern const struct config_type config_type_key_algorithms; /* [uint32_t] bits 1 << enum dns_algorithm */
extern const struct config_type config_type_record_types;   /* [uint32_t] bits of rdata_type_registrable() */
extern const struct config_type config_type_names_below;    /* [struct below_list] PATTERN:TYPE[,TYPE]... */
extern const struct config_type config_type_tsig_algorithm; /* [enum tsig_algorithm] */
extern const struct config_type config_type_tsig_secret;    /* [struct tsig_key] */
