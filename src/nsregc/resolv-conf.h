/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /etc/resolv.conf (resolv.conf(5)): servers and search domains; everything else is the stub resolver's. */

#include <stddef.h>

#include "registry/policy.h"

struct server_list {
        char **items; /* address literals, in order; IPv6 with zone as it stands there */
        size_t n_items;
};

#define SERVER_LIST_MAX 8 /* more are passed over */

int server_list_add(struct server_list *list, const char *server); /* 0 or -ENOMEM */
void server_list_clear(struct server_list *list);

struct resolv_conf {
        struct server_list servers; /* 127.0.0.1 where none is named */
        struct name_list search;
};

/* Into a struct that is all zero or was read into before. A file that is not there is an empty one. 0;
 * -ENOMEM; what reading the file says. */
int resolv_conf_read(const char *path, struct resolv_conf *ret);
int resolv_conf_parse(const char *text, struct resolv_conf *ret);
void resolv_conf_clear(struct resolv_conf *conf);
