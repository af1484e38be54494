/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "net/stream-set.h"
#include "nsregd/announce.h"
#include "nsregd/change.h"
#include "nsregd/clock-watch.h"
#include "nsregd/context.h"
#include "nsregd/repeat.h"
#include "nsregd/reply.h"
#include "nsregd/request.h"
#include "nsregd/standing.h"
#include "nsregd/verify.h"
#include "nsregd/zones.h"
#include "registry/twins.h"
#include "upstream/publisher.h"

/* However long an upstream's time-out is, a client that waits longer has given up. */
#define PUBLISH_TIMEOUT_MAX_USEC (8 * USEC_PER_SEC)

/* What a request waits for, and who may end it:
 *
 *   stage        waits for                      ended by                holds the name
 *   DECODING     nothing                        itself                  no
 *   LOCKING      its turn at the name           request_on_lock         no
 *   VERIFYING    the signature                  itself                  yes
 *   COVERING     the heartbeat that covers a    request_on_covered      no
 *                refresh (after a quiet minute)
 *   COMMITTING   the disk                       request_on_committed    yes
 *   PUBLISHING   the upstreams                  request_on_published    no
 *   CONFIRMING   its turn, then the disk: the   request_on_confirm_lock,  then yes
 *                claim is no longer provisional request_on_confirmed
 *   UNDOING      its turn behind the undoing,   request_on_undone,      no
 *                then the upstreams             request_on_withdrawn
 *
 * Nothing but a publication answers one that is PUBLISHING; before that nothing answers NOERROR but a request
 * that changes nothing. */
enum request_stage {
        REQUEST_DECODING,
        REQUEST_LOCKING,
        REQUEST_VERIFYING,
        REQUEST_COVERING,
        REQUEST_COMMITTING,
        REQUEST_PUBLISHING,
        REQUEST_CONFIRMING,
        REQUEST_UNDOING,
};

struct request {
        LIST_ENTRY(request) requests;
        struct context *context;
        enum request_stage stage;
        struct stream_id stream;
        usec_t received_usec; /* monotonic */
        struct update update;
        struct address source;
        bool repeated;              /* accepted before this process began */
        struct quota_wait wait;     /* its place among those of its source that wait */
        struct served_zone *served; /* pinned; NULL: none was found */
        struct change change;
        struct grant grant;
        struct twin_sighting twin;
        struct publication_scope scope; /* what the answer waits for */
        uint32_t generation;            /* of the state whose publication is waited for */
        struct decision decision;
        struct publication *publication;
        struct waiter covered; /* for the heartbeat that covers a refresh */
        size_t size;
        uint8_t bytes[]; /* as received */
};

static void request_judge(struct request *request);
static void request_verify(struct request *request);
static void request_apply(struct request *request);
static void request_publish(struct request *request);
static void request_on_published(void *userdata, enum wait_outcome outcome, const char *reason);
static void request_on_withdrawn(void *userdata, enum wait_outcome outcome, const char *reason);

static struct request *request_new(struct context *context, struct stream_id stream, const uint8_t *bytes,
                                   size_t size, const struct address *source)
{
        struct request *request = calloc(1, sizeof(*request) + size);

        if (!request)
                return NULL;
        request->context = context;
        request->source = request->update.source = *source;
        request->stream = stream;
        request->received_usec = now_usec(CLOCK_MONOTONIC);
        request->size = size;
        memcpy(request->bytes, bytes, size);
        LIST_INSERT_HEAD(&context->requests, request, requests);
        context->n_requests++;
        return request;
}

static void request_free(struct request *request)
{
        struct context *context = request->context;

        waiter_clear(&request->covered);
        publication_free(request->publication);
        change_clear(&request->change);
        zone_end(context->zones, request->served);
        LIST_REMOVE(request, requests);
        context->n_requests--;
        quota_return_waiting(context->quota, &request->wait);
        update_clear(&request->update);
        publication_scope_clear(&request->scope);
        free(request);
}

void requests_drop(struct context *context)
{
        while (!LIST_EMPTY(&context->requests))
                request_free(LIST_FIRST(&context->requests));
}

/* --- reply --- */

/* Frees the request. A connection that is gone, or cannot take the answer, gets none: its client asks again.
 */
static void request_reply(struct request *request)
{
        struct context *context = request->context;
        static struct dns_message message;
        static uint8_t buffer[DNS_MESSAGE_MAX];
        ssize_t size;

        /* Walked before, so this succeeds. */
        (void) dns_message_walk(request->bytes, request->size, NULL, &message, NULL);
        if (request->decision.rcode == DNS_RCODE_NOERROR)
                size = reply_granted(&message, &request->update, &request->served->policy, &request->grant,
                                     &request->twin, buffer, sizeof(buffer));
        else
                size = reply_refusal(&message, &request->update, &request->decision, buffer, sizeof(buffer));
        if (size > 0)
                (void) stream_set_reply(context->streams, request->stream, buffer, (size_t) size);
        else
                stream_set_done(context->streams, request->stream);
        request_free(request);
}

static void request_refuse(struct request *request, bool owner_mismatch)
{
        announce_refused(request->context->announcer,
                         request->update.name.length > 0 ? &request->update.name : NULL,
                         &request->update.source, &request->decision, owner_mismatch);
        request_reply(request);
}

static void request_refuse_with(struct request *request, enum dns_rcode rcode, int ede, const char *text)
{
        decide(&request->decision, rcode, ede, "%s", text);
        request_refuse(request, false);
}

static void request_refuse_for_memory(struct request *request)
{
        request_refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "out of memory; try again later");
}

static void request_grant(struct request *request)
{
        request->decision = (struct decision){ .rcode = DNS_RCODE_NOERROR, .ede = DNS_EDE_NONE };
        request_reply(request);
}

/* --- decode: checks 1 to 6, which need no state of the name --- */

static bool request_find_zone(struct request *request, const struct dns_message *message)
{
        struct context *context = request->context;
        struct served_zone *served;

        if (message->counts[DNS_SECTION_QUESTION] != 1 || message->question_type != DNS_TYPE_SOA ||
            message->question_class != DNS_CLASS_IN)
                return decide(&request->decision, DNS_RCODE_FORMERR, DNS_EDE_NONE,
                              "the zone section must be one SOA question of class IN");
        served = zones_serving(context->zones, &message->question_name);
        if (!served)
                return decide(&request->decision, DNS_RCODE_NOTAUTH, DNS_EDE_NONE,
                              "this zone is not served here");
        request->served = zone_begin(served);
        return true;
}

static bool request_decode(struct request *request, const struct dns_message *message)
{
        struct context *context = request->context;
        struct dns_name server_name;
        struct update_context decoding = {
                .server_name = &server_name,
                .source = request->source,
                .real_usec = now_usec(CLOCK_REALTIME),
                .clock_synchronized = clock_watch_is_synchronized(context->clock_watch),
        };

        update_sketch(message, &request->update);
        if (!request_find_zone(request, message))
                return false;
        decoding.policy = &request->served->policy;
        server_name = zone_server_name(context->zones, request->served->zone);
        return update_decode(message, &decoding, &request->update, &request->decision);
}

/* Not where a signature was wrong before: who forges for a neighbour's name does not use up what it has. */
static bool request_has_standing(const struct request *request, usec_t now_usec)
{
        struct context *context = request->context;

        return stream_set_record(context->streams, request->stream) != STREAM_FAILED &&
               standing_take_update(context->standing, &request->update.name, &request->source, now_usec);
}

/* What the source may still cost, before anything is queued for it. */
static bool request_take_places(struct request *request)
{
        struct context *context = request->context;
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (!request_has_standing(request, now) && !quota_take_update(context->quota, &request->source, now))
                return decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                              "too many updates; try again later");
        if (context->n_requests > context->config->limits.waiting)
                return decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                              "too busy; try again later");
        if (!quota_take_waiting(context->quota, &request->source, &request->wait))
                return decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                              "too many requests of this network wait; try again later");
        return true;
}

static uint64_t stream_peer(struct stream_id stream)
{
        return (uint64_t) stream.generation << 32 | stream.index;
}

static void request_on_lock(struct name_lock *lock)
{
        struct request *request = container_of(change_of(lock), struct request, change);

        assert(request->stage == REQUEST_LOCKING);
        request_judge(request);
}

static void request_lock(struct request *request)
{
        struct context *context = request->context;
        struct name_lock *lock = &request->change.lock;
        int r;

        lock->source = request->source;
        lock->peer = stream_peer(request->stream);
        lock->favoured = standing_has(context->standing, &request->update.name, &request->source);
        request->stage = REQUEST_LOCKING;
        r = change_lock(context->changes, &request->change, &request->update.name, request_on_lock);
        if (r > 0)
                request_judge(request);
        else if (r < 0)
                request_refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                                    "too many requests for this name wait; try again later");
}

int request_begin(struct context *context, struct stream_id stream, const struct dns_message *message,
                  const uint8_t *bytes, size_t size, const struct net_peer *peer)
{
        struct request *request = request_new(context, stream, bytes, size, &peer->remote);

        if (!request)
                return -ENOMEM;
        if (!request_decode(request, message)) {
                request_refuse(request, false);
                return 0;
        }
        /* What a connection pipelines for one name waits on the connection, in order, and takes nobody's
         * place. */
        if (name_lock_has_peer(context->locks, &request->update.name, stream_peer(stream))) {
                request_free(request);
                return STREAM_LATER;
        }
        if (!request_take_places(request)) {
                request_refuse(request, false);
                return 0;
        }
        context->statistics.requests++;
        request_lock(request);
        return 0;
}

/* --- judge: checks 7 and 8, the name is locked --- */

static const struct name_entry *request_entry(const struct request *request)
{
        return registry_find(request->served->zone, &request->update.name);
}

static bool request_may_claim_more(struct request *request)
{
        struct quota *quota = request->context->quota;
        uint32_t most = request->served->policy.max_names_per_source;

        if (most == 0)
                return true;
        if (quota_names(quota, &request->source) >= most)
                return decide(&request->decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "this machine has claimed %u name%s already (max-names-per-source)", most,
                              most == 1 ? "" : "s");
        if (quota_names_of_network(quota, &request->source) >= (uint64_t) most * 4)
                return decide(&request->decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "this network has claimed %llu names already (four times "
                              "max-names-per-source)",
                              (unsigned long long) most * 4);
        return true;
}

static enum admission request_admit(struct request *request)
{
        struct context *context = request->context;
        struct registry_time now = context_time(context);
        const struct name_entry *entry;
        enum admission admission;

        admission = registry_admit(request->served->zone, &request->update, &now, &request->decision);
        if (admission != ADMISSION_NEW)
                return admission;
        entry = request_entry(request);
        if ((!entry || !entry->state->claimed) && request->served->claims_held) {
                decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                       "the registrar does not know the owners of this zone yet; try again later");
                return ADMISSION_REFUSED;
        }
        if ((!entry || !entry->state->claimed) && !request_may_claim_more(request))
                return ADMISSION_REFUSED;
        return ADMISSION_NEW;
}

/* What the answer tells: what is kept. */
static void request_note_grant(struct request *request, const struct name_state *state)
{
        request->grant = registry_grant(request->served->zone, &request->update, state);
        registry_note_standing(&request->update, state);
}

/* Refused because somebody else has the name. */
static bool request_is_owner_mismatch(const struct request *request)
{
        const struct name_entry *entry = request_entry(request);

        return entry && entry->state->claimed && request->update.has_key &&
               !dns_key_same(entry->state->key, &request->update.key);
}

/* Whether what a request made that was accepted is there now: a release leaves nothing. */
static bool request_still_stands(const struct request *request)
{
        const struct name_entry *entry = request_entry(request);
        const struct update *update = &request->update;
        bool removes_all = update->edns.lease_form > 0 && update->edns.lease_sec == 0;
        bool releases = update->edns.lease_form > 0 && update->edns.key_lease_sec == 0;

        for (unsigned i = update->n_operations; i-- > 0;)
                switch (update->operations[i].kind) {
                case OPERATION_KEY_DELETE:
                        releases = true;
                        break;
                case OPERATION_ADD:
                        if (!removes_all && !update->operations[i].filtered && !update->operations[i].stands)
                                return false;
                        break;
                case OPERATION_DELETE_RR:
                case OPERATION_DELETE_RRSET:
                case OPERATION_DELETE_ALL:
                        /* It may have taken away what was added in front of it. */
                        removes_all = true;
                        break;
                case OPERATION_KEY_ADD:
                        break;
                }
        return releases || (entry && entry->state->claimed);
}

/* The request accepted last, again: it was granted what stands. */
static void request_repeat(struct request *request)
{
        const struct name_entry *entry = request_entry(request);

        request_note_grant(request, entry ? entry->state : NULL);
        if (!request_still_stands(request)) {
                request_refuse_with(request, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                    "this request was accepted before, and what it made stands no more");
                return;
        }
        switch (repeats_judge(request->context->repeats, &request->update, request->bytes, request->size)) {
        case REPEAT_SAME:
                request_publish(request);
                return;
        case REPEAT_OTHER:
                request_refuse_with(request, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                    "this request was accepted before, with another signature");
                return;
        case REPEAT_UNKNOWN:
                /* The key that signed it may be nobody's any more. */
                if (request->update.has_new_key ||
                    (!(entry && entry->state->claimed) && !request->update.has_key)) {
                        request_refuse_with(request, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                            "this request was accepted before");
                        return;
                }
                request->repeated = true;
                request_verify(request);
                return;
        }
}

static void request_judge(struct request *request)
{
        if (request->served->leaving) {
                request_refuse_with(request, DNS_RCODE_NOTAUTH, DNS_EDE_NONE, "this zone is served no more");
                return;
        }
        switch (request_admit(request)) {
        case ADMISSION_REFUSED:
                request_refuse(request, request_is_owner_mismatch(request));
                return;
        case ADMISSION_DUPLICATE:
                request_repeat(request);
                return;
        case ADMISSION_NEW:
                request_verify(request);
                return;
        }
}

/* --- verify: checks 9 and 10 --- */

static void request_verify(struct request *request)
{
        const struct name_entry *entry = request_entry(request);
        const struct verify_ask ask = {
                .update = &request->update,
                .source = &request->source,
                .stream = request->stream,
                .owner = entry && entry->state->claimed ? entry->state->key : NULL,
                .octets = request->bytes,
                .size = request->size,
        };

        request->stage = REQUEST_VERIFYING;
        if (!verify(request->context, &ask, &request->decision)) {
                request_refuse(request, false);
                return;
        }
        repeats_note(request->context->repeats, &request->update, request->bytes, request->size);
        if (request->repeated)
                request_publish(request);
        else
                request_apply(request);
}

/* --- apply: check 11 --- */

/* What the name had before and has now, and what the request speaks of: a repeated request waits for what
 * the first one did. Memory running out only shortens the wait. */
static void request_note_value(struct request *request, const struct record_value *value,
                               const struct address *address)
{
        struct dns_name owner;

        if (address->family)
                (void) publication_scope_add_address(&request->scope, address);
        if (value->below_length > 0 && record_owner(&request->update.name, value, &owner) >= 0)
                (void) publication_scope_add_name(&request->scope, &owner);
}

static void request_note_scope(struct request *request)
{
        const struct name_entry *entry = request_entry(request);

        (void) publication_scope_add_name(&request->scope, &request->update.name);
        for (unsigned i = 0; entry && i < entry->state->n_records; i++) {
                struct record_value value = record_value(&entry->state->records[i]);
                struct address address = record_address(&entry->state->records[i]);

                request_note_value(request, &value, &address);
        }
        for (unsigned i = 0; i < request->update.n_operations; i++) {
                const struct operation *operation = &request->update.operations[i];
                struct record_value value = operation_value(operation);

                request_note_value(request, &value, &operation->address);
        }
}

/* Where the disk fails the refresh stands all the same, in memory and over the end of this process: an owner
 * is not to lose its records because a disk is full. */
static void request_on_covered(struct waiter *waiter, int error)
{
        struct request *request = container_of(waiter, struct request, covered);

        assert(request->stage == REQUEST_COVERING);
        request_publish(request);
}

static void request_refresh(struct request *request, struct name_state *after)
{
        struct context *context = request->context;

        registry_refresh(request->served->zone, &request->update.name, after);
        name_state_free(after);
        context->statistics.refreshes++;
        store_note_refresh(context->store);
        name_lock_release(&request->change.lock);
        request->stage = REQUEST_COVERING;
        /* Out of memory: as with a disk that fails. */
        if (store_cover_refresh(context->store, &request->covered, request_on_covered) != 0)
                request_publish(request);
}

static void request_not_stored(struct request *request, int error)
{
        announce_not_stored(request->context->announcer, &request->update.name, error);
        request_refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_OTHER,
                            "not stored: nothing was changed; try again later");
}

/* Is there anybody who may still object to a claim. */
static bool request_has_upstream(const struct request *request)
{
        for (const struct attachment *attachment = publisher_attachments(request->served->zone); attachment;
             attachment = attachment->next)
                if (attachment->upstream)
                        return true;
        return false;
}

/* --- commit: check 12 --- */

static void request_on_committed(struct change *change, int error)
{
        struct request *request = container_of(change, struct request, change);

        assert(request->stage == REQUEST_COMMITTING);
        if (error < 0) {
                request_not_stored(request, error);
                return;
        }
        request->context->statistics.changes++;
        request_publish(request);
}

static void request_commit(struct request *request, struct name_state *after)
{
        int r;

        if (after->provisional != PROVISIONAL_NO && !request_has_upstream(request))
                name_state_confirm(after);
        request_note_scope(request);
        request->stage = REQUEST_COMMITTING;
        r = change_commit(&request->change, request->served, after, request_on_committed);
        if (r < 0)
                request_not_stored(request, r);
}

/* It was accepted: is it one of two machines with one key. */
static void request_note_twin(struct request *request)
{
        struct context *context = request->context;
        const struct name_entry *entry = request_entry(request);

        request->twin = twins_note(context->twins, &request->update, entry ? entry->state : NULL,
                                   request->grant.record_lease_sec, context_time(context).lease_usec);
        if (request->twin.news)
                announce_twins(context->announcer, &request->update.name, entry->state,
                               &request->update.source, &request->twin.other);
}

static void request_apply(struct request *request)
{
        struct context *context = request->context;
        const struct name_entry *entry = request_entry(request);
        struct registry_time now = context_time(context);
        bool known = entry && entry->state->claimed;
        struct name_state *after;

        switch (registry_apply(request->served->zone, &request->update, &now, &after, &request->decision)) {
        case APPLICATION_REFUSED:
                request_refuse(request, false);
                return;
        case APPLICATION_NOTHING:
                request_grant(request);
                return;
        case APPLICATION_REFRESH:
                request_note_grant(request, after);
                request_note_twin(request);
                request_refresh(request, after);
                return;
        case APPLICATION_CHANGE:
                request_note_grant(request, after);
                request_note_twin(request);
                break;
        }
        if (!known && !quota_take_new_name(context->quota, &request->source, now_usec(CLOCK_MONOTONIC))) {
                name_state_free(after);
                request_refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                                    "too many new names from this network; try again later");
                return;
        }
        request_commit(request, after);
}

/* --- publish: check 13, the name is not locked any more --- */

static usec_t request_publish_timeout(const struct request *request)
{
        usec_t longest_usec = 0, spent_usec = now_usec(CLOCK_MONOTONIC) - request->received_usec;

        for (const struct attachment *attachment = publisher_attachments(request->served->zone); attachment;
             attachment = attachment->next)
                longest_usec = MAX(longest_usec, attachment->config->timeout_usec);
        return usec_sub(MIN(longest_usec, PUBLISH_TIMEOUT_MAX_USEC), spent_usec);
}

static void request_publish(struct request *request)
{
        struct context *context = request->context;
        const struct name_entry *entry = request_entry(request);
        const char *reason = NULL;
        int r;

        name_lock_release(&request->change.lock);
        stream_set_offer(context->streams, request->stream);
        request->stage = REQUEST_PUBLISHING;
        request->generation = entry ? entry->generation : 0;
        request_note_scope(request);
        r = publisher_wait(context->publisher, request->served->zone, &request->scope,
                           request_publish_timeout(request), request_on_published, request,
                           &request->publication, &reason);
        if (r > 0)
                return;
        if (r == 0)
                request_on_published(request, WAIT_PUBLISHED, NULL);
        else
                request_on_published(request, WAIT_FAILED, reason ?: "out of memory");
}

static void request_on_confirmed(struct change *change, int error)
{
        struct request *request = container_of(change, struct request, change);

        assert(request->stage == REQUEST_CONFIRMING);
        if (error < 0) {
                announce_not_stored(request->context->announcer, &request->update.name, error);
                request_refuse_with(request, DNS_RCODE_SERVFAIL, DNS_EDE_OTHER,
                                    "published, but that could not be stored; try again later");
                return;
        }
        request_grant(request);
}

/* Is it this request that asked for what an upstream will not have: a claim, or records that it may still
 * object to, or that are gone for that already. */
static bool request_is_objected_to(const struct request *request)
{
        const struct name_entry *entry = request_entry(request);
        const struct name_state *state = entry ? entry->state : NULL;

        if (!state || !state->claimed || state->provisional == PROVISIONAL_CLAIM)
                return true;
        for (unsigned i = 0; i < request->update.n_operations; i++) {
                const struct operation *operation = &request->update.operations[i];
                struct record_value value = operation_value(operation);
                const struct record *record;

                if (operation->kind != OPERATION_ADD || !operation->stands)
                        continue;
                record = name_state_find(state, &value);
                if (!record || record->provisional)
                        return true;
        }
        return false;
}

/* Nobody objected: from now on the name is its owner's, once that is durable. What was done to the name since
 * is provisional or not by itself. */
static void request_on_confirm_lock(struct name_lock *lock)
{
        struct request *request = container_of(change_of(lock), struct request, change);
        const struct name_entry *entry = request_entry(request);
        struct name_state *after;

        assert(request->stage == REQUEST_CONFIRMING);
        if (!entry || entry->generation != request->generation ||
            entry->state->provisional == PROVISIONAL_NO) {
                request_grant(request);
                return;
        }
        after = name_state_copy(entry->state);
        if (!after) {
                request_refuse_for_memory(request);
                return;
        }
        name_state_confirm(after);
        if (change_commit(&request->change, request->served, after, request_on_confirmed) < 0)
                request_refuse_for_memory(request);
}

static void request_confirm(struct request *request)
{
        const struct name_entry *entry = request_entry(request);

        if (!entry || entry->state->provisional == PROVISIONAL_NO) {
                request_grant(request);
                return;
        }
        request->stage = REQUEST_CONFIRMING;
        /* Not the client's work any more but ours, which always finds a place. */
        request->change.lock.source = (struct address){};
        request->change.lock.peer = 0;
        if (change_lock(request->context->changes, &request->change, &request->update.name,
                        request_on_confirm_lock) > 0)
                request_on_confirm_lock(&request->change.lock);
}

static void request_on_withdrawn(void *userdata, enum wait_outcome outcome, const char *reason)
{
        struct request *request = userdata;

        assert(request->stage == REQUEST_UNDOING);
        request->publication = NULL;
        request_refuse(request, false);
}

/* Behind the undoing of what an upstream would not have: what others had published already is withdrawn
 * before the answer, as far as they can be reached. */
static void request_on_undone(struct name_lock *lock)
{
        struct request *request = container_of(change_of(lock), struct request, change);
        const char *reason;

        assert(request->stage == REQUEST_UNDOING);
        name_lock_release(lock);
        if (publisher_wait(request->context->publisher, request->served->zone, &request->scope,
                           request_publish_timeout(request), request_on_withdrawn, request,
                           &request->publication, &reason) <= 0)
                request_refuse(request, false);
}

static void request_await_undoing(struct request *request)
{
        request->stage = REQUEST_UNDOING;
        request->change.lock.source = (struct address){};
        request->change.lock.peer = 0;
        if (change_lock(request->context->changes, &request->change, &request->update.name,
                        request_on_undone) > 0)
                request_on_undone(&request->change.lock);
}

static void request_on_published(void *userdata, enum wait_outcome outcome, const char *reason)
{
        struct request *request = userdata;

        assert(request->stage == REQUEST_PUBLISHING);
        request->publication = NULL;
        switch (outcome) {
        case WAIT_PUBLISHED:
                request_confirm(request);
                return;
        case WAIT_FAILED:
                decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY,
                       "stored, but not published yet: %.180s", reason);
                request_refuse(request, false);
                return;
        case WAIT_REFUSED:
                /* An established name stands: only its publication there does not. */
                if (!request_is_objected_to(request))
                        decide(&request->decision, DNS_RCODE_SERVFAIL, DNS_EDE_BLOCKED,
                               "not published: %.180s", reason);
                else
                        decide(&request->decision, DNS_RCODE_REFUSED, DNS_EDE_BLOCKED, "%.200s", reason);
                request_await_undoing(request);
                return;
        }
}

void requests_end_publishing(struct context *context, const char *reason)
{
        struct request *request, *next;

        LIST_FOREACH_SAFE (request, &context->requests, requests, next) {
                if (!request->publication)
                        continue;
                request->publication = publication_free(request->publication);
                if (request->stage == REQUEST_PUBLISHING)
                        request_on_published(request, WAIT_FAILED, reason);
                else
                        request_on_withdrawn(request, WAIT_FAILED, reason);
        }
}
