/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* IPv4 and IPv6 addresses and prefixes as values. Bytes are in network order; an IPv4 address uses the first
 * four, the rest are zero, so that two equal addresses are equal byte by byte. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
        uint8_t family; /* AF_INET or AF_INET6; 0 = none */
        uint8_t bytes[16];
};

struct prefix {
        struct address base; /* host bits are zero */
        uint8_t length;
};

struct prefix_list {
        struct prefix *items;
        size_t n_items;
};

#define ADDRESS_FORMAT_MAX INET6_ADDRSTRLEN
#define PREFIX_FORMAT_MAX  (INET6_ADDRSTRLEN + 4)

size_t address_size(const struct address *address); /* 4 or 16 */
int address_compare(const struct address *a, const struct address *b);
bool address_equal(const struct address *a, const struct address *b);
struct address address_from_bytes(int family, const void *bytes);

/* 0 or -EINVAL. No zone ("%eth0") is accepted. */
int address_parse(const char *text, struct address *ret);
char *address_format(const struct address *address, char buffer[static ADDRESS_FORMAT_MAX]);

/* An IPv4-mapped IPv6 peer is told as IPv4. 0, or -EAFNOSUPPORT. "ret_port" (host order) may be NULL. */
int address_from_sockaddr(const struct sockaddr *sockaddr, struct address *ret, uint16_t *ret_port);
socklen_t address_to_sockaddr(const struct address *address, uint16_t port, struct sockaddr_storage *ret);

bool address_is_unspecified(const struct address *address);
bool address_is_loopback(const struct address *address);   /* 127.0.0.0/8, ::1 */
bool address_is_link_local(const struct address *address); /* 169.254.0.0/16, fe80::/10 */
bool address_is_multicast(const struct address *address);
bool address_is_broadcast(const struct address *address); /* 255.255.255.255 */
bool address_is_v4mapped(const struct address *address);

/* "10.0.0.0/8", "fc00::/7", or a lone address (its full length). Host bits set: -EINVAL. */
int prefix_parse(const char *text, struct prefix *ret);
char *prefix_format(const struct prefix *prefix, char buffer[static PREFIX_FORMAT_MAX]);
bool prefix_contains(const struct prefix *prefix, const struct address *address);
struct prefix prefix_from_address(const struct address *address, unsigned length); /* clears the host bits */

int prefix_list_add(struct prefix_list *list, const struct prefix *prefix); /* 0 or -ENOMEM */
int prefix_list_parse_add(struct prefix_list *list, const char *text);      /* 0, -EINVAL, -ENOMEM */
bool prefix_list_contains(const struct prefix_list *list, const struct address *address);
void prefix_list_clear(struct prefix_list *list);
