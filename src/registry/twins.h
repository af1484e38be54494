/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One key, two machines: a copied disk has a copied key, and both change one name. Pure; time is an argument
 * (the lease clock). A table of a fixed size beside the names: who is forgotten is noticed later, nothing
 * else.
 *
 * A machine that is alone speaks of all that its name has: it asks for it again, or takes it away record by
 * record when it has moved to another network. Whoever passes over records does not know of them. Where two
 * sources in turn pass over what the other asked for, within its lease, and ask again for what the other
 * passed over, there are two of them. Record sets that are deleted as a whole count for less: programs that
 * keep no memory speak like that, on one machine too. */

#include <stdbool.h>

#include "registry/state.h"
#include "registry/update.h"
#include "util/macro.h"

struct twins;

struct twins *twins_new(void); /* NULL when memory is out */
struct twins *twins_free(struct twins *twins);
DEFINE_CLEANUP(struct twins *, twins_free)

struct twin_sighting {
        bool two;             /* there are two, and this request is of one of them */
        bool news;            /* and nobody was told yet, or not for long: for the journal, once */
        struct address other; /* where the other one speaks from */
};

/* An update that was verified and accepted, to the state that it finds (may be NULL). "lease_sec": what it is
 * granted. */
struct twin_sighting twins_note(struct twins *twins, const struct update *update,
                                const struct name_state *before, uint32_t lease_sec, usec_t now_usec);
