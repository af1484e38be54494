/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <strings.h>

#include "upstream/config.h"
#include "util/macro.h"

void upstream_config_clear(struct upstream_config *config)
{
        free(config->hostname);
        name_list_clear(&config->reverse_zones);
        prefix_list_clear(&config->exclude_nets);
        free(config->tsig_key_file);
        explicit_bzero(&config->tsig_key, sizeof(config->tsig_key));
        free(config->control_socket);
        free(config->client_cert);
        free(config->client_key);
        free(config->server_cert);
        free(config->server_name);
        free(config->zone_type);
        *config = (struct upstream_config){};
}

static int copy_texts(struct upstream_config *to, const struct upstream_config *from)
{
        const struct {
                char **to;
                const char *from;
        } texts[] = {
                { &to->hostname, from->hostname },
                { &to->tsig_key_file, from->tsig_key_file },
                { &to->control_socket, from->control_socket },
                { &to->client_cert, from->client_cert },
                { &to->client_key, from->client_key },
                { &to->server_cert, from->server_cert },
                { &to->server_name, from->server_name },
                { &to->zone_type, from->zone_type },
        };
        int r = 0;

        /* All of them, so that none is left that is not this copy's own. */
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                *texts[i].to = texts[i].from ? strdup(texts[i].from) : NULL;
                if (texts[i].from && !*texts[i].to)
                        r = -ENOMEM;
        }
        return r;
}

int upstream_config_copy(struct upstream_config *ret, const struct upstream_config *config)
{
        int r;

        *ret = *config;
        ret->reverse_zones = (struct name_list){};
        ret->exclude_nets = (struct prefix_list){};
        r = copy_texts(ret, config);
        for (size_t i = 0; r >= 0 && i < config->reverse_zones.n_items; i++)
                r = name_list_add(&ret->reverse_zones, &config->reverse_zones.items[i]);
        for (size_t i = 0; r >= 0 && i < config->exclude_nets.n_items; i++)
                r = prefix_list_add(&ret->exclude_nets, &config->exclude_nets.items[i]);
        if (r < 0)
                upstream_config_clear(ret);
        return r;
}

static bool same_text(const char *a, const char *b)
{
        return a == b || (a && b && streq(a, b));
}

static bool same_names(const struct name_list *a, const struct name_list *b)
{
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++)
                if (!dns_name_equal(&a->items[i], &b->items[i]))
                        return false;
        return true;
}

static bool same_prefixes(const struct prefix_list *a, const struct prefix_list *b)
{
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++)
                if (a->items[i].length != b->items[i].length ||
                    !address_equal(&a->items[i].base, &b->items[i].base))
                        return false;
        return true;
}

static bool same_key(const struct upstream_config *a, const struct upstream_config *b)
{
        const struct tsig_key *x = &a->tsig_key, *y = &b->tsig_key;

        if (a->key_source == UPSTREAM_KEY_NONE || b->key_source == UPSTREAM_KEY_NONE)
                return a->key_source == b->key_source;
        return dns_name_equal(&x->name, &y->name) && x->algorithm == y->algorithm &&
               x->secret_length == y->secret_length && memcmp(x->secret, y->secret, x->secret_length) == 0;
}

bool upstream_config_same_connection(const struct upstream_config *a, const struct upstream_config *b)
{
        return a->type == b->type && same_text(a->hostname, b->hostname) && a->port == b->port &&
               a->tcp == b->tcp && a->tsig_fudge_sec == b->tsig_fudge_sec &&
               a->timeout_usec == b->timeout_usec && a->protect_foreign_names == b->protect_foreign_names &&
               same_key(a, b) && same_text(a->control_socket, b->control_socket) &&
               same_text(a->client_cert, b->client_cert) && same_text(a->client_key, b->client_key) &&
               same_text(a->server_cert, b->server_cert) && same_text(a->server_name, b->server_name) &&
               same_text(a->zone_type, b->zone_type);
}

bool upstream_config_equal(const struct upstream_config *a, const struct upstream_config *b)
{
        return upstream_config_same_connection(a, b) &&
               (a->zone.length == b->zone.length &&
                memcmp(a->zone.wire, b->zone.wire, a->zone.length) == 0) &&
               same_names(&a->reverse_zones, &b->reverse_zones) && a->record_ttl_sec == b->record_ttl_sec &&
               a->keep_records == b->keep_records && same_prefixes(&a->exclude_nets, &b->exclude_nets) &&
               a->record_types == b->record_types;
}

char *upstream_config_identity(const struct upstream_config *config)
{
        static const char *const types[_UPSTREAM_TYPES] = {
                [UPSTREAM_BUILTIN] = "builtin",
                [UPSTREAM_NSUPDATE] = "nsupdate",
                [UPSTREAM_UNBOUND] = "unbound",
                [UPSTREAM_DISABLED] = "disabled",
        };
        char zone[DNS_NAME_FORMAT_MAX], *identity;
        int r;

        /* One with reverse zones only is told from others of its kind by the first of them. */
        if (config->zone.length > 0)
                dns_name_format(&config->zone, zone);
        else if (config->type == UPSTREAM_NSUPDATE && config->reverse_zones.n_items > 0)
                dns_name_format(&config->reverse_zones.items[0], zone);
        else
                strcpy(zone, "-");
        if (config->control_socket)
                r = asprintf(&identity, "%s %s %s", types[config->type], config->control_socket, zone);
        else
                r = asprintf(&identity, "%s %s@%u %s", types[config->type], config->hostname ?: "-",
                             config->port, zone);
        return r < 0 ? NULL : identity;
}
