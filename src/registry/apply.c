/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose is a name, is a request in order, and what does it make of the name: checks 7, 8 and 11. */

#include "registry/registry.h"
#include "util/escape.h"

static enum admission refused(void)
{
        return ADMISSION_REFUSED;
}

static bool admit_known(const struct registry_zone *zone, const struct update *update,
                        const struct name_state *state, struct decision *decision)
{
        char label[DNS_LABEL_MAX + 1];

        if (update->has_key ? !dns_key_same(&update->key, state->key)
                            : update->algorithm != state->key->algorithm || update->key_tag != state->key_tag)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "name \"%s\" is owned by another key; choose another name, or ask the "
                              "administrator to revoke it",
                              dns_name_copy_label(&update->name, label));
        if (zone->policy->updates_from_configured &&
            !prefix_list_contains(&zone->policy->updates_from, &update->source))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "updates are not accepted from this network (updates-from)");
        return true;
}

static const struct address *first_filtered(const struct update *update)
{
        unsigned i = 0;

        while (!update->operations[i].filtered)
                i++;
        return &update->operations[i].address;
}

static bool admit_unknown(const struct registry_zone *zone, const struct update *update,
                          const struct name_state *state, struct decision *decision)
{
        char label[DNS_LABEL_MAX + 1], fingerprint[DNS_KEY_FINGERPRINT_MAX], text[ADDRESS_FORMAT_MAX];

        if (!update->has_key)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "name \"%s\" is not claimed; send the KEY record to claim it",
                              dns_name_copy_label(&update->name, label));
        /* Of a known name that would be no reason: its owner gave other addresses, or none, and is told so.
         */
        if (update->n_additions > 0 && update->n_additions == update->n_filtered)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "none of the addresses can be registered here: %s is outside the networks "
                              "this zone allows",
                              address_format(first_filtered(update), text));
        if (!zone_policy_allows_source(zone->policy, &update->source))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "names cannot be claimed from this network (allowed-nets)");
        if (state && state->reserved)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_BLOCKED,
                              "name \"%s\" is reserved by the administrator; choose another name",
                              dns_name_copy_label(&update->name, label));
        if (state && state->banned_fingerprint &&
            streq(state->banned_fingerprint, dns_key_fingerprint(&update->key, fingerprint)))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_BLOCKED,
                              "this key was revoked for name \"%s\" by the administrator",
                              dns_name_copy_label(&update->name, label));
        if (zone->policy->max_names > 0 && zone->n_names + zone->n_pending >= zone->policy->max_names)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "the zone is full: it takes %u names (max-names)", zone->policy->max_names);
        return true;
}

static bool adds_records(const struct update *update)
{
        for (unsigned i = 0; i < update->n_operations; i++)
                if (update->operations[i].kind == OPERATION_ADD && !update->operations[i].filtered)
                        return true;
        return false;
}

/* The request accepted last, again. */
static bool is_repeated(const struct name_state *state, const struct update *update)
{
        return state->n_hashes > 0 && update->inception == state->inception &&
               memcmp(update->hash, state->hash, REPLAY_HASH_SIZE) == 0;
}

/* A key that is let in is one that may claim the name. */
static bool check_new_key(const struct update *update, const struct name_state *state,
                          struct decision *decision)
{
        char label[DNS_LABEL_MAX + 1], fingerprint[DNS_KEY_FINGERPRINT_MAX];

        if (!update->has_new_key || !state->banned_fingerprint ||
            !streq(state->banned_fingerprint, dns_key_fingerprint(&update->new_key, fingerprint)))
                return true;
        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_BLOCKED,
                      "the new key was revoked for name \"%s\" by the administrator",
                      dns_name_copy_label(&update->name, label));
}

static enum admission check_replay(const struct name_state *state, const struct update *update,
                                   struct decision *decision)
{
        int32_t newer;

        if (state->n_hashes == 0)
                return ADMISSION_NEW;
        newer = (int32_t) (update->inception - state->inception);
        if (newer > 0)
                return ADMISSION_NEW;
        if (newer < 0) {
                decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                       "older than the last accepted request for this name: another program signed later "
                       "with the same "
                       "key, or a clock is wrong");
                return refused();
        }
        if (memcmp(update->hash, state->hash, REPLAY_HASH_SIZE) == 0)
                return ADMISSION_DUPLICATE;
        for (unsigned i = 0; i + 1U < state->n_hashes; i++)
                if (memcmp(update->hash, state->earlier[i], REPLAY_HASH_SIZE) == 0) {
                        decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                               "this request was accepted before, and others since");
                        return refused();
                }
        if (state->n_hashes >= REPLAY_HASHES_MAX) {
                decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                       "too many requests within one second; try again in the next");
                return refused();
        }
        return ADMISSION_NEW;
}

/* What lies in a zone of its own below the host is that zone's: whoever owns names there has them. */
static bool check_zones(const struct registry_zone *zone, const struct update *update,
                        struct decision *decision)
{
        for (unsigned i = 0; i < update->n_operations; i++) {
                struct record_value value = operation_value(&update->operations[i]);
                char text[DNS_NAME_FORMAT_MAX];
                struct dns_name owner;

                if (value.below_length > 0 && record_owner(&update->name, &value, &owner) >= 0 &&
                    registry_find_zone_of(zone->registry, &owner) != zone)
                        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                      "%.150s is in a zone of its own", dns_name_format(&owner, text));
        }
        return true;
}

enum admission registry_admit(const struct registry_zone *zone, const struct update *update,
                              const struct registry_time *now, struct decision *decision)
{
        const struct name_entry *entry = registry_find(zone, &update->name);
        const struct name_state *state = entry ? entry->state : NULL;
        enum admission admission;

        /* A repeated release finds its name free: it is answered as it was. */
        if (state && !state->claimed && state->n_hashes > 0 &&
            memcmp(update->hash, state->hash, REPLAY_HASH_SIZE) == 0 &&
            state->blocked_until_usec <= now->lease_usec)
                return ADMISSION_DUPLICATE;

        if (!check_zones(zone, update, decision))
                return refused();
        /* Before its key is judged: the lost answer of a roll-over, asked for again, was the old key's. */
        if (!(state && state->claimed
                      ? is_repeated(state, update) || (admit_known(zone, update, state, decision) &&
                                                       check_new_key(update, state, decision))
                      : admit_unknown(zone, update, state, decision)))
                return refused();
        if (state && state->blocked_until_usec > now->lease_usec && adds_records(update)) {
                decide(decision, DNS_RCODE_REFUSED, DNS_EDE_BLOCKED, "%.200s",
                       state->blocked_reason ?: "a DNS server has data of its own at this name");
                return refused();
        }
        if (!state)
                return ADMISSION_NEW;
        admission = check_replay(state, update, decision);
        /* Whatever was accepted from an owner of before is no answer to give to this one. */
        if (admission == ADMISSION_DUPLICATE && !state->claimed) {
                decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED, "this request was accepted before");
                return refused();
        }
        return admission;
}

uint32_t registry_grant_record(const struct zone_policy *policy, const struct update *update,
                               uint32_t ttl_sec)
{
        /* With the option of RFC 9664 the TTL is no lease. */
        uint32_t asked = update->edns.lease_form > 0 ? update->edns.lease_sec : ttl_sec;

        return CLAMP(asked, policy->min_addr_ttl_sec, policy->max_addr_ttl_sec);
}

static bool removes_all(const struct update *update)
{
        return update->edns.lease_form > 0 && update->edns.lease_sec == 0;
}

/* Ownership given up: KEY-LEASE 0, or the own KEY deleted and not added again behind that. */
static bool releases(const struct update *update)
{
        bool deleted = update->edns.lease_form > 0 && update->edns.key_lease_sec == 0;

        if (update->has_new_key)
                return deleted;
        for (unsigned i = 0; i < update->n_operations; i++) {
                if (update->operations[i].kind == OPERATION_KEY_DELETE)
                        deleted = true;
                else if (update->operations[i].kind == OPERATION_KEY_ADD && update->edns.lease_form == 0)
                        deleted = false;
        }
        return deleted;
}

struct grant registry_grant(const struct registry_zone *zone, const struct update *update,
                            const struct name_state *state)
{
        const struct zone_policy *policy = zone->policy;
        const struct name_entry *entry = registry_find(zone, &update->name);
        struct grant grant = {};
        uint32_t asked;

        if (releases(update))
                return grant;
        for (unsigned i = 0; i < update->n_operations && !removes_all(update); i++) {
                uint32_t lease_sec;

                if (update->operations[i].kind != OPERATION_ADD || update->operations[i].filtered)
                        continue;
                lease_sec = registry_grant_record(policy, update, update->operations[i].ttl_sec);
                if (grant.record_lease_sec == 0 || lease_sec < grant.record_lease_sec)
                        grant.record_lease_sec = lease_sec;
                grant.key_lease_sec = MAX(grant.key_lease_sec, lease_sec);
        }
        if (update->edns.lease_form > 0)
                asked = update->edns.key_lease_sec;
        else if (update->has_new_key)
                asked = update->new_key_ttl_sec;
        else if (update->has_key)
                asked = update->key_ttl_sec;
        else
                asked = entry && entry->state->claimed ? entry->state->key_lease_sec : 0;
        grant.key_lease_sec = MAX(grant.key_lease_sec, MIN(asked, policy->max_key_ttl_sec));
        /* Never shorter than the longest lease of a record, those of earlier requests included. */
        if (state && state->claimed)
                grant.key_lease_sec = state->key_lease_sec;
        return grant;
}

void registry_note_standing(struct update *update, const struct name_state *state)
{
        for (unsigned i = 0; i < update->n_operations; i++) {
                struct operation *operation = &update->operations[i];
                struct record_value value = operation_value(operation);

                operation->stands = operation->kind == OPERATION_ADD && !operation->filtered &&
                                    name_state_find(state, &value);
        }
}

/* Is it of this type (0: of any), at the name that is spoken of. */
static bool is_at(const struct record *record, const struct record_value *name, uint16_t type)
{
        struct record_value value = record_value(record);

        return (type == 0 || value.type == type) && record_is_beside(&value, name);
}

static unsigned count_at(const struct name_state *state, const struct record_value *name, uint16_t type)
{
        unsigned n = 0;

        for (unsigned i = 0; state && i < state->n_records; i++)
                n += is_at(&state->records[i], name, type);
        return n;
}

/* The host is in use as long as it is owned, a name below it while it has a record. */
static bool is_in_use(const struct name_state *state, const struct record_value *name)
{
        return state && state->claimed && (name->below_length == 0 || count_at(state, name, 0) > 0);
}

static bool has_type(const struct name_state *state, const struct record_value *name)
{
        if (!state || !state->claimed)
                return false;
        if (name->type == DNS_TYPE_KEY)
                return name->below_length == 0;
        return count_at(state, name, name->type) > 0;
}

static bool is_same_value(const struct record_value *a, const struct record_value *b)
{
        return a->type == b->type && a->length == b->length && record_is_beside(a, b) &&
               (a->length == 0 || memcmp(a->rdata, b->rdata, a->length) == 0);
}

static bool is_same_set(const struct record_value *a, const struct record_value *b)
{
        return a->type == b->type && record_is_beside(a, b);
}

/* RFC 2136 section 3.2.3: the RRs of one name and type in the prerequisites are the RRset, neither more nor
 * less. */
static bool rrset_equals(const struct name_state *state, const struct update *update,
                         const struct record_value *set)
{
        unsigned n_asked = 0;

        if (!has_type(state, set))
                return false;
        for (unsigned i = 0; i < update->n_prerequisites; i++) {
                const struct prerequisite *prerequisite = &update->prerequisites[i];
                struct record_value value = prerequisite_value(prerequisite), earlier;
                bool repeated = false;

                if (prerequisite->kind != PREREQUISITE_RR_EXISTS || !is_same_set(&value, set))
                        continue;
                if (value.type == DNS_TYPE_KEY) {
                        if (!dns_key_same(prerequisite->key, state->key))
                                return false;
                        continue;
                }
                if (!name_state_find(state, &value))
                        return false;
                for (unsigned j = 0; j < i; j++) {
                        earlier = prerequisite_value(&update->prerequisites[j]);
                        repeated |= update->prerequisites[j].kind == PREREQUISITE_RR_EXISTS &&
                                    is_same_value(&earlier, &value);
                }
                n_asked += !repeated;
        }
        return set->type == DNS_TYPE_KEY || count_at(state, set, set->type) == n_asked;
}

static bool check_prerequisites(const struct name_state *state, const struct update *update,
                                struct decision *decision)
{
        for (unsigned i = 0; i < update->n_prerequisites; i++) {
                const struct prerequisite *prerequisite = &update->prerequisites[i];
                struct record_value value = prerequisite_value(prerequisite);

                switch (prerequisite->kind) {
                case PREREQUISITE_NAME_IN_USE:
                        if (!is_in_use(state, &value))
                                return decide(decision, DNS_RCODE_NXDOMAIN, DNS_EDE_NONE,
                                              "prerequisite: the name is not in use");
                        break;
                case PREREQUISITE_NAME_NOT_IN_USE:
                        if (is_in_use(state, &value))
                                return decide(decision, DNS_RCODE_YXDOMAIN, DNS_EDE_NONE,
                                              "prerequisite: the name is in use");
                        break;
                case PREREQUISITE_RRSET_EXISTS:
                        if (!has_type(state, &value))
                                return decide(decision, DNS_RCODE_NXRRSET, DNS_EDE_NONE,
                                              "prerequisite: there is no such record set");
                        break;
                case PREREQUISITE_RRSET_ABSENT:
                        if (has_type(state, &value))
                                return decide(decision, DNS_RCODE_YXRRSET, DNS_EDE_NONE,
                                              "prerequisite: there is such a record set");
                        break;
                case PREREQUISITE_RR_EXISTS:
                        if (!rrset_equals(state, update, &value))
                                return decide(decision, DNS_RCODE_NXRRSET, DNS_EDE_NONE,
                                              "prerequisite: the record set is another one");
                        break;
                }
        }
        return true;
}

/* Of this type (0: any) at this name (NULL: any). */
static void remove_records(struct name_state *state, const struct record_value *name, uint16_t type)
{
        for (unsigned i = state->n_records; i > 0; i--)
                if (!name || is_at(&state->records[i - 1], name, type))
                        name_state_remove(state, &state->records[i - 1]);
}

/* Beyond the limit of a name is as outside the networks of the zone: whoever cannot be told which limit it is
 * takes a refusal for the end, and would withdraw all that fits. */
static bool is_left_out(const struct registry_zone *zone, const struct update *update,
                        const struct operation *operation, const struct record_value *value,
                        const struct name_state *state)
{
        if (operation->filtered)
                return true;
        return update->dialect->drops_addresses && !update->edns.present &&
               count_at(state, value, 0) >= zone->policy->max_records_per_name &&
               !name_state_find(state, value);
}

static int apply_operation(const struct registry_zone *zone, const struct update *update,
                           const struct operation *operation, const struct registry_time *now,
                           struct name_state *state)
{
        struct record_value value = operation_value(operation);
        struct record *record;
        uint32_t lease_sec;

        switch (operation->kind) {
        case OPERATION_ADD:
                if (is_left_out(zone, update, operation, &value, state))
                        return 0;
                record = name_state_add(state, &value);
                if (!record)
                        return -ENOMEM;
                lease_sec = registry_grant_record(zone->policy, update, operation->ttl_sec);
                record->lease_sec = lease_sec;
                record->end_usec = usec_add(now->lease_usec, lease_sec * USEC_PER_SEC);
                record->proven |= operation->address.family &&
                                  address_equal(&operation->address, &update->source);
                return 0;
        case OPERATION_DELETE_RR:
                record = operation_has_record(operation) ? name_state_find(state, &value) : NULL;
                if (record)
                        name_state_remove(state, record);
                return 0;
        case OPERATION_DELETE_RRSET:
                remove_records(state, &value, operation->type);
                return 0;
        case OPERATION_DELETE_ALL:
                remove_records(state, &value, 0);
                return 0;
        case OPERATION_KEY_ADD:
        case OPERATION_KEY_DELETE:
                return 0; /* looked at as a whole, by releases() */
        }
        return 0;
}

/* Only ends would move: nothing to store, nothing to publish. A lease of another length is stored, since
 * after a crash leases count from what is stored: a longer one would end early, a shorter one late. */
static bool is_pure_refresh(const struct name_state *before, const struct name_state *after,
                            const struct update *update)
{
        if (!before || !before->claimed || before->key_lease_sec != after->key_lease_sec ||
            !name_state_same_records(before, after) || before->provisional != after->provisional)
                return false;
        if (update->has_new_key || (update->has_key && update->key.flags != before->key->flags))
                return false;
        for (unsigned i = 0; i < after->n_records; i++) {
                struct record_value value = record_value(&after->records[i]);
                const struct record *old = name_state_find(before, &value);

                if (after->records[i].lease_sec != old->lease_sec || after->records[i].proven != old->proven)
                        return false;
        }
        return true;
}

static enum application fail(struct decision *decision)
{
        decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "out of memory; try again later");
        return APPLICATION_REFUSED;
}

static unsigned count_addresses(const struct name_state *state)
{
        unsigned n = 0;

        for (unsigned i = 0; i < state->n_records; i++)
                n += record_is_address(&state->records[i]);
        return n;
}

/* An upstream objects to addresses as a whole, and to other types one by one. May it still object to what is
 * new among them: where there was nothing, or where that is as new. */
static bool may_be_objected_to(const struct name_state *before, const struct record *record)
{
        struct record_value value = record_value(record);
        bool any = false, provisional = false;

        for (unsigned i = 0; i < before->n_records; i++) {
                const struct record *old = &before->records[i];

                if (record_is_address(record) ? !record_is_address(old) : !is_at(old, &value, value.type))
                        continue;
                any = true;
                provisional |= old->provisional;
        }
        return !any || provisional;
}

/* A record that was removed and added again in one request keeps what is known about it: the first request
 * of a restarted client says "delete all, then add" and must count as a refresh. */
static void compare_with_before(const struct name_state *before, struct name_state *after)
{
        for (unsigned i = 0; i < after->n_records; i++) {
                struct record *record = &after->records[i];
                struct record_value value = record_value(record);
                const struct record *old = name_state_find(before, &value);

                if (old) {
                        record->proven |= old->proven;
                        record->provisional = old->provisional;
                } else if (before->claimed && may_be_objected_to(before, record)) {
                        record->provisional = true;
                        if (before->provisional != PROVISIONAL_CLAIM || before->n_records == 0)
                                after->provisional = PROVISIONAL_RECORDS;
                }
        }
}

static size_t rdata_at(const struct name_state *state, const struct record_value *name)
{
        size_t size = 0;

        for (unsigned i = 0; i < state->n_records; i++)
                size += is_at(&state->records[i], name, 0) ? state->records[i].length : 0U;
        return size;
}

static bool check_limits(const struct zone_policy *policy, const struct name_state *state,
                         struct decision *decision)
{
        struct record_value name;
        unsigned position = 0, n = 0;

        while (name_state_next_name(state, &position, &name)) {
                if (++n > policy->max_names_per_host)
                        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                      "too many names: a host may have %u, itself counted "
                                      "(max-names-per-host)",
                                      policy->max_names_per_host);
                if (count_at(state, &name, 0) > policy->max_records_per_name)
                        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                      "too many records: a name may have %u (max-records-per-name)",
                                      policy->max_records_per_name);
                if (rdata_at(state, &name) > policy->max_rdata_per_name)
                        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                      "too much data: %u octets are taken at one name (max-rdata-per-name)",
                                      policy->max_rdata_per_name);
        }
        return true;
}

static enum application apply_claim(const struct update *update, const struct registry_time *now,
                                    struct name_state *after, struct decision *decision)
{
        if (count_addresses(after) == 0) {
                bool asked = update->dialect->key_claims;

                for (unsigned i = 0; i < update->n_operations; i++)
                        asked |= update->operations[i].kind == OPERATION_ADD;
                if (!asked || releases(update) || removes_all(update))
                        return APPLICATION_NOTHING;
                decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                       "a claim must leave at least one A or AAAA record");
                return APPLICATION_REFUSED;
        }
        after->claimed = true;
        after->provisional = PROVISIONAL_CLAIM;
        after->claimed_usec = now->real_usec;
        after->source = update->source;
        return APPLICATION_CHANGE;
}

enum application registry_apply(const struct registry_zone *zone, const struct update *update,
                                const struct registry_time *now, struct name_state **ret_after,
                                struct decision *decision)
{
        const struct name_entry *entry = registry_find(zone, &update->name);
        const struct name_state *before = entry ? entry->state : NULL;
        _cleanup_(name_state_freep) struct name_state *after = NULL;
        struct grant grant = registry_grant(zone, update, NULL);
        uint32_t longest_sec = 0;

        if (!check_prerequisites(before, update, decision))
                return APPLICATION_REFUSED;
        after = name_state_copy(before);
        if (!after)
                return fail(decision);

        for (unsigned i = 0; i < update->n_operations; i++)
                if (apply_operation(zone, update, &update->operations[i], now, after) < 0)
                        return fail(decision);
        if (removes_all(update) || releases(update))
                remove_records(after, NULL, 0);
        if (before)
                compare_with_before(before, after);
        if (!check_limits(zone->policy, after, decision))
                return APPLICATION_REFUSED;

        if (!before || !before->claimed) {
                enum application application = apply_claim(update, now, after, decision);

                if (application != APPLICATION_CHANGE)
                        return application;
        }

        if (name_state_remember(after, update->inception, update->expiration, update->hash) < 0)
                return fail(decision);
        after->seen_usec = now->real_usec;
        if (releases(update)) {
                registry_free_name(after, now);
                *ret_after = TAKE_PTR(after);
                return APPLICATION_CHANGE;
        }

        for (unsigned i = 0; i < after->n_records; i++)
                longest_sec = MAX(longest_sec, after->records[i].lease_sec);
        after->key_lease_sec = MAX(grant.key_lease_sec, longest_sec);
        /* Held for a day is who could not refresh; this one just did. */
        after->key_end_usec = MAX(usec_add(now->lease_usec, after->key_lease_sec * USEC_PER_SEC),
                                  zone->registry->hold.keys_before_usec);
        if (is_pure_refresh(before, after, update)) {
                *ret_after = TAKE_PTR(after);
                return APPLICATION_REFRESH;
        }
        if (update->has_key && name_state_set_key(after, &update->key) < 0)
                return fail(decision);
        if (update->has_new_key && name_state_set_key(after, &update->new_key) < 0)
                return fail(decision);
        *ret_after = TAKE_PTR(after);
        return APPLICATION_CHANGE;
}
