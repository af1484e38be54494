/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/random.h>

#include "nsregd/repeat.h"
#include "registry/update.h"

#define ENTRIES 65536U

struct entry {
        uint64_t is_signed, octets; /* hashes: of what is signed, 0 is none; of the whole */
};

struct repeats {
        uint64_t seed;
        struct entry entries[ENTRIES];
};

struct repeats *repeats_new(void)
{
        struct repeats *repeats = calloc(1, sizeof(*repeats));

        if (!repeats)
                return NULL;
        /* Early at boot the kernel may have no randomness yet; then it is a table that can be aimed at. */
        if (getrandom(&repeats->seed, sizeof(repeats->seed), GRND_NONBLOCK) < 0)
                repeats->seed = 1;
        return repeats;
}

struct repeats *repeats_free(struct repeats *repeats)
{
        free(repeats);
        return NULL;
}

/* Every octet changes it, in a way that nobody outside knows. */
static uint64_t hash_octets(const struct repeats *repeats, const uint8_t *octets, size_t size)
{
        uint64_t hash = repeats->seed ^ size, word;

        for (size_t i = 0; i < size; i += sizeof(word)) {
                word = 0;
                memcpy(&word, octets + i, MIN(sizeof(word), size - i));
                hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
                hash ^= hash >> 32;
        }
        return hash;
}

static struct entry *repeats_find(const struct repeats *repeats, const struct update *update,
                                  uint64_t *ret_signed)
{
        memcpy(ret_signed, update->hash, sizeof(*ret_signed));
        *ret_signed |= 1;
        return (struct entry *) &repeats->entries[(*ret_signed >> 16) % ENTRIES];
}

void repeats_note(struct repeats *repeats, const struct update *update, const uint8_t *octets, size_t size)
{
        uint64_t is_signed;
        struct entry *entry = repeats_find(repeats, update, &is_signed);

        *entry = (struct entry){ is_signed, hash_octets(repeats, octets, size) };
}

enum repeat_verdict repeats_judge(const struct repeats *repeats, const struct update *update,
                                  const uint8_t *octets, size_t size)
{
        uint64_t is_signed;
        const struct entry *entry = repeats_find(repeats, update, &is_signed);

        if (entry->is_signed != is_signed)
                return REPEAT_UNKNOWN;
        return entry->octets == hash_octets(repeats, octets, size) ? REPEAT_SAME : REPEAT_OTHER;
}
