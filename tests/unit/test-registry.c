/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose a name is, until when, and what a request makes of it. Updates are made by hand: what a message makes
 * of itself is another test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "registry/registry.h"

#define NOW  (5000 * USEC_PER_SEC)
#define REAL (UINT64_C(1700000000) * USEC_PER_SEC)

static const struct dialect original = { .name = "nsreg", .drops_addresses = true };
static const struct dialect modern = { .name = "rfc2136", .key_claims = true };

struct lab {
        struct zone_policy policy, other_policy;
        struct registry *registry;
        struct registry_zone *zone, *other;
        struct registry_time now;
        uint32_t inception;
        uint8_t n_requests;
        struct decision decision;
};

static struct address parse(const char *text)
{
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        return address;
}

static struct dns_name name_of(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

static void set_up(struct lab *lab)
{
        static const char *const reverse[] = { "in-addr.arpa.", "ip6.arpa." };
        struct dns_name zone = name_of("d.example."), other = name_of("e.example.");

        memset(lab, 0, sizeof(*lab));
        zone_policy_init(&lab->policy, &zone);
        zone_policy_init(&lab->other_policy, &other);
        assert_int_equal(zone_policy_complete(&lab->policy), 0);
        assert_int_equal(zone_policy_complete(&lab->other_policy), 0);
        for (size_t i = 0; i < ELEMENTSOF(reverse); i++) {
                struct dns_name name = name_of(reverse[i]);

                assert_int_equal(name_list_add(&lab->policy.reverse_zones, &name), 0);
                assert_int_equal(name_list_add(&lab->other_policy.reverse_zones, &name), 0);
        }
        lab->registry = registry_new();
        assert_non_null(lab->registry);
        lab->zone = registry_add_zone(lab->registry, &lab->policy);
        lab->other = registry_add_zone(lab->registry, &lab->other_policy);
        assert_non_null(lab->zone);
        assert_non_null(lab->other);
        lab->now = (struct registry_time){ .lease_usec = NOW, .real_usec = REAL };
        lab->inception = (uint32_t) (REAL / USEC_PER_SEC);
}

static void tear_down(struct lab *lab)
{
        registry_free(lab->registry);
        zone_policy_clear(&lab->policy);
        zone_policy_clear(&lab->other_policy);
}

/* An update of the original's dialect, of key number "key", later than all before. */
static struct update request(struct lab *lab, const char *label, unsigned key)
{
        struct update update = { .dialect = &original, .has_key = true, .algorithm = 13 };
        char text[128];

        snprintf(text, sizeof(text), "%s.d.example.", label);
        update.name = name_of(text);
        update.source = parse("10.0.0.1");
        update.key = (struct dns_key){ .protocol = 3, .algorithm = 13, .length = 64 };
        update.key.public_key[0] = (uint8_t) key;
        update.key_tag = dns_key_tag(&update.key);
        update.key_ttl_sec = 7200;
        update.inception = ++lab->inception;
        update.expiration = update.inception + 600;
        update.hash[0] = ++lab->n_requests;
        update.edns.ede_code = -1;
        return update;
}

static void operate(struct update *update, enum operation_kind kind, uint16_t type, const char *address,
                    uint32_t ttl_sec)
{
        struct operation *operation;

        update->operations = reallocarray(update->operations, update->n_operations + 1, sizeof(*operation));
        assert_non_null(update->operations);
        operation = &update->operations[update->n_operations++];
        *operation = (struct operation){ .kind = kind, .type = type, .ttl_sec = ttl_sec };
        if (address)
                operation->address = parse(address);
}

static void add(struct update *update, const char *address, uint32_t ttl_sec)
{
        operate(update, OPERATION_ADD, strchr(address, ':') ? DNS_TYPE_AAAA : DNS_TYPE_A, address, ttl_sec);
}

static void require(struct update *update, enum prerequisite_kind kind, uint16_t type, const char *address)
{
        struct prerequisite *prerequisite;

        update->prerequisites = reallocarray(update->prerequisites, update->n_prerequisites + 1,
                                             sizeof(*prerequisite));
        assert_non_null(update->prerequisites);
        prerequisite = &update->prerequisites[update->n_prerequisites++];
        *prerequisite = (struct prerequisite){ .kind = kind, .type = type };
        if (address)
                prerequisite->address = parse(address);
}

/* Admission alone. */
static enum admission admit(struct lab *lab, const struct update *update)
{
        lab->decision = (struct decision){};
        return registry_admit(lab->zone, update, &lab->now, &lab->decision);
}

/* A request's whole way, as the daemon goes it. Frees the update. The RCODE, 0 for what was granted. */
static unsigned run(struct lab *lab, struct update *update, enum application *ret)
{
        struct name_state *after = NULL;
        enum application application = APPLICATION_REFUSED;
        struct effects effects = {};
        const uint8_t *label;
        char text[DNS_LABEL_MAX + 1] = "";

        memcpy(text, update->name.wire + 1, dns_name_first_label(&update->name, &label));
        switch (admit(lab, update)) {
        case ADMISSION_REFUSED:
                break;
        case ADMISSION_DUPLICATE:
                application = APPLICATION_NOTHING;
                break;
        case ADMISSION_NEW:
                application = registry_apply(lab->zone, update, &lab->now, &after, &lab->decision);
                if (application == APPLICATION_CHANGE)
                        assert_int_equal(registry_install(lab->zone, text, after, &effects, NULL), 0);
                else if (application == APPLICATION_REFRESH)
                        registry_refresh(lab->zone, &update->name, after);
                break;
        }
        if (application == APPLICATION_REFRESH)
                name_state_free(after);
        free(effects.ptrs);
        update_clear(update);
        if (ret)
                *ret = application;
        return application == APPLICATION_REFUSED ? lab->decision.rcode : DNS_RCODE_NOERROR;
}

static unsigned claim(struct lab *lab, const char *label, unsigned key, const char *address,
                      enum application *ret)
{
        struct update update = request(lab, label, key);

        add(&update, address, 600);
        return run(lab, &update, ret);
}

static const struct name_state *state_of(const struct lab *lab, const char *label)
{
        const struct name_entry *entry = registry_find_label(lab->zone, label);

        return entry ? entry->state : NULL;
}

static void test_claim_refresh_change(void **state)
{
        enum application application;
        struct update update;
        struct lab lab;

        set_up(&lab);
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", &application), DNS_RCODE_NOERROR);
        assert_int_equal(application, APPLICATION_CHANGE);
        assert_int_equal(lab.zone->n_names, 1);
        assert_int_equal(state_of(&lab, "foo")->provisional, PROVISIONAL_CLAIM);
        assert_true(state_of(&lab, "foo")->records[0].end_usec == NOW + 600 * USEC_PER_SEC);

        /* The same again moves the ends, in memory. */
        lab.now.lease_usec += 100 * USEC_PER_SEC;
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", &application), DNS_RCODE_NOERROR);
        assert_int_equal(application, APPLICATION_REFRESH);
        assert_true(name_state_is_moved(state_of(&lab, "foo")));
        assert_true(state_of(&lab, "foo")->records[0].end_usec == NOW + 700 * USEC_PER_SEC);
        assert_true(state_of(&lab, "foo")->key_end_usec == NOW + 7300 * USEC_PER_SEC);
        assert_true(registry_next_deadline(lab.registry) == NOW + 700 * USEC_PER_SEC);

        /* A longer lease than the stored one is to be stored: after a crash leases count from there. */
        update = request(&lab, "foo", 1);
        add(&update, "10.0.0.1", 900);
        assert_int_equal(run(&lab, &update, &application), DNS_RCODE_NOERROR);
        assert_int_equal(application, APPLICATION_CHANGE);

        /* Another address is a change; so are other flags of the key, and a first request from the address.
         */
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.2", &application), DNS_RCODE_NOERROR);
        assert_int_equal(application, APPLICATION_CHANGE);
        assert_int_equal(state_of(&lab, "foo")->n_records, 2);
        update = request(&lab, "foo", 1);
        update.key.flags = 256;
        add(&update, "10.0.0.1", 600);
        assert_int_equal(run(&lab, &update, &application), DNS_RCODE_NOERROR);
        assert_int_equal(application, APPLICATION_CHANGE);

        /* Delete all, add the same: what a restarted client says is a refresh. */
        update = request(&lab, "foo", 1);
        update.key.flags = 256;
        operate(&update, OPERATION_DELETE_ALL, 0, NULL, 0);
        add(&update, "10.0.0.1", 600);
        add(&update, "10.0.0.2", 600);
        assert_int_equal(run(&lab, &update, &application), DNS_RCODE_NOERROR);
        assert_int_equal(application, APPLICATION_REFRESH);
        tear_down(&lab);
}

/* RFC 2136 section 3.4: operations take effect in their order, and what is left is the answer. */
static void test_added_and_removed_in_one(void **state)
{
        static const enum operation_kind removals[] = { OPERATION_DELETE_RR, OPERATION_DELETE_RRSET,
                                                        OPERATION_DELETE_ALL };
        enum application application;
        struct update update;
        struct lab lab;

        set_up(&lab);
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), DNS_RCODE_NOERROR);
        for (size_t i = 0; i < ELEMENTSOF(removals); i++) {
                /* Another address comes and goes in one update: with those that only remove by value the
                 * first one stays, and the update is a refresh of nothing but the key's lease. */
                update = request(&lab, "foo", 1);
                add(&update, "10.0.0.9", 600);
                operate(&update, removals[i], DNS_TYPE_A, "10.0.0.9", 0);
                assert_int_equal(run(&lab, &update, &application), DNS_RCODE_NOERROR);
                assert_int_equal(state_of(&lab, "foo")->n_records,
                                 removals[i] == OPERATION_DELETE_RR ? 1 : 0);
                /* Its own address, removed and added again. */
                update = request(&lab, "foo", 1);
                operate(&update, OPERATION_DELETE_ALL, 0, NULL, 0);
                add(&update, "10.0.0.1", 600);
                add(&update, "10.0.0.1", 600);
                assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
                assert_int_equal(state_of(&lab, "foo")->n_records, 1);
        }
        /* LEASE 0 with the addresses in it, twice: RFC 9664 has no other form of withdrawing. */
        for (unsigned i = 0; i < 2; i++) {
                update = request(&lab, "foo", 1);
                update.edns.present = true;
                update.edns.lease_form = 8;
                update.edns.key_lease_sec = 7200;
                add(&update, "10.0.0.1", 600);
                assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
                assert_int_equal(state_of(&lab, "foo")->n_records, 0);
                assert_true(state_of(&lab, "foo")->claimed);
        }
        tear_down(&lab);
}

/* What is told of the key's lease is what is kept: never shorter than a record's, also one of an earlier
 * request. */
static void test_told_is_kept(void **state)
{
        struct update update;
        struct grant grant;
        struct lab lab;

        set_up(&lab);
        update = request(&lab, "foo", 1);
        update.key_ttl_sec = 3600;
        add(&update, "10.0.0.1", 3600);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        update = request(&lab, "foo", 1);
        update.edns.present = true;
        update.edns.lease_form = 8;
        update.edns.lease_sec = 60;
        update.edns.key_lease_sec = 120;
        add(&update, "10.0.0.2", 60);
        {
                struct name_state *after = NULL;
                struct effects effects = {};

                assert_int_equal(registry_apply(lab.zone, &update, &lab.now, &after, &lab.decision),
                                 APPLICATION_CHANGE);
                grant = registry_grant(lab.zone, &update, after);
                assert_int_equal(registry_install(lab.zone, "foo", after, &effects, NULL), 0);
                free(effects.ptrs);
                update_clear(&update);
        }
        assert_int_equal(grant.record_lease_sec, 60);
        assert_int_equal(grant.key_lease_sec, 3600);
        assert_int_equal(state_of(&lab, "foo")->key_lease_sec, 3600);
        /* The same address with a shorter lease has the shorter one, as after a crash. */
        update = request(&lab, "foo", 1);
        add(&update, "10.0.0.2", 30);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        for (unsigned i = 0; i < 2; i++)
                if (record_address(&state_of(&lab, "foo")->records[i]).bytes[3] == 2)
                        assert_int_equal(state_of(&lab, "foo")->records[i].lease_sec, 30);
        tear_down(&lab);
}

static void test_another_key(void **state)
{
        struct update update;
        struct lab lab;

        set_up(&lab);
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), DNS_RCODE_NOERROR);
        assert_int_equal(claim(&lab, "foo", 2, "10.0.0.2", NULL), DNS_RCODE_REFUSED);
        assert_non_null(strstr(lab.decision.text, "another key"));
        assert_int_equal(lab.decision.ede, DNS_EDE_PROHIBITED);
        /* Without a KEY: algorithm and tag are all there is to compare before the signature. */
        update = request(&lab, "foo", 2);
        update.has_key = false;
        add(&update, "10.0.0.2", 60);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        update = request(&lab, "foo", 1);
        update.has_key = false;
        add(&update, "10.0.0.2", 60);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        /* Not in the least changed by who was refused. */
        assert_int_equal(state_of(&lab, "foo")->n_records, 2);
        tear_down(&lab);
}

static void test_who_may_claim(void **state)
{
        struct update update;
        struct lab lab;

        set_up(&lab);
        update = request(&lab, "foo", 1);
        update.has_key = false;
        add(&update, "10.0.0.1", 60);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        assert_non_null(strstr(lab.decision.text, "not claimed"));

        update = request(&lab, "foo", 1);
        update.source = parse("192.0.2.1");
        add(&update, "10.0.0.1", 60);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        assert_non_null(strstr(lab.decision.text, "allowed-nets"));

        /* Once it is claimed its owner may travel, unless updates-from says where. */
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), DNS_RCODE_NOERROR);
        update = request(&lab, "foo", 1);
        update.source = parse("192.0.2.1");
        add(&update, "10.0.0.1", 600);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        assert_int_equal(prefix_list_parse_add(&lab.policy.updates_from, "10.0.0.0/8"), 0);
        lab.policy.updates_from_configured = true;
        update = request(&lab, "foo", 1);
        update.source = parse("192.0.2.1");
        add(&update, "10.0.0.1", 600);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);

        /* The zone is full, what is on its way to the disk included. */
        lab.policy.max_names = 2;
        lab.zone->n_pending = 1;
        assert_int_equal(claim(&lab, "bar", 1, "10.0.0.1", NULL), DNS_RCODE_REFUSED);
        assert_non_null(strstr(lab.decision.text, "max-names"));
        lab.zone->n_pending = 0;
        assert_int_equal(claim(&lab, "bar", 1, "10.0.0.1", NULL), DNS_RCODE_NOERROR);

        /* Nothing but a KEY holds no name. */
        lab.policy.max_names = 0;
        update = request(&lab, "baz", 1);
        update.dialect = &modern;
        operate(&update, OPERATION_KEY_ADD, DNS_TYPE_KEY, NULL, 60);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        assert_null(state_of(&lab, "baz"));
        /* Nor does what was left out. */
        update = request(&lab, "baz", 1);
        add(&update, "10.0.0.1", 60);
        update.operations[0].filtered = true;
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        assert_null(state_of(&lab, "baz"));
        tear_down(&lab);
}

static void test_reserved_banned_blocked(void **state)
{
        struct name_state *special;
        struct effects effects;
        char fingerprint[DNS_KEY_FINGERPRINT_MAX];
        struct update update;
        struct lab lab;

        set_up(&lab);
        special = name_state_new();
        special->reserved = true;
        assert_int_equal(registry_install(lab.zone, "kept", special, &effects, NULL), 0);
        free(effects.ptrs);
        assert_int_equal(claim(&lab, "kept", 1, "10.0.0.1", NULL), DNS_RCODE_REFUSED);
        assert_int_equal(lab.decision.ede, DNS_EDE_BLOCKED);

        update = request(&lab, "ban", 1);
        special = name_state_new();
        special->banned_fingerprint = strdup(dns_key_fingerprint(&update.key, fingerprint));
        assert_int_equal(registry_install(lab.zone, "ban", special, &effects, NULL), 0);
        free(effects.ptrs);
        update_clear(&update);
        assert_int_equal(claim(&lab, "ban", 1, "10.0.0.1", NULL), DNS_RCODE_REFUSED);
        assert_int_equal(claim(&lab, "ban", 2, "10.0.0.1", NULL), DNS_RCODE_NOERROR);

        special = name_state_new();
        special->blocked_until_usec = NOW + USEC_PER_MINUTE;
        special->blocked_reason = strdup("there is a CNAME");
        assert_int_equal(registry_install(lab.zone, "taken", special, &effects, NULL), 0);
        free(effects.ptrs);
        assert_int_equal(claim(&lab, "taken", 1, "10.0.0.1", NULL), DNS_RCODE_REFUSED);
        assert_string_equal(lab.decision.text, "there is a CNAME");
        lab.now.lease_usec += 2 * USEC_PER_MINUTE;
        assert_int_equal(claim(&lab, "taken", 1, "10.0.0.1", NULL), DNS_RCODE_NOERROR);
        tear_down(&lab);
}

static void test_leases_are_clamped(void **state)
{
        struct update update;
        struct grant grant;
        struct lab lab;

        set_up(&lab);
        lab.policy.min_addr_ttl_sec = 30;
        lab.policy.max_addr_ttl_sec = 3600;
        lab.policy.max_key_ttl_sec = 100000;
        update = request(&lab, "foo", 1);
        add(&update, "10.0.0.1", 1);
        add(&update, "10.0.0.2", 1000000);
        add(&update, "10.0.0.3", 600);
        update.key_ttl_sec = 1000000;
        grant = registry_grant(lab.zone, &update, NULL);
        assert_int_equal(grant.record_lease_sec, 30);
        assert_int_equal(grant.key_lease_sec, 100000);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        assert_int_equal(state_of(&lab, "foo")->records[0].lease_sec, 30);
        assert_int_equal(state_of(&lab, "foo")->records[1].lease_sec, 3600);
        assert_int_equal(state_of(&lab, "foo")->records[2].lease_sec, 600);

        /* The key never ends before the longest of its records. */
        update = request(&lab, "bar", 1);
        update.key_ttl_sec = 60;
        add(&update, "10.0.0.1", 1000);
        grant = registry_grant(lab.zone, &update, NULL);
        assert_int_equal(grant.key_lease_sec, 1000);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        assert_true(state_of(&lab, "bar")->key_end_usec == NOW + 1000 * USEC_PER_SEC);

        /* A shorter key lease asked for later: still not before the record. */
        update = request(&lab, "bar", 1);
        update.key_ttl_sec = 60;
        add(&update, "10.0.0.2", 100);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        assert_int_equal(state_of(&lab, "bar")->key_lease_sec, 1000);

        /* Without a KEY: as long as last granted. */
        update = request(&lab, "foo", 1);
        update.has_key = false;
        add(&update, "10.0.0.1", 60);
        grant = registry_grant(lab.zone, &update, NULL);
        assert_int_equal(grant.key_lease_sec, 100000);
        update_clear(&update);

        /* The option of RFC 9664 is the lease, whatever the TTL. */
        update = request(&lab, "opt", 1);
        update.dialect = &modern;
        update.edns.lease_form = 8;
        update.edns.lease_sec = 120;
        update.edns.key_lease_sec = 240;
        add(&update, "10.0.0.1", 5);
        grant = registry_grant(lab.zone, &update, NULL);
        assert_int_equal(grant.record_lease_sec, 120);
        assert_int_equal(grant.key_lease_sec, 240);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        assert_int_equal(state_of(&lab, "opt")->records[0].lease_sec, 120);
        tear_down(&lab);
}

static void test_withdrawal_and_release(void **state)
{
        enum application application;
        struct update update;
        struct lab lab;

        set_up(&lab);
        /* Records gone, name kept. */
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), 0);
        update = request(&lab, "foo", 1);
        operate(&update, OPERATION_DELETE_RR, DNS_TYPE_A, "10.0.0.1", 0);
        assert_int_equal(run(&lab, &update, &application), 0);
        assert_int_equal(application, APPLICATION_CHANGE);
        assert_true(state_of(&lab, "foo")->claimed);
        assert_int_equal(state_of(&lab, "foo")->n_records, 0);
        assert_int_equal(claim(&lab, "foo", 2, "10.0.0.1", NULL), DNS_RCODE_REFUSED);
        /* Records again: provisional once more, for there may be foreign data now. */
        registry_find_label(lab.zone, "foo")->state->provisional = PROVISIONAL_NO;
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), 0);
        assert_int_equal(state_of(&lab, "foo")->provisional, PROVISIONAL_RECORDS);

        /* By type, and all but the key. */
        update = request(&lab, "foo", 1);
        add(&update, "fd00::1", 60);
        assert_int_equal(run(&lab, &update, NULL), 0);
        update = request(&lab, "foo", 1);
        operate(&update, OPERATION_DELETE_RRSET, DNS_TYPE_A, NULL, 0);
        assert_int_equal(run(&lab, &update, NULL), 0);
        assert_int_equal(state_of(&lab, "foo")->n_records, 1);
        update = request(&lab, "foo", 1);
        operate(&update, OPERATION_DELETE_ALL, 0, NULL, 0);
        assert_int_equal(run(&lab, &update, NULL), 0);
        assert_int_equal(state_of(&lab, "foo")->n_records, 0);
        assert_true(state_of(&lab, "foo")->claimed);

        /* LEASE 0 with KEY-LEASE withdraws, whatever is added beside, and is not clamped up. */
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), 0);
        update = request(&lab, "foo", 1);
        update.dialect = &modern;
        update.edns.lease_form = 8;
        update.edns.key_lease_sec = 500;
        add(&update, "10.0.0.1", 60);
        assert_int_equal(registry_grant(lab.zone, &update, NULL).record_lease_sec, 0);
        assert_int_equal(run(&lab, &update, NULL), 0);
        assert_int_equal(state_of(&lab, "foo")->n_records, 0);
        assert_true(state_of(&lab, "foo")->claimed);
        assert_int_equal(state_of(&lab, "foo")->key_lease_sec, 500);

        /* The own KEY deleted: free for everybody; only the replay memory stays, and goes in its time. */
        update = request(&lab, "foo", 1);
        operate(&update, OPERATION_KEY_DELETE, DNS_TYPE_KEY, NULL, 0);
        assert_int_equal(run(&lab, &update, NULL), 0);
        assert_false(state_of(&lab, "foo")->claimed);
        assert_int_equal(lab.zone->n_names, 0);
        assert_int_equal(claim(&lab, "foo", 2, "10.0.0.1", NULL), 0);

        /* KEY-LEASE 0 does the same; both forms of the option. */
        update = request(&lab, "foo", 2);
        update.dialect = &modern;
        update.edns.lease_form = 4;
        assert_int_equal(run(&lab, &update, NULL), 0);
        assert_false(state_of(&lab, "foo")->claimed);

        /* Nothing there, nothing asked for. */
        update = request(&lab, "none", 1);
        operate(&update, OPERATION_DELETE_RR, DNS_TYPE_A, "10.0.0.1", 0);
        assert_int_equal(run(&lab, &update, &application), DNS_RCODE_NOERROR);
        assert_int_equal(application, APPLICATION_NOTHING);
        assert_null(state_of(&lab, "none"));
        tear_down(&lab);
}

static void test_deleted_and_added_key_is_kept(void **state)
{
        struct update update;
        struct lab lab;

        set_up(&lab);
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), 0);
        update = request(&lab, "foo", 1);
        update.dialect = &modern;
        operate(&update, OPERATION_KEY_DELETE, DNS_TYPE_KEY, NULL, 0);
        operate(&update, OPERATION_KEY_ADD, DNS_TYPE_KEY, NULL, 600);
        assert_int_equal(run(&lab, &update, NULL), 0);
        assert_true(state_of(&lab, "foo")->claimed);
        tear_down(&lab);
}

static void ask_for_many(struct lab *lab, struct update *update, unsigned n)
{
        char text[32];

        *update = request(lab, "foo", 1);
        for (unsigned i = 1; i <= n; i++) {
                snprintf(text, sizeof(text), "10.0.0.%u", i);
                add(update, text, 60);
        }
}

static void test_too_many_records(void **state)
{
        struct update update;
        struct lab lab;

        set_up(&lab);
        lab.policy.max_records_per_name = 4;
        ask_for_many(&lab, &update, 5);
        update.edns.present = true;
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        assert_non_null(strstr(lab.decision.text, "max-records-per-name"));
        ask_for_many(&lab, &update, 5);
        update.dialect = &modern;
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        assert_non_null(strstr(lab.decision.text, "max-records-per-name"));
        assert_null(state_of(&lab, "foo"));

        /* The original's client gives up for good where it is refused, and sends no OPT. */
        ask_for_many(&lab, &update, 5);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        assert_int_equal(state_of(&lab, "foo")->n_records, 4);
        ask_for_many(&lab, &update, 5);
        update.edns.present = true;
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_REFUSED);
        ask_for_many(&lab, &update, 4);
        operate(&update, OPERATION_DELETE_RR, DNS_TYPE_A, "10.0.0.1", 0);
        add(&update, "10.0.0.5", 60);
        assert_int_equal(run(&lab, &update, NULL), DNS_RCODE_NOERROR);
        assert_int_equal(state_of(&lab, "foo")->n_records, 4);
        tear_down(&lab);
}

static unsigned with_prerequisite(struct lab *lab, const char *label, enum prerequisite_kind kind,
                                  uint16_t type, const char *address)
{
        struct update update = request(lab, label, 1);

        require(&update, kind, type, address);
        add(&update, "10.0.0.1", 600);
        return run(lab, &update, NULL);
}

static void test_prerequisites(void **state)
{
        struct dns_key key = { .protocol = 3, .algorithm = 13, .length = 64, .public_key = { 1 } };
        struct update update;
        struct lab lab;

        set_up(&lab);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_NAME_IN_USE, 0, NULL),
                         DNS_RCODE_NXDOMAIN);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RRSET_EXISTS, DNS_TYPE_A, NULL),
                         DNS_RCODE_NXRRSET);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RR_EXISTS, DNS_TYPE_A, "10.0.0.1"),
                         DNS_RCODE_NXRRSET);
        assert_null(state_of(&lab, "foo"));
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_NAME_NOT_IN_USE, 0, NULL), 0);

        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_NAME_NOT_IN_USE, 0, NULL),
                         DNS_RCODE_YXDOMAIN);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_NAME_IN_USE, 0, NULL), 0);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RRSET_ABSENT, DNS_TYPE_A, NULL),
                         DNS_RCODE_YXRRSET);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RRSET_ABSENT, DNS_TYPE_AAAA, NULL), 0);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RRSET_EXISTS, DNS_TYPE_KEY, NULL), 0);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RRSET_EXISTS, DNS_TYPE_AAAA, NULL),
                         DNS_RCODE_NXRRSET);

        /* The RRset is exactly as it is listed, repetitions aside. */
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RR_EXISTS, DNS_TYPE_A, "10.0.0.1"), 0);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RR_EXISTS, DNS_TYPE_A, "10.0.0.2"),
                         DNS_RCODE_NXRRSET);
        update = request(&lab, "foo", 1);
        add(&update, "10.0.0.2", 600);
        assert_int_equal(run(&lab, &update, NULL), 0);
        assert_int_equal(with_prerequisite(&lab, "foo", PREREQUISITE_RR_EXISTS, DNS_TYPE_A, "10.0.0.1"),
                         DNS_RCODE_NXRRSET);
        update = request(&lab, "foo", 1);
        require(&update, PREREQUISITE_RR_EXISTS, DNS_TYPE_A, "10.0.0.1");
        require(&update, PREREQUISITE_RR_EXISTS, DNS_TYPE_A, "10.0.0.2");
        require(&update, PREREQUISITE_RR_EXISTS, DNS_TYPE_A, "10.0.0.1");
        add(&update, "10.0.0.1", 600);
        assert_int_equal(run(&lab, &update, NULL), 0);

        /* The KEY by its value. */
        for (unsigned i = 1; i <= 2; i++) {
                update = request(&lab, "foo", 1);
                require(&update, PREREQUISITE_RR_EXISTS, DNS_TYPE_KEY, NULL);
                key.public_key[0] = (uint8_t) i;
                update.prerequisites[0].key = malloc(sizeof(key));
                memcpy(update.prerequisites[0].key, &key, sizeof(key));
                add(&update, "10.0.0.1", 600);
                assert_int_equal(run(&lab, &update, NULL), i == 1 ? DNS_RCODE_NOERROR : DNS_RCODE_NXRRSET);
        }
        tear_down(&lab);
}

static void test_replay(void **state)
{
        struct update update, again;
        struct lab lab;
        uint32_t inception;

        set_up(&lab);
        update = request(&lab, "foo", 1);
        add(&update, "10.0.0.1", 600);
        again = update;
        again.operations = malloc(sizeof(*again.operations));
        *again.operations = *update.operations;
        inception = update.inception;
        assert_int_equal(run(&lab, &update, NULL), 0);
        /* The same once more is the same. */
        assert_int_equal(admit(&lab, &again), ADMISSION_DUPLICATE);

        /* Fifteen more within the same second, and no more. */
        for (unsigned i = 1; i < REPLAY_HASHES_MAX; i++) {
                update = request(&lab, "foo", 1);
                update.inception = inception;
                add(&update, "10.0.0.1", 600);
                assert_int_equal(run(&lab, &update, NULL), 0);
        }
        assert_int_equal(state_of(&lab, "foo")->n_hashes, REPLAY_HASHES_MAX);
        update = request(&lab, "foo", 1);
        update.inception = inception;
        add(&update, "10.0.0.1", 600);
        assert_int_equal(admit(&lab, &update), ADMISSION_REFUSED);
        assert_int_equal(lab.decision.rcode, DNS_RCODE_SERVFAIL);
        /* The first of them is an old one now. */
        assert_int_equal(admit(&lab, &again), ADMISSION_REFUSED);
        assert_int_equal(lab.decision.rcode, DNS_RCODE_REFUSED);

        /* Older than the last: a clock to be looked at. */
        update.inception = inception - 1;
        assert_int_equal(admit(&lab, &update), ADMISSION_REFUSED);
        assert_int_equal(lab.decision.rcode, DNS_RCODE_SERVFAIL);
        assert_non_null(strstr(lab.decision.text, "clock"));
        /* Newer, across the end of the number space too. */
        update.inception = inception + 1;
        assert_int_equal(admit(&lab, &update), ADMISSION_NEW);
        update_clear(&update);
        update_clear(&again);
        tear_down(&lab);
}

static void test_serial_arithmetic_of_inceptions(void **state)
{
        struct update update;
        struct lab lab;

        set_up(&lab);
        lab.inception = UINT32_MAX - 1;
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), 0);
        update = request(&lab, "foo", 1);
        assert_int_equal(update.inception, 0);
        add(&update, "10.0.0.1", 600);
        assert_int_equal(run(&lab, &update, NULL), 0);
        tear_down(&lab);
}

/* What was accepted of a name is remembered behind its end: a late copy does not bring it back. */
static void test_ghosts(void **state)
{
        struct update release, ghost, claim_again;
        struct effects effects;
        struct name_entry *entry;
        struct lab lab;

        set_up(&lab);
        ghost = request(&lab, "foo", 1);
        add(&ghost, "10.0.0.1", 600);
        claim_again = ghost;
        claim_again.operations = malloc(sizeof(*ghost.operations));
        *claim_again.operations = *ghost.operations;
        assert_int_equal(run(&lab, &claim_again, NULL), 0);
        release = request(&lab, "foo", 1);
        operate(&release, OPERATION_KEY_DELETE, DNS_TYPE_KEY, NULL, 0);
        assert_int_equal(run(&lab, &release, NULL), 0);

        assert_int_equal(admit(&lab, &ghost), ADMISSION_REFUSED);
        assert_int_equal(lab.decision.rcode, DNS_RCODE_SERVFAIL);

        /* Until nothing accepted of it can be valid any more. */
        entry = registry_find_label(lab.zone, "foo");
        assert_non_null(entry);
        assert_true(registry_next_deadline(lab.registry) >= NOW + 600 * USEC_PER_SEC);
        assert_null(registry_next_due(lab.registry, NOW + 600 * USEC_PER_SEC));
        lab.now.lease_usec = registry_next_deadline(lab.registry);
        assert_ptr_equal(registry_next_due(lab.registry, lab.now.lease_usec), entry);
        assert_int_equal(registry_install(lab.zone, "foo", registry_expire(entry, &lab.now), &effects, NULL),
                         0);
        free(effects.ptrs);
        assert_null(state_of(&lab, "foo"));
        assert_int_equal(lab.zone->n_entries, 0);
        update_clear(&ghost);
        tear_down(&lab);
}

/* A repeated release gets its answer again, though the name is free. */
static void test_release_repeated(void **state)
{
        struct update release, again;
        struct lab lab;

        set_up(&lab);
        assert_int_equal(claim(&lab, "foo", 1, "10.0.0.1", NULL), 0);
        release = request(&lab, "foo", 1);
        operate(&release, OPERATION_KEY_DELETE, DNS_TYPE_KEY, NULL, 0);
        again = release;
        again.operations = NULL;
        again.n_operations = 0;
        assert_int_equal(run(&lab, &release, NULL), 0);
        assert_int_equal(admit(&lab, &again), ADMISSION_DUPLICATE);
        tear_down(&lab);
}

/* As after a change of the zone's policy. */
static void reindex(struct registry_zone *zone)
{
        for (struct name_entry *entry = registry_after(zone, ""); entry;
             entry = registry_after(zone, entry->label))
                registry_reindex(entry);
}

static struct name_entry *owner_of(const struct lab *lab, const char *address)
{
        struct address parsed = parse(address);

        return registry_ptr_owner(lab->registry, &parsed);
}

static void claim_from(struct lab *lab, const char *label, unsigned key, const char *address,
                       const char *source)
{
        struct update update = request(lab, label, key);

        update.source = parse(source);
        add(&update, address, 600);
        assert_int_equal(run(lab, &update, NULL), 0);
        lab->now.real_usec += USEC_PER_SEC;
}

static void test_who_gets_the_pointer(void **state)
{
        struct name_state *after, *old;
        struct effects effects;
        struct lab lab;

        set_up(&lab);
        claim_from(&lab, "first", 1, "10.0.0.9", "10.0.0.1");
        claim_from(&lab, "second", 2, "10.0.0.9", "10.0.0.1");
        assert_string_equal(owner_of(&lab, "10.0.0.9")->label, "first");
        assert_null(owner_of(&lab, "10.0.0.8"));
        /* Who spoke from the address itself wins over who came first. */
        claim_from(&lab, "third", 3, "10.0.0.9", "10.0.0.9");
        assert_string_equal(owner_of(&lab, "10.0.0.9")->label, "third");

        /* When it goes, the others are told what follows. */
        after = name_state_copy(state_of(&lab, "third"));
        name_state_remove(after, &after->records[0]);
        assert_int_equal(registry_install(lab.zone, "third", after, &effects, &old), 0);
        assert_int_equal(effects.n_ptrs, 1);
        assert_ptr_equal(effects.ptrs[0].zone_before, lab.zone);
        assert_int_equal(effects.ptrs[0].before.wire[1], 't');
        assert_int_equal(effects.ptrs[0].after.wire[1], 'f');
        free(effects.ptrs);
        name_state_free(old);

        /* Of two claims of one address the one that does not have the pointer leaves: nothing follows. */
        after = name_state_copy(state_of(&lab, "second"));
        name_state_remove(after, &after->records[0]);
        assert_int_equal(registry_install(lab.zone, "second", after, &effects, NULL), 0);
        assert_int_equal(effects.n_ptrs, 0);
        free(effects.ptrs);

        /* ptr-policy source: only what was proven. */
        lab.policy.ptr_policy = PTR_POLICY_SOURCE;
        reindex(lab.zone);
        assert_null(owner_of(&lab, "10.0.0.9"));
        claim_from(&lab, "fourth", 4, "10.0.0.7", "10.0.0.7");
        assert_string_equal(owner_of(&lab, "10.0.0.7")->label, "fourth");
        lab.policy.ptr_policy = PTR_POLICY_ALLOWED_NETS;
        reindex(lab.zone);
        /* Where the zone has no reverse zone for it, an address has no PTR, whoever it is proven by. */
        lab.policy.reverse_zones.n_items = 0;
        reindex(lab.zone);
        assert_null(owner_of(&lab, "10.0.0.7"));
        lab.policy.reverse_zones.n_items = 2;
        reindex(lab.zone);

        {
                struct prefix inside, outside;

                assert_int_equal(prefix_parse("10.0.0.8/30", &inside), 0);
                assert_int_equal(prefix_parse("10.0.1.0/24", &outside), 0);
                assert_true(registry_has_address_in(lab.registry, &inside));
                assert_false(registry_has_address_in(lab.registry, &outside));
        }
        tear_down(&lab);
}

static void expire_all(struct lab *lab)
{
        struct name_entry *entry;
        struct effects effects;

        while ((entry = registry_next_due(lab->registry, lab->now.lease_usec))) {
                struct name_state *after = registry_expire(entry, &lab->now);

                assert_non_null(after);
                assert_int_equal(registry_install(lab->zone, entry->label, after, &effects, NULL), 0);
                free(effects.ptrs);
        }
}

/* Nobody could refresh: nothing ends before the grace is over, and owners stay; whoever refreshed in time has
 * no part in it. */
static void test_hold(void **unused)
{
        struct lab lab;
        struct registry_hold hold = { .records_until_usec = NOW + 500 * USEC_PER_SEC,
                                      .keys_before_usec = NOW + 500 * USEC_PER_SEC,
                                      .keys_until_usec = NOW + 90000 * USEC_PER_SEC };

        set_up(&lab);
        for (unsigned i = 0; i < 3000; i++) {
                char name[16];

                snprintf(name, sizeof(name), "n%u", i);
                assert_int_equal(claim(&lab, name, 1, "10.0.0.1", NULL), 0);
        }
        registry_hold(lab.registry, &hold);
        lab.now.lease_usec = NOW + 499 * USEC_PER_SEC;
        for (unsigned i = 0; i < 3; i++)
                assert_null(registry_next_due(lab.registry, lab.now.lease_usec));
        assert_true(registry_next_deadline(lab.registry) > lab.now.lease_usec);
        tear_down(&lab);
}

/* What is granted while nothing ends is not kept for a day: its owner can refresh it. */
static void test_hold_is_for_those_of_before(void **unused)
{
        struct update update;
        struct lab lab;

        set_up(&lab);
        for (unsigned i = 0; i < 2; i++) {
                update = request(&lab, i == 0 ? "before" : "behind", 1);
                update.key_ttl_sec = 10;
                add(&update, "10.0.0.1", 10);
                assert_int_equal(run(&lab, &update, NULL), 0);
                if (i == 0)
                        registry_hold(lab.registry, &(struct registry_hold){
                                                            .records_until_usec = NOW + 500 * USEC_PER_SEC,
                                                            .keys_before_usec = NOW + 500 * USEC_PER_SEC,
                                                            .keys_until_usec = NOW + 90000 * USEC_PER_SEC });
        }
        lab.now.lease_usec = NOW + 499 * USEC_PER_SEC;
        expire_all(&lab);
        assert_true(state_of(&lab, "behind")->claimed);
        lab.now.lease_usec = NOW + 501 * USEC_PER_SEC;
        expire_all(&lab);
        assert_true(state_of(&lab, "before")->claimed);
        assert_false(state_of(&lab, "behind") && state_of(&lab, "behind")->claimed);
        tear_down(&lab);
}

/* Time off that is counted late moves what was granted before it, and nothing else. */
static void test_time_off(void **unused)
{
        struct lab lab;
        struct name_entry *before, *after;
        usec_t before_usec, after_usec, since_usec = NOW + 10 * USEC_PER_SEC;

        set_up(&lab);
        assert_int_equal(claim(&lab, "before", 1, "10.0.0.1", NULL), 0);
        lab.now.lease_usec = since_usec;
        assert_int_equal(claim(&lab, "after", 1, "10.0.0.2", NULL), 0);
        before = registry_find_label(lab.zone, "before");
        after = registry_find_label(lab.zone, "after");
        before_usec = before->state->records[0].end_usec;
        after_usec = after->state->records[0].end_usec;
        assert_true(registry_take_time_off(before, since_usec, 5 * USEC_PER_SEC));
        assert_false(registry_take_time_off(after, since_usec, 5 * USEC_PER_SEC));
        assert_true(before->state->records[0].end_usec == before_usec - 5 * USEC_PER_SEC);
        assert_true(after->state->records[0].end_usec == after_usec);
        assert_true(registry_next_deadline(lab.registry) == before_usec - 5 * USEC_PER_SEC);
        tear_down(&lab);
}

static void test_expiry(void **state)
{
        struct address left;
        struct update update;
        struct lab lab;

        set_up(&lab);
        update = request(&lab, "foo", 1);
        update.key_ttl_sec = 1000;
        add(&update, "10.0.0.1", 100);
        add(&update, "10.0.0.2", 200);
        assert_int_equal(run(&lab, &update, NULL), 0);

        lab.now.lease_usec = NOW + 100 * USEC_PER_SEC - 1;
        assert_null(registry_next_due(lab.registry, lab.now.lease_usec));
        lab.now.lease_usec++;
        expire_all(&lab);
        assert_int_equal(state_of(&lab, "foo")->n_records, 1);
        left = record_address(&state_of(&lab, "foo")->records[0]);
        assert_true(address_equal(&left, &(struct address){ .family = AF_INET, .bytes = { 10, 0, 0, 2 } }));
        lab.now.lease_usec = NOW + 200 * USEC_PER_SEC;
        expire_all(&lab);
        assert_int_equal(state_of(&lab, "foo")->n_records, 0);
        assert_true(state_of(&lab, "foo")->claimed);

        /* Held is the key, and only the key. */
        registry_hold(lab.registry, &(struct registry_hold){ .keys_before_usec = NOW + 1001 * USEC_PER_SEC,
                                                             .keys_until_usec = NOW + 2000 * USEC_PER_SEC });
        lab.now.lease_usec = NOW + 1000 * USEC_PER_SEC;
        {
                struct name_entry *entry = registry_find_label(lab.zone, "foo");
                struct name_state *after = registry_expire(entry, &lab.now);

                assert_true(after->claimed);
                name_state_free(after);
        }
        assert_null(registry_next_due(lab.registry, lab.now.lease_usec));
        lab.now.lease_usec = NOW + 2000 * USEC_PER_SEC;
        expire_all(&lab);
        assert_false(state_of(&lab, "foo") && state_of(&lab, "foo")->claimed);
        assert_int_equal(lab.zone->n_names, 0);

        /* Postponed is postponed. */
        assert_int_equal(claim(&lab, "bar", 1, "10.0.0.1", NULL), 0);
        lab.now.lease_usec += 600 * USEC_PER_SEC;
        {
                struct name_entry *entry = registry_find_label(lab.zone, "bar");

                registry_postpone(lab.registry, entry, lab.now.lease_usec + 5);
                assert_ptr_not_equal(registry_next_due(lab.registry, lab.now.lease_usec), entry);
                assert_ptr_equal(registry_next_due(lab.registry, lab.now.lease_usec + 5), entry);
        }
        tear_down(&lab);
}

/* Where the name stays for another reason, how long requests of before were valid is of no matter any more.
 */
static void test_replay_memory_is_forgotten_whole(void **unused)
{
        static const uint8_t hash[REPLAY_HASH_SIZE] = { 1 };
        struct name_state *state = name_state_new(), *after;
        struct lab lab;

        set_up(&lab);
        state->reserved = true;
        assert_int_equal(name_state_remember(state, 100, 4000, hash), 0);
        state->key_end_usec = lab.now.lease_usec;
        assert_int_equal(registry_load(lab.zone, "kept", state), 0);
        after = registry_expire(registry_find_label(lab.zone, "kept"), &lab.now);
        assert_int_equal(after->n_hashes, 0);
        assert_int_equal(name_state_remember(after, 200, 300, hash), 0);
        assert_int_equal(after->expiration, 300);
        name_state_free(after);
        tear_down(&lab);
}

/* An end that is written down without memory must find its place, also where nothing ended when the name
 * came. */
static void test_every_name_has_room_for_its_deadline(void **unused)
{
        struct lab lab;

        set_up(&lab);
        for (unsigned i = 0; i < 100; i++) {
                struct name_state *reserved = name_state_new();
                struct effects effects;
                char label[16];

                reserved->reserved = true;
                snprintf(label, sizeof(label), "host%u", i);
                assert_int_equal(
                        registry_install(i % 2 ? lab.zone : lab.other, label, reserved, &effects, NULL), 0);
                free(effects.ptrs);
        }
        assert_int_equal(lab.registry->deadlines.n_items, 0);
        assert_true(lab.registry->deadlines.n_allocated >= 100);
        tear_down(&lab);
}

/* What is found at a name is left to whom it was, never to who claims the name now. */
static void test_who_adopts(void **unused)
{
        const usec_t day = USEC_PER_DAY;
        struct name_state *state;
        struct name_entry *entry;
        struct lab lab;
        usec_t claimed;

        set_up(&lab);
        assert_int_equal(claim(&lab, "foo", 0, "10.0.0.1", NULL), DNS_RCODE_NOERROR);
        entry = registry_find_label(lab.zone, "foo");
        state = entry->state;
        claimed = state->claimed_usec;
        lab.policy.max_key_ttl_sec = 30 * 86400;

        /* Neither imported nor said so. */
        state->provisional = PROVISIONAL_NO;
        assert_false(registry_adopts(entry, claimed + 1));
        /* Up to the date; the first claim never. */
        lab.policy.adopt_until_usec = claimed + day;
        assert_true(registry_adopts(entry, claimed + day - 1));
        assert_false(registry_adopts(entry, claimed + day));
        state->provisional = PROVISIONAL_RECORDS;
        assert_true(registry_adopts(entry, claimed));
        state->provisional = PROVISIONAL_CLAIM;
        assert_false(registry_adopts(entry, claimed));
        /* Imported, before the import or with it; as long as it may live unheard of. */
        lab.policy.adopt_until_usec = 0;
        state->provisional = PROVISIONAL_RECORDS;
        lab.zone->imported_usec = claimed;
        assert_true(registry_adopts(entry, claimed + 30 * day - 1));
        assert_false(registry_adopts(entry, claimed + 30 * day));
        state->provisional = PROVISIONAL_CLAIM;
        assert_false(registry_adopts(entry, claimed));
        /* Claimed behind it. */
        state->provisional = PROVISIONAL_NO;
        lab.zone->imported_usec = claimed - 1;
        assert_false(registry_adopts(entry, claimed));
        state->claimed = false;
        lab.zone->imported_usec = claimed;
        assert_false(registry_adopts(entry, claimed));
        state->claimed = true;
        tear_down(&lab);
}

static void test_paging_and_zones(void **state)
{
        static const char *const labels[] = { "a", "b", "b2", "c" };
        struct dns_name name;
        struct name_entry *entry;
        struct lab lab;
        unsigned n = 0;

        set_up(&lab);
        for (unsigned i = ELEMENTSOF(labels); i-- > 0;)
                assert_int_equal(claim(&lab, labels[i], 1, "10.0.0.1", NULL), 0);
        for (entry = registry_after(lab.zone, ""); entry; entry = registry_after(lab.zone, entry->label))
                assert_string_equal(entry->label, labels[n++]);
        assert_int_equal(n, 4);
        /* Behind a label that is gone, too. */
        assert_string_equal(registry_after(lab.zone, "b1")->label, "b2");

        name = name_of("a.d.example.");
        assert_ptr_equal(registry_find(lab.zone, &name), registry_after(lab.zone, ""));
        assert_null(registry_find(lab.other, &name));
        assert_ptr_equal(registry_find_zone_of(lab.registry, &name), lab.zone);
        assert_null(registry_find_zone(lab.registry, &name));
        name = name_of("x.a.d.example.");
        assert_null(registry_find(lab.zone, &name));
        name = name_of("d.example.");
        assert_ptr_equal(registry_find_zone(lab.registry, &name), lab.zone);
        assert_null(registry_find(lab.zone, &name));

        registry_remove_zone(lab.zone);
        assert_int_equal(lab.registry->n_names, 0);
        assert_true(registry_next_deadline(lab.registry) == USEC_INFINITY);
        assert_null(owner_of(&lab, "10.0.0.1"));
        tear_down(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_claim_refresh_change),
                cmocka_unit_test(test_added_and_removed_in_one),
                cmocka_unit_test(test_told_is_kept),
                cmocka_unit_test(test_another_key),
                cmocka_unit_test(test_who_may_claim),
                cmocka_unit_test(test_reserved_banned_blocked),
                cmocka_unit_test(test_leases_are_clamped),
                cmocka_unit_test(test_withdrawal_and_release),
                cmocka_unit_test(test_deleted_and_added_key_is_kept),
                cmocka_unit_test(test_too_many_records),
                cmocka_unit_test(test_prerequisites),
                cmocka_unit_test(test_replay),
                cmocka_unit_test(test_serial_arithmetic_of_inceptions),
                cmocka_unit_test(test_ghosts),
                cmocka_unit_test(test_release_repeated),
                cmocka_unit_test(test_who_gets_the_pointer),
                cmocka_unit_test(test_expiry),
                cmocka_unit_test(test_hold),
                cmocka_unit_test(test_hold_is_for_those_of_before),
                cmocka_unit_test(test_time_off),
                cmocka_unit_test(test_replay_memory_is_forgotten_whole),
                cmocka_unit_test(test_every_name_has_room_for_its_deadline),
                cmocka_unit_test(test_who_adopts),
                cmocka_unit_test(test_paging_and_zones),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
