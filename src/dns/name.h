/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A domain name as a value: uncompressed wire form, lower case (RFC 4034 section 6.2), from the parser on.
 * Nothing in the project compares names as text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/protocol.h"
#include "util/address.h"

struct dns_name {
        uint8_t length; /* of wire, with the root label: 1..255; 0 = no name */
        uint8_t wire[DNS_NAME_MAX];
};

/* Presentation form of the longest name, every octet as \DDD, and NUL. */
#define DNS_NAME_FORMAT_MAX 1024

/* Presentation form with \DDD and \. escapes; a missing final dot is added. "." is the root. 0 or -EINVAL. */
int dns_name_parse(const char *text, struct dns_name *ret);
/* With the final dot; returns buffer. Printable ASCII whatever the octets. */
char *dns_name_format(const struct dns_name *name, char buffer[static DNS_NAME_FORMAT_MAX]);

/* From uncompressed wire form of exactly this length. 0 or -EBADMSG. */
int dns_name_from_wire(const uint8_t *wire, size_t length, struct dns_name *ret);

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);
/* Canonical order, RFC 4034 section 6.1. */
int dns_name_compare(const struct dns_name *a, const struct dns_name *b);
/* True when name is below or equal to ancestor. */
bool dns_name_is_subdomain(const struct dns_name *name, const struct dns_name *ancestor);
unsigned dns_name_count_labels(const struct dns_name *name); /* without the root */
bool dns_name_is_root(const struct dns_name *name);
/* The name without its first label; -EINVAL for the root. */
int dns_name_parent(const struct dns_name *name, struct dns_name *ret);
/* First label as a view into name (length byte not included); returns its length, 0 for the root. */
size_t dns_name_first_label(const struct dns_name *name, const uint8_t **ret);
/* First label as it is, NUL-terminated; returns buffer. A text only for labels that may be claimed. */
char *dns_name_copy_label(const struct dns_name *name, char buffer[static DNS_LABEL_MAX + 1]);
/* label (lower-cased) + parent. 0, -EINVAL (empty or over 63 octets), -ENAMETOOLONG. */
int dns_name_prepend(const void *label, size_t length, const struct dns_name *parent, struct dns_name *ret);
/* prefix's labels (its root dropped) + suffix. 0 or -ENAMETOOLONG. */
int dns_name_concat(const struct dns_name *prefix, const struct dns_name *suffix, struct dns_name *ret);

/* in-addr.arpa and ip6.arpa, RFC 1035 section 3.5, RFC 3596 section 2.5. */
struct dns_name dns_name_reverse(const struct address *address);
/* The reverse name of a network: whole octets or nibbles that lie inside the prefix length. */
struct dns_name dns_name_reverse_prefix(const struct prefix *prefix);
/* The network of a reverse name with fewer labels than an address has. 0 or -EINVAL. */
int dns_name_reverse_parse_prefix(const struct dns_name *name, struct prefix *ret);
/* The address of a full reverse name. 0 or -EINVAL. */
int dns_name_reverse_parse(const struct dns_name *name, struct address *ret);

/* One label that may be claimed: letters, digits, hyphen, no hyphen at either end, 1..63 octets. */
bool dns_label_is_ldh(const uint8_t *label, size_t length);
