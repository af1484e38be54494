/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>

#include "nsregd/context.h"
#include "nsregd/rows.h"
#include "util/log.h"

struct row_write {
        LIST_ENTRY(row_write) writes;
        struct rows *rows;
        struct waiter stored;
        enum unit_kind kind;
        struct dns_name owner;
        char identity[];
};

struct rows {
        struct context *context;
        LIST_HEAD(, row_write) writes;
};

static void row_write_free(struct row_write *write)
{
        waiter_clear(&write->stored);
        LIST_REMOVE(write, writes);
        free(write);
}

static void row_on_stored(struct waiter *waiter, int error)
{
        struct row_write *write = container_of(waiter, struct row_write, stored);

        publisher_row_written(write->rows->context->publisher, write->identity, write->kind, &write->owner,
                              error >= 0);
        row_write_free(write);
}

static struct row_write *row_write_new(struct rows *rows, const struct upstream *upstream,
                                       const struct unit *unit)
{
        struct row_write *write = calloc(1, sizeof(*write) + strlen(upstream->identity) + 1);

        if (!write)
                return NULL;
        write->rows = rows;
        write->kind = unit->kind;
        write->owner = unit_owner(unit);
        strcpy(write->identity, upstream->identity);
        LIST_INSERT_HEAD(&rows->writes, write, writes);
        return write;
}

static struct unit_row row_of(const struct upstream *upstream, const struct unit *unit)
{
        return (struct unit_row){
                .upstream = upstream->identity,
                .mode = unit->kind == UNIT_PTR ? UNIT_SHARED : UNIT_EXCLUSIVE,
                .owner = unit_owner(unit),
                .flags = unit->row,
                .values = unit->row_set.bytes,
                .values_size = unit->row_set.size,
        };
}

void rows_put(struct rows *rows, const struct upstream *upstream, const struct unit *unit, bool wait)
{
        struct row_write *write = wait ? row_write_new(rows, upstream, unit) : NULL;
        struct unit_row row = row_of(upstream, unit);

        if (wait && !write)
                return; /* the unit stays busy until it is wanted otherwise; nothing is sent unknown */
        if (store_put_unit(rows->context->store, &row, write ? &write->stored : NULL, row_on_stored) < 0 &&
            write)
                row_write_free(write);
}

void rows_delete(struct rows *rows, const struct upstream *upstream, const struct unit *unit)
{
        struct unit_row row = row_of(upstream, unit);

        if (store_delete_unit(rows->context->store, &row, NULL, NULL) < 0)
                log_debug("Out of memory: a row of %s stays, and is looked at again at the next start.",
                          upstream->identity);
}

void rows_rename(struct rows *rows, const char *from, const char *to)
{
        /* Of no row that was written before is anything lost: what is left under the old identity is looked
         * at when it is configured again, and what is published from now on has rows of its own. */
}

int rows_new(struct context *context, struct rows **ret)
{
        struct rows *rows = calloc(1, sizeof(*rows));

        if (!rows)
                return -ENOMEM;
        rows->context = context;
        LIST_INIT(&rows->writes);
        *ret = rows;
        return 0;
}

struct rows *rows_free(struct rows *rows)
{
        if (!rows)
                return NULL;
        while (!LIST_EMPTY(&rows->writes))
                row_write_free(LIST_FIRST(&rows->writes));
        free(rows);
        return NULL;
}
