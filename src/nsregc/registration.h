/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One name in one zone: finds the zone's registrar, claims, keeps alive, changes, gives up. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "config/extra-record.h"
#include "dns/key.h"
#include "nsregc/address-table.h"
#include "nsregc/ledger.h"
#include "nsregc/resolve.h"
#include "util/macro.h"
#include "util/time.h"

enum registration_state {
        REGISTRATION_DISCOVERING, /* looking for the registrar */
        REGISTRATION_REGISTERING,
        REGISTRATION_REGISTERED,
        REGISTRATION_IDLE,        /* there is no address to register */
        REGISTRATION_REFUSED,     /* by the registrar, with a reason a person can act on */
        REGISTRATION_UNREACHABLE, /* nobody answers, or not now; tried again */
        REGISTRATION_RELEASING,
        REGISTRATION_RELEASED, /* the end: nothing of it is left, and nothing will happen any more */
};

enum registration_goal {
        GOAL_REGISTER,
        GOAL_WITHDRAW, /* no records */
        GOAL_RELEASE,  /* no records and no claim to the name */
};

/* Of a new key. */
enum roll_state {
        ROLL_NOT,
        ROLL_SAYING,     /* by the old key; until there is an answer it may be in force */
        ROLL_CONFIRMING, /* by the new key; likewise */
        ROLL_DONE,
        ROLL_REFUSED, /* the old one is in force, for certain */
};

struct registration;

struct registration_options {
        sd_event *event;
        struct resolver *resolver;
        const struct dns_keypair *pair; /* outlives the registration */
        const char *key_source;         /* where the key was found, for people; likewise */
        struct ledger *ledger;          /* likewise */
        struct dns_name zone;
        struct dns_name name; /* in full */
        bool suffix;          /* name-2 to name-9 will do where another has the name */
        bool left;            /* by a predecessor: of no interest anywhere but where it was registered */
        const char *place;    /* then, see place.h; not kept */
        uint32_t key_ttl_sec;
        uint32_t addr_ttl_sec;
        usec_t timeout_usec; /* of one exchange */
        /* State, reason, or what is registered changed. Must not free the registration. */
        void (*changed)(void *userdata, struct registration *registration);
        void *userdata;
};

struct registration_info {
        struct dns_name zone, name; /* the name as it is registered, or asked for */
        struct dns_name plain;      /* the one that is wanted, without a suffix */
        char place[PLACE_MAX];      /* of what is registered; empty: not known yet */
        enum registration_state state;
        enum registration_goal goal;
        char server[320];  /* "192.0.2.1@8053"; empty: none yet */
        char reason[1024]; /* why it is not as it should be, for people; escaped; may be empty */
        const struct address_set *registered;    /* acknowledged by the registrar, or perhaps there */
        const struct extra_record_list *records; /* likewise, beside addresses */
        const char *records_reason; /* why these are not as they should be; escaped; may be empty */
        bool records_settled;       /* the registrar has said how it is with these */
        usec_t next_usec;           /* BOOTTIME of the next attempt or refresh; USEC_INFINITY: none */
        unsigned attempts;          /* that came to an end, be it good or bad */
        bool settled;               /* the last one said how things stand, and nothing is under way */
};

int registration_new(const struct registration_options *options, struct registration **ret);
struct registration *registration_free(struct registration *registration);
DEFINE_CLEANUP(struct registration *, registration_free)

/* What is to be registered from now on; begins the first time it is called. Where that is nothing, that one
 * of "spare" which the kernel sends from to the registrar. 0 or -ENOMEM. */
int registration_set_addresses(struct registration *registration, const struct address_set *addresses,
                               const struct address_set *spare);
/* What is to be registered beside addresses: in updates of their own, behind these. Where the registrar takes
 * them not, the addresses are as they were. "left": perhaps there, and to go. 0 or -ENOMEM. */
int registration_set_records(struct registration *registration, const struct extra_record_list *records,
                             const struct extra_record_list *left);
/* Is the registrar one that may know how. */
bool registration_can_roll(const struct registration *registration);
/* A new key, which outlives the registration, shall take the place of the one that it has. */
void registration_roll(struct registration *registration, const struct dns_keypair *pair);
enum roll_state registration_roll_state(const struct registration *registration);
/* Something changed that may make a difference: looks for the registrar again and tries at once. An answer
 * under way is waited for a little longer; not when the machine slept ("woken"): its connection is dead. */
void registration_kick(struct registration *registration, bool woken);
void registration_set_goal(struct registration *registration, enum registration_goal goal);
/* Of the configuration, for what is sent from now on. */
void registration_set_times(struct registration *registration, uint32_t key_ttl_sec, uint32_t addr_ttl_sec,
                            usec_t timeout_usec);
/* Likewise. Without suffixes a suffixed name is one like any other, and no choice of the plain one's. */
void registration_set_suffix(struct registration *registration, bool suffix);
/* The process ends: what is under way gets a moment to end, then the goal is pursued, in one short attempt;
 * what cannot be taken away is left to its lease, and the registration ends all the same. */
void registration_hurry(struct registration *registration);

void registration_get_info(const struct registration *registration, struct registration_info *ret);
const char *registration_state_to_string(enum registration_state state);
