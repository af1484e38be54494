/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/ledger-keeper.h"

#include "nsregc/random.h"
#include "nsregc/schedule.h"
#include "util/log.h"

struct ledger_keeper {
        sd_event *event;
        struct ledger *ledger;
        sd_event_source *retry;
        unsigned failures;
};

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct ledger_keeper *keeper = userdata;

        keeper->retry = sd_event_source_disable_unref(keeper->retry);
        if (ledger_flush(keeper->ledger) >= 0)
                log_info("What is registered is noted for the next start again");
        ledger_keeper_look(keeper);
        return 0;
}

void ledger_keeper_look(struct ledger_keeper *keeper)
{
        if (!ledger_is_dirty(keeper->ledger))
                keeper->failures = 0;
        else if (!keeper->retry)
                /* Without a timer it is tried with the next change. */
                (void) sd_event_add_time_relative(
                        keeper->event, &keeper->retry, CLOCK_MONOTONIC,
                        schedule_retry(++keeper->failures, random_below(NULL, SCHEDULE_LOT)), USEC_PER_SEC,
                        on_retry, keeper);
}

int ledger_keeper_new(sd_event *event, struct ledger *ledger, struct ledger_keeper **ret)
{
        struct ledger_keeper *keeper = calloc(1, sizeof(*keeper));

        if (!keeper)
                return -ENOMEM;
        keeper->event = sd_event_ref(event);
        keeper->ledger = ledger;
        *ret = keeper;
        return 0;
}

struct ledger_keeper *ledger_keeper_free(struct ledger_keeper *keeper)
{
        if (!keeper)
                return NULL;
        sd_event_source_disable_unref(keeper->retry);
        sd_event_unref(keeper->event);
        free(keeper);
        return NULL;
}
