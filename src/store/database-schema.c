/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "store/database.h"

/* Names and what belongs to them stand in the order of (zone, label), which is the order in memory: they are
 * read side by side, and ends that are written in that order share their pages. What moves with every refresh
 * is in "ends" alone; "generation" says of which state of the name it is. "leases" holds, for each record in
 * the order of "position", its length in seconds (four octets) and its end on the lease clock in microseconds
 * (eight), big endian. "below" is what stands in front of the name, as wire labels without an end: a record
 * is at the name itself or below it. */
const char database_schema[] =
        "CREATE TABLE heartbeat (one INTEGER PRIMARY KEY CHECK (one = 1), run_id BLOB NOT NULL,"
        " boot_id BLOB NOT NULL, boottime_usec INTEGER NOT NULL, real_usec INTEGER NOT NULL,"
        " lease_usec INTEGER NOT NULL, refreshed_usec INTEGER NOT NULL, generation INTEGER NOT NULL);"
        "CREATE TABLE names (zone TEXT NOT NULL, label TEXT NOT NULL, generation INTEGER NOT NULL,"
        " claimed INTEGER NOT NULL, reserved INTEGER NOT NULL, provisional INTEGER NOT NULL,"
        " key BLOB CHECK (NOT claimed OR key IS NOT NULL), claimed_usec INTEGER NOT NULL, source TEXT,"
        " blocked_until_usec INTEGER NOT NULL, blocked_sec INTEGER NOT NULL, blocked_reason TEXT,"
        " banned_fingerprint TEXT, PRIMARY KEY (zone, label)) WITHOUT ROWID;"
        "CREATE TABLE ends (zone TEXT NOT NULL, label TEXT NOT NULL, generation INTEGER NOT NULL,"
        " key_lease_sec INTEGER NOT NULL, key_end_usec INTEGER NOT NULL, seen_usec INTEGER NOT NULL,"
        " inception INTEGER NOT NULL, expiration INTEGER NOT NULL, hashes BLOB NOT NULL,"
        " leases BLOB NOT NULL, PRIMARY KEY (zone, label),"
        " FOREIGN KEY (zone, label) REFERENCES names ON DELETE CASCADE) WITHOUT ROWID;"
        "CREATE TABLE serials (zone TEXT PRIMARY KEY, serial INTEGER NOT NULL) WITHOUT ROWID;"
        /* Of the original's key files; the zone '' stands for all: it is a database from before the marks. 0:
         * there was nothing to import. */
        "CREATE TABLE imports (zone TEXT PRIMARY KEY, imported_usec INTEGER NOT NULL) WITHOUT ROWID;";

const char database_records_schema[] =
        "CREATE TABLE records (zone TEXT NOT NULL, label TEXT NOT NULL, position INTEGER NOT NULL,"
        " below BLOB NOT NULL, type INTEGER NOT NULL, rdata BLOB NOT NULL, proven INTEGER NOT NULL,"
        " provisional INTEGER NOT NULL, PRIMARY KEY (zone, label, position),"
        " FOREIGN KEY (zone, label) REFERENCES names ON DELETE CASCADE) WITHOUT ROWID;";

/* REPLACE would delete the row and with it what belongs to it. */
const char *const database_statement_texts[_STATEMENTS] = {
        [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_ROLLBACK] = "ROLLBACK",
        [STATEMENT_PAGE_COUNT] = "PRAGMA page_count",
        [STATEMENT_PUT_NAME] =
                "INSERT INTO names (zone, label, generation, claimed, reserved, provisional, key,"
                " claimed_usec, source, blocked_until_usec, blocked_sec, blocked_reason, banned_fingerprint)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (zone, label) DO UPDATE SET"
                " generation = excluded.generation, claimed = excluded.claimed, reserved = excluded.reserved,"
                " provisional = excluded.provisional, key = excluded.key,"
                " claimed_usec = excluded.claimed_usec, source = excluded.source,"
                " blocked_until_usec = excluded.blocked_until_usec, blocked_sec = excluded.blocked_sec,"
                " blocked_reason = excluded.blocked_reason, banned_fingerprint = excluded.banned_fingerprint",
        [STATEMENT_DELETE_NAME] = "DELETE FROM names WHERE zone = ? AND label = ?",
        [STATEMENT_PUT_ENDS] =
                "INSERT INTO ends (zone, label, generation, key_lease_sec, key_end_usec, seen_usec,"
                " inception, expiration, hashes, leases) VALUES (?,?,?,?,?,?,?,?,?,?)"
                " ON CONFLICT (zone, label) DO UPDATE SET generation = excluded.generation,"
                " key_lease_sec = excluded.key_lease_sec, key_end_usec = excluded.key_end_usec,"
                " seen_usec = excluded.seen_usec, inception = excluded.inception,"
                " expiration = excluded.expiration, hashes = excluded.hashes, leases = excluded.leases",
        [STATEMENT_MOVE_ENDS] =
                "UPDATE ends SET key_lease_sec = ?4, key_end_usec = ?5, seen_usec = ?6, inception = ?7,"
                " expiration = ?8, hashes = ?9, leases = ?10"
                " WHERE zone = ?1 AND label = ?2 AND generation = ?3",
        [STATEMENT_PUT_RECORD] =
                "INSERT INTO records (zone, label, position, below, type, rdata, proven, provisional)"
                " VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (zone, label, position) DO UPDATE SET"
                " below = excluded.below, type = excluded.type, rdata = excluded.rdata,"
                " proven = excluded.proven, provisional = excluded.provisional",
        [STATEMENT_CUT_RECORDS] = "DELETE FROM records WHERE zone = ? AND label = ? AND position >= ?",
        [STATEMENT_PUT_UNIT] =
                "INSERT INTO units (upstream, zone, mode, owner, type, rdata, flags, vals)"
                " VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (upstream, zone, mode, owner, type, rdata)"
                " DO UPDATE SET flags = excluded.flags, vals = excluded.vals",
        [STATEMENT_DELETE_UNIT] = "DELETE FROM units WHERE upstream = ? AND zone = ? AND mode = ?"
                                  " AND owner = ? AND type = ? AND rdata = ?",
        /* What is there already under the new identity says what is there. */
        [STATEMENT_MOVE_UNITS] =
                "INSERT INTO units (upstream, zone, mode, owner, type, rdata, flags, vals)"
                " SELECT ?2, zone, mode, owner, type, rdata, flags, vals FROM units WHERE upstream = ?1"
                " ON CONFLICT (upstream, zone, mode, owner, type, rdata) DO NOTHING",
        [STATEMENT_FORGET_UNITS] = "DELETE FROM units WHERE upstream = ?",
        [STATEMENT_PUT_SERIAL] = "INSERT INTO serials (zone, serial) VALUES (?,?)"
                                 " ON CONFLICT (zone) DO UPDATE SET serial = excluded.serial",
        [STATEMENT_PUT_IMPORT] = "INSERT INTO imports (zone, imported_usec) VALUES (?,?)"
                                 " ON CONFLICT (zone) DO UPDATE"
                                 " SET imported_usec = max(imported_usec, excluded.imported_usec)",
        [STATEMENT_PUT_HEARTBEAT] =
                "INSERT INTO heartbeat (one, run_id, boot_id, boottime_usec, real_usec, lease_usec,"
                " refreshed_usec, generation) VALUES (1,?,?,?,?,?,?,?) ON CONFLICT (one) DO UPDATE SET"
                " run_id = excluded.run_id, boot_id = excluded.boot_id,"
                " boottime_usec = excluded.boottime_usec, real_usec = excluded.real_usec,"
                " lease_usec = excluded.lease_usec, refreshed_usec = excluded.refreshed_usec,"
                " generation = excluded.generation",
};

static int read_integer(struct database *database, const char *text, int64_t *ret, char **why)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(database->handle, text, -1, &statement, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        else
                /* The code below is the same error. */
                (void) database_explain_sqlite(database, why);
        sqlite3_finalize(statement);
        return code == SQLITE_ROW ? 0 : database_to_errno(code) ?: -EIO;
}

static int make_tables(struct database *database, char **why)
{
        char text[96];
        int r;

        r = database_execute(database, database_schema, why);
        if (r >= 0)
                r = database_execute(database, database_records_schema, why);
        if (r >= 0)
                r = database_execute(database, database_units_schema, why);
        snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = %d",
                 DATABASE_APPLICATION_ID, DATABASE_SCHEMA_VERSION);
        return r < 0 ? r : database_execute(database, text, why);
}

/* --- from schema 1 --- */

struct migration {
        struct database *database;
        uint64_t generation;
};

static int take_name(void *userdata, const struct dns_name *zone, const char *label, struct name_state *state)
{
        _cleanup_(name_state_freep) struct name_state *owned = state;
        struct migration *migration = userdata;

        owned->generation = ++migration->generation;
        return database_put_name(migration->database, zone, label, owned);
}

static int migrate_rows(struct database *database, char **why)
{
        static const struct store_loader loader = { .name = take_name };
        struct migration migration = { .database = database };
        char text[256];
        int r = 0;

        for (unsigned i = STATEMENT_PUT_NAME; r >= 0 && i < _STATEMENTS; i++)
                r = database_prepare(database, database_statement_texts[i], &database->statements[i]);
        if (r >= 0)
                r = database_load_names_1(database, &loader, &migration);
        if (r >= 0)
                r = database_take_units_1(database);
        for (unsigned i = STATEMENT_PUT_NAME; i < _STATEMENTS; i++) {
                sqlite3_finalize(database->statements[i]);
                database->statements[i] = NULL;
        }
        if (r < 0)
                return database_explain(why, r, "a row of an earlier version makes no sense");
        /* A zero run id: the stamp of an earlier version does not count. */
        snprintf(text, sizeof(text),
                 "INSERT INTO heartbeat SELECT 1, zeroblob(16), boot_id, boottime_usec, real_usec,"
                 " lease_usec, refreshed_usec, %llu FROM heartbeat_1;"
                 "INSERT INTO serials SELECT zone, serial FROM serials_1;"
                 "INSERT INTO imports VALUES ('', 0);",
                 (unsigned long long) migration.generation);
        return database_execute(database, text, why);
}

static int migrate_from_1(struct database *database, char **why)
{
        int r;

        r = database_execute(database,
                             "ALTER TABLE heartbeat RENAME TO heartbeat_1;"
                             "ALTER TABLE names RENAME TO names_1;"
                             "ALTER TABLE records RENAME TO records_1;"
                             "ALTER TABLE units RENAME TO units_1;"
                             "ALTER TABLE serials RENAME TO serials_1;",
                             why);
        if (r >= 0)
                r = make_tables(database, why);
        if (r >= 0)
                r = migrate_rows(database, why);
        if (r >= 0)
                r = database_execute(database,
                                     "DROP TABLE heartbeat_1; DROP TABLE names_1; DROP TABLE records_1;"
                                     "DROP TABLE units_1; DROP TABLE serials_1;",
                                     why);
        return r;
}

/* --- from schema 2: records were addresses, as text --- */

static int take_record_2(struct database *database, sqlite3_stmt *old)
{
        const char *text = database_text(old, 3);
        struct address address;
        struct record_value value;

        if (!text || address_parse(text, &address) < 0)
                return -EBADMSG;
        value = record_value_of_address(&address);
        return database_put_record(database, database_text(old, 0), database_text(old, 1),
                                   (unsigned) sqlite3_column_int(old, 2), &value, sqlite3_column_int(old, 4),
                                   sqlite3_column_int(old, 5) == PROVISIONAL_RECORDS);
}

static int migrate_from_2(struct database *database, char **why)
{
        sqlite3_stmt **put = &database->statements[STATEMENT_PUT_RECORD], *old = NULL;
        int r, code = SQLITE_DONE;
        char text[48];

        r = database_execute(database, "ALTER TABLE records RENAME TO records_2", why);
        if (r >= 0)
                r = database_execute(database, database_records_schema, why);
        if (r < 0)
                return r;
        r = database_prepare(database, database_statement_texts[STATEMENT_PUT_RECORD], put);
        if (r >= 0)
                r = database_prepare(database,
                                     "SELECT zone, label, position, address, proven, provisional"
                                     " FROM records_2 JOIN names USING (zone, label)"
                                     " ORDER BY zone, label, position",
                                     &old);
        while (r >= 0 && (code = sqlite3_step(old)) == SQLITE_ROW)
                r = take_record_2(database, old);
        if (r >= 0 && code != SQLITE_DONE)
                r = database_to_errno(code);
        sqlite3_finalize(old);
        sqlite3_finalize(*put);
        *put = NULL;
        if (r < 0)
                return database_explain(why, r, "a row of an earlier version makes no sense");
        snprintf(text, sizeof(text), "PRAGMA user_version = %d", DATABASE_SCHEMA_VERSION);
        r = database_execute(database, "DROP TABLE records_2", why);
        return r < 0 ? r : database_execute(database, text, why);
}

static int make_current(struct database *database, int64_t version, char **why)
{
        if (version == 0)
                return make_tables(database, why);
        return version == 1 ? migrate_from_1(database, why) : migrate_from_2(database, why);
}

int database_prepare_schema(struct database *database, char **why)
{
        int64_t version = 0, application = 0, n_tables = 0;
        int r;

        r = read_integer(database, "PRAGMA user_version", &version, why);
        if (r >= 0)
                r = read_integer(database, "PRAGMA application_id", &application, why);
        if (r >= 0)
                r = read_integer(database, "SELECT count(*) FROM sqlite_schema", &n_tables, why);
        if (r < 0)
                return r;
        if (application != (version > 1 ? DATABASE_APPLICATION_ID : 0) || (version == 0 && n_tables > 0))
                return database_explain(why, -EBADMSG, "it is not a database of nsregd");
        if (version > DATABASE_SCHEMA_VERSION)
                return database_explain(why, -EPROTONOSUPPORT,
                                        "it was written by a newer version of nsregd; install that version "
                                        "again");
        if (version == DATABASE_SCHEMA_VERSION)
                return 0;

        r = database_execute(database, "BEGIN EXCLUSIVE", why);
        if (r >= 0)
                r = make_current(database, version, why);
        if (r >= 0)
                r = database_execute(database, "COMMIT", why);
        if (r < 0 && database_in_transaction(database))
                /* It is closed without being touched. */
                (void) sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
        database->is_new = r >= 0 && version == 0;
        return r;
}
