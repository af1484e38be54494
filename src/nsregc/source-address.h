/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/address.h"

/* The address that the kernel would send from to this one. Nothing is sent. 0 or -errno. */
int source_address(const struct address *towards, struct address *ret);
