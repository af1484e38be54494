/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who holds the places that there are for connections, counted at every prefix a source counts in, and who
 * has to leave when there are too many. Everything here is cheap, however many there are: a crowd that comes
 * again and again costs no more than its accepting. */

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/source.h"
#include "util/time.h"

struct place_source;
RB_HEAD(place_sources, place_source);
RB_HEAD(place_roots, place_source);

struct places {
        struct place_sources sources;
        struct place_roots roots; /* the widest prefixes, the fullest first */
};

/* One connection's place: a member of it. */
struct place {
        struct {
                TAILQ_ENTRY(place) entry;
                struct place_source *source; /* NULL: there are no more levels */
        } levels[SOURCE_LEVELS];
        bool proven;       /* had a verified message */
        usec_t since_usec; /* MONOTONIC: its last verified message, else when it came */
};

/* Whether what holds a place is in the middle of something that must not be cut. */
typedef bool (*place_is_busy)(const struct place *place);

void stream_places_init(struct places *places);
/* 0 or -ENOMEM (not added). "exempt": see source_chain(). */
int stream_places_add(struct places *places, struct place *place, const struct address *address,
                      const struct prefix_list *exempt, usec_t now_usec);
void stream_places_remove(struct places *places, struct place *place);
/* A verified message came. */
void stream_places_prove(struct places *places, struct place *place, usec_t now_usec);

enum place_verdict {
        PLACE_FREE,   /* there is room for one more from this address */
        PLACE_INSTEAD /* if this one leaves; NULL: none there can */
};

/* Is there room for one more from this address: per_source at the narrowest level, four times as many at /64,
 * eight times at /56 (both without bound if "is_exempt"), and nowhere more than "most". To be asked again
 * when the one in whose stead it is has left. */
enum place_verdict stream_places_judge(struct places *places, const struct address *address,
                                       const struct prefix_list *exempt, bool is_exempt, uint32_t per_source,
                                       uint32_t most, place_is_busy is_busy, struct place **ret);
/* Who has to leave when all places are taken: in the fullest prefix, who has been without a verified message
 * for the longest time. NULL: there is nobody. */
struct place *stream_places_fullest(struct places *places, place_is_busy is_busy);
