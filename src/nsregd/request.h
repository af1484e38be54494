/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way of one request, from its octets to its answer:
 *
 *   parse -> admit -> verify -> apply -> commit -> publish -> reply
 *
 * A request owns all it reads; nothing that waits points into a connection. */

#include <stddef.h>
#include <stdint.h>

#include "dns/message.h"
#include "net/stream-set.h"

struct context;

/* An update that passed the walk; what stream_set_ops.on_message() returns. */
int request_begin(struct context *context, struct stream_id stream, const struct dns_message *message,
                  const uint8_t *bytes, size_t size, const struct net_peer *peer);
/* Those that wait for upstreams wait no more: they are answered that it is not published yet. */
void requests_end_publishing(struct context *context, const char *reason);
/* All requests that wait end without an answer. */
void requests_drop(struct context *context);
