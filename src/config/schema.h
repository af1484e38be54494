/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A configuration's keys as tables. One table drives reading, checking, ranges, defaults, the dump of what is
 * in force, and the test that the manual knows every key. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/document.h"

#define CONFIG_WHY_MAX 512

struct config_key;
struct config_table;
struct config_decoder;

/* How a text becomes a value of a C type, and back. */
struct config_type {
        const char *expected; /* "a time span such as 1h30m" */

        /* For a list: called for each item, appends. 0; 1: taken, with a warning in "why"; -EINVAL with the
         * reason in "why" (may be left empty); -ENOMEM. "text" is never empty. */
        int (*parse)(const struct config_key *key, const char *text, void *target,
                     char why[static CONFIG_WHY_MAX]);

        /* Writes the value, or for a list "[a, b]", as the parser takes it. False: there is none. */
        bool (*print)(const struct config_key *key, const void *target, FILE *out);
};

enum config_kind {
        CONFIG_SCALAR,
        CONFIG_LIST,
        CONFIG_TABLE,    /* a table of its own; its object is part of the outer one */
        CONFIG_MAP,      /* free names, a table for each: an array of objects */
        CONFIG_VARIANTS, /* a list of tables whose keys depend on `type`: an array of objects */
};

struct config_variant {
        const char *name; /* what `type` says */
        int value;
        const struct config_table *table; /* NULL: anything may stand there, nothing is read */
};

/* How an array's objects are made and told apart. */
struct config_array {
        size_t element_size;
        size_t count_offset; /* of the size_t that counts them, in the outer object */

        /* "element" is zeroed. "name" is the map's key, "value" the variant's. -EINVAL: why. */
        int (*init)(void *element, const char *name, int value, char why[static CONFIG_WHY_MAX]);
        const char *(*print_name)(const void *element, char *buffer, size_t size); /* of a map's element */
        int (*get_variant)(const void *element);
};

enum config_key_flags {
        CONFIG_SECRET = 1 << 0, /* not shown; a file that all can read is warned about */
};

struct config_key {
        const char *name;
        enum config_kind kind;
        const struct config_type *type; /* scalar, list */
        const char *default_value;      /* list items are separated by spaces; NULL: none */
        size_t offset;
        size_t present_offset; /* of a bool: was the key given; 0 = nobody asks */
        uint64_t minimum, maximum;
        const void *argument;                  /* of the type: names of an enum, ... */
        const struct config_table *table;      /* table, map */
        const struct config_variant *variants; /* ends with a NULL name */
        const struct config_array *array;
        unsigned flags;
};

struct config_table {
        const struct config_key *keys; /* ends with a NULL name */
        /* What no single key can tell. Called when all keys are good; "node" may be NULL (nothing was given).
         * Problems go to config_decoder_complain(). 0 or -ENOMEM. */
        int (*check)(struct config_decoder *decoder, const struct config_node *node, void *object,
                     const void *outer);
};

/* Fills "object" (zeroed by the caller, who frees it also after a failure). "userdata" is for the checks.
 * 0, -EINVAL, -ENOMEM. */
int config_decode(const struct config_table *table, const struct config_document *document, void *object,
                  struct config_error *error);

/* At the value of "key" in "node" if it is there, else at the table. */
void config_decoder_complain(struct config_decoder *decoder, const struct config_node *node, const char *key,
                             const char *format, ...) _printf_(4, 5);
void config_decoder_warn(struct config_decoder *decoder, const struct config_node *node, const char *key,
                         const char *format, ...) _printf_(4, 5);

/* Was the key given, with a value? */
bool config_key_given(const struct config_node *node, const char *key);

/* What is in force, as a file that can be read again; secrets and unset keys as comments. */
void config_print(const struct config_table *table, const void *object, FILE *out);

/* Calls for every key of a table and the tables below it, outer ones first; "path" is "zones.NAME.upstreams".
 */
typedef void (*config_key_visitor)(void *userdata, const char *path, const struct config_key *key);
void config_visit_keys(const struct config_table *table, config_key_visitor visitor, void *userdata);

/* The nearest of the names, or NULL when none is near. The list ends with NULL. */
const char *config_suggest(const char *const *names, const char *text);
