/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The publication plan on a long way: names with addresses of two kinds, pointers beside those of others,
 * wishes at any time, messages that are lost and come late, rows that are not written yet when the daemon is
 * killed. In the end it is quiet, and everything is as wanted. tests/model looks at every way, but at short
 * ones of one name. */

#include "plan-lab.h"

#define ROUNDS  2000
#define STEPS   160
#define LETTERS 64
#define ITEMS   96

/* A message on its way, as octets would be. */
struct letter {
        bool there;
        usec_t until_usec;
        bool update;
        unsigned n_items;
        struct letter_item {
                struct dns_name owner;
                bool shared, asks, changes;
                uint16_t type;
                struct rrset before, after, rr;
        } items[ITEMS];
};

static uint64_t random_state;

static unsigned pick(unsigned n)
{
        random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (unsigned) (random_state >> 33) % n;
}

static void write_letter(struct letter *letter, const struct plan_batch *batch, usec_t now)
{
        *letter = (struct letter){ .there = true,
                                   .until_usec = now + FUDGE_SEC * USEC_PER_SEC,
                                   .update = batch->action != PLAN_VERIFY };
        for (unsigned i = 0; i < batch->n_units; i++) {
                struct plan_position position = {};
                struct plan_item item;

                while (plan_item_next(batch->units[i], &position, &item)) {
                        struct letter_item *copy = &letter->items[letter->n_items++];

                        assert_true(letter->n_items <= ITEMS);
                        *copy = (struct letter_item){ .owner = unit_owner(batch->units[i]),
                                                      .shared = unit_mode(batch->units[i]) == UNIT_SHARED,
                                                      .asks = item.before,
                                                      .changes = item.after,
                                                      .type = item.type };
                        if (item.before)
                                assert_int_equal(rrset_copy(&copy->before, item.before), 0);
                        if (item.after) {
                                assert_int_equal(rrset_copy(&copy->after, item.after), 0);
                                assert_int_equal(rrset_copy(&copy->rr, &item.part->rr), 0);
                        }
                }
        }
}

static void burn_letter(struct letter *letter)
{
        for (unsigned i = 0; i < letter->n_items; i++) {
                rrset_clear(&letter->items[i].before);
                rrset_clear(&letter->items[i].after);
                rrset_clear(&letter->items[i].rr);
        }
        letter->there = false;
        letter->n_items = 0;
}

static void change_content(struct content *content, const struct letter_item *item)
{
        struct rrset_item one;
        struct rrset next = {};
        uint32_t at = 0;

        while (rrset_next(&content->set, &at, &one)) {
                bool ours = item->shared ? rrset_contains(&item->rr, &one) : one.type == item->type;

                if (!ours)
                        assert_int_equal(rrset_add_item(&next, &one), 0);
        }
        assert_int_equal(rrset_add_all(&next, &item->after), 0);
        rrset_clear(&content->set);
        content->set = next;
}

static enum plan_outcome read_letter(struct lab *lab, const struct letter *letter)
{
        for (unsigned i = 0; i < letter->n_items; i++) {
                const struct letter_item *item = &letter->items[i];
                struct rrset there = rrset_of_type(&content_of(lab, &item->owner)->set, item->type);

                if (item->asks && !rrset_equal(&item->before, &there))
                        return PLAN_PREREQUISITE;
        }
        for (unsigned i = 0; i < letter->n_items; i++)
                if (letter->items[i].changes)
                        change_content(content_of(lab, &letter->items[i].owner), &letter->items[i]);
        return PLAN_ACKNOWLEDGED;
}

struct walk {
        struct lab lab;
        struct letter letters[LETTERS];
        const char *wanted[8];
};

static const char *const owners[] = { "a.d.example.", "b.d.example.", "c.d.example.",
                                      "1.0.0.10.in-addr.arpa.", "2.0.0.10.in-addr.arpa." };
static const char *const addresses[] = { NULL,      "10.0.0.1",         "10.0.0.2",
                                         "fd00::1", "10.0.0.1 fd00::1", "10.0.0.3 fd00::2" };
static const char *const pointers[] = { NULL, "a.d.example.", "b.d.example.", "c.d.example." };

static void wish(struct walk *walk)
{
        unsigned i = pick(ELEMENTSOF(owners));
        const char *texts = lane_of(owners[i]) == REVERSE ? pointers[pick(ELEMENTSOF(pointers))]
                                                          : addresses[pick(ELEMENTSOF(addresses))];

        want(&walk->lab, owners[i], walk->wanted[i], texts);
        walk->wanted[i] = texts;
}

/* Whatever is on its way comes, now or never. */
static void deliver(struct walk *walk)
{
        struct letter *letter = &walk->letters[pick(LETTERS)];

        if (!letter->there)
                return;
        if (letter->until_usec >= walk->lab.now)
                (void) read_letter(&walk->lab, letter); /* nobody hears the answer */
        burn_letter(letter);
}

static void restart(struct walk *walk)
{
        struct lab *lab = &walk->lab;

        plan_free(lab->plan);
        lab->n_writes = 0;
        make_plan(lab);
        plan_load_begin(lab->plan);
        for (unsigned i = 0; i < ELEMENTSOF(owners); i++)
                want(lab, owners[i], NULL, walk->wanted[i]);
        load_rows(lab);
        plan_load_done(lab->plan, lab->now);
        lab_tell(lab);
}

static void transact(struct walk *walk, bool calm)
{
        struct lab *lab = &walk->lab;
        struct plan_batch *batch = take(lab);
        struct letter letter, *kept;
        unsigned fate = calm ? 0 : pick(6);

        if (!batch) {
                usec_t deadline = plan_deadline(lab->plan);

                if (deadline != USEC_INFINITY && (calm || pick(3) == 0))
                        lab->now = MAX(lab->now, deadline);
                return;
        }
        if (batch->action == PLAN_QUERY || batch->action == PLAN_PROBE) {
                answer(lab, batch);
                return;
        }
        if (fate == 1) {
                finish(lab, batch, PLAN_UNSENT);
                return;
        }
        put_out(lab, batch);
        write_letter(&letter, batch, lab->now);
        if (fate == 2 || fate == 3) {
                /* No answer; perhaps applied, perhaps later. */
                finish(lab, batch, fate == 2 ? PLAN_LOST : PLAN_AGAIN);
                kept = &walk->letters[pick(LETTERS)];
                burn_letter(kept);
                *kept = letter;
                return;
        }
        finish(lab, batch, fate == 4 && pick(3) == 0 ? PLAN_REJECTED : read_letter(lab, &letter));
        burn_letter(&letter);
}

static void step(struct walk *walk, bool calm)
{
        if (!calm && pick(4) == 0)
                wish(walk);
        if (pick(3) == 0)
                deliver(walk);
        if (!calm && pick(40) == 0)
                restart(walk);
        if (!calm)
                walk->lab.hold_rows = pick(4) == 0;
        else
                walk->lab.hold_rows = false;
        lab_tell(&walk->lab);
        if (calm || pick(10) == 0)
                plan_flush(walk->lab.plan);
        transact(walk, calm);
}

static bool rests(struct walk *walk)
{
        return !take(&walk->lab) && plan_deadline(walk->lab.plan) == USEC_INFINITY;
}

static void test_walk(void **state)
{
        static struct walk walk;

        for (unsigned round = 0; round < ROUNDS; round++) {
                random_state = round * 7919 + 1;
                walk = (struct walk){};
                set_up(&walk.lab, &plain);
                walk.lab.options.read_back = round % 2;
                walk.lab.plan->options.read_back = round % 2;
                serve(&walk.lab, "1.0.0.10.in-addr.arpa.", "printer.example.");
                for (unsigned i = 0; i < STEPS; i++)
                        step(&walk, false);
                for (unsigned i = 0; i < 2000; i++) {
                        step(&walk, true);
                        if (walk.lab.plan->n_in_flight == 0 &&
                            plan_deadline(walk.lab.plan) == USEC_INFINITY && walk.lab.plan->n_units == 0)
                                break;
                }
                assert_true(rests(&walk));
                if (walk.lab.n_refusals > 0 || walk.lab.plan->n_units > 0)
                        print_message("round %u: %u refusals, %u units\n", round, walk.lab.n_refusals,
                                      walk.lab.plan->n_units);
                assert_int_equal(walk.lab.n_refusals, 0);
                is_quiet(&walk.lab);
                for (unsigned i = 0; i < ELEMENTSOF(owners); i++) {
                        char texts[128];

                        snprintf(texts, sizeof(texts), "%s%s", walk.wanted[i] ?: "",
                                 i == 3 ? " printer.example." : "");
                        if (i < ELEMENTSOF(owners))
                                assert_serves(&walk.lab, owners[i], texts);
                }
                for (unsigned i = 0; i < LETTERS; i++)
                        burn_letter(&walk.letters[i]);
                tear_down(&walk.lab);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_walk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
