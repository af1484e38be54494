/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TSIG key files as tsig-keygen writes them. */

#include "dns/tsig.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *why = NULL;
        struct tsig_key key;
        int r;

        r = tsig_key_parse_file((const char *) data, size, &key, &why);
        FUZZ_ASSERT((r < 0) == (why != NULL));
        if (r >= 0) {
                FUZZ_ASSERT(key.secret_length > 0 && key.secret_length <= TSIG_SECRET_MAX);
                FUZZ_ASSERT(key.name.length >= 1);
        }
        return 0;
}
