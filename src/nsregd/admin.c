/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/admin.h"
#include "nsregd/manager.h"

enum administration_kind {
        KIND_REVOKE,
        KIND_REVOKE_AND_BLOCK,
        KIND_WITHDRAW,
        KIND_RESERVE,
        KIND_UNRESERVE,
};

struct administration {
        struct manager *manager;
        enum administration_kind kind;
        struct dns_name name;
        admin_done done;
        void *userdata;
};

static void finish(struct administration *administration, enum admin_result result)
{
        if (administration->done)
                administration->done(administration->userdata, result);
        free(administration);
}

static void on_changed(void *userdata, int error)
{
        finish(userdata, error < 0 ? ADMIN_NOT_STORED : ADMIN_OK);
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
        struct registry_time now = manager_time(administration->manager);

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

static void on_turn(void *userdata, struct registry_zone *zone)
{
        struct administration *administration = userdata;
        struct manager *manager = administration->manager;
        const struct name_entry *entry = zone ? registry_find(zone, &administration->name) : NULL;
        _cleanup_(name_state_freep) struct name_state *after = NULL;
        enum admin_result result;

        if (!zone) {
                finish(administration, ADMIN_NO_SUCH_ZONE);
                return;
        }
        after = name_state_copy(entry ? entry->state : NULL);
        result = after ? operate(administration, after) : ADMIN_NOT_STORED;
        if (result != ADMIN_OK) {
                finish(administration, result);
                return;
        }
        if (change_submit(manager->changes, zone, &administration->name, TAKE_PTR(after), on_changed,
                          administration) < 0)
                finish(administration, ADMIN_NOT_STORED);
}

static int begin(struct manager *manager, enum administration_kind kind, const struct dns_name *name,
                 admin_done done, void *userdata)
{
        struct registry_zone *zone = registry_find_zone_of(manager->registry, name);
        struct administration *administration;
        const uint8_t *label;
        size_t length = dns_name_first_label(name, &label);
        int r;

        if (!zone) {
                done(userdata, ADMIN_NO_SUCH_ZONE);
                return 0;
        }
        if (dns_name_count_labels(name) != dns_name_count_labels(&zone->policy->zone) + 1 ||
            !dns_label_is_ldh(label, length)) {
                done(userdata, ADMIN_INVALID_NAME);
                return 0;
        }
        administration = malloc(sizeof(*administration));
        if (!administration)
                return -ENOMEM;
        *administration = (struct administration){
                .manager = manager, .kind = kind, .name = *name, .done = done, .userdata = userdata
        };
        r = change_when_free(manager->changes, name, on_turn, administration);
        if (r < 0)
                free(administration);
        return r;
}

int admin_revoke(struct manager *manager, const struct dns_name *name, bool block, admin_done done,
                 void *userdata)
{
        return begin(manager, block ? KIND_REVOKE_AND_BLOCK : KIND_REVOKE, name, done, userdata);
}

int admin_withdraw(struct manager *manager, const struct dns_name *name, admin_done done, void *userdata)
{
        return begin(manager, KIND_WITHDRAW, name, done, userdata);
}

int admin_reserve(struct manager *manager, const struct dns_name *name, admin_done done, void *userdata)
{
        return begin(manager, KIND_RESERVE, name, done, userdata);
}

int admin_unreserve(struct manager *manager, const struct dns_name *name, admin_done done, void *userdata)
{
        return begin(manager, KIND_UNRESERVE, name, done, userdata);
}
