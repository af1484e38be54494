/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walk over a message from the network, and all that looks at what it accepted. */

#include "dns/edns.h"
#include "dns/key.h"
#include "dns/message.h"
#include "dns/sig0.h"
#include "fuzz.h"

static void check_name(const struct dns_name *name)
{
        char text[DNS_NAME_FORMAT_MAX];
        struct dns_name again;

        FUZZ_ASSERT(name->length >= 1);
        FUZZ_ASSERT(dns_name_from_wire(name->wire, name->length, &again) == 0);
        FUZZ_ASSERT(dns_name_equal(name, &again));
        FUZZ_ASSERT(dns_name_compare(name, &again) == 0);
        dns_name_format(name, text);
        FUZZ_ASSERT(strlen(text) < sizeof(text));
}

static void check_rr(const struct dns_message *message, const struct dns_rr *rr)
{
        struct dns_name name;
        struct address address;
        struct dns_key key;

        FUZZ_ASSERT(rr->owner < rr->rdata);
        FUZZ_ASSERT((size_t) rr->rdata + rr->rdlength <= message->size);

        if (dns_message_owner(message, rr, &name) >= 0)
                check_name(&name);
        dns_rr_address(message, rr, &address);
        if (rr->type == DNS_TYPE_KEY &&
            dns_key_from_rdata(dns_message_rdata(message, rr), rr->rdlength, &key) >= 0) {
                char fingerprint[DNS_KEY_FINGERPRINT_MAX];

                dns_key_check(&key, NULL);
                dns_key_tag(&key);
                dns_key_fingerprint(&key, fingerprint);
        }
}

static void check_sig0(const struct dns_message *message)
{
        uint8_t hash[DNS_SIG0_HASH_SIZE];
        struct dns_sig0 sig;

        if (dns_sig0_parse(message, &sig) < 0)
                return;

        check_name(&sig.signer);
        FUZZ_ASSERT(sig.signature_length > 0);
        FUZZ_ASSERT(sig.signature + sig.signature_length <= message->wire + message->size);
        FUZZ_ASSERT(dns_sig0_hash(message, &sig, hash) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct dns_message message;
        const char *why = NULL;
        unsigned n_rrs = 0;
        struct dns_edns edns;

        if (dns_message_walk(data, size, NULL, &message, &why) < 0) {
                FUZZ_ASSERT(why);
                return 0;
        }

        FUZZ_ASSERT(!why);
        for (enum dns_section s = DNS_SECTION_ANSWER; s < _DNS_SECTIONS; s++) {
                unsigned first, n = dns_message_section(&message, s, &first);

                FUZZ_ASSERT(first == n_rrs);
                n_rrs += n;
        }
        FUZZ_ASSERT(n_rrs == message.n_rrs);

        if (message.counts[DNS_SECTION_QUESTION] > 0)
                check_name(&message.question_name);
        for (unsigned i = 0; i < message.n_rrs; i++)
                check_rr(&message, &message.rrs[i]);

        FUZZ_ASSERT(message.sig0 < 0 || message.sig0 == message.n_rrs - 1);
        FUZZ_ASSERT(message.tsig < 0 || message.tsig == message.n_rrs - 1);
        dns_edns_parse(&message, &edns);
        dns_message_rcode(&message);
        check_sig0(&message);
        return 0;
}
