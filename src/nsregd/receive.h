/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages as they come from the network: walked, then sorted into queries, which are answered at once,
 * updates, which become requests, and what gets a short word or none. */

#include <stddef.h>
#include <stdint.h>

#include "net/stream-set.h"
#include "net/udp.h"

struct context;

/* A message over TCP: will be answered through the context's stream set. For stream_set_ops. */
int receive_message(struct context *context, struct stream_id stream, const uint8_t *bytes, size_t size,
                    const struct net_peer *peer);
/* The beginning of one that is longer than the limit: it is told, and not read. */
int receive_overlong(struct context *context, struct stream_id stream, const uint8_t *start, size_t size,
                     size_t length, const struct net_peer *peer);
/* A message over UDP: queries only. */
void receive_datagram(struct context *context, const struct udp_peer *peer, const uint8_t *bytes,
                      size_t size);
