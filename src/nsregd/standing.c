/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/random.h>

#include "nsregd/standing.h"

/* A name of each family has its place in one of the sets, and in a set goes who was not heard of for the
 * longest time. */
#define SETS 16384U
#define WAYS 4U

/* Counted in thousandths. */
#define UPDATES_PER_SECOND  10U
#define UPDATES_AT_ONCE     20U
#define FAILURES_PER_SECOND 1U
#define FAILURES_AT_ONCE    8U

struct purse {
        uint32_t updates, failures;
};

struct entry {
        uint64_t name; /* hash, with the family; 0: unused */
        uint64_t network, address;
        usec_t proven_usec;
        usec_t filled_usec;
        /* The address has one of its own: neighbours cannot empty it. */
        struct purse of_network, of_address;
};

struct standing {
        uint64_t seed;
        struct entry entries[SETS][WAYS];
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
static uint64_t hash_name(const struct standing *standing, const struct dns_name *name,
                          const struct address *source)
{
        return standing_mix(standing->seed ^ source->family, name->wire, name->length) | 1;
}

/* A host may take any address of its /64. */
static uint64_t hash_network(const struct standing *standing, const struct address *source)
{
        return standing_mix(standing->seed, source->bytes, source->family == AF_INET6 ? 8 : 4);
}

static uint64_t hash_address(const struct standing *standing, const struct address *source)
{
        return standing_mix(standing->seed, source->bytes, address_size(source));
}

static struct entry *standing_find(const struct standing *standing, const struct dns_name *name,
                                   const struct address *source)
{
        uint64_t hash = hash_name(standing, name, source);
        const struct entry *set = standing->entries[(hash >> 16) % SETS];

        for (unsigned i = 0; i < WAYS; i++)
                if (set[i].name == hash)
                        return set[i].network == hash_network(standing, source) ? (struct entry *) &set[i]
                                                                                : NULL;
        return NULL;
}

void standing_note(struct standing *standing, const struct dns_name *name, const struct address *source,
                   usec_t now_usec)
{
        static const struct purse full = { UPDATES_AT_ONCE * 1000, FAILURES_AT_ONCE * 1000 };
        uint64_t hash = hash_name(standing, name, source), network = hash_network(standing, source);
        struct entry *set = standing->entries[(hash >> 16) % SETS], *found = &set[0];

        for (unsigned i = 0; i < WAYS && found->name != hash; i++)
                if (set[i].name == hash || set[i].proven_usec < found->proven_usec)
                        found = &set[i];
        if (found->name != hash || found->network != network)
                *found = (struct entry){ .name = hash,
                                         .network = network,
                                         .filled_usec = now_usec,
                                         .of_network = full,
                                         .of_address = full };
        found->address = hash_address(standing, source);
        found->proven_usec = now_usec;
}

bool standing_has(const struct standing *standing, const struct dns_name *name, const struct address *source)
{
        return standing_find(standing, name, source) != NULL;
}

static void fill_purse(struct purse *purse, uint32_t passed_msec)
{
        purse->updates = MIN(purse->updates + passed_msec * UPDATES_PER_SECOND, UPDATES_AT_ONCE * 1000);
        purse->failures = MIN(purse->failures + passed_msec * FAILURES_PER_SECOND, FAILURES_AT_ONCE * 1000);
}

/* NULL: none. */
static struct purse *standing_open(struct standing *standing, const struct dns_name *name,
                                   const struct address *source, usec_t now_usec)
{
        struct entry *entry = standing_find(standing, name, source);
        uint32_t passed_msec;

        if (!entry)
                return NULL;
        passed_msec = (uint32_t) MIN((now_usec - entry->filled_usec) / USEC_PER_MSEC, UINT64_C(60000));
        if (passed_msec > 0) {
                fill_purse(&entry->of_network, passed_msec);
                fill_purse(&entry->of_address, passed_msec);
                entry->filled_usec = now_usec;
        }
        return entry->address == hash_address(standing, source) ? &entry->of_address : &entry->of_network;
}

static bool take_of(uint32_t *thousandths)
{
        if (*thousandths < 1000)
                return false;
        *thousandths -= 1000;
        return true;
}

bool standing_take_update(struct standing *standing, const struct dns_name *name,
                          const struct address *source, usec_t now_usec)
{
        struct purse *purse = standing_open(standing, name, source, now_usec);

        return purse && take_of(&purse->updates);
}

bool standing_take_failure(struct standing *standing, const struct dns_name *name,
                           const struct address *source, usec_t now_usec)
{
        struct purse *purse = standing_open(standing, name, source, now_usec);

        return purse && take_of(&purse->failures);
}

void standing_return_failure(struct standing *standing, const struct dns_name *name,
                             const struct address *source, usec_t now_usec)
{
        struct purse *purse = standing_open(standing, name, source, now_usec);

        if (purse)
                purse->failures = MIN(purse->failures + 1000, FAILURES_AT_ONCE * 1000);
}
