/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a domain that may recommend zones is asked, and how long what it gave is believed. Each has its own
 * back-off: one that always fails keeps nobody else busy. Pure: times are BOOTTIME. */

#include <stdbool.h>
#include <stdint.h>

#include "nsregc/schedule.h"
#include "util/time.h"

enum candidate_outcome {
        CANDIDATE_FOUND,
        CANDIDATE_EMPTY,  /* an answer with nothing in it */
        CANDIDATE_FAILED, /* no answer */
};

struct candidate_state {
        bool answered;              /* in this network, be it with a failure */
        bool holds;                 /* it gave something that is not surely gone */
        unsigned empties, failures; /* in a row, since the network changed */
        usec_t empty_since_usec; /* the first of those empty answers that have nothing else between them; 0:
                                    none */
        usec_t fresh_until_usec; /* the last answer is good until then */
        usec_t next_usec;        /* to be asked; 0: now */
};

/* Sets next_usec. False: what was found before is surely gone, or there was nothing. */
bool candidate_note(struct candidate_state *state, enum candidate_outcome outcome, uint32_t ttl_sec,
                    usec_t now, uint32_t lot);

/* Something changed. "moved": it may be another network, so no answer is worth anything; else those that are
 * fresh are kept. What was found is kept until it is answered that it is gone. */
void candidate_renew(struct candidate_state *state, bool moved, usec_t now);

/* Whether what it says (that there is nothing, to begin with) is not only a mistake of the moment. */
bool candidate_is_sure(const struct candidate_state *state, usec_t now);
