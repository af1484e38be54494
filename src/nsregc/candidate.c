/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/candidate.h"

#include "util/macro.h"

#define FOUND_MIN_USEC (5 * USEC_PER_MINUTE)
#define FOUND_MAX_USEC USEC_PER_HOUR
#define GONE_USEC      (2 * USEC_PER_MINUTE) /* a portal, a zone that is being reloaded */
#define GONE_EMPTIES   4

bool candidate_is_sure(const struct candidate_state *state, usec_t now)
{
        if (!state->answered || state->failures > 0)
                return false;
        return state->empty_since_usec == 0 ||
               (state->empties >= GONE_EMPTIES && now - state->empty_since_usec >= GONE_USEC);
}

bool candidate_note(struct candidate_state *state, enum candidate_outcome outcome, uint32_t ttl_sec,
                    usec_t now, uint32_t lot)
{
        usec_t ttl = ttl_sec * USEC_PER_SEC;

        state->answered = true;
        switch (outcome) {
        case CANDIDATE_FOUND:
                state->holds = true;
                state->empties = state->failures = 0;
                state->empty_since_usec = 0;
                state->fresh_until_usec = usec_add(now, MIN(ttl, FOUND_MAX_USEC));
                state->next_usec = usec_add(now, CLAMP(ttl, FOUND_MIN_USEC, FOUND_MAX_USEC) +
                                                         USEC_PER_MINUTE * lot / SCHEDULE_LOT);
                break;
        case CANDIDATE_EMPTY:
                state->failures = 0;
                state->empties++;
                if (state->empty_since_usec == 0)
                        state->empty_since_usec = MAX(now, (usec_t) 1);
                state->next_usec = usec_add(now, schedule_absent(state->empties, ttl_sec, lot));
                state->fresh_until_usec = MIN(usec_add(now, ttl), state->next_usec);
                if (candidate_is_sure(state, now))
                        state->holds = false;
                break;
        case CANDIDATE_FAILED:
                state->failures++;
                state->fresh_until_usec = 0;
                state->next_usec = usec_add(now, schedule_absent(state->failures, 0, lot));
                break;
        }
        return state->holds;
}

void candidate_renew(struct candidate_state *state, bool moved, usec_t now)
{
        if (moved)
                state->fresh_until_usec = 0;
        if (state->answered && state->failures == 0 && state->fresh_until_usec > now)
                return;
        state->answered = false;
        /* Since when it has been empty is not forgotten, or what is gone would stay where networks change
         * often. */
        state->failures = 0;
        if (moved)
                state->empties = 0;
        state->next_usec = 0;
}
