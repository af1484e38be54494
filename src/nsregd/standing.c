/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/random.h>

#include "nsregd/standing.h"

#define ENTRIES 65536U

struct standing {
        uint64_t seed;
        uint64_t hashes[ENTRIES];
};

struct standing *standing_new(void)
{
        struct standing *standing = calloc(1, sizeof(*standing));

        if (!standing)
                return NULL;
        /* Early at boot the kernel may have no randomness yet; then it is a table that can be aimed at. */
        if (getrandom(&standing->seed, sizeof(standing->seed), GRND_NONBLOCK) < 0)
                standing->seed = 1;
        return standing;
}

struct standing *standing_free(struct standing *standing)
{
        free(standing);
        return NULL;
}

static uint64_t standing_mix(uint64_t hash, const uint8_t *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
                hash ^= hash >> 29;
        }
        return hash;
}

/* Never 0, which stands for nobody. */
static uint64_t standing_hash(const struct standing *standing, const struct dns_name *name,
                              const struct address *source)
{
        uint64_t hash = standing_mix(standing->seed, name->wire, name->length);

        return standing_mix(hash, source->bytes, address_size(source)) | 1;
}

void standing_note(struct standing *standing, const struct dns_name *name, const struct address *source)
{
        uint64_t hash = standing_hash(standing, name, source);

        standing->hashes[(hash >> 16) % ENTRIES] = hash;
}

bool standing_has(const struct standing *standing, const struct dns_name *name, const struct address *source)
{
        uint64_t hash = standing_hash(standing, name, source);

        return standing->hashes[(hash >> 16) % ENTRIES] == hash;
}
