/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One key, two machines: told of a cloned machine, and never of one that moves about. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "registry/twins.h"

#define LEASE_SEC 3600

/* A name, what it has, and the time; requests are made of words. */
struct scene {
        struct twins *twins;
        struct name_state *state;
        struct dns_name name;
        usec_t now_usec;
        struct twin_sighting seen;
        unsigned n_news;
};

static struct address parse(const char *text)
{
        struct address address;

        assert_int_equal(address_parse(text, &address), 0);
        return address;
}

static void scene_name(struct scene *scene, const char *text)
{
        struct dns_key key = { .protocol = 3, .algorithm = 13, .length = 64 };

        name_state_free(scene->state);
        assert_int_equal(dns_name_parse(text, &scene->name), 0);
        scene->state = name_state_new();
        assert_non_null(scene->state);
        assert_int_equal(name_state_set_key(scene->state, &key), 0);
        scene->state->claimed = true;
}

static void scene_begin(struct scene *scene)
{
        *scene = (struct scene){ .twins = twins_new(), .now_usec = 1000 * USEC_PER_SEC };
        assert_non_null(scene->twins);
        scene_name(scene, "box.d.example.");
}

static void scene_end(struct scene *scene)
{
        name_state_free(scene->state);
        twins_free(scene->twins);
}

static void operate(struct scene *scene, struct update *update, const char *word)
{
        struct operation *operation = &update->operations[update->n_operations++];
        struct record *record;
        struct record_value value;

        *operation = (struct operation){ .kind = OPERATION_ADD, .type = DNS_TYPE_A };
        if (streq(word, "all")) {
                operation->kind = OPERATION_DELETE_RRSET;
                while (scene->state->n_records > 0)
                        name_state_remove(scene->state, &scene->state->records[0]);
                return;
        }
        operation->kind = *word == '-' ? OPERATION_DELETE_RR : OPERATION_ADD;
        operation->address = parse(*word == '-' ? word + 1 : word);
        value = record_value_of_address(&operation->address);
        record = name_state_find(scene->state, &value);
        if (operation->kind == OPERATION_ADD)
                assert_non_null(name_state_add(scene->state, &value));
        else if (record)
                name_state_remove(scene->state, record);
}

/* A request from "source": addresses that it asks for, "-ADDRESS" that it takes away, "all" in front where it
 * replaces the set; a minute after the last one. Whether it is told that there is another. */
static bool says(struct scene *scene, const char *source, const char *words)
{
        _cleanup_free_ char *copy = strdup(words);
        struct operation operations[32];
        struct update update = { .name = scene->name, .source = parse(source), .operations = operations };
        struct name_state *before = name_state_copy(scene->state);
        char *saved = NULL;

        assert_non_null(copy);
        assert_non_null(before);
        for (char *word = strtok_r(copy, " ", &saved); word; word = strtok_r(NULL, " ", &saved))
                operate(scene, &update, word);
        scene->now_usec += USEC_PER_MINUTE;
        scene->seen = twins_note(scene->twins, &update, before, LEASE_SEC, scene->now_usec);
        scene->n_news += scene->seen.news;
        name_state_free(before);
        return scene->seen.two;
}

static void assert_other(const struct scene *scene, const char *text)
{
        struct address expected = parse(text);

        assert_true(address_equal(&scene->seen.other, &expected));
}

static void test_a_clone_is_seen_at_the_third_request(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        assert_false(says(&scene, "10.0.0.1", "10.0.0.1"));
        assert_false(says(&scene, "10.0.0.2", "10.0.0.2"));
        assert_true(says(&scene, "10.0.0.1", "10.0.0.1"));
        assert_other(&scene, "10.0.0.2");
        assert_true(says(&scene, "10.0.0.2", "10.0.0.2"));
        assert_other(&scene, "10.0.0.1");
        /* One of them speaks more often than the other. */
        assert_true(says(&scene, "10.0.0.2", "10.0.0.2"));
        assert_other(&scene, "10.0.0.1");
        assert_true(says(&scene, "10.0.0.1", "10.0.0.1"));
        assert_other(&scene, "10.0.0.2");
        assert_int_equal(scene.n_news, 1);
        scene_end(&scene);
}

static void test_news_are_told_once_a_day(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        for (unsigned i = 0; i < 24 * 60 - 4; i++)
                says(&scene, i % 2 ? "10.0.0.1" : "10.0.0.2", i % 2 ? "10.0.0.1" : "10.0.0.2");
        assert_true(scene.seen.two);
        assert_int_equal(scene.n_news, 1);
        for (unsigned i = 0; i < 8; i++)
                says(&scene, i % 2 ? "10.0.0.1" : "10.0.0.2", i % 2 ? "10.0.0.1" : "10.0.0.2");
        assert_int_equal(scene.n_news, 2);
        scene_end(&scene);
}

/* Each start replaces the set, each refresh adds to it. */
static void test_clones_of_this_client(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        assert_false(says(&scene, "10.0.0.1", "all 10.0.0.1 10.0.9.9"));
        assert_false(says(&scene, "10.0.0.2", "all 10.0.0.2 10.0.9.9"));
        assert_true(says(&scene, "10.0.0.1", "10.0.0.1 10.0.9.9"));
        assert_true(says(&scene, "10.0.0.2", "10.0.0.2 10.0.9.9"));
        /* One stops and starts: that it was told is known for a while. */
        says(&scene, "10.0.0.1", "-10.0.0.1");
        says(&scene, "10.0.0.1", "all 10.0.0.1");
        assert_true(says(&scene, "10.0.0.2", "10.0.0.2"));
        assert_int_equal(scene.n_news, 1);
        scene_end(&scene);
}

static void test_a_laptop_moves_about(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        says(&scene, "10.0.0.1", "all 10.0.0.1");
        for (unsigned i = 0; i < 10; i++) {
                assert_false(says(&scene, "10.1.0.1", "-10.0.0.1 10.1.0.1"));
                assert_false(says(&scene, "10.1.0.1", "10.1.0.1"));
                assert_false(says(&scene, "10.0.0.1", "-10.1.0.1 10.0.0.1"));
                assert_false(says(&scene, "10.0.0.1", "10.0.0.1"));
        }
        scene_end(&scene);
}

/* It was switched off where it was, without a word, and comes back to where it woke. */
static void test_a_laptop_that_crashed_elsewhere(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        says(&scene, "10.0.0.1", "all 10.0.0.1");
        assert_false(says(&scene, "10.1.0.1", "all 10.1.0.1"));
        assert_false(says(&scene, "10.0.0.1", "-10.1.0.1 10.0.0.1"));
        assert_false(says(&scene, "10.1.0.1", "all 10.1.0.1"));
        assert_false(says(&scene, "10.0.0.1", "-10.1.0.1 10.0.0.1"));
        scene_end(&scene);
}

static void test_a_laptop_that_is_switched_off_between(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        for (unsigned i = 0; i < 10; i++) {
                const char *source = i % 2 ? "10.1.0.1" : "10.0.0.1";
                char words[64];

                snprintf(words, sizeof(words), "all %s", source);
                assert_false(says(&scene, source, words));
                snprintf(words, sizeof(words), "-%s", source);
                assert_false(says(&scene, source, words));
        }
        scene_end(&scene);
}

/* A script at each change of the network, with two of them in an hour; but not for ever. */
static void test_a_script_that_replaces_the_set(void **state)
{
        struct scene scene;
        unsigned n = 0;

        scene_begin(&scene);
        for (n = 1; n < 20 && !scene.seen.two; n++)
                says(&scene, n % 2 ? "10.0.0.1" : "10.1.0.1", n % 2 ? "all 10.0.0.1" : "all 10.1.0.1");
        assert_in_range(n - 1, 5, 6);
        scene_end(&scene);
}

static void test_one_machine_with_several_ways_out(void **state)
{
        static const struct {
                const char *source, *words;
        } rounds[][2] = {
                /* all of its addresses, from any of them */
                { { "10.0.0.1", "10.0.0.1 10.1.0.1 fd00::1" }, { "fd00::1", "10.0.0.1 10.1.0.1 fd00::1" } },
                /* one of two links comes and goes */
                { { "10.0.0.1", "10.0.0.1 10.1.0.1" }, { "10.1.0.1", "-10.0.0.1 10.1.0.1" } },
                /* a family at a time, each over itself */
                { { "10.0.0.1", "10.0.0.1" }, { "fd00::1", "fd00::1" } },
                /* an address at a time, over whichever way */
                { { "fd00::1", "10.0.0.1" }, { "10.0.0.1", "10.1.0.1" } },
                /* behind one address to the outside */
                { { "192.0.2.1", "10.0.0.1" }, { "192.0.2.1", "10.1.0.1" } },
                /* behind several that are dealt out by lot */
                { { "192.0.2.1", "10.0.0.1" }, { "192.0.2.2", "10.0.0.1" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(rounds); i++) {
                struct scene scene;

                scene_begin(&scene);
                for (unsigned j = 0; j < 20; j++)
                        assert_false(says(&scene, rounds[i][j % 2].source, rounds[i][j % 2].words));
                scene_end(&scene);
        }
}

static void test_what_is_over_is_forgotten(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        says(&scene, "10.0.0.1", "10.0.0.1");
        says(&scene, "10.0.0.2", "10.0.0.2");
        scene.now_usec += LEASE_SEC * USEC_PER_SEC;
        assert_false(says(&scene, "10.0.0.1", "10.0.0.1"));
        /* The other one is gone, and what it had with its lease. */
        says(&scene, "10.0.0.2", "10.0.0.2");
        assert_true(says(&scene, "10.0.0.1", "10.0.0.1"));
        while (scene.state->n_records > 0)
                name_state_remove(scene.state, &scene.state->records[0]);
        assert_false(says(&scene, "10.0.0.1", "10.0.0.1"));
        scene_end(&scene);
}

/* Who takes the other's away by name knows what it does. */
static void test_who_knows_of_the_other_ends_it(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        says(&scene, "10.0.0.1", "10.0.0.1");
        says(&scene, "10.0.0.2", "10.0.0.2");
        assert_true(says(&scene, "10.0.0.1", "10.0.0.1"));
        assert_false(says(&scene, "10.0.0.2", "-10.0.0.1 10.0.0.2"));
        assert_false(says(&scene, "10.0.0.1", "10.0.0.1"));
        scene_end(&scene);
}

/* Whatever else stands there: it is the other's that has to be passed over. */
static void test_what_nobody_of_them_asked_for(void **state)
{
        struct scene scene;
        struct address other = parse("10.5.5.5");
        struct record_value value = record_value_of_address(&other);

        scene_begin(&scene);
        says(&scene, "10.0.0.1", "10.0.0.1");
        says(&scene, "10.1.0.1", "all 10.1.0.1");
        while (scene.state->n_records > 0)
                name_state_remove(scene.state, &scene.state->records[0]);
        assert_non_null(name_state_add(scene.state, &value));
        assert_false(says(&scene, "10.0.0.1", "10.0.0.1"));
        scene_end(&scene);
}

/* It never takes anything away, and comes by three networks: but none of them twice. */
static void test_a_script_that_only_adds(void **state)
{
        struct scene scene;

        scene_begin(&scene);
        for (unsigned i = 1; i < 20; i++) {
                char address[32];

                snprintf(address, sizeof(address), "10.%u.0.1", i);
                assert_false(says(&scene, address, address));
        }
        scene_end(&scene);
}

static void test_another_owner_is_another_story(void **state)
{
        struct dns_key key = { .protocol = 3, .algorithm = 13, .length = 64, .public_key = { 1 } };
        struct scene scene;

        scene_begin(&scene);
        says(&scene, "10.0.0.1", "10.0.0.1");
        says(&scene, "10.0.0.2", "10.0.0.2");
        assert_int_equal(name_state_set_key(scene.state, &key), 0);
        assert_false(says(&scene, "10.0.0.1", "10.0.0.1"));
        scene_end(&scene);
}

/* A crowd is no reason to forget those that are seen now. */
static void test_a_crowd(void **state)
{
        struct scene scene;
        char name[64];

        scene_begin(&scene);
        for (unsigned i = 0; i < 5000; i++) {
                snprintf(name, sizeof(name), "box%u.d.example.", i);
                scene_name(&scene, name);
                says(&scene, "10.0.0.1", "10.0.0.1");
                says(&scene, "10.0.0.2", "10.0.0.2");
                assert_true(says(&scene, "10.0.0.1", "10.0.0.1"));
                scene.now_usec -= 3 * USEC_PER_MINUTE;
        }
        assert_in_range(scene.n_news, 1, 10);
        scene_end(&scene);
}

static void test_more_addresses_than_are_compared(void **state)
{
        struct scene scene;
        char words[1024] = "";

        scene_begin(&scene);
        for (unsigned i = 1; i <= 25; i++)
                snprintf(words + strlen(words), sizeof(words) - strlen(words), "10.0.1.%u ", i);
        says(&scene, "10.0.1.1", words);
        assert_false(says(&scene, "10.0.0.2", "10.0.0.2"));
        assert_true(says(&scene, "10.0.1.1", words));
        scene_end(&scene);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_clone_is_seen_at_the_third_request),
                cmocka_unit_test(test_news_are_told_once_a_day),
                cmocka_unit_test(test_clones_of_this_client),
                cmocka_unit_test(test_a_laptop_moves_about),
                cmocka_unit_test(test_a_laptop_that_crashed_elsewhere),
                cmocka_unit_test(test_a_laptop_that_is_switched_off_between),
                cmocka_unit_test(test_a_script_that_replaces_the_set),
                cmocka_unit_test(test_one_machine_with_several_ways_out),
                cmocka_unit_test(test_what_is_over_is_forgotten),
                cmocka_unit_test(test_who_knows_of_the_other_ends_it),
                cmocka_unit_test(test_what_nobody_of_them_asked_for),
                cmocka_unit_test(test_a_script_that_only_adds),
                cmocka_unit_test(test_another_owner_is_another_story),
                cmocka_unit_test(test_a_crowd),
                cmocka_unit_test(test_more_addresses_than_are_compared),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
