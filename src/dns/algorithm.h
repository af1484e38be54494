/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is known of each algorithm; for this room only. */

#include <stddef.h>
#include <stdint.h>

enum algorithm_family {
        ALGORITHM_RSA,     /* RFC 3110, RFC 5702 */
        ALGORITHM_ECDSA,   /* RFC 6605 */
        ALGORITHM_EDWARDS, /* RFC 8080 */
};

struct algorithm {
        uint8_t number;
        enum algorithm_family family;
        const char *openssl_name; /* key type; of ECDSA: the group */
        const char *digest;       /* NULL: the algorithm has its own */
        size_t public_length;     /* of the key in the KEY RR; 0: varies */
        size_t signature_length;  /* 0: varies with the key */
};

const struct algorithm *algorithm_find(uint8_t number); /* NULL: unknown */
