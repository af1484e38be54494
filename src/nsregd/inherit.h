/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* At the start: a server of a zone has another address than at the last run, or another spelling of it. Where
 * of a type and zone exactly one upstream that has rows is configured no more, and exactly one that has none
 * is, they are the same, and the rows are that one's. Between two runs this is what publisher_prepare_done()
 * is between two configurations. */

#include "nsregd/context.h"
#include "upstream/publisher.h"

/* A zone at an upstream. */
struct place {
        enum unit_mode mode;
        struct dns_name zone;
};

struct places {
        struct place *items; /* owned */
        size_t n;
};

/* Where this row is, if that is not known yet. 0 or -ENOMEM. */
int places_add(struct places *places, const struct unit_row *row);
void places_clear(struct places *places);

/* The upstream is of the type that this identity tells of, and for a zone that has places there. */
bool inherit_is_like(const char *identity, const struct places *places, const struct upstream *upstream);

/* Before rows are loaded and before store_start(). 0 or -errno with "*why" (the caller's). */
int inherit_rows(struct context *context, char **why);
