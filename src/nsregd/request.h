/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way of one request, from its octets to its answer:
 *
 *   parse -> admit -> verify -> apply -> commit -> publish -> reply
 *
 * A request owns all it reads; nothing that waits points into a connection. */

#include <stddef.h>
#include <stdint.h>

#include "net/stream-set.h"
#include "net/udp.h"

struct context;

/* A message over TCP: will be answered through the context's stream set. For stream_set_ops. */
int request_stream(struct context *context, struct stream_id id, const uint8_t *message, size_t size,
                   const struct net_peer *peer);
/* A message over UDP: queries only. */
void request_datagram(struct context *context, const struct udp_peer *peer, const uint8_t *message,
                      size_t size);
/* Those that wait for upstreams wait no more: they are answered that it is not published yet. */
void requests_end_publishing(struct context *context, const char *reason);
/* All requests that wait end without an answer. */
void requests_drop(struct context *context);
