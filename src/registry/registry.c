/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>

#include "registry/registry.h"

/* Entries whose end is over and held that are put off in one call: a turn of the loop stays short. */
#define PUT_OFF_MAX 1000

static int compare_label(const struct name_entry *a, const struct name_entry *b)
{
        return strcmp(a->label, b->label);
}

/* Records of one address stand together in order of right, the oldest claim first; the rest makes the order
 * total. */
static int compare_record(const struct record *a, const struct record *b)
{
        const struct name_entry *x = a->entry, *y = b->entry;
        int r;

        if (a->type != b->type)
                return a->type < b->type ? -1 : 1;
        r = memcmp(a->inline_octets, b->inline_octets, sizeof(a->inline_octets));
        if (r != 0)
                return r;
        if (a->right != b->right)
                return a->right < b->right ? -1 : 1;
        if (x->state->claimed_usec != y->state->claimed_usec)
                return x->state->claimed_usec < y->state->claimed_usec ? -1 : 1;
        r = strcmp(x->label, y->label);
        if (r != 0)
                return r;
        return x->zone == y->zone ? 0 : (uintptr_t) x->zone < (uintptr_t) y->zone ? -1 : 1;
}

RB_PROTOTYPE(name_tree, name_entry, by_label, compare_label)
RB_GENERATE(name_tree, name_entry, by_label, compare_label)
RB_PROTOTYPE(record_tree, record, by_address, compare_record)
RB_GENERATE(record_tree, record, by_address, compare_record)

struct registry *registry_new(void)
{
        struct registry *registry = calloc(1, sizeof(*registry));

        if (!registry)
                return NULL;
        RB_INIT(&registry->addresses);
        return registry;
}

struct registry *registry_free(struct registry *registry)
{
        if (!registry)
                return NULL;
        while (registry->zones)
                registry_remove_zone(registry->zones);
        heap_clear(&registry->deadlines);
        free(registry);
        return NULL;
}

struct registry_zone *registry_add_zone(struct registry *registry, const struct zone_policy *policy)
{
        struct registry_zone *zone = calloc(1, sizeof(*zone)), **end = &registry->zones;

        if (!zone)
                return NULL;
        zone->registry = registry;
        zone->policy = policy;
        RB_INIT(&zone->names);
        while (*end)
                end = &(*end)->next;
        *end = zone;
        return zone;
}

static void unindex_records(struct name_entry *entry)
{
        for (unsigned i = 0; i < entry->state->n_records; i++) {
                if (!record_is_address(&entry->state->records[i]))
                        continue;
                RB_REMOVE(record_tree, &entry->zone->registry->addresses, &entry->state->records[i]);
                entry->state->records[i].entry = NULL;
        }
}

static enum pointer_right judge_pointer(const struct record *record, const struct registry_zone *zone)
{
        const struct zone_policy *policy = zone->policy;
        struct address address;
        struct dns_name reverse;
        bool has_zone = false;

        /* Most zones have none, and this is asked for every record. */
        if (policy->reverse_zones.n_items == 0 || zone->hidden)
                return POINTER_NONE;
        address = record_address(record);
        reverse = dns_name_reverse(&address);
        for (size_t i = 0; i < policy->reverse_zones.n_items && !has_zone; i++)
                has_zone = dns_name_is_subdomain(&reverse, &policy->reverse_zones.items[i]);
        if (!has_zone)
                return POINTER_NONE;
        if (record->proven)
                return POINTER_PROVEN;
        return policy->ptr_policy == PTR_POLICY_ALLOWED_NETS &&
                               prefix_list_contains(&policy->allowed_nets, &address)
                       ? POINTER_ALLOWED
                       : POINTER_NONE;
}

static void index_records(struct name_entry *entry)
{
        for (unsigned i = 0; i < entry->state->n_records; i++) {
                struct record *record = &entry->state->records[i];

                if (!record_is_address(record))
                        continue;
                record->right = judge_pointer(record, entry->zone) & 3;
                record->entry = entry;
                RB_INSERT(record_tree, &entry->zone->registry->addresses, &entry->state->records[i]);
        }
}

static void count_state(struct registry_zone *zone, const struct name_state *state, int sign)
{
        zone->n_records += (uint32_t) (sign * state->n_records);
        if (!state->claimed)
                return;
        zone->n_names += (uint32_t) sign;
        zone->registry->n_names += (uint64_t) (int64_t) sign;
}

static void remove_entry(struct name_entry *entry)
{
        struct registry_zone *zone = entry->zone;

        unindex_records(entry);
        count_state(zone, entry->state, -1);
        heap_remove(&zone->registry->deadlines, &entry->deadline);
        RB_REMOVE(name_tree, &zone->names, entry);
        zone->n_entries--;
        zone->registry->n_entries--;
        name_state_free(entry->state);
        free(entry);
}

void registry_reindex(struct name_entry *entry)
{
        struct record_tree *addresses = &entry->zone->registry->addresses;

        for (unsigned i = 0; i < entry->state->n_records; i++) {
                struct record *record = &entry->state->records[i];
                enum pointer_right right = POINTER_NONE;

                if (record_is_address(record))
                        right = judge_pointer(record, entry->zone);
                if (!record->entry || record->right == right)
                        continue;
                RB_REMOVE(record_tree, addresses, record);
                record->right = right & 3;
                RB_INSERT(record_tree, addresses, record);
        }
}

void registry_remove_zone(struct registry_zone *zone)
{
        struct registry_zone **at = &zone->registry->zones;
        struct name_entry *entry, *next;

        RB_FOREACH_SAFE (entry, name_tree, &zone->names, next)
                remove_entry(entry);
        while (*at != zone)
                at = &(*at)->next;
        *at = zone->next;
        free(zone);
}

struct registry_zone *registry_find_zone(const struct registry *registry, const struct dns_name *name)
{
        for (struct registry_zone *zone = registry->zones; zone; zone = zone->next)
                if (dns_name_equal(&zone->policy->zone, name))
                        return zone;
        return NULL;
}

struct registry_zone *registry_find_zone_of(const struct registry *registry, const struct dns_name *name)
{
        struct registry_zone *best = NULL;

        for (struct registry_zone *zone = registry->zones; zone; zone = zone->next)
                if (dns_name_is_subdomain(name, &zone->policy->zone) &&
                    (!best || zone->policy->zone.length > best->policy->zone.length))
                        best = zone;
        return best;
}

/* The search key of a tree of entries with a flexible label. */
struct label_key {
        struct name_entry entry;
        char label[DNS_LABEL_MAX + 1];
};
_Static_assert(offsetof(struct label_key, label) == offsetof(struct name_entry, label),
               "the label follows the entry at once");

static bool label_key_init(struct label_key *key, const char *label, size_t length)
{
        if (length > DNS_LABEL_MAX)
                return false;
        memcpy(key->label, label, length);
        key->label[length] = '\0';
        return true;
}

struct name_entry *registry_find(const struct registry_zone *zone, const struct dns_name *name)
{
        struct dns_name parent;
        struct label_key key;
        const uint8_t *label;
        size_t length = dns_name_first_label(name, &label);

        if (length == 0 || memchr(label, 0, length) || dns_name_parent(name, &parent) < 0 ||
            !dns_name_equal(&parent, &zone->policy->zone) ||
            !label_key_init(&key, (const char *) label, length))
                return NULL;
        return RB_FIND(name_tree, (struct name_tree *) &zone->names, &key.entry);
}

struct name_entry *registry_find_host(const struct registry_zone *zone, const struct dns_name *name,
                                      struct dns_name *ret_host)
{
        unsigned n_labels = dns_name_count_labels(name),
                 n_host = dns_name_count_labels(&zone->policy->zone) + 1;

        if (n_labels < n_host || !dns_name_is_subdomain(name, &zone->policy->zone))
                return NULL;
        *ret_host = *name;
        for (; n_labels > n_host; n_labels--) {
                struct dns_name below = *ret_host;

                /* Cannot fail: there are labels left. */
                (void) dns_name_parent(&below, ret_host);
        }
        return registry_find(zone, ret_host);
}

struct name_entry *registry_find_label(const struct registry_zone *zone, const char *label)
{
        struct label_key key;

        if (!label_key_init(&key, label, strlen(label)))
                return NULL;
        return RB_FIND(name_tree, (struct name_tree *) &zone->names, &key.entry);
}

struct name_entry *registry_next(struct name_entry *entry)
{
        return RB_NEXT(name_tree, &entry->zone->names, entry);
}

struct name_entry *registry_after(const struct registry_zone *zone, const char *label)
{
        struct name_entry *entry;
        struct label_key key;

        if (!label_key_init(&key, label, strnlen(label, DNS_LABEL_MAX)))
                return NULL;
        entry = RB_NFIND(name_tree, (struct name_tree *) &zone->names, &key.entry);
        if (entry && streq(entry->label, key.label))
                entry = RB_NEXT(name_tree, &zone->names, entry);
        return entry;
}

struct dns_name name_entry_name(const struct name_entry *entry)
{
        struct dns_name name = {};

        /* Cannot fail: the label came from a name in this zone. */
        (void) dns_name_prepend(entry->label, strlen(entry->label), &entry->zone->policy->zone, &name);
        return name;
}

/* The first record whose address is not less: nobody claimed before 1970, no label is shorter than none. */
static struct record *first_record_from(const struct registry *registry, const struct address *address)
{
        struct name_state state = {};
        struct name_entry entry = { .state = &state };
        struct record_value value = record_value_of_address(address);
        struct record key;

        /* An address needs no memory. */
        (void) record_init(&key, &value);
        key.entry = &entry;

        return RB_NFIND(record_tree, (struct record_tree *) &registry->addresses, &key);
}

bool registry_adopts(const struct name_entry *entry, usec_t real_usec)
{
        const struct name_state *state = entry->state;
        const struct registry_zone *zone = entry->zone;
        usec_t imported_until_usec = usec_add(zone->imported_usec,
                                              zone->policy->max_key_ttl_sec * USEC_PER_SEC);

        /* Whoever claims a name now was not its owner when that was published. */
        if (!state->claimed || state->provisional == PROVISIONAL_CLAIM)
                return false;
        if (real_usec < zone->policy->adopt_until_usec)
                return true;
        return state->claimed_usec <= zone->imported_usec && real_usec < imported_until_usec;
}

bool registry_has_address_in(const struct registry *registry, const struct prefix *prefix)
{
        const struct record *record = first_record_from(registry, &prefix->base);
        struct address address;

        if (!record)
                return false;
        address = record_address(record);
        return prefix_contains(prefix, &address);
}

struct name_entry *registry_ptr_owner(const struct registry *registry, const struct address *address)
{
        const struct record *first = first_record_from(registry, address);
        struct record_value value = record_value_of_address(address);

        if (!first || !record_is(first, &value) || first->right == POINTER_NONE)
                return NULL;
        return first->entry;
}

static usec_t record_end(const struct registry *registry, const struct record *record)
{
        return MAX(record->end_usec, registry->hold.records_until_usec);
}

static usec_t key_end(const struct registry *registry, const struct name_state *state)
{
        if (state->key_end_usec < registry->hold.keys_before_usec)
                return MAX(state->key_end_usec, registry->hold.keys_until_usec);
        return state->key_end_usec;
}

/* When is the next thing to do at this name. */
static usec_t earliest_end(const struct registry *registry, const struct name_state *state)
{
        usec_t earliest = USEC_INFINITY;

        for (unsigned i = 0; i < state->n_records; i++)
                earliest = MIN(earliest, record_end(registry, &state->records[i]));
        if (state->claimed)
                earliest = MIN(earliest, key_end(registry, state));
        else if (state->key_end_usec > 0) /* how long the replay memory is kept */
                earliest = MIN(earliest, state->key_end_usec);
        if (state->blocked_until_usec > 0)
                earliest = MIN(earliest, name_state_block_forgotten(state));
        return earliest;
}

static int schedule(struct name_entry *entry)
{
        struct registry *registry = entry->zone->registry;
        usec_t end = earliest_end(registry, entry->state);

        if (end == USEC_INFINITY) {
                heap_remove(&registry->deadlines, &entry->deadline);
                return 0;
        }
        return heap_put(&registry->deadlines, &entry->deadline, end);
}

/* Takes the state on success. */
static struct name_entry *add_entry(struct registry_zone *zone, const char *label, struct name_state *state)
{
        size_t length = strlen(label);
        struct name_entry *entry, *same;

        if (heap_reserve(&zone->registry->deadlines, zone->registry->n_entries + 1) < 0)
                return NULL;
        entry = calloc(1, sizeof(*entry) + length + 1);
        if (!entry)
                return NULL;
        memcpy(entry->label, label, length + 1);
        entry->state = state;
        entry->zone = zone;
        entry->deadline = HEAP_NODE_INIT;
        entry->epoch = zone->registry->epoch;
        same = RB_INSERT(name_tree, &zone->names, entry);
        assert(!same);
        zone->n_entries++;
        zone->registry->n_entries++;
        return entry;
}

static void add_ptr_change(struct registry *registry, struct effects *effects, const struct record *record)
{
        struct address address = record_address(record);
        struct name_entry *owner;
        struct ptr_change *change;

        if (!address.family)
                return;
        for (unsigned i = 0; i < effects->n_ptrs; i++)
                if (address_equal(&effects->ptrs[i].address, &address))
                        return;
        owner = registry_ptr_owner(registry, &address);
        change = &effects->ptrs[effects->n_ptrs++];
        *change = (struct ptr_change){ .address = address };
        if (owner) {
                change->zone_before = owner->zone;
                change->before = name_entry_name(owner);
        }
}

static void complete_ptr_changes(struct registry *registry, struct effects *effects)
{
        unsigned n = 0;

        for (unsigned i = 0; i < effects->n_ptrs; i++) {
                struct ptr_change *change = &effects->ptrs[i];
                struct name_entry *owner = registry_ptr_owner(registry, &change->address);

                if (owner) {
                        change->zone_after = owner->zone;
                        change->after = name_entry_name(owner);
                }
                if (change->zone_before == change->zone_after &&
                    (!owner || dns_name_equal(&change->before, &change->after)))
                        continue;
                if (n != i)
                        effects->ptrs[n] = *change;
                n++;
        }
        effects->n_ptrs = n;
}

int registry_load(struct registry_zone *zone, const char *label, struct name_state *state)
{
        struct name_entry *entry;

        assert(!name_state_is_empty(state));
        entry = add_entry(zone, label, state);
        if (!entry)
                return -ENOMEM;
        count_state(zone, state, 1);
        index_records(entry);
        (void) schedule(entry); /* room was reserved when the entry was made */
        return 0;
}

int registry_install(struct registry_zone *zone, const char *label, struct name_state *after,
                     struct effects *ret_effects, struct name_state **ret_old)
{
        struct name_entry *entry = registry_find_label(zone, label);
        struct registry *registry = zone->registry;
        struct effects effects = {};
        unsigned n_addresses = after->n_records + (entry ? entry->state->n_records : 0U);
        struct name_state *old;

        if (n_addresses > 0) {
                effects.ptrs = calloc(n_addresses, sizeof(*effects.ptrs));
                if (!effects.ptrs)
                        return -ENOMEM;
        }
        if (!entry) {
                _cleanup_(name_state_freep) struct name_state *none = name_state_new();

                entry = none ? add_entry(zone, label, none) : NULL;
                if (!entry) {
                        free(effects.ptrs);
                        return -ENOMEM;
                }
                none = NULL;
        }

        for (unsigned i = 0; i < entry->state->n_records; i++)
                add_ptr_change(registry, &effects, &entry->state->records[i]);
        for (unsigned i = 0; i < after->n_records; i++)
                add_ptr_change(registry, &effects, &after->records[i]);

        unindex_records(entry);
        count_state(zone, entry->state, -1);
        old = entry->state;
        entry->state = after;
        entry->generation++;
        count_state(zone, after, 1);
        index_records(entry);
        complete_ptr_changes(registry, &effects);

        if (name_state_is_empty(after))
                remove_entry(entry);
        else
                (void) schedule(entry); /* room was reserved when the entry was made */

        *ret_effects = effects;
        if (ret_old)
                *ret_old = old;
        else
                name_state_free(old);
        return 0;
}

void registry_hold(struct registry *registry, const struct registry_hold *hold)
{
        /* What is held is put off when it is due, so that this costs the same at any number of names; what
         * was put off is not fetched back. */
        assert(hold->records_until_usec >= registry->hold.records_until_usec &&
               hold->keys_before_usec >= registry->hold.keys_before_usec &&
               hold->keys_until_usec >= registry->hold.keys_until_usec);
        registry->hold = *hold;
}

/* Granted before: its lease, back from its end, begins before. */
static bool take_off(usec_t *end_usec, uint32_t lease_sec, usec_t since_usec, usec_t off_usec)
{
        if (usec_sub(*end_usec, lease_sec * USEC_PER_SEC) >= since_usec)
                return false;
        *end_usec = usec_sub(*end_usec, off_usec);
        return true;
}

bool registry_take_time_off(struct name_entry *entry, usec_t since_usec, usec_t off_usec)
{
        struct name_state *state = entry->state;
        bool moved = false;

        for (unsigned i = 0; i < state->n_records; i++)
                moved |= take_off(&state->records[i].end_usec, state->records[i].lease_sec, since_usec,
                                  off_usec);
        if (state->claimed)
                moved |= take_off(&state->key_end_usec, state->key_lease_sec, since_usec, off_usec);
        if (moved) {
                name_state_move(state);
                /* It is in the heap, where moving it needs no memory. */
                (void) schedule(entry);
        }
        return moved;
}

usec_t registry_next_deadline(const struct registry *registry)
{
        const struct heap_node *node = heap_first(&registry->deadlines);

        return node ? node->key : USEC_INFINITY;
}

struct name_entry *registry_next_due(struct registry *registry, usec_t lease_usec)
{
        for (unsigned i = 0; i < PUT_OFF_MAX; i++) {
                struct heap_node *node = heap_first(&registry->deadlines);
                struct name_entry *entry;

                if (!node || node->key > lease_usec)
                        return NULL;
                entry = container_of(node, struct name_entry, deadline);
                if (earliest_end(registry, entry->state) <= lease_usec)
                        return entry;
                /* Held: it is in the heap, where moving it needs no memory. */
                (void) schedule(entry);
        }
        return NULL;
}

void registry_postpone(struct registry *registry, struct name_entry *entry, usec_t until_usec)
{
        (void) heap_put(&registry->deadlines, &entry->deadline, until_usec);
}

bool registry_is_due(const struct name_entry *entry, usec_t lease_usec)
{
        return earliest_end(entry->zone->registry, entry->state) <= lease_usec;
}

void registry_reschedule(struct name_entry *entry)
{
        /* It is in the heap, where moving it needs no memory. */
        (void) schedule(entry);
}

void registry_free_name(struct name_state *state, const struct registry_time *now)
{
        int32_t left_sec = (int32_t) (state->expiration - (uint32_t) (now->real_usec / USEC_PER_SEC));

        name_state_release(state);
        if (state->n_hashes == 0)
                return;
        /* One second more: the expiration itself is still valid. */
        state->key_end_usec = usec_add(now->lease_usec, (usec_t) MAX(left_sec + 1, 1) * USEC_PER_SEC);
}

struct name_state *registry_expire(const struct name_entry *entry, const struct registry_time *now)
{
        struct name_state *after = name_state_copy(entry->state);
        const struct registry *registry = entry->zone->registry;

        if (!after)
                return NULL;
        for (unsigned i = after->n_records; i > 0; i--)
                if (record_end(registry, &after->records[i - 1]) <= now->lease_usec)
                        name_state_remove(after, &after->records[i - 1]);
        if (after->blocked_until_usec > 0 && name_state_block_forgotten(after) <= now->lease_usec) {
                name_state_unblock(after);
        }

        if (after->claimed && key_end(registry, after) <= now->lease_usec) {
                registry_free_name(after, now);
                return after;
        }
        if (!after->claimed && after->key_end_usec > 0 && after->key_end_usec <= now->lease_usec) {
                after->key_end_usec = 0;
                after->expiration = 0;
                after->n_hashes = 0;
                free(after->earlier);
                after->earlier = NULL;
        }
        return after;
}

void registry_refresh(struct registry_zone *zone, const struct dns_name *name, struct name_state *after)
{
        struct name_entry *entry = registry_find(zone, name);
        struct name_state *state;

        assert(entry && entry->state->claimed && entry->state->n_records == after->n_records);
        state = entry->state;
        for (unsigned i = 0; i < after->n_records; i++) {
                struct record_value value = record_value(&after->records[i]);
                struct record *record = name_state_find(state, &value);

                assert(record && record->lease_sec == after->records[i].lease_sec);
                record->end_usec = after->records[i].end_usec;
        }
        state->key_end_usec = after->key_end_usec;
        state->seen_usec = after->seen_usec;
        state->inception = after->inception;
        state->expiration = after->expiration;
        state->n_hashes = after->n_hashes;
        memcpy(state->hash, after->hash, sizeof(state->hash));
        free(state->earlier);
        state->earlier = TAKE_PTR(after->earlier);
        after->n_hashes = 0;
        name_state_move(state);
        /* It is in the heap, where moving it needs no memory. */
        (void) schedule(entry);
}
