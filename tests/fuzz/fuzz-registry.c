/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pure registry under any sequence of requests, time and administrator. The input is the list of steps; a
 * small model beside it, written from what the protocol promises, says after each step what must be there:
 *
 *  - only the owner's key changes a name, nothing is accepted twice;
 *  - what was granted stands until its end, or until who holds the clock lets it end, and not longer;
 *  - the next deadline is never later than the earliest end;
 *  - counters, index of addresses and the PTR changes told agree with what is there;
 *  - no entry stays without a reason.
 *
 * FUZZ_STEPS in the environment prints how many steps there were. */

#include <string.h>

#include "fuzz.h"
#include "registry/registry.h"

#define N_ZONES      2
#define N_NAMES      4
#define N_KEYS       3
#define N_ADDRESSES  6
#define N_SOURCES    4
#define N_OPERATIONS 6

#define MAX_RECORDS 3
#define MAX_NAMES   3 /* of the second zone */

static const char *const zones[N_ZONES] = { "d.example.", "e.example." };
static const char *const labels[N_NAMES] = { "a", "bb", "c-3", "zzz" };
/* The first three are sources of requests too. */
static const char *const addresses[N_ADDRESSES] = { "192.168.0.1", "10.0.0.7", "fd00::1",
                                                    "192.168.0.2", "fd00::2",  "10.0.0.8" };
static const char *const far_source = "203.0.113.9";

static const struct dialect dialects[] = {
        { .name = "nsreg", .drops_addresses = true },
        { .name = "rfc2136", .key_claims = true },
};

/* What is asked, small enough to be kept and sent again. */
struct asked {
        uint8_t zone, name, key, source, dialect;
        bool has_key;
        uint8_t lease_form;
        uint32_t lease_sec, key_lease_sec, key_ttl_sec;
        uint32_t inception, expiration;
        uint32_t serial; /* 0: none; stands for the hash */
        uint8_t n_operations, n_prerequisites;
        struct {
                enum operation_kind kind;
                uint8_t address; /* or its family: even is A */
                bool filtered;
                uint32_t ttl_sec;
        } operations[N_OPERATIONS];
        struct {
                enum prerequisite_kind kind;
                uint8_t address; /* N_ADDRESSES: the KEY */
                uint8_t key;
        } prerequisites[2];
};

/* One name as it must be. */
struct expected {
        bool claimed;
        uint8_t owner;
        usec_t claimed_usec;
        uint32_t key_lease_sec;
        usec_t key_end_usec;
        struct {
                bool there, proven;
                uint32_t lease_sec;
                usec_t end_usec;
        } records[N_ADDRESSES];
        bool reserved;
        int banned; /* -1: no key */
        usec_t blocked_until_usec;
        uint32_t blocked_sec;
        uint32_t accepted[REPLAY_HASHES_MAX]; /* serials at this inception, the last one last */
        unsigned n_accepted;
        uint32_t inception, expiration;
        usec_t memory_end_usec; /* of a free name */
        usec_t put_off_usec;
        struct asked last;
        struct grant told;
};

static struct {
        const uint8_t *data;
        size_t size;

        struct zone_policy policies[N_ZONES];
        struct registry *registry;
        struct registry_zone *zones[N_ZONES];
        struct registry_time now;
        uint32_t serial;
        struct expected expected[N_ZONES][N_NAMES];
        /* Who has the PTR, by what was told: zone * N_NAMES + name, or -1. */
        int pointers[N_ADDRESSES];
} world;

/* Made once. */
static struct dns_key keys[N_KEYS];
static struct address all_addresses[N_ADDRESSES], all_sources[N_SOURCES];
static struct dns_name all_names[N_ZONES][N_NAMES];
static uint64_t n_steps;

static void print_steps(void)
{
        fprintf(stderr, "%llu steps\n", (unsigned long long) n_steps);
}

static uint8_t take(void)
{
        if (world.size == 0)
                return 0;
        world.size--;
        return *world.data++;
}

static uint32_t take_below(uint32_t limit)
{
        return take() % limit;
}

static uint32_t take_seconds(void)
{
        static const uint32_t spans[] = {
                0, 1, 29, 30, 31, 60, 120, 300, 3599, 3600, 3601, 86400, UINT32_MAX
        };

        return spans[take_below(ELEMENTSOF(spans))];
}

static void make_constants(void)
{
        if (keys[0].length > 0)
                return;
        for (unsigned i = 0; i < N_KEYS; i++) {
                keys[i] = (struct dns_key){ .flags = 512, .protocol = 3, .algorithm = 15, .length = 32 };
                /* The sum of all octets is the same, and with it the tag of the first two. */
                keys[i].public_key[2 * i] = 7;
        }
        keys[2].public_key[1] = 9;
        FUZZ_ASSERT(dns_key_tag(&keys[0]) == dns_key_tag(&keys[1]));
        FUZZ_ASSERT(dns_key_tag(&keys[0]) != dns_key_tag(&keys[2]));
        for (unsigned i = 0; i < N_ADDRESSES; i++)
                FUZZ_ASSERT(address_parse(addresses[i], &all_addresses[i]) == 0);
        for (unsigned i = 0; i < N_SOURCES - 1; i++)
                all_sources[i] = all_addresses[i];
        FUZZ_ASSERT(address_parse(far_source, &all_sources[N_SOURCES - 1]) == 0);
        for (unsigned z = 0; z < N_ZONES; z++)
                for (unsigned n = 0; n < N_NAMES; n++) {
                        char text[64];

                        snprintf(text, sizeof(text), "%s.%s", labels[n], zones[z]);
                        FUZZ_ASSERT(dns_name_parse(text, &all_names[z][n]) == 0);
                }
        if (getenv("FUZZ_STEPS"))
                atexit(print_steps);
}

static bool is_a(unsigned address)
{
        return all_addresses[address].family == AF_INET;
}

static void world_begin(const uint8_t *data, size_t size)
{
        static const char *const reverse[] = { "168.192.in-addr.arpa.", "ip6.arpa." };

        make_constants();
        memset(&world, 0, sizeof(world));
        world.data = data;
        world.size = size;
        world.now.lease_usec = 1000 * USEC_PER_SEC;
        world.now.real_usec = UINT64_C(1700000000) * USEC_PER_SEC;
        world.registry = registry_new();
        FUZZ_ASSERT(world.registry);
        for (unsigned z = 0; z < N_ZONES; z++) {
                struct zone_policy *policy = &world.policies[z];
                struct dns_name name;

                FUZZ_ASSERT(dns_name_parse(zones[z], &name) == 0);
                zone_policy_init(policy, &name);
                FUZZ_ASSERT(zone_policy_complete(policy) == 0);
                for (size_t i = 0; i < ELEMENTSOF(reverse); i++) {
                        FUZZ_ASSERT(dns_name_parse(reverse[i], &name) == 0);
                        FUZZ_ASSERT(name_list_add(&policy->reverse_zones, &name) == 0);
                }
                policy->max_records_per_name = MAX_RECORDS;
                world.zones[z] = registry_add_zone(world.registry, policy);
                FUZZ_ASSERT(world.zones[z]);
                for (unsigned n = 0; n < N_NAMES; n++)
                        world.expected[z][n].banned = -1;
        }
        world.policies[1].max_names = MAX_NAMES;
        world.policies[1].ptr_policy = PTR_POLICY_SOURCE;
        for (unsigned i = 0; i < N_ADDRESSES; i++)
                world.pointers[i] = -1;
}

static void world_end(void)
{
        registry_free(world.registry);
        for (unsigned z = 0; z < N_ZONES; z++)
                zone_policy_clear(&world.policies[z]);
}

/* ------------------------------------------------------------------ what must be, after each step */

static usec_t record_stands_until(const struct expected *expected, unsigned address)
{
        return MAX(expected->records[address].end_usec, world.registry->hold.records_until_usec);
}

static usec_t key_stands_until(const struct expected *expected)
{
        const struct registry_hold *hold = &world.registry->hold;

        return expected->key_end_usec < hold->keys_before_usec
                       ? MAX(expected->key_end_usec, hold->keys_until_usec)
                       : expected->key_end_usec;
}

static usec_t block_remembered_until(const struct expected *expected)
{
        return expected->blocked_until_usec + 2 * (usec_t) expected->blocked_sec * USEC_PER_SEC;
}

static usec_t first_end(const struct expected *expected)
{
        usec_t first = USEC_INFINITY;

        for (unsigned a = 0; a < N_ADDRESSES; a++)
                if (expected->records[a].there)
                        first = MIN(first, record_stands_until(expected, a));
        if (expected->claimed)
                first = MIN(first, key_stands_until(expected));
        else if (expected->n_accepted > 0)
                first = MIN(first, expected->memory_end_usec);
        if (expected->blocked_until_usec > 0)
                first = MIN(first, block_remembered_until(expected));
        return first;
}

static bool has_reason(const struct expected *expected)
{
        return expected->claimed || expected->reserved || expected->banned >= 0 || expected->n_accepted > 0 ||
               expected->blocked_until_usec > 0;
}

static void check_records(const struct name_state *state, const struct expected *expected)
{
        unsigned n_there = 0;

        for (unsigned a = 0; a < N_ADDRESSES; a++) {
                struct record_value value = record_value_of_address(&all_addresses[a]);
                const struct record *record = name_state_find(state, &value);

                FUZZ_ASSERT((record != NULL) == expected->records[a].there);
                if (!record)
                        continue;
                n_there++;
                FUZZ_ASSERT(record->end_usec == expected->records[a].end_usec);
                FUZZ_ASSERT(record->lease_sec == expected->records[a].lease_sec);
                FUZZ_ASSERT(record->proven == expected->records[a].proven);
        }
        FUZZ_ASSERT(state->n_records == n_there);
}

static void check_name(const struct name_entry *entry, const struct expected *expected)
{
        const struct name_state *state;

        FUZZ_ASSERT((entry != NULL) == has_reason(expected));
        if (!entry)
                return;
        state = entry->state;
        FUZZ_ASSERT(!name_state_is_empty(state));
        FUZZ_ASSERT(state->claimed == expected->claimed);
        FUZZ_ASSERT(state->reserved == expected->reserved);
        FUZZ_ASSERT((state->banned_fingerprint != NULL) == (expected->banned >= 0));
        FUZZ_ASSERT(state->blocked_until_usec == expected->blocked_until_usec);
        FUZZ_ASSERT(state->n_hashes == expected->n_accepted);
        check_records(state, expected);
        if (state->claimed) {
                FUZZ_ASSERT(dns_key_same(state->key, &keys[expected->owner]));
                FUZZ_ASSERT(state->key_end_usec == expected->key_end_usec);
                FUZZ_ASSERT(state->key_lease_sec == expected->key_lease_sec);
                FUZZ_ASSERT(state->claimed_usec == expected->claimed_usec);
        } else {
                FUZZ_ASSERT(!state->key && state->n_records == 0);
                FUZZ_ASSERT(state->key_end_usec == expected->memory_end_usec);
        }
        if (first_end(expected) != USEC_INFINITY) {
                FUZZ_ASSERT(heap_contains(&entry->deadline));
                FUZZ_ASSERT(entry->deadline.key <= MAX(first_end(expected), expected->put_off_usec));
                FUZZ_ASSERT(registry_next_deadline(world.registry) <= entry->deadline.key);
        }
        FUZZ_ASSERT(registry_is_due(entry, world.now.lease_usec) ==
                    (first_end(expected) <= world.now.lease_usec));
}

/* 0 is the best claim to the PTR of this address, as the manual has it; UINT64_MAX none at all. */
static uint64_t pointer_rank(unsigned zone, unsigned name, unsigned address)
{
        const struct expected *expected = &world.expected[zone][name];
        bool has_reverse = !is_a(address) || all_addresses[address].bytes[0] == 192;

        if (!expected->records[address].there || !has_reverse || world.zones[zone]->hidden)
                return UINT64_MAX;
        if (!expected->records[address].proven && world.policies[zone].ptr_policy == PTR_POLICY_SOURCE)
                return UINT64_MAX;
        return expected->claimed_usec + (expected->records[address].proven ? 0 : UINT64_C(1) << 62);
}

static int best_pointer(unsigned address)
{
        uint64_t best_rank = UINT64_MAX;
        int best = -1;

        /* Among equals the first label has it; among two zones either, but always the same. */
        for (unsigned n = 0; n < N_NAMES; n++)
                for (unsigned z = 0; z < N_ZONES; z++) {
                        uint64_t rank = pointer_rank(z, n, address);
                        bool before = rank < best_rank;

                        if (rank == best_rank && rank != UINT64_MAX && best % N_NAMES == (int) n)
                                before = (uintptr_t) world.zones[z] < (uintptr_t) world.zones[best / N_NAMES];
                        if (!before)
                                continue;
                        best_rank = rank;
                        best = (int) (z * N_NAMES + n);
                }
        return best;
}

static int number_of(const struct registry_zone *zone, const struct dns_name *name)
{
        for (unsigned z = 0; z < N_ZONES; z++)
                for (unsigned n = 0; n < N_NAMES && world.zones[z] == zone; n++)
                        if (dns_name_equal(&all_names[z][n], name))
                                return (int) (z * N_NAMES + n);
        FUZZ_ASSERT(!zone);
        return -1;
}

static void check_pointers(void)
{
        for (unsigned a = 0; a < N_ADDRESSES; a++) {
                const struct name_entry *owner = registry_ptr_owner(world.registry, &all_addresses[a]);
                struct prefix only = { .base = all_addresses[a], .length = is_a(a) ? 32 : 128 };
                int best = best_pointer(a);
                bool there = false;

                for (unsigned i = 0; i < N_ZONES * N_NAMES; i++)
                        there |= world.expected[i / N_NAMES][i % N_NAMES].records[a].there;
                FUZZ_ASSERT(registry_has_address_in(world.registry, &only) == there);
                FUZZ_ASSERT((owner != NULL) == (best >= 0));
                FUZZ_ASSERT(world.pointers[a] == best);
                if (owner)
                        FUZZ_ASSERT(owner->zone == world.zones[best / N_NAMES] &&
                                    streq(owner->label, labels[best % N_NAMES]));
        }
}

static void check_world(void)
{
        uint32_t n_entries = 0;
        uint64_t n_names = 0;
        usec_t first = USEC_INFINITY;

        for (unsigned z = 0; z < N_ZONES; z++) {
                const struct registry_zone *zone = world.zones[z];
                uint32_t n_claimed = 0, n_there = 0, n_records = 0;

                for (unsigned n = 0; n < N_NAMES; n++) {
                        const struct expected *expected = &world.expected[z][n];

                        check_name(registry_find_label(zone, labels[n]), expected);
                        n_there += has_reason(expected);
                        n_claimed += expected->claimed;
                        for (unsigned a = 0; a < N_ADDRESSES; a++)
                                n_records += expected->records[a].there;
                        first = MIN(first, MAX(first_end(expected), expected->put_off_usec));
                }
                FUZZ_ASSERT(zone->n_entries == n_there);
                FUZZ_ASSERT(zone->n_names == n_claimed);
                FUZZ_ASSERT(zone->n_records == n_records);
                n_entries += n_there;
                n_names += n_claimed;
        }
        FUZZ_ASSERT(world.registry->n_names == n_names);
        FUZZ_ASSERT(registry_next_deadline(world.registry) <= first);
        /* Every entry finds room for its deadline without memory. */
        FUZZ_ASSERT(world.registry->deadlines.n_allocated >= n_entries);
        check_pointers();
}

/* ------------------------------------------------------------------ what a request makes of the model */

static struct asked take_request(void)
{
        struct asked asked = {};

        asked.zone = (uint8_t) take_below(N_ZONES);
        asked.name = (uint8_t) take_below(N_NAMES);
        asked.key = (uint8_t) take_below(N_KEYS);
        asked.source = (uint8_t) take_below(N_SOURCES);
        asked.dialect = (uint8_t) take_below(ELEMENTSOF(dialects));
        asked.has_key = take_below(4) > 0;
        asked.key_ttl_sec = take_seconds();
        switch (take_below(4)) {
        case 0:
                asked.lease_form = 4;
                asked.lease_sec = asked.key_lease_sec = take_seconds();
                break;
        case 1:
                asked.lease_form = 8;
                asked.lease_sec = take_seconds();
                asked.key_lease_sec = take_seconds();
                break;
        }
        /* RFC 1982 compares by difference: mostly now, sometimes off. */
        asked.inception = (uint32_t) (world.now.real_usec / USEC_PER_SEC) - 2 + take_below(5);
        asked.expiration = asked.inception + 60 * take_below(10);
        asked.serial = ++world.serial;
        asked.n_operations = (uint8_t) take_below(N_OPERATIONS + 1);
        for (unsigned i = 0; i < asked.n_operations; i++) {
                uint8_t form = take();

                /* Every other one adds. */
                asked.operations[i].kind = form % 2 ? OPERATION_ADD : (enum operation_kind)(form / 2 % 6);
                asked.operations[i].address = (uint8_t) take_below(N_ADDRESSES);
                asked.operations[i].filtered = form > 230;
                asked.operations[i].ttl_sec = take_seconds();
        }
        if (take_below(8) == 0)
                asked.n_prerequisites = (uint8_t) (1 + take_below(2));
        for (unsigned i = 0; i < asked.n_prerequisites; i++) {
                asked.prerequisites[i].kind = (enum prerequisite_kind) take_below(5);
                asked.prerequisites[i].address = (uint8_t) take_below(N_ADDRESSES + 1);
                asked.prerequisites[i].key = (uint8_t) take_below(N_KEYS);
        }
        return asked;
}

static void make_update(struct update *update, struct asked *asked, struct operation *operations,
                        struct prerequisite *prerequisites)
{
        *update = (struct update){
                .dialect = &dialects[asked->dialect],
                .name = all_names[asked->zone][asked->name],
                .source = all_sources[asked->source],
                .has_key = asked->has_key,
                .key_ttl_sec = asked->key_ttl_sec,
                .algorithm = keys[asked->key].algorithm,
                .key_tag = dns_key_tag(&keys[asked->key]),
                .inception = asked->inception,
                .expiration = asked->expiration,
                .edns = { .present = asked->lease_form > 0,
                          .lease_form = asked->lease_form,
                          .lease_sec = asked->lease_sec,
                          .key_lease_sec = asked->key_lease_sec },
                .operations = operations,
                .n_operations = asked->n_operations,
                .prerequisites = prerequisites,
                .n_prerequisites = asked->n_prerequisites,
        };
        if (asked->has_key)
                update->key = keys[asked->key];
        memcpy(update->hash, &asked->serial, sizeof(asked->serial));
        for (unsigned i = 0; i < asked->n_operations; i++) {
                unsigned address = asked->operations[i].address;
                bool adds = asked->operations[i].kind == OPERATION_ADD;

                operations[i] = (struct operation){
                        .kind = asked->operations[i].kind,
                        .type = is_a(address) ? DNS_TYPE_A : DNS_TYPE_AAAA,
                        .address = all_addresses[address],
                        .ttl_sec = asked->operations[i].ttl_sec,
                        .filtered = adds && asked->operations[i].filtered,
                };
                update->n_additions += adds;
                update->n_filtered += operations[i].filtered;
        }
        for (unsigned i = 0; i < MIN(asked->n_prerequisites, ELEMENTSOF(asked->prerequisites)); i++) {
                unsigned address = asked->prerequisites[i].address;
                bool is_key = address == N_ADDRESSES;

                prerequisites[i] = (struct prerequisite){
                        .kind = asked->prerequisites[i].kind,
                        .type = is_key          ? DNS_TYPE_KEY
                                : is_a(address) ? DNS_TYPE_A
                                                : DNS_TYPE_AAAA,
                        .key = is_key ? &keys[asked->prerequisites[i].key] : NULL,
                };
                if (!is_key)
                        prerequisites[i].address = all_addresses[address];
        }
}

static bool source_may_claim(const struct asked *asked)
{
        return asked->source < N_SOURCES - 1;
}

/* May this request speak for the name, its signature being right: by whose the name is alone. */
static bool may_speak(const struct expected *expected, const struct asked *asked)
{
        unsigned n_added = 0, n_filtered = 0, n_claimed = 0;

        if (expected->claimed)
                return asked->key == expected->owner;
        for (unsigned i = 0; i < asked->n_operations; i++) {
                n_added += asked->operations[i].kind == OPERATION_ADD;
                n_filtered += asked->operations[i].kind == OPERATION_ADD && asked->operations[i].filtered;
        }
        for (unsigned n = 0; n < N_NAMES; n++)
                n_claimed += world.expected[asked->zone][n].claimed;
        return asked->has_key && source_may_claim(asked) && !(n_added > 0 && n_added == n_filtered) &&
               !expected->reserved && expected->banned != asked->key &&
               !(asked->zone == 1 && n_claimed >= MAX_NAMES);
}

static bool adds_any(const struct asked *asked)
{
        for (unsigned i = 0; i < asked->n_operations; i++)
                if (asked->operations[i].kind == OPERATION_ADD && !asked->operations[i].filtered)
                        return true;
        return false;
}

/* Is it neither older than what was accepted, nor that, nor one too many of one second. */
static bool is_fresh(const struct expected *expected, const struct asked *asked)
{
        int32_t newer = (int32_t) (asked->inception - expected->inception);

        if (expected->n_accepted == 0 || newer > 0)
                return true;
        if (newer < 0 || expected->n_accepted >= REPLAY_HASHES_MAX)
                return false;
        for (unsigned i = 0; i < expected->n_accepted; i++)
                if (expected->accepted[i] == asked->serial)
                        return false;
        return true;
}

static bool is_last(const struct expected *expected, const struct asked *asked)
{
        return expected->n_accepted > 0 && expected->accepted[expected->n_accepted - 1] == asked->serial;
}

static bool there_of(const struct expected *expected, unsigned address)
{
        if (address == N_ADDRESSES)
                return expected->claimed;
        for (unsigned a = 0; a < N_ADDRESSES; a++)
                if (is_a(a) == is_a(address) && expected->records[a].there)
                        return true;
        return false;
}

/* RFC 2136 section 3.2.5: those of one type together are the whole set. */
static bool is_whole_set(const struct expected *expected, const struct asked *asked, unsigned address)
{
        bool wanted[N_ADDRESSES] = {};

        for (unsigned i = 0; i < asked->n_prerequisites; i++) {
                unsigned other = asked->prerequisites[i].address;

                if (asked->prerequisites[i].kind != PREREQUISITE_RR_EXISTS ||
                    (other == N_ADDRESSES) != (address == N_ADDRESSES))
                        continue;
                if (address == N_ADDRESSES) {
                        if (!expected->claimed || asked->prerequisites[i].key != expected->owner)
                                return false;
                } else if (is_a(other) == is_a(address))
                        wanted[other] = true;
        }
        for (unsigned a = 0; address < N_ADDRESSES && a < N_ADDRESSES; a++)
                if (is_a(a) == is_a(address) && wanted[a] != expected->records[a].there)
                        return false;
        return true;
}

static bool prerequisites_hold(const struct expected *expected, const struct asked *asked)
{
        for (unsigned i = 0; i < asked->n_prerequisites; i++) {
                unsigned address = asked->prerequisites[i].address;
                bool holds = false;

                switch (asked->prerequisites[i].kind) {
                case PREREQUISITE_NAME_IN_USE:
                        holds = expected->claimed;
                        break;
                case PREREQUISITE_NAME_NOT_IN_USE:
                        holds = !expected->claimed;
                        break;
                case PREREQUISITE_RRSET_EXISTS:
                        holds = there_of(expected, address);
                        break;
                case PREREQUISITE_RRSET_ABSENT:
                        holds = !there_of(expected, address);
                        break;
                case PREREQUISITE_RR_EXISTS:
                        holds = is_whole_set(expected, asked, address);
                        break;
                }
                if (!holds)
                        return false;
        }
        return true;
}

static bool gives_up(const struct asked *asked)
{
        bool gives = asked->lease_form > 0 && asked->key_lease_sec == 0;

        for (unsigned i = 0; i < asked->n_operations; i++) {
                if (asked->operations[i].kind == OPERATION_KEY_DELETE)
                        gives = true;
                if (asked->operations[i].kind == OPERATION_KEY_ADD && asked->lease_form == 0)
                        gives = false;
        }
        return gives;
}

static uint32_t bounded_lease(const struct asked *asked, uint32_t ttl_sec)
{
        uint32_t wanted = asked->lease_form > 0 ? asked->lease_sec : ttl_sec;

        return MIN(MAX(wanted, (uint32_t) ZONE_POLICY_MIN_ADDR_TTL_SEC),
                   (uint32_t) ZONE_POLICY_MAX_ADDR_TTL_SEC);
}

static void drop_records(struct expected *expected, int family)
{
        for (unsigned a = 0; a < N_ADDRESSES; a++)
                if (family == AF_UNSPEC || all_addresses[a].family == family)
                        expected->records[a].there = false;
}

static unsigned count_records(const struct expected *expected)
{
        unsigned n = 0;

        for (unsigned a = 0; a < N_ADDRESSES; a++)
                n += expected->records[a].there;
        return n;
}

/* Who sends no OPT, in the dialect that leaves out what is not taken, gets what fits. */
static bool is_left_out(const struct expected *after, const struct asked *asked, unsigned operation)
{
        if (asked->operations[operation].filtered)
                return true;
        return dialects[asked->dialect].drops_addresses && asked->lease_form == 0 &&
               !after->records[asked->operations[operation].address].there &&
               count_records(after) >= MAX_RECORDS;
}

static void operate(struct expected *after, const struct expected *before, const struct asked *asked)
{
        for (unsigned i = 0; i < asked->n_operations; i++) {
                unsigned address = asked->operations[i].address;
                uint32_t lease_sec = bounded_lease(asked, asked->operations[i].ttl_sec);

                switch (asked->operations[i].kind) {
                case OPERATION_ADD:
                        if (is_left_out(after, asked, i))
                                break;
                        after->records[address].there = true;
                        after->records[address].lease_sec = lease_sec;
                        after->records[address].end_usec = world.now.lease_usec + lease_sec * USEC_PER_SEC;
                        after->records[address].proven =
                                (source_may_claim(asked) && asked->source == address) ||
                                (before->records[address].there && before->records[address].proven);
                        break;
                case OPERATION_DELETE_RR:
                        after->records[address].there = false;
                        break;
                case OPERATION_DELETE_RRSET:
                        drop_records(after, all_addresses[address].family);
                        break;
                case OPERATION_DELETE_ALL:
                        drop_records(after, AF_UNSPEC);
                        break;
                case OPERATION_KEY_ADD:
                case OPERATION_KEY_DELETE:
                        break;
                }
        }
        if (gives_up(asked) || (asked->lease_form > 0 && asked->lease_sec == 0))
                drop_records(after, AF_UNSPEC);
}

static void set_free(struct expected *expected)
{
        int32_t left_sec = (int32_t) (expected->expiration - (uint32_t) (world.now.real_usec / USEC_PER_SEC));

        drop_records(expected, AF_UNSPEC);
        expected->claimed = false;
        expected->key_end_usec = 0;
        expected->memory_end_usec = 0;
        if (expected->n_accepted > 0)
                expected->memory_end_usec = world.now.lease_usec +
                                            (usec_t) (left_sec < 0 ? 1 : left_sec + 1) * USEC_PER_SEC;
}

static void remember(struct expected *expected, const struct asked *asked)
{
        if (expected->n_accepted == 0 || expected->inception != asked->inception)
                expected->n_accepted = 0;
        expected->accepted[expected->n_accepted++] = asked->serial;
        expected->inception = asked->inception;
        if (expected->expiration == 0 || (int32_t) (asked->expiration - expected->expiration) > 0)
                expected->expiration = asked->expiration;
}

/* How long the name itself is granted: never shorter than any of its addresses. */
static uint32_t key_lease(const struct expected *after, const struct asked *asked)
{
        bool removes = asked->lease_form > 0 && asked->lease_sec == 0;
        uint32_t lease_sec = after->claimed ? after->key_lease_sec : 0;

        if (asked->lease_form > 0)
                lease_sec = asked->key_lease_sec;
        else if (asked->has_key)
                lease_sec = asked->key_ttl_sec;
        lease_sec = MIN(lease_sec, (uint32_t) ZONE_POLICY_MAX_KEY_TTL_SEC);
        for (unsigned i = 0; i < asked->n_operations && !removes; i++)
                if (asked->operations[i].kind == OPERATION_ADD && !asked->operations[i].filtered)
                        lease_sec = MAX(lease_sec, bounded_lease(asked, asked->operations[i].ttl_sec));
        for (unsigned a = 0; a < N_ADDRESSES; a++)
                if (after->records[a].there)
                        lease_sec = MAX(lease_sec, after->records[a].lease_sec);
        return lease_sec;
}

/* Does the request change the name, and to what. */
static bool expect(const struct expected *before, const struct asked *asked, struct expected *after)
{
        *after = *before;
        if (!prerequisites_hold(before, asked))
                return false;
        operate(after, before, asked);
        if (count_records(after) > MAX_RECORDS || (!before->claimed && count_records(after) == 0))
                return false;
        after->key_lease_sec = key_lease(after, asked);
        remember(after, asked);
        after->last = *asked;
        after->put_off_usec = 0;
        if (gives_up(asked)) {
                set_free(after);
                return true;
        }
        if (!before->claimed) {
                after->claimed = true;
                after->owner = asked->key;
                after->claimed_usec = world.now.real_usec;
                after->memory_end_usec = 0;
        }
        /* Who could ask is held no day; nothing ends before the grace does. */
        after->key_end_usec = MAX(world.now.lease_usec + after->key_lease_sec * USEC_PER_SEC,
                                  world.registry->hold.keys_before_usec);
        return true;
}

/* ------------------------------------------------------------------ steps */

/* Who had a PTR by what was told before, and who has it now. */
static void hear_pointers(struct effects *effects)
{
        for (unsigned i = 0; i < effects->n_ptrs; i++) {
                const struct ptr_change *change = &effects->ptrs[i];
                unsigned a = 0;

                while (!address_equal(&all_addresses[a], &change->address))
                        a++;
                FUZZ_ASSERT(world.pointers[a] == number_of(change->zone_before, &change->before));
                world.pointers[a] = number_of(change->zone_after, &change->after);
        }
        free(effects->ptrs);
}

static void install(unsigned zone, unsigned name, struct name_state *after)
{
        struct name_state *old = NULL;
        struct effects effects;

        FUZZ_ASSERT(registry_install(world.zones[zone], labels[name], after, &effects, &old) == 0);
        hear_pointers(&effects);
        if (name_state_is_empty(old))
                FUZZ_ASSERT(old->n_records == 0);
        name_state_free(old);
}

static void check_told(const struct expected *expected, const struct asked *asked, const struct grant *told)
{
        if (gives_up(asked)) {
                FUZZ_ASSERT(told->record_lease_sec == 0 && told->key_lease_sec == 0);
                return;
        }
        FUZZ_ASSERT(told->key_lease_sec == expected->key_lease_sec);
        for (unsigned i = 0; i < asked->n_operations && told->record_lease_sec > 0; i++)
                if (asked->operations[i].kind == OPERATION_ADD && !asked->operations[i].filtered &&
                    expected->records[asked->operations[i].address].there)
                        FUZZ_ASSERT(expected->records[asked->operations[i].address].lease_sec >=
                                    told->record_lease_sec);
}

/* Only ends may have moved. */
static void check_refresh(const struct expected *before, const struct expected *after)
{
        FUZZ_ASSERT(before->claimed && after->claimed && before->key_lease_sec == after->key_lease_sec);
        for (unsigned a = 0; a < N_ADDRESSES; a++) {
                FUZZ_ASSERT(before->records[a].there == after->records[a].there);
                if (before->records[a].there)
                        FUZZ_ASSERT(before->records[a].lease_sec == after->records[a].lease_sec);
        }
}

static void apply(struct asked *asked, struct update *update)
{
        struct expected *expected = &world.expected[asked->zone][asked->name], after;
        bool changes = expect(expected, asked, &after);
        struct registry_zone *zone = world.zones[asked->zone];
        struct name_state *state = NULL;
        struct decision decision;

        switch (registry_apply(zone, update, &world.now, &state, &decision)) {
        case APPLICATION_REFUSED:
        case APPLICATION_NOTHING:
                FUZZ_ASSERT(!changes && !state);
                return;
        case APPLICATION_REFRESH:
                FUZZ_ASSERT(changes);
                check_refresh(expected, &after);
                after.told = registry_grant(zone, update, state);
                registry_refresh(zone, &update->name, state);
                name_state_free(state);
                break;
        case APPLICATION_CHANGE:
                FUZZ_ASSERT(changes);
                after.told = registry_grant(zone, update, state);
                install(asked->zone, asked->name, state);
                break;
        }
        check_told(&after, asked, &after.told);
        *expected = after;
}

static void request(struct asked *asked)
{
        struct expected *expected = &world.expected[asked->zone][asked->name];
        bool blocked = expected->blocked_until_usec > world.now.lease_usec;
        struct operation operations[N_OPERATIONS];
        struct prerequisite prerequisites[2];
        struct decision decision;
        const struct name_entry *entry;
        struct update update;
        struct grant again;

        make_update(&update, asked, operations, prerequisites);
        switch (registry_admit(world.zones[asked->zone], &update, &world.now, &decision)) {
        case ADMISSION_REFUSED:
                FUZZ_ASSERT(!may_speak(expected, asked) || !is_fresh(expected, asked) ||
                            (blocked && adds_any(asked)));
                return;
        case ADMISSION_DUPLICATE:
                FUZZ_ASSERT(is_last(expected, asked));
                entry = registry_find_label(world.zones[asked->zone], labels[asked->name]);
                again = registry_grant(world.zones[asked->zone], &update, entry->state);
                FUZZ_ASSERT(!expected->claimed || memcmp(&again, &expected->told, sizeof(again)) == 0);
                return;
        case ADMISSION_NEW:
                /* A tag is no key: the signature is what tells them apart. */
                if (expected->claimed && !asked->has_key && asked->key != expected->owner) {
                        FUZZ_ASSERT(dns_key_tag(&keys[asked->key]) == dns_key_tag(&keys[expected->owner]));
                        return;
                }
                FUZZ_ASSERT(may_speak(expected, asked) && is_fresh(expected, asked));
                FUZZ_ASSERT(!blocked || !adds_any(asked));
                apply(asked, &update);
                return;
        }
}

/* Nothing is left of what was accepted. */
static void forget(struct expected *expected)
{
        expected->n_accepted = 0;
        expected->expiration = 0;
        expected->memory_end_usec = 0;
}

/* All that is over ends; what was put off ends when that is over. */
static void expire(bool put_one_off)
{
        struct name_entry *entry;

        while ((entry = registry_next_due(world.registry, world.now.lease_usec))) {
                struct dns_name full = name_entry_name(entry);
                int number = number_of(entry->zone, &full);
                unsigned z = (unsigned) number / N_NAMES, n = (unsigned) number % N_NAMES;
                struct expected *expected = &world.expected[z][n];
                struct name_state *after;

                FUZZ_ASSERT(first_end(expected) <= world.now.lease_usec);
                if (put_one_off) {
                        put_one_off = false;
                        expected->put_off_usec = world.now.lease_usec + 10 * USEC_PER_SEC;
                        registry_postpone(world.registry, entry, expected->put_off_usec);
                        continue;
                }
                after = registry_expire(entry, &world.now);
                FUZZ_ASSERT(after);
                for (unsigned a = 0; a < N_ADDRESSES; a++)
                        if (record_stands_until(expected, a) <= world.now.lease_usec)
                                expected->records[a].there = false;
                if (block_remembered_until(expected) <= world.now.lease_usec)
                        expected->blocked_until_usec = expected->blocked_sec = 0;
                if (expected->claimed && key_stands_until(expected) <= world.now.lease_usec)
                        set_free(expected);
                else if (!expected->claimed && expected->memory_end_usec <= world.now.lease_usec)
                        forget(expected);
                expected->put_off_usec = 0;
                install(z, n, after);
        }
        /* Nothing is left that is over and was not put off. */
        for (unsigned i = 0; i < N_ZONES * N_NAMES; i++) {
                const struct expected *expected = &world.expected[i / N_NAMES][i % N_NAMES];

                FUZZ_ASSERT(MAX(first_end(expected), expected->put_off_usec) > world.now.lease_usec);
        }
}

static void pass_time(void)
{
        usec_t passed = (take_seconds() % 100000) * USEC_PER_SEC + take();
        bool put_one_off = take_below(8) == 0;

        world.now.lease_usec += passed;
        world.now.real_usec += passed;
        if (take_below(16) == 0) /* somebody sets the clock */
                world.now.real_usec -= take() * USEC_PER_SEC;
        expire(put_one_off);
}

static void hold(void)
{
        struct registry_hold hold = world.registry->hold;
        usec_t from = world.now.lease_usec;

        hold.records_until_usec = MAX(hold.records_until_usec, from + take() * 30 * USEC_PER_SEC);
        hold.keys_before_usec = MAX(hold.keys_before_usec, from + take() * 30 * USEC_PER_SEC);
        hold.keys_until_usec = MAX(hold.keys_until_usec, from + take() * 300 * USEC_PER_SEC);
        registry_hold(world.registry, &hold);
}

static bool granted_before(usec_t end_usec, uint32_t lease_sec, usec_t since_usec)
{
        usec_t lease_usec = lease_sec * USEC_PER_SEC;

        return (end_usec > lease_usec ? end_usec - lease_usec : 0) < since_usec;
}

static void take_time_off(unsigned zone, unsigned name)
{
        struct name_entry *entry = registry_find_label(world.zones[zone], labels[name]);
        usec_t since = world.now.lease_usec - take() * USEC_PER_SEC, off = take() * USEC_PER_SEC;
        struct expected *expected = &world.expected[zone][name];
        bool moved = false;

        if (!entry)
                return;
        for (unsigned a = 0; a < N_ADDRESSES; a++)
                if (expected->records[a].there &&
                    granted_before(expected->records[a].end_usec, expected->records[a].lease_sec, since)) {
                        expected->records[a].end_usec -= MIN(off, expected->records[a].end_usec);
                        moved = true;
                }
        if (expected->claimed && granted_before(expected->key_end_usec, expected->key_lease_sec, since)) {
                expected->key_end_usec -= MIN(off, expected->key_end_usec);
                moved = true;
        }
        if (moved)
                expected->put_off_usec = 0;
        FUZZ_ASSERT(registry_take_time_off(entry, since, off) == moved);
        expire(false);
}

/* What an administrator and the name servers do to a name. */
static void administer(unsigned zone, unsigned name)
{
        struct name_entry *entry = registry_find_label(world.zones[zone], labels[name]);
        struct expected *expected = &world.expected[zone][name];
        struct name_state *after = name_state_copy(entry ? entry->state : NULL);
        char fingerprint[DNS_KEY_FINGERPRINT_MAX];

        FUZZ_ASSERT(after);
        switch (take_below(4)) {
        case 0:
                after->reserved = expected->reserved = !expected->reserved;
                break;
        case 1:
                expected->banned = expected->banned < 0 ? (int) take_below(N_KEYS) : -1;
                free(after->banned_fingerprint);
                after->banned_fingerprint = expected->banned < 0
                                                    ? NULL
                                                    : strdup(dns_key_fingerprint(&keys[expected->banned],
                                                                                 fingerprint));
                break;
        case 2:
                expected->blocked_sec = after->blocked_sec = 1 + take();
                expected->blocked_until_usec = after->blocked_until_usec =
                        world.now.lease_usec + expected->blocked_sec * USEC_PER_SEC;
                break;
        case 3:
                registry_free_name(after, &world.now);
                if (expected->claimed || expected->n_accepted > 0)
                        set_free(expected);
                break;
        }
        expected->put_off_usec = 0;
        install(zone, name, after);
}

static void hide(unsigned zone)
{
        world.zones[zone]->hidden = !world.zones[zone]->hidden;
        for (unsigned n = 0; n < N_NAMES; n++) {
                struct name_entry *entry = registry_find_label(world.zones[zone], labels[n]);

                if (entry)
                        registry_reindex(entry);
        }
        for (unsigned a = 0; a < N_ADDRESSES; a++)
                world.pointers[a] = best_pointer(a);
}

static void look_again(unsigned zone, unsigned name)
{
        struct name_entry *entry = registry_find_label(world.zones[zone], labels[name]);

        if (entry)
                registry_reschedule(entry);
        world.expected[zone][name].put_off_usec = 0;
        expire(false);
}

static void step(void)
{
        uint8_t what = take();
        unsigned zone = what >> 4 & 1, name = what >> 5 & 3;
        struct asked asked;

        n_steps++;
        switch (what & 15) {
        case 0:
                hold();
                break;
        case 1:
                administer(zone, name);
                break;
        case 2:
                take_time_off(zone, name);
                break;
        case 3:
                hide(zone);
                break;
        case 4:
                look_again(zone, name);
                break;
        case 5: /* what was accepted last, once more */
                asked = world.expected[zone][name].last;
                if (asked.serial > 0)
                        request(&asked);
                break;
        case 6: /* the same, and signed anew: many of one second */
                asked = world.expected[zone][name].last;
                for (unsigned n = take_below(20); n > 0 && asked.serial > 0; n--) {
                        asked.serial = ++world.serial;
                        request(&asked);
                        n_steps++;
                }
                break;
        case 7:
        case 8:
        case 9:
                pass_time();
                break;
        default:
                asked = take_request();
                request(&asked);
                break;
        }
        check_world();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        world_begin(data, size);
        while (world.size > 0)
                step();
        world_end();
        return 0;
}
