/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>

#include "store/database.h"

/* The log keeps its place on the disk, so that ends of leases and the heartbeat can be written, and the
 * daemon be started, when the disk is full. It is written into the file long before it needs more. */
#define LOG_RESERVED (INT64_C(4) * 1024 * 1024)
#define FILE_PAGE    4096
#define LOG_DUE      (LOG_RESERVED / (FILE_PAGE + 24) / 2)
/* The file grows in steps of so many octets. */
#define FILE_STEP (256 * 1024)

int database_to_errno(int code)
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
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_MISUSE:
        case SQLITE_RANGE:
        case SQLITE_TOOBIG:
                return -EINVAL;
        default:
                return -EIO;
        }
}

int database_explain(char **why, int error, const char *text)
{
        if (why) {
                free(*why);
                *why = text ? strdup(text) : NULL;
        }
        return error;
}

int database_explain_sqlite(struct database *database, char **why)
{
        int code = sqlite3_extended_errcode(database->handle);

        return database_explain(why, database_to_errno(code) ?: -EIO, sqlite3_errmsg(database->handle));
}

int database_execute(struct database *database, const char *text, char **why)
{
        int code = sqlite3_exec(database->handle, text, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : database_explain_sqlite(database, why);
}

int database_prepare(struct database *database, const char *text, sqlite3_stmt **ret)
{
        return database_to_errno(sqlite3_prepare_v2(database->handle, text, -1, ret, NULL));
}

/* --- opening --- */

static int on_commit(void *userdata, sqlite3 *handle, const char *name, int n_pages)
{
        struct database *database = userdata;

        database->log_pages = n_pages;
        return SQLITE_OK;
}

static int log_path(const struct database *database, char **ret)
{
        return asprintf(ret, "%s-wal", database->path) < 0 ? -ENOMEM : 0;
}

/* Best effort: a file system that cannot do it, or that is full now, serves until it is full. */
static void reserve_log(struct database *database)
{
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *path = NULL;

        if (log_path(database, &path) < 0)
                return;
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0)
                /* Its size stays: SQLite reads what is there. */
                (void) fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOG_RESERVED);
}

static int configure(struct database *database, char **why)
{
        int one = 1, step = FILE_STEP, r;

        /* Exclusive: no other process opens it, and the index of the log needs no shared memory file. */
        r = database_execute(database, "PRAGMA locking_mode = EXCLUSIVE", why);
        if (r >= 0)
                r = database_execute(database, "PRAGMA journal_mode = WAL", why);
        if (r >= 0)
                r = database_execute(database, "PRAGMA synchronous = FULL", why);
        if (r >= 0)
                r = database_execute(database, "PRAGMA trusted_schema = OFF", why);
        if (r >= 0)
                r = database_execute(database, "PRAGMA foreign_keys = ON", why);
        if (r < 0)
                return r;
        /* These cannot fail with the file systems of the kernel; and what they are for is told elsewhere when
         * it does not come about. */
        (void) sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &one);
        (void) sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_CHUNK_SIZE, &step);
        (void) sqlite3_wal_hook(database->handle, on_commit, database);
        return 0;
}

int database_open(struct database *database, const char *path, char **why)
{
        int r, code;

        *database = (struct database){ .path = strdup(path) };
        if (!database->path)
                return -ENOMEM;
        code = sqlite3_open_v2(path, &database->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                       SQLITE_OPEN_EXRESCODE,
                               NULL);
        r = code == SQLITE_OK ? configure(database, why) : database_explain_sqlite(database, why);
        if (r >= 0)
                r = database_prepare_schema(database, why);
        for (unsigned i = 0; r >= 0 && i < _STATEMENTS; i++) {
                code = sqlite3_prepare_v3(database->handle, database_statement_texts[i], -1,
                                          SQLITE_PREPARE_PERSISTENT, &database->statements[i], NULL);
                if (code != SQLITE_OK)
                        r = database_explain_sqlite(database, why);
        }
        if (r < 0)
                database_close(database);
        else
                reserve_log(database);
        return r;
}

/* What the log holds is in the file; on the disk it still looks as if it were to be taken over. A copy of the
 * file that is put in its place must not be mixed with it. */
static void forget_log(const struct database *database)
{
        static const uint8_t nothing[32];
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *path = NULL;

        if (log_path(database, &path) < 0)
                return;
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        /* If this fails the log is taken over once more: the same pages again. */
        if (fd >= 0 && pwrite(fd, nothing, sizeof(nothing), 0) == (ssize_t) sizeof(nothing))
                (void) fdatasync(fd);
}

void database_close(struct database *database)
{
        int n_log = -1, n_done = -1;
        bool complete = database->handle && database->statements[STATEMENT_BEGIN] &&
                        sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_FULL, &n_log,
                                                  &n_done) == SQLITE_OK &&
                        n_log == n_done;

        for (unsigned i = 0; i < _STATEMENTS; i++)
                sqlite3_finalize(database->statements[i]);
        /* Nothing is open any more that could keep it from closing. */
        if (sqlite3_close(database->handle) == SQLITE_OK && complete)
                forget_log(database);
        free(database->path);
        *database = (struct database){};
}

/* --- statements --- */

static void note_bind(struct database *database, int code)
{
        if (code != SQLITE_OK && database->bind_code == SQLITE_OK)
                database->bind_code = code;
}

void database_bind_text(struct database *database, enum database_statement which, int index, const char *text)
{
        note_bind(database, sqlite3_bind_text(database->statements[which], index, text, -1, SQLITE_STATIC));
}

void database_bind_blob(struct database *database, enum database_statement which, int index,
                        const void *octets, size_t size)
{
        /* No octets are an empty blob, not NULL. */
        note_bind(database,
                  sqlite3_bind_blob64(database->statements[which], index, octets ?: "", size, SQLITE_STATIC));
}

void database_bind_integer(struct database *database, enum database_statement which, int index, int64_t value)
{
        note_bind(database, sqlite3_bind_int64(database->statements[which], index, value));
}

void database_bind_usec(struct database *database, enum database_statement which, int index, usec_t usec)
{
        database_bind_integer(database, which, index, (int64_t) usec);
}

int database_run(struct database *database, enum database_statement which)
{
        sqlite3_stmt *statement = database->statements[which];
        int code = database->bind_code;

        database->bind_code = SQLITE_OK;
        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        /* Both say again what the step said. */
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return database_to_errno(code);
}

/* --- transactions --- */

int database_begin(struct database *database)
{
        return database_run(database, STATEMENT_BEGIN);
}

bool database_in_transaction(const struct database *database)
{
        return database->handle && !sqlite3_get_autocommit(database->handle);
}

/* What the file will need is there before anybody is told that it is stored: else the log could not be
 * written into it on a full disk, and would fill up itself. */
static int reserve_file(struct database *database)
{
        sqlite3_stmt *statement = database->statements[STATEMENT_PAGE_COUNT];
        sqlite3_int64 size;
        int64_t n_pages;
        int code;

        code = sqlite3_step(statement);
        n_pages = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        (void) sqlite3_reset(statement);
        if (code != SQLITE_ROW)
                return database_to_errno(code) ?: -EIO;
        if (n_pages <= database->pages_reserved)
                return 0;
        size = n_pages * FILE_PAGE;
        code = sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_SIZE_HINT, &size);
        if (code != SQLITE_OK)
                return -ENOSPC;
        database->pages_reserved = n_pages;
        return 0;
}

int database_commit(struct database *database)
{
        int r;

        r = reserve_file(database);
        return r < 0 ? r : database_run(database, STATEMENT_COMMIT);
}

void database_rollback(struct database *database)
{
        /* FULL, IOERR and NOMEM may have rolled back already. What fails here is an open transaction that
         * BEGIN stumbles over, and that is told. */
        if (database_in_transaction(database))
                (void) database_run(database, STATEMENT_ROLLBACK);
}

int database_checkpoint(struct database *database, bool at_once)
{
        int code, n_log, n_done;

        if (database->log_pages == 0 || (!at_once && database->log_pages < LOG_DUE))
                return 0;
        /* Nobody else reads: all of it is written, and the log begins anew with the next transaction. */
        code = sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &n_log, &n_done);
        if (code == SQLITE_OK && n_log == n_done)
                database->log_pages = 0;
        return database_to_errno(code);
}
