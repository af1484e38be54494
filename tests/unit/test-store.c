/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The store on a real file system: what was completed is there again, after a stop and after a crash. A crash
 * is a child that ends without a word. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "registry/rrset.h"
#include "store/store-internal.h"
#include "store/write-back.h"

#define LONG (1000 * USEC_PER_SEC)

struct lab {
        unsigned schema; /* of the database that is read, where that matters */
        char directory[64];
        sd_event *event;
        struct store *store;
        unsigned n_done;
        int error;

        struct waiter *waiters; /* of put() */
        size_t n_waiters;

        unsigned n_names, n_units, n_serials;
        struct name_state *state; /* the last one loaded */
        char label[DNS_LABEL_MAX + 1];
        uint32_t flags;
        uint16_t type;
        struct rrset set;
        char upstream[64];
        uint32_t serial;
};

static struct dns_name name_of(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

static int on_name(void *userdata, const struct dns_name *zone, const char *label, struct name_state *state)
{
        struct lab *lab = userdata;
        struct dns_name expected = name_of("d.example.");

        assert_true(dns_name_equal(zone, &expected));
        name_state_free(lab->state);
        lab->state = state;
        snprintf(lab->label, sizeof(lab->label), "%s", label);
        lab->n_names++;
        return 0;
}

static int on_unit(void *userdata, const struct unit_row *row)
{
        struct lab *lab = userdata;
        struct dns_name expected = name_of(row->mode == UNIT_EXCLUSIVE ? "foo.d.example."
                                                                       : "1.0.0.10.in-addr.arpa.");

        assert_true(dns_name_equal(&row->owner, &expected));
        rrset_clear(&lab->set);
        assert_int_equal(rrset_from_bytes(&lab->set, row->values, row->values_size), 0);
        lab->flags = row->flags;
        lab->type = row->type;
        snprintf(lab->upstream, sizeof(lab->upstream), "%s", row->upstream);
        lab->n_units++;
        return 0;
}

static int on_serial(void *userdata, const struct dns_name *zone, uint32_t serial)
{
        struct lab *lab = userdata;

        lab->serial = serial;
        lab->n_serials++;
        return 0;
}

static const struct store_loader loader = { .name = on_name, .unit = on_unit, .serial = on_serial };

static void begin(struct lab *lab)
{
        strcpy(lab->directory, "/tmp/nsreg-store-XXXXXX");
        assert_non_null(mkdtemp(lab->directory));
        assert_int_equal(sd_event_new(&lab->event), 0);
}

static void end(struct lab *lab)
{
        char command[128];

        lab->store = store_free(lab->store);
        name_state_free(lab->state);
        rrset_clear(&lab->set);
        sd_event_unref(lab->event);
        free(lab->waiters);
        snprintf(command, sizeof(command), "rm -r %s", lab->directory);
        assert_int_equal(system(command), 0);
}

/* Opens, and reads everything. */
static void open_store(struct lab *lab)
{
        char *why = NULL;

        lab->n_names = lab->n_units = lab->n_serials = 0;
        assert_int_equal(store_open(lab->event, lab->directory, NULL, &lab->store, &why), 0);
        assert_int_equal(store_load_names(lab->store, &loader, lab, &why), 0);
        assert_int_equal(store_load_units(lab->store, &loader, lab, &why), 0);
        assert_int_equal(store_load_serials(lab->store, &loader, lab, &why), 0);
        assert_null(why);
        assert_int_equal(store_start(lab->store), 0);
}

/* Which of several it was is not asked. */
static struct lab *current;

static void on_done(struct waiter *waiter, int error)
{
        current->n_done++;
        current->error = error;
}

static void run_until(struct lab *lab, unsigned n_done)
{
        while (lab->n_done < n_done)
                assert_true(sd_event_run(lab->event, UINT64_MAX) >= 0);
}

static struct name_state *make_state(const struct lab *lab, const char *address, usec_t lease_usec)
{
        struct name_state *state = name_state_new();
        struct dns_key key = { .flags = 256, .protocol = 3, .algorithm = 13, .length = 64 };
        struct address parsed;
        struct record_value value;
        struct record *record;
        uint8_t hash[REPLAY_HASH_SIZE];

        assert_int_equal(address_parse(address, &parsed), 0);
        for (unsigned i = 0; i < 64; i++)
                key.public_key[i] = (uint8_t) (i + 1);
        state->claimed = true;
        state->provisional = PROVISIONAL_RECORDS;
        assert_int_equal(name_state_set_key(state, &key), 0);
        state->key_lease_sec = 7200;
        state->key_end_usec = store_lease_now(lab->store) + 7200 * USEC_PER_SEC;
        state->claimed_usec = 17;
        state->seen_usec = 18;
        state->source = parsed;
        state->blocked_sec = 600;
        state->blocked_reason = strdup("a reason");
        state->blocked_until_usec = 99;
        state->banned_fingerprint = strdup("abc");
        value = record_value_of_address(&parsed);
        record = name_state_add(state, &value);
        record->proven = true;
        record->lease_sec = (uint32_t) (lease_usec / USEC_PER_SEC);
        record->end_usec = store_lease_now(lab->store) + lease_usec;
        for (uint8_t i = 0; i < 3; i++) {
                memset(hash, i + 1, sizeof(hash));
                assert_int_equal(name_state_remember(state, 1234, 5678, hash), 0);
        }
        return state;
}

#define WAITERS_MAX 8000

static struct waiter *next_waiter(struct lab *lab)
{
        current = lab;
        if (!lab->waiters)
                lab->waiters = calloc(WAITERS_MAX, sizeof(*lab->waiters));
        assert_non_null(lab->waiters);
        assert_true(lab->n_waiters < WAITERS_MAX);
        return &lab->waiters[lab->n_waiters++];
}

static void put(struct lab *lab, const char *label, struct name_state *state)
{
        struct dns_name zone = name_of("d.example.");

        assert_int_equal(store_put_name(lab->store, &zone, label, state, next_waiter(lab), on_done), 0);
}

/* A clean end, as far as the store is asked. */
static void stop(struct lab *lab)
{
        unsigned n_done = lab->n_done;

        assert_int_equal(store_stop(lab->store, next_waiter(lab), on_done), 0);
        run_until(lab, n_done + 1);
        assert_int_equal(lab->error, 0);
        lab->store = store_free(lab->store);
}

static void test_everything_comes_back(void **unused)
{
        struct dns_name zone, owner, reverse;
        struct name_state *state, *loaded;
        struct rrset set = {};
        struct unit_row row;
        struct lab lab = {};

        begin(&lab);
        zone = name_of("d.example.");
        owner = name_of("foo.d.example.");
        reverse = name_of("1.0.0.10.in-addr.arpa.");
        open_store(&lab);
        assert_true(store_is_new(lab.store));
        state = make_state(&lab, "10.0.0.1", LONG);
        put(&lab, "foo", state);
        assert_int_equal(rrset_add_address(&set, &state->source), 0);
        row = (struct unit_row){ .upstream = "nsupdate x",
                                 .mode = UNIT_EXCLUSIVE,
                                 .owner = owner,
                                 .zone = zone,
                                 .type = 28,
                                 .flags = 70000,
                                 .values = set.bytes,
                                 .values_size = set.size };
        assert_int_equal(store_put_unit(lab.store, &row, next_waiter(&lab), on_done), 0);
        row.mode = UNIT_SHARED;
        row.owner = reverse;
        row.rdata = set.bytes;
        row.rdata_size = set.size;
        assert_int_equal(store_put_unit(lab.store, &row, next_waiter(&lab), on_done), 0);
        assert_int_equal(store_delete_unit(lab.store, &row, NULL, NULL), 0);
        assert_int_equal(store_put_serial(lab.store, &zone, 4000000000U, NULL, NULL), 0);
        assert_int_equal(lab.n_done, 0);
        run_until(&lab, 3);
        assert_int_equal(lab.error, 0);
        stop(&lab);

        open_store(&lab);
        assert_false(store_is_new(lab.store));
        assert_int_equal(lab.n_names, 1);
        assert_int_equal(lab.n_units, 1);
        assert_int_equal(lab.n_serials, 1);
        assert_int_equal(lab.serial, 4000000000U);
        assert_int_equal(lab.flags, 70000);
        assert_int_equal(lab.type, 28);
        assert_string_equal(lab.upstream, "nsupdate x");
        assert_true(rrset_equal(&lab.set, &set));
        loaded = lab.state;
        assert_string_equal(lab.label, "foo");
        assert_true(loaded->claimed);
        assert_int_equal(loaded->provisional, PROVISIONAL_RECORDS);
        assert_true(dns_key_same(loaded->key, state->key));
        assert_int_equal(loaded->key->flags, 256);
        assert_int_equal(loaded->key_tag, state->key_tag);
        assert_true(loaded->key_end_usec == state->key_end_usec);
        assert_true(loaded->claimed_usec == 17 && loaded->seen_usec == 18);
        assert_true(address_equal(&loaded->source, &state->source));
        assert_int_equal(loaded->inception, 1234);
        assert_int_equal(loaded->expiration, 5678);
        assert_int_equal(loaded->n_hashes, 3);
        assert_memory_equal(loaded->hash, state->hash, REPLAY_HASH_SIZE);
        assert_memory_equal(loaded->earlier, state->earlier, sizeof(*state->earlier) * 2);
        assert_true(loaded->blocked_until_usec == 99);
        assert_string_equal(loaded->blocked_reason, "a reason");
        assert_string_equal(loaded->banned_fingerprint, "abc");
        assert_int_equal(loaded->n_records, 1);
        assert_true(loaded->records[0].proven);
        assert_int_equal(loaded->records[0].lease_sec, LONG / USEC_PER_SEC);
        /* A clean stop lengthens nothing. */
        assert_true(loaded->records[0].end_usec == state->records[0].end_usec);

        /* An empty state is a name that is gone, its records included. */
        name_state_free(state);
        state = name_state_new();
        put(&lab, "foo", state);
        run_until(&lab, 5);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.n_names, 0);
        name_state_free(state);
        rrset_clear(&set);
        end(&lab);
}

static void test_only_one_process(void **unused)
{
        struct store *second = NULL;
        struct lab lab = {};
        char *why = NULL;

        begin(&lab);
        open_store(&lab);
        assert_int_equal(store_open(lab.event, lab.directory, NULL, &second, &why), -EBUSY);
        assert_null(second);
        free(why);
        end(&lab);
}

/* In a child: what is done, and a sudden end. */
static void crash(struct lab *lab, void (*act)(struct lab *lab))
{
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                lab->event = NULL;
                if (sd_event_new(&lab->event) < 0)
                        _exit(3);
                open_store(lab);
                act(lab);
                (void) raise(SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void store_one(struct lab *lab)
{
        struct name_state *state = make_state(lab, "10.0.0.1", LONG);

        put(lab, "foo", state);
        run_until(lab, 1);
        name_state_free(state);
}

static void store_one_and_refresh(struct lab *lab)
{
        store_one(lab);
        /* As the time in which it was refreshed: later than the write. */
        while (store_lease_now(lab->store) < lab->state->records[0].end_usec - LONG + 200 * USEC_PER_MSEC)
                (void) sd_event_run(lab->event, 10 * USEC_PER_MSEC);
        store_note_refresh(lab->store);
}

/* Until the refresh would outlive a power cut. */
static void store_refresh_and_cover(struct lab *lab)
{
        unsigned n_done;

        store_one(lab);
        store_note_refresh(lab->store);
        n_done = lab->n_done;
        if (store_cover_refresh(lab->store, next_waiter(lab), on_done) == 0)
                run_until(lab, n_done + 1);
}

static void store_and_refresh(struct lab *lab)
{
        struct name_state *state = make_state(lab, "10.0.0.1", LONG);

        lab->state = state;
        store_one_and_refresh(lab);
}

static void do_nothing(struct lab *lab)
{
}

static void test_crash_without_refresh(void **unused)
{
        struct lab lab = {};
        usec_t end_usec;

        begin(&lab);
        crash(&lab, store_one);
        open_store(&lab);
        assert_int_equal(lab.n_names, 1);
        /* Nothing was refreshed: the stored ends are exact. */
        end_usec = lab.state->records[0].end_usec;
        assert_true(end_usec <= store_lease_now(lab.store) + LONG);
        lab.store = store_free(lab.store);
        crash(&lab, do_nothing);
        open_store(&lab);
        assert_true(lab.state->records[0].end_usec == end_usec);
        end(&lab);
}

static void test_crash_after_refresh(void **unused)
{
        struct lab lab = {};
        usec_t end_usec, begin_usec = now_usec(CLOCK_BOOTTIME);

        begin(&lab);
        crash(&lab, store_and_refresh);
        open_store(&lab);
        assert_int_equal(lab.n_names, 1);
        /* From the refresh in memory the lease counts in full, and no more than that. */
        end_usec = lab.state->records[0].end_usec;
        assert_true(end_usec >=
                    lease_clock_at(store_clock(lab.store), begin_usec) + 200 * USEC_PER_MSEC + LONG);
        assert_true(end_usec <= store_lease_now(lab.store) + LONG);
        assert_true(lab.state->key_end_usec >= end_usec - LONG + 7200 * USEC_PER_SEC);
        lab.store = store_free(lab.store);

        /* Crash upon crash lengthens nothing twice. */
        for (unsigned i = 0; i < 3; i++)
                crash(&lab, do_nothing);
        open_store(&lab);
        assert_true(lab.state->records[0].end_usec == end_usec);
        /* And a clean stop ends it. */
        stop(&lab);
        open_store(&lab);
        assert_true(lab.state->records[0].end_usec <= end_usec);
        end(&lab);
}

/* A write refused by the disk is told, changes nothing, and is no obstacle for the next. */
static void test_full_disk(void **unused)
{
        struct name_state *state;
        struct lab lab = {};
        struct store_statistics statistics;

        begin(&lab);
        open_store(&lab);
        state = make_state(&lab, "10.0.0.1", LONG);
        {
                struct rlimit before, small = {};
                struct sigaction ignore = { .sa_handler = SIG_IGN };

                assert_int_equal(sigaction(SIGXFSZ, &ignore, NULL), 0);
                assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
                small.rlim_max = before.rlim_max;
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
                put(&lab, "foo", state);
                put(&lab, "bar", state);
                run_until(&lab, 2);
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        }
        assert_true(lab.error < 0);
        store_statistics(lab.store, &statistics);
        assert_int_equal(statistics.failures, 2);
        assert_true(statistics.failing_usec > 0 && statistics.last_error == lab.error);
        put(&lab, "baz", state);
        run_until(&lab, 3);
        assert_int_equal(lab.error, 0);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.n_names, 1);
        assert_string_equal(lab.label, "baz");
        name_state_free(state);
        end(&lab);
}

static void test_batches_and_order(void **unused)
{
        struct store_statistics statistics;
        struct name_state *state, *gone = name_state_new();
        struct lab lab = {};
        char label[32];

        begin(&lab);
        open_store(&lab);
        state = make_state(&lab, "10.0.0.1", LONG);
        for (unsigned i = 0; i < 3000; i++) {
                snprintf(label, sizeof(label), "n%u", i);
                put(&lab, label, state);
                if (i % 2)
                        put(&lab, label, gone);
        }
        run_until(&lab, 4500);
        store_statistics(lab.store, &statistics);
        assert_int_equal(statistics.pending, 0);
        assert_true(statistics.transactions <= 10);
        /* Drained, it can be read again as it is. */
        assert_int_equal(store_drain(lab.store), 0);
        lab.n_names = 0;
        {
                char *why = NULL;

                assert_int_equal(store_load_names(lab.store, &loader, &lab, &why), 0);
        }
        assert_int_equal(lab.n_names, 1500);
        put(&lab, "more", state);
        run_until(&lab, 4501);
        name_state_free(state);
        name_state_free(gone);
        end(&lab);
}

/* --- ends --- */

static struct registry *make_registry(struct lab *lab, struct zone_policy *policy, unsigned n_names)
{
        struct dns_name zone = name_of("d.example.");
        struct registry *registry = registry_new();
        struct registry_zone *added;
        unsigned before = lab->n_done;

        zone_policy_init(policy, &zone);
        assert_int_equal(zone_policy_complete(policy), 0);
        added = registry_add_zone(registry, policy);
        for (unsigned i = 0; i < n_names; i++) {
                struct name_state *state = make_state(lab, "10.0.0.1", LONG);
                struct effects effects;
                char label[16];

                snprintf(label, sizeof(label), "n%06u", i);
                assert_int_equal(store_put_name(lab->store, &zone, label, state, next_waiter(lab), on_done),
                                 0);
                assert_int_equal(registry_install(added, label, state, &effects, NULL), 0);
                free(effects.ptrs);
        }
        run_until(lab, before + n_names);
        assert_int_equal(lab->error, 0);
        return registry;
}

static struct name_state *state_at(const struct registry *registry, const char *label)
{
        return registry_find_label(registry->zones, label)->state;
}

static void move(struct name_state *state)
{
        state->records[0].end_usec += 5;
        state->key_end_usec += 5;
        state->seen_usec++;
        state->inception++;
        memset(state->hash, (int) state->inception, sizeof(state->hash));
        name_state_move(state);
}

/* An old state can neither overwrite a newer one, nor come to a later owner, nor bring back who is gone. */
static void test_ends_are_of_one_state(void **unused)
{
        struct dns_name zone;
        struct name_state *state, *gone = name_state_new();
        struct moved_slice *slice;
        struct lab lab = {};
        usec_t end_usec;

        begin(&lab);
        open_store(&lab);
        zone = name_of("d.example.");
        state = make_state(&lab, "10.0.0.1", LONG);
        put(&lab, "foo", state);
        put(&lab, "gone", state);
        state->generation--; /* foo's; "gone" was put last */
        slice = moved_slice_new(&zone);
        end_usec = state->records[0].end_usec;
        move(state);
        assert_int_equal(moved_slice_add(slice, "foo", state), 0);
        state->generation++;
        assert_int_equal(moved_slice_add(slice, "gone", state), 0);
        state->records[0].end_usec = end_usec;
        put(&lab, "foo", state);
        put(&lab, "gone", gone);
        assert_int_equal(store_move_ends(lab.store, slice, next_waiter(&lab), on_done), 0);
        moved_slice_free(slice);
        run_until(&lab, 5);
        assert_int_equal(lab.error, 0);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.n_names, 1);
        assert_string_equal(lab.label, "foo");
        assert_true(lab.state->records[0].end_usec == end_usec);
        name_state_free(state);
        name_state_free(gone);
        end(&lab);
}

static void test_flush(void **unused)
{
        struct zone_policy policy;
        struct registry *registry;
        struct write_back_statistics statistics;
        struct write_back *back;
        struct name_state *state;
        struct lab lab = {};
        usec_t end_usec;

        begin(&lab);
        open_store(&lab);
        registry = make_registry(&lab, &policy, 2500);
        back = write_back_new(lab.store, registry, USEC_PER_HOUR);
        for (unsigned i = 0; i < 2500; i += 2) {
                char label[16];

                snprintf(label, sizeof(label), "n%06u", i);
                move(state_at(registry, label));
        }
        state = state_at(registry, "n002498");
        end_usec = state->records[0].end_usec;
        assert_int_equal(write_back_flush(back, next_waiter(&lab), on_done), 0);
        run_until(&lab, 2501);
        assert_int_equal(lab.error, 0);
        write_back_statistics(back, &statistics);
        assert_int_equal(statistics.written, 1250);
        for (unsigned i = 0; i < 2500; i++) {
                char label[16];

                snprintf(label, sizeof(label), "n%06u", i);
                assert_false(name_state_is_moved(state_at(registry, label)));
        }
        back = write_back_free(back);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.n_names, 2500);
        registry_free(registry);
        /* The last one was not moved; with the hash of the one before it also the replay memory came. */
        lab.store = store_free(lab.store);
        assert_true(end_usec > 0);
        zone_policy_clear(&policy);
        end(&lab);
}

/* What moves while a write is under way is not what was written. */
static void test_mark_is_cleared_by_what_is_durable(void **unused)
{
        struct zone_policy policy;
        struct registry *registry;
        struct write_back *back;
        struct name_state *state;
        struct lab lab = {};

        begin(&lab);
        open_store(&lab);
        registry = make_registry(&lab, &policy, 2);
        back = write_back_new(lab.store, registry, USEC_PER_HOUR);
        state = state_at(registry, "n000001");
        move(state);
        assert_int_equal(write_back_flush(back, next_waiter(&lab), on_done), 0);
        /* The first, empty one. */
        while (store_drain(lab.store) >= 0 && lab.n_done < 3)
                move(state);
        assert_false(name_state_is_moved(state));
        move(state);
        assert_true(name_state_is_moved(state));

        /* A disk that fails leaves the mark. */
        {
                struct rlimit before, small = {};

                assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
                small.rlim_max = before.rlim_max;
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
                assert_int_equal(write_back_flush(back, next_waiter(&lab), on_done), 0);
                run_until(&lab, 4);
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        }
        assert_true(lab.error < 0);
        assert_true(name_state_is_moved(state));
        assert_int_equal(write_back_flush(back, next_waiter(&lab), on_done), 0);
        run_until(&lab, 5);
        assert_int_equal(lab.error, 0);
        assert_false(name_state_is_moved(state));
        write_back_free(back);
        registry_free(registry);
        zone_policy_clear(&policy);
        end(&lab);
}

/* Along with the heartbeat, a portion at a time; a round is not begun again at once. */
static void test_write_back_while_running(void **unused)
{
        struct zone_policy policy;
        struct registry *registry;
        struct write_back_statistics statistics = {};
        struct write_back *back;
        struct lab lab = {};

        begin(&lab);
        open_store(&lab);
        registry = make_registry(&lab, &policy, 50);
        back = write_back_new(lab.store, registry, USEC_PER_HOUR);
        move(state_at(registry, "n000003"));
        move(state_at(registry, "n000040"));
        store_note_refresh(lab.store);
        assert_int_equal(store_cover_refresh(lab.store, next_waiter(&lab), on_done), 0);
        run_until(&lab, 51);
        assert_int_equal(lab.error, 0);
        assert_int_equal(store_drain(lab.store), 0);
        write_back_statistics(back, &statistics);
        assert_int_equal(statistics.written, 2);
        assert_int_equal(statistics.rounds, 1);
        assert_false(name_state_is_moved(state_at(registry, "n000003")));
        /* Now everything is covered for a while. */
        assert_int_equal(store_cover_refresh(lab.store, next_waiter(&lab), on_done), 1);
        write_back_free(back);
        registry_free(registry);
        zone_policy_clear(&policy);
        end(&lab);
}

/* --- who waits, and who does not --- */

/* Clearing a waiter takes nothing back, and nobody is told. */
static void test_cleared_waiter(void **unused)
{
        struct dns_name zone;
        struct name_state *state;
        struct waiter waiter = {};
        struct lab lab = {};

        begin(&lab);
        open_store(&lab);
        zone = name_of("d.example.");
        state = make_state(&lab, "10.0.0.1", LONG);
        assert_int_equal(store_put_name(lab.store, &zone, "foo", state, &waiter, on_done), 0);
        assert_true(waiter_is_waiting(&waiter));
        waiter_clear(&waiter);
        put(&lab, "bar", state);
        run_until(&lab, 1);
        assert_int_equal(lab.n_done, 1);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.n_names, 2);
        name_state_free(state);
        end(&lab);
}

static void limit_file_size(struct rlimit *before)
{
        struct sigaction ignore = { .sa_handler = SIG_IGN };
        struct rlimit small = {};

        assert_int_equal(sigaction(SIGXFSZ, &ignore, NULL), 0);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, before), 0);
        small.rlim_max = before->rlim_max;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
}

/* What nobody waits for goes to the disk once it works again, in its place: behind what came before, ahead of
 * what came later. */
static void test_kept_writes(void **unused)
{
        struct dns_name zone;
        struct store_statistics statistics;
        struct name_state *state;
        struct lab lab = {};
        struct rlimit before;

        begin(&lab);
        open_store(&lab);
        zone = name_of("d.example.");
        state = make_state(&lab, "10.0.0.1", LONG);
        limit_file_size(&before);
        assert_int_equal(store_put_serial(lab.store, &zone, 1, NULL, NULL), 0);
        put(&lab, "foo", state);
        run_until(&lab, 1);
        assert_true(lab.error < 0);
        assert_int_equal(store_put_serial(lab.store, &zone, 2, next_waiter(&lab), on_done), 0);
        run_until(&lab, 2);
        assert_true(lab.error < 0);
        store_statistics(lab.store, &statistics);
        assert_int_equal(statistics.failures, 2);
        assert_true(statistics.retried >= 2 && statistics.pending >= 1);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(store_put_serial(lab.store, &zone, 3, next_waiter(&lab), on_done), 0);
        run_until(&lab, 3);
        assert_int_equal(lab.error, 0);
        assert_int_equal(store_drain(lab.store), 0);
        store_statistics(lab.store, &statistics);
        assert_true(statistics.pending == 0 && statistics.failing_usec == 0 && statistics.last_error == 0);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.n_names, 0);
        assert_int_equal(lab.serial, 3);
        name_state_free(state);
        end(&lab);
}

/* It comes by itself, without anybody asking again. */
static void test_kept_writes_come_by_themselves(void **unused)
{
        struct dns_name zone;
        struct store_statistics statistics;
        struct lab lab = {};
        struct rlimit before;

        begin(&lab);
        open_store(&lab);
        zone = name_of("d.example.");
        limit_file_size(&before);
        assert_int_equal(store_put_serial(lab.store, &zone, 7, NULL, NULL), 0);
        do {
                assert_true(sd_event_run(lab.event, UINT64_MAX) >= 0);
                store_statistics(lab.store, &statistics);
        } while (statistics.retried == 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        do {
                assert_true(sd_event_run(lab.event, UINT64_MAX) >= 0);
                store_statistics(lab.store, &statistics);
        } while (statistics.pending > 0);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.serial, 7);
        end(&lab);
}

/* A value that no table takes harms itself alone, and is told. */
static void test_impossible_value(void **unused)
{
        static const uint8_t large[10000];
        struct dns_name owner;
        struct unit_row row;
        struct name_state *state;
        struct waiter impossible = {};
        struct lab lab = {};

        begin(&lab);
        open_store(&lab);
        owner = name_of("foo.d.example.");
        state = make_state(&lab, "10.0.0.1", LONG);
        put(&lab, "foo", state);
        assert_true(sqlite3_limit(lab.store->database.handle, SQLITE_LIMIT_LENGTH, sizeof(large) - 1) > 0);
        row = (struct unit_row){
                .upstream = "x", .owner = owner, .values = large, .values_size = sizeof(large)
        };
        assert_int_equal(store_put_unit(lab.store, &row, &impossible, on_done), 0);
        put(&lab, "bar", state);
        run_until(&lab, 3);
        assert_int_equal(lab.error, 0);
        stop(&lab);
        open_store(&lab);
        assert_int_equal(lab.n_names, 2);
        assert_int_equal(lab.n_units, 0);
        name_state_free(state);
        end(&lab);
}

/* The loop has ended: what is appended is written all the same. */
static void test_behind_the_loop(void **unused)
{
        struct name_state *state;
        struct lab lab = {};

        begin(&lab);
        open_store(&lab);
        state = make_state(&lab, "10.0.0.1", LONG);
        assert_int_equal(sd_event_exit(lab.event, 0), 0);
        assert_true(sd_event_loop(lab.event) >= 0);
        put(&lab, "foo", state);
        put(&lab, "bar", state);
        assert_int_equal(store_drain(lab.store), 0);
        assert_int_equal(lab.n_done, 2);
        assert_int_equal(lab.error, 0);
        lab.store = store_free(lab.store);
        sd_event_unref(lab.event);
        assert_int_equal(sd_event_new(&lab.event), 0);
        open_store(&lab);
        assert_int_equal(lab.n_names, 2);
        name_state_free(state);
        end(&lab);
}

/* --- pages --- */

static void test_pages(void **unused)
{
        struct store_page *page = calloc(1, sizeof(*page)), *dropped = calloc(1, sizeof(*dropped));
        struct name_state *state;
        struct lab lab = {};
        unsigned n_names = 0;
        char before[DNS_LABEL_MAX + 1] = "";

        begin(&lab);
        open_store(&lab);
        state = make_state(&lab, "10.0.0.1", LONG);
        for (unsigned i = 0; i < 1200; i++) {
                char label[16];

                snprintf(label, sizeof(label), "n%u", i);
                put(&lab, label, state);
        }
        /* Behind what was appended; and one that nobody waits for any more. */
        page->zone = dropped->zone = name_of("d.example.");
        current = &lab;
        assert_int_equal(store_read_page(lab.store, dropped, on_done), 0);
        waiter_clear(&dropped->waiter);
        free(dropped);
        while (!page->is_last) {
                assert_int_equal(store_read_page(lab.store, page, on_done), 0);
                while (waiter_is_waiting(&page->waiter))
                        assert_true(sd_event_run(lab.event, UINT64_MAX) >= 0);
                for (unsigned i = 0; i < page->n_names; i++) {
                        assert_true(strcmp(before, page->names[i].label) < 0);
                        strcpy(before, page->names[i].label);
                        assert_true(page->names[i].state->records[0].end_usec == state->records[0].end_usec);
                        assert_true(page->names[i].state->generation > 0);
                }
                n_names += page->n_names;
                strcpy(page->after, before);
                store_page_clear(page);
        }
        assert_int_equal(n_names, 1200);
        free(page);
        name_state_free(state);
        end(&lab);
}

static void test_pages_of_units(void **unused)
{
        struct store_units *page = calloc(1, sizeof(*page));
        struct stored_unit last = {};
        struct lab lab = {};
        unsigned n_units = 0;

        begin(&lab);
        open_store(&lab);
        current = &lab;
        for (unsigned i = 0; i < 1300; i++) {
                uint8_t rdata[2] = { (uint8_t) (i >> 8), (uint8_t) i };
                struct unit_row row = { .upstream = i % 13 == 0 ? "other" : "this",
                                        .mode = i % 2 ? UNIT_SHARED : UNIT_EXCLUSIVE,
                                        .owner = name_of("foo.d.example."),
                                        .type = (uint16_t) i,
                                        .rdata = rdata,
                                        .rdata_size = i % 2 ? 2 : 0,
                                        .flags = i,
                                        .values = rdata,
                                        .values_size = 2 };

                assert_int_equal(store_put_unit(lab.store, &row, NULL, NULL), 0);
        }
        page->upstream = "this";
        while (!page->is_last) {
                assert_int_equal(store_read_units(lab.store, page, on_done), 0);
                while (waiter_is_waiting(&page->waiter))
                        assert_true(sd_event_run(lab.event, UINT64_MAX) >= 0);
                assert_int_equal(lab.error, 0);
                for (unsigned i = 0; i < page->n_units; i++)
                        assert_string_equal(page->units[i].row.upstream, "this");
                n_units += page->n_units;
                free(last.octets);
                last = (struct stored_unit){};
                if (page->n_units > 0)
                        assert_int_equal(stored_unit_set(&last, &page->units[page->n_units - 1].row), 0);
                page->after = &last.row;
                store_units_clear(page);
        }
        assert_int_equal(n_units, 1200);
        free(last.octets);
        free(page);
        end(&lab);
}

static int on_place(void *userdata, const struct unit_row *row)
{
        char(*text)[512] = userdata, zone[DNS_NAME_FORMAT_MAX] = "-";
        size_t length = strlen(*text);

        if (row->zone.length > 0)
                dns_name_format(&row->zone, zone);
        snprintf(*text + length, sizeof(*text) - length, "%s %s %u, ", row->upstream, zone, row->mode);
        return 0;
}

/* Which upstreams have rows, and where; and one's rows become another's, before anything is written. */
static void test_places_of_units(void **unused)
{
        const struct store_loader places = { .place = on_place };
        static const char *const upstreams[] = { "a", "b", "c" };
        char text[512] = "", *why = NULL;
        struct lab lab = {};

        begin(&lab);
        open_store(&lab);
        current = &lab;
        for (unsigned i = 0; i < 600; i++) {
                uint8_t value[4] = {};
                struct unit_row row = { .upstream = upstreams[i % 3],
                                        .mode = i % 4 == 0 ? UNIT_SHARED : UNIT_EXCLUSIVE,
                                        .zone = i % 3 == 1 ? (struct dns_name){} : name_of("d.example."),
                                        .owner = name_of("foo.d.example."),
                                        .type = (uint16_t) i,
                                        .values = value,
                                        .values_size = sizeof(value) };

                assert_int_equal(store_put_unit(lab.store, &row, NULL, NULL), 0);
        }
        assert_int_equal(store_drain(lab.store), 0);
        lab.store = store_free(lab.store);

        assert_int_equal(store_open(lab.event, lab.directory, NULL, &lab.store, &why), 0);
        assert_int_equal(store_load_places(lab.store, &places, text, &why), 0);
        assert_string_equal(text,
                            "a d.example. 0, a d.example. 1, b - 0, b - 1, c d.example. 0, c d.example. 1, ");
        assert_int_equal(store_inherit_units(lab.store, "a", "z"), 0);
        lab.store = store_free(lab.store);

        assert_int_equal(store_open(lab.event, lab.directory, NULL, &lab.store, &why), 0);
        text[0] = '\0';
        assert_int_equal(store_load_places(lab.store, &places, text, &why), 0);
        assert_string_equal(text,
                            "b - 0, b - 1, c d.example. 0, c d.example. 1, z d.example. 0, z d.example. 1, ");
        end(&lab);
}

/* --- other versions --- */

static int on_old_name(void *userdata, const struct dns_name *zone, const char *label,
                       struct name_state *state)
{
        struct lab *lab = userdata;

        lab->n_names++;
        if (streq(label, "remembers"))
                assert_int_equal(state->n_hashes, 5);
        if (streq(label, "foreign")) {
                assert_false(state->claimed);
                assert_int_equal(state->blocked_sec, 600);
                assert_string_equal(state->blocked_reason,
                                    "the DNS server has addresses of its own at this name");
        }
        if (streq(label, "banned"))
                assert_int_equal(strlen(state->banned_fingerprint), 64);
        if (streq(label, "reserved"))
                assert_true(state->reserved && !state->claimed);
        if (streq(label, "p384"))
                assert_true(state->claimed && state->n_records == 0 && state->key->length == 96);
        if (streq(label, "p256")) {
                assert_int_equal(state->n_records, 2);
                for (unsigned i = 0; i < 2; i++)
                        assert_true(state->records[i].lease_sec == 30000000 &&
                                    state->records[i].end_usec > UINT64_C(1800000000) * USEC_PER_SEC);
                assert_int_equal(state->key_lease_sec, 90000000);
                /* What the first version had published, it did not say. */
                assert_int_equal(state->provisional, lab->schema == 2 ? PROVISIONAL_NO : PROVISIONAL_CLAIM);
        }
        assert_true(state->generation > 0);
        name_state_free(state);
        return 0;
}

static int on_old_unit(void *userdata, const struct unit_row *row)
{
        struct lab *lab = userdata;

        assert_non_null(strstr(row->upstream, "nsupdate"));
        /* Each type, or each pointer, has its own; in which zone of the server was not written then. */
        assert_int_equal(row->zone.length, 0);
        assert_true(row->mode == UNIT_SHARED ? row->type == DNS_TYPE_PTR && row->rdata_size > 0
                                             : row->type == DNS_TYPE_A || row->type == DNS_TYPE_AAAA);
        /* One value that is ours, or "nothing" and what is in doubt. */
        assert_true(row->values_size > 4);
        assert_true((row->flags & UNIT_ROW_ACCEPTED) || memcmp(row->values, "\0\0\0", 4) == 0);
        assert_int_equal(row->flags >> UNIT_ROW_FUDGE_SHIFT, 300);
        lab->n_units++;
        return 0;
}

static int on_old_import(void *userdata, const struct dns_name *zone, usec_t imported_usec)
{
        /* A database from before there were marks: nothing is imported once more. */
        assert_null(zone);
        return 0;
}

static void test_schema_1(void **unused)
{
        static const struct store_loader old = {
                .name = on_old_name, .unit = on_old_unit, .serial = on_serial, .import = on_old_import
        };

        for (unsigned i = 0; i < 4; i++) {
                struct lab lab = {};
                char command[256], *why = NULL;

                begin(&lab);
                snprintf(command, sizeof(command),
                         "cp " TESTS_DIRECTORY "/data/databases/schema-1/%s.db %s/registry.db",
                         i % 2 ? "killed" : "clean", lab.directory);
                assert_int_equal(system(command), 0);
                for (unsigned turn = 0; turn < 2; turn++) {
                        lab.n_names = lab.n_units = lab.n_serials = 0;
                        assert_int_equal(store_open(lab.event, lab.directory, NULL, &lab.store, &why), 0);
                        assert_false(store_is_new(lab.store));
                        assert_int_equal(store_load_names(lab.store, &old, &lab, &why), 0);
                        assert_int_equal(store_load_units(lab.store, &old, &lab, &why), 0);
                        assert_int_equal(store_load_serials(lab.store, &old, &lab, &why), 0);
                        assert_int_equal(store_load_imports(lab.store, &old, &lab, &why), 0);
                        assert_null(why);
                        assert_int_equal(lab.n_names, 34);
                        assert_int_equal(lab.n_units, 9);
                        assert_int_equal(lab.n_serials, 2);
                        /* The second time what the first one made of it. */
                        assert_int_equal(store_start(lab.store), 0);
                        lab.store = store_free(lab.store);
                }
                end(&lab);
        }
}

static int on_unit_2(void *userdata, const struct unit_row *row)
{
        struct lab *lab = userdata;

        assert_non_null(strstr(row->upstream, "nsupdate"));
        assert_true(row->zone.length > 0 && row->values_size > 0);
        lab->n_units++;
        return 0;
}

static int on_import_2(void *userdata, const struct dns_name *zone, usec_t imported_usec)
{
        return 0;
}

/* Records were addresses, as text. */
static void test_schema_2(void **unused)
{
        static const struct store_loader old = {
                .name = on_old_name, .unit = on_unit_2, .serial = on_serial, .import = on_import_2
        };

        for (unsigned i = 0; i < 2; i++) {
                struct lab lab = {};
                char command[256], *why = NULL;

                begin(&lab);
                lab.schema = 2;
                snprintf(command, sizeof(command),
                         "cp " TESTS_DIRECTORY "/data/databases/schema-2/%s.db %s/registry.db",
                         i % 2 ? "killed" : "clean", lab.directory);
                assert_int_equal(system(command), 0);
                for (unsigned turn = 0; turn < 2; turn++) {
                        lab.n_names = lab.n_units = lab.n_serials = 0;
                        assert_int_equal(store_open(lab.event, lab.directory, NULL, &lab.store, &why), 0);
                        assert_int_equal(store_load_names(lab.store, &old, &lab, &why), 0);
                        assert_int_equal(store_load_units(lab.store, &old, &lab, &why), 0);
                        assert_int_equal(store_load_serials(lab.store, &old, &lab, &why), 0);
                        assert_int_equal(store_load_imports(lab.store, &old, &lab, &why), 0);
                        assert_null(why);
                        assert_int_equal(lab.n_names, 34);
                        assert_int_equal(lab.n_units, 7);
                        assert_int_equal(lab.n_serials, 2);
                        assert_int_equal(store_start(lab.store), 0);
                        lab.store = store_free(lab.store);
                }
                end(&lab);
        }
}

/* Data of any type, at the name and below it, longer than an address and shorter. */
static void test_records_of_any_type(void **unused)
{
        static const uint8_t below[] = "\17_acme-challenge";
        uint8_t long_data[300];
        const struct record_value values[] = {
                { DNS_TYPE_TXT, 2, sizeof(below) - 1, (const uint8_t *) "\1a", below },
                { DNS_TYPE_TXT, 2, 0, (const uint8_t *) "\1a", NULL },
                { DNS_TYPE_TXT, sizeof(long_data), 0, long_data, NULL },
                { DNS_TYPE_TXT, sizeof(long_data), sizeof(below) - 1, long_data, below },
                { DNS_TYPE_SSHFP, 2, 0, (const uint8_t *) "\1a", NULL },
        };
        struct lab lab = {};
        struct name_state *state, *loaded;
        struct record_value name;
        unsigned position = 0;

        memset(long_data, 7, sizeof(long_data));
        begin(&lab);
        open_store(&lab);
        state = make_state(&lab, "10.0.0.1", LONG);
        for (unsigned i = 0; i < ELEMENTSOF(values); i++) {
                struct record *record = name_state_add(state, &values[i]);

                record->lease_sec = 100 + i;
                record->end_usec = store_lease_now(lab.store) + (100 + i) * USEC_PER_SEC;
                record->provisional = i == 1;
        }
        put(&lab, "foo", state);
        run_until(&lab, 1);
        lab.store = store_free(lab.store);
        open_store(&lab);
        loaded = lab.state;
        assert_true(name_state_same_records(state, loaded));
        for (unsigned i = 0; i < ELEMENTSOF(values); i++) {
                const struct record *record = name_state_find(loaded, &values[i]);

                assert_true(record->lease_sec == 100 + i && record->provisional == (i == 1));
        }
        assert_true(name_state_next_name(loaded, &position, &name) && name.below_length == 0);
        assert_true(name_state_next_name(loaded, &position, &name) &&
                    name.below_length == sizeof(below) - 1 &&
                    memcmp(name.below, below, name.below_length) == 0);
        assert_false(name_state_next_name(loaded, &position, &name));
        name_state_free(state);
        end(&lab);
}

/* A stamp that is not of the run that wrote the heartbeat says nothing of it. */
static void test_stamp_of_another_run(void **unused)
{
        struct lab lab = {};
        usec_t end_usec;
        char path[128];
        FILE *file;
        int octet;

        begin(&lab);
        crash(&lab, store_refresh_and_cover);
        snprintf(path, sizeof(path), "%s/refresh.stamp", lab.directory);
        file = fopen(path, "r+");
        assert_non_null(file);
        /* The identity of a run is random: another octet, whatever stands there. */
        octet = fgetc(file) ^ 1;
        rewind(file);
        assert_int_equal(fputc(octet, file), octet);
        fclose(file);
        open_store(&lab);
        end_usec = lab.state->records[0].end_usec;
        /* From what the heartbeat covers: late, never early. */
        assert_true(end_usec > store_lease_now(lab.store) + LONG);
        assert_true(end_usec <= store_lease_now(lab.store) + LONG + HEARTBEAT_COVERS_USEC);
        end(&lab);
}

/* --- damage --- */

/* All of the file but its first page, which is not read again while it is open. */
static void damage(struct lab *lab, long from)
{
        char path[128];
        FILE *file;
        long size;

        snprintf(path, sizeof(path), "%s/registry.db", lab->directory);
        file = fopen(path, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, 0, SEEK_END), 0);
        size = ftell(file);
        assert_true(size > from);
        assert_int_equal(fseek(file, from, SEEK_SET), 0);
        for (long i = from; i < size; i++)
                assert_int_equal(fputc(0xee, file), 0xee);
        fclose(file);
}

/* Memory is the truth: a fresh database takes its place, the old one is kept. */
static void test_damaged_while_running(void **unused)
{
        struct zone_policy policy;
        struct registry *registry;
        struct store_statistics statistics;
        struct write_back *back;
        struct name_state *state;
        struct lab lab = {};
        char path[128];

        begin(&lab);
        open_store(&lab);
        registry = make_registry(&lab, &policy, 3000);
        back = write_back_new(lab.store, registry, USEC_PER_HOUR);
        assert_int_equal(store_drain(lab.store), 0);
        assert_int_equal(database_checkpoint(&lab.store->database, true), 0);
        assert_int_equal(sqlite3_db_release_memory(lab.store->database.handle), SQLITE_OK);
        damage(&lab, 4096);

        state = make_state(&lab, "10.0.0.9", LONG);
        put(&lab, "more", state);
        run_until(&lab, 3001);
        assert_int_equal(lab.error, -EBADMSG);
        put(&lab, "n001000", state);
        run_until(&lab, 3002);
        assert_int_equal(lab.error, 0);
        store_statistics(lab.store, &statistics);
        assert_int_equal(statistics.rebuilt, 1);
        assert_int_equal(store_drain(lab.store), 0);
        back = write_back_free(back);
        stop(&lab);
        snprintf(path, sizeof(path), "%s/registry.db.damaged", lab.directory);
        assert_int_equal(access(path, F_OK), 0);
        open_store(&lab);
        assert_int_equal(lab.n_names, 3000);
        registry_free(registry);
        zone_policy_clear(&policy);
        name_state_free(state);
        end(&lab);
}

/* The exchange was cut short: the whole one counts, with nothing of the old one's log. */
static void test_exchange_is_finished(void **unused)
{
        struct name_state *state;
        struct lab lab = {};
        char command[512];

        begin(&lab);
        open_store(&lab);
        state = make_state(&lab, "10.0.0.1", LONG);
        put(&lab, "foo", state);
        run_until(&lab, 1);
        stop(&lab);
        snprintf(command, sizeof(command),
                 "cd %s && mv registry.db registry.db.whole && echo damaged > registry.db && echo log > "
                 "registry.db-wal",
                 lab.directory);
        assert_int_equal(system(command), 0);
        open_store(&lab);
        assert_int_equal(lab.n_names, 1);
        assert_string_equal(lab.label, "foo");
        snprintf(command, sizeof(command), "grep -q damaged %s/registry.db.damaged", lab.directory);
        assert_int_equal(system(command), 0);
        name_state_free(state);
        end(&lab);
}

/* What cannot be read is not the end of a table. */
static void test_unreadable_is_not_the_end(void **unused)
{
        struct lab lab = {};
        struct name_state *state;
        char *why = NULL;
        int names, serials;

        begin(&lab);
        open_store(&lab);
        state = make_state(&lab, "10.0.0.1", LONG);
        for (unsigned i = 0; i < 2000; i++) {
                struct dns_name zone;
                char text[64];

                snprintf(text, sizeof(text), "zone-with-a-long-name-%u.example.", i);
                zone = name_of(text);
                assert_int_equal(store_put_serial(lab.store, &zone, i, NULL, NULL), 0);
                snprintf(text, sizeof(text), "n%u", i);
                put(&lab, text, state);
        }
        run_until(&lab, 2000);
        stop(&lab);
        damage(&lab, 80 * 4096);
        assert_int_equal(store_open(lab.event, lab.directory, NULL, &lab.store, &why), 0);
        names = store_load_names(lab.store, &loader, &lab, &why);
        serials = store_load_serials(lab.store, &loader, &lab, &why);
        assert_true(names < 0 && serials < 0);
        assert_non_null(why);
        free(why);
        name_state_free(state);
        end(&lab);
}

static void test_damaged(void **unused)
{
        struct store *store = NULL;
        struct lab lab = {};
        char path[128], *why = NULL;
        FILE *file;

        begin(&lab);
        snprintf(path, sizeof(path), "%s/registry.db", lab.directory);
        file = fopen(path, "w");
        assert_non_null(file);
        for (unsigned i = 0; i < 1000; i++)
                fputs("this is no database ", file);
        fclose(file);
        assert_int_equal(store_open(lab.event, lab.directory, NULL, &store, &why), -EBADMSG);
        assert_non_null(why);
        free(why);
        file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fgetc(file), 't');
        fclose(file);
        end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_comes_back),
                cmocka_unit_test(test_only_one_process),
                cmocka_unit_test(test_crash_without_refresh),
                cmocka_unit_test(test_crash_after_refresh),
                cmocka_unit_test(test_full_disk),
                cmocka_unit_test(test_batches_and_order),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_damaged_while_running),
                cmocka_unit_test(test_exchange_is_finished),
                cmocka_unit_test(test_unreadable_is_not_the_end),
                cmocka_unit_test(test_ends_are_of_one_state),
                cmocka_unit_test(test_flush),
                cmocka_unit_test(test_mark_is_cleared_by_what_is_durable),
                cmocka_unit_test(test_write_back_while_running),
                cmocka_unit_test(test_cleared_waiter),
                cmocka_unit_test(test_kept_writes),
                cmocka_unit_test(test_kept_writes_come_by_themselves),
                cmocka_unit_test(test_impossible_value),
                cmocka_unit_test(test_behind_the_loop),
                cmocka_unit_test(test_pages),
                cmocka_unit_test(test_pages_of_units),
                cmocka_unit_test(test_places_of_units),
                cmocka_unit_test(test_schema_1),
                cmocka_unit_test(test_schema_2),
                cmocka_unit_test(test_records_of_any_type),
                cmocka_unit_test(test_stamp_of_another_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
