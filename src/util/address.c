/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/address.h"

#include <endian.h>
#include <stdio.h>

#include "util/macro.h"

#define PREFIX_LENGTH_DIGITS_MAX 3

size_t address_size(const struct address *address)
{
        return address->family == AF_INET ? 4 : 16;
}

int address_compare(const struct address *a, const struct address *b)
{
        if (a->family != b->family)
                return a->family < b->family ? -1 : 1;

        /* In the order of the octets. */
        for (unsigned i = 0; i < sizeof(a->bytes); i += sizeof(uint64_t)) {
                uint64_t x, y;

                memcpy(&x, a->bytes + i, sizeof(x));
                memcpy(&y, b->bytes + i, sizeof(y));
                if (x != y)
                        return be64toh(x) < be64toh(y) ? -1 : 1;
        }
        return 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
        return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct address address_from_bytes(int family, const void *bytes)
{
        struct address address = { .family = (uint8_t) family };

        memcpy(address.bytes, bytes, address_size(&address));
        return address;
}

int address_parse(const char *text, struct address *ret)
{
        struct address address = {};

        address.family = strchr(text, ':') ? AF_INET6 : AF_INET;
        if (inet_pton(address.family, text, address.bytes) != 1)
                return -EINVAL;

        *ret = address;
        return 0;
}

char *address_format(const struct address *address, char buffer[static ADDRESS_FORMAT_MAX])
{
        if (!inet_ntop(address->family, address->bytes, buffer, ADDRESS_FORMAT_MAX))
                memcpy(buffer, "none", sizeof("none"));
        return buffer;
}

int address_from_sockaddr(const struct sockaddr *sockaddr, struct address *ret, uint16_t *ret_port)
{
        struct address address;
        uint16_t port;

        switch (sockaddr->sa_family) {
        case AF_INET: {
                struct sockaddr_in in;

                memcpy(&in, sockaddr, sizeof(in));
                address = address_from_bytes(AF_INET, &in.sin_addr);
                port = ntohs(in.sin_port);
                break;
        }
        case AF_INET6: {
                struct sockaddr_in6 in6;

                memcpy(&in6, sockaddr, sizeof(in6));
                if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
                        address = address_from_bytes(AF_INET, in6.sin6_addr.s6_addr + 12);
                else
                        address = address_from_bytes(AF_INET6, &in6.sin6_addr);
                port = ntohs(in6.sin6_port);
                break;
        }
        default:
                return -EAFNOSUPPORT;
        }

        *ret = address;
        if (ret_port)
                *ret_port = port;
        return 0;
}

socklen_t address_to_sockaddr(const struct address *address, uint16_t port, struct sockaddr_storage *ret)
{
        memset(ret, 0, sizeof(*ret));

        if (address->family == AF_INET) {
                struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

                memcpy(&in.sin_addr, address->bytes, 4);
                memcpy(ret, &in, sizeof(in));
                return sizeof(in);
        }

        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

        memcpy(&in6.sin6_addr, address->bytes, 16);
        memcpy(ret, &in6, sizeof(in6));
        return sizeof(in6);
}

bool address_is_unspecified(const struct address *address)
{
        static const uint8_t zero[16];

        return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

bool address_is_loopback(const struct address *address)
{
        static const uint8_t loopback[16] = { [15] = 1 };

        if (address->family == AF_INET)
                return address->bytes[0] == 127;

        return memcmp(address->bytes, loopback, sizeof(loopback)) == 0;
}

bool address_is_link_local(const struct address *address)
{
        if (address->family == AF_INET)
                return address->bytes[0] == 169 && address->bytes[1] == 254;

        return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

bool address_is_multicast(const struct address *address)
{
        if (address->family == AF_INET)
                return (address->bytes[0] & 0xf0) == 0xe0;

        return address->bytes[0] == 0xff;
}

bool address_is_broadcast(const struct address *address)
{
        static const uint8_t ones[4] = { 255, 255, 255, 255 };

        return address->family == AF_INET && memcmp(address->bytes, ones, sizeof(ones)) == 0;
}

bool address_is_v4mapped(const struct address *address)
{
        static const uint8_t start[12] = { [10] = 0xff, [11] = 0xff };

        return address->family == AF_INET6 && memcmp(address->bytes, start, sizeof(start)) == 0;
}

static void clear_host_bits(struct address *address, unsigned length)
{
        for (size_t i = 0; i < sizeof(address->bytes); i++) {
                unsigned kept = length > i * 8 ? MIN(length - (unsigned) i * 8, 8u) : 0;

                address->bytes[i] &= (uint8_t) (0xff00 >> kept);
        }
}

struct prefix prefix_from_address(const struct address *address, unsigned length)
{
        struct prefix prefix = { .base = *address };

        prefix.length = (uint8_t) MIN(length, (unsigned) address_size(address) * 8);
        clear_host_bits(&prefix.base, prefix.length);
        return prefix;
}

static int parse_prefix_length(const char *text, unsigned max, unsigned *ret)
{
        unsigned value = 0;
        size_t n = strlen(text);

        if (n == 0 || n > PREFIX_LENGTH_DIGITS_MAX || (n > 1 && text[0] == '0'))
                return -EINVAL;

        for (size_t i = 0; i < n; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EINVAL;
                value = value * 10 + (unsigned) (text[i] - '0');
        }
        if (value > max)
                return -EINVAL;

        *ret = value;
        return 0;
}

int prefix_parse(const char *text, struct prefix *ret)
{
        char base[ADDRESS_FORMAT_MAX];
        const char *slash = strchr(text, '/');
        size_t base_length = slash ? (size_t) (slash - text) : strlen(text);
        struct address address;
        unsigned length;
        int r;

        if (base_length >= sizeof(base))
                return -EINVAL;
        memcpy(base, text, base_length);
        base[base_length] = 0;

        r = address_parse(base, &address);
        if (r < 0)
                return r;

        length = (unsigned) address_size(&address) * 8;
        if (slash) {
                r = parse_prefix_length(slash + 1, length, &length);
                if (r < 0)
                        return r;
        }

        struct prefix prefix = prefix_from_address(&address, length);
        if (!address_equal(&prefix.base, &address))
                return -EINVAL;

        *ret = prefix;
        return 0;
}

char *prefix_format(const struct prefix *prefix, char buffer[static PREFIX_FORMAT_MAX])
{
        size_t n;

        address_format(&prefix->base, buffer);
        n = strlen(buffer);
        snprintf(buffer + n, PREFIX_FORMAT_MAX - n, "/%u", prefix->length);
        return buffer;
}

bool prefix_contains(const struct prefix *prefix, const struct address *address)
{
        unsigned whole = prefix->length / 8, rest = prefix->length % 8;

        if (prefix->base.family != address->family)
                return false;
        if (memcmp(prefix->base.bytes, address->bytes, whole) != 0)
                return false;
        if (rest == 0)
                return true;

        return ((prefix->base.bytes[whole] ^ address->bytes[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

int prefix_list_add(struct prefix_list *list, const struct prefix *prefix)
{
        struct prefix *items = reallocarray(list->items, list->n_items + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;

        items[list->n_items++] = *prefix;
        list->items = items;
        return 0;
}

int prefix_list_parse_add(struct prefix_list *list, const char *text)
{
        struct prefix prefix;
        int r;

        r = prefix_parse(text, &prefix);
        if (r < 0)
                return r;

        return prefix_list_add(list, &prefix);
}

bool prefix_list_contains(const struct prefix_list *list, const struct address *address)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (prefix_contains(&list->items[i], address))
                        return true;

        return false;
}

void prefix_list_clear(struct prefix_list *list)
{
        free(list->items);
        *list = (struct prefix_list){};
}
