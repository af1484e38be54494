/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/types.h"
#include "dns/protocol.h"
#include "dns/rdata.h"
#include "dns/tsig.h"
#include "registry/policy.h"

static int parse_strings(const struct config_key *key, const char *text, void *target,
                         char why[static CONFIG_WHY_MAX])
{
        return string_list_add(target, text);
}

bool config_print_strings(const struct config_key *key, const void *target, FILE *out)
{
        const struct string_list *list = target;

        fputc('[', out);
        for (size_t i = 0; i < list->n_items; i++) {
                if (i > 0)
                        fputs(", ", out);
                config_print_quoted(list->items[i], out);
        }
        fputc(']', out);
        return true;
}

const struct config_type config_type_strings = { "a text", parse_strings, config_print_strings };

/* A peer's address in that form is taken for what it is, IPv4, wherever it appears. */
#define V4MAPPED_BITS 96

static int refuse_mapped(const struct address *address, unsigned length, char why[static CONFIG_WHY_MAX])
{
        struct address inner = address_from_bytes(AF_INET, address->bytes + V4MAPPED_BITS / 8);
        struct prefix prefix = prefix_from_address(&inner, length - V4MAPPED_BITS);
        char text[PREFIX_FORMAT_MAX];

        return config_why_not(why, "IPv4 networks are written as such: %s", prefix_format(&prefix, text));
}

static int parse_length(const char *text, unsigned max, unsigned *ret, char why[static CONFIG_WHY_MAX])
{
        unsigned length = 0;

        if (*text == '\0' || strlen(text) > 3)
                return -EINVAL;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                length = length * 10 + (unsigned) (*text - '0');
        }
        if (length > max)
                return config_why_not(why, "a prefix length beyond %u", max);
        *ret = length;
        return 0;
}

/* Host bits are dropped, and told: the original took 192.168.1.5/24 for its network. */
static int parse_prefixes(const struct config_key *key, const char *text, void *target,
                          char why[static CONFIG_WHY_MAX])
{
        _cleanup_free_ char *copy = strdup(text);
        char network[PREFIX_FORMAT_MAX];
        struct address address;
        struct prefix prefix;
        unsigned length;
        char *slash;
        int r;

        if (!copy)
                return -ENOMEM;
        slash = strchr(copy, '/');
        if (slash)
                *slash++ = '\0';
        r = address_parse(copy, &address);
        if (r < 0)
                return r;
        length = (unsigned) address_size(&address) * 8;
        if (slash)
                r = parse_length(slash, length, &length, why);
        if (r < 0)
                return r;
        if (address_is_v4mapped(&address) && length >= V4MAPPED_BITS)
                return refuse_mapped(&address, length, why);
        prefix = prefix_from_address(&address, length);
        r = prefix_list_add(target, &prefix);
        if (r < 0 || address_equal(&prefix.base, &address))
                return r;
        snprintf(why, CONFIG_WHY_MAX, "an address inside a network; %s is taken",
                 prefix_format(&prefix, network));
        return 1;
}

static bool print_prefixes(const struct config_key *key, const void *target, FILE *out)
{
        const struct prefix_list *list = target;
        char buffer[PREFIX_FORMAT_MAX];

        fputc('[', out);
        for (size_t i = 0; i < list->n_items; i++)
                fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", prefix_format(&list->items[i], buffer));
        fputc(']', out);
        return true;
}

const struct config_type config_type_prefixes = { "a network such as 192.168.0.0/16 or fd00::/8",
                                                  parse_prefixes, print_prefixes };

void address_list_clear(struct address_list *list)
{
        free(list->items);
        *list = (struct address_list){};
}

int address_list_add(struct address_list *list, const struct address *address)
{
        struct address *items = reallocarray(list->items, list->n_items + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items++] = *address;
        return 0;
}

static int parse_addresses(const struct config_key *key, const char *text, void *target,
                           char why[static CONFIG_WHY_MAX])
{
        struct address address, inner;
        char buffer[ADDRESS_FORMAT_MAX];
        int r;

        r = address_parse(text, &address);
        if (r < 0)
                return r;
        inner = address_from_bytes(AF_INET, address.bytes + V4MAPPED_BITS / 8);
        if (address_is_v4mapped(&address))
                return config_why_not(why, "IPv4 addresses are written as such: %s",
                                      address_format(&inner, buffer));
        if (address_is_unspecified(&address) || address_is_multicast(&address) ||
            address_is_broadcast(&address))
                return config_why_not(why, "no address that a machine can have");
        return address_list_add(target, &address);
}

static bool print_addresses(const struct config_key *key, const void *target, FILE *out)
{
        const struct address_list *list = target;
        char buffer[ADDRESS_FORMAT_MAX];

        fputc('[', out);
        for (size_t i = 0; i < list->n_items; i++)
                fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", address_format(&list->items[i], buffer));
        fputc(']', out);
        return true;
}

const struct config_type config_type_addresses = { "an IPv4 or IPv6 address", parse_addresses,
                                                   print_addresses };

static const struct {
        const char *name;
        enum dns_algorithm algorithm;
} key_algorithms[] = {
        { "ecdsap256sha256", DNS_ALGORITHM_ECDSAP256SHA256 },
        { "ecdsap384sha384", DNS_ALGORITHM_ECDSAP384SHA384 },
        { "ed25519", DNS_ALGORITHM_ED25519 },
        { "ed448", DNS_ALGORITHM_ED448 },
        { "rsasha256", DNS_ALGORITHM_RSASHA256 },
};

static int parse_key_algorithms(const struct config_key *key, const char *text, void *target,
                                char why[static CONFIG_WHY_MAX])
{
        const char *names[ELEMENTSOF(key_algorithms) + 1] = {}, *nearest;

        for (size_t i = 0; i < ELEMENTSOF(key_algorithms); i++) {
                names[i] = key_algorithms[i].name;
                if (strcasecmp(text, names[i]) == 0) {
                        *(uint32_t *) target |= UINT32_C(1) << key_algorithms[i].algorithm;
                        return 0;
                }
        }
        nearest = config_suggest(names, text);
        if (nearest)
                snprintf(why, CONFIG_WHY_MAX, "not an algorithm for keys here (did you mean \"%s\"?)",
                         nearest);
        else
                snprintf(why, CONFIG_WHY_MAX, "not an algorithm for keys here (there are %s, %s, %s, %s, %s)",
                         names[0], names[1], names[2], names[3], names[4]);
        return -EINVAL;
}

static bool print_key_algorithms(const struct config_key *key, const void *target, FILE *out)
{
        uint32_t bits = *(const uint32_t *) target;
        bool first = true;

        fputc('[', out);
        for (size_t i = 0; i < ELEMENTSOF(key_algorithms); i++) {
                if (!(bits & UINT32_C(1) << key_algorithms[i].algorithm))
                        continue;
                fprintf(out, "%s%s", first ? "" : ", ", key_algorithms[i].name);
                first = false;
        }
        fputc(']', out);
        return true;
}

const struct config_type config_type_key_algorithms = { "a key algorithm such as ed25519",
                                                        parse_key_algorithms, print_key_algorithms };

static int parse_record_type(const char *text, uint32_t *bits, char why[static CONFIG_WHY_MAX])
{
        const char *names[32] = {}, *nearest;

        for (unsigned n = 0; rdata_type_registrable(n) != 0 && n + 1 < ELEMENTSOF(names); n++) {
                names[n] = rdata_type_to_string(rdata_type_registrable(n));
                if (strcasecmp(text, names[n]) == 0) {
                        *bits |= UINT32_C(1) << n;
                        return 0;
                }
        }
        nearest = config_suggest(names, text);
        if (nearest)
                return config_why_not(why,
                                      "no type that can be registered beside addresses (did you mean "
                                      "\"%s\"?)",
                                      nearest);
        return config_why_not(why,
                              "no type that can be registered beside addresses (SSHFP, TXT, TLSA, ... are)");
}

static int parse_record_types(const struct config_key *key, const char *text, void *target,
                              char why[static CONFIG_WHY_MAX])
{
        return parse_record_type(text, target, why);
}

static void print_type_names(uint32_t bits, const char *between, FILE *out)
{
        bool first = true;

        for (unsigned n = 0; rdata_type_registrable(n) != 0; n++) {
                if (!(bits & UINT32_C(1) << n))
                        continue;
                fprintf(out, "%s%s", first ? "" : between, rdata_type_to_string(rdata_type_registrable(n)));
                first = false;
        }
}

static bool print_record_types(const struct config_key *key, const void *target, FILE *out)
{
        fputc('[', out);
        print_type_names(*(const uint32_t *) target, ", ", out);
        fputc(']', out);
        return true;
}

const struct config_type config_type_record_types = { "a record type such as SSHFP", parse_record_types,
                                                      print_record_types };

/* Labels that look names up as a rule begin with an underscore (RFC 8552); others are hosts of somebody. */
static int parse_names_below(const struct config_key *key, const char *text, void *target,
                             char why[static CONFIG_WHY_MAX])
{
        struct below_pattern pattern = {};
        _cleanup_free_ char *copy = strdup(text);
        char *types, *type;
        int r;

        if (!copy)
                return -ENOMEM;
        types = strchr(copy, ':');
        if (!types)
                return config_why_not(why, "no record types behind it, as in _acme-challenge:TXT");
        *types++ = '\0';
        if (dns_name_parse(copy, &pattern.labels) < 0 || dns_name_is_root(&pattern.labels))
                return config_why_not(why, "no labels in front of the colon, as in _acme-challenge:TXT");
        if (dns_name_count_labels(&pattern.labels) > BELOW_LABELS_MAX)
                return config_why_not(why, "more than %d labels below a host", BELOW_LABELS_MAX);
        if (*types == '\0')
                return config_why_not(why, "no record types behind the colon, as in _acme-challenge:TXT");
        while ((type = strsep(&types, ","))) {
                r = parse_record_type(type, &pattern.types, why);
                if (r < 0)
                        return r;
        }
        return below_list_add(target, &pattern);
}

static bool print_names_below(const struct config_key *key, const void *target, FILE *out)
{
        const struct below_list *list = target;
        char text[DNS_NAME_FORMAT_MAX];

        fputc('[', out);
        for (size_t i = 0; i < list->n_items; i++) {
                dns_name_format(&list->items[i].labels, text);
                text[strlen(text) - 1] = '\0';
                fprintf(out, "%s'%s:", i > 0 ? ", " : "", text);
                print_type_names(list->items[i].types, ",", out);
                fputc('\'', out);
        }
        fputc(']', out);
        return true;
}

const struct config_type config_type_names_below = { "names below a host, such as _acme-challenge:TXT",
                                                     parse_names_below, print_names_below };

static int parse_tsig_algorithm(const struct config_key *key, const char *text, void *target,
                                char why[static CONFIG_WHY_MAX])
{
        const char *names[_TSIG_ALGORITHMS + 1] = {}, *nearest;

        if (tsig_algorithm_from_string(text, target) >= 0)
                return 0;
        for (int i = 0; i < _TSIG_ALGORITHMS; i++)
                names[i] = tsig_algorithm_to_string((enum tsig_algorithm) i);
        nearest = config_suggest(names, text);
        if (nearest)
                snprintf(why, CONFIG_WHY_MAX, "not a TSIG algorithm known here (did you mean \"%s\"?)",
                         nearest);
        else
                snprintf(why, CONFIG_WHY_MAX,
                         "not a TSIG algorithm known here (hmac-sha1, -sha224, -sha256, "
                         "-sha384, -sha512 are)");
        return -EINVAL;
}

static bool print_tsig_algorithm(const struct config_key *key, const void *target, FILE *out)
{
        fputs(tsig_algorithm_to_string(*(const enum tsig_algorithm *) target), out);
        return true;
}

const struct config_type config_type_tsig_algorithm = { "a TSIG algorithm such as hmac-sha256",
                                                        parse_tsig_algorithm, print_tsig_algorithm };

static int parse_tsig_secret(const struct config_key *key, const char *text, void *target,
                             char why[static CONFIG_WHY_MAX])
{
        return tsig_key_set_secret(target, text);
}

static bool print_tsig_secret(const struct config_key *key, const void *target, FILE *out)
{
        return ((const struct tsig_key *) target)->secret_length > 0;
}

const struct config_type config_type_tsig_secret = { "a secret in base64", parse_tsig_secret,
                                                     print_tsig_secret };
