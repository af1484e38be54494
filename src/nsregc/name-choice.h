/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which name is asked for when the one that is wanted is somebody else's: name, name-2 ... name-9. Pure. */

#include <stdbool.h>

#include "dns/name.h"
#include "nsregc/ledger.h"
#include "nsregc/update.h"

#define NAME_CHOICE_MAX        9
#define NAME_CHOICE_REASON_MAX 1024

struct name_choice {
        struct dns_name plain; /* what is wanted, in full */
        bool suffix;           /* others will do */
        unsigned number;       /* 1: the plain one; 2 to NAME_CHOICE_MAX */
        bool plain_refused;    /* in this round */
        bool known_suffix;     /* the present one has a suffix and was granted once, maybe to a predecessor */
        bool held;             /* the present name was granted to this process: it is not exchanged */
        char reason[NAME_CHOICE_REASON_MAX]; /* why the plain one was refused */
};

/* The first label with "-NUMBER", cut in front of that to fit; 1 is the plain name. 0, or -EINVAL where there
 * can be no such name. */
int name_choice_make(const struct dns_name *plain, unsigned number, struct dns_name *ret);
/* Which of the plain name's choices that is; 0: none. */
unsigned name_choice_number(const struct dns_name *plain, const struct dns_name *name);

/* The name is another's, or not to be had at all; what was refused for other reasons is so under any name. */
bool name_choice_is_conflict(const struct update_answer *answer);

/* The present one was refused for "reason". True: ask for *name at once. False: that was the last one, or
 * there is no choice; *name is where the next round begins, *reason what the matter is. */
bool name_choice_refused(struct name_choice *choice, char reason[static NAME_CHOICE_REASON_MAX],
                         struct dns_name *name);
void name_choice_granted(struct name_choice *choice);
/* Of the configuration; "name" is the present one, which becomes the plain one where there are no others. */
void name_choice_allow(struct name_choice *choice, bool suffix, const struct dns_name *name);
/* Begins with what was had at this place (empty: any), if there was anything; returns that. */
const struct ledger_entry *name_choice_recall(struct name_choice *choice, const struct ledger *ledger,
                                              const struct dns_name *zone, const char *place);
