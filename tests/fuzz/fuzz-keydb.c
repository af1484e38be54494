/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key file of another registrar, as it is imported. */

#include <string.h>

#include "fuzz.h"
#include "store/keydb.h"

static int on_entry(void *userdata, const struct keydb_entry *entry)
{
        unsigned *n = userdata;
        const char *why = NULL;

        FUZZ_ASSERT(entry->spelled);
        if (entry->why)
                FUZZ_ASSERT(strlen(entry->why) > 0);
        else {
                FUZZ_ASSERT(dns_key_check(&entry->key, &why) >= 0);
                FUZZ_ASSERT(entry->name.length > 0);
        }
        /* Whoever is told may end it. */
        return ++*n >= 1000 ? -ECANCELED : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned n = 0;
        int r;

        r = keydb_parse((const char *) data, size, on_entry, &n);
        FUZZ_ASSERT(r == 0 || r == -EBADMSG || r == -ECANCELED);
        FUZZ_ASSERT(r != -EBADMSG || n == 0);
        return 0;
}
