/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "store/database.h"

int database_read_heartbeat(struct database *database, struct heartbeat *ret, uint64_t *ret_generation,
                            bool *ret_found)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(database->handle,
                                      "SELECT run_id, boot_id, boottime_usec, real_usec, lease_usec,"
                                      " refreshed_usec, generation FROM heartbeat",
                                      -1, &statement, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        *ret_found = code == SQLITE_ROW;
        if (code == SQLITE_ROW) {
                *ret = (struct heartbeat){
                        .boottime_usec = (usec_t) sqlite3_column_int64(statement, 2),
                        .real_usec = (usec_t) sqlite3_column_int64(statement, 3),
                        .lease_usec = (usec_t) sqlite3_column_int64(statement, 4),
                        .refreshed_usec = (usec_t) sqlite3_column_int64(statement, 5),
                };
                *ret_generation = (uint64_t) sqlite3_column_int64(statement, 6);
                /* Others stay zero, which equals nothing. */
                if (sqlite3_column_bytes(statement, 0) == (int) sizeof(ret->run_id))
                        memcpy(&ret->run_id, sqlite3_column_blob(statement, 0), sizeof(ret->run_id));
                if (sqlite3_column_bytes(statement, 1) == (int) sizeof(ret->boot_id))
                        memcpy(&ret->boot_id, sqlite3_column_blob(statement, 1), sizeof(ret->boot_id));
        }
        sqlite3_finalize(statement);
        return database_to_errno(code);
}

/* --- names: three tables in the order of (zone, label), walked side by side instead of a query per name ---
 */

struct name_cursor {
        sqlite3_stmt *names, *ends, *records;
        int code, ends_code, records_code;
        bool leases_in_records;         /* schema 1 */
        struct lengthening lengthening; /* all 0: as it is stored */
};

static void name_cursor_close(struct name_cursor *cursor)
{
        sqlite3_finalize(cursor->names);
        sqlite3_finalize(cursor->ends);
        sqlite3_finalize(cursor->records);
}

static int name_cursor_begin(struct name_cursor *cursor)
{
        cursor->ends_code = sqlite3_step(cursor->ends);
        cursor->records_code = sqlite3_step(cursor->records);
        cursor->code = SQLITE_ROW;
        return database_to_errno(cursor->ends_code) ?: database_to_errno(cursor->records_code);
}

static bool is_same_name(sqlite3_stmt *a, sqlite3_stmt *b)
{
        return streq(database_text(a, 1), database_text(b, 1)) &&
               streq(database_text(a, 0), database_text(b, 0));
}

/* zone, label, generation, claimed, reserved, provisional, key, claimed_usec, source, blocked_until_usec,
 * blocked_sec, blocked_reason, banned_fingerprint */
static int read_name(sqlite3_stmt *statement, struct name_state *state)
{
        const char *source = database_text(statement, 8), *reason = database_text(statement, 11);
        const char *fingerprint = database_text(statement, 12);
        struct dns_key key;
        int r;

        state->generation = (uint64_t) sqlite3_column_int64(statement, 2);
        state->claimed = sqlite3_column_int(statement, 3);
        state->reserved = sqlite3_column_int(statement, 4);
        state->provisional = (enum provisional) sqlite3_column_int(statement, 5);
        if (state->claimed) {
                const void *rdata = sqlite3_column_blob(statement, 6);
                int size = sqlite3_column_bytes(statement, 6);

                if (!rdata || dns_key_from_rdata(rdata, (size_t) size, &key) < 0)
                        return -EBADMSG;
                r = name_state_set_key(state, &key);
                if (r < 0)
                        return r;
        }
        state->claimed_usec = (usec_t) sqlite3_column_int64(statement, 7);
        if (source && address_parse(source, &state->source) < 0)
                return -EBADMSG;
        state->blocked_until_usec = (usec_t) sqlite3_column_int64(statement, 9);
        state->blocked_sec = (uint32_t) sqlite3_column_int64(statement, 10);
        state->blocked_reason = reason ? strdup(reason) : NULL;
        state->banned_fingerprint = fingerprint ? strdup(fingerprint) : NULL;
        return (reason && !state->blocked_reason) || (fingerprint && !state->banned_fingerprint) ? -ENOMEM
                                                                                                 : 0;
}

/* zone, label, generation, key_lease_sec, key_end_usec, seen_usec, inception, expiration, hashes, leases */
static int read_ends(struct name_cursor *cursor, struct name_state *state)
{
        sqlite3_stmt *statement = cursor->ends;
        int r;

        if ((uint64_t) sqlite3_column_int64(statement, 2) != state->generation)
                return -EBADMSG;
        state->key_lease_sec = (uint32_t) sqlite3_column_int64(statement, 3);
        state->key_end_usec = (usec_t) sqlite3_column_int64(statement, 4);
        state->seen_usec = (usec_t) sqlite3_column_int64(statement, 5);
        state->inception = (uint32_t) sqlite3_column_int64(statement, 6);
        state->expiration = (uint32_t) sqlite3_column_int64(statement, 7);
        r = stored_hashes_read(state, sqlite3_column_blob(statement, 8),
                               (size_t) sqlite3_column_bytes(statement, 8));
        if (r < 0 || cursor->leases_in_records)
                return r;
        return stored_leases_read(state, sqlite3_column_blob(statement, 9),
                                  (size_t) sqlite3_column_bytes(statement, 9));
}

/* zone, label, address, proven, lease_sec, end_usec */
static int read_record_1(sqlite3_stmt *statement, struct name_state *state)
{
        const char *text = database_text(statement, 2);
        struct record_value value;
        struct record *record;
        struct address address;

        if (!text || address_parse(text, &address) < 0)
                return -EBADMSG;
        value = record_value_of_address(&address);
        if (name_state_find(state, &value))
                return -EBADMSG;
        record = name_state_add(state, &value);
        if (!record)
                return -ENOMEM;
        record->proven = sqlite3_column_int(statement, 3);
        record->provisional = state->provisional == PROVISIONAL_RECORDS;
        record->lease_sec = (uint32_t) sqlite3_column_int64(statement, 4);
        record->end_usec = (usec_t) sqlite3_column_int64(statement, 5);
        return 0;
}

/* An address is as long as addresses are: whoever reads it later takes that for granted. */
static bool is_sound(const struct record_value *value)
{
        if (value->type == DNS_TYPE_A || value->type == DNS_TYPE_AAAA)
                return value->below_length == 0 && value->length == (value->type == DNS_TYPE_A ? 4 : 16);
        return value->length > 0;
}

/* zone, label, below, type, rdata, proven, provisional */
static int read_record(struct name_cursor *cursor, struct name_state *state)
{
        sqlite3_stmt *statement = cursor->records;
        int below_length = sqlite3_column_bytes(statement, 2), length = sqlite3_column_bytes(statement, 4);
        int64_t type = sqlite3_column_int64(statement, 3);
        struct record_value value = {
                .type = (uint16_t) type,
                .length = (uint16_t) length,
                .below_length = (uint8_t) below_length,
                .rdata = sqlite3_column_blob(statement, 4),
                .below = sqlite3_column_blob(statement, 2),
        };
        struct record *record;

        if (cursor->leases_in_records)
                return read_record_1(statement, state);
        if (type <= 0 || type > UINT16_MAX || length > UINT16_MAX || below_length >= DNS_NAME_MAX ||
            !is_sound(&value) || name_state_find(state, &value))
                return -EBADMSG;
        record = name_state_add(state, &value);
        if (!record)
                return -ENOMEM;
        record->proven = sqlite3_column_int(statement, 5) & 1;
        record->provisional = sqlite3_column_int(statement, 6) & 1;
        return 0;
}

/* A lease that counts in full from the last refresh there was ends later than what is stored says: that has
 * to be stored like any other move, or it would be forgotten at a later, clean stop. */
static void lengthen(struct name_state *state, const struct lengthening *lengthening)
{
        usec_t floor_usec = lengthening->floor_usec, key_end_usec;
        bool moved = false;

        if (floor_usec == 0 || !state->claimed)
                return;
        for (unsigned i = 0; i < state->n_records; i++) {
                struct record *record = &state->records[i];
                usec_t end_usec = usec_add(floor_usec, record->lease_sec * USEC_PER_SEC);

                moved |= end_usec > record->end_usec;
                record->end_usec = MAX(record->end_usec, end_usec);
        }
        key_end_usec = usec_add(floor_usec, state->key_lease_sec * USEC_PER_SEC);
        /* Counted in full it must not end before what was held. */
        if (state->key_end_usec < lengthening->held_before_usec)
                key_end_usec = MAX(key_end_usec, lengthening->held_until_usec);
        moved |= key_end_usec > state->key_end_usec;
        state->key_end_usec = MAX(state->key_end_usec, key_end_usec);
        if (moved)
                name_state_move(state);
}

/* 1: *ret_state is the caller's, its zone and label stand in the cursor until the next call; 0: no more;
 * -errno. */
static int name_cursor_next(struct name_cursor *cursor, struct name_state **ret_state)
{
        _cleanup_(name_state_freep) struct name_state *state = NULL;
        int r;

        cursor->code = sqlite3_step(cursor->names);
        if (cursor->code != SQLITE_ROW) {
                r = database_to_errno(cursor->code);
                /* Rows that belong to nothing are left over by nobody. */
                if (r == 0 && (cursor->ends_code == SQLITE_ROW || cursor->records_code == SQLITE_ROW))
                        return -EBADMSG;
                return r;
        }
        state = name_state_new();
        if (!state)
                return -ENOMEM;
        r = read_name(cursor->names, state);
        while (r >= 0 && cursor->records_code == SQLITE_ROW && is_same_name(cursor->records, cursor->names)) {
                r = read_record(cursor, state);
                cursor->records_code = sqlite3_step(cursor->records);
        }
        if (r >= 0)
                r = database_to_errno(cursor->records_code);
        if (r < 0)
                return r;
        if (cursor->ends_code != SQLITE_ROW || !is_same_name(cursor->ends, cursor->names))
                return -EBADMSG;
        r = read_ends(cursor, state);
        if (r < 0)
                return r;
        cursor->ends_code = sqlite3_step(cursor->ends);
        r = database_to_errno(cursor->ends_code);
        if (r < 0)
                return r;
        lengthen(state, &cursor->lengthening);
        *ret_state = TAKE_PTR(state);
        return 1;
}

static int walk_names(struct name_cursor *cursor, const struct store_loader *loader, void *userdata,
                      uint64_t *n_left_lengthened)
{
        char zone_text[DNS_NAME_FORMAT_MAX] = "";
        struct name_state *state;
        struct dns_name zone;
        int r;

        r = name_cursor_begin(cursor);
        while (r >= 0 && (r = name_cursor_next(cursor, &state)) > 0) {
                bool lengthened = name_state_is_moved(state);
                const char *text = database_text(cursor->names, 0);

                if (!streq(text, zone_text)) {
                        r = dns_name_parse(text, &zone);
                        snprintf(zone_text, sizeof(zone_text), "%s", text);
                }
                if (r < 0)
                        name_state_free(state);
                else
                        r = loader->name(userdata, &zone, database_text(cursor->names, 1), state);
                if (r > 0 && lengthened)
                        ++*n_left_lengthened;
        }
        return r;
}

#define NAMES_COLUMNS                                                                                        \
        "SELECT zone, label, generation, claimed, reserved, provisional, key, claimed_usec, source,"         \
        " blocked_until_usec, blocked_sec, blocked_reason, banned_fingerprint FROM names"
#define ENDS_COLUMNS                                                                                         \
        "SELECT zone, label, generation, key_lease_sec, key_end_usec, seen_usec, inception, expiration,"     \
        " hashes, leases FROM ends"
#define RECORDS_COLUMNS "SELECT zone, label, below, type, rdata, proven, provisional FROM records"

int database_load_names(struct database *database, const struct lengthening *lengthening,
                        const struct store_loader *loader, void *userdata, char **why)
{
        struct name_cursor cursor = { .lengthening = *lengthening };
        int r;

        r = database_prepare(database, NAMES_COLUMNS " ORDER BY zone, label", &cursor.names);
        if (r >= 0)
                r = database_prepare(database, ENDS_COLUMNS " ORDER BY zone, label", &cursor.ends);
        if (r >= 0)
                r = database_prepare(database, RECORDS_COLUMNS " ORDER BY zone, label, position",
                                     &cursor.records);
        if (r >= 0)
                r = walk_names(&cursor, loader, userdata, &database->n_left_lengthened);
        if (r == -EBADMSG)
                (void) database_explain(why, r, "a row of its table of names makes no sense");
        else if (r < 0)
                (void) database_explain(why, r, strerror(-r));
        name_cursor_close(&cursor);
        return r;
}

int database_load_names_1(struct database *database, const struct store_loader *loader, void *userdata)
{
        struct name_cursor cursor = { .leases_in_records = true };
        int r;

        r = database_prepare(database,
                             "SELECT zone, label, 0, claimed, reserved, provisional, key, claimed_usec,"
                             " source, blocked_until_usec, blocked_sec, blocked_reason, banned_fingerprint"
                             " FROM names_1 ORDER BY zone, label",
                             &cursor.names);
        if (r >= 0)
                r = database_prepare(database,
                                     "SELECT zone, label, 0, key_lease_sec, key_end_usec, seen_usec,"
                                     " inception, expiration, hashes, NULL FROM names_1"
                                     " ORDER BY zone, label",
                                     &cursor.ends);
        if (r >= 0)
                r = database_prepare(database,
                                     "SELECT zone, label, address, proven, lease_sec, end_usec"
                                     " FROM records_1 ORDER BY zone, label, address",
                                     &cursor.records);
        if (r >= 0)
                r = walk_names(&cursor, loader, userdata, &database->n_left_lengthened);
        name_cursor_close(&cursor);
        return r;
}

static int bind_page(sqlite3_stmt *statement, const char *zone, const char *after)
{
        int code = sqlite3_bind_text(statement, 1, zone, -1, SQLITE_STATIC);

        return database_to_errno(code == SQLITE_OK ? sqlite3_bind_text(statement, 2, after, -1, SQLITE_STATIC)
                                                   : code);
}

int database_read_page(struct database *database, const struct lengthening *lengthening,
                       struct store_page *page)
{
        struct name_cursor cursor = { .lengthening = *lengthening };
        char zone[DNS_NAME_FORMAT_MAX];
        int r;

        dns_name_format(&page->zone, zone);
        r = database_prepare(database, NAMES_COLUMNS " WHERE zone = ? AND label > ? ORDER BY zone, label",
                             &cursor.names);
        if (r >= 0)
                r = database_prepare(database,
                                     ENDS_COLUMNS " WHERE zone = ? AND label > ? ORDER BY zone, label",
                                     &cursor.ends);
        if (r >= 0)
                r = database_prepare(database,
                                     RECORDS_COLUMNS " WHERE zone = ? AND label > ?"
                                                     " ORDER BY zone, label, position",
                                     &cursor.records);
        if (r >= 0)
                r = bind_page(cursor.names, zone, page->after);
        if (r >= 0)
                r = bind_page(cursor.ends, zone, page->after);
        if (r >= 0)
                r = bind_page(cursor.records, zone, page->after);
        if (r >= 0)
                r = name_cursor_begin(&cursor);
        while (r >= 0 && page->n_names < STORE_PAGE_MAX) {
                struct stored_name *name = &page->names[page->n_names];

                r = name_cursor_next(&cursor, &name->state);
                if (r == 0)
                        page->is_last = true;
                if (r <= 0)
                        break;
                snprintf(name->label, sizeof(name->label), "%s", database_text(cursor.names, 1));
                page->n_names++;
        }
        name_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

/* --- the small tables --- */

int database_load_serials(struct database *database, const struct store_loader *loader, void *userdata,
                          char **why)
{
        sqlite3_stmt *serials = NULL;
        int r, code = SQLITE_DONE;

        r = database_prepare(database, "SELECT zone, serial FROM serials", &serials);
        while (r >= 0 && (code = sqlite3_step(serials)) == SQLITE_ROW) {
                struct dns_name zone;

                r = dns_name_parse(database_text(serials, 0), &zone);
                if (r >= 0)
                        r = loader->serial(userdata, &zone, (uint32_t) sqlite3_column_int64(serials, 1));
        }
        if (r < 0)
                (void) database_explain(why, r, "a row of its table of serials makes no sense");
        else if (code != SQLITE_DONE)
                /* An error is not the end of a table. */
                r = database_explain_sqlite(database, why);
        sqlite3_finalize(serials);
        return r < 0 ? r : 0;
}

int database_load_imports(struct database *database, const struct store_loader *loader, void *userdata,
                          char **why)
{
        sqlite3_stmt *imports = NULL;
        int r, code = SQLITE_DONE;

        r = database_prepare(database, "SELECT zone, imported_usec FROM imports", &imports);
        while (r >= 0 && (code = sqlite3_step(imports)) == SQLITE_ROW) {
                const char *text = database_text(imports, 0);
                struct dns_name zone = {};

                if (text && *text)
                        r = dns_name_parse(text, &zone);
                if (r >= 0)
                        r = loader->import(userdata, text && *text ? &zone : NULL,
                                           (usec_t) sqlite3_column_int64(imports, 1));
        }
        if (r < 0)
                (void) database_explain(why, r, "a row of its table of imports makes no sense");
        else if (code != SQLITE_DONE)
                r = database_explain_sqlite(database, why);
        sqlite3_finalize(imports);
        return r < 0 ? r : 0;
}
