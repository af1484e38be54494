/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "nsregd/event.h"
#include "nsregd/manager.h"
#include "nsregd/query.h"
#include "nsregd/reply.h"
#include "nsregd/request.h"
#include "nsregd/stop.h"
#include "util/log.h"

/* However long an upstream's time-out is, a client that waits longer has given up. */
#define PUBLISH_TIMEOUT_MAX_USEC (8 * USEC_PER_SEC)

struct request {
        LIST_ENTRY(request) requests;
        struct manager *manager;
        struct stream_id stream;
        usec_t received_usec; /* monotonic */
        struct update update;
        struct address source;
        struct dns_name zone_name;
        struct registry_zone *zone; /* looked up again behind everything that waits */
        struct grant grant;
        struct address *addresses; /* whose PTRs the answer waits for, owned */
        size_t n_addresses;
        struct decision decision;
        struct publication *publication;
        struct waiter covering; /* for the heartbeat that covers a refresh */
        size_t size;
        uint8_t bytes[]; /* as received */
};

static void refuse(struct request *request, bool owner_mismatch);
static void refuse_with(struct request *request, enum dns_rcode rcode, int ede, const char *text);
static void stage_admit(struct request *request, const struct dns_message *message);
static void stage_turn(void *userdata, struct registry_zone *zone);
static void stage_verify(struct request *request);
static void stage_apply(struct request *request);
static void stage_commit(struct request *request, struct name_state *after);
static void stage_committed(void *userdata, int error);
static void stage_publish(struct request *request);
static void stage_published(void *userdata, enum wait_outcome outcome, const char *reason);

/* The source's place among those that wait is taken already, and given back with the request. */
static struct request *request_new(struct manager *manager, struct stream_id stream, const uint8_t *bytes,
                                   size_t size, const struct address *source)
{
        struct request *request = calloc(1, sizeof(*request) + size);

        if (!request) {
                quota_return_waiting(manager->quota, source);
                return NULL;
        }
        request->manager = manager;
        request->source = request->update.source = *source;
        request->stream = stream;
        request->received_usec = now_usec(CLOCK_MONOTONIC);
        request->size = size;
        memcpy(request->bytes, bytes, size);
        LIST_INSERT_HEAD(&manager->requests, request, requests);
        manager->n_requests++;
        return request;
}

static void request_free(struct request *request)
{
        LIST_REMOVE(request, requests);
        request->manager->n_requests--;
        quota_return_waiting(request->manager->quota, &request->source);
        waiter_clear(&request->covering);
        publication_free(request->publication);
        update_clear(&request->update);
        free(request->addresses);
        free(request);
}

void requests_drop(struct manager *manager)
{
        while (!LIST_EMPTY(&manager->requests))
                request_free(LIST_FIRST(&manager->requests));
}

void requests_suspend(struct manager *manager)
{
        struct request *request;

        LIST_FOREACH (request, &manager->requests, requests)
                request->publication = publication_free(request->publication);
}

void requests_resume(struct manager *manager)
{
        struct request *request, *next;

        LIST_FOREACH_SAFE (request, &manager->requests, requests, next) {
                request->zone = registry_find_zone(manager->registry, &request->zone_name);
                if (request->decision.rcode != DNS_RCODE_NOERROR)
                        refuse(request, false); /* it only waited for what was withdrawn */
                else if (request->zone)
                        stage_publish(request);
                else
                        refuse_with(request, DNS_RCODE_NOTAUTH, DNS_EDE_NONE, "this zone is served no more");
        }
}

/* --- parse --- */

static const struct dns_walk_limits *walk_limits(const struct manager *manager,
                                                 struct dns_walk_limits *limits)
{
        *limits = (struct dns_walk_limits){
                .message_bytes = manager->config->limits.message_bytes,
                .rrs = manager->config->limits.rrs_per_message,
        };
        return limits;
}

/* Everything that has no request of its own: queries, and what is refused at first sight. */
static void reply_at_once(struct manager *manager, struct stream_id stream, const struct dns_message *message,
                          const struct decision *decision)
{
        uint8_t buffer[DNS_UDP_MAX];
        ssize_t size = reply_refusal(message, NULL, NULL, decision, buffer, sizeof(buffer));

        if (size > 0)
                (void) stream_set_reply(manager->streams, stream, buffer, (size_t) size);
        else
                stream_set_done(manager->streams, stream);
}

static int answer_query(struct manager *manager, struct stream_id stream, const struct dns_message *message,
                        const struct net_peer *peer)
{
        static uint8_t buffer[DNS_MESSAGE_MAX];
        ssize_t size = query_answer(manager, message, peer, false, buffer, sizeof(buffer));

        if (size <= 0)
                return -ECONNABORTED;
        return stream_set_reply(manager->streams, stream, buffer, (size_t) size) == -ENOMEM ? -ENOMEM : 0;
}

int request_stream(struct manager *manager, struct stream_id stream, const uint8_t *bytes, size_t size,
                   const struct net_peer *peer)
{
        static struct dns_message message; /* 8 KiB; nothing keeps it beyond this call */
        struct dns_walk_limits limits;
        struct decision decision = {};
        const char *why = "malformed";
        struct request *request;
        int r;

        manager->statistics.requests++;
        r = dns_message_walk(bytes, size, walk_limits(manager, &limits), &message, &why);
        /* Without a header, or with an answer, there is nobody to talk to. */
        if (size < DNS_HEADER_SIZE || (message.flags & DNS_FLAG_QR))
                return -EBADMSG;
        if (r < 0) {
                decide(&decision, DNS_RCODE_FORMERR, DNS_EDE_NONE, "the message is malformed: %s", why);
                event_refused(manager, NULL, &peer->remote, &decision, false);
                reply_at_once(manager, stream, &message, &decision);
                return 0;
        }
        if (dns_message_opcode(&message) == DNS_OPCODE_QUERY)
                return answer_query(manager, stream, &message, peer);

        if (message.tsig >= 0)
                decide(&decision, DNS_RCODE_FORMERR, DNS_EDE_NONE, "TSIG is not used here; sign with SIG(0)");
        else if (dns_message_opcode(&message) != DNS_OPCODE_UPDATE)
                decide(&decision, DNS_RCODE_NOTIMP, DNS_EDE_NOT_SUPPORTED,
                       "only QUERY and UPDATE are served");
        else if (!quota_take_update(manager->quota, &peer->remote, now_usec(CLOCK_MONOTONIC)))
                decide(&decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "too many updates; try again later");
        else if (manager->n_requests >= manager->config->limits.waiting)
                decide(&decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "too busy; try again later");
        else if (!quota_take_waiting(manager->quota, &peer->remote))
                decide(&decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                       "too many requests of this network wait; try again later");
        if (decision.text[0]) {
                event_refused(manager, NULL, &peer->remote, &decision, false);
                reply_at_once(manager, stream, &message, &decision);
                return 0;
        }

        request = request_new(manager, stream, bytes, size, &peer->remote);
        if (!request)
                return -ENOMEM;
        stage_admit(request, &message);
        return 0;
}

void request_datagram(struct manager *manager, const struct udp_peer *peer, const uint8_t *bytes, size_t size)
{
        static struct dns_message message;
        struct dns_walk_limits limits;
        uint8_t buffer[DNS_UDP_MAX];
        ssize_t n = 0;

        /* Malformed datagrams and answers get none: nobody is to be hit with them. */
        if (dns_message_walk(bytes, size, walk_limits(manager, &limits), &message, NULL) < 0 ||
            (message.flags & DNS_FLAG_QR))
                return;
        if (dns_message_opcode(&message) == DNS_OPCODE_QUERY)
                n = query_answer(manager, &message, &peer->peer, true, buffer, sizeof(buffer));
        else if (reply_may_be_short())
                /* Updates are taken over TCP only; a client that sends one here sees by the RCODE that it did
                 * not get through, and the texts are for those who cannot be somebody else. */
                n = reply_short(&message,
                                dns_message_opcode(&message) == DNS_OPCODE_UPDATE ? DNS_RCODE_REFUSED
                                                                                  : DNS_RCODE_NOTIMP,
                                buffer, sizeof(buffer));
        if (n > 0)
                /* A datagram that does not go out is asked for again. */
                (void) udp_server_reply(manager->datagrams, peer, buffer, (size_t) n);
}

/* --- reply --- */

static void reply(struct request *request)
{
        struct manager *manager = request->manager;
        static struct dns_message message;
        static uint8_t buffer[DNS_MESSAGE_MAX];
        ssize_t size;

        /* Walked before, so this succeeds. */
        (void) dns_message_walk(request->bytes, request->size, NULL, &message, NULL);
        if (request->decision.rcode == DNS_RCODE_NOERROR)
                size = reply_granted(&message, &request->update, request->zone ? request->zone->policy : NULL,
                                     &request->grant, buffer, sizeof(buffer));
        else
                size = reply_refusal(&message, request->update.name.length > 0 ? &request->update.name : NULL,
                                     &request->update.edns, &request->decision, buffer, sizeof(buffer));
        if (size > 0)
                (void) stream_set_reply(manager->streams, request->stream, buffer, (size_t) size);
        else
                stream_set_done(manager->streams, request->stream);
        request_free(request);
}

static void refuse(struct request *request, bool owner_mismatch)
{
        event_refused(request->manager, request->update.name.length > 0 ? &request->update.name : NULL,
                      &request->update.source, &request->decision, owner_mismatch);
        reply(request);
}

static void refuse_with(struct request *request, enum dns_rcode rcode, int ede, const char *text)
{
        decide(&request->decision, rcode, ede, "%s", text);
        refuse(request, false);
}

static void grant_request(struct request *request)
{
        request->decision = (struct decision){ .rcode = DNS_RCODE_NOERROR, .ede = DNS_EDE_NONE };
        reply(request);
}

/* --- admit: checks 3 to 8 --- */

static bool find_zone(struct request *request, const struct dns_message *message)
{
        struct manager *manager = request->manager;

        if (message->counts[DNS_SECTION_QUESTION] != 1 || message->question_type != DNS_TYPE_SOA ||
            message->question_class != DNS_CLASS_IN)
                return decide(&request->decision, DNS_RCODE_FORMERR, DNS_EDE_NONE,
                              "the zone section must be one SOA question of class IN");
        request->zone = registry_find_zone(manager->registry, &message->question_name);
        if (!request->zone)
                return decide(&request->decision, DNS_RCODE_NOTAUTH, DNS_EDE_NONE,
                              "this zone is not served here");
        request->zone_name = message->question_name;
        return true;
}

/* State that can have changed while the request waited: 7 and 8. */
static enum admission admit_by_state(struct request *request)
{
        struct manager *manager = request->manager;
        struct registry_time now = manager_time(manager);
        const struct zone_policy *policy = request->zone->policy;
        const struct name_entry *entry;
        enum admission admission;

        admission = registry_admit(request->zone, &request->update, &now, &request->decision);
        if (admission != ADMISSION_NEW)
                return admission;
        entry = registry_find(request->zone, &request->update.name);
        if ((!entry || !entry->state->claimed) && policy->max_names_per_source > 0 &&
            quota_names(manager->quota, &request->update.source) >= policy->max_names_per_source) {
                decide(&request->decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                       "this machine has claimed %u names already (max-names-per-source)",
                       policy->max_names_per_source);
                return ADMISSION_REFUSED;
        }
        return ADMISSION_NEW;
}

/* Refused because somebody else has the name. */
static bool is_owner_mismatch(const struct request *request)
{
        const struct name_entry *entry = request->zone ? registry_find(request->zone, &request->update.name)
                                                       : NULL;

        return entry && entry->state->claimed && request->update.has_key &&
               !dns_key_same(entry->state->key, &request->update.key);
}

static void stage_admit(struct request *request, const struct dns_message *message)
{
        struct manager *manager = request->manager;
        struct dns_name server_name;
        struct update_context context = {
                .server_name = &server_name,
                .source = request->source,
                .real_usec = now_usec(CLOCK_REALTIME),
                .clock_synchronized = manager->clock_synchronized,
        };

        if (!find_zone(request, message)) {
                refuse(request, false);
                return;
        }
        context.policy = request->zone->policy;
        server_name = manager_server_name(manager, request->zone);
        if (!update_decode(message, &context, &request->update, &request->decision)) {
                refuse(request, false);
                return;
        }
        switch (admit_by_state(request)) {
        case ADMISSION_REFUSED:
                /* What is refused by a state that is about to change is judged again behind the change. */
                if (!change_is_pending(manager->changes, &request->update.name)) {
                        refuse(request, is_owner_mismatch(request));
                        return;
                }
                break;
        case ADMISSION_NEW:
        case ADMISSION_DUPLICATE:
                break;
        }
        if (change_when_free(manager->changes, &request->update.name, stage_turn, request) < 0)
                refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "out of memory; try again later");
}

/* The request accepted last, again: it was granted what stands. */
static void grant_as_before(struct request *request)
{
        const struct name_entry *entry = registry_find(request->zone, &request->update.name);

        request->grant = registry_grant(request->zone, &request->update, entry ? entry->state : NULL);
}

static void stage_turn(void *userdata, struct registry_zone *zone)
{
        struct request *request = userdata;

        request->zone = zone;
        if (!zone) {
                refuse_with(request, DNS_RCODE_NOTAUTH, DNS_EDE_NONE, "this zone is served no more");
                return;
        }
        switch (admit_by_state(request)) {
        case ADMISSION_REFUSED:
                refuse(request, is_owner_mismatch(request));
                return;
        case ADMISSION_DUPLICATE:
                grant_as_before(request);
                stage_publish(request);
                return;
        case ADMISSION_NEW:
                stage_verify(request);
                return;
        }
}

/* --- verify: checks 9 and 10 --- */

static bool load_key(struct request *request, const struct dns_key *key, EVP_PKEY **ret)
{
        const char *why = "not a key";
        int r = keycache_get(request->manager->keycache, key, ret, &why);

        if (r >= 0)
                return true;
        if (r == -EKEYREJECTED)
                return decide(&request->decision, DNS_RCODE_FORMERR, DNS_EDE_NOT_SUPPORTED,
                              "the KEY is not accepted: %s", why);
        if (r == -EOPNOTSUPP)
                return decide(&request->decision, DNS_RCODE_REFUSED, DNS_EDE_NOT_SUPPORTED,
                              "key algorithm %u is not supported", key->algorithm);
        return decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                      "out of memory; try again later");
}

static int verify_signature(const struct request *request, EVP_PKEY *key)
{
        static struct dns_message message;
        struct dns_sig0 sig;
        int r;

        r = dns_message_walk(request->bytes, request->size, NULL, &message, NULL);
        if (r < 0)
                return r;
        r = dns_sig0_parse(&message, &sig);
        return r < 0 ? r : dns_sig0_verify(&message, &sig, key);
}

static void stage_verify(struct request *request)
{
        struct manager *manager = request->manager;
        const struct name_entry *entry = registry_find(request->zone, &request->update.name);
        bool known = entry && entry->state->claimed;
        EVP_PKEY *key;
        int r;

        if (!quota_take_verification(manager->quota, &request->update.source, !known,
                                     now_usec(CLOCK_MONOTONIC))) {
                refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                            "too many signatures to verify; try again later");
                return;
        }
        if (!load_key(request, known ? entry->state->key : &request->update.key, &key)) {
                refuse(request, false);
                return;
        }
        manager->statistics.verifications++;
        r = verify_signature(request, key);
        if (r < 0) {
                manager->statistics.verification_failures++;
                if (r == -EKEYREJECTED)
                        refuse_with(request, DNS_RCODE_NOTAUTH, DNS_EDE_NONE, "the signature is wrong");
                else
                        refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                                    "the signature could not be verified; try again later");
                return;
        }
        quota_return_verification(manager->quota, &request->update.source, !known);
        stream_set_mark_verified(manager->streams, request->stream);
        stage_apply(request);
}

/* --- apply: check 11 --- */

/* What the name had before and has now, and what the request speaks of: a repeated request waits for what
 * the first one did. Memory running out only shortens the wait. */
static void note_addresses(struct request *request)
{
        const struct name_entry *entry = registry_find(request->zone, &request->update.name);
        size_t n = (entry ? entry->state->n_records : 0U) + request->update.n_operations;
        struct address *addresses = reallocarray(request->addresses, request->n_addresses + n + 1,
                                                 sizeof(*addresses));

        if (!addresses)
                return;
        request->addresses = addresses;
        for (unsigned i = 0; entry && i < entry->state->n_records; i++)
                addresses[request->n_addresses++] = entry->state->records[i].address;
        for (unsigned i = 0; i < request->update.n_operations; i++)
                if (request->update.operations[i].address.family)
                        addresses[request->n_addresses++] = request->update.operations[i].address;
}

/* Where the disk fails the refresh stands all the same, in memory and over the end of this process: an owner
 * is not to lose its records because a disk is full. */
static void on_covered(struct waiter *waiter, int error)
{
        stage_publish(container_of(waiter, struct request, covering));
}

static void refresh(struct request *request, struct name_state *after)
{
        struct manager *manager = request->manager;

        if (stop_is_storing(manager)) {
                name_state_free(after);
                refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "stopping; try again later");
                return;
        }
        registry_refresh(request->zone, &request->update.name, after);
        name_state_free(after);
        manager->statistics.refreshes++;
        store_note_refresh(manager->store);
        manager_arm(manager);
        /* Out of memory: as with a disk that fails. */
        if (store_cover_refresh(manager->store, &request->covering, on_covered) != 0)
                stage_publish(request);
}

static void stage_apply(struct request *request)
{
        struct manager *manager = request->manager;
        const struct name_entry *entry = registry_find(request->zone, &request->update.name);
        struct registry_time now = manager_time(manager);
        bool known = entry && entry->state->claimed;
        struct name_state *after;

        switch (registry_apply(request->zone, &request->update, &now, &after, &request->decision)) {
        case APPLICATION_REFUSED:
                refuse(request, false);
                return;
        case APPLICATION_NOTHING:
                grant_request(request);
                return;
        case APPLICATION_REFRESH:
                request->grant = registry_grant(request->zone, &request->update, after);
                refresh(request, after);
                return;
        case APPLICATION_CHANGE:
                request->grant = registry_grant(request->zone, &request->update, after);
                break;
        }
        if (!known &&
            !quota_take_new_name(manager->quota, &request->update.source, now_usec(CLOCK_MONOTONIC))) {
                name_state_free(after);
                refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                            "too many new names from this network; try again later");
                return;
        }
        note_addresses(request);
        stage_commit(request, after);
}

/* --- commit: check 12 --- */

static void not_stored(struct request *request, int error)
{
        event_not_stored(request->manager, &request->update.name, error);
        refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_OTHER,
                    "not stored: nothing was changed; try again later");
}

static void stage_commit(struct request *request, struct name_state *after)
{
        int r = change_submit(request->manager->changes, request->zone, &request->update.name, after,
                              stage_committed, request);

        if (r < 0)
                not_stored(request, r);
}

static void stage_committed(void *userdata, int error)
{
        struct request *request = userdata;

        request->zone = registry_find_zone(request->manager->registry, &request->zone_name);
        if (error == -ENOENT || !request->zone) {
                refuse_with(request, DNS_RCODE_NOTAUTH, DNS_EDE_NONE, "this zone is served no more");
                return;
        }
        if (error < 0) {
                not_stored(request, error);
                return;
        }
        request->manager->statistics.changes++;
        stage_publish(request);
}

/* --- publish: check 13 --- */

static usec_t publish_timeout(const struct request *request)
{
        usec_t longest_usec = 0, spent_usec = now_usec(CLOCK_MONOTONIC) - request->received_usec;

        for (const struct attachment *attachment = publisher_attachments(request->zone); attachment;
             attachment = attachment->next)
                longest_usec = MAX(longest_usec, attachment->config->timeout_usec);
        return usec_sub(MIN(longest_usec, PUBLISH_TIMEOUT_MAX_USEC), spent_usec);
}

static void stage_publish(struct request *request)
{
        struct manager *manager = request->manager;
        const char *reason = NULL;
        int r;

        note_addresses(request);

        r = publisher_wait(manager->publisher, request->zone, &request->update.name, request->addresses,
                           request->n_addresses, publish_timeout(request), stage_published, request,
                           &request->publication, &reason);
        if (r > 0)
                return;
        if (r == 0)
                stage_published(request, WAIT_PUBLISHED, NULL);
        else
                stage_published(request, WAIT_FAILED, reason ?: "out of memory");
}

static void reply_withdrawn(void *userdata, enum wait_outcome outcome, const char *reason)
{
        struct request *request = userdata;

        request->publication = NULL;
        refuse(request, false);
}

/* Behind the undoing of what an upstream would not have: what others had published already is withdrawn
 * before the answer, as far as they can be reached. */
static void reply_undone(void *userdata, struct registry_zone *zone)
{
        struct request *request = userdata;
        const char *reason;

        request->zone = zone;
        if (!zone || publisher_wait(request->manager->publisher, zone, &request->update.name,
                                    request->addresses, request->n_addresses, publish_timeout(request),
                                    reply_withdrawn, request, &request->publication, &reason) <= 0)
                refuse(request, false);
}

static void stage_published(void *userdata, enum wait_outcome outcome, const char *reason)
{
        struct request *request = userdata;
        struct manager *manager = request->manager;
        const struct name_entry *entry;

        request->publication = NULL;
        request->zone = registry_find_zone(manager->registry, &request->zone_name);
        entry = request->zone ? registry_find(request->zone, &request->update.name) : NULL;
        switch (outcome) {
        case WAIT_PUBLISHED:
                /* Nobody objected: from now on the name is its owner's. Not worth a write: what is
                 * provisional after a crash is settled by the next refresh. */
                if (entry)
                        entry->state->provisional = PROVISIONAL_NO;
                grant_request(request);
                return;
        case WAIT_FAILED:
                decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY,
                       "stored, but not published yet: %.180s", reason);
                refuse(request, false);
                return;
        case WAIT_REFUSED:
                /* An established name stands: only its publication there does not. */
                if (entry && entry->state->claimed && entry->state->provisional == PROVISIONAL_NO)
                        decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_BLOCKED,
                               "not published: %.180s", reason);
                else
                        decide(&request->decision, DNS_RCODE_REFUSED, DNS_EDE_BLOCKED, "%.200s", reason);
                if (change_when_free(manager->changes, &request->update.name, reply_undone, request) < 0)
                        reply_undone(request, NULL);
                return;
        }
}
