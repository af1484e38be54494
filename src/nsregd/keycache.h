/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parsed public keys, least recently used first out: parsing costs a quarter of a verification. */

#include <openssl/evp.h>

#include "dns/key.h"

struct keycache;

struct keycache *keycache_new(unsigned n_max);
struct keycache *keycache_free(struct keycache *cache);
DEFINE_CLEANUP(struct keycache *, keycache_free)

/* Owned by the caller. Errors as dns_key_load(). */
int keycache_get(struct keycache *cache, const struct dns_key *key, EVP_PKEY **ret, const char **why);
/* Something was signed with it: only such keys are worth a place. Without memory it is parsed again. */
void keycache_keep(struct keycache *cache, const struct dns_key *key, EVP_PKEY *pkey);
