/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the publisher share: publisher.c is its life and its pump, publisher-change.c translates
 * the registry into units, publisher-move.c takes what is published from one configuration to the next,
 * publisher-sweep.c goes through all of it, publication.c waits. */

#include "upstream/publisher.h"

struct sweep;

struct publisher {
        sd_event *event;
        const struct publisher_ops *ops;
        void *userdata;
        struct registry *registry;
        struct upstream_list upstreams;
        unsigned n_upstreams_ever;
        sd_event_source *pump_source;
        sd_event_source *timer_source;
        sd_event_source *sweep_source;
        sd_event_source *reconcile_source;
        LIST_HEAD(, sweep) sweeps;
        unsigned n_waiting;
        bool withdrawing;
        struct publisher_move
                *move; /* what is published is on its way to a new configuration; NULL: it is not */
};

struct attachment *attachment_free_all(struct attachment *attachment);
/* publisher.c: makes an upstream, not in force yet. 0 or -errno with "*why". */
int upstream_open(struct publisher *publisher, const struct upstream_config *config, struct upstream **ret,
                  char **why);
void upstream_free(struct upstream *upstream);
/* Drops what was prepared for the next configuration. */
void upstream_forget_next(struct upstream *upstream);
struct plan_options upstream_plan_options(const struct upstream_config *config);
/* A driver reads the upstream's configuration whenever it needs it; while it is opened that is the one it is
 * opened for. 0 or -errno with "*why". */
int upstream_open_driver(struct upstream *upstream, struct upstream_config *config, void **ret, char **why);
/* NULL when memory is out. */
struct upstream_config *upstream_config_dup(const struct upstream_config *config);
struct upstream_config *upstream_config_free(struct upstream_config *config);
/* A zone that is there already is no second one. 0 or -ENOMEM. */
int upstream_add_lane(struct upstream *upstream, enum unit_mode mode, const struct dns_name *zone);

/* publisher-move.c */
/* The attachments by which what is published of this entry was published last. */
const struct attachment *attachments_of(const struct publisher *publisher, const struct name_entry *entry);
void move_entry(struct publisher *publisher, struct name_entry *entry);
/* Memory for a move, so that beginning it cannot fail. 0 or -ENOMEM. */
int move_prepare(struct publisher *publisher, struct publisher_move **ret);
void move_unprepare(struct publisher_move *move);
/* From now on the attachments that the zones have are those of before. */
void move_begin(struct publisher *publisher, struct publisher_move *move);
void move_free(struct publisher *publisher);

void publisher_pump(struct publisher *publisher);

/* publisher-change.c */
/* What is to be at one name of a registration. */
int forward_set(const struct attachment *attachment, const struct name_state *state,
                const struct record_value *name, struct rrset *ret);
int ptr_set(const struct attachment *attachment, const struct dns_name *target, const struct address *address,
            struct rrset *ret);
/* The lane of the plan for a zone; -1: none. */
int find_lane(const struct upstream *upstream, enum unit_mode mode, const struct dns_name *zone);
/* That in which names of this zone are published by this attachment; -1: none. */
int forward_lane(const struct attachment *attachment, const struct registry_zone *zone);
enum lane_choice {
        LANE_CONFIGURED,
        LANE_CONFIGURED_BEFORE, /* before the configuration in force; while names are moved to that */
        LANE_ANY,
};
/* The innermost that a reverse name is in; -1: none. */
int reverse_lane(const struct upstream *upstream, const struct dns_name *owner, enum lane_choice choice);
const struct attachment *find_attachment(const struct attachment *attachments,
                                         const struct upstream *upstream);

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

/* Updates were acknowledged, or a connection made: what serials do the zones have now? */
void sweep_ask_serials(struct upstream *upstream);

/* publication.c */
void publication_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                        const char *reason);
