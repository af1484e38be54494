/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does a reply belong to a request: ID, QR, opcode, and the question where there is one. Names are compared
 * without regard to case; the first name of a message cannot be compressed. "strict" is for datagrams: a
 * reply without a question is only taken from a server that says it could not read ours. */
bool dns_reply_matches(const uint8_t *request, size_t request_size, const uint8_t *reply, size_t size,
                       bool strict);
