/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A message can be applied as long as its time and fudge let it. The fudge is ours: a small one, so that
 * doubt ends soon, once the server was seen to accept it, else the usual one. The time is the server's, as
 * soon as it has said that ours is not. */

#include "upstream/nsupdate-internal.h"

#define FUDGE_SMALL_SEC 30

bool nsupdate_signs(const struct nsupdate *driver)
{
        return driver->upstream->config->key_source != UPSTREAM_KEY_NONE;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

struct peer *nsupdate_peer(struct nsupdate *driver)
{
        const struct sockaddr_storage *address = dns_client_peer(driver->client);

        if (!address)
                return driver->last_peer;
        for (unsigned i = 0; i < driver->n_peers; i++)
                if (same_address(&driver->peers[i].address, address))
                        return driver->last_peer = &driver->peers[i];
        /* More addresses than anybody has: what is known of the last is forgotten. */
        if (driver->n_peers < PEERS_MAX)
                driver->n_peers++;
        driver->peers[driver->n_peers - 1] = (struct peer){ .address = *address };
        return driver->last_peer = &driver->peers[driver->n_peers - 1];
}

uint16_t nsupdate_fudge(const struct nsupdate *driver, const struct peer *peer)
{
        const struct upstream_config *config = driver->upstream->config;

        if (!nsupdate_signs(driver))
                return 0;
        if (config->tsig_fudge_sec > 0)
                return config->tsig_fudge_sec;
        return peer && (peer->fudge == FUDGE_WIDE || peer->fudge == FUDGE_TRY_WIDE) ? TSIG_FUDGE_SEC
                                                                                    : FUDGE_SMALL_SEC;
}

bool nsupdate_is_ready(struct nsupdate *driver)
{
        const struct peer *peer;

        if (!nsupdate_signs(driver) || driver->upstream->config->tsig_fudge_sec > 0)
                return true;
        peer = nsupdate_peer(driver);
        return peer && (peer->fudge == FUDGE_SMALL || peer->fudge == FUDGE_WIDE);
}

/* Asking does nothing, however late. */
static bool is_question(enum exchange_kind kind)
{
        return kind == EXCHANGE_QUERY || kind == EXCHANGE_PROBE || kind == EXCHANGE_SERIAL;
}

ssize_t nsupdate_prepare(void *userdata, uint8_t *message, size_t size, size_t capacity)
{
        struct exchange *exchange = userdata;
        struct nsupdate *driver = exchange->driver;
        uint64_t now_sec = now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        uint16_t fudge_sec;

        exchange->peer = nsupdate_peer(driver);
        if (!nsupdate_signs(driver)) {
                exchange->tsig.time_signed = now_sec;
                return (ssize_t) size;
        }
        /* An address of which nothing is known yet, or less than was thought. */
        fudge_sec = nsupdate_fudge(driver, exchange->peer);
        if (is_question(exchange->kind) && driver->upstream->config->tsig_fudge_sec == 0)
                fudge_sec = TSIG_FUDGE_SEC;
        if (exchange->kind == EXCHANGE_UPDATE &&
            (!nsupdate_is_ready(driver) || fudge_sec > exchange->max_fudge_sec))
                return -EAGAIN;
        if (exchange->peer)
                now_sec = (uint64_t) ((int64_t) now_sec + exchange->peer->offset_sec);
        return tsig_sign_message(message, size, capacity, &driver->upstream->config->tsig_key, now_sec,
                                 fudge_sec, &exchange->tsig);
}

uint64_t nsupdate_time(const struct exchange *exchange)
{
        return exchange->tsig.time_signed;
}

enum tsig_verdict nsupdate_verify(struct exchange *exchange, const struct dns_message *reply,
                                  struct tsig_answer *ret)
{
        *ret = (struct tsig_answer){};
        return nsupdate_signs(exchange->driver) ? tsig_verify(reply, &exchange->tsig, ret) : TSIG_GOOD;
}

bool nsupdate_set_clock(struct exchange *exchange, uint64_t server_time)
{
        struct peer *peer = exchange->peer;
        int64_t offset_sec = (int64_t) server_time - (int64_t) (now_usec(CLOCK_REALTIME) / USEC_PER_SEC);
        bool back;

        if (!peer)
                return false;
        /* On one connection the times of messages do not go back (RFC 8945 section 5.2.3). */
        back = offset_sec < peer->offset_sec;
        peer->offset_sec = offset_sec;
        return back;
}
