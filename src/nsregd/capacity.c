/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/capacity.h"
#include "dns/key.h"
#include "util/time.h"

#define MEASURE_USEC (5 * USEC_PER_MSEC)
#define FALLBACK     2000 /* a small board */
#define ALGORITHMS   17
/* A measurement counts so little that an interrupt within it does no harm. */
#define SMOOTHING 64.0
#define PLAUSIBLE 8.0

/* Microseconds of processor time; 0: not measured. */
static double costs[ALGORITHMS];

usec_t capacity_begin(void)
{
        return now_usec(CLOCK_THREAD_CPUTIME_ID);
}

static size_t sign(const struct dns_keypair *pair, uint8_t *signature, size_t size)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool ok = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pair->private_key) == 1 &&
                  EVP_DigestSign(context, signature, &size, (const uint8_t *) "nsreg", 5) == 1;

        EVP_MD_CTX_free(context);
        return ok ? size : 0;
}

static bool verify(EVP_PKEY *key, const uint8_t *signature, size_t size)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool ok = context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                  EVP_DigestVerify(context, signature, size, (const uint8_t *) "nsreg", 5) == 1;

        EVP_MD_CTX_free(context);
        return ok;
}

static uint32_t measure(void)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        uint8_t signature[128];
        usec_t begin, spent;
        EVP_PKEY *key;
        uint32_t n = 0;
        size_t size;

        if (dns_keypair_generate(DNS_ALGORITHM_ECDSAP256SHA256, &pair) < 0 ||
            dns_key_load(&pair->key, &key) < 0)
                return FALLBACK;
        size = sign(pair, signature, sizeof(signature));
        begin = now_usec(CLOCK_THREAD_CPUTIME_ID);
        do {
                if (size == 0 || !verify(key, signature, size)) {
                        n = 0;
                        break;
                }
                n++;
                spent = now_usec(CLOCK_THREAD_CPUTIME_ID) - begin;
        } while (spent < MEASURE_USEC);
        EVP_PKEY_free(key);
        return n == 0 ? FALLBACK : (uint32_t) (n * USEC_PER_SEC / MAX(spent, UINT64_C(1)));
}

static double common_cost(void)
{
        double *cost = &costs[DNS_ALGORITHM_ECDSAP256SHA256];

        if (*cost <= 0)
                *cost = (double) USEC_PER_SEC / measure();
        return *cost;
}

uint32_t capacity_verifications_per_second(void)
{
        return (uint32_t) MAX((double) USEC_PER_SEC / common_cost(), 1.0);
}

unsigned capacity_weight(unsigned algorithm)
{
        double cost = algorithm < ALGORITHMS ? costs[algorithm] : 0;

        return MAX((unsigned) (cost / common_cost() + 0.5), 1U);
}

void capacity_end(unsigned algorithm, usec_t begin)
{
        double spent = (double) MAX(now_usec(CLOCK_THREAD_CPUTIME_ID) - begin, UINT64_C(1)), *cost;

        if (algorithm >= ALGORITHMS)
                return;
        cost = &costs[algorithm];
        if (*cost <= 0)
                *cost = spent;
        else
                *cost += (MIN(spent, *cost * PLAUSIBLE) - *cost) / SMOOTHING;
}
