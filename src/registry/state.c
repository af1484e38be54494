/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/state.h"

struct name_state *name_state_new(void)
{
        return calloc(1, sizeof(struct name_state));
}

static void drop_records(struct name_state *state)
{
        for (unsigned i = 0; i < state->n_records; i++)
                record_clear(&state->records[i]);
        free(state->records);
        state->records = NULL;
        state->n_records = 0;
}

struct name_state *name_state_free(struct name_state *state)
{
        if (!state)
                return NULL;
        free(state->earlier);
        free(state->blocked_reason);
        free(state->banned_fingerprint);
        free(state->key);
        drop_records(state);
        free(state);
        return NULL;
}

/* A key is stored as long as it is: most are 64 octets, the largest 520. */
static size_t key_size(const struct dns_key *key)
{
        return offsetof(struct dns_key, public_key) + key->length;
}

static int copy_string(char **to, const char *from)
{
        *to = from ? strdup(from) : NULL;
        return from && !*to ? -ENOMEM : 0;
}

struct name_state *name_state_copy(const struct name_state *state)
{
        _cleanup_(name_state_freep) struct name_state *copy = name_state_new();

        if (!copy || !state)
                return TAKE_PTR(copy);

        *copy = *state;
        copy->earlier = NULL;
        copy->blocked_reason = copy->banned_fingerprint = NULL;
        copy->key = NULL;
        copy->records = NULL;
        copy->n_records = 0;
        /* It becomes a state of its own, with the ends as they are. */
        copy->generation = 0;
        copy->moves = copy->moves_stored = 0;

        if (state->n_hashes > 1) {
                copy->earlier = reallocarray(NULL, state->n_hashes - 1U, REPLAY_HASH_SIZE);
                if (!copy->earlier)
                        return NULL;
                memcpy(copy->earlier, state->earlier, (state->n_hashes - 1U) * REPLAY_HASH_SIZE);
        }
        if (copy_string(&copy->blocked_reason, state->blocked_reason) < 0 ||
            copy_string(&copy->banned_fingerprint, state->banned_fingerprint) < 0)
                return NULL;
        if (state->key && name_state_set_key(copy, state->key) < 0)
                return NULL;
        if (state->n_records > 0) {
                copy->records = calloc(state->n_records, sizeof(struct record));
                if (!copy->records)
                        return NULL;
                for (; copy->n_records < state->n_records; copy->n_records++)
                        if (record_copy(&copy->records[copy->n_records], &state->records[copy->n_records]) <
                            0)
                                return NULL;
        }
        return TAKE_PTR(copy);
}

int name_state_set_key(struct name_state *state, const struct dns_key *key)
{
        struct dns_key *copy = malloc(key_size(key));

        if (!copy)
                return -ENOMEM;
        memcpy(copy, key, key_size(key));
        free(state->key);
        state->key = copy;
        state->key_tag = dns_key_tag(key);
        return 0;
}

struct record *name_state_find(const struct name_state *state, const struct record_value *value)
{
        if (!state)
                return NULL;
        for (unsigned i = 0; i < state->n_records; i++)
                if (record_is(&state->records[i], value))
                        return &state->records[i];
        return NULL;
}

struct record *name_state_add(struct name_state *state, const struct record_value *value)
{
        struct record *record = name_state_find(state, value), *records;

        if (record)
                return record;
        records = reallocarray(state->records, state->n_records + 1U, sizeof(*records));
        if (!records)
                return NULL;
        state->records = records;
        record = &records[state->n_records];
        if (record_init(record, value) < 0)
                return NULL;
        state->n_records++;
        return record;
}

void name_state_remove(struct name_state *state, struct record *record)
{
        record_clear(record);
        *record = state->records[--state->n_records];
}

void name_state_release(struct name_state *state)
{
        state->claimed = false;
        state->provisional = PROVISIONAL_NO;
        free(state->key);
        state->key = NULL;
        drop_records(state);
        state->key_lease_sec = 0;
        state->key_end_usec = 0;
        state->claimed_usec = 0;
        state->source = (struct address){};
}

int name_state_remember(struct name_state *state, uint32_t inception, uint32_t expiration,
                        const uint8_t *hash)
{
        if (state->n_hashes > 0 && state->inception == inception) {
                uint8_t(*earlier)[REPLAY_HASH_SIZE];

                earlier = reallocarray(state->earlier, state->n_hashes, REPLAY_HASH_SIZE);
                if (!earlier)
                        return -ENOMEM;
                memcpy(earlier[state->n_hashes - 1], state->hash, REPLAY_HASH_SIZE);
                state->earlier = earlier;
                state->n_hashes++;
        } else {
                free(state->earlier);
                state->earlier = NULL;
                state->n_hashes = 1;
        }
        if (state->expiration == 0 || (int32_t) (expiration - state->expiration) > 0)
                state->expiration = expiration;
        state->inception = inception;
        memcpy(state->hash, hash, REPLAY_HASH_SIZE);
        return 0;
}

void name_state_unblock(struct name_state *state)
{
        state->blocked_until_usec = 0;
        state->blocked_sec = 0;
        free(state->blocked_reason);
        state->blocked_reason = NULL;
}

usec_t name_state_block_forgotten(const struct name_state *state)
{
        if (state->blocked_until_usec == 0)
                return 0;
        return usec_add(state->blocked_until_usec, 2 * state->blocked_sec * USEC_PER_SEC);
}

bool name_state_is_empty(const struct name_state *state)
{
        return !state->claimed && !state->reserved && state->n_hashes == 0 &&
               state->blocked_until_usec == 0 && !state->banned_fingerprint;
}

void name_state_confirm(struct name_state *state)
{
        state->provisional = PROVISIONAL_NO;
        for (unsigned i = 0; i < state->n_records; i++)
                state->records[i].provisional = false;
}

/* Is all that a has of this kind in b. */
static bool has_all(const struct name_state *a, const struct name_state *b, bool addresses, bool others)
{
        for (unsigned i = 0; a && i < a->n_records; i++) {
                struct record_value value = record_value(&a->records[i]);
                bool address = record_is_address(&a->records[i]);

                if ((address ? addresses : others) && !name_state_find(b, &value))
                        return false;
        }
        return true;
}

bool name_state_same_records(const struct name_state *a, const struct name_state *b)
{
        return (a ? a->n_records : 0) == (b ? b->n_records : 0) && has_all(a, b, true, true);
}

bool name_state_same_addresses(const struct name_state *a, const struct name_state *b)
{
        return has_all(a, b, true, false) && has_all(b, a, true, false);
}

bool name_state_same_others(const struct name_state *a, const struct name_state *b)
{
        return has_all(a, b, false, true) && has_all(b, a, false, true);
}

/* Among the first n. */
static bool has_name(const struct name_state *state, const struct record_value *name, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                struct record_value value = record_value(&state->records[i]);

                if (record_is_beside(&value, name))
                        return true;
        }
        return false;
}

bool name_state_has_name(const struct name_state *state, const struct record_value *name)
{
        return has_name(state, name, state->n_records);
}

bool name_state_next_name(const struct name_state *state, unsigned *position, struct record_value *ret)
{
        if ((*position)++ == 0) {
                *ret = (struct record_value){};
                return true;
        }
        for (; *position - 2 < state->n_records; (*position)++) {
                struct record_value value = record_value(&state->records[*position - 2]);

                if (value.below_length == 0 || has_name(state, &value, *position - 2))
                        continue;
                *ret = (struct record_value){ .below_length = value.below_length, .below = value.below };
                return true;
        }
        return false;
}
