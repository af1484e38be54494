/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/targets.h"

#include <stdlib.h>

#include "util/macro.h"

#define DEAD_MIN_USEC (2 * USEC_PER_MINUTE)
#define DEAD_MAX_USEC (30 * USEC_PER_MINUTE)

static struct target_dead *dead_find(struct targets *targets, const struct endpoint *endpoint)
{
        for (size_t i = 0; i < targets->n_dead; i++)
                if (targets->dead[i].port == endpoint->port && streq(targets->dead[i].host, endpoint->host))
                        return &targets->dead[i];
        return NULL;
}

static void dead_remove(struct targets *targets, struct target_dead *dead)
{
        size_t index = (size_t) (dead - targets->dead);

        free(dead->host);
        targets->n_dead--;
        memmove(dead, dead + 1, (targets->n_dead - index) * sizeof(*dead));
}

void targets_clear(struct targets *targets)
{
        service_clear(&targets->service);
        while (targets->n_dead > 0)
                dead_remove(targets, &targets->dead[targets->n_dead - 1]);
        *targets = (struct targets){ 0 };
}

void targets_set(struct targets *targets, struct service *service)
{
        service_clear(&targets->service);
        targets->service = *service;
        *service = (struct service){ 0 };
        targets->n_order = targets->next = 0;
}

void targets_begin(struct targets *targets, usec_t now)
{
        const struct service *service = &targets->service;
        size_t n = 0;

        for (size_t i = 0; i < service->n_endpoints; i++) {
                const struct target_dead *dead = dead_find(targets, &service->endpoints[i]);

                if (!dead || dead->until_usec <= now)
                        targets->order[n++] = i;
        }
        /* Whoever was found dead the longest ago is the likeliest to be back. */
        for (size_t d = 0; d < targets->n_dead; d++)
                for (size_t i = 0; i < service->n_endpoints; i++)
                        if (targets->dead[d].until_usec > now && n < SERVICE_ENDPOINTS_MAX &&
                            dead_find(targets, &service->endpoints[i]) == &targets->dead[d])
                                targets->order[n++] = i;
        targets->n_order = n;
        targets->next = 0;
}

const struct endpoint *targets_next(struct targets *targets)
{
        return targets_left(targets) ? &targets->service.endpoints[targets->order[targets->next++]] : NULL;
}

bool targets_left(const struct targets *targets)
{
        return targets->next < targets->n_order;
}

bool targets_is_suspect(struct targets *targets, const struct endpoint *endpoint)
{
        return dead_find(targets, endpoint);
}

void targets_failed(struct targets *targets, const struct endpoint *endpoint, usec_t now)
{
        struct target_dead *dead = dead_find(targets, endpoint), moved = { .port = endpoint->port };

        if (dead)
                moved.times = dead->times;
        moved.host = strdup(endpoint->host);
        if (!moved.host)
                return; /* it is tried first again, that is all */
        if (dead)
                dead_remove(targets, dead);
        else if (targets->n_dead == TARGETS_DEAD_MAX)
                dead_remove(targets, &targets->dead[0]);
        moved.until_usec = usec_add(now, MIN(DEAD_MIN_USEC << MIN(moved.times, 10u), DEAD_MAX_USEC));
        moved.times++;
        targets->dead[targets->n_dead++] = moved;
}

void targets_worked(struct targets *targets, const struct endpoint *endpoint)
{
        struct target_dead *dead = dead_find(targets, endpoint);

        if (dead)
                dead_remove(targets, dead);
}
