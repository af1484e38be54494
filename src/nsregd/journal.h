/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happened, for the journal: every event that an administrator would search for, with its MESSAGE_ID and
 * fields. */

#include "util/macro.h"

struct context;
struct journal;

int journal_new(struct context *context, struct journal **ret); /* 0 or -ENOMEM */
struct journal *journal_free(struct journal *journal);
DEFINE_CLEANUP(struct journal *, journal_free)
