/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public half: one KEY RR in the presentation form of zone files (RFC 1035 section 5.1). */

#include <strings.h>

#include "dns/base64.h"
#include "dns/key.h"
#include "util/macro.h"

#define FILE_MAX_LENGTH 16384

/* The fields of the only RR in the text: comments are passed over, and so are parentheses and line ends,
 * since there is nothing behind the RR that they might separate it from. */
struct fields {
        const char *next;
        char text[FILE_MAX_LENGTH];
};

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '(' || c == ')';
}

static const char *next_field(struct fields *fields)
{
        const char *p = fields->next;
        size_t n = 0;

        for (;;) {
                while (is_blank(*p))
                        p++;
                if (*p != ';')
                        break;
                p += strcspn(p, "\n");
        }

        while (*p && !is_blank(*p) && *p != ';') {
                if (*p == '\\' && p[1])
                        fields->text[n++] = *p++;
                fields->text[n++] = *p++;
        }

        fields->text[n] = 0;
        fields->next = p;
        return n > 0 ? fields->text : NULL;
}

static bool is_number(const char *field)
{
        return field[strspn(field, "0123456789")] == 0;
}

static int next_number(struct fields *fields, unsigned max, unsigned *ret)
{
        const char *field = next_field(fields);
        unsigned long value;

        if (!field || !is_number(field) || strlen(field) > 5)
                return -EBADMSG;
        value = strtoul(field, NULL, 10);
        if (value > max)
                return -EBADMSG;

        *ret = (unsigned) value;
        return 0;
}

/* [TTL] [IN] KEY, the first two in either order. */
static int skip_to_rdata(struct fields *fields)
{
        bool has_ttl = false, has_class = false;
        const char *field;

        while ((field = next_field(fields))) {
                if (strcasecmp(field, "KEY") == 0)
                        return 0;
                if (!has_ttl && is_number(field))
                        has_ttl = true;
                else if (!has_class && strcasecmp(field, "IN") == 0)
                        has_class = true;
                else
                        return -EBADMSG;
        }

        return -EBADMSG;
}

/* The rest is Base64, which may be cut into pieces. */
static int read_public(struct fields *fields, struct dns_key *key)
{
        char base64[FILE_MAX_LENGTH];
        const char *field;
        size_t length = 0;
        int n;

        while ((field = next_field(fields))) {
                memcpy(base64 + length, field, strlen(field));
                length += strlen(field);
        }
        base64[length] = 0;

        n = base64_decode(base64, key->public_key, sizeof(key->public_key));
        if (n < 0)
                return -EBADMSG;

        key->length = (uint16_t) n;
        return 0;
}

int dns_key_parse_rr(const char *text, struct dns_name *ret_owner, struct dns_key *ret)
{
        struct fields fields = { .next = text };
        unsigned flags, protocol, algorithm;
        const char *field;
        struct dns_name owner;
        struct dns_key key;

        if (strlen(text) >= FILE_MAX_LENGTH)
                return -EBADMSG;

        field = next_field(&fields);
        if (!field || dns_name_parse(field, &owner) < 0)
                return -EBADMSG;
        if (skip_to_rdata(&fields) < 0 || next_number(&fields, UINT16_MAX, &flags) < 0 ||
            next_number(&fields, UINT8_MAX, &protocol) < 0 || next_number(&fields, UINT8_MAX, &algorithm) < 0)
                return -EBADMSG;

        key.flags = (uint16_t) flags;
        key.protocol = (uint8_t) protocol;
        key.algorithm = (uint8_t) algorithm;
        if (read_public(&fields, &key) < 0)
                return -EBADMSG;

        *ret_owner = owner;
        *ret = key;
        return 0;
}

int dns_key_format_rr(const struct dns_name *owner, const struct dns_key *key, char **ret)
{
        _cleanup_free_ char *encoded = base64_encode(key->public_key, key->length);
        char name[DNS_NAME_FORMAT_MAX], *text;

        if (!encoded)
                return -ENOMEM;

        if (asprintf(&text, "%s IN KEY %u %u %u %s\n", dns_name_format(owner, name), key->flags,
                     key->protocol, key->algorithm, encoded) < 0)
                return -ENOMEM;

        *ret = text;
        return 0;
}
