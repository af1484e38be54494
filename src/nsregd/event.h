/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happened, for the journal. Refusals are limited per source, so that no peer floods it; what was left
 * out is counted and told. */

#include "registry/decision.h"
#include "registry/registry.h"
#include "util/macro.h"

struct manager;
struct events;
struct upstream;

struct events *events_new(void);
struct events *events_free(struct events *events);
DEFINE_CLEANUP(struct events *, events_free)

/* A name's state has changed. Any may be NULL. */
void event_changed(struct manager *manager, const struct dns_name *name, const struct name_state *before,
                   const struct name_state *after);
/* "name" may be NULL: not known yet. */
void event_refused(struct manager *manager, const struct dns_name *name, const struct address *source,
                   const struct decision *decision, bool owner_mismatch);
void event_upstream_changed(struct manager *manager, const struct upstream *upstream, const char *reason);
void event_upstream_refused(struct manager *manager, const struct upstream *upstream,
                            const struct dns_name *name, const char *reason);
void event_upstream_drifted(struct manager *manager, const struct upstream *upstream,
                            const struct dns_name *owner);
void event_upstream_drained(struct manager *manager, const struct upstream *upstream);
void event_not_stored(struct manager *manager, const struct dns_name *name, int error);
/* The registrar's own name in a zone was claimed by somebody, when it was not this one's own yet. */
void event_server_name_claimed(struct manager *manager, const struct dns_name *name,
                               const struct name_state *state);
/* Tells what was left out of late; to be called some time after event_changed(). */
void event_summarize(struct manager *manager);
