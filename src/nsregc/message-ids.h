/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The MESSAGE_IDs of nsregc: the events that an administrator would search for. */

#include <systemd/sd-id128.h>

#define NSREGC_EVENT_REGISTERED  SD_ID128_MAKE(8d, 4b, 3b, 2f, 0f, 5a, 4b, 63, 9c, 1d, a6, 5e, 77, 02, c1, 41)
#define NSREGC_EVENT_REFUSED     SD_ID128_MAKE(3f, 0a, 91, 6d, be, 74, 46, 08, b2, 8e, 55, 0d, 9a, 63, 1f, c2)
#define NSREGC_EVENT_UNREACHABLE SD_ID128_MAKE(c2, 7e, 5d, 1a, 46, 93, 4f, 0e, 87, 3b, e0, 4c, 28, d5, 96, b3)
#define NSREGC_EVENT_TWIN        SD_ID128_MAKE(e9, 35, 7c, 60, d1, 8a, 4e, 2b, b7, 04, 5f, 93, 1c, 68, a2, 7d)
#define NSREGC_EVENT_WITHDRAWN   SD_ID128_MAKE(51, d9, 04, e8, 7b, 3c, 4a, 17, a5, 60, 9f, 82, be, 16, 4d, d4)
