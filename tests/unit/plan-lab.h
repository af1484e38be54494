/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A plan with a fake clock, a store that writes when it is told to, and a name server of a few lines that
 * takes its messages as they are: prerequisites first, then all changes or none. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "registry/plan-internal.h"

enum { FORWARD, REVERSE };

#define FUDGE_SEC    30
#define MARGIN_SEC   5
#define SETTLES_USEC ((2 * FUDGE_SEC + MARGIN_SEC + 1) * USEC_PER_SEC)

#define ROWS_MAX   64
#define OWNERS_MAX 32

struct stored_row {
        bool there;
        enum unit_mode mode;
        struct dns_name zone, owner;
        uint16_t type;
        struct rrset rr;
        uint32_t flags;
        uint8_t values[1024];
        size_t size;
};

struct content {
        struct dns_name owner;
        struct rrset set;
        bool alias;   /* a CNAME is there */
        bool made_up; /* of a wildcard: queries see it, prerequisites do not */
};

struct lab {
        struct plan *plan;
        usec_t now;
        struct plan_options options;
        struct content contents[OWNERS_MAX];
        struct stored_row rows[ROWS_MAX];
        struct unit_part *writes[ROWS_MAX]; /* that were not told yet */
        unsigned n_writes, n_puts, n_deletes, n_drifts, n_lane_changes, n_refusals, n_ready;
        bool hold_rows, break_rows, no_memory;
        bool adopts; /* what is found at the names */
        uint16_t refused_type;
        char refused_reason[160];
};

struct end {
        struct plan_waiter waiter;
        struct end *twin; /* goes when this one is told */
        bool ended;
        enum wait_outcome outcome;
        char reason[160];
};

_unused_ static struct dns_name name_of(const char *text)
{
        struct dns_name name;

        assert_int_equal(dns_name_parse(text, &name), 0);
        return name;
}

/* "10.0.0.1 fd00::1", or names; NULL: nothing. */
_unused_ static struct rrset set_of(const char *texts)
{
        char copy[256], *state, *text;
        struct rrset set = {};

        snprintf(copy, sizeof(copy), "%s", texts ?: "");
        for (text = strtok_r(copy, " ", &state); text; text = strtok_r(NULL, " ", &state)) {
                struct address address;
                struct dns_name name;

                if (address_parse(text, &address) >= 0)
                        assert_int_equal(rrset_add_address(&set, &address), 0);
                else {
                        name = name_of(text);
                        assert_int_equal(rrset_add_name(&set, DNS_TYPE_PTR, &name), 0);
                }
        }
        return set;
}

/* --- the store --- */

_unused_ static struct stored_row *find_row(struct lab *lab, const struct unit_row *key)
{
        struct stored_row *unused = NULL;

        for (unsigned i = 0; i < ROWS_MAX; i++) {
                struct stored_row *row = &lab->rows[i];
                struct rrset rr = {};
                bool same;

                if (!row->there) {
                        unused = unused ?: row;
                        continue;
                }
                if (key->rdata_size > 0)
                        assert_int_equal(rrset_add(&rr, key->type, key->rdata, (uint16_t) key->rdata_size),
                                         0);
                same = row->mode == key->mode && row->type == key->type &&
                       dns_name_equal(&row->owner, &key->owner) && dns_name_equal(&row->zone, &key->zone) &&
                       rrset_equal(&row->rr, &rr);
                rrset_clear(&rr);
                if (same)
                        return row;
        }
        assert_non_null(unused);
        return unused;
}

_unused_ static void lab_tell(struct lab *lab)
{
        while (lab->n_writes > 0 && !lab->hold_rows) {
                struct unit_part *part = lab->writes[0];

                memmove(lab->writes, lab->writes + 1, --lab->n_writes * sizeof(lab->writes[0]));
                if (part)
                        unit_row_written(part, lab->break_rows ? -ENOSPC : 0);
        }
}

_unused_ static int lab_put(void *userdata, struct unit_part *part, const struct unit_row *key,
                            waiter_done done)
{
        struct lab *lab = userdata;
        struct stored_row *row;
        struct rrset rr = {};

        if (lab->no_memory)
                return -ENOMEM;
        lab->n_puts++;
        lab->writes[lab->n_writes++] = part;
        if (lab->break_rows)
                return 0;
        row = find_row(lab, key);
        rrset_clear(&row->rr);
        if (key->rdata_size > 0)
                assert_int_equal(rrset_add(&rr, key->type, key->rdata, (uint16_t) key->rdata_size), 0);
        *row = (struct stored_row){ .there = true,
                                    .mode = key->mode,
                                    .zone = key->zone,
                                    .owner = key->owner,
                                    .type = key->type,
                                    .rr = rr,
                                    .flags = key->flags,
                                    .size = key->values_size };
        assert_true(key->values_size <= sizeof(row->values));
        memcpy(row->values, key->values, key->values_size);
        return 0;
}

_unused_ static int lab_delete(void *userdata, struct unit_part *part, const struct unit_row *key,
                               waiter_done done)
{
        struct lab *lab = userdata;
        struct stored_row *row = find_row(lab, key);

        if (lab->no_memory)
                return -ENOMEM;
        assert_true(row->there);
        lab->n_deletes++;
        lab->writes[lab->n_writes++] = part;
        if (lab->break_rows)
                return 0;
        rrset_clear(&row->rr);
        *row = (struct stored_row){};
        return 0;
}

_unused_ static unsigned n_rows(const struct lab *lab)
{
        unsigned n = 0;

        for (unsigned i = 0; i < ROWS_MAX; i++)
                n += lab->rows[i].there;
        return n;
}

/* --- what it is told --- */

_unused_ static void lab_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                                const char *reason)
{
        struct end *end = container_of(waiter, struct end, waiter);

        assert_false(end->ended);
        assert_null(waiter->unit);
        end->ended = true;
        if (end->twin) {
                plan_waiter_cancel(&end->twin->waiter);
                memset(end->twin, 0xaa, sizeof(*end->twin));
        }
        end->outcome = outcome;
        snprintf(end->reason, sizeof(end->reason), "%s", reason ?: "");
}

_unused_ static void lab_refused(void *userdata, struct unit *unit, uint16_t type, const char *reason)
{
        struct lab *lab = userdata;

        lab->n_refusals++;
        lab->refused_type = type;
        snprintf(lab->refused_reason, sizeof(lab->refused_reason), "%s", reason);
}

_unused_ static bool lab_adopts(void *userdata, const struct unit *unit, const struct rrset *rr)
{
        assert_true(unit_mode(unit) == UNIT_SHARED ? !rrset_is_empty(rr) : !rr);
        return ((struct lab *) userdata)->adopts;
}

_unused_ static void lab_drifted(void *userdata, const struct unit *unit)
{
        ((struct lab *) userdata)->n_drifts++;
}

_unused_ static void lab_lane_changed(void *userdata, unsigned lane)
{
        ((struct lab *) userdata)->n_lane_changes++;
}

_unused_ static void lab_ready(void *userdata)
{
        ((struct lab *) userdata)->n_ready++;
}

static const struct plan_ops lab_ops = {
        .put_row = lab_put,
        .delete_row = lab_delete,
        .waited = lab_waited,
        .refused = lab_refused,
        .adopts = lab_adopts,
        .drifted = lab_drifted,
        .lane_changed = lab_lane_changed,
        .ready = lab_ready,
};

static const struct plan_options plain = {
        .protect_foreign = true,
        .verify = true,
        .bounded = true,
        .margin_sec = MARGIN_SEC,
        .max_units = 8,
        .max_in_flight = 2,
};

/* --- life --- */

_unused_ static void make_plan(struct lab *lab)
{
        struct dns_name zone = name_of("d.example."), reverse = name_of("10.in-addr.arpa.");

        lab->plan = plan_new(&lab->options, &lab_ops, lab, 42);
        assert_non_null(lab->plan);
        lab->plan->fudge_sec = FUDGE_SEC;
        lab->plan->now_usec = lab->now;
        assert_int_equal(plan_add_lane(lab->plan, UNIT_EXCLUSIVE, &zone), FORWARD);
        assert_int_equal(plan_add_lane(lab->plan, UNIT_SHARED, &reverse), REVERSE);
}

_unused_ static void set_up(struct lab *lab, const struct plan_options *options)
{
        *lab = (struct lab){ .now = 1000 * USEC_PER_SEC, .options = *options };
        make_plan(lab);
}

_unused_ static void tear_down(struct lab *lab)
{
        lab->plan = plan_free(lab->plan);
        for (unsigned i = 0; i < OWNERS_MAX; i++)
                rrset_clear(&lab->contents[i].set);
        for (unsigned i = 0; i < ROWS_MAX; i++)
                rrset_clear(&lab->rows[i].rr);
}

_unused_ static unsigned lane_of(const char *owner)
{
        return strstr(owner, "arpa") ? REVERSE : FORWARD;
}

/* What is wanted at a name, from what was wanted before. */
_unused_ static void want(struct lab *lab, const char *owner, const char *before, const char *wanted)
{
        struct dns_name name = name_of(owner);
        struct rrset old = set_of(before), new = set_of(wanted);

        assert_int_equal(plan_change(lab->plan, lane_of(owner), &name, &old, &new), 0);
        rrset_clear(&old);
        rrset_clear(&new);
        lab_tell(lab);
}

_unused_ static struct unit *unit_at(const struct lab *lab, const char *owner)
{
        struct dns_name name = name_of(owner);

        return plan_find(lab->plan, lane_of(owner), &name);
}

_unused_ static void wait_at(struct lab *lab, const char *owner, struct end *end)
{
        *end = (struct end){};
        assert_non_null(unit_at(lab, owner));
        plan_wait(unit_at(lab, owner), &end->waiter);
}

static void load_row(struct lab *lab, const struct stored_row *row)
{
        struct unit_row loaded = { .mode = row->mode,
                                   .zone = row->zone,
                                   .owner = row->owner,
                                   .type = row->type,
                                   .flags = row->flags,
                                   .values = row->values,
                                   .values_size = row->size };
        struct rrset_item item;
        uint32_t position = 0;

        if (rrset_next(&row->rr, &position, &item)) {
                loaded.rdata = item.rdata;
                loaded.rdata_size = item.length;
        }
        assert_int_equal(plan_load(lab->plan, row->mode == UNIT_SHARED ? REVERSE : FORWARD, &loaded), 0);
}

/* Those of one owner one after the other, as the store has them. */
static void load_rows(struct lab *lab)
{
        bool loaded[ROWS_MAX] = {};

        for (unsigned i = 0; i < ROWS_MAX; i++)
                for (unsigned j = i; lab->rows[i].there && !loaded[i] && j < ROWS_MAX; j++) {
                        const struct stored_row *row = &lab->rows[j];

                        if (!row->there || loaded[j] || !dns_name_equal(&row->owner, &lab->rows[i].owner))
                                continue;
                        load_row(lab, row);
                        loaded[j] = j > i;
                }
}

/* kill -9, and a start: "owner" is wanted as given. */
_unused_ static void start_again(struct lab *lab, const char *owner, const char *wanted)
{
        plan_free(lab->plan);
        lab->n_writes = 0;
        make_plan(lab);
        plan_load_begin(lab->plan);
        if (owner)
                want(lab, owner, NULL, wanted);
        load_rows(lab);
        plan_load_done(lab->plan, lab->now);
        lab_tell(lab);
}

/* --- the server --- */

_unused_ static struct content *content_of(struct lab *lab, const struct dns_name *owner)
{
        struct content *unused = NULL;

        for (unsigned i = 0; i < OWNERS_MAX; i++) {
                if (lab->contents[i].owner.length == 0)
                        unused = unused ?: &lab->contents[i];
                else if (dns_name_equal(&lab->contents[i].owner, owner))
                        return &lab->contents[i];
        }
        assert_non_null(unused);
        unused->owner = *owner;
        return unused;
}

_unused_ static void serve(struct lab *lab, const char *owner, const char *texts)
{
        struct dns_name name = name_of(owner);
        struct content *content = content_of(lab, &name);

        rrset_clear(&content->set);
        content->set = set_of(texts);
}

_unused_ static void assert_serves(struct lab *lab, const char *owner, const char *texts)
{
        struct dns_name name = name_of(owner);
        struct rrset expected = set_of(texts);

        assert_true(rrset_equal(&content_of(lab, &name)->set, &expected));
        rrset_clear(&expected);
}

_unused_ static bool holds(struct lab *lab, const struct unit *unit)
{
        struct dns_name owner = unit_owner(unit);
        struct content *content = content_of(lab, &owner);
        struct plan_position position = {};
        struct plan_item item;

        while (plan_item_next(unit, &position, &item)) {
                struct rrset there = content->made_up ? (struct rrset){}
                                                      : rrset_of_type(&content->set, item.type);

                if (item.type == DNS_TYPE_CNAME && content->alias)
                        return false;
                if (item.before && !rrset_equal(item.before, &there))
                        return false;
        }
        return true;
}

_unused_ static void change(struct lab *lab, const struct unit *unit)
{
        struct dns_name owner = unit_owner(unit);
        struct content *content = content_of(lab, &owner);
        struct plan_position position = {};
        struct plan_item item;

        while (plan_item_next(unit, &position, &item)) {
                struct rrset_item one;
                struct rrset next = {};
                uint32_t at = 0;

                if (!item.after)
                        continue;
                while (rrset_next(&content->set, &at, &one)) {
                        bool ours = unit_mode(unit) == UNIT_SHARED ? rrset_contains(&item.part->rr, &one)
                                                                   : one.type == item.type;

                        if (!ours)
                                assert_int_equal(rrset_add_item(&next, &one), 0);
                }
                assert_int_equal(rrset_add_all(&next, item.after), 0);
                rrset_clear(&content->set);
                content->set = next;
        }
}

/* As the server would. */
_unused_ static enum plan_outcome serve_batch(struct lab *lab, const struct plan_batch *batch)
{
        for (unsigned i = 0; i < batch->n_units; i++)
                if (!holds(lab, batch->units[i]))
                        return PLAN_PREREQUISITE;
        for (unsigned i = 0; i < batch->n_units && batch->action != PLAN_VERIFY; i++)
                change(lab, batch->units[i]);
        return PLAN_ACKNOWLEDGED;
}

/* What is to be sent now, rows that come before it included. */
_unused_ static struct plan_batch *take(struct lab *lab)
{
        struct plan_batch *batch;

        while (!(batch = plan_next(lab->plan, lab->now)) && lab->n_writes > 0 && !lab->hold_rows)
                lab_tell(lab);
        return batch;
}

_unused_ static struct plan_batch *next(struct lab *lab, enum plan_action action, unsigned n_units)
{
        struct plan_batch *batch = take(lab);

        assert_non_null(batch);
        assert_int_equal(batch->action, action);
        assert_int_equal(batch->n_units, n_units);
        return batch;
}

_unused_ static void put_out(struct lab *lab, struct plan_batch *batch)
{
        plan_sent(batch, lab->now / USEC_PER_SEC, FUDGE_SEC, 1, lab->now);
}

_unused_ static void finish(struct lab *lab, struct plan_batch *batch, enum plan_outcome outcome)
{
        plan_finish(batch, outcome, outcome == PLAN_ACKNOWLEDGED ? NULL : "because", lab->now);
        lab_tell(lab);
}

_unused_ static void answer(struct lab *lab, struct plan_batch *batch)
{
        for (unsigned i = 0; i < batch->n_units; i++) {
                struct dns_name owner = unit_owner(batch->units[i]);
                const struct content *content = content_of(lab, &owner);

                if (batch->action == PLAN_QUERY)
                        plan_answer(batch, i, &content->set, content->alias, lab->now);
                else
                        plan_probed(batch, i, NULL, rrset_is_empty(&content->set) && !content->alias,
                                    lab->now);
        }
        plan_finish_rest(batch, PLAN_ACKNOWLEDGED, NULL, lab->now);
        lab_tell(lab);
}

/* The batch is sent, and answered in time. */
_unused_ static void exchange(struct lab *lab, struct plan_batch *batch)
{
        if (batch->action == PLAN_QUERY || batch->action == PLAN_PROBE) {
                answer(lab, batch);
                return;
        }
        put_out(lab, batch);
        finish(lab, batch, serve_batch(lab, batch));
}

/* The batch is sent, and no answer comes; "applied" or not. */
_unused_ static void lose(struct lab *lab, struct plan_batch *batch, bool applied)
{
        put_out(lab, batch);
        if (applied)
                (void) serve_batch(lab, batch); /* whatever it would have answered */
        finish(lab, batch, PLAN_LOST);
        lab->plan->lanes[FORWARD].backoff_until_usec = lab->plan->lanes[REVERSE].backoff_until_usec = 0;
}

/* Everything that there is to be sent now. */
_unused_ static unsigned exchange_all(struct lab *lab)
{
        struct plan_batch *batch;
        unsigned n = 0;

        for (; n < 100 && (batch = take(lab)); n++)
                exchange(lab, batch);
        assert_true(n < 100);
        return n;
}

/* And everything that there will be. */
_unused_ static void exchange_on(struct lab *lab)
{
        for (unsigned i = 0; i < 100; i++) {
                usec_t deadline;

                (void) exchange_all(lab); /* how many does not matter */
                deadline = plan_deadline(lab->plan);
                if (deadline == USEC_INFINITY)
                        return;
                lab->now = MAX(lab->now, deadline);
        }
        assert_true(false);
}

_unused_ static void nothing_to_send(struct lab *lab)
{
        assert_null(take(lab));
}

_unused_ static void is_quiet(struct lab *lab)
{
        nothing_to_send(lab);
        assert_int_equal(lab->plan->n_units, 0);
        assert_int_equal(lab->plan->n_refused, 0);
        assert_int_equal(lab->plan->n_settling, 0);
        assert_int_equal(lab->plan->n_in_flight, 0);
        assert_int_equal(plan_deadline(lab->plan), USEC_INFINITY);
}

_unused_ static bool was_told(const struct end *end, enum wait_outcome outcome)
{
        return end->ended && end->outcome == outcome;
}

/* A name that was published, by a plan that forgot it since. */
_unused_ static void published(struct lab *lab, const char *owner, const char *texts)
{
        want(lab, owner, NULL, texts);
        (void) exchange_all(lab); /* is_quiet() tells */
        is_quiet(lab);
        lab->n_puts = 0;
}
