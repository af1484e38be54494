/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An upstream server's answer: what it says must be right or be refused. The secret is not in the corpus, so
 * nothing verifies. */

#include "dns/tsig.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct dns_message message;
        static struct tsig_key keys[_TSIG_ALGORITHMS];

        if (dns_message_walk(data, size, NULL, &message, NULL) < 0)
                return 0;

        for (enum tsig_algorithm i = TSIG_HMAC_SHA1; i < _TSIG_ALGORITHMS; i++) {
                struct tsig_context context = {
                        .key = &keys[i],
                        .request_mac_length = 20,
                        .id = message.id,
                        .time_signed = 1500000000,
                };
                enum tsig_verdict verdict;
                struct tsig_answer answer;

                if (keys[i].name.length == 0) {
                        keys[i].algorithm = i;
                        FUZZ_ASSERT(dns_name_parse("k.example", &keys[i].name) == 0);
                        FUZZ_ASSERT(tsig_key_set_secret(&keys[i], "bm90IGluIHRoZSBjb3JwdXM=") == 0);
                }

                verdict = tsig_verify(&message, &context, &answer);
                FUZZ_ASSERT(verdict != TSIG_GOOD && verdict != TSIG_BADTIME);
                FUZZ_ASSERT((verdict == TSIG_MISSING) == (message.tsig < 0));
        }
        return 0;
}
