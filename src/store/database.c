/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "store/database.h"

static const char schema[] =
        "CREATE TABLE heartbeat (one INTEGER PRIMARY KEY CHECK (one = 1), boot_id BLOB NOT NULL,"
        " boottime_usec INTEGER NOT NULL, real_usec INTEGER NOT NULL, lease_usec INTEGER NOT NULL,"
        " refreshed_usec INTEGER NOT NULL);"
        "CREATE TABLE names (zone TEXT NOT NULL, label TEXT NOT NULL, claimed INTEGER NOT NULL,"
        " reserved INTEGER NOT NULL, provisional INTEGER NOT NULL, key BLOB, key_lease_sec INTEGER NOT NULL,"
        " key_end_usec INTEGER NOT NULL, claimed_usec INTEGER NOT NULL, seen_usec INTEGER NOT NULL,"
        " source TEXT, inception INTEGER NOT NULL, expiration INTEGER NOT NULL, hashes BLOB,"
        " blocked_until_usec INTEGER NOT NULL, blocked_sec INTEGER NOT NULL, blocked_reason TEXT,"
        " banned_fingerprint TEXT, PRIMARY KEY (zone, label)) WITHOUT ROWID;"
        "CREATE TABLE records (zone TEXT NOT NULL, label TEXT NOT NULL, address TEXT NOT NULL,"
        " proven INTEGER NOT NULL, lease_sec INTEGER NOT NULL, end_usec INTEGER NOT NULL,"
        " PRIMARY KEY (zone, label, address)) WITHOUT ROWID;"
        "CREATE TABLE units (upstream TEXT NOT NULL, kind INTEGER NOT NULL, owner TEXT NOT NULL,"
        " state INTEGER NOT NULL, rrset BLOB NOT NULL, PRIMARY KEY (upstream, kind, owner)) WITHOUT ROWID;"
        "CREATE TABLE serials (zone TEXT PRIMARY KEY, serial INTEGER NOT NULL) WITHOUT ROWID;";

static const char *const statement_texts[_STATEMENTS] = {
        [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_ROLLBACK] = "ROLLBACK",
        [STATEMENT_PUT_NAME] = "INSERT OR REPLACE INTO names VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [STATEMENT_DELETE_NAME] = "DELETE FROM names WHERE zone = ? AND label = ?",
        [STATEMENT_PUT_RECORD] = "INSERT OR REPLACE INTO records VALUES (?,?,?,?,?,?)",
        [STATEMENT_DELETE_RECORDS] = "DELETE FROM records WHERE zone = ? AND label = ?",
        [STATEMENT_PUT_UNIT] = "INSERT OR REPLACE INTO units VALUES (?,?,?,?,?)",
        [STATEMENT_DELETE_UNIT] = "DELETE FROM units WHERE upstream = ? AND kind = ? AND owner = ?",
        [STATEMENT_PUT_SERIAL] = "INSERT OR REPLACE INTO serials VALUES (?,?)",
        [STATEMENT_PUT_HEARTBEAT] = "INSERT OR REPLACE INTO heartbeat VALUES (1,?,?,?,?,?)",
};

static int to_errno(int code)
{
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EBADMSG;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_CANTOPEN:
                return -ENOENT;
        default:
                return -EIO;
        }
}

static int explain(char **why, int error, const char *text)
{
        if (why) {
                free(*why);
                *why = text ? strdup(text) : NULL;
        }
        return error;
}

static int explain_sqlite(struct database *database, char **why)
{
        int code = sqlite3_extended_errcode(database->handle);

        return explain(why, to_errno(code) ?: -EIO, sqlite3_errmsg(database->handle));
}

static int execute(struct database *database, const char *text, char **why)
{
        int code = sqlite3_exec(database->handle, text, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : explain_sqlite(database, why);
}

static int read_integer(struct database *database, const char *text, int64_t *ret, char **why)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(database->handle, text, -1, &statement, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        else
                (void) explain_sqlite(database, why);
        sqlite3_finalize(statement);
        return code == SQLITE_ROW ? 0 : to_errno(code) ?: -EIO;
}

static int prepare_schema(struct database *database, char **why)
{
        int64_t version = 0, n_tables = 0;
        char text[64];
        int r;

        r = read_integer(database, "PRAGMA user_version", &version, why);
        if (r < 0)
                return r;
        r = read_integer(database, "SELECT count(*) FROM sqlite_schema", &n_tables, why);
        if (r < 0)
                return r;
        if (version > DATABASE_SCHEMA_VERSION)
                return explain(why, -EPROTONOSUPPORT,
                               "it was written by a newer version of nsregd; install that version again");
        if (version == DATABASE_SCHEMA_VERSION)
                return 0;
        if (version != 0 || n_tables != 0)
                return explain(why, -EBADMSG, "it is not a database of nsregd");
        r = execute(database, "BEGIN EXCLUSIVE", why);
        if (r >= 0)
                r = execute(database, schema, why);
        snprintf(text, sizeof(text), "PRAGMA user_version = %d", DATABASE_SCHEMA_VERSION);
        if (r >= 0)
                r = execute(database, text, why);
        if (r >= 0)
                r = execute(database, "COMMIT", why);
        database->is_new = r >= 0;
        return r;
}

int database_open(struct database *database, const char *path, char **why)
{
        int r, code;

        *database = (struct database){};
        code = sqlite3_open_v2(path, &database->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                       SQLITE_OPEN_EXRESCODE,
                               NULL);
        if (code != SQLITE_OK) {
                r = explain_sqlite(database, why);
                goto fail;
        }
        /* Exclusive: no other process opens it, and the WAL index needs no shared memory file. */
        r = execute(database, "PRAGMA locking_mode = EXCLUSIVE", why);
        if (r >= 0)
                r = execute(database, "PRAGMA journal_mode = WAL", why);
        if (r >= 0)
                r = execute(database, "PRAGMA synchronous = FULL", why);
        if (r >= 0)
                r = execute(database, "PRAGMA trusted_schema = OFF", why);
        if (r >= 0)
                r = prepare_schema(database, why);
        if (r < 0)
                goto fail;

        for (unsigned i = 0; i < _STATEMENTS; i++) {
                code = sqlite3_prepare_v3(database->handle, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                          &database->statements[i], NULL);
                if (code != SQLITE_OK) {
                        r = explain_sqlite(database, why);
                        goto fail;
                }
        }
        return 0;
fail:
        database_close(database);
        return r;
}

void database_close(struct database *database)
{
        for (unsigned i = 0; i < _STATEMENTS; i++)
                sqlite3_finalize(database->statements[i]);
        sqlite3_close(database->handle);
        *database = (struct database){};
}

int database_read_heartbeat(struct database *database, struct heartbeat *ret, bool *ret_found)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(database->handle,
                                      "SELECT boot_id, boottime_usec, real_usec, lease_usec, refreshed_usec "
                                      "FROM heartbeat",
                                      -1, &statement, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        *ret_found = code == SQLITE_ROW;
        if (code == SQLITE_ROW) {
                *ret = (struct heartbeat){
                        .boottime_usec = (usec_t) sqlite3_column_int64(statement, 1),
                        .real_usec = (usec_t) sqlite3_column_int64(statement, 2),
                        .lease_usec = (usec_t) sqlite3_column_int64(statement, 3),
                        .refreshed_usec = (usec_t) sqlite3_column_int64(statement, 4),
                };
                if (sqlite3_column_bytes(statement, 0) == (int) sizeof(ret->boot_id))
                        memcpy(&ret->boot_id, sqlite3_column_blob(statement, 0), sizeof(ret->boot_id));
        }
        sqlite3_finalize(statement);
        return to_errno(code);
}

/* --- writing --- */

static int run(struct database *database, enum database_statement which)
{
        sqlite3_stmt *statement = database->statements[which];
        int code = sqlite3_step(statement);

        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
        return to_errno(code);
}

int database_begin(struct database *database)
{
        return run(database, STATEMENT_BEGIN);
}

int database_commit(struct database *database)
{
        return run(database, STATEMENT_COMMIT);
}

void database_rollback(struct database *database)
{
        /* SQLite may have rolled back by itself (disk full); then this fails, which is as good. */
        if (!sqlite3_get_autocommit(database->handle))
                (void) run(database, STATEMENT_ROLLBACK);
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
        sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

static void bind_usec(sqlite3_stmt *statement, int index, usec_t usec)
{
        sqlite3_bind_int64(statement, index, (sqlite3_int64) usec);
}

static void bind_key(sqlite3_stmt *statement, int index, const struct dns_key *key)
{
        uint8_t rdata[DNS_KEY_PUBLIC_MAX + 4];

        if (key)
                sqlite3_bind_blob(statement, index, rdata, (int) dns_key_to_rdata(key, rdata, sizeof(rdata)),
                                  SQLITE_TRANSIENT);
}

static void bind_hashes(sqlite3_stmt *statement, int index, const struct name_state *state)
{
        uint8_t hashes[REPLAY_HASHES_MAX][REPLAY_HASH_SIZE];

        if (state->n_hashes == 0)
                return;
        memcpy(hashes[0], state->hash, REPLAY_HASH_SIZE);
        for (unsigned i = 1; i < state->n_hashes; i++)
                memcpy(hashes[i], state->earlier[i - 1], REPLAY_HASH_SIZE);
        sqlite3_bind_blob(statement, index, hashes, state->n_hashes * REPLAY_HASH_SIZE, SQLITE_TRANSIENT);
}

static int put_records(struct database *database, const char *zone, const char *label,
                       const struct name_state *state)
{
        sqlite3_stmt *statement = database->statements[STATEMENT_PUT_RECORD];
        char address[ADDRESS_FORMAT_MAX];
        int r;

        for (unsigned i = 0; i < state->n_records; i++) {
                const struct record *record = &state->records[i];

                bind_text(statement, 1, zone);
                bind_text(statement, 2, label);
                bind_text(statement, 3, address_format(&record->address, address));
                sqlite3_bind_int(statement, 4, record->proven);
                sqlite3_bind_int64(statement, 5, record->lease_sec);
                bind_usec(statement, 6, record->end_usec);
                r = run(database, STATEMENT_PUT_RECORD);
                if (r < 0)
                        return r;
        }
        return 0;
}

int database_put_name(struct database *database, const struct dns_name *zone, const char *label,
                      const struct name_state *state)
{
        char zone_text[DNS_NAME_FORMAT_MAX], source[ADDRESS_FORMAT_MAX];
        sqlite3_stmt *statement = database->statements[STATEMENT_DELETE_RECORDS];
        int r;

        dns_name_format(zone, zone_text);
        bind_text(statement, 1, zone_text);
        bind_text(statement, 2, label);
        r = run(database, STATEMENT_DELETE_RECORDS);
        if (r < 0)
                return r;

        if (name_state_is_empty(state)) {
                statement = database->statements[STATEMENT_DELETE_NAME];
                bind_text(statement, 1, zone_text);
                bind_text(statement, 2, label);
                return run(database, STATEMENT_DELETE_NAME);
        }

        statement = database->statements[STATEMENT_PUT_NAME];
        bind_text(statement, 1, zone_text);
        bind_text(statement, 2, label);
        sqlite3_bind_int(statement, 3, state->claimed);
        sqlite3_bind_int(statement, 4, state->reserved);
        sqlite3_bind_int(statement, 5, (int) state->provisional);
        bind_key(statement, 6, state->key);
        sqlite3_bind_int64(statement, 7, state->key_lease_sec);
        bind_usec(statement, 8, state->key_end_usec);
        bind_usec(statement, 9, state->claimed_usec);
        bind_usec(statement, 10, state->seen_usec);
        if (state->source.family)
                bind_text(statement, 11, address_format(&state->source, source));
        sqlite3_bind_int64(statement, 12, state->inception);
        sqlite3_bind_int64(statement, 13, state->expiration);
        bind_hashes(statement, 14, state);
        bind_usec(statement, 15, state->blocked_until_usec);
        sqlite3_bind_int64(statement, 16, state->blocked_sec);
        if (state->blocked_reason)
                bind_text(statement, 17, state->blocked_reason);
        if (state->banned_fingerprint)
                bind_text(statement, 18, state->banned_fingerprint);
        r = run(database, STATEMENT_PUT_NAME);
        return r < 0 ? r : put_records(database, zone_text, label, state);
}

int database_put_unit(struct database *database, const char *upstream, enum unit_kind kind,
                      const struct dns_name *owner, enum row_state row, const struct rrset *set)
{
        sqlite3_stmt *statement = database->statements[STATEMENT_PUT_UNIT];
        char text[DNS_NAME_FORMAT_MAX];

        bind_text(statement, 1, upstream);
        sqlite3_bind_int(statement, 2, (int) kind);
        bind_text(statement, 3, dns_name_format(owner, text));
        sqlite3_bind_int(statement, 4, (int) row);
        sqlite3_bind_blob(statement, 5, set->bytes ?: (const uint8_t *) "", (int) set->size,
                          SQLITE_TRANSIENT);
        return run(database, STATEMENT_PUT_UNIT);
}

int database_delete_unit(struct database *database, const char *upstream, enum unit_kind kind,
                         const struct dns_name *owner)
{
        sqlite3_stmt *statement = database->statements[STATEMENT_DELETE_UNIT];
        char text[DNS_NAME_FORMAT_MAX];

        bind_text(statement, 1, upstream);
        sqlite3_bind_int(statement, 2, (int) kind);
        bind_text(statement, 3, dns_name_format(owner, text));
        return run(database, STATEMENT_DELETE_UNIT);
}

int database_put_serial(struct database *database, const struct dns_name *zone, uint32_t serial)
{
        sqlite3_stmt *statement = database->statements[STATEMENT_PUT_SERIAL];
        char text[DNS_NAME_FORMAT_MAX];

        bind_text(statement, 1, dns_name_format(zone, text));
        sqlite3_bind_int64(statement, 2, serial);
        return run(database, STATEMENT_PUT_SERIAL);
}

int database_put_heartbeat(struct database *database, const struct heartbeat *heartbeat)
{
        sqlite3_stmt *statement = database->statements[STATEMENT_PUT_HEARTBEAT];

        sqlite3_bind_blob(statement, 1, &heartbeat->boot_id, sizeof(heartbeat->boot_id), SQLITE_TRANSIENT);
        bind_usec(statement, 2, heartbeat->boottime_usec);
        bind_usec(statement, 3, heartbeat->real_usec);
        bind_usec(statement, 4, heartbeat->lease_usec);
        bind_usec(statement, 5, heartbeat->refreshed_usec);
        return run(database, STATEMENT_PUT_HEARTBEAT);
}

/* --- reading --- */

static const char *column_text(sqlite3_stmt *statement, int index)
{
        return (const char *) sqlite3_column_text(statement, index);
}

static char *column_strdup(sqlite3_stmt *statement, int index)
{
        const char *text = column_text(statement, index);

        return text ? strdup(text) : NULL;
}

static int read_hashes(sqlite3_stmt *statement, int index, struct name_state *state)
{
        const uint8_t *hashes = sqlite3_column_blob(statement, index);
        int size = sqlite3_column_bytes(statement, index);

        if (size == 0)
                return 0;
        if (size % REPLAY_HASH_SIZE != 0 || size / REPLAY_HASH_SIZE > REPLAY_HASHES_MAX)
                return -EBADMSG;
        state->n_hashes = (uint8_t) (size / REPLAY_HASH_SIZE);
        memcpy(state->hash, hashes, REPLAY_HASH_SIZE);
        if (state->n_hashes == 1)
                return 0;
        state->earlier = malloc((size_t) size - REPLAY_HASH_SIZE);
        if (!state->earlier)
                return -ENOMEM;
        memcpy(state->earlier, hashes + REPLAY_HASH_SIZE, (size_t) size - REPLAY_HASH_SIZE);
        return 0;
}

static int read_name(sqlite3_stmt *statement, usec_t floor_usec, struct name_state *state)
{
        struct dns_key key;
        int r;

        state->claimed = sqlite3_column_int(statement, 2);
        state->reserved = sqlite3_column_int(statement, 3);
        state->provisional = (enum provisional) sqlite3_column_int(statement, 4);
        if (state->claimed) {
                const void *rdata = sqlite3_column_blob(statement, 5);
                int size = sqlite3_column_bytes(statement, 5);

                if (!rdata || dns_key_from_rdata(rdata, (size_t) size, &key) < 0)
                        return -EBADMSG;
                r = name_state_set_key(state, &key);
                if (r < 0)
                        return r;
        }
        state->key_lease_sec = (uint32_t) sqlite3_column_int64(statement, 6);
        state->key_end_usec = (usec_t) sqlite3_column_int64(statement, 7);
        state->claimed_usec = (usec_t) sqlite3_column_int64(statement, 8);
        state->seen_usec = (usec_t) sqlite3_column_int64(statement, 9);
        if (column_text(statement, 10) && address_parse(column_text(statement, 10), &state->source) < 0)
                return -EBADMSG;
        state->inception = (uint32_t) sqlite3_column_int64(statement, 11);
        state->expiration = (uint32_t) sqlite3_column_int64(statement, 12);
        r = read_hashes(statement, 13, state);
        if (r < 0)
                return r;
        state->blocked_until_usec = (usec_t) sqlite3_column_int64(statement, 14);
        state->blocked_sec = (uint32_t) sqlite3_column_int64(statement, 15);
        state->blocked_reason = column_strdup(statement, 16);
        state->banned_fingerprint = column_strdup(statement, 17);
        if (state->claimed && floor_usec > 0)
                state->key_end_usec = MAX(state->key_end_usec,
                                          usec_add(floor_usec, state->key_lease_sec * USEC_PER_SEC));
        return 0;
}

static int read_record(sqlite3_stmt *statement, usec_t floor_usec, struct name_state *state)
{
        struct record *record;
        struct address address;

        if (!column_text(statement, 2) || address_parse(column_text(statement, 2), &address) < 0)
                return -EBADMSG;
        record = name_state_add(state, &address);
        if (!record)
                return -ENOMEM;
        record->proven = sqlite3_column_int(statement, 3);
        record->lease_sec = (uint32_t) sqlite3_column_int64(statement, 4);
        record->end_usec = (usec_t) sqlite3_column_int64(statement, 5);
        if (floor_usec > 0)
                record->end_usec = MAX(record->end_usec,
                                       usec_add(floor_usec, record->lease_sec * USEC_PER_SEC));
        return 0;
}

/* Order of (zone, label) of two cursors that are walked side by side. */
static int compare_position(sqlite3_stmt *a, sqlite3_stmt *b)
{
        int r = strcmp(column_text(a, 0), column_text(b, 0));

        return r ?: strcmp(column_text(a, 1), column_text(b, 1));
}

int database_load_names(struct database *database, usec_t floor_usec, const struct store_loader *loader,
                        void *userdata, char **why)
{
        sqlite3_stmt *names = NULL, *records = NULL;
        int code, record_code, r = 0;

        /* Both in the order of their primary key: a merge, instead of a query per name. */
        code = sqlite3_prepare_v2(database->handle, "SELECT * FROM names ORDER BY zone, label", -1, &names,
                                  NULL);
        if (code == SQLITE_OK)
                code = sqlite3_prepare_v2(database->handle,
                                          "SELECT * FROM records ORDER BY zone, label, address", -1, &records,
                                          NULL);
        if (code != SQLITE_OK) {
                r = explain_sqlite(database, why);
                goto finish;
        }

        record_code = sqlite3_step(records);
        while (r >= 0 && (code = sqlite3_step(names)) == SQLITE_ROW) {
                _cleanup_(name_state_freep) struct name_state *state = name_state_new();
                struct dns_name zone;

                if (!state) {
                        r = -ENOMEM;
                        break;
                }
                r = read_name(names, floor_usec, state);
                while (r >= 0 && record_code == SQLITE_ROW && compare_position(records, names) < 0)
                        record_code = sqlite3_step(records);
                while (r >= 0 && record_code == SQLITE_ROW && compare_position(records, names) == 0) {
                        r = read_record(records, floor_usec, state);
                        record_code = sqlite3_step(records);
                }
                if (r >= 0)
                        r = dns_name_parse(column_text(names, 0), &zone);
                if (r >= 0)
                        r = loader->name(userdata, &zone, column_text(names, 1), TAKE_PTR(state));
        }
        if (r < 0)
                (void) explain(why, r, "a row of its table of names makes no sense");
        else if (code != SQLITE_DONE || (record_code != SQLITE_DONE && record_code != SQLITE_ROW))
                r = explain_sqlite(database, why);
finish:
        sqlite3_finalize(names);
        sqlite3_finalize(records);
        return r;
}

int database_load_units(struct database *database, const struct store_loader *loader, void *userdata,
                        char **why)
{
        sqlite3_stmt *units = NULL;
        int code, r = 0;

        code = sqlite3_prepare_v2(database->handle, "SELECT * FROM units ORDER BY upstream, kind, owner", -1,
                                  &units, NULL);
        while (code == SQLITE_OK || code == SQLITE_ROW) {
                struct rrset set = {};
                struct dns_name owner;

                code = sqlite3_step(units);
                if (code != SQLITE_ROW)
                        break;
                r = dns_name_parse(column_text(units, 2), &owner);
                if (r >= 0)
                        r = rrset_from_bytes(&set, sqlite3_column_blob(units, 4),
                                             (size_t) sqlite3_column_bytes(units, 4));
                if (r >= 0)
                        r = loader->unit(userdata, column_text(units, 0),
                                         (enum unit_kind) sqlite3_column_int(units, 1), &owner,
                                         (enum row_state) sqlite3_column_int(units, 3), &set);
                rrset_clear(&set);
                if (r < 0)
                        break;
        }
        if (r < 0)
                (void) explain(why, r, "a row of its table of units makes no sense");
        else if (code != SQLITE_DONE)
                r = explain_sqlite(database, why);
        sqlite3_finalize(units);
        return r;
}

int database_load_serials(struct database *database, const struct store_loader *loader, void *userdata,
                          char **why)
{
        sqlite3_stmt *serials = NULL;
        int code, r = 0;

        code = sqlite3_prepare_v2(database->handle, "SELECT zone, serial FROM serials", -1, &serials, NULL);
        while (r >= 0 && code == SQLITE_OK) {
                struct dns_name zone;

                if (sqlite3_step(serials) != SQLITE_ROW)
                        break;
                r = dns_name_parse(column_text(serials, 0), &zone);
                if (r >= 0)
                        r = loader->serial(userdata, &zone, (uint32_t) sqlite3_column_int64(serials, 1));
        }
        if (code != SQLITE_OK)
                r = explain_sqlite(database, why);
        sqlite3_finalize(serials);
        return r;
}
