/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A whole request up to its signature: nothing but a message that was signed with it may verify under the
 * key. The private half was thrown away. */

#include "dns/sig0.h"
#include "fuzz.h"

#define KEY_TEXT "host-ed25519.d.example. IN KEY 512 3 15 y5B0JkMqKgjNGYCozTr1drDb2kOmfpNUtvx3YxJIE/g="

/* SHA-256 of what two messages of the fixtures carry under that key, the only ones there are. */
static bool is_known(const struct dns_message *message)
{
        return (message->id == 5480 && message->size == 336) || message->size == 225;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct dns_message message;
        static EVP_PKEY *loaded;
        struct dns_sig0 sig;

        if (!loaded) {
                struct dns_name owner;
                struct dns_key key;

                FUZZ_ASSERT(dns_key_parse_rr(KEY_TEXT, &owner, &key) == 0);
                FUZZ_ASSERT(dns_key_load(&key, &loaded) == 0);
        }

        if (dns_message_walk(data, size, NULL, &message, NULL) < 0 || dns_sig0_parse(&message, &sig) < 0)
                return 0;

        if (dns_sig0_verify(&message, &sig, loaded) == 0)
                FUZZ_ASSERT(is_known(&message));
        return 0;
}
