/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is published where: a key and a content, which only the plan understands. */

#include "registry/rrset.h"
#include "store/database.h"
#include "store/store-internal.h"

/* The zone '' stands for one that is not known: a row of schema 1. */
const char database_units_schema[] =
        "CREATE TABLE units (upstream TEXT NOT NULL, zone TEXT NOT NULL, mode INTEGER NOT NULL,"
        " owner TEXT NOT NULL, type INTEGER NOT NULL, rdata BLOB NOT NULL, flags INTEGER NOT NULL,"
        " vals BLOB NOT NULL, PRIMARY KEY (upstream, zone, mode, owner, type, rdata)) WITHOUT ROWID;";

struct unit_text {
        char zone[DNS_NAME_FORMAT_MAX], owner[DNS_NAME_FORMAT_MAX];
};

static void bind_key(struct database *database, enum database_statement which, const struct unit_row *row,
                     struct unit_text *text)
{
        if (row->zone.length > 0)
                dns_name_format(&row->zone, text->zone);
        else
                text->zone[0] = '\0';
        database_bind_text(database, which, 1, row->upstream);
        database_bind_text(database, which, 2, text->zone);
        database_bind_integer(database, which, 3, row->mode);
        database_bind_text(database, which, 4, dns_name_format(&row->owner, text->owner));
        database_bind_integer(database, which, 5, row->type);
        database_bind_blob(database, which, 6, row->rdata, row->rdata_size);
}

int database_put_unit(struct database *database, const struct unit_row *row)
{
        struct unit_text text;

        bind_key(database, STATEMENT_PUT_UNIT, row, &text);
        database_bind_integer(database, STATEMENT_PUT_UNIT, 7, row->flags);
        database_bind_blob(database, STATEMENT_PUT_UNIT, 8, row->values, row->values_size);
        return database_run(database, STATEMENT_PUT_UNIT);
}

int database_delete_unit(struct database *database, const struct unit_row *key)
{
        struct unit_text text;

        bind_key(database, STATEMENT_DELETE_UNIT, key, &text);
        return database_run(database, STATEMENT_DELETE_UNIT);
}

int database_move_units(struct database *database, const char *from, const char *to)
{
        int r = 0;

        if (to) {
                database_bind_text(database, STATEMENT_MOVE_UNITS, 1, from);
                database_bind_text(database, STATEMENT_MOVE_UNITS, 2, to);
                r = database_run(database, STATEMENT_MOVE_UNITS);
        }
        if (r < 0)
                return r;
        database_bind_text(database, STATEMENT_FORGET_UNITS, 1, from);
        return database_run(database, STATEMENT_FORGET_UNITS);
}

/* Views into the statement. */
static int read_unit(sqlite3_stmt *statement, struct unit_row *ret)
{
        const char *zone = database_text(statement, 1);
        struct unit_row row = {
                .upstream = database_text(statement, 0),
                .mode = (enum unit_mode) sqlite3_column_int(statement, 2),
                .type = (uint16_t) sqlite3_column_int(statement, 4),
                .rdata = sqlite3_column_blob(statement, 5),
                .rdata_size = (size_t) sqlite3_column_bytes(statement, 5),
                .flags = (uint32_t) sqlite3_column_int64(statement, 6),
                .values = sqlite3_column_blob(statement, 7),
                .values_size = (size_t) sqlite3_column_bytes(statement, 7),
        };
        int r;

        r = dns_name_parse(database_text(statement, 3), &row.owner);
        if (r >= 0 && zone[0])
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
                             "SELECT upstream, zone, mode, owner, type, rdata, flags, vals FROM units"
                             " ORDER BY upstream, zone, mode, owner, type, rdata",
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

/* One step of the index for each, however many rows there are. */
int database_load_places(struct database *database, const struct store_loader *loader, void *userdata,
                         char **why)
{
        _cleanup_free_ char *upstream = NULL;
        char zone[DNS_NAME_FORMAT_MAX] = "";
        struct unit_row row = {};
        sqlite3_stmt *next = NULL;
        int r, code = SQLITE_DONE, mode = -1;

        r = database_prepare(database,
                             "SELECT upstream, zone, mode FROM units"
                             " WHERE (upstream, zone, mode) > (coalesce(?1, ''), ?2, ?3)"
                             " ORDER BY upstream, zone, mode LIMIT 1",
                             &next);
        while (r >= 0) {
                code = sqlite3_bind_text(next, 1, upstream, -1, SQLITE_TRANSIENT);
                if (code == SQLITE_OK)
                        code = sqlite3_bind_text(next, 2, zone, -1, SQLITE_TRANSIENT);
                if (code == SQLITE_OK)
                        code = sqlite3_bind_int(next, 3, mode);
                if (code == SQLITE_OK)
                        code = sqlite3_step(next);
                if (code != SQLITE_ROW)
                        break;
                row = (struct unit_row){};
                free(upstream);
                row.upstream = upstream = strdup(database_text(next, 0));
                snprintf(zone, sizeof(zone), "%s", database_text(next, 1));
                mode = sqlite3_column_int(next, 2);
                row.mode = (enum unit_mode) mode;
                /* Says again what the step said. */
                (void) sqlite3_reset(next);
                r = upstream ? 0 : -ENOMEM;
                if (r >= 0 && zone[0])
                        r = dns_name_parse(zone, &row.zone);
                if (r >= 0)
                        r = loader->place(userdata, &row);
        }
        if (r < 0)
                (void) database_explain(why, r, "a row of its table of units makes no sense");
        else if (code != SQLITE_DONE)
                r = database_explain_sqlite(database, why);
        sqlite3_finalize(next);
        return r < 0 ? r : 0;
}

int database_read_units(struct database *database, const struct unit_row *after, struct store_units *page)
{
        char zone[DNS_NAME_FORMAT_MAX] = "", owner[DNS_NAME_FORMAT_MAX] = "";
        sqlite3_stmt *units = NULL;
        int r, code = SQLITE_DONE;

        r = database_prepare(
                database,
                "SELECT upstream, zone, mode, owner, type, rdata, flags, vals FROM units"
                " WHERE upstream = ?1 AND (zone, mode, owner, type, rdata) > (?2, ?3, ?4, ?5, ?6)"
                " ORDER BY upstream, zone, mode, owner, type, rdata",
                &units);
        if (r < 0)
                return r;
        if (after->owner.length > 0)
                dns_name_format(&after->owner, owner);
        if (after->zone.length > 0)
                dns_name_format(&after->zone, zone);
        code = sqlite3_bind_text(units, 1, after->upstream, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
                code = sqlite3_bind_text(units, 2, zone, -1, SQLITE_STATIC);
        /* Before every mode there is. */
        if (code == SQLITE_OK)
                code = sqlite3_bind_int(units, 3, after->owner.length > 0 ? (int) after->mode : -1);
        if (code == SQLITE_OK)
                code = sqlite3_bind_text(units, 4, owner, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
                code = sqlite3_bind_int(units, 5, after->type);
        if (code == SQLITE_OK)
                code = sqlite3_bind_blob64(units, 6, after->rdata_size > 0 ? (const void *) after->rdata : "",
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

#define VALUE_HEADER 4U
#define STATE_OURS   2

struct old_unit {
        struct database *database;
        struct unit_row row;
        bool ours;
        struct rrset set;
};

static void write_value(uint8_t **at, const struct rrset *value)
{
        for (unsigned i = 0; i < VALUE_HEADER; i++)
                *(*at)++ = (uint8_t) (value->size >> (24 - 8 * i));
        if (value->size > 0)
                memcpy(*at, value->bytes, value->size);
        *at += value->size;
}

static int put_values(struct old_unit *old, const struct rrset *values, unsigned n)
{
        _cleanup_free_ uint8_t *octets = NULL;
        size_t size = 0;
        uint8_t *at;

        for (unsigned i = 0; i < n; i++)
                size += VALUE_HEADER + values[i].size;
        at = octets = malloc(size);
        if (!octets)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++)
                write_value(&at, &values[i]);
        /* Schema 1 knew no other fudge than the usual one. */
        old->row.flags = UINT32_C(300) << UNIT_ROW_FUDGE_SHIFT | (old->ours ? UNIT_ROW_ACCEPTED : 0);
        old->row.values = octets;
        old->row.values_size = size;
        return database_put_unit(old->database, &old->row);
}

/* All of a type. What was in doubt may be there, or not, or, as wishes were heaped up in it, a part of it. */
static int take_exclusive(struct old_unit *old, uint16_t type)
{
        struct rrset values[4] = {}, all = rrset_of_type(&old->set, type);
        struct rrset_item item;
        uint32_t position = 0;
        unsigned n = 0;
        int r = 0;

        old->row.type = type;
        if (old->ours)
                return put_values(old, &all, 1);
        values[n++] = (struct rrset){};
        if (rrset_count(&all) == 2)
                while (r >= 0 && rrset_next(&all, &position, &item))
                        r = rrset_add_item(&values[n++], &item);
        values[n] = all;
        if (r >= 0)
                r = put_values(old, values, n + 1);
        for (unsigned i = 1; i < n; i++)
                rrset_clear(&values[i]);
        return r;
}

/* Of several one may have been on its way out. */
static int take_shared(struct old_unit *old, const struct rrset_item *item)
{
        bool alone = old->ours && rrset_count(&old->set) == 1;
        struct rrset values[2] = {};
        int r;

        old->row.type = item->type;
        old->row.rdata = item->rdata;
        old->row.rdata_size = item->length;
        r = rrset_add_item(&values[1], item);
        if (r >= 0)
                r = put_values(old, alone ? values + 1 : values, alone ? 1 : 2);
        rrset_clear(&values[1]);
        return r;
}

static int take_unit(struct old_unit *old)
{
        struct rrset_item item;
        uint32_t position = 0;
        uint16_t last = 0;
        int r = 0;

        while (r >= 0 && rrset_next(&old->set, &position, &item)) {
                if (old->row.mode == UNIT_SHARED)
                        r = take_shared(old, &item);
                else if (item.type != last)
                        r = take_exclusive(old, item.type);
                last = item.type;
        }
        return r;
}

int database_take_units_1(struct database *database)
{
        sqlite3_stmt *units = NULL;
        int r, code = SQLITE_DONE;

        r = database_prepare(database, "SELECT upstream, kind, owner, state, rrset FROM units_1", &units);
        while (r >= 0 && (code = sqlite3_step(units)) == SQLITE_ROW) {
                struct old_unit old = {
                        .database = database,
                        .row = { .upstream = database_text(units, 0),
                                 .mode = sqlite3_column_int(units, 1) == 0 ? UNIT_EXCLUSIVE : UNIT_SHARED },
                        .ours = sqlite3_column_int(units, 3) == STATE_OURS,
                };

                r = dns_name_parse(database_text(units, 2), &old.row.owner);
                if (r >= 0)
                        r = rrset_from_bytes(&old.set, sqlite3_column_blob(units, 4),
                                             (size_t) sqlite3_column_bytes(units, 4));
                if (r >= 0)
                        r = take_unit(&old);
                rrset_clear(&old.set);
        }
        if (r >= 0 && code != SQLITE_DONE)
                r = database_to_errno(code) ?: -EIO;
        sqlite3_finalize(units);
        return r < 0 ? r : 0;
}
