/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "dns/rdata.h"

#include <ldns/ldns.h>
#include <stdio.h>

#include "dns/base64.h"
#include "util/macro.h"

/* What a type's data is made of, field by field. */
enum field {
        FIELD_END,
        FIELD_U8,
        FIELD_U16,
        FIELD_IPV4,
        FIELD_IPV6,
        FIELD_NAME,       /* lower case is its canonical form */
        FIELD_NAME_AS_IS, /* its case is kept */
        FIELD_STRING,     /* one character-string */
        FIELD_STRINGS,    /* character-strings, to the end: one at least */
        FIELD_HEX,        /* octets to the end: one at least */
        FIELD_BASE64,     /* the same, shown otherwise */
        FIELD_TEXT,       /* octets to the end, shown as a text */
        FIELD_PARAMETERS, /* of a service binding, RFC 9460 section 2.2, to the end */
};

#define FIELDS_MAX 6

struct rdata_type {
        uint16_t type;
        const char *name;
        bool registrable;              /* where a zone's configuration allows it, beside addresses */
        enum field fields[FIELDS_MAX]; /* ended by FIELD_END */
        /* What the form alone does not say; NULL, or a text to follow "the RR". May be NULL: nothing. */
        const char *(*check)(const uint8_t *octets, size_t length);
};

/* RFC 4255 section 3.1, RFC 6594: the length of a fingerprint is that of its hash. */
static const char *check_sshfp(const uint8_t *octets, size_t length)
{
        if ((octets[1] == 1 && length != 2 + 20) || (octets[1] == 2 && length != 2 + 32))
                return "has a fingerprint of another length than its hash";
        return NULL;
}

/* RFC 6698 section 2.1.3. */
static const char *check_tlsa(const uint8_t *octets, size_t length)
{
        if ((octets[2] == 1 && length != 3 + 32) || (octets[2] == 2 && length != 3 + 64))
                return "has association data of another length than its hash";
        return NULL;
}

/* RFC 9460 section 2.4.2: an alias is a CNAME in all but name. */
static const char *check_service_binding(const uint8_t *octets, size_t length)
{
        return octets[0] == 0 && octets[1] == 0 ? "is an alias (priority 0), which is never registered"
                                                : NULL;
}

/* RFC 8659 section 4.1: letters and digits. */
static const char *check_caa(const uint8_t *octets, size_t length)
{
        for (unsigned i = 0; i < octets[1]; i++) {
                uint8_t octet = octets[2 + i];

                if (!(octet >= '0' && octet <= '9') && !(octet >= 'A' && octet <= 'Z') &&
                    !(octet >= 'a' && octet <= 'z'))
                        return "has a property tag that is none";
        }
        return octets[1] == 0 ? "has no property tag" : NULL;
}

static const struct rdata_type types[] = {
        { DNS_TYPE_A, "A", false, { FIELD_IPV4 }, NULL },
        { DNS_TYPE_AAAA, "AAAA", false, { FIELD_IPV6 }, NULL },
        { DNS_TYPE_NS, "NS", false, { FIELD_NAME }, NULL },
        { DNS_TYPE_CNAME, "CNAME", false, { FIELD_NAME }, NULL },
        { DNS_TYPE_PTR, "PTR", false, { FIELD_NAME }, NULL },
        { DNS_TYPE_KEY, "KEY", false, { FIELD_U16, FIELD_U8, FIELD_U8, FIELD_BASE64 }, NULL },
        { DNS_TYPE_TXT, "TXT", true, { FIELD_STRINGS }, NULL },
        { DNS_TYPE_SRV, "SRV", true, { FIELD_U16, FIELD_U16, FIELD_U16, FIELD_NAME }, NULL },
        { DNS_TYPE_SSHFP, "SSHFP", true, { FIELD_U8, FIELD_U8, FIELD_HEX }, check_sshfp },
        { DNS_TYPE_TLSA, "TLSA", true, { FIELD_U8, FIELD_U8, FIELD_U8, FIELD_HEX }, check_tlsa },
        { DNS_TYPE_SVCB,
          "SVCB",
          true,
          { FIELD_U16, FIELD_NAME_AS_IS, FIELD_PARAMETERS },
          check_service_binding },
        { DNS_TYPE_HTTPS,
          "HTTPS",
          true,
          { FIELD_U16, FIELD_NAME_AS_IS, FIELD_PARAMETERS },
          check_service_binding },
        { DNS_TYPE_CAA, "CAA", true, { FIELD_U8, FIELD_STRING, FIELD_TEXT }, check_caa },
};

static const struct rdata_type *find_type(uint16_t type)
{
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (types[i].type == type)
                        return &types[i];
        return NULL;
}

const char *rdata_type_to_string(uint16_t type)
{
        const struct rdata_type *found = find_type(type);

        return found ? found->name : NULL;
}

int rdata_type_from_string(const char *text, uint16_t *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (strcasecmp(types[i].name, text) == 0) {
                        *ret = types[i].type;
                        return 0;
                }
        return -EINVAL;
}

char *rdata_type_format(uint16_t type, char buffer[static RDATA_TYPE_FORMAT_MAX])
{
        const char *name = rdata_type_to_string(type);

        if (name)
                snprintf(buffer, RDATA_TYPE_FORMAT_MAX, "%s", name);
        else
                snprintf(buffer, RDATA_TYPE_FORMAT_MAX, "TYPE%u", type);
        return buffer;
}

uint16_t rdata_type_registrable(unsigned n)
{
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (types[i].registrable && n-- == 0)
                        return types[i].type;
        return 0;
}

/* --- fields --- */

/* Octets of the uncompressed name that begins here; 0: it is none. */
static size_t name_size(const uint8_t *octets, size_t length)
{
        size_t at = 0;

        while (at < length && at < DNS_NAME_MAX) {
                if (octets[at] > DNS_LABEL_MAX)
                        return 0;
                if (octets[at] == 0)
                        return at + 1;
                at += 1U + octets[at];
        }
        return 0;
}

/* Keys ascend, and each value is as long as it says. */
static bool parameters_are_well_formed(const uint8_t *octets, size_t length)
{
        long last = -1;

        while (length > 0) {
                size_t size;
                long key;

                if (length < 4)
                        return false;
                key = octets[0] << 8 | octets[1];
                size = (size_t) octets[2] << 8 | octets[3];
                if (key <= last || size > length - 4)
                        return false;
                last = key;
                octets += 4 + size;
                length -= 4 + size;
        }
        return true;
}

static bool strings_are_well_formed(const uint8_t *octets, size_t length)
{
        size_t at = 0;

        while (at < length)
                at += 1U + octets[at];
        return length > 0 && at == length;
}

/* Octets of the field that begins here, in uncompressed form; -EBADMSG. */
static ssize_t field_size(enum field field, const uint8_t *octets, size_t length)
{
        size_t size = 0;

        switch (field) {
        case FIELD_END:
                return 0;
        case FIELD_U8:
                size = 1;
                break;
        case FIELD_U16:
                size = 2;
                break;
        case FIELD_IPV4:
                size = 4;
                break;
        case FIELD_IPV6:
                size = 16;
                break;
        case FIELD_NAME:
        case FIELD_NAME_AS_IS:
                size = name_size(octets, length);
                return size > 0 ? (ssize_t) size : -EBADMSG;
        case FIELD_STRING:
                size = length > 0 ? 1U + octets[0] : 1;
                break;
        case FIELD_STRINGS:
                return strings_are_well_formed(octets, length) ? (ssize_t) length : -EBADMSG;
        case FIELD_HEX:
        case FIELD_BASE64:
                size = MAX(length, 1U);
                break;
        case FIELD_TEXT:
                size = length;
                break;
        case FIELD_PARAMETERS:
                return parameters_are_well_formed(octets, length) ? (ssize_t) length : -EBADMSG;
        }
        return size <= length ? (ssize_t) size : -EBADMSG;
}

static void to_lower(uint8_t *octets, size_t length)
{
        /* Lengths of labels are no letters. */
        for (size_t i = 0; i < length; i++)
                if (octets[i] >= 'A' && octets[i] <= 'Z')
                        octets[i] |= 0x20;
}

/* Uncompressed data is brought into canonical form where it is. NULL, or what is wrong with it. */
static const char *canonicalize(const struct rdata_type *type, uint8_t *octets, size_t length)
{
        size_t at = 0;

        for (const enum field *field = type->fields; *field != FIELD_END; field++) {
                ssize_t size = field_size(*field, octets + at, length - at);

                if (size < 0)
                        return "is malformed";
                if (*field == FIELD_NAME)
                        to_lower(octets + at, (size_t) size);
                at += (size_t) size;
        }
        if (at != length)
                return "is malformed";
        return type->check ? type->check(octets, length) : NULL;
}

/* --- from a message --- */

/* Of this type at most one field is a name, and what is behind it is as it is. */
static int expand(const struct rdata_type *type, const struct dns_message *message, const struct dns_rr *rr,
                  uint8_t *octets, size_t *ret_length)
{
        size_t at = rr->rdata, end = at + rr->rdlength, length = 0;

        for (const enum field *field = type->fields; *field != FIELD_END; field++) {
                size_t size, behind;
                ssize_t r;

                if (*field == FIELD_NAME || *field == FIELD_NAME_AS_IS) {
                        if (at >= end ||
                            dns_message_expand(message, at, octets + length, &size, &behind) < 0 ||
                            behind > end)
                                return -EBADMSG;
                        length += size;
                        at = behind;
                        continue;
                }
                r = field_size(*field, message->wire + at, end - at);
                if (r < 0)
                        return (int) r;
                memcpy(octets + length, message->wire + at, (size_t) r);
                length += (size_t) r;
                at += (size_t) r;
        }
        *ret_length = length;
        return at == end ? 0 : -EBADMSG;
}

int rdata_read(const struct dns_message *message, const struct dns_rr *rr, bool as_answer, uint8_t **ret,
               uint16_t *ret_length, const char **why)
{
        const struct rdata_type *type = find_type(rr->type);
        _cleanup_free_ uint8_t *octets = malloc((size_t) rr->rdlength + DNS_NAME_MAX);
        size_t length = rr->rdlength;
        const char *wrong = NULL;

        if (!octets)
                return -ENOMEM;
        if (!type || !as_answer)
                memcpy(octets, dns_message_rdata(message, rr), length);
        else if (expand(type, message, rr, octets, &length) < 0)
                wrong = "is malformed";
        if (type && !wrong)
                wrong = canonicalize(type, octets, length);
        if (wrong || length > UINT16_MAX) {
                if (why)
                        *why = wrong ?: "is too long";
                return -EBADMSG;
        }
        *ret = TAKE_PTR(octets);
        *ret_length = (uint16_t) length;
        return 0;
}

/* --- presentation form --- */

static void write_string(FILE *out, const uint8_t *octets, size_t length)
{
        fputc('"', out);
        for (size_t i = 0; i < length; i++) {
                if (octets[i] < ' ' || octets[i] > '~')
                        fprintf(out, "\\%03u", octets[i]);
                else
                        fprintf(out, octets[i] == '"' || octets[i] == '\\' ? "\\%c" : "%c", octets[i]);
        }
        fputc('"', out);
}

static void write_hex(FILE *out, const uint8_t *octets, size_t length)
{
        for (size_t i = 0; i < length; i++)
                fprintf(out, "%02x", octets[i]);
}

static void write_base64(FILE *out, const uint8_t *octets, size_t length)
{
        _cleanup_free_ char *text = base64_encode(octets, length);

        /* Without memory the stream has none either. */
        if (text)
                fputs(text, out);
}

static void write_name(FILE *out, const uint8_t *octets, size_t length)
{
        char text[DNS_NAME_FORMAT_MAX];
        struct dns_name name = { .length = (uint8_t) length };

        /* Its case is kept. */
        memcpy(name.wire, octets, length);
        fputs(dns_name_format(&name, text), out);
}

static void write_field(FILE *out, enum field field, const uint8_t *octets, size_t length)
{
        char text[ADDRESS_FORMAT_MAX];
        struct address address;

        switch (field) {
        case FIELD_END:
        case FIELD_PARAMETERS:
                return;
        case FIELD_U8:
                fprintf(out, "%u", octets[0]);
                return;
        case FIELD_U16:
                fprintf(out, "%u", octets[0] << 8 | octets[1]);
                return;
        case FIELD_IPV4:
        case FIELD_IPV6:
                address = address_from_bytes(field == FIELD_IPV4 ? AF_INET : AF_INET6, octets);
                fputs(address_format(&address, text), out);
                return;
        case FIELD_NAME:
        case FIELD_NAME_AS_IS:
                write_name(out, octets, length);
                return;
        case FIELD_STRING:
                /* A property's tag: letters and digits alone (check_caa()). */
                fprintf(out, "%.*s", (int) length - 1, (const char *) octets + 1);
                return;
        case FIELD_STRINGS:
                for (size_t at = 0; at < length; at += 1U + octets[at]) {
                        if (at > 0)
                                fputc(' ', out);
                        write_string(out, octets + at + 1, octets[at]);
                }
                return;
        case FIELD_HEX:
                write_hex(out, octets, length);
                return;
        case FIELD_BASE64:
                write_base64(out, octets, length);
                return;
        case FIELD_TEXT:
                write_string(out, octets, length);
                return;
        }
}

/* The parameters of a service binding have a form of their own for each key: they are shown as octets. */
static bool has_form(const struct rdata_type *type, const uint8_t *octets, size_t length)
{
        size_t at = 0;

        for (const enum field *field = type ? type->fields : NULL; field && *field != FIELD_END; field++) {
                ssize_t size = field_size(*field, octets + at, length - at);

                if (size < 0 || *field == FIELD_PARAMETERS)
                        return false;
                at += (size_t) size;
        }
        return type && at == length && !(type->check && type->check(octets, length));
}

char *rdata_format(uint16_t number, const uint8_t *octets, size_t length)
{
        const struct rdata_type *type = find_type(number);
        bool formed = has_form(type, octets, length);
        char *text = NULL;
        size_t size = 0, at = 0;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        for (const enum field *field = formed ? type->fields : NULL; field && *field != FIELD_END; field++) {
                /* It was looked at above. */
                size_t field_length = (size_t) field_size(*field, octets + at, length - at);

                if (at > 0)
                        fputc(' ', out);
                write_field(out, *field, octets + at, field_length);
                at += field_length;
        }
        if (!formed) {
                fprintf(out, "\\# %zu%s", length, length > 0 ? " " : "");
                write_hex(out, octets, length);
        }
        if (fclose(out) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

/* --- from presentation form --- */

static int join(const ldns_rr *rr, uint8_t **ret, size_t *ret_length)
{
        size_t length = 0;
        uint8_t *octets;

        for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
                length += ldns_rdf_size(ldns_rr_rdf(rr, i));
        octets = malloc(length + 1);
        if (!octets)
                return -ENOMEM;
        length = 0;
        for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
                size_t size = ldns_rdf_size(ldns_rr_rdf(rr, i));

                if (size > 0)
                        memcpy(octets + length, ldns_rdf_data(ldns_rr_rdf(rr, i)), size);
                length += size;
        }
        *ret = octets;
        *ret_length = length;
        return 0;
}

/* ldns takes any number for one of 8 or 16 bits, and cuts it off. */
static bool numbers_fit(const struct rdata_type *type, const char *text)
{
        for (const enum field *field = type->fields; *field == FIELD_U8 || *field == FIELD_U16; field++) {
                char *end;

                if (strtoul(text, &end, 10) > (*field == FIELD_U8 ? UINT8_MAX : UINT16_MAX))
                        return false;
                text = end;
        }
        return true;
}

int rdata_parse(uint16_t number, const char *text, uint8_t **ret, uint16_t *ret_length)
{
        const struct rdata_type *type = find_type(number);
        _cleanup_free_ uint8_t *octets = NULL;
        _cleanup_free_ char *line = NULL;
        ldns_rr *rr = NULL;
        size_t length = 0;
        int r;

        /* A line is one record; ldns has a buffer of this size for it. */
        if (!type || strchr(text, '\n') || strlen(text) > LDNS_MAX_LINELEN - 64 || !numbers_fit(type, text))
                return -EINVAL;
        if (asprintf(&line, ". 0 IN %s %s", type->name, text) < 0) {
                line = NULL;
                return -ENOMEM;
        }
        if (ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL) != LDNS_STATUS_OK)
                return -EINVAL;
        r = join(rr, &octets, &length);
        ldns_rr_free(rr);
        if (r < 0)
                return r;
        if (length > UINT16_MAX || canonicalize(type, octets, length))
                return -EINVAL;
        *ret = TAKE_PTR(octets);
        *ret_length = (uint16_t) length;
        return 0;
}
