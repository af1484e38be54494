/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where nsregd listens: the sockets that systemd passed, else its own. */

#include <stdbool.h>

#include "config/nsregd-config.h"
#include "util/macro.h"

struct context;
struct listener_setup;

/* 0 or -errno; says what went wrong. */
int listener_open(struct context *context);

/* Other sockets for another configuration: opened (*ret NULL: there is nothing to change), then put in the
 * place of those of before. 0 or -errno with "*why" (the caller's). */
int listener_prepare(struct context *context, const struct nsregd_config *config, struct listener_setup **ret,
                     char **why);
struct listener_setup *listener_setup_free(struct listener_setup *setup);
DEFINE_CLEANUP(struct listener_setup *, listener_setup_free)
/* Takes the setup, which may be NULL. */
void listener_commit(struct context *context, struct listener_setup *setup);
