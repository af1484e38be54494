/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is published where: a key and a content, which only the plan understands. */

#include "store/database.h"
#include "store/store-internal.h"

const char database_units_schema[] =
        "CREATE TABLE units (upstream TEXT NOT NULL, mode INTEGER NOT NULL, owner TEXT NOT NULL,"
        " type INTEGER NOT NULL, rdata BLOB NOT NULL, zone TEXT, flags INTEGER NOT NULL, vals BLOB NOT NULL,"
        " PRIMARY KEY (upstream, mode, owner, type, rdata)) WITHOUT ROWID;";

static void bind_unit(struct database *database, enum database_statement which, const struct unit_row *row,
                      char *owner)
{
        database_bind_text(database, which, 1, row->upstream);
        database_bind_integer(database, which, 2, row->mode);
        database_bind_text(database, which, 3, dns_name_format(&row->owner, owner));
        database_bind_integer(database, which, 4, row->type);
        database_bind_blob(database, which, 5, row->rdata, row->rdata_size);
}

int database_put_unit(struct database *database, const struct unit_row *row)
{
        char owner[DNS_NAME_FORMAT_MAX], zone[DNS_NAME_FORMAT_MAX];

        bind_unit(database, STATEMENT_PUT_UNIT, row, owner);
        if (row->zone.length > 0)
                database_bind_text(database, STATEMENT_PUT_UNIT, 6, dns_name_format(&row->zone, zone));
        database_bind_integer(database, STATEMENT_PUT_UNIT, 7, row->flags);
        database_bind_blob(database, STATEMENT_PUT_UNIT, 8, row->values, row->values_size);
        return database_run(database, STATEMENT_PUT_UNIT);
}

int database_delete_unit(struct database *database, const struct unit_row *key)
{
        char owner[DNS_NAME_FORMAT_MAX];

        bind_unit(database, STATEMENT_DELETE_UNIT, key, owner);
        return database_run(database, STATEMENT_DELETE_UNIT);
}

/* Views into the statement. */
static int read_unit(sqlite3_stmt *statement, struct unit_row *ret)
{
        const char *zone = database_text(statement, 5);
        struct unit_row row = {
                .upstream = database_text(statement, 0),
                .mode = (enum unit_mode) sqlite3_column_int(statement, 1),
                .type = (uint16_t) sqlite3_column_int(statement, 3),
                .rdata = sqlite3_column_blob(statement, 4),
                .rdata_size = (size_t) sqlite3_column_bytes(statement, 4),
                .flags = (uint32_t) sqlite3_column_int64(statement, 6),
                .values = sqlite3_column_blob(statement, 7),
                .values_size = (size_t) sqlite3_column_bytes(statement, 7),
        };
        int r;

        r = dns_name_parse(database_text(statement, 2), &row.owner);
        if (r >= 0 && zone)
                r = dns_name_parse(zone, &row.zone);
        *ret = row;
        return r;
}

int database_load_units(struct database *database, const struct store_loader *loader, void *userdata,
                        char **why)
{
        sqlite3_stmt *units = NULL;
        int r, code = SQLITE_DONE;

        r = database_prepare(database,
                             "SELECT upstream, mode, owner, type, rdata, zone, flags, vals FROM units"
                             " ORDER BY upstream, mode, owner, type, rdata",
                             &units);
        while (r >= 0 && (code = sqlite3_step(units)) == SQLITE_ROW) {
                struct unit_row row;

                r = read_unit(units, &row);
                if (r >= 0)
                        r = loader->unit(userdata, &row);
        }
        if (r < 0)
                (void) database_explain(why, r, "a row of its table of units makes no sense");
        else if (code != SQLITE_DONE)
                r = database_explain_sqlite(database, why);
        sqlite3_finalize(units);
        return r < 0 ? r : 0;
}

int database_read_units(struct database *database, const struct unit_row *after, struct store_units *page)
{
        char owner[DNS_NAME_FORMAT_MAX] = "";
        sqlite3_stmt *units = NULL;
        int r, code = SQLITE_DONE;

        r = database_prepare(database,
                             "SELECT upstream, mode, owner, type, rdata, zone, flags, vals FROM units"
                             " WHERE upstream = ?1 AND (mode, owner, type, rdata) > (?2, ?3, ?4, ?5)"
                             " ORDER BY upstream, mode, owner, type, rdata",
                             &units);
        if (r < 0)
                return r;
        if (after->owner.length > 0)
                dns_name_format(&after->owner, owner);
        code = sqlite3_bind_text(units, 1, after->upstream, -1, SQLITE_STATIC);
        /* Before every mode there is. */
        if (code == SQLITE_OK)
                code = sqlite3_bind_int(units, 2, after->owner.length > 0 ? (int) after->mode : -1);
        if (code == SQLITE_OK)
                code = sqlite3_bind_text(units, 3, owner, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
                code = sqlite3_bind_int(units, 4, after->type);
        if (code == SQLITE_OK)
                code = sqlite3_bind_blob64(units, 5, after->rdata_size > 0 ? (const void *) after->rdata : "",
                                           after->rdata_size, SQLITE_STATIC);
        while (code == SQLITE_OK || code == SQLITE_ROW) {
                struct unit_row row;

                code = page->n_units < STORE_PAGE_MAX ? sqlite3_step(units) : SQLITE_OK;
                if (code != SQLITE_ROW)
                        break;
                r = read_unit(units, &row);
                if (r >= 0)
                        r = stored_unit_set(&page->units[page->n_units], &row);
                if (r < 0)
                        break;
                page->n_units++;
        }
        page->is_last = code == SQLITE_DONE;
        sqlite3_finalize(units);
        return r < 0 ? r : database_to_errno(code);
}

/* --- from schema 1: (upstream, kind, owner, state, rrset); kind 0 is the addresses of a name, 1 the PTRs of
 * an address; state 1 is in doubt, 2 is ours --- */

int database_take_units_1(struct database *database)
{
        sqlite3_stmt *units = NULL;
        int r, code = SQLITE_DONE;

        r = database_prepare(database, "SELECT upstream, kind, owner, state, rrset FROM units_1", &units);
        while (r >= 0 && (code = sqlite3_step(units)) == SQLITE_ROW) {
                struct unit_row row = {
                        .upstream = database_text(units, 0),
                        .mode = sqlite3_column_int(units, 1) == 0 ? UNIT_EXCLUSIVE : UNIT_SHARED,
                        .flags = (uint32_t) sqlite3_column_int(units, 3),
                        .values = sqlite3_column_blob(units, 4),
                        .values_size = (size_t) sqlite3_column_bytes(units, 4),
                };

                r = dns_name_parse(database_text(units, 2), &row.owner);
                if (r >= 0)
                        r = database_put_unit(database, &row);
        }
        if (r >= 0 && code != SQLITE_DONE)
                r = database_to_errno(code) ?: -EIO;
        sqlite3_finalize(units);
        return r < 0 ? r : 0;
}
