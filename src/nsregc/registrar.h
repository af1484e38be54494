/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to the registrar of a zone: the targets of its SRV, asked for and remembered, and a connection to
 * one of them. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "dns/name.h"
#include "net/dns-client.h"
#include "nsregc/place.h"
#include "nsregc/resolve.h"
#include "util/macro.h"
#include "util/time.h"

#define REGISTRAR_WHY_MAX 1024

struct registrar;

/* What registrar_connect() ends with; never called from within. */
struct registrar_events {
        /* There is a connection. "another": these are other targets than before. */
        void (*reached)(void *userdata, bool another);
        /* None of the targets, or nobody who tells them: to be tried again when the caller likes. */
        void (*unreachable)(void *userdata, const char *why);
        /* The zone has none; asking again makes sense behind so long. */
        void (*absent)(void *userdata, usec_t wait_usec, const char *why);
};

int registrar_new(sd_event *event, struct resolver *resolver, const struct dns_name *zone,
                  const struct registrar_events *events, void *userdata, struct registrar **ret);
struct registrar *registrar_free(struct registrar *registrar);
DEFINE_CLEANUP(struct registrar *, registrar_free)

/* Looks for it, and goes on with a pass over its targets that was begun. 0 or -errno. */
int registrar_connect(struct registrar *registrar, usec_t timeout_usec);
bool registrar_is_busy(const struct registrar *registrar);
/* Is it the DNS that is asked, not yet a target. */
bool registrar_is_asking(const struct registrar *registrar);
void registrar_cancel(struct registrar *registrar);

/* The connection; NULL: there is none, or it ended. */
struct dns_client *registrar_client(const struct registrar *registrar);

/* The target at hand is of no use now, or answered nothing at all ("dead"): the pass goes on behind it.
 * False: it was the last, and the pass is over; *why (the registrar's) is what was wrong with them all. */
bool registrar_pass_on(struct registrar *registrar, bool dead, const char *problem, const char **ret_why);
/* The target at hand has answered: the pass is over. */
void registrar_worked(struct registrar *registrar);
/* The connection may lead nowhere by now: it is given up, and the targets are asked for anew. */
void registrar_distrust(struct registrar *registrar);
/* Short of time, from now on: the next target is begun sooner. */
void registrar_hurry(struct registrar *registrar);

/* Where the connection leads to, see place.h. */
const char *registrar_place(const struct registrar *registrar);
/* "192.0.2.1@8053" of the target at hand or of the last; empty: none yet. */
const char *registrar_server(const struct registrar *registrar);
