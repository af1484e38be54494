/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an administrator does to names. Each ends in a completion, when the change is durable. */

#include <stdbool.h>

#include "dns/name.h"

struct context;

enum admin_result {
        ADMIN_OK,
        ADMIN_NO_SUCH_NAME,
        ADMIN_NO_SUCH_ZONE,
        ADMIN_INVALID_NAME, /* not one label below a zone */
        ADMIN_ALREADY,      /* is reserved, or is claimed, or is not reserved: nothing to do */
        ADMIN_NOT_STORED,
};

/* May be NULL: nobody waits. */
typedef void (*admin_done)(void *userdata, enum admin_result result);

/* The name is free at once and its records are withdrawn; "block": its key may not claim it again. */
int admin_revoke(struct context *context, const struct dns_name *name, bool block, admin_done done,
                 void *userdata);
/* The records are withdrawn, the name stays claimed. */
int admin_withdraw(struct context *context, const struct dns_name *name, admin_done done, void *userdata);
/* Nobody may claim the name / everybody may again. A claimed name is not reserved but revoked first. */
int admin_reserve(struct context *context, const struct dns_name *name, admin_done done, void *userdata);
int admin_unreserve(struct context *context, const struct dns_name *name, admin_done done, void *userdata);

/* Names that are the registrar's own and were claimed when they were not are told of, and their records
 * withdrawn: who looks for the registrar would find their owner. Nobody can update a reserved name, so its
 * key lease ends by itself. */
void admin_withdraw_server_names(struct context *context);
/* Whoever still waits is told that it was not stored. */
void admin_drop(struct context *context);
