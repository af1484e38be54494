/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of registration share: its state, and what an update is made of. */

#include <systemd/sd-id128.h>

#include "nsregc/name-choice.h"
#include "nsregc/place.h"
#include "nsregc/registrar.h"
#include "nsregc/registration.h"
#include "nsregc/report.h"
#include "nsregc/update-pass.h"
#include "nsregc/update.h"

/* Whether the plain name is free by now, while one with a suffix is registered. */
struct trial {
        bool due;               /* once there is a connection, and all is said over it */
        bool under_way;         /* it is the trial's end that registration->request waits for */
        unsigned times;         /* that it was not, in a row */
        sd_event_source *timer; /* BOOTTIME */
};

struct registration {
        struct registration_options options; /* with the name of the choice */
        struct name_choice choice;
        char place[PLACE_MAX]; /* of "held" and the choice; empty: not known yet */
        struct trial trial;
        enum registration_goal goal;
        enum registration_state state;
        bool begun; /* addresses were given once */

        struct address_set wanted;
        struct address_set spare;      /* for when nothing is wanted */
        struct address_set chosen;     /* of these, by the way to the registrar; one or none */
        struct address_set held;       /* what the registrar has, or may have, of ours */
        struct address_set target;     /* of the pass: the part of "wanted" that the registrar takes */
        struct update_pass pass;       /* from "held" to "target" */
        bool passing;                  /* "target" and "pass" are of use */
        struct address_set sent, gone; /* in the update under way */
        enum update_kind sent_kind;
        bool sent_by_rrset;
        uint32_t pass_lease_sec;      /* the shortest that was granted in this pass, 0: none yet */
        struct address_set pass_from; /* what was held when it began */

        struct extra_record_list extra;                  /* that are wanted beside addresses */
        struct extra_record_list extra_held;             /* that the registrar has, or may have */
        struct extra_record_list extra_sent, extra_gone; /* in the update under way */
        struct extra_record_list extra_left;             /* what was told to be there perhaps, and to go */
        bool extra_said;                                 /* since the addresses were said last */
        bool extra_refused; /* as they are now: not said again until something changes */
        bool extra_settled; /* it has answered to what is wanted now */
        char extra_reason[REPORT_REASON_MAX], extra_told[REPORT_REASON_MAX];
        usec_t refresh_usec; /* delay, of the addresses that stand */

        const struct dns_keypair *roll_from, *roll_to;
        enum roll_state roll;

        enum server_kind kind;
        bool replaced;               /* this process has told the registrar the whole set */
        bool no_rrset;               /* it does not take the deletion of RRsets after all */
        uint32_t limit;              /* of addresses under one name, as it told; 0: it did not */
        struct address_set filtered; /* no use to send these, while others have no room */
        size_t room_rrs;             /* that it takes in one update */
        bool released;
        bool elsewhere; /* what a predecessor left is at another place */

        struct registrar *registrar;
        struct dns_request *request;

        usec_t lease_end_usec;  /* BOOTTIME: what the registrar has is gone by then */
        sd_event_source *timer; /* BOOTTIME */
        usec_t next_usec;
        sd_event_source *hurry;
        bool hurried;           /* the process ends: one attempt */
        sd_event_source *doubt; /* whether what is under way leads anywhere */
        usec_t anew_usec;       /* MONOTONIC: the last time it was begun anew */
        unsigned failures, refusals, attempts;
        unsigned twins; /* answers in a row that told of another machine with the key */
        unsigned turns; /* since it last came to rest */
        unsigned loops; /* times in a row that it did not */
        char reason[REPORT_REASON_MAX];
        char told[REPORT_REASON_MAX]; /* the reason that was logged last */
};

enum registration_action {
        ACTION_NONE,
        ACTION_SET,
        ACTION_ROLL,
        ACTION_WITHDRAW,
        ACTION_RELEASE,
};

/* What is to be said to the registrar, if anything, so that it has what the goal asks for. */
enum registration_action registration_next_action(const struct registration *registration);
/* Whether there is anything to register with the registrar at hand. */
bool registration_has_target(struct registration *registration);
/* What it takes of "wanted". 0 or -ENOMEM. */
int registration_target(const struct registration *registration, struct address_set *ret);
/* An update over the connection that is there: "update" but for its keys and times. 0 or -errno. */
int registration_request(struct registration *registration, struct update *update, dns_client_done done);
/* Says it, or as much of it as one update holds, over the connection that is there. 0 or -errno. */
int registration_send(struct registration *registration, enum registration_action action);

/* ------ registration.c ------ */

/* The one place where things begin. While something is under way its end comes here again. */
void registration_run(struct registration *registration);

/* Who is asked may be another kind of server, and knows nothing of us. */
void registration_forget_server(struct registration *registration);

/* ------ registration-answer.c ------ */

/* The end of registration->request. */
void registration_on_answer(void *userdata, int error, const uint8_t *reply, size_t size);
/* Whether it arrived nobody knows: all that was sent may be there. */
void registration_note_uncertain(struct registration *registration);

/* Changed meanwhile, or a server that learned of now to be rid of what a predecessor left. */
bool registration_has_more_to_say(const struct registration *registration);

/* ------ registration-place.c ------ */

/* Begins with what was registered at this place. 0 or -ENOMEM. */
int registration_recall(struct registration *registration);
/* There is a connection: what is held and how the name was chosen is of the place that it leads to. */
void registration_enter(struct registration *registration);

/* ------ registration-trial.c ------ */

/* Everything is said, and stands: asks for the plain name if it is time, else sees to it that it will be. */
void registration_trial_look(struct registration *registration);
/* Something changed that may have made it free. */
void registration_trial_renew(struct registration *registration);
/* The answer is not waited for any more. */
void registration_trial_end(struct registration *registration);

/* ------ registration-records.c ------ */

/* Behind the addresses: is there anything to say of the records beside them. */
bool registration_has_records_to_say(struct registration *registration);
/* Says it over the connection that is there. 0 or -errno. */
int registration_say_records(struct registration *registration);
/* The answer to that. */
void registration_records_answered(struct registration *registration, const struct update_answer *answer);
/* Another registrar, or another network: whatever was refused may be taken. */
void registration_records_anew(struct registration *registration);
/* Another name, or another place: what was registered there ends with its lease. */
void registration_records_forget(struct registration *registration);

/* ------ registration-roll.c ------ */

/* False: it is no answer to that yet. */
bool registration_roll_answered(struct registration *registration, const struct update_answer *answer);
/* The name is registered, or refused for good, by the key at hand. */
void registration_roll_granted(struct registration *registration);
void registration_roll_refused(struct registration *registration);

/* ------ registration-attempt.c: what is told, what is noted, and the ends of an attempt ------ */

void registration_tell(struct registration *registration);
void registration_set_state(struct registration *registration, enum registration_state state);
void registration_set_reason(struct registration *registration, const char *format, ...) _printf_(2, 3);
void registration_log_reason(struct registration *registration, int level, sd_id128_t id, const char *what);
void registration_log_done(struct registration *registration, sd_id128_t id, const char *what,
                           const struct address_set *addresses);
/* For the next start. */
void registration_note(struct registration *registration);

void registration_timer_stop(struct registration *registration);
void registration_timer_start(struct registration *registration, usec_t delay);
uint32_t registration_lot(void); /* random, for schedule.h */

/* What is begun next begins with what is there, and goes all the way. */
void registration_pass_drop(struct registration *registration);
/* Whatever comes next, there is a pause before it. */
void registration_come_to_rest(struct registration *registration);
/* It is tried again after the delay; or when failures of before say so. */
void registration_failed(struct registration *registration, usec_t delay);
void registration_unreachable(struct registration *registration);
void registration_refused(struct registration *registration);
/* The next target of the SRV, until all have failed: then it is asked for anew, after a while. */
void registration_pass_on(struct registration *registration, bool dead);
/* What may be there stays noted for the next start. */
void registration_give_up(struct registration *registration);
