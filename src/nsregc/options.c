/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>

static const char help[] =
        "nsregc [OPTIONS...] [ZONE...]\n"
        "\n"
        "Registers this machine's name and addresses in the DNS, and keeps them there.\n"
        "ZONEs take the place of configured and discovered ones.\n"
        "\n"
        "  -c, --conffile=FILE        Configuration (default: nsregc/nsregc.yaml in /etc,\n"
        "                             for a user in ~/.config)\n"
        "  -n, --name=NAME            Register this name, one label (default: the static\n"
        "                             host name)\n"
        "  -i, --interface=IFACE      Use addresses of this interface only; a glob, with\n"
        "                             \"!\" in front an exclusion; may be repeated\n"
        "  -a, --address=ADDRESS      Register this address too; may be repeated\n"
        "  -s, --server=SERVER[@PORT] Ask this server, not the system's resolver\n"
        "                             (also --dns-server=)\n"
        "  -t, --tcp                  Ask it over TCP (also --dns-tcp)\n"
        "  -k, --keep                 Leave the records in the DNS at the end\n"
        "      --once                 Register, wait for the answer, end: 0 when all is\n"
        "                             registered, 1 when not\n"
        "      --release              Take the records away, give up the name, end\n"
        "      --acme-challenge=add|remove VALUE\n"
        "                             Register this value at _acme-challenge below the name, or\n"
        "                             take it away, wait for the answer, end\n"
        "      --roll-key             Make a new key, which the old one signs in everywhere, end\n"
        "      --generate-key         Make a new key where there is none, end; with --print it is\n"
        "                             written to standard output only\n"
        "      --print                Show the configuration as it is understood, end\n"
        "      --debug                Log more\n"
        "  -h, --help                 Show this\n"
        "      --version              Show the version\n";

enum {
        OPTION_ONCE = 0x100,
        OPTION_RELEASE,
        OPTION_ACME_CHALLENGE,
        OPTION_ROLL_KEY,
        OPTION_GENERATE_KEY,
        OPTION_PRINT,
        OPTION_DEBUG,
        OPTION_VERSION,
};

static const struct option long_options[] = {
        { "conffile", required_argument, NULL, 'c' },
        { "config", required_argument, NULL, 'c' },
        { "name", required_argument, NULL, 'n' },
        { "interface", required_argument, NULL, 'i' },
        { "address", required_argument, NULL, 'a' },
        { "server", required_argument, NULL, 's' },
        { "dns-server", required_argument, NULL, 's' },
        { "tcp", no_argument, NULL, 't' },
        { "dns-tcp", no_argument, NULL, 't' },
        { "keep", no_argument, NULL, 'k' },
        { "once", no_argument, NULL, OPTION_ONCE },
        { "release", no_argument, NULL, OPTION_RELEASE },
        { "acme-challenge", required_argument, NULL, OPTION_ACME_CHALLENGE },
        { "roll-key", no_argument, NULL, OPTION_ROLL_KEY },
        { "generate-key", no_argument, NULL, OPTION_GENERATE_KEY },
        { "print", no_argument, NULL, OPTION_PRINT },
        { "debug", no_argument, NULL, OPTION_DEBUG },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

static bool is_challenge(const char *value)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

        return value[0] && strlen(value) < 256 && value[strspn(value, letters)] == '\0';
}

/* The value is the next word, whatever it begins with: it is base64 of the kind that may begin with a hyphen
 * (RFC 8555 section 8.4). */
static int challenge_take(struct options *options, int argc, char *argv[])
{
        if ((!streq(optarg, "add") && !streq(optarg, "remove")) || options->challenge || optind >= argc ||
            !is_challenge(argv[optind])) {
                fputs("nsregc: --acme-challenge add VALUE, or remove VALUE, is wanted, of the authority's "
                      "letters.\n",
                      stderr);
                return -EINVAL;
        }
        options->challenge_add = streq(optarg, "add");
        options->challenge = argv[optind++];
        return 0;
}

static int option_take(struct options *options, int c)
{
        switch (c) {
        case 'c':
                options->config_path = optarg;
                return 0;
        case 'n':
                options->name = optarg;
                return 0;
        case 'i':
                return string_list_add(&options->interfaces, optarg);
        case 'a':
                return string_list_add(&options->addresses, optarg);
        case 's':
                options->server = optarg;
                return 0;
        case 't':
                options->tcp = true;
                return 0;
        case 'k':
                options->keep = true;
                return 0;
        case OPTION_ONCE:
                options->once = true;
                return 0;
        case OPTION_RELEASE:
                options->release = true;
                return 0;
        case OPTION_ROLL_KEY:
                options->roll_key = true;
                return 0;
        case OPTION_GENERATE_KEY:
                options->generate_key = true;
                return 0;
        case OPTION_PRINT:
                options->print = true;
                return 0;
        case OPTION_DEBUG:
                options->debug = true;
                return 0;
        case 'h':
                fputs(help, stdout);
                return 1;
        case OPTION_VERSION:
                printf("nsregc %s\n", NSREG_VERSION);
                return 1;
        default:
                fputs("nsregc: --help shows what can be said.\n", stderr);
                return -EINVAL;
        }
}

int options_parse(int argc, char *argv[], struct options *ret)
{
        int c, r;

        /* getopt's complaints begin with it. */
        argv[0] = (char[]){ "nsregc" };
        while ((c = getopt_long(argc, argv, "c:n:i:a:s:tkh", long_options, NULL)) >= 0) {
                r = c == OPTION_ACME_CHALLENGE ? challenge_take(ret, argc, argv) : option_take(ret, c);
                if (r != 0)
                        return r;
        }
        for (; optind < argc; optind++) {
                r = string_list_add(&ret->zones, argv[optind]);
                if (r < 0)
                        return r;
        }
        /* --generate-key --print: a key on standard output, kept nowhere. */
        if (ret->once + ret->release + (ret->challenge != NULL) + ret->roll_key +
                    (ret->generate_key || ret->print) >
            1) {
                fputs("nsregc: only one of --once, --release, --acme-challenge, --roll-key and "
                      "--generate-key or --print "
                      "can be done at a time.\n",
                      stderr);
                return -EINVAL;
        }
        return 0;
}

void options_clear(struct options *options)
{
        string_list_clear(&options->interfaces);
        string_list_clear(&options->addresses);
        string_list_clear(&options->zones);
}

static int complain(const char *option, const char *value, const char *hint)
{
        fprintf(stderr, "nsregc: %s \"%s\" makes no sense: %s.\n", option, value, hint);
        return -EINVAL;
}

static int apply_name(const char *name, struct nsregc_config *config)
{
        char *copy;

        if (!dns_label_is_ldh((const uint8_t *) name, strlen(name)))
                return complain("--name", name, "one label is wanted, of letters, digits and hyphens");
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        free(config->name);
        config->name = copy;
        return 0;
}

static int apply_server(const char *text, struct nsregc_config *config)
{
        struct config_server server = { 0 };
        int r;

        r = config_server_parse(text, NSREGC_DNS_PORT, &server);
        if (r == -EINVAL)
                return complain("--server", text, "SERVER or SERVER@PORT is wanted (the port behind an @)");
        if (r < 0)
                return r;
        config_server_clear(&config->dns_server);
        config->dns_server = server;
        return 0;
}

static int apply_zones(const struct string_list *zones, struct nsregc_config *config)
{
        name_list_clear(&config->zones);
        config->discover_zones = false;
        for (size_t i = 0; i < zones->n_items; i++) {
                struct dns_name name;
                int r;

                if (dns_name_parse(zones->items[i], &name) < 0 || dns_name_is_root(&name))
                        return complain("ZONE", zones->items[i], "a domain name is wanted");
                r = name_list_add(&config->zones, &name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_lists(const struct options *options, struct nsregc_config *config)
{
        int r;

        if (options->interfaces.n_items > 0)
                string_list_clear(&config->interfaces);
        for (size_t i = 0; i < options->interfaces.n_items; i++) {
                r = string_list_add(&config->interfaces, options->interfaces.items[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < options->addresses.n_items; i++) {
                struct address address;

                if (address_parse(options->addresses.items[i], &address) < 0)
                        return complain("--address", options->addresses.items[i], "an IP address is wanted");
                r = address_list_add(&config->extra_addresses, &address);
                if (r < 0)
                        return r;
        }
        return options->zones.n_items > 0 ? apply_zones(&options->zones, config) : 0;
}

int options_apply(const struct options *options, struct nsregc_config *config)
{
        int r;

        if (options->name) {
                r = apply_name(options->name, config);
                if (r < 0)
                        return r;
        }
        if (options->server) {
                r = apply_server(options->server, config);
                if (r < 0)
                        return r;
        }
        config->dns_tcp |= options->tcp;
        config->keep_records |= options->keep;
        return apply_lists(options, config);
}

int options_check(const struct options *options)
{
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = calloc(1, sizeof(*config));

        return config ? options_apply(options, config) : -ENOMEM;
}

static char *config_text(const struct nsregc_config *config)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        nsregc_config_print(config, out);
        if (fclose(out) == 0)
                return text;
        free(text);
        return NULL;
}

static bool has_line(const char *text, const char *line, size_t length)
{
        for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
                if (strcspn(text, "\n") == length && strncmp(text, line, length) == 0)
                        return true;
        return false;
}

int options_difference(const struct nsregc_config *other, const struct nsregc_config *mine, char **ret)
{
        _cleanup_free_ char *theirs = config_text(other), *ours = config_text(mine), *found = NULL;

        if (!theirs || !ours)
                return -ENOMEM;
        for (const char *line = ours; *line;) {
                size_t length = strcspn(line, "\n");
                char *longer = NULL;

                if (!has_line(theirs, line, length)) {
                        if (asprintf(&longer, "%s%s%.*s", found ?: "", found ? ", " : "", (int) length,
                                     line) < 0)
                                return -ENOMEM;
                        free(found);
                        found = longer;
                }
                line += length;
                line += *line == '\n';
        }
        *ret = TAKE_PTR(found);
        return 0;
}
