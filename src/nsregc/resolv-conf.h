/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /etc/resolv.conf (resolv.conf(5)): servers and search domains; everything else is the stub resolver's. */

#include <stddef.h>

#include "registry/policy.h"

struct resolv_conf {
        char **servers; /* address literals, in order; IPv6 with zone as it stands there */
        size_t n_servers;
        struct name_list search;
};

#define RESOLV_CONF_SERVERS_MAX 8

/* Into a struct that is all zero or was read into before. 0; -ENOMEM; what reading the file says. */
int resolv_conf_read(const char *path, struct resolv_conf *ret);
int resolv_conf_parse(const char *text, struct resolv_conf *ret);
void resolv_conf_clear(struct resolv_conf *conf);
