/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/verify.h"
#include "dns/sig0.h"
#include "net/stream-set.h"
#include "nsregd/capacity.h"
#include "nsregd/context.h"
#include "nsregd/keycache.h"
#include "nsregd/standing.h"

#define VERIFICATIONS_PER_MEASUREMENT 16

static bool load_key(struct context *context, const struct dns_key *key, EVP_PKEY **ret,
                     struct decision *decision)
{
        const char *why = "not a key";
        int r = keycache_get(context->keycache, key, ret, &why);

        if (r >= 0)
                return true;
        if (r == -EKEYREJECTED)
                return decide(decision, DNS_RCODE_FORMERR, DNS_EDE_NOT_SUPPORTED,
                              "the KEY is not accepted: %s", why);
        if (r == -EOPNOTSUPP)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_NOT_SUPPORTED,
                              "key algorithm %u is not supported", key->algorithm);
        return decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "out of memory; try again later");
}

static int check_signature(const struct verify_ask *ask, EVP_PKEY *key)
{
        static struct dns_message message;
        struct dns_sig0 sig;
        int r;

        r = dns_message_walk(ask->octets, ask->size, NULL, &message, NULL);
        if (r < 0)
                return r;
        r = dns_sig0_parse(&message, &sig);
        return r < 0 ? r : dns_sig0_verify(&message, &sig, key);
}

/* The machine is measured with what it does anyway, now and then. */
static int check_and_measure(struct context *context, const struct verify_ask *ask, EVP_PKEY *key)
{
        usec_t begin;
        int r;

        if (context->statistics.verifications++ % VERIFICATIONS_PER_MEASUREMENT != 0)
                return check_signature(ask, key);
        begin = capacity_begin();
        r = check_signature(ask, key);
        if (r >= 0)
                capacity_end(ask->update->algorithm, begin);
        if (context->config->limits.verifications_per_second == 0)
                quota_set_verification_rate(context->quota, capacity_verifications_per_second() / 2);
        return r;
}

/* By what was verified before: on this connection, or for this name from this network, where *ret_owes says
 * that one of its failures was taken for it. */
static enum quota_asker find_asker(struct context *context, const struct verify_ask *ask, bool *ret_owes)
{
        *ret_owes = false;
        if (!ask->owner)
                return QUOTA_UNKNOWN_NAME;
        switch (stream_set_record(context->streams, ask->stream)) {
        case STREAM_FAILED:
                return QUOTA_STRANGER;
        case STREAM_PROVEN:
                return QUOTA_PROVEN;
        case STREAM_NEW:
                break;
        }
        *ret_owes = standing_take_failure(context->standing, &ask->update->name, ask->source,
                                          now_usec(CLOCK_MONOTONIC));
        return *ret_owes ? QUOTA_PROVEN : QUOTA_STRANGER;
}

static bool fail(struct context *context, const struct verify_ask *ask, int error, struct decision *decision)
{
        context->statistics.verification_failures++;
        if (error != -EKEYREJECTED)
                return decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                              "the signature could not be verified; try again later");
        stream_set_mark_failed(context->streams, ask->stream);
        return decide(decision, DNS_RCODE_NOTAUTH, DNS_EDE_NONE, "the signature is wrong");
}

bool verify(struct context *context, const struct verify_ask *ask, struct decision *decision)
{
        const struct dns_key *key = ask->owner ?: &ask->update->key;
        const struct dns_name *name = &ask->update->name;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        bool owes;
        enum quota_asker asker = find_asker(context, ask, &owes);
        struct quota_loan loan;
        EVP_PKEY *pkey;
        int r;

        if (!quota_take_verification(context->quota, name, ask->source, asker,
                                     capacity_weight(key->algorithm), now, &loan))
                return decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                              "too many signatures to verify; try again later");
        if (!load_key(context, key, &pkey, decision))
                return false;
        r = check_and_measure(context, ask, pkey);
        if (r >= 0)
                keycache_keep(context->keycache, key, pkey);
        EVP_PKEY_free(pkey);
        if (r < 0)
                return fail(context, ask, r, decision);
        quota_return_verification(&loan);
        if (owes)
                standing_return_failure(context->standing, name, ask->source, now);
        standing_note(context->standing, name, ask->source, now);
        stream_set_mark_verified(context->streams, ask->stream);
        if (!ask->update->has_new_key)
                return true;
        /* One that is too weak to be claimed with is none to take a key's place. */
        if (!load_key(context, &ask->update->new_key, &pkey, decision))
                return false;
        EVP_PKEY_free(pkey);
        return true;
}
