/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <langinfo.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <wchar.h>

#include "nsregctl/table.h"
#include "util/macro.h"
#include "util/time.h"

#define SHORTENED_MIN 12 /* columns of a terminal that a column of words keeps */

static struct {
        unsigned width;
        bool colours;
} terminal;

void table_set_terminal(unsigned width, bool colours)
{
        terminal.width = width;
        terminal.colours = colours;
}

struct table {
        struct libscols_table *table;
        struct libscols_line *line;
        const char *name;
        const struct column *columns;
        unsigned n_columns;
        enum output output;
        unsigned n_rows;
};

struct table *table_free(struct table *table)
{
        if (!table)
                return NULL;
        scols_unref_table(table->table);
        free(table);
        return NULL;
}
DEFINE_CLEANUP(struct table *, table_free)

static bool is_json(const struct table *table)
{
        return table->output != OUTPUT_TABLE;
}

static int add_column(struct table *table, const struct column *column)
{
        int flags = column->kind == COLUMN_NUMBER ? SCOLS_FL_RIGHT : 0;

        return scols_table_new_column(table->table, column->title, 0, flags) ? 0 : -ENOMEM;
}

struct table *table_new(const char *name, const struct column *columns, unsigned n_columns,
                        enum output output, bool legend)
{
        _cleanup_(table_freep) struct table *table = calloc(1, sizeof(*table));

        if (!table)
                return NULL;
        table->name = name;
        table->columns = columns;
        table->n_columns = n_columns;
        table->output = output;
        table->table = scols_new_table();
        if (!table->table)
                return NULL;
        if (!is_json(table)) {
                (void) scols_table_enable_noheadings(table->table, !legend);
                (void) scols_table_enable_colors(table->table, terminal.colours);
                /* It would cut in the middle of a word, without a mark. */
                (void) scols_table_set_termforce(table->table, SCOLS_TERMFORCE_NEVER);
        }
        for (unsigned i = 0; i < n_columns; i++)
                if (add_column(table, &columns[i]) < 0)
                        return NULL;
        return TAKE_PTR(table);
}

int table_row(struct table *table)
{
        table->line = scols_table_new_line(table->table, NULL);
        if (!table->line)
                return -ENOMEM;
        table->n_rows++;
        return 0;
}

int table_set(struct table *table, unsigned column, const char *text)
{
        return scols_line_set_data(table->line, column, text && (text[0] || is_json(table)) ? text : "-");
}

int table_set_number(struct table *table, unsigned column, uint64_t number)
{
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, number);
        return scols_line_set_data(table->line, column, text);
}

int table_set_time(struct table *table, unsigned column, uint64_t real_usec)
{
        usec_t now = now_usec(CLOCK_REALTIME), span;
        char text[TIME_SPAN_FORMAT_MAX + 8], span_text[TIME_SPAN_FORMAT_MAX];

        if (is_json(table))
                return table_set_number(table, column, real_usec);
        if (real_usec == 0)
                return table_set(table, column, "-");
        span = real_usec > now ? real_usec - now : now - real_usec;
        span -= span % USEC_PER_SEC;
        time_span_format(span_text, sizeof(span_text), span);
        if (span == 0)
                snprintf(text, sizeof(text), "now");
        else
                snprintf(text, sizeof(text), real_usec > now ? "in %s" : "%s ago", span_text);
        return scols_line_set_data(table->line, column, text);
}

int table_set_boolean(struct table *table, unsigned column, bool value)
{
        return scols_line_set_data(table->line, column, value ? "yes" : "no");
}

void table_colour(struct table *table, unsigned column, const char *colour)
{
        struct libscols_cell *cell = scols_line_get_cell(table->line, column);

        if (cell && !is_json(table))
                (void) scols_cell_set_color(cell, colour);
}

unsigned table_rows(const struct table *table)
{
        return table->n_rows;
}

static void write_words(struct json *json, const char *key, const char *text)
{
        json_begin(json, key, '[');
        for (const char *word = text + strspn(text, " "); *word; word += strspn(word, " ")) {
                size_t size = strcspn(word, " ");

                json_string_n(json, NULL, word, size);
                word += size;
        }
        json_end(json, ']');
}

/* A number is kept as it was printed; what was never set is as if it were empty. */
static void write_cell(struct json *json, const struct column *column, const char *text)
{
        switch (column->kind) {
        case COLUMN_TEXT:
        case COLUMN_WIDE:
                json_string(json, column->key, text ?: "");
                break;
        case COLUMN_WORDS:
                write_words(json, column->key, text ?: "");
                break;
        case COLUMN_NUMBER:
        case COLUMN_TIME:
                json_number(json, column->key, text ? strtoull(text, NULL, 10) : 0);
                break;
        case COLUMN_BOOLEAN:
                json_boolean(json, column->key, text && streq(text, "yes"));
                break;
        }
}

void table_write(const struct table *table, struct json *json)
{
        json_begin(json, table->name, '[');
        for (size_t i = 0; i < table->n_rows; i++) {
                struct libscols_line *line = scols_table_get_line(table->table, i);

                json_begin(json, NULL, '{');
                for (unsigned j = 0; j < table->n_columns; j++)
                        write_cell(json, &table->columns[j],
                                   scols_cell_get_data(scols_line_get_cell(line, j)));
                json_end(json, '}');
        }
        json_end(json, ']');
}

/* ------ to the width of a terminal ------ */

static size_t display_width(const char *text)
{
        wchar_t wide[2048];
        size_t n = mbstowcs(wide, text, ELEMENTSOF(wide));
        int width = n < ELEMENTSOF(wide) ? wcswidth(wide, n) : -1;

        return width >= 0 ? (size_t) width : strlen(text);
}

static size_t column_width(struct table *table, size_t column)
{
        struct libscols_cell *header = scols_column_get_header(scols_table_get_column(table->table, column));
        size_t width = scols_table_is_noheadings(table->table) ? 0
                                                               : display_width(scols_cell_get_data(header));

        for (size_t i = 0; i < scols_table_get_nlines(table->table); i++) {
                const char *text = scols_cell_get_data(
                        scols_line_get_cell(scols_table_get_line(table->table, i), column));

                width = MAX(width, text ? display_width(text) : 0);
        }
        return width;
}

/* As many whole words as there is room for, and a mark; at least one. */
static int cell_shorten(struct libscols_cell *cell, size_t width)
{
        const char *text = scols_cell_get_data(cell);
        const char *mark = streq(nl_langinfo(CODESET), "UTF-8") ? " \u2026" : " ...";
        _cleanup_free_ char *shorter = NULL;
        size_t kept = 0;

        if (!text || display_width(text) <= width)
                return 0;
        for (const char *blank = strchr(text, ' '); blank; blank = strchr(blank + 1, ' ')) {
                _cleanup_free_ char *part = strndup(text, (size_t) (blank - text));

                if (!part)
                        return -ENOMEM;
                if (kept > 0 && display_width(part) + display_width(mark) > width)
                        break;
                kept = (size_t) (blank - text);
        }
        if (kept == 0)
                return 0;
        if (asprintf(&shorter, "%.*s%s", (int) kept, text, mark) < 0) {
                shorter = NULL;
                return -ENOMEM;
        }
        return scols_cell_set_data(cell, shorter);
}

static int column_shorten(struct table *table, size_t column, size_t width)
{
        int r = 0;

        for (size_t i = 0; i < scols_table_get_nlines(table->table) && r >= 0; i++)
                r = cell_shorten(scols_line_get_cell(scols_table_get_line(table->table, i), column), width);
        return r;
}

/* The last columns first. Where even that is too wide the terminal wraps what it is given in full. */
static int fit(struct table *table)
{
        size_t n = scols_table_get_ncols(table->table), total = n > 0 ? n - 1 : 0;

        if (terminal.width == 0)
                return 0;
        for (size_t i = 0; i < n; i++)
                total += column_width(table, i);
        for (size_t i = n; i-- > 0 && total > terminal.width;) {
                size_t width, excess = total - terminal.width;
                int r;

                if (table->columns[i].kind != COLUMN_WIDE && table->columns[i].kind != COLUMN_WORDS)
                        continue;
                width = column_width(table, i);
                r = column_shorten(table, i,
                                   MAX(width > excess ? width - excess : 0, (size_t) SHORTENED_MIN));
                if (r < 0)
                        return r;
                total = total - width + column_width(table, i);
        }
        return 0;
}

int table_print(struct table *table)
{
        struct json json = { .pretty = table->output == OUTPUT_JSON_PRETTY };
        int r;

        if (!is_json(table)) {
                r = fit(table);
                return r < 0 ? r : scols_print_table(table->table);
        }
        json_begin(&json, NULL, '{');
        table_write(table, &json);
        json_end(&json, '}');
        return 0;
}
