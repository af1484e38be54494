/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The form of answers to updates. */

#include "registry/registry.h"
#include "registry/twins.h"

/* A refusal, with its text where the asker can read it: as an Extended DNS Error when the request had an OPT
 * record; in the original's dialect also as a TXT record (owner: the name, class ANY, TTL 0), first in the
 * additional section, where its clients look for it. Others cannot parse such a record: of whom nothing is
 * known gets one of class IN where there is no other way. "update" NULL: nothing of the message was to be
 * believed; else what is known of it. Returns the size, or 0: there is no way to answer. */
ssize_t reply_refusal(const struct dns_message *request, const struct update *update,
                      const struct decision *decision, uint8_t *buffer, size_t size);

/* Datagrams from strangers, whatever is in them, share one small rate of answers: enough to find a mistake
 * by, not enough to be of use against anybody whose address was forged. True: this one may have a short one.
 */
bool reply_may_be_short(void);
/* A header and the question as it was asked, so that no answer is longer than what it answers. The size. */
ssize_t reply_short(const struct dns_message *request, enum dns_rcode rcode, uint8_t *buffer, size_t size);

/* NOERROR: what stands of the additions in the answer section with the TTL it was granted, the Update Lease
 * option in the form it was asked for. To whom has an OPT record it is told what was left out, and that there
 * is another machine with its key. */
ssize_t reply_granted(const struct dns_message *request, const struct update *update,
                      const struct zone_policy *policy, const struct grant *grant,
                      const struct twin_sighting *twin, uint8_t *buffer, size_t size);
