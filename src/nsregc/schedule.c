/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/schedule.h"

#include "util/macro.h"

#define RETRY_MIN_USEC   (2 * USEC_PER_SEC)
#define RETRY_MAX_USEC   (5 * USEC_PER_MINUTE)
#define ABSENT_MIN_USEC  (5 * USEC_PER_SEC)
#define ABSENT_MAX_USEC  (15 * USEC_PER_MINUTE)
#define ABSENT_IMPATIENT 4
#define TWIN_MIN_USEC    (30 * USEC_PER_SEC)
#define TWIN_MAX_USEC    (15 * USEC_PER_MINUTE)
#define REFUSED_MIN_USEC (10 * USEC_PER_MINUTE)
#define REFUSED_MAX_USEC (2 * USEC_PER_HOUR)

usec_t schedule_refresh(uint32_t lease_sec, bool modern, uint32_t lot)
{
        usec_t lease = lease_sec * USEC_PER_SEC;

        if (!modern)
                return lease / 2;
        return lease / 5 * 4 + lease / 20 * lot / SCHEDULE_LOT;
}

/* Evenly between 1 - 1/part and 1 + 1/part of the span. */
static usec_t spread(usec_t span, uint32_t part, uint32_t lot)
{
        return span - span / part + span / part * 2 * lot / SCHEDULE_LOT;
}

static usec_t doubled(usec_t first, unsigned n, usec_t most)
{
        unsigned doublings = MIN(n > 0 ? n - 1 : 0, 20u);

        return MIN(first << doublings, most);
}

usec_t schedule_retry(unsigned failures, uint32_t lot)
{
        return spread(doubled(RETRY_MIN_USEC, failures, RETRY_MAX_USEC), 4, lot);
}

usec_t schedule_refused(unsigned refusals, uint32_t lot)
{
        return spread(doubled(REFUSED_MIN_USEC, refusals, REFUSED_MAX_USEC), 10, lot);
}

usec_t schedule_twin(unsigned sightings, uint32_t lot)
{
        return spread(doubled(TWIN_MIN_USEC, sightings, TWIN_MAX_USEC), 10, lot);
}

usec_t schedule_absent(unsigned absences, uint32_t ttl_sec, uint32_t lot)
{
        usec_t span = doubled(ABSENT_MIN_USEC, absences, ABSENT_MAX_USEC);

        if (absences > ABSENT_IMPATIENT)
                span = MAX(span, MIN(ttl_sec * USEC_PER_SEC, ABSENT_MAX_USEC));
        return spread(span, 10, lot);
}
