/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/database.h"

int database_put_record(struct database *database, const char *zone, const char *label, unsigned position,
                        const struct record_value *value, bool proven, bool provisional)
{
        database_bind_text(database, STATEMENT_PUT_RECORD, 1, zone);
        database_bind_text(database, STATEMENT_PUT_RECORD, 2, label);
        database_bind_integer(database, STATEMENT_PUT_RECORD, 3, position);
        database_bind_blob(database, STATEMENT_PUT_RECORD, 4, value->below, value->below_length);
        database_bind_integer(database, STATEMENT_PUT_RECORD, 5, value->type);
        database_bind_blob(database, STATEMENT_PUT_RECORD, 6, value->rdata, value->length);
        database_bind_integer(database, STATEMENT_PUT_RECORD, 7, proven);
        database_bind_integer(database, STATEMENT_PUT_RECORD, 8, provisional);
        return database_run(database, STATEMENT_PUT_RECORD);
}

static int put_records(struct database *database, const char *zone, const char *label,
                       const struct name_state *state)
{
        int r;

        for (unsigned i = 0; i < state->n_records; i++) {
                const struct record *record = &state->records[i];
                struct record_value value = record_value(record);

                r = database_put_record(database, zone, label, i, &value, record->proven,
                                        record->provisional);
                if (r < 0)
                        return r;
        }
        database_bind_text(database, STATEMENT_CUT_RECORDS, 1, zone);
        database_bind_text(database, STATEMENT_CUT_RECORDS, 2, label);
        database_bind_integer(database, STATEMENT_CUT_RECORDS, 3, state->n_records);
        return database_run(database, STATEMENT_CUT_RECORDS);
}

static int put_ends(struct database *database, enum database_statement which, const char *zone,
                    const struct moved_ends *ends)
{
        database_bind_text(database, which, 1, zone);
        database_bind_text(database, which, 2, ends->label);
        database_bind_integer(database, which, 3, (int64_t) ends->generation);
        database_bind_integer(database, which, 4, ends->key_lease_sec);
        database_bind_usec(database, which, 5, ends->key_end_usec);
        database_bind_usec(database, which, 6, ends->seen_usec);
        database_bind_integer(database, which, 7, ends->inception);
        database_bind_integer(database, which, 8, ends->expiration);
        database_bind_blob(database, which, 9, ends->octets, (size_t) ends->n_hashes * REPLAY_HASH_SIZE);
        database_bind_blob(database, which, 10, ends->octets + (size_t) ends->n_hashes * REPLAY_HASH_SIZE,
                           (size_t) ends->n_records * STORED_LEASE_SIZE);
        return database_run(database, which);
}

int database_move_ends(struct database *database, const struct dns_name *zone, const struct moved_ends *ends)
{
        char zone_text[DNS_NAME_FORMAT_MAX];

        return put_ends(database, STATEMENT_MOVE_ENDS, dns_name_format(zone, zone_text), ends);
}

static void bind_name(struct database *database, const struct name_state *state, uint8_t *key, char *source)
{
        database_bind_integer(database, STATEMENT_PUT_NAME, 3, (int64_t) state->generation);
        database_bind_integer(database, STATEMENT_PUT_NAME, 4, state->claimed);
        database_bind_integer(database, STATEMENT_PUT_NAME, 5, state->reserved);
        database_bind_integer(database, STATEMENT_PUT_NAME, 6, state->provisional);
        if (state->key)
                database_bind_blob(database, STATEMENT_PUT_NAME, 7, key,
                                   dns_key_to_rdata(state->key, key, DNS_KEY_PUBLIC_MAX + 4));
        database_bind_usec(database, STATEMENT_PUT_NAME, 8, state->claimed_usec);
        if (state->source.family)
                database_bind_text(database, STATEMENT_PUT_NAME, 9, address_format(&state->source, source));
        database_bind_usec(database, STATEMENT_PUT_NAME, 10, state->blocked_until_usec);
        database_bind_integer(database, STATEMENT_PUT_NAME, 11, state->blocked_sec);
        if (state->blocked_reason)
                database_bind_text(database, STATEMENT_PUT_NAME, 12, state->blocked_reason);
        if (state->banned_fingerprint)
                database_bind_text(database, STATEMENT_PUT_NAME, 13, state->banned_fingerprint);
}

int database_put_name(struct database *database, const struct dns_name *zone, const char *label,
                      const struct name_state *state)
{
        char zone_text[DNS_NAME_FORMAT_MAX], source[ADDRESS_FORMAT_MAX];
        _cleanup_free_ struct moved_ends *ends = NULL;
        uint8_t key[DNS_KEY_PUBLIC_MAX + 4];
        int r;

        assert(!state->claimed || state->key);
        dns_name_format(zone, zone_text);
        if (name_state_is_empty(state)) {
                database_bind_text(database, STATEMENT_DELETE_NAME, 1, zone_text);
                database_bind_text(database, STATEMENT_DELETE_NAME, 2, label);
                return database_run(database, STATEMENT_DELETE_NAME);
        }
        assert(state->generation > 0);
        ends = moved_ends_new(label, state);
        if (!ends)
                return -ENOMEM;
        database_bind_text(database, STATEMENT_PUT_NAME, 1, zone_text);
        database_bind_text(database, STATEMENT_PUT_NAME, 2, label);
        bind_name(database, state, key, source);
        r = database_run(database, STATEMENT_PUT_NAME);
        if (r >= 0)
                r = put_ends(database, STATEMENT_PUT_ENDS, zone_text, ends);
        return r < 0 ? r : put_records(database, zone_text, label, state);
}

int database_put_serial(struct database *database, const struct dns_name *zone, uint32_t serial)
{
        char text[DNS_NAME_FORMAT_MAX];

        database_bind_text(database, STATEMENT_PUT_SERIAL, 1, dns_name_format(zone, text));
        database_bind_integer(database, STATEMENT_PUT_SERIAL, 2, serial);
        return database_run(database, STATEMENT_PUT_SERIAL);
}

int database_put_import(struct database *database, const struct dns_name *zone, usec_t real_usec)
{
        char text[DNS_NAME_FORMAT_MAX];

        database_bind_text(database, STATEMENT_PUT_IMPORT, 1, dns_name_format(zone, text));
        database_bind_usec(database, STATEMENT_PUT_IMPORT, 2, real_usec);
        return database_run(database, STATEMENT_PUT_IMPORT);
}

int database_put_heartbeat(struct database *database, const struct heartbeat *heartbeat, uint64_t generation)
{
        database_bind_blob(database, STATEMENT_PUT_HEARTBEAT, 1, &heartbeat->run_id,
                           sizeof(heartbeat->run_id));
        database_bind_blob(database, STATEMENT_PUT_HEARTBEAT, 2, &heartbeat->boot_id,
                           sizeof(heartbeat->boot_id));
        database_bind_usec(database, STATEMENT_PUT_HEARTBEAT, 3, heartbeat->boottime_usec);
        database_bind_usec(database, STATEMENT_PUT_HEARTBEAT, 4, heartbeat->real_usec);
        database_bind_usec(database, STATEMENT_PUT_HEARTBEAT, 5, heartbeat->lease_usec);
        database_bind_usec(database, STATEMENT_PUT_HEARTBEAT, 6, heartbeat->refreshed_usec);
        database_bind_integer(database, STATEMENT_PUT_HEARTBEAT, 7, (int64_t) generation);
        return database_run(database, STATEMENT_PUT_HEARTBEAT);
}
