/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>

#include "store/ends.h"

struct moved_ends *moved_ends_new(const char *label, const struct name_state *state)
{
        size_t hashes_size = (size_t) state->n_hashes * REPLAY_HASH_SIZE;
        size_t leases_size = (size_t) state->n_records * STORED_LEASE_SIZE, label_size = strlen(label) + 1;
        struct moved_ends *ends = malloc(sizeof(*ends) + hashes_size + leases_size + label_size);
        uint8_t *octets;

        if (!ends)
                return NULL;
        *ends = (struct moved_ends){
                .generation = state->generation,
                .moves = state->moves,
                .key_lease_sec = state->key_lease_sec,
                .key_end_usec = state->key_end_usec,
                .seen_usec = state->seen_usec,
                .inception = state->inception,
                .expiration = state->expiration,
                .n_hashes = state->n_hashes,
                .n_records = state->n_records,
        };
        octets = ends->octets;
        if (state->n_hashes > 0)
                memcpy(octets, state->hash, REPLAY_HASH_SIZE);
        if (state->n_hashes > 1)
                memcpy(octets + REPLAY_HASH_SIZE, state->earlier, hashes_size - REPLAY_HASH_SIZE);
        octets += hashes_size;
        for (unsigned i = 0; i < state->n_records; i++) {
                uint32_t lease_sec = htobe32(state->records[i].lease_sec);
                uint64_t end_usec = htobe64(state->records[i].end_usec);

                memcpy(octets, &lease_sec, sizeof(lease_sec));
                memcpy(octets + sizeof(lease_sec), &end_usec, sizeof(end_usec));
                octets += STORED_LEASE_SIZE;
        }
        memcpy(octets, label, label_size);
        ends->label = (const char *) octets;
        return ends;
}

int stored_hashes_read(struct name_state *state, const uint8_t *octets, size_t size)
{
        if (size == 0)
                return 0;
        if (size % REPLAY_HASH_SIZE != 0 || size / REPLAY_HASH_SIZE > REPLAY_HASHES_MAX)
                return -EBADMSG;
        state->n_hashes = (uint8_t) (size / REPLAY_HASH_SIZE);
        memcpy(state->hash, octets, REPLAY_HASH_SIZE);
        if (state->n_hashes == 1)
                return 0;
        state->earlier = malloc(size - REPLAY_HASH_SIZE);
        if (!state->earlier)
                return -ENOMEM;
        memcpy(state->earlier, octets + REPLAY_HASH_SIZE, size - REPLAY_HASH_SIZE);
        return 0;
}

int stored_leases_read(struct name_state *state, const uint8_t *octets, size_t size)
{
        if (size != (size_t) state->n_records * STORED_LEASE_SIZE)
                return -EBADMSG;
        for (unsigned i = 0; i < state->n_records; i++) {
                uint32_t lease_sec;
                uint64_t end_usec;

                memcpy(&lease_sec, octets, sizeof(lease_sec));
                memcpy(&end_usec, octets + sizeof(lease_sec), sizeof(end_usec));
                state->records[i].lease_sec = be32toh(lease_sec);
                state->records[i].end_usec = be64toh(end_usec);
                octets += STORED_LEASE_SIZE;
        }
        return 0;
}
