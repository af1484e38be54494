/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Unbound by its control protocol (unbound-control(8)), over TLS or a unix socket: registered names are local
 * data. One command on a connection of its own, one at a time; what it replies is read to its end and
 * believed only when it says what was to be said.
 *
 * A registered name is wholly ours there. Unbound has no prerequisites, so the first publication of a name is
 * preceded by a look at all local data; and it forgets everything at its restart or reload, which a local
 * zone of ours tells: while it is there, so is the rest. */

#include "upstream/publisher.h"

extern const struct upstream_driver unbound_driver;
