/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/resolv-conf.h"

#include "util/file.h"
#include "util/macro.h"

#define FILE_MAX  65536
#define SEPARATOR " \t\r"

int server_list_add(struct server_list *list, const char *server)
{
        char **items;

        if (list->n_items >= SERVER_LIST_MAX)
                return 0;
        items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items] = strdup(server);
        if (!items[list->n_items])
                return -ENOMEM;
        list->n_items++;
        return 0;
}

void server_list_clear(struct server_list *list)
{
        for (size_t i = 0; i < list->n_items; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct server_list){ 0 };
}

static int line_parse(struct resolv_conf *conf, char *line)
{
        char *saved = NULL, *word = strtok_r(line, SEPARATOR, &saved), *value;
        struct dns_name name;
        int r;

        if (!word || word[0] == '#' || word[0] == ';')
                return 0;
        if (streq(word, "nameserver"))
                return (value = strtok_r(NULL, SEPARATOR, &saved)) ? server_list_add(&conf->servers, value)
                                                                   : 0;
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
        int r = 0;

        resolv_conf_clear(ret);
        if (!copy)
                return -ENOMEM;
        for (char *line = strtok_r(copy, "\n", &saved); line && r >= 0; line = strtok_r(NULL, "\n", &saved))
                r = line_parse(ret, line);
        if (r >= 0 && ret->servers.n_items == 0)
                r = server_list_add(&ret->servers, "127.0.0.1");
        if (r < 0)
                resolv_conf_clear(ret);
        return MIN(r, 0);
}

int resolv_conf_read(const char *path, struct resolv_conf *ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read(path, FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return resolv_conf_parse("", ret);
        if (r < 0)
                return r;
        return resolv_conf_parse(text, ret);
}

void resolv_conf_clear(struct resolv_conf *conf)
{
        server_list_clear(&conf->servers);
        name_list_clear(&conf->search);
        *conf = (struct resolv_conf){ 0 };
}
