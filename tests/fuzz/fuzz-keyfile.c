/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Key files as BIND writes them, both halves. */

#include <openssl/crypto.h>

#include "dns/key.h"
#include "fuzz.h"

static void check_private(const char *text, size_t size)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL, *again = NULL;
        char *formatted;

        if (dns_keypair_parse(text, size, &pair) < 0) {
                FUZZ_ASSERT(!pair);
                return;
        }

        FUZZ_ASSERT(pair->private_key);
        if (dns_keypair_format(pair, &formatted) < 0)
                return;
        FUZZ_ASSERT(dns_keypair_parse(formatted, strlen(formatted), &again) == 0);
        FUZZ_ASSERT(dns_key_same(&pair->key, &again->key));
        free(formatted);
}

static void check_public(const char *text)
{
        struct dns_name owner, owner_again;
        struct dns_key key, again;
        char *formatted;

        if (dns_key_parse_rr(text, &owner, &key) < 0)
                return;

        dns_key_check(&key, NULL);
        FUZZ_ASSERT(dns_key_format_rr(&owner, &key, &formatted) == 0);
        FUZZ_ASSERT(dns_key_parse_rr(formatted, &owner_again, &again) == 0 || key.length == 0);
        FUZZ_ASSERT(key.length == 0 || (dns_key_same(&key, &again) && dns_name_equal(&owner, &owner_again)));
        free(formatted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size);

        check_private((const char *) data, size);
        check_public(text);
        return 0;
}
