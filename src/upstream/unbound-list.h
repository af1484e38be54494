/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that an Unbound has, of which only the owners of a batch matter. Read in slices: at a large one it
 * takes longer than anybody else may be kept waiting. */

#include <systemd/sd-event.h>

#include "registry/plan.h"

struct unbound_list;

struct finding {
        struct rrset found;
        bool other; /* something else than what we publish, too */
};

/* error 0 or -ENOMEM. From the loop; the list may be freed. */
typedef void (*unbound_list_done)(void *userdata, int error);

/* Copies the reply; the batch has to stay. 0 or -ENOMEM. */
int unbound_list_new(sd_event *event, const struct plan_batch *batch, const char *reply, size_t size,
                     unbound_list_done done, void *userdata, struct unbound_list **ret);
struct unbound_list *unbound_list_free(struct unbound_list *list);
/* What is at the owner of unit i. */
const struct finding *unbound_list_finding(const struct unbound_list *list, unsigned i);
