/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/resolv-conf.h"

#include "util/file.h"
#include "util/macro.h"

#define FILE_MAX  65536
#define SEPARATOR " \t\r"

static int server_add(struct resolv_conf *conf, const char *text)
{
        char **servers;

        if (conf->n_servers >= RESOLV_CONF_SERVERS_MAX)
                return 0;
        servers = reallocarray(conf->servers, conf->n_servers + 1, sizeof(*servers));
        if (!servers)
                return -ENOMEM;
        conf->servers = servers;
        servers[conf->n_servers] = strdup(text);
        if (!servers[conf->n_servers])
                return -ENOMEM;
        conf->n_servers++;
        return 0;
}

static int line_parse(struct resolv_conf *conf, char *line)
{
        char *saved = NULL, *word = strtok_r(line, SEPARATOR, &saved), *value;
        struct dns_name name;
        int r;

        if (!word || word[0] == '#' || word[0] == ';')
                return 0;
        if (streq(word, "nameserver"))
                return (value = strtok_r(NULL, SEPARATOR, &saved)) ? server_add(conf, value) : 0;
        if (!streq(word, "search") && !streq(word, "domain"))
                return 0;

        /* The last of them counts. */
        name_list_clear(&conf->search);
        while ((value = strtok_r(NULL, SEPARATOR, &saved))) {
                if (dns_name_parse(value, &name) < 0 || dns_name_is_root(&name))
                        continue;
                r = name_list_add(&conf->search, &name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int resolv_conf_parse(const char *text, struct resolv_conf *ret)
{
        _cleanup_free_ char *copy = strdup(text);
        char *saved = NULL;

        resolv_conf_clear(ret);
        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
                int r = line_parse(ret, line);

                if (r < 0) {
                        resolv_conf_clear(ret);
                        return r;
                }
        }
        return 0;
}

int resolv_conf_read(const char *path, struct resolv_conf *ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read(path, FILE_MAX, &text, &size);
        if (r < 0)
                return r;
        return resolv_conf_parse(text, ret);
}

void resolv_conf_clear(struct resolv_conf *conf)
{
        for (size_t i = 0; i < conf->n_servers; i++)
                free(conf->servers[i]);
        free(conf->servers);
        name_list_clear(&conf->search);
        *conf = (struct resolv_conf){ 0 };
}
