/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Joins the parts of nsregc: what the machine is called, which addresses it has, which zones there are; one
 * registration for each zone. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "bus/bus-connection.h"
#include "config/extra-record.h"
#include "config/nsregc-config.h"
#include "dns/key.h"
#include "nsregc/identity.h"
#include "nsregc/registration.h"
#include "util/macro.h"

enum manager_mode {
        MANAGER_DAEMON,
        MANAGER_ONCE,    /* register once, wait for the answers, end */
        MANAGER_ROLL,    /* give every registrar the new key, end */
        MANAGER_RELEASE, /* give up the name everywhere, end */
};

struct manager;

/* Reads the configuration, command line included. 0, or negative with *why (owned by the caller) saying what
 * is wrong with it. */
typedef int (*manager_load)(void *userdata, struct nsregc_config **ret, char **why);

/* Takes the configuration, also on failure; the identity outlives the manager. 0 or -errno, logged.
 */
int manager_new(sd_event *event, enum manager_mode mode, struct nsregc_config *config,
                const struct identity *identity, manager_load load, void *userdata, struct manager **ret);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager *, manager_free)

/* Whoever shows the manager to the outside. */
struct manager_watcher {
        void (*changed)(void *userdata);          /* something may be different from last time */
        void (*bus)(void *userdata, sd_bus *bus); /* the connection came, or went (NULL) */
};
/* One at most; it outlives the manager, and is told at once of a connection that is there. */
void manager_watch(struct manager *manager, const struct manager_watcher *watcher, void *userdata);

/* Takes the own records away (unless they are to be kept), then ends the loop. Bounded in time. A second call
 * ends it at once. */
void manager_stop(struct manager *manager);
/* The configuration anew; a bad one leaves everything as it is. The key is that of the start. */
int manager_reload(struct manager *manager, char **why);
/* Looks for everything anew and tries everything at once. */
void manager_refresh(struct manager *manager);
/* Gives up the names: withdrawn and released, until manager_refresh(). */
void manager_release(struct manager *manager);

/* Whether everything that was asked for has its answer, and whether that is a good one; else "*ret_why" is
 * the first reason, or NULL, owned by the caller. */
bool manager_settled(const struct manager *manager, bool *ret_good, char **ret_why);

/* What is to be registered beside addresses, until it is taken away or the process ends. 0, -ENOMEM;
 * -ENOBUFS: there are too many. */
int manager_add_record(struct manager *manager, const struct extra_record *record);
/* Also what an earlier process left ("left"). False: it was not there. */
bool manager_remove_record(struct manager *manager, const struct extra_record *record, bool left);
/* As manager_settled(), of these: good where a zone has them. */
bool manager_records_settled(const struct manager *manager, bool *ret_good, char **ret_why);

/* How a roll-over ended: the exit status. */
enum {
        ROLL_EXIT_DONE = 0,
        ROLL_EXIT_UNCERTAIN = 1, /* some registrar has it, or may have it: to be gone on with */
        ROLL_EXIT_NOTHING = 3,   /* none has */
};
/* The new key, which outlives the manager. "left": an earlier attempt began with it. */
void manager_set_roll(struct manager *manager, const struct dns_keypair *pair, bool left);

const char *manager_label(const struct manager *manager);     /* NULL: none */
const char *manager_label_why(const struct manager *manager); /* why there is none */
const struct dns_keypair *manager_pair(const struct manager *manager);
const struct address_set *manager_addresses(const struct manager *manager);
/* As address_table_left_out(). */
int manager_left_out(const struct manager *manager, struct left_out_list *ret);
size_t manager_count(const struct manager *manager);
struct registration *manager_get(const struct manager *manager, size_t index);
