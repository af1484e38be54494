/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/nsregc-config.h"

#include <sys/stat.h>

#include "config/extra-record.h"
#include "config/files.h"
#include "dns/name.h"
#include "util/file.h"

#define TTL_MAX INT32_MAX /* RFC 2181 section 8 */

static const uint16_t dns_port = NSREGC_DNS_PORT;

static int parse_label(const struct config_key *key, const char *text, void *target,
                       char why[static CONFIG_WHY_MAX])
{
        int r = config_refuse_foreign(text, why);

        if (r < 0)
                return r;
        if (!dns_label_is_ldh((const uint8_t *) text, strlen(text)))
                return config_why_not(why, "one label is wanted: letters, digits and hyphens, at most 63, "
                                           "no hyphen at either end");
        return config_type_string.parse(key, text, target, why);
}

static const struct config_type type_label = { "a host name of one label", parse_label, config_print_string };

static int parse_interfaces(const struct config_key *key, const char *text, void *target,
                            char why[static CONFIG_WHY_MAX])
{
        int r;

        if (streq(text, "!"))
                return config_why_not(why, "no interface after the mark");
        r = config_pattern_check(text[0] == '!' ? text + 1 : text, why);
        return r < 0 ? r : config_type_strings.parse(key, text, target, why);
}

static const struct config_type type_interfaces = { "an interface", parse_interfaces, config_print_strings };

static int parse_records(const struct config_key *key, const char *text, void *target,
                         char why[static CONFIG_WHY_MAX])
{
        struct extra_record record;
        const char *wrong;
        int r = extra_record_parse_line(text, &record, &wrong);

        if (r == -EINVAL)
                return config_why_not(why, "%s", wrong);
        if (r < 0)
                return r;
        extra_record_clear(&record);
        return config_type_strings.parse(key, text, target, why);
}

static const struct config_type type_records = { "a record such as \"@ TXT text\"", parse_records,
                                                 config_print_strings };

/* By enum name_on_conflict. */
static const char *const conflict_names[] = { "keep", "suffix", NULL };

#define NSREGC(member) offsetof(struct nsregc_config, member)

static const struct config_key nsregc_keys[] = {
        { "name", CONFIG_SCALAR, &type_label, NULL, NSREGC(name) },
        { "name-on-conflict", CONFIG_SCALAR, &config_type_enum, "keep", NSREGC(name_on_conflict),
          .argument = conflict_names },
        { "zones", CONFIG_LIST, &config_type_names, NULL, NSREGC(zones) },
        { "discover-zones", CONFIG_SCALAR, &config_type_bool, "true", NSREGC(discover_zones) },
        { "interfaces", CONFIG_LIST, &type_interfaces, NULL, NSREGC(interfaces) },
        { "exclude-subnets", CONFIG_LIST, &config_type_prefixes, "127.0.0.0/8 169.254.0.0/16 ::1 fe80::/10",
          NSREGC(exclude_subnets) },
        { "extra-addresses", CONFIG_LIST, &config_type_addresses, NULL, NSREGC(extra_addresses) },
        { "keep-records", CONFIG_SCALAR, &config_type_bool, "false", NSREGC(keep_records) },
        { "key-file", CONFIG_SCALAR, &config_type_string, "nsregc.key", NSREGC(key_file),
          NSREGC(key_file_given) },
        { "private-key-file", CONFIG_SCALAR, &config_type_string, "nsregc.private", NSREGC(private_key_file),
          NSREGC(private_key_file_given) },
        { "gen-key", CONFIG_SCALAR, &config_type_bool, "true", NSREGC(gen_key) },
        { "key-ttl", CONFIG_SCALAR, &config_type_seconds, "720h", NSREGC(key_ttl_sec), .minimum = 1,
          .maximum = TTL_MAX },
        { "addr-ttl", CONFIG_SCALAR, &config_type_seconds, "1h", NSREGC(addr_ttl_sec), .minimum = 1,
          .maximum = TTL_MAX },
        { "dns-server", CONFIG_SCALAR, &config_type_server, NULL, NSREGC(dns_server), .argument = &dns_port },
        { "dns-tcp", CONFIG_SCALAR, &config_type_bool, "false", NSREGC(dns_tcp) },
        { "dns-timeout", CONFIG_SCALAR, &config_type_time_span, "10s", NSREGC(dns_timeout_usec),
          .minimum = 100 * USEC_PER_MSEC, .maximum = 10 * USEC_PER_MINUTE },
        { "ipv6-temporary", CONFIG_SCALAR, &config_type_bool, "false", NSREGC(ipv6_temporary) },
        { "records", CONFIG_LIST, &type_records, NULL, NSREGC(records) },
        { "ssh-host-keys", CONFIG_SCALAR, &config_type_bool, "false", NSREGC(ssh_host_keys) },
        {},
};

const struct config_table nsregc_config_table = { nsregc_keys };

struct nsregc_config *nsregc_config_free(struct nsregc_config *config)
{
        if (!config)
                return NULL;
        free(config->name);
        name_list_clear(&config->zones);
        string_list_clear(&config->interfaces);
        prefix_list_clear(&config->exclude_subnets);
        address_list_clear(&config->extra_addresses);
        string_list_clear(&config->records);
        free(config->key_file);
        free(config->private_key_file);
        config_server_clear(&config->dns_server);
        free(config->directory);
        free(config);
        return NULL;
}

/* Drop-ins lie in a directory of their own beside the file, whether or not that is there. */
static char *directory_of(const struct config_document *document)
{
        const struct config_source *first = document->sources;
        char *directory, *parent;

        while (first->next)
                first = first->next;
        directory = path_parent(first->path);
        if (!directory || strlen(directory) < 2 || !streq(directory + strlen(directory) - 2, ".d"))
                return directory;
        parent = path_parent(directory);
        free(directory);
        return parent;
}

static int decode(const struct config_document *document, struct nsregc_config **ret,
                  struct config_error *error)
{
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = calloc(1, sizeof(*config));
        int r;

        if (!config)
                return -ENOMEM;
        r = config_decode(&nsregc_config_table, document, config, error);
        if (r < 0)
                return r;
        config->found = document->sources != NULL;
        if (config->found && !(config->directory = directory_of(document)))
                return -ENOMEM;
        *ret = TAKE_PTR(config);
        return 0;
}

/* The user's own file, if there is one; *ret stays NULL otherwise. */
static int find_user_file(char **ret)
{
        const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
        char *candidates[2] = {};
        int r = 0;

        if (geteuid() == 0 || (!home && !xdg))
                return 0;
        if (xdg && asprintf(&candidates[0], "%s/nsregc/nsregc.yaml", xdg) < 0)
                r = -ENOMEM;
        else if (!xdg && asprintf(&candidates[0], "%s/.config/nsregc/nsregc.yaml", home) < 0)
                r = -ENOMEM;
        if (r < 0)
                candidates[0] = NULL;
        if (home && asprintf(&candidates[1], "%s/.nsregc/nsregc.yaml", home) < 0) {
                candidates[1] = NULL;
                r = -ENOMEM;
        }

        for (size_t i = 0; i < ELEMENTSOF(candidates); i++)
                if (r >= 0 && candidates[i] && !*ret && access(candidates[i], F_OK) == 0)
                        *ret = TAKE_PTR(candidates[i]);
        for (size_t i = 0; i < ELEMENTSOF(candidates); i++)
                free(candidates[i]);
        return r;
}

/* Root ran the original with a file of its own, too. With the home of somebody else it is not root's. */
static int find_root_file(char **ret)
{
        const char *home = getenv("HOME");
        _cleanup_free_ char *path = NULL;
        struct stat found;

        if (geteuid() != 0 || !home || home[0] != '/')
                return 0;
        path = path_join(home, ".nsregc/nsregc.yaml");
        if (!path)
                return -ENOMEM;
        if (stat(path, &found) == 0 && found.st_uid == 0)
                *ret = TAKE_PTR(path);
        return 0;
}

int nsregc_config_load(const char *path, struct nsregc_config **ret, struct config_error *error)
{
        static const char *const directories[] = {
                SYSCONFDIR "/nsregc", "/etc/nsregc", "/run/nsregc", "/usr/lib/nsregc", NULL,
        };
        _cleanup_(config_document_freep) struct config_document *document = NULL;
        _cleanup_free_ char *user_file = NULL;
        int r;

        if (!path) {
                r = find_user_file(&user_file);
                if (r < 0)
                        return r;
                path = user_file;
        }
        if (path)
                r = config_files_load_path(path, &document, error);
        else
                r = config_files_load_directories(directories, "nsregc.yaml", &document, error);
        if (r >= 0 && !path && !document->sources) {
                r = find_root_file(&user_file);
                if (r >= 0 && user_file) {
                        document = config_document_free(document);
                        r = config_files_load_path(user_file, &document, error);
                }
        }
        if (r < 0)
                return r;
        return decode(document, ret, error);
}

int nsregc_config_parse(const char *path, const char *text, size_t length, struct nsregc_config **ret,
                        struct config_error *error)
{
        _cleanup_(config_document_freep) struct config_document *document = config_document_new();
        int r;

        if (!document)
                return -ENOMEM;
        r = config_document_add(document, path, 0600, text, length, error);
        if (r < 0)
                return r;
        return decode(document, ret, error);
}

void nsregc_config_print(const struct nsregc_config *config, FILE *out)
{
        config_print(&nsregc_config_table, config, out);
}
