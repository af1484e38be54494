/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "registry/quota.h"
#include "util/source.h"

/* Tokens are counted in millionths: rates per minute leave no whole number a second. */
#define TOKEN UINT64_C(1000000)

struct bucket {
        uint64_t tokens;
        usec_t filled_usec;
};

/* How many sources that hold nothing are remembered at most; beyond that the longest unused is forgotten. */
#define IDLE_MAX 65536

struct quota_source {
        RB_ENTRY(quota_source) by_prefix;
        TAILQ_ENTRY(quota_source) by_use; /* while it holds nothing */
        struct prefix prefix;
        struct bucket updates;
        struct bucket new_names;
        struct bucket verifications;
        uint32_t n_names;
        uint32_t n_waiting;
};

static int compare_source(const struct quota_source *a, const struct quota_source *b)
{
        if (a->prefix.length != b->prefix.length)
                return a->prefix.length < b->prefix.length ? -1 : 1;
        return address_compare(&a->prefix.base, &b->prefix.base);
}

RB_HEAD(quota_tree, quota_source);
RB_PROTOTYPE(quota_tree, quota_source, by_prefix, compare_source)
RB_GENERATE(quota_tree, quota_source, by_prefix, compare_source)

struct quota {
        struct quota_tree sources;
        TAILQ_HEAD(source_list, quota_source) idle; /* the longest unused first */
        uint32_t n_idle, n_sources;
        struct peer_limits limits;
        uint64_t verification_rate;
        struct bucket verifications;
        struct bucket unknown_verifications;
};

struct quota *quota_new(void)
{
        struct quota *quota = calloc(1, sizeof(*quota));

        if (!quota)
                return NULL;
        RB_INIT(&quota->sources);
        TAILQ_INIT(&quota->idle);
        quota->limits = PEER_LIMITS_DEFAULT;
        quota->verification_rate = 1000;
        return quota;
}

static bool is_idle(const struct quota_source *source)
{
        return source->n_names == 0 && source->n_waiting == 0;
}

static void drop(struct quota *quota, struct quota_source *source)
{
        RB_REMOVE(quota_tree, &quota->sources, source);
        quota->n_sources--;
        if (is_idle(source)) {
                TAILQ_REMOVE(&quota->idle, source, by_use);
                quota->n_idle--;
        }
        free(source);
}

/* What holds something is never forgotten; there is no more of it than of what is held. */
static void hold(struct quota *quota, struct quota_source *source, int names, int waiting)
{
        bool was_idle = is_idle(source);

        assert((names >= 0 || source->n_names > 0) && (waiting >= 0 || source->n_waiting > 0));
        source->n_names += (uint32_t) names;
        source->n_waiting += (uint32_t) waiting;
        if (was_idle && !is_idle(source)) {
                TAILQ_REMOVE(&quota->idle, source, by_use);
                quota->n_idle--;
        } else if (!was_idle && is_idle(source)) {
                TAILQ_INSERT_TAIL(&quota->idle, source, by_use);
                quota->n_idle++;
        }
}

struct quota *quota_free(struct quota *quota)
{
        struct quota_source *source, *next;

        if (!quota)
                return NULL;
        RB_FOREACH_SAFE (source, quota_tree, &quota->sources, next)
                drop(quota, source);
        free(quota);
        return NULL;
}

void quota_configure(struct quota *quota, const struct peer_limits *limits, uint32_t verifications_per_second)
{
        quota->limits = *limits;
        quota->verification_rate = MAX(verifications_per_second, 10U);
}

static struct quota_source *find(const struct quota *quota, const struct address *address, unsigned level)
{
        struct quota_source key = { .prefix = source_prefix(address, level) };

        return RB_FIND(quota_tree, (struct quota_tree *) &quota->sources, &key);
}

/* NULL when memory is out. */
static struct quota_source *get(struct quota *quota, const struct address *address, unsigned level)
{
        struct quota_source *source = find(quota, address, level);

        if (source) {
                if (is_idle(source)) {
                        TAILQ_REMOVE(&quota->idle, source, by_use);
                        TAILQ_INSERT_TAIL(&quota->idle, source, by_use);
                }
                return source;
        }
        if (quota->n_idle >= IDLE_MAX)
                drop(quota, TAILQ_FIRST(&quota->idle));
        source = calloc(1, sizeof(*source));
        if (!source)
                return NULL;
        source->prefix = source_prefix(address, level);
        RB_INSERT(quota_tree, &quota->sources, source);
        quota->n_sources++;
        TAILQ_INSERT_TAIL(&quota->idle, source, by_use);
        quota->n_idle++;
        return source;
}

/* "rate" is millionths of a token per second, "burst" how many tokens there are at most. A bucket that was
 * not used for long is full. */
static void fill(struct bucket *bucket, uint64_t rate, uint64_t burst, usec_t now_usec)
{
        usec_t passed_usec = now_usec - bucket->filled_usec;

        if (bucket->filled_usec == 0 || passed_usec >= USEC_PER_MINUTE ||
            passed_usec > UINT64_MAX / (rate + 1))
                bucket->tokens = burst * TOKEN;
        else
                bucket->tokens = MIN(burst * TOKEN, bucket->tokens + passed_usec * rate / TOKEN);
        bucket->filled_usec = now_usec;
}

static bool take(struct bucket *bucket)
{
        if (bucket->tokens < TOKEN)
                return false;
        bucket->tokens -= TOKEN;
        return true;
}

static bool is_exempt(const struct quota *quota, const struct address *address)
{
        return prefix_list_contains(&quota->limits.exempt_nets, address);
}

static bool take_per_source(struct quota *quota, const struct address *address, size_t bucket_offset,
                            uint64_t rate, uint64_t burst, usec_t now_usec)
{
        struct bucket *buckets[SOURCE_LEVELS];
        unsigned n = source_levels(address);

        for (unsigned i = 0; i < n; i++) {
                struct quota_source *source = get(quota, address, i);

                if (!source)
                        return false;
                buckets[i] = (struct bucket *) ((char *) source + bucket_offset);
        }
        for (unsigned i = 0; i < n; i++) {
                struct bucket *bucket = buckets[i];

                fill(bucket, rate * source_factor(i), burst * source_factor(i), now_usec);
                if (bucket->tokens < TOKEN)
                        return false;
        }
        for (unsigned i = 0; i < n; i++)
                buckets[i]->tokens -= TOKEN;
        return true;
}

bool quota_take_update(struct quota *quota, const struct address *source, usec_t now_usec)
{
        uint64_t rate = quota->limits.updates_per_second_per_source;

        return is_exempt(quota, source) ||
               take_per_source(quota, source, offsetof(struct quota_source, updates), rate * TOKEN,
                               MAX(rate * 2, 10U), now_usec);
}

bool quota_take_new_name(struct quota *quota, const struct address *source, usec_t now_usec)
{
        uint64_t rate = quota->limits.new_names_per_minute_per_source;

        return is_exempt(quota, source) ||
               take_per_source(quota, source, offsetof(struct quota_source, new_names), rate * TOKEN / 60,
                               MAX(rate, 1U), now_usec);
}

bool quota_take_verification(struct quota *quota, const struct address *source, bool unknown_name,
                             usec_t now_usec)
{
        uint64_t rate = quota->verification_rate;
        uint64_t unknown_rate = MAX(rate * quota->limits.unknown_name_share / 100, 1U);

        fill(&quota->verifications, rate * TOKEN, rate, now_usec);
        fill(&quota->unknown_verifications, unknown_rate * TOKEN, unknown_rate, now_usec);
        if (quota->verifications.tokens < TOKEN ||
            (unknown_name && quota->unknown_verifications.tokens < TOKEN))
                return false;
        /* No prefix spends more than half of the whole on signatures that turn out wrong. */
        if (!is_exempt(quota, source) &&
            !take_per_source(quota, source, offsetof(struct quota_source, verifications), rate * TOKEN / 16,
                             MAX(rate / 16, 1U), now_usec))
                return false;
        (void) take(&quota->verifications);
        if (unknown_name)
                (void) take(&quota->unknown_verifications);
        return true;
}

void quota_return_verification(struct quota *quota, const struct address *source, bool unknown_name)
{
        unsigned n = source_levels(source);

        quota->verifications.tokens += TOKEN;
        if (unknown_name)
                quota->unknown_verifications.tokens += TOKEN;
        if (is_exempt(quota, source))
                return;
        for (unsigned i = 0; i < n; i++) {
                struct quota_source *found = find(quota, source, i);

                if (found)
                        found->verifications.tokens += TOKEN;
        }
}

bool quota_take_waiting(struct quota *quota, const struct address *source)
{
        uint32_t most = MAX(quota->limits.waiting / 2, 1U);
        struct quota_source *counted[SOURCE_LEVELS];
        unsigned n = source_levels(source);

        for (unsigned i = 0; i < n; i++) {
                counted[i] = get(quota, source, i);
                if (!counted[i] || (counted[i]->n_waiting >= most && !is_exempt(quota, source)))
                        return false;
        }
        for (unsigned i = 0; i < n; i++)
                hold(quota, counted[i], 0, 1);
        return true;
}

void quota_return_waiting(struct quota *quota, const struct address *source)
{
        unsigned n = source_levels(source);

        for (unsigned i = 0; i < n; i++) {
                struct quota_source *counted = find(quota, source, i);

                if (counted && counted->n_waiting > 0)
                        hold(quota, counted, 0, -1);
        }
}

void quota_count_name(struct quota *quota, const struct address *source, int delta)
{
        if (!source->family)
                return;
        for (unsigned i = 0; i < source_levels(source); i++) {
                struct quota_source *counted = delta > 0 ? get(quota, source, i) : find(quota, source, i);

                if (counted && (delta > 0 || counted->n_names > 0))
                        hold(quota, counted, delta, 0);
        }
}

uint32_t quota_names(const struct quota *quota, const struct address *source)
{
        const struct quota_source *found = find(quota, source, 0);

        return found ? found->n_names : 0;
}

uint32_t quota_sources(const struct quota *quota)
{
        return quota->n_sources;
}
