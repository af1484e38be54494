/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <sys/random.h>

#include "registry/quota.h"
#include "util/source.h"

/* Tokens are counted in millionths: rates per minute leave no whole number a second. */
#define TOKEN UINT64_C(1000000)

/* What is below zero has to come back first. */
struct bucket {
        int64_t tokens;
        usec_t filled_usec;
};

/* How many sources that hold nothing are remembered at most; beyond that the longest unused is forgotten. */
#define IDLE_MAX 65536
/* Among so many of those the one that loses least is forgotten. */
#define IDLE_LOOKS 8
/* Names share a table of this size by hash: what one has too much of, few others miss. */
#define STRANGERS 4096U

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
        bool busy;
        uint64_t verification_rate;
        struct bucket verifications; /* for those who have not shown who they are */
        struct bucket unknown_verifications;
        struct bucket reserve; /* for those who have */
        uint64_t seed;
        struct bucket
                strangers[STRANGERS]; /* of a name: whoever signs for it without having shown that he may */
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
        quota->busy = true;
        /* Early at boot the kernel may have no randomness yet; then it is a table that can be aimed at. */
        if (getrandom(&quota->seed, sizeof(quota->seed), GRND_NONBLOCK) < 0)
                quota->seed = 1;
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
        quota_set_verification_rate(quota, verifications_per_second);
}

void quota_set_verification_rate(struct quota *quota, uint32_t verifications_per_second)
{
        quota->verification_rate = MAX(verifications_per_second, 10U);
}

void quota_set_busy(struct quota *quota, bool busy)
{
        quota->busy = busy;
}

bool quota_is_busy(const struct quota *quota)
{
        return quota->busy;
}

static struct quota_source *find(const struct quota *quota, const struct prefix *prefix)
{
        struct quota_source key = { .prefix = *prefix };

        return RB_FIND(quota_tree, (struct quota_tree *) &quota->sources, &key);
}

static int64_t owned_by(const struct bucket *bucket)
{
        return bucket->filled_usec == 0 ? INT64_MAX : bucket->tokens;
}

static int64_t least_of(const struct quota_source *source)
{
        return MIN(MIN(owned_by(&source->updates), owned_by(&source->new_names)),
                   owned_by(&source->verifications));
}

/* Whoever owes something would get rid of that. */
static void drop_least_harmful(struct quota *quota)
{
        struct quota_source *source = TAILQ_FIRST(&quota->idle), *best = source;

        for (unsigned i = 1; i < IDLE_LOOKS && source; i++) {
                source = TAILQ_NEXT(source, by_use);
                if (source && least_of(source) > least_of(best))
                        best = source;
        }
        drop(quota, best);
}

/* NULL when memory is out. */
static struct quota_source *get(struct quota *quota, const struct prefix *prefix)
{
        struct quota_source *source = find(quota, prefix);

        if (source) {
                if (is_idle(source)) {
                        TAILQ_REMOVE(&quota->idle, source, by_use);
                        TAILQ_INSERT_TAIL(&quota->idle, source, by_use);
                }
                return source;
        }
        if (quota->n_idle >= IDLE_MAX)
                drop_least_harmful(quota);
        source = calloc(1, sizeof(*source));
        if (!source)
                return NULL;
        source->prefix = *prefix;
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
        int64_t full = (int64_t) (burst * TOKEN);

        if (bucket->filled_usec == 0 || passed_usec >= USEC_PER_MINUTE ||
            passed_usec > INT64_MAX / 2 / (rate + 1))
                bucket->tokens = full;
        else
                bucket->tokens = MIN(full, bucket->tokens + (int64_t) (passed_usec * rate / TOKEN));
        bucket->filled_usec = now_usec;
}

static bool has_token(const struct bucket *bucket)
{
        return bucket->tokens >= (int64_t) TOKEN;
}

static bool is_exempt(const struct quota *quota, const struct address *address)
{
        return prefix_list_contains(&quota->limits.exempt_nets, address);
}

/* The buckets of a source and of its networks. */
struct chain {
        struct bucket *buckets[SOURCE_LEVELS];
        unsigned n;
};

/* False: one of them is empty, or memory is out. Looked at from the widest on, so that who exhausts his
 * network's does not fill the table with his addresses. */
static bool open_chain(struct quota *quota, const struct prefix *prefixes, unsigned n, size_t bucket_offset,
                       uint64_t rate, uint64_t burst, usec_t now_usec, struct chain *ret)
{
        ret->n = n;
        for (unsigned i = n; i-- > 0;) {
                struct quota_source *source = get(quota, &prefixes[i]);

                if (!source)
                        return false;
                ret->buckets[i] = (struct bucket *) ((char *) source + bucket_offset);
                fill(ret->buckets[i], rate * source_factor(i), burst * source_factor(i), now_usec);
                if (!has_token(ret->buckets[i]))
                        return false;
        }
        return true;
}

static bool take_per_source(struct quota *quota, const struct address *address, size_t bucket_offset,
                            uint64_t rate, uint64_t burst, usec_t now_usec)
{
        struct prefix prefixes[SOURCE_LEVELS];
        unsigned n = source_levels(address);
        struct chain chain;

        for (unsigned i = 0; i < n; i++)
                prefixes[i] = source_prefix(address, i);
        if (!open_chain(quota, prefixes, n, bucket_offset, rate, burst, now_usec, &chain))
                return false;
        for (unsigned i = 0; i < n; i++)
                chain.buckets[i]->tokens -= (int64_t) TOKEN;
        return true;
}

bool quota_take_update(struct quota *quota, const struct address *source, usec_t now_usec)
{
        uint64_t rate = quota->limits.updates_per_second_per_source;

        return is_exempt(quota, source) ||
               take_per_source(quota, source, offsetof(struct quota_source, updates), rate * TOKEN,
                               MAX(rate * 2, 10U), now_usec) ||
               !quota->busy;
}

bool quota_take_new_name(struct quota *quota, const struct address *source, usec_t now_usec)
{
        uint64_t rate = quota->limits.new_names_per_minute_per_source;

        return is_exempt(quota, source) ||
               take_per_source(quota, source, offsetof(struct quota_source, new_names), rate * TOKEN / 60,
                               MAX(rate, 1U), now_usec);
}

static struct bucket *stranger_bucket(struct quota *quota, const struct dns_name *name)
{
        uint64_t hash = quota->seed;

        for (size_t i = 0; i < name->length; i++) {
                hash = (hash ^ name->wire[i]) * UINT64_C(1099511628211);
                hash ^= hash >> 29;
        }
        return &quota->strangers[hash % STRANGERS];
}

/* No prefix spends more than half of the whole on signatures that turn out wrong; nor do those whom no rate
 * binds, all together. */
static bool open_source(struct quota *quota, const struct address *address, usec_t now_usec,
                        struct chain *ret)
{
        static const struct prefix_list none;
        uint64_t rate = quota->verification_rate;
        struct prefix chain[SOURCE_LEVELS];
        bool exempt = is_exempt(quota, address);
        unsigned n = source_chain(address, exempt ? &quota->limits.exempt_nets : &none, chain);

        if (exempt)
                return open_chain(quota, chain + n - 1, 1, offsetof(struct quota_source, verifications),
                                  rate * TOKEN / 2, MAX(rate / 2, 1U), now_usec, ret);
        return open_chain(quota, chain, n, offsetof(struct quota_source, verifications), rate * TOKEN / 16,
                          MAX(rate / 16, 1U), now_usec, ret);
}

static void loan_add(struct quota_loan *loan, struct bucket *bucket)
{
        assert(loan->n_buckets < ELEMENTSOF(loan->buckets));
        bucket->tokens -= (int64_t) (loan->weight * TOKEN);
        loan->buckets[loan->n_buckets++] = bucket;
}

static bool lend_reserve(struct quota *quota, usec_t now_usec, struct quota_loan *loan)
{
        fill(&quota->reserve, quota->verification_rate * TOKEN, quota->verification_rate, now_usec);
        if (!has_token(&quota->reserve))
                return false;
        loan_add(loan, &quota->reserve);
        return true;
}

static bool lend_to_stranger(struct quota *quota, const struct dns_name *name, const struct address *source,
                             bool unknown_name, usec_t now_usec, struct quota_loan *loan)
{
        uint64_t rate = quota->verification_rate, share;
        struct bucket *shared;
        struct chain chain;

        /* Names that nobody has share one part; of names that somebody has, each has one of its own. */
        share = unknown_name ? MAX(rate * quota->limits.unknown_name_share / 100, 1U) : MAX(rate / 4, 1U);
        shared = unknown_name ? &quota->unknown_verifications : stranger_bucket(quota, name);
        fill(&quota->verifications, rate * TOKEN, rate, now_usec);
        fill(shared, share * TOKEN, share, now_usec);
        if (!has_token(&quota->verifications) || !has_token(shared) ||
            !open_source(quota, source, now_usec, &chain))
                return false;
        loan_add(loan, &quota->verifications);
        loan_add(loan, shared);
        for (unsigned i = 0; i < chain.n; i++)
                loan_add(loan, chain.buckets[i]);
        return true;
}

bool quota_take_verification(struct quota *quota, const struct dns_name *name, const struct address *source,
                             enum quota_asker asker, unsigned weight, usec_t now_usec, struct quota_loan *ret)
{
        *ret = (struct quota_loan){ .weight = MAX(weight, 1U) };
        if (asker == QUOTA_PROVEN && lend_reserve(quota, now_usec, ret))
                return true;
        return lend_to_stranger(quota, name, source, asker == QUOTA_UNKNOWN_NAME, now_usec, ret) ||
               !quota->busy;
}

void quota_return_verification(struct quota_loan *loan)
{
        for (unsigned i = 0; i < loan->n_buckets; i++)
                loan->buckets[i]->tokens += (int64_t) (loan->weight * TOKEN);
        loan->n_buckets = 0;
}

bool quota_take_waiting(struct quota *quota, const struct address *source, struct quota_wait *ret)
{
        uint32_t most = MAX(quota->limits.waiting / 2, 1U);
        struct quota_source *counted[SOURCE_LEVELS];
        struct quota_wait wait;

        wait.n = source_chain(source, &quota->limits.exempt_nets, wait.prefixes);
        for (unsigned i = wait.n; i-- > 0;) {
                counted[i] = get(quota, &wait.prefixes[i]);
                if (!counted[i] || counted[i]->n_waiting >= most)
                        return false;
        }
        for (unsigned i = 0; i < wait.n; i++)
                hold(quota, counted[i], 0, 1);
        *ret = wait;
        return true;
}

void quota_return_waiting(struct quota *quota, struct quota_wait *wait)
{
        for (unsigned i = 0; i < wait->n; i++) {
                struct quota_source *counted = find(quota, &wait->prefixes[i]);

                assert(counted);
                hold(quota, counted, 0, -1);
        }
        wait->n = 0;
}

/* Names are counted at the network as well: a /24 or /64. */
static void name_prefixes(const struct address *source, struct prefix prefixes[static 2])
{
        prefixes[0] = source_prefix(source, 0);
        prefixes[1] = prefix_from_address(source, source->family == AF_INET6 ? 64 : 24);
}

void quota_count_name(struct quota *quota, const struct address *source, int delta)
{
        struct prefix prefixes[2];

        if (!source->family)
                return;
        name_prefixes(source, prefixes);
        for (unsigned i = 0; i < ELEMENTSOF(prefixes); i++) {
                struct quota_source *counted = delta > 0 ? get(quota, &prefixes[i])
                                                         : find(quota, &prefixes[i]);

                if (counted && (delta > 0 || counted->n_names > 0))
                        hold(quota, counted, delta, 0);
        }
}

static uint32_t names_of(const struct quota *quota, const struct prefix *prefix)
{
        const struct quota_source *found = find(quota, prefix);

        return found ? found->n_names : 0;
}

uint32_t quota_names(const struct quota *quota, const struct address *source)
{
        struct prefix prefixes[2];

        name_prefixes(source, prefixes);
        return names_of(quota, &prefixes[0]);
}

uint32_t quota_names_of_network(const struct quota *quota, const struct address *source)
{
        struct prefix prefixes[2];

        name_prefixes(source, prefixes);
        return names_of(quota, &prefixes[1]);
}

uint32_t quota_sources(const struct quota *quota)
{
        return quota->n_sources;
}
