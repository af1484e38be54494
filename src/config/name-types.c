/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names of zones, keys and hosts, and patterns over them. */

#include <ctype.h>
#include <stdio.h>

#include "config/idna.h"
#include "config/types.h"
#include "registry/policy.h"

#define WANTED               "letters, digits, hyphens and underscores are wanted"
#define HOST_NAME_LENGTH_MAX 253 /* as text, without the final dot: RFC 1035 section 3.1 */

static bool is_name_octet(unsigned char octet)
{
        return isalnum(octet) || octet == '-' || octet == '_';
}

int config_refuse_foreign(const char *text, char why[static CONFIG_WHY_MAX])
{
        _cleanup_free_ char *ascii = NULL;

        if (text_is_ascii(text))
                return 0;
        ascii = idna_to_ascii(text);
        if (!ascii)
                return config_why_not(why, "not in the form that is used in DNS: see idn2(1)");
        return config_why_not(why, "not in the form that is used in DNS: write %s", ascii);
}

/* -- domain names */

static int parse_in_set(const char *text, bool (*is_good)(unsigned char), const char *wanted,
                        struct dns_name *ret, char why[static CONFIG_WHY_MAX])
{
        struct dns_name name;
        int r = config_refuse_foreign(text, why);

        if (r >= 0)
                r = dns_name_parse(text, &name);
        if (r < 0)
                return r;
        for (size_t i = 0; name.wire[i] != 0; i += 1u + name.wire[i])
                for (size_t j = 1; j <= name.wire[i]; j++)
                        if (!is_good(name.wire[i + j]))
                                return config_why_not(why, "%s", wanted);
        *ret = name;
        return 0;
}

int config_name_parse(const char *text, struct dns_name *ret, char why[static CONFIG_WHY_MAX])
{
        return parse_in_set(text, is_name_octet, WANTED, ret, why);
}

static int parse_dns_name(const struct config_key *key, const char *text, void *target,
                          char why[static CONFIG_WHY_MAX])
{
        return config_name_parse(text, target, why);
}

static void print_name(const struct dns_name *name, FILE *out)
{
        char buffer[DNS_NAME_FORMAT_MAX];

        config_print_quoted(dns_name_format(name, buffer), out);
}

static bool print_dns_name(const struct config_key *key, const void *target, FILE *out)
{
        const struct dns_name *name = target;

        if (name->length == 0)
                return false;
        print_name(name, out);
        return true;
}

const struct config_type config_type_dns_name = { "a domain name", parse_dns_name, print_dns_name };

/* Keys are called what their server calls them, which nobody has to look up in DNS. */
static bool is_key_octet(unsigned char octet)
{
        return octet > ' ' && octet <= '~';
}

static int parse_key_name(const struct config_key *key, const char *text, void *target,
                          char why[static CONFIG_WHY_MAX])
{
        return parse_in_set(text, is_key_octet, "a name without spaces is wanted", target, why);
}

const struct config_type config_type_key_name = { "the name of a key", parse_key_name, print_dns_name };

static int parse_names(const struct config_key *key, const char *text, void *target,
                       char why[static CONFIG_WHY_MAX])
{
        struct dns_name name;
        int r;

        r = config_name_parse(text, &name, why);
        if (r < 0)
                return r;
        return name_list_add(target, &name);
}

static bool print_names(const struct config_key *key, const void *target, FILE *out)
{
        const struct name_list *list = target;

        fputc('[', out);
        for (size_t i = 0; i < list->n_items; i++) {
                if (i > 0)
                        fputs(", ", out);
                print_name(&list->items[i], out);
        }
        fputc(']', out);
        return true;
}

const struct config_type config_type_names = { "a domain name", parse_names, print_names };

/* -- reverse zones */

#define V4_LABELS 4
#define V6_LABELS 32

static bool is_reverse_octet(unsigned char octet)
{
        return is_name_octet(octet) || octet == '/';
}

/* Why the label that begins "name" makes no network of its parent, which is one. */
static int refuse_reverse_label(const struct dns_name *name, bool is_ipv4, char why[static CONFIG_WHY_MAX])
{
        char label[DNS_LABEL_MAX + 1], text[DNS_NAME_FORMAT_MAX];
        struct dns_name parent = *name;
        struct prefix prefix = {};

        dns_name_copy_label(name, label);
        if (dns_name_parent(name, &parent) < 0 || dns_name_reverse_parse_prefix(&parent, &prefix) < 0)
                return -EINVAL;
        if (prefix.length == 8 * address_size(&prefix.base))
                return config_why_not(why, "more labels than an address has");
        if (!is_ipv4)
                return config_why_not(why,
                                      "\"%s\" is no hexadecimal digit; each digit of the address is a label, "
                                      "as in 0.0.d.f.ip6.arpa",
                                      label);
        if (prefix.length < 24 || label[strspn(label, "0123456789")] == '\0')
                return config_why_not(why, "\"%s\" is no octet (0 to 255) of an address", label);
        return config_why_not(why,
                              "child zones (RFC 2317) are not served: PTR records go to the addresses' own "
                              "names; name the zone that holds these, such as %s",
                              dns_name_format(&parent, text));
}

/* From the top, so that the first label that is wrong is told. */
static int check_reverse_zone(const struct dns_name *name, const struct dns_name *top, bool is_ipv4,
                              char why[static CONFIG_WHY_MAX])
{
        unsigned n_labels = dns_name_count_labels(name);
        struct prefix prefix;

        for (unsigned n = dns_name_count_labels(top) + 1; n <= n_labels; n++) {
                struct dns_name ancestor = *name, parent;

                for (unsigned i = n; i < n_labels && dns_name_parent(&ancestor, &parent) >= 0; i++)
                        ancestor = parent;
                if (dns_name_reverse_parse_prefix(&ancestor, &prefix) < 0)
                        return refuse_reverse_label(&ancestor, is_ipv4, why);
        }
        return 0;
}

static int parse_reverse_zones(const struct config_key *key, const char *text, void *target,
                               char why[static CONFIG_WHY_MAX])
{
        struct dns_name name, v4, v6;
        bool is_ipv4;
        int r;

        r = parse_in_set(text, is_reverse_octet, WANTED, &name, why);
        if (r < 0)
                return r;
        if (dns_name_parse("in-addr.arpa.", &v4) < 0 || dns_name_parse("ip6.arpa.", &v6) < 0)
                return -EINVAL;
        is_ipv4 = dns_name_is_subdomain(&name, &v4);
        if (!is_ipv4 && !dns_name_is_subdomain(&name, &v6))
                return config_why_not(why,
                                      "not a reverse zone: those end in in-addr.arpa or ip6.arpa, such as "
                                      "10.in-addr.arpa");
        r = check_reverse_zone(&name, is_ipv4 ? &v4 : &v6, is_ipv4, why);
        return r < 0 ? r : name_list_add(target, &name);
}

const struct config_type config_type_reverse_zones = { "a reverse zone such as 10.in-addr.arpa",
                                                       parse_reverse_zones, print_names };

/* -- patterns */

/* Behind the class, [:alpha:] and the like, that begins here inside of brackets; NULL: it does not end. */
static const char *skip_class(const char *c)
{
        const char end[] = { c[1], ']', '\0' };

        c = strstr(c + 2, end);
        return c ? c + 2 : NULL;
}

/* From behind a bracket to the one that closes it; NULL: there is none. As fnmatch(3) reads them. */
static const char *skip_bracket(const char *c, bool *ret_empty)
{
        const char *first;

        if (*c == '!' || *c == '^')
                c++;
        for (first = c; c && *c && (*c != ']' || c == first);) {
                char from;

                if (*c == '[' && (c[1] == ':' || c[1] == '.' || c[1] == '=')) {
                        c = skip_class(c);
                        continue;
                }
                if (*c == '\\' && c[1])
                        c++;
                from = *c++;
                if (*c != '-' || c[1] == '\0' || c[1] == ']')
                        continue;
                c += c[1] == '\\' && c[2] ? 2 : 1;
                *ret_empty = *ret_empty || *c < from;
                c++;
        }
        return c && *c ? c : NULL;
}

int config_pattern_check(const char *text, char why[static CONFIG_WHY_MAX])
{
        bool is_empty = false;

        for (const char *c = text; c && *c; c++) {
                if (*c == '\\' && *++c == '\0')
                        return config_why_not(why, "a pattern that ends in a backslash");
                if (*c != '[' || (c > text && c[-1] == '\\'))
                        continue;
                c = skip_bracket(c + 1, &is_empty);
                if (!c)
                        return config_why_not(why, "a pattern with a bracket that is not closed");
        }
        return is_empty ? config_why_not(why, "a pattern with a range that holds nothing") : 0;
}

/* Over one label: dots can never match, so they are a mistake. */
static int parse_labels(const struct config_key *key, const char *text, void *target,
                        char why[static CONFIG_WHY_MAX])
{
        _cleanup_free_ char *lower = strdup(text);
        int r;

        if (!lower)
                return -ENOMEM;
        r = config_refuse_foreign(text, why);
        if (r < 0 && strpbrk(text, "*?["))
                return config_why_not(why, "patterns are matched with the form that is used in DNS, which is "
                                           "ASCII");
        if (r < 0)
                return r;
        for (char *c = lower; *c; c++) {
                if (*c == '.' || *c <= ' ' || *c > '~')
                        return config_why_not(why,
                                              "one label below the zone, without dots (globs are welcome)");
                *c = (char) tolower((unsigned char) *c);
        }
        r = config_pattern_check(lower, why);
        return r < 0 ? r : string_list_add(target, lower);
}

const struct config_type config_type_labels = { "a name without dots", parse_labels, config_print_strings };

/* -- hosts */

/* With a zone (RFC 4007) behind an IPv6 address or not. */
static bool is_address(const char *text)
{
        char literal[ADDRESS_FORMAT_MAX];
        const char *zone = strchr(text, '%');
        size_t length = zone ? (size_t) (zone - text) : strlen(text);
        struct address address;

        if (length >= sizeof(literal) || (zone && zone[1] == '\0'))
                return false;
        memcpy(literal, text, length);
        literal[length] = '\0';
        return address_parse(literal, &address) >= 0 && (!zone || address.family == AF_INET6);
}

/* The last label of a name is no number (RFC 1123 section 2.1), that of a misspelt address is. */
static bool is_host_name(const char *text)
{
        size_t length = strlen(text), start = 0;
        bool is_number = true;

        if (length > 0 && text[length - 1] == '.')
                length--;
        if (length == 0 || length > HOST_NAME_LENGTH_MAX)
                return false;
        for (size_t i = 0; i <= length; i++) {
                if (i < length && text[i] != '.') {
                        if (!is_name_octet((unsigned char) text[i]))
                                return false;
                        is_number = is_number && isdigit((unsigned char) text[i]);
                        continue;
                }
                if (i == start || i - start > DNS_LABEL_MAX)
                        return false;
                start = i + 1;
                if (i < length)
                        is_number = true;
        }
        return !is_number;
}

bool config_is_host(const char *text)
{
        return is_address(text) || is_host_name(text);
}

const char *config_split_port(const char *text, char separator, char host[static CONFIG_HOST_MAX])
{
        const char *last = strrchr(text, separator);
        size_t length = last ? (size_t) (last - text) : 0;

        if (length == 0 || last[1] == '\0' || last[1 + strspn(last + 1, "0123456789")] != '\0')
                return NULL;
        if (text[0] == '[' && text[length - 1] == ']') {
                text++;
                length -= 2;
        } else if (separator == ':' && memchr(text, ':', length))
                return NULL;
        if (length >= CONFIG_HOST_MAX)
                return NULL;
        memcpy(host, text, length);
        host[length] = '\0';
        return config_is_host(host) ? last + 1 : NULL;
}

static int parse_host(const struct config_key *key, const char *text, void *target,
                      char why[static CONFIG_WHY_MAX])
{
        size_t length = strlen(text);
        char host[CONFIG_HOST_MAX];
        int r;

        if (config_is_host(text))
                return config_type_string.parse(key, text, target, why);
        if (config_split_port(text, ':', host) || config_split_port(text, '@', host))
                return config_why_not(why, "the port has a key of its own; \"%s\" is wanted here", host);
        if (text[0] == '[' && text[length - 1] == ']' && length - 2 < sizeof(host)) {
                memcpy(host, text + 1, length - 2);
                host[length - 2] = '\0';
                if (is_address(host))
                        return config_why_not(why, "an address stands without brackets here: \"%s\"", host);
        }
        r = config_refuse_foreign(text, why);
        return r < 0 ? r : -EINVAL;
}

const struct config_type config_type_host = { "a host name or an address", parse_host, config_print_string };

static int parse_own_host(const struct config_key *key, const char *text, void *target,
                          char why[static CONFIG_WHY_MAX])
{
        if (streq(text, "*"))
                return config_why_not(why, "everywhere is written as \"::\"");
        return parse_host(key, text, target, why);
}

const struct config_type config_type_own_host = { "a host name or an address", parse_own_host,
                                                  config_print_string };
