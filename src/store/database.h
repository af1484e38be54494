/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The SQLite side of the store: schema, statements, rows to values and back. Used by one thread at a time.
 *
 * database.c: opening, transactions, space on the disk. database-schema.c: tables, and those of earlier
 * versions. database-write.c, database-read.c: names, their ends, serials, imports, the heartbeat.
 * database-units.c: what is published. */

#include <sqlite3.h>

#include "registry/state.h"
#include "registry/unit-row.h"
#include "store/ends.h"
#include "store/lease-clock.h"
#include "store/page.h"

#define DATABASE_SCHEMA_VERSION 3
#define DATABASE_APPLICATION_ID 0x6e737267 /* "nsrg" */

enum database_statement {
        STATEMENT_BEGIN,
        STATEMENT_COMMIT,
        STATEMENT_ROLLBACK,
        STATEMENT_PAGE_COUNT,
        STATEMENT_PUT_NAME,
        STATEMENT_DELETE_NAME,
        STATEMENT_PUT_ENDS,
        STATEMENT_MOVE_ENDS,
        STATEMENT_PUT_RECORD,
        STATEMENT_CUT_RECORDS,
        STATEMENT_PUT_UNIT,
        STATEMENT_DELETE_UNIT,
        STATEMENT_MOVE_UNITS,
        STATEMENT_FORGET_UNITS,
        STATEMENT_PUT_SERIAL,
        STATEMENT_PUT_IMPORT,
        STATEMENT_PUT_HEARTBEAT,
        _STATEMENTS,
};

struct database {
        sqlite3 *handle;
        char *path;
        sqlite3_stmt *statements[_STATEMENTS];
        int bind_code;              /* of the first value of a statement that could not be bound */
        int64_t pages_reserved;     /* so large the file is for certain */
        int log_pages;              /* in the log, behind the last commit */
        uint64_t n_left_lengthened; /* names that were lengthened when they were loaded, and are not served */
        bool is_new;
};

/* Errors and "why" as store_open(). */
int database_open(struct database *database, const char *path, char **why);
void database_close(struct database *database);

/* --- transactions; all: 0 or -errno --- */
int database_begin(struct database *database);
/* -EIO: whether it is on the disk is not known. The next transaction that succeeds takes the place of what
 * this one left in the log, so it decides; it should not wait long. */
int database_commit(struct database *database);
/* No-op where SQLite has rolled back by itself. */
void database_rollback(struct database *database);
/* False: an error has ended the transaction, whatever was done in it. */
bool database_in_transaction(const struct database *database);
/* Between transactions: writes the log into the file, once it is "due" or at once. */
int database_checkpoint(struct database *database, bool at_once);

/* --- between begin and commit --- */
/* "state" has its generation; an empty one deletes the name. */
int database_put_name(struct database *database, const struct dns_name *zone, const char *label,
                      const struct name_state *state);
/* Nothing happens to a name that is of another generation. */
int database_move_ends(struct database *database, const struct dns_name *zone, const struct moved_ends *ends);
int database_put_unit(struct database *database, const struct unit_row *row);
int database_delete_unit(struct database *database, const struct unit_row *key);
/* All rows of one upstream become those of another; "to" NULL: they are forgotten. */
int database_move_units(struct database *database, const char *from, const char *to);
int database_put_serial(struct database *database, const struct dns_name *zone, uint32_t serial);
int database_put_import(struct database *database, const struct dns_name *zone, usec_t real_usec);
/* "generation": the last one that was given. */
int database_put_heartbeat(struct database *database, const struct heartbeat *heartbeat, uint64_t generation);

/* --- reading --- */
/* *ret_found false: there is none yet. */
int database_read_heartbeat(struct database *database, struct heartbeat *ret, uint64_t *ret_generation,
                            bool *ret_found);
/* What nobody can know after a crash; lease clock. */
struct lengthening {
        usec_t floor_usec;       /* every lease counts in full from there; 0 after a clean stop */
        usec_t held_before_usec; /* whose key lease is stored to have ended before this ... */
        usec_t held_until_usec;  /* ... could not refresh then, and is held until that */
};
int database_load_names(struct database *database, const struct lengthening *lengthening,
                        const struct store_loader *loader, void *userdata, char **why);
int database_load_units(struct database *database, const struct store_loader *loader, void *userdata,
                        char **why);
int database_load_places(struct database *database, const struct store_loader *loader, void *userdata,
                         char **why);
int database_load_serials(struct database *database, const struct store_loader *loader, void *userdata,
                          char **why);
int database_load_imports(struct database *database, const struct store_loader *loader, void *userdata,
                          char **why);
/* Units of one upstream behind a row; one without owner: from the first. */
int database_read_units(struct database *database, const struct unit_row *after, struct store_units *page);
/* Names of one zone behind a label. */
int database_read_page(struct database *database, const struct lengthening *lengthening,
                       struct store_page *page);

/* --- among the files of the database --- */
extern const char database_schema[];
extern const char database_records_schema[];
extern const char database_units_schema[];
extern const char *const database_statement_texts[_STATEMENTS];
/* Makes or brings up to date the tables, in one transaction. */
int database_prepare_schema(struct database *database, char **why);
int database_put_record(struct database *database, const char *zone, const char *label, unsigned position,
                        const struct record_value *value, bool proven, bool provisional);
/* Names as schema 1 had them, for database_prepare_schema(): table names_1, records_1. */
int database_load_names_1(struct database *database, const struct store_loader *loader, void *userdata);
int database_take_units_1(struct database *database);

int database_to_errno(int code);
/* Both return "error", or what SQLite says. */
int database_explain(char **why, int error, const char *text);
int database_explain_sqlite(struct database *database, char **why);
int database_execute(struct database *database, const char *text, char **why);
int database_prepare(struct database *database, const char *text, sqlite3_stmt **ret);
/* Steps, resets and clears. What could not be bound is an error here. */
int database_run(struct database *database, enum database_statement which);

/* "which" and the parameter's number, from 1. Octets and texts must stay as they are until database_run(). */
void database_bind_text(struct database *database, enum database_statement which, int index,
                        const char *text);
void database_bind_blob(struct database *database, enum database_statement which, int index,
                        const void *octets, size_t size);
void database_bind_integer(struct database *database, enum database_statement which, int index,
                           int64_t value);
void database_bind_usec(struct database *database, enum database_statement which, int index, usec_t usec);

static inline const char *database_text(sqlite3_stmt *statement, int index)
{
        return (const char *) sqlite3_column_text(statement, index);
}
