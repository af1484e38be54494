/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a connection of a stream set is called: its own as long as it lives, and nobody's afterwards. */

#include <stdint.h>

struct stream_id {
        uint32_t index;
        uint32_t generation; /* 0 belongs to no connection */
};
