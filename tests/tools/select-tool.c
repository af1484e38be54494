/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads every column of every row of a database, and does nothing with it: what reading costs at least.
 * Prints how many rows there are. select-tool DATABASE TABLE... */

#include <sqlite3.h>
#include <stdio.h>

static int read_table(sqlite3 *database, const char *table, long long *rows)
{
        char text[128];
        sqlite3_stmt *statement;
        int code;

        snprintf(text, sizeof(text), "SELECT * FROM %s", table);
        code = sqlite3_prepare_v2(database, text, -1, &statement, NULL);
        if (code != SQLITE_OK)
                return code;
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
                for (int i = 0; i < sqlite3_column_count(statement); i++)
                        (void) sqlite3_column_bytes(statement, i);
                ++*rows;
        }
        sqlite3_finalize(statement);
        return code == SQLITE_DONE ? SQLITE_OK : code;
}

int main(int argc, char *argv[])
{
        sqlite3 *database = NULL;
        long long rows = 0;
        int code;

        if (argc < 3)
                return 2;
        code = sqlite3_open_v2(argv[1], &database, SQLITE_OPEN_READONLY, NULL);
        for (int i = 2; i < argc && code == SQLITE_OK; i++)
                code = read_table(database, argv[i], &rows);
        if (code != SQLITE_OK)
                fprintf(stderr, "%s\n", sqlite3_errmsg(database));
        sqlite3_close(database);
        printf("%lld\n", rows);
        return code != SQLITE_OK;
}
