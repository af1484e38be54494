/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Another configuration comes into force while everybody is served: what changed is changed, and nothing
 * else. First everything that can fail is prepared (the file is read and proven, connections and sockets are
 * set up, added zones are read from the store); then it is committed, which cannot fail, and what is
 * published is moved in slices. One reload at a time; of those that are asked for meanwhile the last one is
 * done. */

#include "config/nsregd-config.h"
#include "util/macro.h"

struct context;
struct reload;

int reload_new(struct context *context, struct reload **ret); /* 0 or -ENOMEM */
/* Who waits is told -ECANCELED. */
struct reload *reload_free(struct reload *reload);
DEFINE_CLEANUP(struct reload *, reload_free)

/* error 0: in force; else nothing changed, and "why" (may be NULL) says what is wrong. */
typedef void (*reload_done)(void *userdata, int error, const char *why);
/* done() may be NULL; it is called once, perhaps from within. 0 or -ENOMEM. */
int reload_begin(struct reload *reload, reload_done done, void *userdata);
/* The daemon stops: one that is being prepared is dropped, one that is committed moves nothing any more. */
void reload_freeze(struct reload *reload);

/* The publisher has moved everything: for struct publisher_ops. */
void reload_on_moved(struct reload *reload);

/* Reads the configuration and says what is wrong with it. 0 or -errno; "*why" (may be NULL) is the caller's.
 */
int read_configuration(const char *path, struct nsregd_config **ret, char **why);
/* From the configuration in force: limits of peers. */
void configure_limits(struct context *context);
