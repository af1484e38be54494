/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/twins.h"

#include <sys/random.h>

#define BUCKETS         256
#define BUCKET_SIZE     4
#define ADDRESSES_MAX   16 /* that are compared; more are passed over */
#define SWEEPS_MAX      3  /* in turn, where all that was seen were whole sets replaced */
#define NEWS_USEC       (24 * USEC_PER_HOUR)
#define NEWS_PER_MINUTE 10

struct address_list {
        struct address items[ADDRESSES_MAX];
        unsigned n_items;
};

/* The request of a name that was last to pass over records. */
struct sighting {
        uint64_t hash;         /* of name and key; 0: unused */
        struct address source; /* family 0: that is forgotten */
        usec_t until_usec;     /* what it asked for ends then */
        struct address_list asked, passed_over;
        unsigned n_sweeps; /* in turn */
        bool two;
        struct address other;
        usec_t told_usec; /* 0: never */
};

struct twins {
        uint64_t seed;
        usec_t minute_usec; /* when the one began in which ... */
        unsigned n_news;    /* ... so much was told */
        struct sighting sightings[BUCKETS][BUCKET_SIZE];
};

struct twins *twins_new(void)
{
        struct twins *twins = calloc(1, sizeof(*twins));

        if (!twins)
                return NULL;
        /* Early at boot the kernel may have no randomness yet; then it is a table that can be aimed at. */
        if (getrandom(&twins->seed, sizeof(twins->seed), GRND_NONBLOCK) < 0)
                twins->seed = 1;
        return twins;
}

struct twins *twins_free(struct twins *twins)
{
        free(twins);
        return NULL;
}

static uint64_t twins_mix(uint64_t hash, const uint8_t *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
                hash ^= hash >> 29;
        }
        return hash;
}

static uint64_t twins_hash(const struct twins *twins, const struct dns_name *name, const struct dns_key *key)
{
        uint64_t hash = twins_mix(twins->seed, name->wire, name->length);

        return twins_mix(hash, key->public_key, key->length) | 1;
}

/* --- lists of addresses --- */

static void list_add(struct address_list *list, const struct address *address)
{
        if (list->n_items < ADDRESSES_MAX)
                list->items[list->n_items++] = *address;
}

static bool list_has(const struct address_list *list, const struct address *address)
{
        for (unsigned i = 0; i < list->n_items; i++)
                if (address_equal(&list->items[i], address))
                        return true;
        return false;
}

static bool lists_meet(const struct address_list *a, const struct address_list *b)
{
        for (unsigned i = 0; i < a->n_items; i++)
                if (list_has(b, &a->items[i]))
                        return true;
        return false;
}

/* --- what a request speaks of --- */

struct speech {
        struct address_list asked, removed, passed_over;
        bool sweeps; /* what is passed over goes, with its set */
};

static bool names(const struct update *update, enum operation_kind kind, const struct address *address)
{
        for (unsigned i = 0; i < update->n_operations; i++)
                if (update->operations[i].kind == kind &&
                    address_equal(&update->operations[i].address, address))
                        return true;
        return false;
}

static bool asks_in_family(const struct update *update, uint8_t family)
{
        for (unsigned i = 0; i < update->n_operations; i++)
                if (update->operations[i].kind == OPERATION_ADD && !update->operations[i].filtered &&
                    update->operations[i].address.family == family)
                        return true;
        return false;
}

/* Of families that it does not ask in it says nothing: programs exist that do one at a time. */
static struct speech speech_of(const struct update *update, const struct name_state *before)
{
        struct speech speech = {};

        for (unsigned i = 0; i < update->n_operations; i++) {
                const struct operation *operation = &update->operations[i];

                /* Of addresses alone: other records are told by other programs. */
                if (operation->kind == OPERATION_ADD && operation->address.family && !operation->filtered)
                        list_add(&speech.asked, &operation->address);
                else if (operation->kind == OPERATION_DELETE_RR && operation->address.family)
                        list_add(&speech.removed, &operation->address);
                else if (operation->operand.below_length == 0 &&
                         (operation->kind == OPERATION_DELETE_ALL ||
                          (operation->kind == OPERATION_DELETE_RRSET &&
                           record_type_bit(operation->type) == 0)))
                        speech.sweeps = true;
        }
        for (unsigned i = 0; i < before->n_records; i++) {
                struct address address = record_address(&before->records[i]);

                if (address.family && asks_in_family(update, address.family) &&
                    !names(update, OPERATION_ADD, &address) && !names(update, OPERATION_DELETE_RR, &address))
                        list_add(&speech.passed_over, &address);
        }
        return speech;
}

/* --- sightings --- */

static struct sighting *sighting_find(struct twins *twins, uint64_t hash)
{
        struct sighting *bucket = twins->sightings[(hash >> 16) % BUCKETS];

        for (unsigned i = 0; i < BUCKET_SIZE; i++)
                if (bucket[i].hash == hash)
                        return &bucket[i];
        return NULL;
}

/* In place of the one that ends first. */
static struct sighting *sighting_make(struct twins *twins, uint64_t hash)
{
        struct sighting *bucket = twins->sightings[(hash >> 16) % BUCKETS], *oldest = bucket;

        for (unsigned i = 1; i < BUCKET_SIZE; i++)
                if (bucket[i].until_usec < oldest->until_usec)
                        oldest = &bucket[i];
        *oldest = (struct sighting){ .hash = hash };
        return oldest;
}

static void sighting_forget(struct sighting *sighting)
{
        *sighting = (struct sighting){ .hash = sighting->hash, .told_usec = sighting->told_usec };
}

/* Each asks for what the other passes over; neither is where the other's records are. */
static bool answers(const struct sighting *sighting, const struct address *source,
                    const struct speech *speech, usec_t now)
{
        return sighting->source.family && now < sighting->until_usec &&
               !address_equal(&sighting->source, source) && !list_has(&sighting->asked, source) &&
               !list_has(&speech->asked, &sighting->source) &&
               lists_meet(&sighting->asked, &speech->passed_over) &&
               lists_meet(&sighting->passed_over, &speech->asked);
}

/* Who speaks is the one that spoke last; a machine may have several addresses to speak from. */
static bool is_same(const struct sighting *sighting, const struct address *source,
                    const struct speech *speech)
{
        return address_equal(&sighting->source, source) || lists_meet(&sighting->asked, &speech->asked);
}

static bool is_news(struct twins *twins, struct sighting *sighting, usec_t now)
{
        if (sighting->told_usec > 0 && now - sighting->told_usec < NEWS_USEC)
                return false;
        if (twins->minute_usec == 0 || now - twins->minute_usec >= USEC_PER_MINUTE) {
                twins->minute_usec = now;
                twins->n_news = 0;
        }
        /* What is too much now is told with a later request. */
        if (twins->n_news >= NEWS_PER_MINUTE)
                return false;
        twins->n_news++;
        sighting->told_usec = now;
        return true;
}

static void sighting_judge(struct sighting *sighting, const struct update *update,
                           const struct speech *speech, usec_t now)
{
        if (answers(sighting, &update->source, speech, now)) {
                sighting->n_sweeps = speech->sweeps ? sighting->n_sweeps + 1 : SWEEPS_MAX;
                sighting->two |= sighting->n_sweeps >= SWEEPS_MAX;
                sighting->other = sighting->source;
        } else if (now >= sighting->until_usec || !is_same(sighting, &update->source, speech)) {
                sighting->n_sweeps = 0;
                sighting->two = false;
        }
}

struct twin_sighting twins_note(struct twins *twins, const struct update *update,
                                const struct name_state *before, uint32_t lease_sec, usec_t now)
{
        struct twin_sighting ret = {};
        struct sighting *sighting;
        struct speech speech;
        uint64_t hash;

        if (!before || !before->claimed)
                return ret;
        hash = twins_hash(twins, &update->name, before->key);
        sighting = sighting_find(twins, hash);
        speech = speech_of(update, before);
        if (speech.passed_over.n_items == 0) {
                /* It knows what the other one has. */
                if (sighting && lists_meet(&speech.removed, &sighting->asked))
                        sighting_forget(sighting);
                return ret;
        }
        if (!sighting)
                sighting = sighting_make(twins, hash);
        sighting_judge(sighting, update, &speech, now);
        sighting->source = update->source;
        sighting->until_usec = usec_add(now, lease_sec * USEC_PER_SEC);
        sighting->asked = speech.asked;
        sighting->passed_over = speech.passed_over;
        if (!sighting->two)
                return ret;
        ret = (struct twin_sighting){ true, is_news(twins, sighting, now), sighting->other };
        return ret;
}
