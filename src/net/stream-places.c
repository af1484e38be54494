/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/stream-places.h"

#include <errno.h>
#include <stdlib.h>

#include "util/macro.h"

/* How many are looked at for one that is not busy. */
#define LOOKS_MAX 16

TAILQ_HEAD(place_list, place);

/* One level of entries for each kind: a place is in the lists of all the prefixes it counts in. */
struct place_source {
        RB_ENTRY(place_source) by_prefix;
        RB_ENTRY(place_source) by_count; /* of a root */
        struct prefix prefix;
        unsigned level;
        bool root;
        uint32_t count, n_proven;
        struct place_list newcomers, proven; /* the longest without a verified message first */
};

static int compare_prefix(const struct place_source *a, const struct place_source *b)
{
        int r = address_compare(&a->prefix.base, &b->prefix.base);

        if (r != 0)
                return r;
        if (a->prefix.length != b->prefix.length)
                return (int) a->prefix.length - (int) b->prefix.length;
        /* The same prefix may be one source's widest and another one's narrowest. */
        return (int) a->level - (int) b->level;
}

static usec_t oldest(const struct place_source *source)
{
        const struct place *place = TAILQ_FIRST(&source->newcomers) ?: TAILQ_FIRST(&source->proven);

        return place ? place->since_usec : 0;
}

/* Among equals comes first who has somebody without a verified message, and then who has had him for longer.
 */
static int compare_count(const struct place_source *a, const struct place_source *b)
{
        bool a_proven = a->n_proven == a->count, b_proven = b->n_proven == b->count;

        if (a->count != b->count)
                return a->count > b->count ? -1 : 1;
        if (a_proven != b_proven)
                return a_proven ? 1 : -1;
        if (oldest(a) != oldest(b))
                return oldest(a) < oldest(b) ? -1 : 1;
        return compare_prefix(a, b);
}

RB_PROTOTYPE(place_sources, place_source, by_prefix, compare_prefix)
RB_GENERATE(place_sources, place_source, by_prefix, compare_prefix)
RB_PROTOTYPE(place_roots, place_source, by_count, compare_count)
RB_GENERATE(place_roots, place_source, by_count, compare_count)

void stream_places_init(struct places *places)
{
        RB_INIT(&places->sources);
        RB_INIT(&places->roots);
}

static struct place_source *find(struct places *places, const struct prefix *prefix, unsigned level)
{
        struct place_source key = { .prefix = *prefix, .level = level };

        return RB_FIND(place_sources, &places->sources, &key);
}

static struct place_source *get(struct places *places, const struct prefix *prefix, unsigned level, bool root)
{
        struct place_source *source = find(places, prefix, level);

        if (source)
                return source;
        source = calloc(1, sizeof(*source));
        if (!source)
                return NULL;
        source->prefix = *prefix;
        source->level = level;
        source->root = root;
        TAILQ_INIT(&source->newcomers);
        TAILQ_INIT(&source->proven);
        RB_INSERT(place_sources, &places->sources, source);
        if (root)
                RB_INSERT(place_roots, &places->roots, source);
        return source;
}

/* A root's place in the order depends on what it holds: it is taken out while that changes. */
static void begin_change(struct places *places, struct place_source *source)
{
        if (source->root)
                RB_REMOVE(place_roots, &places->roots, source);
}

static void end_change(struct places *places, struct place_source *source)
{
        if (source->count == 0) {
                RB_REMOVE(place_sources, &places->sources, source);
                free(source);
        } else if (source->root)
                RB_INSERT(place_roots, &places->roots, source);
}

int stream_places_add(struct places *places, struct place *place, const struct address *address,
                      const struct prefix_list *exempt, usec_t now_usec)
{
        struct prefix chain[SOURCE_LEVELS];
        unsigned n = source_chain(address, exempt, chain);

        *place = (struct place){ .since_usec = now_usec };
        for (unsigned i = 0; i < n; i++) {
                struct place_source *source = get(places, &chain[i], i, i + 1 == n);

                if (!source) {
                        stream_places_remove(places, place);
                        return -ENOMEM;
                }
                begin_change(places, source);
                source->count++;
                TAILQ_INSERT_TAIL(&source->newcomers, place, levels[i].entry);
                place->levels[i].source = source;
                end_change(places, source);
        }
        return 0;
}

void stream_places_remove(struct places *places, struct place *place)
{
        for (unsigned i = 0; i < SOURCE_LEVELS && place->levels[i].source; i++) {
                struct place_source *source = TAKE_PTR(place->levels[i].source);

                begin_change(places, source);
                TAILQ_REMOVE(place->proven ? &source->proven : &source->newcomers, place, levels[i].entry);
                source->n_proven -= place->proven;
                source->count--;
                end_change(places, source);
        }
}

void stream_places_prove(struct places *places, struct place *place, usec_t now_usec)
{
        for (unsigned i = 0; i < SOURCE_LEVELS && place->levels[i].source; i++) {
                struct place_source *source = place->levels[i].source;

                begin_change(places, source);
                TAILQ_REMOVE(place->proven ? &source->proven : &source->newcomers, place, levels[i].entry);
        }
        for (unsigned i = 0; i < SOURCE_LEVELS && place->levels[i].source; i++) {
                struct place_source *source = place->levels[i].source;

                TAILQ_INSERT_TAIL(&source->proven, place, levels[i].entry);
                source->n_proven += !place->proven;
        }
        place->proven = true;
        place->since_usec = now_usec;
        for (unsigned i = 0; i < SOURCE_LEVELS && place->levels[i].source; i++)
                end_change(places, place->levels[i].source);
}

static struct place *first_idle(const struct place_list *list, unsigned level, place_is_busy is_busy)
{
        unsigned n = 0;

        for (struct place *place = TAILQ_FIRST(list); place && n < LOOKS_MAX;
             place = TAILQ_NEXT(place, levels[level].entry), n++)
                if (!is_busy(place))
                        return place;
        return NULL;
}

/* Those without a verified message first; but a quarter of the places is left to newcomers, or nobody would
 * find one where owners keep theirs. */
static struct place *choose(const struct place_source *source, place_is_busy is_busy)
{
        struct place *newcomer, *idle;

        newcomer = first_idle(&source->newcomers, source->level, is_busy) ?: TAILQ_FIRST(&source->newcomers);
        if ((uint64_t) (source->count - source->n_proven) * 4 >= source->count)
                return newcomer;
        idle = first_idle(&source->proven, source->level, is_busy);
        return idle ?: newcomer;
}

enum place_verdict stream_places_judge(struct places *places, const struct address *address,
                                       const struct prefix_list *exempt, bool is_exempt, uint32_t per_source,
                                       uint32_t most, place_is_busy is_busy, struct place **ret)
{
        struct prefix chain[SOURCE_LEVELS];
        unsigned n = source_chain(address, exempt, chain);

        *ret = NULL;
        for (unsigned i = 0; i < n; i++) {
                const struct place_source *source = find(places, &chain[i], i);
                uint64_t bound = is_exempt ? most : MIN((uint64_t) per_source * source_factor(i), most);

                if (bound > 0 && (!source || source->count < bound))
                        continue;
                if (source)
                        *ret = choose(source, is_busy);
                return PLACE_INSTEAD;
        }
        return PLACE_FREE;
}

struct place *stream_places_fullest(struct places *places, place_is_busy is_busy)
{
        const struct place_source *source = RB_MIN(place_roots, &places->roots);

        if (!source)
                return NULL;
        return choose(source, is_busy) ?: TAILQ_FIRST(&source->proven);
}
