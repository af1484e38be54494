/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "nsregd/keycache.h"

struct cached_key {
        RB_ENTRY(cached_key) by_key;
        TAILQ_ENTRY(cached_key) by_use;
        EVP_PKEY *pkey;
        const struct dns_key *key; /* the copy below; in a search, somebody's own */
        struct dns_key copy;       /* as long as it has to be */
};

static int compare_key(const struct cached_key *a, const struct cached_key *b)
{
        if (a->key->algorithm != b->key->algorithm)
                return a->key->algorithm < b->key->algorithm ? -1 : 1;
        if (a->key->length != b->key->length)
                return a->key->length < b->key->length ? -1 : 1;
        return memcmp(a->key->public_key, b->key->public_key, a->key->length);
}

RB_HEAD(key_tree, cached_key);
RB_PROTOTYPE(key_tree, cached_key, by_key, compare_key)
RB_GENERATE(key_tree, cached_key, by_key, compare_key)

struct keycache {
        struct key_tree keys;
        TAILQ_HEAD(, cached_key) uses; /* the least recent first */
        unsigned n_keys;
        unsigned n_max;
};

struct keycache *keycache_new(unsigned n_max)
{
        struct keycache *cache = calloc(1, sizeof(*cache));

        if (!cache)
                return NULL;
        RB_INIT(&cache->keys);
        TAILQ_INIT(&cache->uses);
        cache->n_max = n_max;
        return cache;
}

static void drop(struct keycache *cache, struct cached_key *cached)
{
        RB_REMOVE(key_tree, &cache->keys, cached);
        TAILQ_REMOVE(&cache->uses, cached, by_use);
        cache->n_keys--;
        EVP_PKEY_free(cached->pkey);
        free(cached);
}

struct keycache *keycache_free(struct keycache *cache)
{
        if (!cache)
                return NULL;
        while (!TAILQ_EMPTY(&cache->uses))
                drop(cache, TAILQ_FIRST(&cache->uses));
        free(cache);
        return NULL;
}

static int keycache_load(const struct dns_key *key, EVP_PKEY **ret, const char **why)
{
        int r = dns_key_check(key, why);

        return r < 0 ? r : dns_key_load(key, ret);
}

int keycache_get(struct keycache *cache, const struct dns_key *key, EVP_PKEY **ret, const char **why)
{
        struct cached_key *cached, search;

        search.key = key;
        cached = RB_FIND(key_tree, &cache->keys, &search);
        if (cached) {
                TAILQ_REMOVE(&cache->uses, cached, by_use);
                TAILQ_INSERT_TAIL(&cache->uses, cached, by_use);
                EVP_PKEY_up_ref(cached->pkey);
                *ret = cached->pkey;
                return 0;
        }
        return keycache_load(key, ret, why);
}

void keycache_keep(struct keycache *cache, const struct dns_key *key, EVP_PKEY *pkey)
{
        struct cached_key *cached, search;

        search.key = key;
        if (RB_FIND(key_tree, &cache->keys, &search))
                return;
        cached = malloc(offsetof(struct cached_key, copy) + offsetof(struct dns_key, public_key) +
                        key->length);
        if (!cached)
                return;
        EVP_PKEY_up_ref(pkey);
        cached->pkey = pkey;
        memcpy(&cached->copy, key, offsetof(struct dns_key, public_key) + key->length);
        cached->key = &cached->copy;
        if (cache->n_keys >= cache->n_max)
                drop(cache, TAILQ_FIRST(&cache->uses));
        RB_INSERT(key_tree, &cache->keys, cached);
        TAILQ_INSERT_TAIL(&cache->uses, cached, by_use);
        cache->n_keys++;
}
