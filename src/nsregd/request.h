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

struct manager;

/* A message over TCP: will be answered through the manager's stream set. 0, or negative: close. */
int request_stream(struct manager *manager, struct stream_id id, const uint8_t *message, size_t size,
                   const struct net_peer *peer);
/* A message over UDP: queries only. */
void request_datagram(struct manager *manager, const struct udp_peer *peer, const uint8_t *message,
                      size_t size);
/* The publisher is about to be replaced: nobody waits on the old one; then they wait on the new. No change
 * may be pending. */
void requests_suspend(struct manager *manager);
void requests_resume(struct manager *manager);
/* All requests that wait end without an answer. */
void requests_drop(struct manager *manager);
