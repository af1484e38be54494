/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/inherit.h"
#include "util/log.h"

/* An upstream that has rows. */
struct former {
        char *identity; /* owned */
        bool configured;
        struct places places;
};

struct formers {
        struct context *context;
        struct former *items; /* owned */
        size_t n;
};

void places_clear(struct places *places)
{
        free(places->items);
        *places = (struct places){};
}

int places_add(struct places *places, const struct unit_row *row)
{
        struct place *items;

        for (size_t i = 0; i < places->n; i++)
                if (places->items[i].mode == row->mode && dns_name_equal(&places->items[i].zone, &row->zone))
                        return 0;
        items = reallocarray(places->items, places->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        places->items = items;
        items[places->n++] = (struct place){ .mode = row->mode, .zone = row->zone };
        return 0;
}

static void formers_clear(struct formers *formers)
{
        for (size_t i = 0; i < formers->n; i++) {
                free(formers->items[i].identity);
                places_clear(&formers->items[i].places);
        }
        free(formers->items);
        *formers = (struct formers){};
}

static int add_former(struct formers *formers, const char *identity)
{
        struct former *items = reallocarray(formers->items, formers->n + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        formers->items = items;
        items[formers->n] = (struct former){ .identity = strdup(identity) };
        if (!items[formers->n].identity)
                return -ENOMEM;
        items[formers->n].configured = publisher_find(formers->context->publisher, identity);
        formers->n++;
        return 0;
}

/* They come in the order of their upstreams. */
static int on_place(void *userdata, const struct unit_row *row)
{
        struct formers *formers = userdata;
        int r;

        if (formers->n == 0 || !streq(formers->items[formers->n - 1].identity, row->upstream)) {
                r = add_former(formers, row->upstream);
                if (r < 0)
                        return r;
        }
        return places_add(&formers->items[formers->n - 1].places, row);
}

static bool has_rows(const struct formers *formers, const struct upstream *upstream)
{
        for (size_t i = 0; i < formers->n; i++)
                if (streq(formers->items[i].identity, upstream->identity))
                        return true;
        return false;
}

static bool same_type(const char *a, const char *b)
{
        size_t length = strcspn(a, " ");

        return length == strcspn(b, " ") && memcmp(a, b, length) == 0;
}

bool inherit_is_like(const char *identity, const struct places *places, const struct upstream *upstream)
{
        const struct plan_lane *named_for = upstream->plan->lanes;

        if (upstream->plan->n_lanes == 0 || !same_type(identity, upstream->identity))
                return false;
        for (size_t i = 0; i < places->n; i++)
                if (places->items[i].mode == named_for->mode &&
                    dns_name_equal(&places->items[i].zone, &named_for->zone))
                        return true;
        return false;
}

/* The upstream is for a zone that this one was for. */
static bool is_like(const struct former *former, const struct upstream *upstream)
{
        return !former->configured && inherit_is_like(former->identity, &former->places, upstream);
}

static const struct upstream *find_heir(const struct formers *formers, const struct former *former)
{
        const struct upstream *upstream, *heir = NULL;

        LIST_FOREACH (upstream, publisher_upstreams(formers->context->publisher), upstreams) {
                if (has_rows(formers, upstream) || !is_like(former, upstream))
                        continue;
                if (heir)
                        return NULL;
                heir = upstream;
        }
        for (size_t i = 0; i < formers->n && heir; i++)
                if (&formers->items[i] != former && is_like(&formers->items[i], heir))
                        return NULL;
        return heir;
}

static const struct store_loader loader = { .place = on_place };

int inherit_rows(struct context *context, char **why)
{
        _cleanup_(formers_clear) struct formers formers = { .context = context };
        int r;

        r = store_load_places(context->store, &loader, &formers, why);
        for (size_t i = 0; i < formers.n && r >= 0; i++) {
                const struct former *former = &formers.items[i];
                const struct upstream *heir = find_heir(&formers, former);

                if (!heir)
                        continue;
                r = store_inherit_units(context->store, former->identity, heir->identity);
                if (r >= 0)
                        log_notice("The zone of upstream %s is at %s now, where nothing was published yet: "
                                   "the same server at another address. What was published stays ours.",
                                   former->identity, heir->identity);
        }
        return r;
}
