/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Unbound, by its control protocol over TLS or a unix socket: one command per connection. */

#include "upstream/publisher.h"

extern const struct upstream_driver unbound_driver;
