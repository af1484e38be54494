/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ends of one name's leases and what moves with them, as a value: what a refresh changes, and all that
 * has to be written for it. It names the state that it is of, so that it can neither overwrite a newer one
 * nor come to a later owner. */

#include "registry/state.h"

/* A lease as it is stored: its length in seconds, its end on the lease clock in microseconds; big endian. */
#define STORED_LEASE_SIZE 12

struct moved_ends {
        uint64_t generation;
        uint32_t moves; /* of the state, as it was then */
        uint32_t key_lease_sec;
        usec_t key_end_usec;
        usec_t seen_usec;
        uint32_t inception;
        uint32_t expiration;
        uint8_t n_hashes;
        uint16_t n_records;
        const char *label; /* in the same piece of memory, as are: */
        uint8_t octets[];  /* the hashes, newest first, then the leases in the order of the records */
};

/* NULL when memory is out; free(). */
struct moved_ends *moved_ends_new(const char *label, const struct name_state *state);

/* The other way, for reading: sizes in octets. 0, -EBADMSG, -ENOMEM. */
int stored_hashes_read(struct name_state *state, const uint8_t *octets, size_t size);
/* All records are there. */
int stored_leases_read(struct name_state *state, const uint8_t *octets, size_t size);
