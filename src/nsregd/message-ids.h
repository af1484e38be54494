/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The MESSAGE_IDs of nsregd, each with an entry in the journal catalog. */

#include <systemd/sd-id128.h>

/* A name was claimed. */
#define MESSAGE_CLAIMED SD_ID128_MAKE(d7, 51, 50, b8, 39, b9, 4c, 8d, 85, 96, 84, 5f, 6f, d9, 1e, e3)
/* A name was released by its owner, or revoked. */
#define MESSAGE_RELEASED SD_ID128_MAKE(02, 79, 3a, 3e, b5, b2, 41, 3c, 97, 5d, 7c, d5, 6f, 8d, 52, 72)
/* A name's owner replaced its key. */
#define MESSAGE_KEY_CHANGED SD_ID128_MAKE(c5, 00, 22, 9b, 6c, c0, 4c, d4, a4, 22, 18, c5, 92, 62, b4, 63)
/* A name's key lease ended. */
#define MESSAGE_EXPIRED SD_ID128_MAKE(95, b4, 6d, 5e, 59, c9, 41, 0a, a6, 20, 23, 00, bb, 76, 1a, 81)
/* A request for a name was signed by another key. */
#define MESSAGE_OWNER_MISMATCH SD_ID128_MAKE(af, cd, 3e, 68, cb, c3, 43, 44, 96, f9, 73, 94, 58, df, 3b, e4)
/* A request was refused. */
#define MESSAGE_CLAIM_REFUSED SD_ID128_MAKE(0a, 93, 73, 58, 23, b7, 43, 22, a7, 79, 27, b1, 04, 6c, 9f, cb)
/* An upstream began to fail. */
#define MESSAGE_UPSTREAM_FAILED SD_ID128_MAKE(b3, eb, 2e, 67, be, c2, 48, b9, 9b, 34, 7d, 57, 16, f4, 1a, 23)
/* An upstream works again. */
#define MESSAGE_UPSTREAM_RECOVERED                                                                           \
        SD_ID128_MAKE(71, d5, 94, 11, 79, 29, 40, 0f, ba, a1, b8, 34, 2f, e2, 19, 22)
/* An upstream has foreign data at a name. */
#define MESSAGE_UPSTREAM_REFUSED SD_ID128_MAKE(a1, 4a, 41, 2d, fc, c8, 46, ff, aa, cf, 65, 3e, fa, 2e, e9, ce)
/* A configuration was rejected. */
#define MESSAGE_CONFIGURATION_REJECTED                                                                       \
        SD_ID128_MAKE(9d, a7, da, cc, 87, 61, 40, a0, a8, 14, 01, bc, 74, 5e, dc, 58)
/* Key files were imported. */
#define MESSAGE_STATE_IMPORTED SD_ID128_MAKE(26, 6a, e9, a3, 91, 73, 46, ab, a7, 33, 75, 9a, fd, d1, f8, 53)
/* An upstream had something else than it should. */
#define MESSAGE_UPSTREAM_DRIFTED SD_ID128_MAKE(7f, b3, 34, 12, bc, 3b, 4e, e7, 8a, ad, 99, 04, 30, 6d, 8d, 71)
/* A change could not be stored. */
#define MESSAGE_STORE_FAILED SD_ID128_MAKE(31, f0, ec, 72, ec, a5, 46, 31, 91, c6, 8a, 3e, 90, b0, 45, f6)
/* More refusals than are logged one by one. */
#define MESSAGE_REFUSALS_SUPPRESSED                                                                          \
        SD_ID128_MAKE(30, 06, 10, fc, c8, 15, 47, 58, ae, c1, de, df, d1, 49, 1e, 44)
/* One key changes a name from two machines. */
#define MESSAGE_TWINS SD_ID128_MAKE(c6, 0d, 84, 1f, 3b, 72, 4d, 95, 9a, 1e, 57, 28, f0, b4, 6c, e3)
/* Somebody had claimed the registrar's own name. */
#define MESSAGE_SERVER_NAME_CLAIMED                                                                          \
        SD_ID128_MAKE(19, 17, 07, bd, 31, 09, 42, 4a, 85, be, d5, 13, 88, 01, ed, d1)
