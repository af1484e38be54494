/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The SQLite side of the store: schema, statements, rows to values and back. Used by one thread at a time. */

#include <sqlite3.h>

#include "registry/plan.h"
#include "registry/state.h"
#include "store/lease-clock.h"
#include "store/store.h"

#define DATABASE_SCHEMA_VERSION 1

enum database_statement {
        STATEMENT_BEGIN,
        STATEMENT_COMMIT,
        STATEMENT_ROLLBACK,
        STATEMENT_PUT_NAME,
        STATEMENT_DELETE_NAME,
        STATEMENT_PUT_RECORD,
        STATEMENT_DELETE_RECORDS,
        STATEMENT_PUT_UNIT,
        STATEMENT_DELETE_UNIT,
        STATEMENT_PUT_SERIAL,
        STATEMENT_PUT_HEARTBEAT,
        _STATEMENTS,
};

struct database {
        sqlite3 *handle;
        sqlite3_stmt *statements[_STATEMENTS];
        bool is_new;
};

/* Errors and "why" as store_open(). */
int database_open(struct database *database, const char *path, char **why);
void database_close(struct database *database);

/* *ret_found false: there is none yet. */
int database_read_heartbeat(struct database *database, struct heartbeat *ret, bool *ret_found);

/* Between begin and commit. All: 0 or -errno. */
int database_begin(struct database *database);
int database_commit(struct database *database);
void database_rollback(struct database *database);
int database_put_name(struct database *database, const struct dns_name *zone, const char *label,
                      const struct name_state *state);
int database_put_unit(struct database *database, const char *upstream, enum unit_kind kind,
                      const struct dns_name *owner, enum row_state row, const struct rrset *set);
int database_delete_unit(struct database *database, const char *upstream, enum unit_kind kind,
                         const struct dns_name *owner);
int database_put_serial(struct database *database, const struct dns_name *zone, uint32_t serial);
int database_put_heartbeat(struct database *database, const struct heartbeat *heartbeat);

/* "floor_usec": after a crash, every lease counts in full from there; 0 after a clean stop. */
int database_load_names(struct database *database, usec_t floor_usec, const struct store_loader *loader,
                        void *userdata, char **why);
int database_load_units(struct database *database, const struct store_loader *loader, void *userdata,
                        char **why);
int database_load_serials(struct database *database, const struct store_loader *loader, void *userdata,
                          char **why);
