/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/name.h"

#include "util/macro.h"

#define LABELS_MAX 128 /* 127 labels of one octet and the root */

#define NIBBLES_IPV6 32
#define OCTETS_IPV4  4

static const char hex_digits[] = "0123456789abcdef";
static const uint8_t in_addr_arpa[] = "\7in-addr\4arpa";
static const uint8_t ip6_arpa[] = "\3ip6\4arpa";

static uint8_t lower(uint8_t octet)
{
        return octet >= 'A' && octet <= 'Z' ? (uint8_t) (octet | 0x20) : octet;
}

/* One octet of a label: itself, or what a backslash makes of what follows it (RFC 1035 section 5.1). Returns
 * what is behind it; NULL: it makes no sense. */
static const char *parse_octet(const char *text, uint8_t *ret)
{
        unsigned value = 0;

        if (*text != '\\') {
                *ret = (uint8_t) *text;
                return text + 1;
        }
        text++;
        if (*text < '0' || *text > '9') {
                *ret = (uint8_t) *text;
                return *text ? text + 1 : NULL;
        }
        for (unsigned i = 0; i < 3; i++, text++) {
                if (*text < '0' || *text > '9')
                        return NULL;
                value = 10 * value + (unsigned) (*text - '0');
        }
        *ret = (uint8_t) value;
        return value <= UINT8_MAX ? text : NULL;
}

/* By hand: for this alone a library would be in the memory of every client. */
int dns_name_parse(const char *text, struct dns_name *ret)
{
        struct dns_name name = { .length = 1 };
        size_t label = 0, i = 1;

        if (streq(text, "."))
                text++;
        else if (*text == 0)
                return -EINVAL;
        while (*text) {
                uint8_t octet;

                if (*text == '.') {
                        if (i == label + 1)
                                return -EINVAL;
                        name.wire[label] = (uint8_t) (i - label - 1);
                        label = i++;
                        text++;
                        continue;
                }
                text = parse_octet(text, &octet);
                if (!text || i - label > DNS_LABEL_MAX || i >= DNS_NAME_MAX - 1)
                        return -EINVAL;
                name.wire[i++] = lower(octet);
        }
        /* The last dot may be left out. */
        if (i > label + 1) {
                name.wire[label] = (uint8_t) (i - label - 1);
                label = i;
        }
        if (label >= DNS_NAME_MAX)
                return -EINVAL;
        name.wire[label] = 0;
        name.length = (uint8_t) (label + 1);
        *ret = name;
        return 0;
}

static size_t format_octet(char *out, uint8_t octet)
{
        if (octet <= ' ' || octet > '~') {
                out[0] = '\\';
                out[1] = (char) ('0' + octet / 100);
                out[2] = (char) ('0' + octet / 10 % 10);
                out[3] = (char) ('0' + octet % 10);
                return 4;
        }
        if (strchr(".\\\"();@$", octet)) {
                out[0] = '\\';
                out[1] = (char) octet;
                return 2;
        }

        out[0] = (char) octet;
        return 1;
}

char *dns_name_format(const struct dns_name *name, char buffer[static DNS_NAME_FORMAT_MAX])
{
        size_t position = 0;

        if (name->length == 0) {
                buffer[0] = 0;
                return buffer;
        }

        for (size_t i = 0; name->wire[i] != 0; i += 1u + name->wire[i]) {
                for (size_t j = 1; j <= name->wire[i]; j++)
                        position += format_octet(buffer + position, name->wire[i + j]);
                buffer[position++] = '.';
        }
        if (position == 0)
                buffer[position++] = '.';

        buffer[position] = 0;
        return buffer;
}

int dns_name_from_wire(const uint8_t *wire, size_t length, struct dns_name *ret)
{
        size_t i = 0;

        if (length == 0 || length > DNS_NAME_MAX)
                return -EBADMSG;

        while (wire[i] != 0) {
                size_t label = wire[i];

                if (label > DNS_LABEL_MAX || i + 1 + label >= length)
                        return -EBADMSG;

                ret->wire[i] = (uint8_t) label;
                for (size_t j = i + 1; j <= i + label; j++)
                        ret->wire[j] = lower(wire[j]);
                i += 1 + label;
        }
        if (i + 1 != length)
                return -EBADMSG;

        ret->wire[i] = 0;
        ret->length = (uint8_t) length;
        return 0;
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
        return a->length == b->length && memcmp(a->wire, b->wire, a->length) == 0;
}

static unsigned find_labels(const struct dns_name *name, uint8_t ret[static LABELS_MAX])
{
        unsigned n = 0;

        for (size_t i = 0; i < name->length && name->wire[i] != 0; i += 1u + name->wire[i])
                ret[n++] = (uint8_t) i;

        return n;
}

int dns_name_compare(const struct dns_name *a, const struct dns_name *b)
{
        uint8_t a_labels[LABELS_MAX], b_labels[LABELS_MAX];
        unsigned n_a = find_labels(a, a_labels), n_b = find_labels(b, b_labels);

        while (n_a > 0 && n_b > 0) {
                const uint8_t *x = a->wire + a_labels[--n_a], *y = b->wire + b_labels[--n_b];
                int r = memcmp(x + 1, y + 1, MIN(x[0], y[0]));

                if (r != 0)
                        return r;
                if (x[0] != y[0])
                        return x[0] < y[0] ? -1 : 1;
        }

        return (n_a > 0) - (n_b > 0);
}

bool dns_name_is_subdomain(const struct dns_name *name, const struct dns_name *ancestor)
{
        size_t i = 0, start;

        if (ancestor->length == 0 || name->length < ancestor->length)
                return false;

        /* The same octets may begin in the middle of a label; only a label's beginning counts. */
        start = (size_t) name->length - ancestor->length;
        while (i < start)
                i += 1u + name->wire[i];

        return i == start && memcmp(name->wire + start, ancestor->wire, ancestor->length) == 0;
}

unsigned dns_name_count_labels(const struct dns_name *name)
{
        uint8_t labels[LABELS_MAX];

        return find_labels(name, labels);
}

bool dns_name_is_root(const struct dns_name *name)
{
        return name->length == 1;
}

int dns_name_parent(const struct dns_name *name, struct dns_name *ret)
{
        size_t skipped = 1u + name->wire[0];

        if (name->length <= 1)
                return -EINVAL;

        memmove(ret->wire, name->wire + skipped, name->length - skipped);
        ret->length = (uint8_t) (name->length - skipped);
        return 0;
}

size_t dns_name_first_label(const struct dns_name *name, const uint8_t **ret)
{
        *ret = name->wire + 1;
        return name->length > 1 ? name->wire[0] : 0;
}

char *dns_name_copy_label(const struct dns_name *name, char buffer[static DNS_LABEL_MAX + 1])
{
        const uint8_t *label;
        size_t length = dns_name_first_label(name, &label);

        memcpy(buffer, label, length);
        buffer[length] = '\0';
        return buffer;
}

int dns_name_prepend(const void *label, size_t length, const struct dns_name *parent, struct dns_name *ret)
{
        const uint8_t *octets = label;
        struct dns_name name;

        if (length == 0 || length > DNS_LABEL_MAX)
                return -EINVAL;
        if (1 + length + parent->length > DNS_NAME_MAX)
                return -ENAMETOOLONG;

        name.wire[0] = (uint8_t) length;
        for (size_t i = 0; i < length; i++)
                name.wire[1 + i] = lower(octets[i]);
        memcpy(name.wire + 1 + length, parent->wire, parent->length);
        name.length = (uint8_t) (1 + length + parent->length);

        *ret = name;
        return 0;
}

int dns_name_concat(const struct dns_name *prefix, const struct dns_name *suffix, struct dns_name *ret)
{
        size_t kept = prefix->length > 0 ? prefix->length - 1u : 0;
        struct dns_name name;

        if (kept + suffix->length > DNS_NAME_MAX)
                return -ENAMETOOLONG;

        memcpy(name.wire, prefix->wire, kept);
        memcpy(name.wire + kept, suffix->wire, suffix->length);
        name.length = (uint8_t) (kept + suffix->length);

        *ret = name;
        return 0;
}

static size_t write_decimal_label(uint8_t *out, uint8_t value)
{
        size_t n = 0;

        if (value >= 100)
                out[1 + n++] = (uint8_t) ('0' + value / 100);
        if (value >= 10)
                out[1 + n++] = (uint8_t) ('0' + value / 10 % 10);
        out[1 + n++] = (uint8_t) ('0' + value % 10);

        out[0] = (uint8_t) n;
        return 1 + n;
}

static uint8_t nibble(const struct address *address, unsigned index)
{
        uint8_t octet = address->bytes[index / 2];

        return index % 2 == 0 ? octet >> 4 : octet & 0xf;
}

struct dns_name dns_name_reverse_prefix(const struct prefix *prefix)
{
        struct dns_name name;
        size_t position = 0;

        if (prefix->base.family == AF_INET) {
                for (unsigned i = prefix->length / 8; i-- > 0;)
                        position += write_decimal_label(name.wire + position, prefix->base.bytes[i]);
                memcpy(name.wire + position, in_addr_arpa, sizeof(in_addr_arpa));
                position += sizeof(in_addr_arpa);
        } else {
                for (unsigned i = prefix->length / 4; i-- > 0;) {
                        name.wire[position++] = 1;
                        name.wire[position++] = (uint8_t) hex_digits[nibble(&prefix->base, i)];
                }
                memcpy(name.wire + position, ip6_arpa, sizeof(ip6_arpa));
                position += sizeof(ip6_arpa);
        }

        name.length = (uint8_t) position;
        return name;
}

struct dns_name dns_name_reverse(const struct address *address)
{
        struct prefix prefix = prefix_from_address(address, (unsigned) address_size(address) * 8);

        return dns_name_reverse_prefix(&prefix);
}

static int parse_decimal_label(const uint8_t *label, uint8_t *ret)
{
        unsigned value = 0;

        if (label[0] == 0 || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
                return -EINVAL;

        for (unsigned i = 1; i <= label[0]; i++) {
                if (label[i] < '0' || label[i] > '9')
                        return -EINVAL;
                value = value * 10 + (unsigned) (label[i] - '0');
        }
        if (value > UINT8_MAX)
                return -EINVAL;

        *ret = (uint8_t) value;
        return 0;
}

static int parse_nibble_label(const uint8_t *label, uint8_t *ret)
{
        const char *digit;

        if (label[0] != 1 || label[1] == 0)
                return -EINVAL;
        digit = strchr(hex_digits, label[1]);
        if (!digit)
                return -EINVAL;

        *ret = (uint8_t) (digit - hex_digits);
        return 0;
}

static bool ends_in(const struct dns_name *name, size_t offset, const uint8_t *wire, size_t length)
{
        return name->length - offset == length && memcmp(name->wire + offset, wire, length) == 0;
}

int dns_name_reverse_parse_prefix(const struct dns_name *name, struct prefix *ret)
{
        struct prefix prefix = {};
        uint8_t labels[LABELS_MAX];
        unsigned n = find_labels(name, labels);

        if (n < 2)
                return -EINVAL;
        n -= 2;
        if (n <= OCTETS_IPV4 && ends_in(name, labels[n], in_addr_arpa, sizeof(in_addr_arpa))) {
                prefix.base.family = AF_INET;
                prefix.length = (uint8_t) (n * 8);
                for (unsigned i = 0; i < n; i++)
                        if (parse_decimal_label(name->wire + labels[i], &prefix.base.bytes[n - 1 - i]) < 0)
                                return -EINVAL;
        } else if (n <= NIBBLES_IPV6 && ends_in(name, labels[n], ip6_arpa, sizeof(ip6_arpa))) {
                prefix.base.family = AF_INET6;
                prefix.length = (uint8_t) (n * 4);
                for (unsigned i = 0; i < n; i++) {
                        unsigned place = n - 1 - i;
                        uint8_t value;

                        if (parse_nibble_label(name->wire + labels[i], &value) < 0)
                                return -EINVAL;
                        prefix.base.bytes[place / 2] |= (uint8_t) (place % 2 == 0 ? value << 4 : value);
                }
        } else
                return -EINVAL;

        *ret = prefix;
        return 0;
}

int dns_name_reverse_parse(const struct dns_name *name, struct address *ret)
{
        struct prefix prefix;

        if (dns_name_reverse_parse_prefix(name, &prefix) < 0 ||
            prefix.length != 8 * address_size(&prefix.base))
                return -EINVAL;
        *ret = prefix.base;
        return 0;
}

bool dns_label_is_ldh(const uint8_t *label, size_t length)
{
        if (length == 0 || length > DNS_LABEL_MAX || label[0] == '-' || label[length - 1] == '-')
                return false;

        for (size_t i = 0; i < length; i++) {
                uint8_t octet = lower(label[i]);

                if (!(octet >= 'a' && octet <= 'z') && !(octet >= '0' && octet <= '9') && octet != '-')
                        return false;
        }

        return true;
}
