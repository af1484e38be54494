/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/receive.h"
#include "dns/message.h"
#include "nsregd/announce.h"
#include "nsregd/context.h"
#include "nsregd/query.h"
#include "nsregd/reply.h"
#include "nsregd/request.h"

static const struct dns_walk_limits *walk_limits(const struct context *context,
                                                 struct dns_walk_limits *limits)
{
        *limits = (struct dns_walk_limits){
                .message_bytes = context->config->limits.message_bytes,
                .rrs = context->config->limits.rrs_per_message,
        };
        return limits;
}

/* What is refused at first sight. */
static void reply_at_once(struct context *context, struct stream_id stream, const struct dns_message *message,
                          const struct update *shown, const struct decision *decision,
                          const struct net_peer *peer)
{
        uint8_t buffer[DNS_UDP_MAX];
        ssize_t size;

        context->statistics.requests++;
        announce_refused(context->announcer, NULL, &peer->remote, decision, false);
        size = reply_refusal(message, shown, decision, buffer, sizeof(buffer));
        if (size > 0)
                /* To a connection that is gone there is nothing to say. */
                (void) stream_set_reply(context->streams, stream, buffer, (size_t) size);
        else
                stream_set_done(context->streams, stream);
}

/* Too many records. What the answer looks like depends on them, so they are looked at all the same if there
 * is room for them. */
static void refuse_for_size(const struct context *context, struct dns_message *message, struct update *shown,
                            struct decision *decision)
{
        unsigned n_rrs = dns_message_count_rrs(message);

        if (dns_message_walk(message->wire, message->size, NULL, message, NULL) >= 0)
                update_sketch(message, shown);
        else
                dns_message_peek(message->wire, message->size, message);
        decide(decision, DNS_RCODE_FORMERR, DNS_EDE_NONE,
               "the message has %u records, of which at most %u are taken (rrs-per-message); send less at a "
               "time",
               n_rrs, context->config->limits.rrs_per_message);
}

static int answer_query(struct context *context, struct stream_id stream, const struct dns_message *message,
                        const struct net_peer *peer)
{
        static uint8_t buffer[DNS_MESSAGE_MAX];
        ssize_t size = query_answer(context, message, peer, false, buffer, sizeof(buffer));

        if (size <= 0)
                return -ECONNABORTED;
        return stream_set_reply(context->streams, stream, buffer, (size_t) size) == -ENOMEM ? -ENOMEM : 0;
}

int receive_message(struct context *context, struct stream_id stream, const uint8_t *bytes, size_t size,
                    const struct net_peer *peer)
{
        static struct dns_message message; /* 8 KiB; nothing keeps it beyond this call */
        struct dns_walk_limits limits;
        struct decision decision = {};
        const char *why = "malformed";
        struct update shown = {};
        int r;

        r = dns_message_walk(bytes, size, walk_limits(context, &limits), &message, &why);
        /* Without a header, or with an answer, there is nobody to talk to. */
        if (size < DNS_HEADER_SIZE || (message.flags & DNS_FLAG_QR))
                return -EBADMSG;
        if (r == -E2BIG)
                refuse_for_size(context, &message, &shown, &decision);
        else if (r < 0)
                decide(&decision, DNS_RCODE_FORMERR, DNS_EDE_NONE, "the message is malformed: %s", why);
        else if (dns_message_opcode(&message) == DNS_OPCODE_QUERY)
                return answer_query(context, stream, &message, peer);
        else if (message.tsig >= 0)
                decide(&decision, DNS_RCODE_FORMERR, DNS_EDE_NONE, "TSIG is not used here; sign with SIG(0)");
        else if (dns_message_opcode(&message) != DNS_OPCODE_UPDATE)
                decide(&decision, DNS_RCODE_NOTIMP, DNS_EDE_NOT_SUPPORTED,
                       "only QUERY and UPDATE are served");
        else
                return request_begin(context, stream, &message, bytes, size, peer);
        if (r >= 0)
                update_sketch(&message, &shown);
        reply_at_once(context, stream, &message, r == -EBADMSG ? NULL : &shown, &decision, peer);
        return 0;
}

int receive_overlong(struct context *context, struct stream_id stream, const uint8_t *start, size_t size,
                     size_t length, const struct net_peer *peer)
{
        static struct dns_message message;
        struct decision decision = {};
        struct update shown = {};

        dns_message_peek(start, size, &message);
        if (size < DNS_HEADER_SIZE || (message.flags & DNS_FLAG_QR))
                return -EBADMSG;
        decide(&decision, DNS_RCODE_FORMERR, DNS_EDE_NONE,
               "the message has %zu octets, of which at most %u are taken (message-bytes); send less at a "
               "time",
               length, context->config->limits.message_bytes);
        reply_at_once(context, stream, &message, &shown, &decision, peer);
        return 0;
}

void receive_datagram(struct context *context, const struct udp_peer *peer, const uint8_t *bytes, size_t size)
{
        static struct dns_message message;
        struct dns_walk_limits limits;
        uint8_t buffer[DNS_UDP_MAX];
        ssize_t n = 0;

        /* Malformed datagrams and answers get none: nobody is to be hit with them. */
        if (dns_message_walk(bytes, size, walk_limits(context, &limits), &message, NULL) < 0 ||
            (message.flags & DNS_FLAG_QR))
                return;
        if (dns_message_opcode(&message) == DNS_OPCODE_QUERY)
                n = query_answer(context, &message, &peer->peer, true, buffer, sizeof(buffer));
        else if (reply_may_be_short())
                /* Updates are taken over TCP only; a client that sends one here sees by the RCODE that it did
                 * not get through, and the texts are for those who cannot be somebody else. */
                n = reply_short(&message,
                                dns_message_opcode(&message) == DNS_OPCODE_UPDATE ? DNS_RCODE_REFUSED
                                                                                  : DNS_RCODE_NOTIMP,
                                buffer, sizeof(buffer));
        if (n > 0)
                /* A datagram that does not go out is asked for again. */
                (void) udp_server_reply(context->datagrams, peer, buffer, (size_t) n);
}
