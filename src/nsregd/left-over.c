/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/left-over.h"
#include "nsregd/inherit.h"
#include "util/log.h"

struct left_over_upstream {
        char *identity; /* owned */
        struct places places;
        unsigned n_accepted;
};

struct left_over {
        struct context *context;
        struct left_over_upstream *upstreams; /* owned */
        size_t n;
};

int left_over_new(struct context *context, struct left_over **ret)
{
        struct left_over *left_over = calloc(1, sizeof(*left_over));

        if (!left_over)
                return -ENOMEM;
        left_over->context = context;
        *ret = left_over;
        return 0;
}

struct left_over *left_over_free(struct left_over *left_over)
{
        if (!left_over)
                return NULL;
        for (size_t i = 0; i < left_over->n; i++) {
                free(left_over->upstreams[i].identity);
                places_clear(&left_over->upstreams[i].places);
        }
        free(left_over->upstreams);
        free(left_over);
        return NULL;
}

static struct left_over_upstream *left_over_find(const struct left_over *left_over, const char *upstream)
{
        for (size_t i = 0; i < left_over->n; i++)
                if (streq(left_over->upstreams[i].identity, upstream))
                        return &left_over->upstreams[i];
        return NULL;
}

int left_over_add(struct left_over *left_over, const struct unit_row *row)
{
        struct left_over_upstream *found = left_over_find(left_over, row->upstream), *upstreams;
        char *identity;

        if (!found) {
                upstreams = reallocarray(left_over->upstreams, left_over->n + 1, sizeof(*upstreams));
                if (!upstreams)
                        return -ENOMEM;
                left_over->upstreams = upstreams;
                identity = strdup(row->upstream);
                if (!identity)
                        return -ENOMEM;
                found = &upstreams[left_over->n++];
                *found = (struct left_over_upstream){ .identity = identity };
        }
        if (row->flags & UNIT_ROW_ACCEPTED)
                found->n_accepted++;
        return places_add(&found->places, row);
}

void left_over_tell(const struct left_over *left_over)
{
        for (size_t i = 0; i < left_over->n; i++) {
                const struct left_over_upstream *upstream = &left_over->upstreams[i];

                /* Where nothing was ever accepted, nothing has to be taken away. */
                if (upstream->n_accepted > 0)
                        log_warning("Upstream %s is configured no more, and %u names and addresses were left "
                                    "there. They are taken away when it is configured again; \"nsregctl "
                                    "forget '%s'\" leaves them to you.",
                                    upstream->identity, upstream->n_accepted, upstream->identity);
        }
}

/* Two that come for one that went: which of them it is, nobody knows. */
static bool is_alone(const struct left_over *left_over, const struct left_over_upstream *former)
{
        const struct upstream *upstream;
        unsigned n = 0;

        LIST_FOREACH (upstream, publisher_upstreams(left_over->context->publisher), upstreams)
                n += upstream->state == UPSTREAM_JOINING &&
                     inherit_is_like(former->identity, &former->places, upstream);
        return n == 1;
}

const char *left_over_find_former(const struct left_over *left_over, const struct upstream *upstream)
{
        const char *former = NULL;

        for (size_t i = 0; i < left_over->n; i++) {
                const struct left_over_upstream *candidate = &left_over->upstreams[i];

                /* It is the same one, at the same address. */
                if (streq(candidate->identity, upstream->identity))
                        return NULL;
                /* Configured again, it has its rows. */
                if (publisher_find(left_over->context->publisher, candidate->identity) ||
                    !inherit_is_like(candidate->identity, &candidate->places, upstream))
                        continue;
                if (former || !is_alone(left_over, candidate))
                        return NULL;
                former = candidate->identity;
        }
        return former;
}

void left_over_remove(struct left_over *left_over, const char *upstream)
{
        struct left_over_upstream *found = left_over_find(left_over, upstream);

        if (!found)
                return;
        free(found->identity);
        places_clear(&found->places);
        *found = left_over->upstreams[--left_over->n];
}

void left_over_forgotten(struct left_over *left_over, const char *upstream)
{
        left_over_remove(left_over, upstream);
        /* The store tries it again by itself; without memory they are told of at the next start. */
        if (store_move_units(left_over->context->store, upstream, NULL, NULL, NULL) < 0)
                log_warning("Out of memory: what is known of %s is not forgotten.", upstream);
        else
                log_notice("Upstream %s is forgotten; what is left there is nobody's.", upstream);
}

int left_over_forget(struct left_over *left_over, const char *upstream)
{
        int r = publisher_forget(left_over->context->publisher, upstream);

        /* One that is there is told of when it is let go. */
        if (r != -ENOENT)
                return r;
        if (!left_over_find(left_over, upstream))
                return -ENOENT;
        left_over_forgotten(left_over, upstream);
        return 0;
}
