/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What nsregd answers itself: where it is (SRV), its zones' SOA, and with a builtin upstream the zones
 * themselves. No recursion. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dns/message.h"
#include "net/peer.h"

struct context;

/* Answers a query into buffer. "udp": the answer stays within what the asker takes, or is truncated. Returns
 * the size, 0 for no answer. "message" was accepted by the walk. */
ssize_t query_answer(struct context *context, const struct dns_message *message, const struct net_peer *peer,
                     bool udp, uint8_t *buffer, size_t size);
