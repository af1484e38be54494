/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>

#include "store/rebuild.h"

/* "base" with the endings one behind the other. */
static int name_file(const char *base, const char *ending, const char *log, char **ret)
{
        return asprintf(ret, "%s%s%s", base, ending, log) < 0 ? -ENOMEM : 0;
}

static int remove_file(const char *base, const char *ending, const char *log)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = name_file(base, ending, log, &path);
        if (r < 0)
                return r;
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int rename_file(const char *base, const char *from, const char *to, const char *log)
{
        _cleanup_free_ char *old = NULL, *new = NULL;
        int r;

        r = name_file(base, from, log, &old);
        if (r >= 0)
                r = name_file(base, to, log, &new);
        if (r < 0)
                return r;
        return rename(old, new) < 0 ? -errno : 0;
}

static int sync_directory(const char *path)
{
        _cleanup_free_ char *directory = strdup(path);
        _cleanup_close_ int fd = -1;
        char *slash;

        if (!directory)
                return -ENOMEM;
        slash = strrchr(directory, '/');
        if (slash)
                *slash = '\0';
        fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The old log goes before the new file comes: it would be taken for the new file's. */
static int exchange(const char *path)
{
        int r;

        r = rename_file(path, "", ".damaged", "-wal");
        if (r == -ENOENT)
                r = 0;
        if (r >= 0) {
                r = rename_file(path, "", ".damaged", "");
                /* An earlier attempt came so far. */
                if (r == -ENOENT)
                        r = 0;
        }
        if (r >= 0)
                r = rename_file(path, ".whole", "", "");
        return r < 0 ? r : sync_directory(path);
}

int rebuild_finish(const char *path)
{
        _cleanup_free_ char *whole = NULL;
        int r;

        r = name_file(path, ".whole", "", &whole);
        if (r < 0)
                return r;
        if (access(whole, F_OK) < 0)
                return errno == ENOENT ? 0 : -errno;
        return exchange(path);
}

/* --- what only the old one has --- */

static int take_unit(void *userdata, const struct unit_row *row)
{
        return database_put_unit(userdata, row);
}

static int take_serial(void *userdata, const struct dns_name *zone, uint32_t serial)
{
        return database_put_serial(userdata, zone, serial);
}

static int take_import(void *userdata, const struct dns_name *zone, usec_t imported_usec)
{
        static const struct dns_name all;

        return database_put_import(userdata, zone ?: &all, imported_usec);
}

static int take_over(struct database *old, struct database *fresh)
{
        static const struct store_loader loader = { .unit = take_unit,
                                                    .serial = take_serial,
                                                    .import = take_import };
        int r, k;

        r = database_begin(fresh);
        if (r < 0)
                return r;
        /* As far as it goes: what cannot be read is not there. A fresh one that cannot be written says so at
         * its commit. */
        k = database_load_units(old, &loader, fresh, NULL);
        if (k >= 0 || k == -EBADMSG)
                k = database_load_serials(old, &loader, fresh, NULL);
        if (k >= 0 || k == -EBADMSG)
                k = database_load_imports(old, &loader, fresh, NULL);
        r = k < 0 && !database_in_transaction(fresh) ? k : database_commit(fresh);
        if (r < 0)
                database_rollback(fresh);
        return r;
}

int rebuild_begin(struct database *old, struct database *fresh)
{
        _cleanup_free_ char *path = NULL;
        int r;

        database_close(fresh);
        r = remove_file(old->path, ".new", "");
        if (r >= 0)
                r = remove_file(old->path, ".new", "-wal");
        if (r >= 0)
                r = name_file(old->path, ".new", "", &path);
        if (r >= 0)
                r = database_open(fresh, path, NULL);
        return r < 0 ? r : take_over(old, fresh);
}

int rebuild_end(struct database *database, struct database *fresh)
{
        _cleanup_free_ char *path = strdup(database->path);
        uint64_t n_left_lengthened = database->n_left_lengthened;
        int r;

        if (!path)
                return -ENOMEM;
        /* All of it is in the file, without a log. */
        r = database_checkpoint(fresh, true);
        if (r >= 0 && fresh->log_pages > 0)
                r = -EIO;
        if (r < 0)
                return r;
        database_close(fresh);
        r = rename_file(path, ".new", ".whole", "");
        if (r >= 0)
                r = remove_file(path, ".new", "-wal");
        if (r >= 0)
                r = sync_directory(path);
        if (r < 0)
                return r;
        database_close(database);
        r = exchange(path);
        if (r >= 0)
                r = database_open(database, path, NULL);
        database->n_left_lengthened = n_left_lengthened;
        return r;
}
