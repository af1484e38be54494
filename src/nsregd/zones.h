/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The registration zones that are served: what nsregd knows of each beside its names. */

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/nsregd-config.h"
#include "registry/registry.h"

struct context;
struct zones;

struct served_zone {
        LIST_ENTRY(served_zone) zones;
        struct registry_zone *zone;
        struct zone_policy policy; /* owned; what the registry's zone reads */
        bool builtin;              /* answered with authority, from the registry */
        bool joining;              /* prepared: not in force yet */
        bool loaded;               /* while joining: its names are there */
        bool leaving;              /* configured no more: nothing new begins, what is under way ends */
        bool claims_held;          /* its owners are in a key file that could not be imported */
        bool has_next_policy;
        struct zone_policy next_policy; /* owned; of the configuration that is being prepared */
        unsigned n_under_way;           /* requests, and changes on their way to the disk */
        uint32_t serial;                /* of the zone as it is answered */
        uint32_t next_serial;           /* last one handed to the store */
};
LIST_HEAD(served_zone_list, served_zone);

int zones_new(struct context *context, struct zones **ret); /* 0 or -ENOMEM */
/* With their names, in memory. */
struct zones *zones_free(struct zones *zones);
DEFINE_CLEANUP(struct zones *, zones_free)

/* Adds the zone to the registry; the configuration is copied. 0 or -ENOMEM. */
int zones_add(struct zones *zones, const struct zone_config *config, struct served_zone **ret);
/* Told when nothing of a zone that is leaving is under way any more. */
typedef void (*zone_quiet)(void *userdata);
void zones_on_quiet(struct zones *zones, zone_quiet quiet, void *userdata);
/* Takes the zone out of the registry, with its names. Nothing of it may be under way. */
void zones_remove(struct zones *zones, struct served_zone *served);
/* Another configuration of the same zone: prepared (copied; 0 or -ENOMEM), then taken, if there is one. */
int zone_prepare_policy(struct served_zone *served, const struct zone_policy *policy);
void zone_take_policy(struct served_zone *served);
void zone_drop_policy(struct served_zone *served);
/* Which zones are answered with authority: as the publisher's attachments are now. */
void zones_find_builtin(struct zones *zones);

const struct served_zone_list *zones_list(const struct zones *zones);
size_t zones_count(const struct zones *zones);
struct served_zone *zones_find(const struct zones *zones, const struct registry_zone *zone);
/* The zone of exactly this name, unless it is joining or leaving; or NULL. */
struct served_zone *zones_serving(const struct zones *zones, const struct dns_name *name);
/* The innermost one that holds this name, likewise. */
struct served_zone *zones_serving_of(const struct zones *zones, const struct dns_name *name);
/* Something of the zone is under way: it stays until that has ended. */
struct served_zone *zone_begin(struct served_zone *served);
void zone_end(struct zones *zones, struct served_zone *served);

/* The name by which clients are told to find this registrar, wherever it lies: configured, else the machine's
 * if it is a full one. To be called when the configuration has changed. */
void zones_find_host_name(struct zones *zones);
/* What the SRV, NS and SOA of a zone say where the registrar is: nobody can claim it. It need not be in the
 * zone. */
struct dns_name zone_server_name(const struct zones *zones, const struct registry_zone *zone);

/* The builtin zone's serial goes to the disk with the change that it counts, in one transaction and before
 * it: what becomes of the change has become of the serial. 0 or -ENOMEM. */
int zone_store_serial(struct zones *zones, struct served_zone *served, const struct name_state *before,
                      const struct name_state *after);
/* The change is seen from now on. */
void zone_count_change(struct served_zone *served, const struct name_state *before,
                       const struct name_state *after);
