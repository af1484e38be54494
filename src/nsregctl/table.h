/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables for people and JSON for scripts, by libsmartcols: coloured and made to fit the terminal there, plain
 * where piped. What does not fit is left out word by word, and an ellipsis says so: half an address is
 * another address. */

#include <stdbool.h>
#include <stdint.h>

#include "nsregctl/json.h"

enum output {
        OUTPUT_TABLE,
        OUTPUT_JSON_PRETTY,
        OUTPUT_JSON_SHORT,
};

enum column_kind {
        COLUMN_TEXT,
        COLUMN_WORDS, /* as COLUMN_WIDE; an array for scripts */
        COLUMN_WIDE,  /* words, of which the last may be left out when the terminal is narrow */
        COLUMN_NUMBER,
        COLUMN_BOOLEAN,
        COLUMN_TIME, /* usec of CLOCK_REALTIME: "in 5min" for people, the number for scripts */
};

struct column {
        const char *title; /* for people */
        const char *key;   /* for scripts: as the property on the bus is called, a point in time ...USec */
        enum column_kind kind;
};

struct table;

/* What a person will see it on; before a pager takes the terminal's place. "width" 0: nothing is left out. */
void table_set_terminal(unsigned width, bool colours);

/* "name" is JSON's name of the whole, and stays the caller's as "columns". NULL when memory is out. */
struct table *table_new(const char *name, const struct column *columns, unsigned n_columns,
                        enum output output, bool legend);
struct table *table_free(struct table *table);
/* A row is begun, then each cell set by its column. 0 or -errno. */
int table_row(struct table *table);
int table_set(struct table *table, unsigned column, const char *text);
int table_set_number(struct table *table, unsigned column, uint64_t number);
int table_set_time(struct table *table, unsigned column, uint64_t real_usec);
int table_set_boolean(struct table *table, unsigned column, bool value);
/* Colours a cell on a terminal: "red", "green", ... */
void table_colour(struct table *table, unsigned column, const char *colour);
unsigned table_rows(const struct table *table);
/* Prints all. 0 or -errno. */
int table_print(struct table *table);
/* As a member of something else. */
void table_write(const struct table *table, struct json *json);
