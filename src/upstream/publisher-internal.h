/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the publisher share: publisher.c is its life and its pump, publisher-change.c translates
 * the registry into units, publisher-sweep.c goes through all of them, publication.c waits. */

#include "upstream/publisher.h"

struct sweep;

struct publisher {
        sd_event *event;
        const struct publisher_ops *ops;
        void *userdata;
        const struct registry *registry; /* of the zones that were attached */
        struct upstream_list upstreams;
        unsigned n_upstreams_ever;
        sd_event_source *pump_source;
        sd_event_source *timer_source;
        sd_event_source *sweep_source;
        sd_event_source *reconcile_source;
        LIST_HEAD(, sweep) sweeps;
        unsigned n_waiting;
        bool withdrawing;
};

void publisher_pump(struct publisher *publisher);

/* publisher-change.c */
int forward_set(const struct attachment *attachment, const struct name_state *state, struct rrset *ret);
int ptr_set(const struct upstream *upstream, const struct registry_zone *zone, const struct dns_name *target,
            const struct address *address, struct rrset *ret);
/* The lane of the plan that a name, or a reverse name, is published in; -1: none. */
int forward_lane(const struct upstream *upstream, const struct dns_name *name);
int reverse_lane(const struct upstream *upstream, const struct dns_name *owner);
const struct attachment *find_attachment(const struct registry_zone *zone, const struct upstream *upstream);

/* Nothing is wanted of this name any more where records are not kept. 0 or -ENOMEM. */
int withdraw_name(struct publisher *publisher, const struct name_entry *entry);

/* publisher-sweep.c */
int sweep_init(struct publisher *publisher);
void sweep_clear(struct publisher *publisher);
/* To be called when an upstream may take more, or when it goes. */
void sweep_continue(struct publisher *publisher);
void sweep_forget(const struct upstream *upstream);
/* Starts going through all names for this upstream. 0 or -ENOMEM. */
int sweep_start(struct upstream *upstream, bool republish);

/* publication.c */
void publication_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                        const char *reason);
