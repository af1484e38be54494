/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks 9 and 10: may a signature be looked at, by whom it costs and what was verified before; and is it
 * right. Everything that follows from that is noted here: who pays, who is proven, what a check costs. */

#include <stdbool.h>

#include "net/stream-id.h"
#include "registry/decision.h"
#include "registry/update.h"

struct context;

struct verify_ask {
        const struct update *update; /* decoded */
        const struct address *source;
        struct stream_id stream;
        const struct dns_key
                *owner;        /* whose key it has to be; NULL: the name is nobody's, and the KEY sent */
        const uint8_t *octets; /* as received */
        size_t size;
};

/* False: the decision says why not. */
bool verify(struct context *context, const struct verify_ask *ask, struct decision *decision);
