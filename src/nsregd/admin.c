/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>

#include "nsregd/admin.h"
#include "nsregd/announce.h"
#include "nsregd/change.h"
#include "nsregd/context.h"
#include "nsregd/zones.h"

enum administration_kind {
        KIND_REVOKE,
        KIND_REVOKE_AND_BLOCK,
        KIND_WITHDRAW,
        KIND_RESERVE,
        KIND_UNRESERVE,
};

struct administration {
        LIST_ENTRY(administration) administrations;
        struct context *context;
        enum administration_kind kind;
        struct change change;
        admin_done done;
        void *userdata;
};

static void administration_end(struct administration *administration, enum admin_result result)
{
        admin_done done = administration->done;
        void *userdata = administration->userdata;

        change_clear(&administration->change);
        LIST_REMOVE(administration, administrations);
        free(administration);
        if (done)
                done(userdata, result);
}

static void administration_on_done(struct change *change, int error)
{
        administration_end(container_of(change, struct administration, change),
                           error < 0 ? ADMIN_NOT_STORED : ADMIN_OK);
}

static enum admin_result revoke_state(struct name_state *after, const struct registry_time *now, bool block)
{
        char fingerprint[DNS_KEY_FINGERPRINT_MAX];

        if (!after->claimed)
                return ADMIN_NO_SUCH_NAME;
        if (block) {
                free(after->banned_fingerprint);
                after->banned_fingerprint = strdup(dns_key_fingerprint(after->key, fingerprint));
                if (!after->banned_fingerprint)
                        return ADMIN_NOT_STORED;
        }
        registry_free_name(after, now);
        return ADMIN_OK;
}

static enum admin_result withdraw_state(struct name_state *after)
{
        if (!after->claimed)
                return ADMIN_NO_SUCH_NAME;
        if (after->n_records == 0)
                return ADMIN_ALREADY;
        while (after->n_records > 0)
                name_state_remove(after, &after->records[0]);
        return ADMIN_OK;
}

static enum admin_result reserve_state(struct name_state *after, bool reserved)
{
        /* A ban is lifted with the reservation: both are "not this name". */
        if (!reserved && after->banned_fingerprint) {
                free(after->banned_fingerprint);
                after->banned_fingerprint = NULL;
                after->reserved = false;
                return ADMIN_OK;
        }
        if (after->reserved == reserved || (reserved && after->claimed))
                return ADMIN_ALREADY;
        after->reserved = reserved;
        return ADMIN_OK;
}

static enum admin_result operate(const struct administration *administration, struct name_state *after)
{
        struct registry_time now = context_time(administration->context);

        switch (administration->kind) {
        case KIND_REVOKE:
        case KIND_REVOKE_AND_BLOCK:
                return revoke_state(after, &now, administration->kind == KIND_REVOKE_AND_BLOCK);
        case KIND_WITHDRAW:
                return withdraw_state(after);
        case KIND_RESERVE:
        case KIND_UNRESERVE:
                return reserve_state(after, administration->kind == KIND_RESERVE);
        }
        return ADMIN_NOT_STORED;
}

static void administration_on_lock(struct name_lock *lock)
{
        struct administration *administration = container_of(change_of(lock), struct administration, change);
        struct context *context = administration->context;
        _cleanup_(name_state_freep) struct name_state *after = NULL;
        const struct name_entry *entry;
        struct served_zone *served;
        struct dns_name zone_name;
        enum admin_result result;

        /* Cannot fail: the name was found to lie in a zone. */
        (void) dns_name_parent(&lock->name, &zone_name);
        served = zones_serving(context->zones, &zone_name);
        if (!served) {
                administration_end(administration, ADMIN_NO_SUCH_ZONE);
                return;
        }
        entry = registry_find(served->zone, &lock->name);
        after = name_state_copy(entry ? entry->state : NULL);
        result = after ? operate(administration, after) : ADMIN_NOT_STORED;
        if (result == ADMIN_OK &&
            change_commit(&administration->change, served, TAKE_PTR(after), administration_on_done) < 0)
                result = ADMIN_NOT_STORED;
        if (result != ADMIN_OK)
                administration_end(administration, result);
}

static int begin(struct context *context, enum administration_kind kind, const struct dns_name *name,
                 admin_done done, void *userdata)
{
        struct registry_zone *zone = registry_find_zone_of(context->registry, name);
        enum admin_result result = ADMIN_OK;
        struct administration *administration;
        const uint8_t *label;
        size_t length = dns_name_first_label(name, &label);

        if (!zone)
                result = ADMIN_NO_SUCH_ZONE;
        else if (dns_name_count_labels(name) != dns_name_count_labels(&zone->policy->zone) + 1 ||
                 !dns_label_is_ldh(label, length))
                result = ADMIN_INVALID_NAME;
        if (result != ADMIN_OK) {
                if (done)
                        done(userdata, result);
                return 0;
        }
        administration = calloc(1, sizeof(*administration));
        if (!administration)
                return -ENOMEM;
        administration->context = context;
        administration->kind = kind;
        administration->done = done;
        administration->userdata = userdata;
        LIST_INSERT_HEAD(&context->administrations, administration, administrations);
        /* Work of our own always finds a place. */
        if (change_lock(context->changes, &administration->change, name, administration_on_lock) > 0)
                administration_on_lock(&administration->change.lock);
        return 0;
}

void admin_drop(struct context *context)
{
        while (!LIST_EMPTY(&context->administrations))
                administration_end(LIST_FIRST(&context->administrations), ADMIN_NOT_STORED);
}

void admin_withdraw_server_names(struct context *context)
{
        struct served_zone *served;

        LIST_FOREACH (served, zones_list(context->zones), zones) {
                struct dns_name name = zone_server_name(context->zones, served->zone);
                const struct name_entry *entry = registry_find(served->zone, &name);

                if (!entry || !entry->state->claimed)
                        continue;
                announce_server_name_claimed(context->announcer, &name, entry->state);
                /* Without memory the records stay until their leases end, which is not long. */
                (void) admin_withdraw(context, &name, NULL, NULL);
        }
}

int admin_revoke(struct context *context, const struct dns_name *name, bool block, admin_done done,
                 void *userdata)
{
        return begin(context, block ? KIND_REVOKE_AND_BLOCK : KIND_REVOKE, name, done, userdata);
}

int admin_withdraw(struct context *context, const struct dns_name *name, admin_done done, void *userdata)
{
        return begin(context, KIND_WITHDRAW, name, done, userdata);
}

int admin_reserve(struct context *context, const struct dns_name *name, admin_done done, void *userdata)
{
        return begin(context, KIND_RESERVE, name, done, userdata);
}

int admin_unreserve(struct context *context, const struct dns_name *name, admin_done done, void *userdata)
{
        return begin(context, KIND_UNRESERVE, name, done, userdata);
}
