/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/announce.h"
#include "nsregd/context.h"
#include "util/source.h"

/* So many refusals of one source, a /32 or /64, are told within a window; sources share a table of this size
 * by hash, so memory is bounded whoever comes. */
#define REFUSALS_PER_WINDOW 5
#define WINDOW_USEC         USEC_PER_MINUTE
#define TABLE_SIZE          1024
/* Half a network's names may end at once, after a long power cut; that is one thing that happened. */
#define EXPIRIES_PER_SECOND 10
/* A full disk fails every change; once in a while says it. */
#define NOT_STORED_USEC (10 * USEC_PER_SEC)

struct window {
        struct prefix source;
        bool others;       /* somebody else's are counted here as well */
        usec_t begin_usec; /* 0: unused */
        unsigned n_told;
        uint64_t n_left_out;
};

struct announcer {
        struct context *context;
        STAILQ_HEAD(, observer) observers;
        struct window windows[TABLE_SIZE];
        sd_event_source *window_source;
        sd_event_source *expiry_source;
        unsigned n_expiries; /* within this second */
        uint64_t n_expiries_left_out;
        usec_t not_stored_usec;
};

#define ANNOUNCE(announcer, event, ...)                                                                      \
        do {                                                                                                 \
                const struct observer *observer_;                                                            \
                STAILQ_FOREACH (observer_, &(announcer)->observers, observers)                               \
                        if (observer_->ops->event)                                                           \
                                observer_->ops->event(observer_->userdata, __VA_ARGS__);                     \
        } while (0)

void announcer_add(struct announcer *announcer, struct observer *observer)
{
        STAILQ_INSERT_TAIL(&announcer->observers, observer, observers);
}

void announcer_remove(struct announcer *announcer, struct observer *observer)
{
        STAILQ_REMOVE(&announcer->observers, observer, observer, observers);
}

/* --- names --- */

static int on_expiry_second(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct announcer *announcer = userdata;

        if (announcer->n_expiries_left_out > 0)
                ANNOUNCE(announcer, expired_besides, announcer->n_expiries_left_out);
        announcer->n_expiries_left_out = 0;
        announcer->n_expiries = 0;
        return 0;
}

static void announce_expired(struct announcer *announcer, const struct dns_name *name,
                             const struct name_state *state)
{
        announcer->context->statistics.expiries++;
        if (announcer->n_expiries++ == 0) {
                /* A source that exists is set without memory. */
                (void) sd_event_source_set_time_relative(announcer->expiry_source, USEC_PER_SEC);
                (void) sd_event_source_set_enabled(announcer->expiry_source, SD_EVENT_ONESHOT);
        }
        if (announcer->n_expiries <= EXPIRIES_PER_SECOND)
                ANNOUNCE(announcer, expired, name, state);
        else
                announcer->n_expiries_left_out++;
}

void announce_name_changed(struct announcer *announcer, const struct dns_name *name,
                           const struct name_state *before, const struct name_state *after)
{
        struct context *context = announcer->context;
        bool was = before && before->claimed, is = after && after->claimed;

        if (was && is) {
                if (!dns_key_same(before->key, after->key))
                        ANNOUNCE(announcer, key_changed, name, after);
                if (!name_state_same_addresses(before, after))
                        ANNOUNCE(announcer, addresses_changed, name);
                if (!name_state_same_others(before, after))
                        ANNOUNCE(announcer, records_changed, name);
        } else if (is) {
                context->statistics.claims++;
                ANNOUNCE(announcer, claimed, name, after);
        } else if (was && before->key_end_usec <= store_lease_now(context->store))
                announce_expired(announcer, name, before);
        else if (was) {
                context->statistics.releases++;
                ANNOUNCE(announcer, released, name, before);
        }
}

/* --- refusals --- */

static struct window *find_window(struct announcer *announcer, const struct prefix *source)
{
        uint32_t hash = 2166136261U;

        for (size_t i = 0; i < sizeof(source->base.bytes); i++)
                hash = (hash ^ source->base.bytes[i]) * 16777619U;
        return &announcer->windows[hash % TABLE_SIZE];
}

static void end_window(struct announcer *announcer, struct window *window)
{
        if (window->n_left_out > 0)
                ANNOUNCE(announcer, refused_besides, &window->source, window->others, window->n_left_out);
        *window = (struct window){};
}

/* The count is told when its window ends, also where the source is silent from then on. */
static int on_windows(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct announcer *announcer = userdata;
        usec_t now = now_usec(CLOCK_MONOTONIC), next = USEC_INFINITY;

        for (size_t i = 0; i < TABLE_SIZE; i++) {
                struct window *window = &announcer->windows[i];

                if (window->begin_usec == 0)
                        continue;
                if (now - window->begin_usec >= WINDOW_USEC)
                        end_window(announcer, window);
                else
                        next = MIN(next, window->begin_usec + WINDOW_USEC);
        }
        if (next == USEC_INFINITY)
                return 0;
        (void) sd_event_source_set_time(source, next);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* False: this one is counted only. */
static bool may_tell(struct announcer *announcer, const struct address *source)
{
        struct prefix prefix = source_network(source);
        struct window *window = find_window(announcer, &prefix);
        usec_t now = now_usec(CLOCK_MONOTONIC);
        int enabled;

        if (window->begin_usec > 0 && now - window->begin_usec >= WINDOW_USEC)
                end_window(announcer, window);
        if (window->begin_usec == 0) {
                *window = (struct window){ .source = prefix, .begin_usec = now };
                if (sd_event_source_get_enabled(announcer->window_source, &enabled) >= 0 &&
                    enabled == SD_EVENT_OFF) {
                        (void) sd_event_source_set_time(announcer->window_source, now + WINDOW_USEC);
                        (void) sd_event_source_set_enabled(announcer->window_source, SD_EVENT_ONESHOT);
                }
        }
        window->others |= !address_equal(&window->source.base, &prefix.base);
        if (window->n_told >= REFUSALS_PER_WINDOW) {
                window->n_left_out++;
                return false;
        }
        window->n_told++;
        return true;
}

void announce_refused(struct announcer *announcer, const struct dns_name *name, const struct address *source,
                      const struct decision *decision, bool owner_mismatch)
{
        announcer->context->statistics.refusals++;
        if (may_tell(announcer, source))
                ANNOUNCE(announcer, refused, name, source, decision, owner_mismatch);
}

/* --- the rest --- */

void announce_twins(struct announcer *announcer, const struct dns_name *name, const struct name_state *state,
                    const struct address *source, const struct address *other)
{
        ANNOUNCE(announcer, twins, name, state, source, other);
}

void announce_not_stored(struct announcer *announcer, const struct dns_name *name, int error)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (announcer->not_stored_usec > 0 && now - announcer->not_stored_usec < NOT_STORED_USEC)
                return;
        announcer->not_stored_usec = now;
        ANNOUNCE(announcer, not_stored, name, error);
}

void announce_server_name_claimed(struct announcer *announcer, const struct dns_name *name,
                                  const struct name_state *state)
{
        ANNOUNCE(announcer, server_name_claimed, name, state);
}

void announce_upstream_changed(struct announcer *announcer, const struct upstream *upstream,
                               const char *reason)
{
        ANNOUNCE(announcer, upstream_changed, upstream, reason);
}

void announce_upstream_refused(struct announcer *announcer, const struct upstream *upstream,
                               const struct dns_name *name, const char *reason)
{
        ANNOUNCE(announcer, upstream_refused, upstream, name, reason);
}

void announce_upstream_drifted(struct announcer *announcer, const struct upstream *upstream,
                               const struct dns_name *owner)
{
        ANNOUNCE(announcer, upstream_drifted, upstream, owner);
}

void announce_upstream_drained(struct announcer *announcer, const struct upstream *upstream)
{
        ANNOUNCE(announcer, upstream_drained, upstream);
}

void announce_reconfigured(struct announcer *announcer, bool done)
{
        ANNOUNCE(announcer, reconfigured, done);
}

int announcer_new(struct context *context, struct announcer **ret)
{
        _cleanup_(announcer_freep) struct announcer *announcer = calloc(1, sizeof(*announcer));
        int r;

        if (!announcer)
                return -ENOMEM;
        announcer->context = context;
        STAILQ_INIT(&announcer->observers);
        r = sd_event_add_time(context->event, &announcer->expiry_source, CLOCK_MONOTONIC, 0,
                              100 * USEC_PER_MSEC, on_expiry_second, announcer);
        if (r >= 0)
                r = sd_event_source_set_enabled(announcer->expiry_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(context->event, &announcer->window_source, CLOCK_MONOTONIC, 0,
                                      USEC_PER_SEC, on_windows, announcer);
        if (r >= 0)
                r = sd_event_source_set_enabled(announcer->window_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(announcer);
        return 0;
}

void announce_end(struct announcer *announcer)
{
        for (size_t i = 0; i < TABLE_SIZE; i++)
                end_window(announcer, &announcer->windows[i]);
}

struct announcer *announcer_free(struct announcer *announcer)
{
        if (!announcer)
                return NULL;
        sd_event_source_disable_unref(announcer->expiry_source);
        sd_event_source_disable_unref(announcer->window_source);
        free(announcer);
        return NULL;
}
