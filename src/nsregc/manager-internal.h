/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the manager share: its state. */

#include "nsregc/address.h"
#include "nsregc/discovery.h"
#include "nsregc/host-keys.h"
#include "nsregc/hostname.h"
#include "nsregc/ledger.h"
#include "nsregc/manager.h"

#define REGISTRATIONS_MAX 64

struct manager {
        sd_event *event;
        enum manager_mode mode;
        struct nsregc_config *config;
        manager_load load;
        void *load_userdata;
        const struct identity *identity;
        char label[HOSTNAME_LABEL_MAX];   /* empty: none */
        char label_why[HOSTNAME_WHY_MAX]; /* then */

        struct address_rules rules;
        struct address_monitor *addresses;
        struct link_monitor *links;
        struct directory_watch *hostname;
        struct clock_watch *clock;
        struct bus_connection *connection;
        const struct manager_watcher *watcher; /* NULL: nobody */
        void *watcher_userdata;
        struct resolver *resolver;
        struct discovery *discovery;
        struct ledger *ledger;
        struct ledger_keeper *ledger_keeper;
        struct extra_record_list requested; /* beside addresses, by whoever asked for them */
        struct extra_record_list left;      /* that an earlier process may have left, and that go */
        struct directory_watch *host_keys;
        const struct dns_keypair *roll_pair;
        bool roll_left, roll_begun;
        struct registration *registrations[REGISTRATIONS_MAX];
        size_t n_registrations;

        bool addresses_known;
        bool started; /* the delay at the start is over */
        bool stopping;
        bool released; /* on request */
        bool network_changed;
        bool woken;      /* from sleep, and nobody knows it yet */
        bool anew;       /* as a person wishes */
        bool look_again; /* at which registrations there should be */
        sd_event_source *coalesce, *start, *stop, *tidy;
};

/* Looks at what follows from what changed, in a turn of its own. */
static inline void manager_tidy_later(struct manager *manager)
{
        (void) sd_event_source_set_enabled(manager->tidy, SD_EVENT_ONESHOT);
}

/* ------ manager-wanted.c: which registrations there are ------ */

enum registration_goal manager_goal(const struct manager *manager);
/* Makes of zones, name and ledger the registrations that there should be. */
void manager_reconcile(struct manager *manager);

/* Those of the links that the zone was found on; what is no longer found keeps its own. */
void manager_set_addresses(struct manager *manager, struct registration *registration,
                           const struct dns_name *zone);

/* ------ manager-records.c ------ */

/* Tells the registrations what is wanted beside addresses. */
void manager_apply_records(struct manager *manager);
/* As the configuration says. */
void manager_watch_host_keys(struct manager *manager);

/* ------ manager-roll.c ------ */

/* All registrations have their answers. */
void manager_roll_on(struct manager *manager, bool good);

/* ------ manager-outcome.c ------ */

/* Ends the loop when what a command was to do is done, or cannot be. */
void manager_check_command(struct manager *manager);
