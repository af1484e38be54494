/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connection to one of several targets, in the manner of RFC 8305: the next one is begun when the last has
 * been silent for a while, and the first that stands is taken. */

#include <systemd/sd-event.h>

#include "net/dns-client.h"
#include "nsregc/targets.h"
#include "util/time.h"

struct reach;

struct reach_events {
        /* It took no connection, or another that was begun later was faster. Must not free the reach. */
        void (*failed)(void *userdata, const struct endpoint *endpoint, int error);
        /* The end; the reach is freed behind the call, which may do anything. The client is connected and the
         * callee's; NULL: none of the targets could be reached. */
        void (*done)(void *userdata, struct dns_client *client, const struct endpoint *endpoint);
};

struct reach_options {
        usec_t connect_usec;  /* for one target */
        usec_t patience_usec; /* with a silent one, before the next is begun */
        usec_t idle_usec;     /* of the client that is handed over */
};

/* Takes what is left of the pass, one after the other; the targets outlive the reach and may not be changed.
 * Nothing is called from within. */
int reach_new(sd_event *event, const struct reach_options *options, struct targets *targets,
              const struct reach_events *events, void *userdata, struct reach **ret);
/* Those that were silent until another's turn came count as failed. */
void reach_tell_silent(struct reach *reach);
/* Takes NULL; returns NULL. */
struct reach *reach_free(struct reach *reach);
