/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/nsregd-config.h"

#include "config/files.h"
#include "config/limits.h"
#include "config/types.h"
#include "util/file.h"

#define TTL_MAX        INT32_MAX /* RFC 2181 section 8 */
#define TSIG_FILE_MAX  (64 * 1024)
#define DEFAULT_DATA   "/var/lib/nsregd"
#define LOCALHOST_NETS "127.0.0.0/8 ::1"

static const char *const ptr_policies[] = {
        [PTR_POLICY_ALLOWED_NETS] = "allowed-nets",
        [PTR_POLICY_SOURCE] = "source",
        NULL,
};

static const char *const unbound_zone_types[] = {
        "none",
        "deny",
        "refuse",
        "static",
        "transparent",
        "typetransparent",
        "redirect",
        "inform",
        "inform_deny",
        "inform_redirect",
        "nodefault",
        "noview",
        "always_transparent",
        "always_refuse",
        "always_nxdomain",
        "always_nodata",
        "always_deny",
        "always_null",
        "block_a",
        NULL,
};

/* -- upstreams */

#define UPSTREAM(member) offsetof(struct upstream_config, member)

/* Whatever the zone takes goes on to the server. */
#define ALL_TYPES "TXT SRV SSHFP TLSA SVCB HTTPS CAA"

static const struct config_key nsupdate_keys[] = {
        { "hostname", CONFIG_SCALAR, &config_type_host, NULL, UPSTREAM(hostname) },
        { "port", CONFIG_SCALAR, &config_type_port, "53", UPSTREAM(port) },
        { "tcp", CONFIG_SCALAR, &config_type_bool, "true", UPSTREAM(tcp) },
        { "timeout", CONFIG_SCALAR, &config_type_time_span, "10s", UPSTREAM(timeout_usec),
          .minimum = 10 * USEC_PER_MSEC, .maximum = 10 * USEC_PER_MINUTE },
        { "zone", CONFIG_SCALAR, &config_type_dns_name, NULL, UPSTREAM(zone) },
        { "reverse-zones", CONFIG_LIST, &config_type_reverse_zones, NULL, UPSTREAM(reverse_zones) },
        { "record-ttl", CONFIG_SCALAR, &config_type_seconds, "60s", UPSTREAM(record_ttl_sec), .minimum = 0,
          .maximum = TTL_MAX },
        { "tsig-name", CONFIG_SCALAR, &config_type_key_name, NULL, UPSTREAM(tsig_key.name) },
        { "tsig-secret", CONFIG_SCALAR, &config_type_tsig_secret, NULL, UPSTREAM(tsig_key),
          .flags = CONFIG_SECRET },
        { "tsig-algorithm", CONFIG_SCALAR, &config_type_tsig_algorithm, "hmac-sha256",
          UPSTREAM(tsig_key.algorithm) },
        { "tsig-key-file", CONFIG_SCALAR, &config_type_string, NULL, UPSTREAM(tsig_key_file) },
        { "tsig-fudge", CONFIG_SCALAR, &config_type_tsig_fudge, "auto", UPSTREAM(tsig_fudge_sec),
          .minimum = 1, .maximum = TSIG_FUDGE_SEC },
        { "keep-records", CONFIG_SCALAR, &config_type_bool, "true", UPSTREAM(keep_records) },
        { "exclude-nets", CONFIG_LIST, &config_type_prefixes, NULL, UPSTREAM(exclude_nets) },
        { "record-types", CONFIG_LIST, &config_type_record_types, ALL_TYPES, UPSTREAM(record_types) },
        { "protect-foreign-names", CONFIG_SCALAR, &config_type_bool, "true",
          UPSTREAM(protect_foreign_names) },
        {},
};

/* A bare name is a credential's, as systemd hands them out. */
static char *key_file_path(const char *name)
{
        const char *directory = getenv("CREDENTIALS_DIRECTORY");

        if (strchr(name, '/') || !directory)
                return strdup(name);
        return path_join(directory, name);
}

/* Who may read a key may use it. Whether it is there is for whoever opens it. */
static void warn_readable(struct config_decoder *decoder, const struct config_node *node, const char *key,
                          const char *path)
{
        if (file_is_public(path))
                config_decoder_warn(decoder, node, key, "%s is a secret that everybody can read (chmod o-r)",
                                    path);
}

static int read_key_file(struct config_decoder *decoder, const struct config_node *node,
                         struct upstream_config *upstream)
{
        _cleanup_free_ char *path = key_file_path(upstream->tsig_key_file);
        _cleanup_free_ char *text = NULL;
        const char *why = "not a key file";
        size_t length = 0;
        int r;

        if (!path)
                return -ENOMEM;
        r = file_read(path, TSIG_FILE_MAX, &text, &length);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                config_decoder_complain(decoder, node, "tsig-key-file", "%s cannot be read: %s", path,
                                        strerror(-r));
                return 0;
        }
        r = tsig_key_parse_file(text, length, &upstream->tsig_key, &why);
        explicit_bzero(text, length);
        if (r < 0) {
                config_decoder_complain(decoder, node, "tsig-key-file",
                                        "%s: %s (tsig-keygen makes such files)", path, why);
                return 0;
        }
        warn_readable(decoder, node, "tsig-key-file", path);
        upstream->key_source = UPSTREAM_KEY_FILE;
        return 0;
}

static int check_tsig(struct config_decoder *decoder, const struct config_node *node,
                      struct upstream_config *upstream)
{
        bool has_name = upstream->tsig_key.name.length > 0, has_secret = upstream->tsig_key.secret_length > 0;

        if (upstream->tsig_key_file) {
                if (has_name || has_secret) {
                        config_decoder_complain(decoder, node, has_secret ? "tsig-secret" : "tsig-name",
                                                "the key is in tsig-key-file already: give one or the other");
                        return 0;
                }
                return read_key_file(decoder, node, upstream);
        }
        if (has_name != has_secret) {
                config_decoder_complain(decoder, node, has_name ? "tsig-name" : "tsig-secret",
                                        "tsig-name and tsig-secret go together");
                return 0;
        }
        if (has_name)
                upstream->key_source = UPSTREAM_KEY_INLINE;
        else if (!upstream->tcp)
                config_decoder_complain(
                        decoder, node, "tcp",
                        "without a TSIG key, UDP is open to anybody's forged answers: give a key, or "
                        "use TCP");
        else
                config_decoder_warn(decoder, node, NULL,
                                    "no TSIG key: whoever can reach the server can do what this entry does");
        return 0;
}

static int check_nsupdate(struct config_decoder *decoder, const struct config_node *node, void *object,
                          const void *outer)
{
        const struct zone_config *zone = outer;
        struct upstream_config *upstream = object;

        if (!upstream->hostname)
                config_decoder_complain(decoder, node, NULL,
                                        "hostname is missing: the name server to update");
        if (upstream->zone.length == 0 && upstream->reverse_zones.n_items == 0)
                config_decoder_complain(decoder, node, NULL,
                                        "zone is missing, and there are no reverse-zones either");
        if (upstream->zone.length > 0 && !dns_name_is_subdomain(&zone->policy.zone, &upstream->zone)) {
                char a[DNS_NAME_FORMAT_MAX], b[DNS_NAME_FORMAT_MAX];

                config_decoder_complain(decoder, node, "zone", "%s does not lie in %s",
                                        dns_name_format(&zone->policy.zone, a),
                                        dns_name_format(&upstream->zone, b));
        }
        return check_tsig(decoder, node, upstream);
}

static const struct config_table nsupdate_table = { nsupdate_keys, check_nsupdate };

static const struct config_key unbound_keys[] = {
        { "hostname", CONFIG_SCALAR, &config_type_host, NULL, UPSTREAM(hostname) },
        { "port", CONFIG_SCALAR, &config_type_port, "8953", UPSTREAM(port) },
        { "control-socket", CONFIG_SCALAR, &config_type_string, NULL, UPSTREAM(control_socket) },
        { "client-cert", CONFIG_SCALAR, &config_type_string, "/etc/unbound/unbound_control.pem",
          UPSTREAM(client_cert) },
        { "client-key", CONFIG_SCALAR, &config_type_string, "/etc/unbound/unbound_control.key",
          UPSTREAM(client_key) },
        { "server-cert", CONFIG_SCALAR, &config_type_string, "/etc/unbound/unbound_server.pem",
          UPSTREAM(server_cert) },
        { "server-name", CONFIG_SCALAR, &config_type_string, "unbound", UPSTREAM(server_name) },
        { "zone-type", CONFIG_SCALAR, &config_type_choice, "transparent", UPSTREAM(zone_type),
          .argument = unbound_zone_types },
        { "timeout", CONFIG_SCALAR, &config_type_time_span, "1s", UPSTREAM(timeout_usec),
          .minimum = 10 * USEC_PER_MSEC, .maximum = 10 * USEC_PER_MINUTE },
        { "record-ttl", CONFIG_SCALAR, &config_type_seconds, "60s", UPSTREAM(record_ttl_sec), .minimum = 0,
          .maximum = TTL_MAX },
        { "keep-records", CONFIG_SCALAR, &config_type_bool, "true", UPSTREAM(keep_records) },
        { "reverse-zones", CONFIG_LIST, &config_type_reverse_zones, NULL, UPSTREAM(reverse_zones) },
        { "exclude-nets", CONFIG_LIST, &config_type_prefixes, NULL, UPSTREAM(exclude_nets) },
        { "record-types", CONFIG_LIST, &config_type_record_types, ALL_TYPES, UPSTREAM(record_types) },
        {},
};

static int check_unbound(struct config_decoder *decoder, const struct config_node *node, void *object,
                         const void *outer)
{
        struct upstream_config *upstream = object;

        upstream->protect_foreign_names = true;
        if (upstream->control_socket && upstream->hostname)
                config_decoder_complain(decoder, node, "control-socket",
                                        "hostname is given too: Unbound is reached by one or the other");
        else if (!upstream->control_socket && !upstream->hostname)
                config_decoder_complain(decoder, node, NULL, "hostname or control-socket is missing");
        else if (upstream->hostname)
                warn_readable(decoder, node, "client-key", upstream->client_key);
        return 0;
}

static const struct config_table unbound_table = { unbound_keys, check_unbound };

static const struct config_key builtin_keys[] = {
        { "record-ttl", CONFIG_SCALAR, &config_type_seconds, "60s", UPSTREAM(record_ttl_sec), .minimum = 0,
          .maximum = TTL_MAX },
        { "reverse-zones", CONFIG_LIST, &config_type_reverse_zones, NULL, UPSTREAM(reverse_zones) },
        { "exclude-nets", CONFIG_LIST, &config_type_prefixes, NULL, UPSTREAM(exclude_nets) },
        { "record-types", CONFIG_LIST, &config_type_record_types, ALL_TYPES, UPSTREAM(record_types) },
        {},
};

static const struct config_table builtin_table = { builtin_keys };

static const struct config_variant upstream_variants[] = {
        { "nsupdate", UPSTREAM_NSUPDATE, &nsupdate_table },
        { "unbound", UPSTREAM_UNBOUND, &unbound_table },
        { "builtin", UPSTREAM_BUILTIN, &builtin_table },
        { "disabled", UPSTREAM_DISABLED, NULL },
        {},
};

static int init_upstream(void *element, const char *name, int value, char why[static CONFIG_WHY_MAX])
{
        struct upstream_config *upstream = element;

        upstream->type = (enum upstream_type) value;
        return 0;
}

static int get_upstream_type(const void *element)
{
        return ((const struct upstream_config *) element)->type;
}

static const struct config_array upstreams_array = {
        .element_size = sizeof(struct upstream_config),
        .count_offset = offsetof(struct zone_config, n_upstreams),
        .init = init_upstream,
        .get_variant = get_upstream_type,
};

/* -- zones */

#define ZONE(member) offsetof(struct zone_config, member)

static const struct config_key zone_keys[] = {
        { "max-key-ttl", CONFIG_SCALAR, &config_type_seconds, "4320h", ZONE(policy.max_key_ttl_sec),
          .minimum = 1, .maximum = TTL_MAX },
        { "max-addr-ttl", CONFIG_SCALAR, &config_type_seconds, "1h", ZONE(policy.max_addr_ttl_sec),
          .minimum = 1, .maximum = TTL_MAX },
        { "min-addr-ttl", CONFIG_SCALAR, &config_type_seconds, "30s", ZONE(policy.min_addr_ttl_sec),
          .minimum = 1, .maximum = TTL_MAX },
        { "reserved-names", CONFIG_LIST, &config_type_labels, NULL, ZONE(policy.reserved_names) },
        { "allowed-nets", CONFIG_LIST, &config_type_prefixes, NULL, ZONE(policy.allowed_nets),
          .present_offset = ZONE(policy.allowed_nets_configured) },
        { "query-nets", CONFIG_LIST, &config_type_prefixes, NULL, ZONE(policy.query_nets),
          .present_offset = ZONE(policy.query_nets_configured) },
        { "updates-from", CONFIG_LIST, &config_type_prefixes, NULL, ZONE(policy.updates_from),
          .present_offset = ZONE(policy.updates_from_configured) },
        { "allow-any-addr", CONFIG_SCALAR, &config_type_bool, "false", ZONE(policy.allow_any_addr) },
        { "ptr-policy", CONFIG_SCALAR, &config_type_enum, "allowed-nets", ZONE(policy.ptr_policy),
          .argument = ptr_policies },
        { "max-names", CONFIG_SCALAR, &config_type_number, "10000", ZONE(policy.max_names), .minimum = 0,
          .maximum = UINT32_MAX },
        { "max-names-per-source", CONFIG_SCALAR, &config_type_number, "64", ZONE(policy.max_names_per_source),
          .minimum = 0, .maximum = UINT32_MAX },
        { "max-records-per-name", CONFIG_SCALAR, &config_type_number, "16", ZONE(policy.max_records_per_name),
          .minimum = 1, .maximum = 1000 },
        { "max-names-per-host", CONFIG_SCALAR, &config_type_number, "8", ZONE(policy.max_names_per_host),
          .minimum = 1, .maximum = 100 },
        { "max-rdata-per-name", CONFIG_SCALAR, &config_type_size, "8K", ZONE(policy.max_rdata_per_name),
          .minimum = 64, .maximum = 32768 },
        { "record-types", CONFIG_LIST, &config_type_record_types, "SSHFP", ZONE(policy.record_types) },
        { "names-below-host", CONFIG_LIST, &config_type_names_below, "_acme-challenge:TXT",
          ZONE(policy.names_below) },
        { "algorithms", CONFIG_LIST, &config_type_key_algorithms, "ecdsap256sha256 ecdsap384sha384 ed25519",
          ZONE(policy.algorithms) },
        { "adopt-until", CONFIG_SCALAR, &config_type_date, NULL, ZONE(policy.adopt_until_usec) },
        { "reverse-zones", CONFIG_LIST, &config_type_reverse_zones, NULL, ZONE(reverse_zones) },
        { "upstreams", CONFIG_VARIANTS, .offset = ZONE(upstreams), .variants = upstream_variants,
          .array = &upstreams_array },
        {},
};

static bool name_list_has(const struct name_list *list, const struct dns_name *name)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (dns_name_equal(&list->items[i], name))
                        return true;
        return false;
}

static int add_default_upstream(struct zone_config *zone)
{
        zone->upstreams = calloc(1, sizeof(*zone->upstreams));
        if (!zone->upstreams)
                return -ENOMEM;
        zone->n_upstreams = 1;
        zone->upstreams[0] = (struct upstream_config){
                .type = UPSTREAM_BUILTIN,
                .record_types = UINT32_MAX,
                .record_ttl_sec = 60,
                .keep_records = true,
                .protect_foreign_names = true,
        };
        return 0;
}

/* The zone's own reverse-zones are the builtin server's. */
static int spread_reverse_zones(struct config_decoder *decoder, const struct config_node *node,
                                struct zone_config *zone)
{
        struct upstream_config *builtin = NULL;
        int r;

        for (size_t i = 0; i < zone->n_upstreams; i++) {
                struct upstream_config *upstream = &zone->upstreams[i];

                if (upstream->type != UPSTREAM_BUILTIN)
                        continue;
                if (builtin) {
                        config_decoder_complain(decoder, node, "upstreams",
                                                "more than one entry of type builtin");
                        return 0;
                }
                builtin = upstream;
                builtin->keep_records = true;
                builtin->protect_foreign_names = true;
        }
        if (!builtin && zone->reverse_zones.n_items > 0)
                config_decoder_complain(decoder, node, "reverse-zones",
                                        "for the builtin server, which this zone does not use: "
                                        "give them in the upstream's entry");
        for (size_t i = 0; builtin && i < zone->reverse_zones.n_items; i++) {
                if (name_list_has(&builtin->reverse_zones, &zone->reverse_zones.items[i]))
                        continue;
                r = name_list_add(&builtin->reverse_zones, &zone->reverse_zones.items[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Where an address of this zone can get a PTR at all. */
static int gather_reverse_zones(struct zone_config *zone)
{
        int r = 0;

        for (size_t i = 0; i < zone->n_upstreams && r >= 0; i++) {
                const struct upstream_config *upstream = &zone->upstreams[i];

                for (size_t j = 0;
                     upstream->type != UPSTREAM_DISABLED && j < upstream->reverse_zones.n_items && r >= 0;
                     j++)
                        if (!name_list_has(&zone->policy.reverse_zones, &upstream->reverse_zones.items[j]))
                                r = name_list_add(&zone->policy.reverse_zones,
                                                  &upstream->reverse_zones.items[j]);
        }
        return r;
}

static bool overlap(const struct prefix *a, const struct prefix *b)
{
        return prefix_contains(a, &b->base) || prefix_contains(b, &a->base);
}

static bool may_hold(const struct zone_policy *policy, const struct prefix *network)
{
        for (size_t i = 0; i < policy->allowed_nets.n_items; i++)
                if (overlap(&policy->allowed_nets.items[i], network))
                        return true;
        return false;
}

/* What somebody means who writes an address from left to right below in-addr.arpa or ip6.arpa. */
static struct prefix turn_round(const struct prefix *network)
{
        bool is_ipv4 = network->base.family == AF_INET;
        unsigned bits = is_ipv4 ? 8 : 4, n = network->length / bits;
        struct prefix turned = { .base.family = network->base.family, .length = network->length };

        for (unsigned i = 0; i < n; i++) {
                unsigned to = n - 1 - i;

                if (is_ipv4)
                        turned.base.bytes[to] = network->base.bytes[i];
                else
                        turned.base.bytes[to / 2] |=
                                (uint8_t) ((network->base.bytes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xf)
                                           << (to % 2 == 0 ? 4 : 0));
        }
        return turned;
}

/* A zone that no address of ours lies in, or that of a network that is ours when read backwards. */
static void check_reverse_zone(struct config_decoder *decoder, const struct config_node *node,
                               const char *key, const struct zone_policy *policy, const struct dns_name *zone)
{
        char network_text[PREFIX_FORMAT_MAX], turned_text[PREFIX_FORMAT_MAX], name_text[DNS_NAME_FORMAT_MAX];
        struct dns_name turned_name;
        struct prefix network, turned;

        if (dns_name_reverse_parse_prefix(zone, &network) < 0 || may_hold(policy, &network))
                return;
        turned = turn_round(&network);
        turned_name = dns_name_reverse_prefix(&turned);
        prefix_format(&network, network_text);
        if (may_hold(policy, &turned))
                config_decoder_warn(decoder, node, key,
                                    "no address of allowed-nets lies in %s, the network of this zone (%s is "
                                    "that of %s)",
                                    network_text, prefix_format(&turned, turned_text),
                                    dns_name_format(&turned_name, name_text));
        else if (!policy->allow_any_addr)
                config_decoder_warn(decoder, node, key,
                                    "no address of allowed-nets lies in %s, the network of this zone",
                                    network_text);
}

/* Those that stand in the list itself: the builtin server's has the zone's own at its end. */
static void check_reverse_list(struct config_decoder *decoder, const struct config_node *node,
                               const char *prefix, const struct zone_policy *policy,
                               const struct name_list *list)
{
        const struct config_entry *entry = config_node_find(node, "reverse-zones");
        size_t n = entry ? MIN(entry->value->n_entries, list->n_items) : 0;

        for (size_t i = 0; i < n; i++) {
                char key[100];

                snprintf(key, sizeof(key), "%sreverse-zones[%zu]", prefix, i);
                check_reverse_zone(decoder, entry->value->entries[i].value, key, policy, &list->items[i]);
        }
}

static void check_reverse_zones(struct config_decoder *decoder, const struct config_node *node,
                                const struct zone_config *zone)
{
        const struct config_entry *upstreams = config_node_find(node, "upstreams");
        size_t n = upstreams ? MIN(upstreams->value->n_entries, zone->n_upstreams) : 0;

        check_reverse_list(decoder, node, "", &zone->policy, &zone->reverse_zones);
        for (size_t i = 0; i < n; i++) {
                char prefix[50];

                snprintf(prefix, sizeof(prefix), "upstreams[%zu].", i);
                if (zone->upstreams[i].type != UPSTREAM_DISABLED)
                        check_reverse_list(decoder, upstreams->value->entries[i].value, prefix, &zone->policy,
                                           &zone->upstreams[i].reverse_zones);
        }
}

static void check_nets(struct config_decoder *decoder, const struct config_node *node,
                       const struct zone_policy *policy)
{
        for (size_t i = 0; i < policy->allowed_nets.n_items; i++)
                if (policy->allowed_nets.items[i].length == 0)
                        config_decoder_warn(decoder, node, "allowed-nets",
                                            "a network of length 0 lets everybody in the world claim names");
}

static int check_zone(struct config_decoder *decoder, const struct config_node *node, void *object,
                      const void *outer)
{
        struct zone_config *zone = object;
        struct zone_policy *policy = &zone->policy;
        int r;

        if (policy->min_addr_ttl_sec > policy->max_addr_ttl_sec) {
                if (config_key_given(node, "min-addr-ttl"))
                        config_decoder_complain(decoder, node, "min-addr-ttl", "longer than max-addr-ttl");
                else
                        policy->min_addr_ttl_sec = policy->max_addr_ttl_sec;
        }
        if (policy->algorithms == 0)
                config_decoder_complain(decoder, node, "algorithms", "none: nobody could claim a name");
        if (policy->adopt_until_usec > 0 && policy->adopt_until_usec <= now_usec(CLOCK_REALTIME))
                config_decoder_warn(decoder, node, "adopt-until", "in the past: nothing is adopted any more");
        check_nets(decoder, node, policy);

        if (zone->n_upstreams == 0) {
                r = add_default_upstream(zone);
                if (r < 0)
                        return r;
        }
        r = spread_reverse_zones(decoder, node, zone);
        if (r >= 0)
                r = gather_reverse_zones(zone);
        if (r >= 0)
                r = zone_policy_complete(policy);
        if (r >= 0)
                check_reverse_zones(decoder, node, zone);
        return r;
}

static const struct config_table zone_table = { zone_keys, check_zone };

static int init_zone(void *element, const char *name, int value, char why[static CONFIG_WHY_MAX])
{
        struct zone_config *zone = element;

        if (config_name_parse(name, &zone->policy.zone, why) < 0)
                return why[0] != '\0' ? -EINVAL : config_why_not(why, "not the name of a zone");
        if (dns_name_is_root(&zone->policy.zone))
                return config_why_not(why, "not the name of a zone");
        return 0;
}

static const char *print_zone_name(const void *element, char *buffer, size_t size)
{
        char name[DNS_NAME_FORMAT_MAX];
        size_t n = 0;

        dns_name_format(&((const struct zone_config *) element)->policy.zone, name);
        for (const char *c = name; *c && n + 2 < size; c++) {
                if (*c == '\\' || *c == '"')
                        buffer[n++] = '\\';
                buffer[n++] = *c;
        }
        buffer[n] = '\0';
        return buffer;
}

static const struct config_array zones_array = {
        .element_size = sizeof(struct zone_config),
        .count_offset = offsetof(struct nsregd_config, n_zones),
        .init = init_zone,
        .print_name = print_zone_name,
};

/* -- limits */

#define LIMIT(member) offsetof(struct peer_limits, member)

static const struct config_key limits_keys[] = {
        { "connections", CONFIG_SCALAR, &config_type_number, "4096", LIMIT(connections), .minimum = 1,
          .maximum = 1000000 },
        { "connections-per-source", CONFIG_SCALAR, &config_type_number, "256", LIMIT(connections_per_source),
          .minimum = 1, .maximum = 1000000 },
        { "message-bytes", CONFIG_SCALAR, &config_type_size, "8192", LIMIT(message_bytes), .minimum = 512,
          .maximum = 65535 },
        { "rrs-per-message", CONFIG_SCALAR, &config_type_number, "64", LIMIT(rrs_per_message), .minimum = 4,
          .maximum = 5000 },
        { "in-flight-per-connection", CONFIG_SCALAR, &config_type_number, "64",
          LIMIT(in_flight_per_connection), .minimum = 1, .maximum = 10000 },
        { "unread-output", CONFIG_SCALAR, &config_type_size, "64K", LIMIT(unread_output), .minimum = 1024,
          .maximum = 64 * 1024 * 1024 },
        { "message-timeout", CONFIG_SCALAR, &config_type_time_span, "5s", LIMIT(message_timeout_usec),
          .minimum = 100 * USEC_PER_MSEC, .maximum = USEC_PER_HOUR },
        { "idle-timeout", CONFIG_SCALAR, &config_type_time_span, "15s", LIMIT(idle_timeout_usec),
          .minimum = 100 * USEC_PER_MSEC, .maximum = USEC_PER_DAY },
        { "updates-per-second-per-source", CONFIG_SCALAR, &config_type_number, "100",
          LIMIT(updates_per_second_per_source), .minimum = 1, .maximum = 10000000 },
        { "verifications-per-second", CONFIG_SCALAR, &config_type_number, "0",
          LIMIT(verifications_per_second), .minimum = 0, .maximum = 10000000 },
        { "unknown-name-share", CONFIG_SCALAR, &config_type_percent, "25", LIMIT(unknown_name_share),
          .minimum = 1, .maximum = 100 },
        { "new-names-per-minute-per-source", CONFIG_SCALAR, &config_type_number, "60",
          LIMIT(new_names_per_minute_per_source), .minimum = 1, .maximum = 10000000 },
        { "waiting", CONFIG_SCALAR, &config_type_number, "10000", LIMIT(waiting), .minimum = 1,
          .maximum = 10000000 },
        { "exempt-nets", CONFIG_LIST, &config_type_prefixes, LOCALHOST_NETS, LIMIT(exempt_nets) },
        {},
};

static const struct config_table limits_table = { limits_keys };

/* -- the whole */

#define NSREGD(member) offsetof(struct nsregd_config, member)

static const struct config_key nsregd_keys[] = {
        { "listen-addr", CONFIG_SCALAR, &config_type_own_host, "localhost", NSREGD(listen_addr) },
        { "listen-port", CONFIG_SCALAR, &config_type_port, "8053", NSREGD(listen_port),
          NSREGD(listen_port_given) },
        { "server-name", CONFIG_SCALAR, &config_type_dns_name, NULL, NSREGD(server_name) },
        { "data-dir", CONFIG_SCALAR, &config_type_string, NULL, NSREGD(data_dir) },
        { "restart-grace", CONFIG_SCALAR, &config_type_time_span, "10min", NSREGD(restart_grace_usec),
          .minimum = 0, .maximum = USEC_PER_DAY },
        { "limits", CONFIG_TABLE, .offset = NSREGD(limits), .table = &limits_table },
        { "zones", CONFIG_MAP, .offset = NSREGD(zones), .table = &zone_table, .array = &zones_array },
        {},
};

/* systemd may hand out several, separated by colons: the first is ours. */
static char *default_data_dir(void)
{
        const char *directory = getenv("STATE_DIRECTORY");

        if (directory && directory[strcspn(directory, ":")] == ':')
                return strndup(directory, strcspn(directory, ":"));
        return strdup(directory && *directory ? directory : DEFAULT_DATA);
}

/* A name may be below one zone only, and the same zone may be written in two ways. */
static void check_overlap(struct config_decoder *decoder, const struct config_node *node,
                          const struct nsregd_config *config)
{
        const struct config_entry *zones = config_node_find(node, "zones");
        char name[DNS_NAME_FORMAT_MAX];

        for (size_t i = 1; i < config->n_zones; i++)
                for (size_t j = 0; j < i; j++)
                        if (dns_name_equal(&config->zones[i].policy.zone, &config->zones[j].policy.zone))
                                config_decoder_complain(decoder, zones ? zones->value : NULL, NULL,
                                                        "zones: %s is given twice",
                                                        dns_name_format(&config->zones[i].policy.zone, name));
}

/* Where an entry stands: zones are kept in the order of the file. */
static const struct config_node *upstream_node(const struct config_node *node, size_t zone, size_t index)
{
        const struct config_entry *zones = config_node_find(node, "zones");
        const struct config_entry *list = NULL;

        if (!zones)
                return NULL;
        if (zone < zones->value->n_entries)
                list = config_node_find(zones->value->entries[zone].value, "upstreams");
        if (!list || list->value->type != CONFIG_NODE_LIST || index >= list->value->n_entries)
                return zones->value;
        return list->value->entries[index].value;
}

/* Zones may share a server's zone; what they may differ in is what is published, not how it is reached. */
static void check_shared_upstream(struct config_decoder *decoder, const struct config_node *node,
                                  const struct zone_config *zones, size_t i, size_t j, size_t k, size_t l)
{
        const struct upstream_config *one = &zones[i].upstreams[j], *other = &zones[k].upstreams[l];
        _cleanup_free_ char *a = upstream_config_identity(one), *b = upstream_config_identity(other);
        char name[DNS_NAME_FORMAT_MAX], other_name[DNS_NAME_FORMAT_MAX];

        if ((one->type != UPSTREAM_NSUPDATE && one->type != UPSTREAM_UNBOUND) || !a || !b || !streq(a, b) ||
            upstream_config_same_connection(one, other))
                return;
        config_decoder_complain(
                decoder, upstream_node(node, i, j), NULL,
                "upstream %zu of zone %s is the same server and zone as upstream %zu of zone %s, "
                "with another key or other connection settings",
                j + 1, dns_name_format(&zones[i].policy.zone, name), l + 1,
                dns_name_format(&zones[k].policy.zone, other_name));
}

static void check_shared_upstreams(struct config_decoder *decoder, const struct config_node *node,
                                   const struct nsregd_config *config)
{
        const struct zone_config *zones = config->zones;

        for (size_t i = 0; i < config->n_zones; i++)
                for (size_t j = 0; j < zones[i].n_upstreams; j++)
                        for (size_t k = 0; k <= i; k++)
                                for (size_t l = 0; l < (k == i ? j : zones[k].n_upstreams); l++)
                                        check_shared_upstream(decoder, node, zones, i, j, k, l);
}

static void check_limits(struct config_decoder *decoder, const struct config_node *node,
                         const struct nsregd_config *config)
{
        const struct config_entry *zones = config_node_find(node, "zones"),
                                  *limits = config_node_find(node, "limits");

        for (size_t i = 0; i < config->n_zones; i++)
                config_check_limits(
                        decoder, zones && i < zones->value->n_entries ? zones->value->entries[i].value : NULL,
                        limits ? limits->value : NULL, &config->zones[i].policy, &config->limits);
}

static int check_nsregd(struct config_decoder *decoder, const struct config_node *node, void *object,
                        const void *outer)
{
        struct nsregd_config *config = object;

        if (!config->data_dir) {
                config->data_dir = default_data_dir();
                if (!config->data_dir)
                        return -ENOMEM;
        }
        check_overlap(decoder, node, config);
        check_shared_upstreams(decoder, node, config);
        check_limits(decoder, node, config);
        return 0;
}

const struct config_table nsregd_config_table = { nsregd_keys, check_nsregd };

static void zone_config_clear(struct zone_config *zone)
{
        for (size_t i = 0; i < zone->n_upstreams; i++)
                upstream_config_clear(&zone->upstreams[i]);
        free(zone->upstreams);
        name_list_clear(&zone->reverse_zones);
        zone_policy_clear(&zone->policy);
}

struct nsregd_config *nsregd_config_free(struct nsregd_config *config)
{
        if (!config)
                return NULL;
        for (size_t i = 0; i < config->n_zones; i++)
                zone_config_clear(&config->zones[i]);
        free(config->zones);
        prefix_list_clear(&config->limits.exempt_nets);
        free(config->listen_addr);
        free(config->data_dir);
        string_list_clear(&config->files);
        free(config);
        return NULL;
}

static int decode(const struct config_document *document, struct nsregd_config **ret,
                  struct config_error *error)
{
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = calloc(1, sizeof(*config));
        int r;

        if (!config)
                return -ENOMEM;
        r = config_decode(&nsregd_config_table, document, config, error);
        if (r < 0)
                return r;
        for (const struct config_source *source = document->sources; source; source = source->next) {
                r = string_list_add(&config->files, source->path);
                if (r < 0)
                        return r;
        }
        config->found = document->sources != NULL;
        config->is_empty = !document->root;
        *ret = TAKE_PTR(config);
        return 0;
}

int nsregd_config_load(const char *path, struct nsregd_config **ret, struct config_error *error)
{
        static const char *const directories[] = {
                SYSCONFDIR "/nsregd", "/etc/nsregd", "/run/nsregd", "/usr/lib/nsregd", NULL,
        };
        _cleanup_(config_document_freep) struct config_document *document = NULL;
        int r;

        if (path)
                r = config_files_load_path(path, &document, error);
        else
                r = config_files_load_directories(directories, "nsregd.yaml", &document, error);
        if (r < 0)
                return r;
        return decode(document, ret, error);
}

int nsregd_config_parse(const char *path, const char *text, size_t length, struct nsregd_config **ret,
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

void nsregd_config_print(const struct nsregd_config *config, FILE *out)
{
        config_print(&nsregd_config_table, config, out);
}
