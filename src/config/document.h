/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* YAML as a tree of texts that know where they stand. Nothing is typed here: what a text means is the
 * schema's to say, so "no" and "1:30" stay what was written. Anchors, aliases, merge keys, tags and more than
 * one document are refused; depth, size and number of nodes are bounded. Keys compare without regard to case
 * and to a final dot, because some are domain names. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/error.h"
#include "util/macro.h"

#define CONFIG_FILE_MAX  (1024 * 1024)
#define CONFIG_DEPTH_MAX 16
#define CONFIG_NODES_MAX 100000

enum config_node_type {
        CONFIG_NODE_SCALAR,
        CONFIG_NODE_LIST,
        CONFIG_NODE_MAP,
};

/* A file that was read; nodes refer to it. */
struct config_source {
        char *path;
        mode_t mode;
        struct config_source *next;
};

struct config_node;

struct config_entry {
        char *key; /* maps only, else NULL */
        struct config_position key_position;
        struct config_node *value;
};

struct config_node {
        enum config_node_type type;
        struct config_position position;
        const struct config_source *source;
        char *text;                   /* scalars; no NUL inside */
        struct config_entry *entries; /* lists and maps */
        size_t n_entries;
};

struct config_document {
        struct config_source *sources;
        struct config_node *root; /* NULL: nothing configured */
};

struct config_document *config_document_new(void);
struct config_document *config_document_free(struct config_document *document);
DEFINE_CLEANUP(struct config_document *, config_document_free)

/* Parses one file's text and lays it over what is there: maps merge by key, lists and scalars replace. "path"
 * is for messages. 0; -EINVAL with the errors told; -ENOMEM. On failure the document is as it was. */
int config_document_add(struct config_document *document, const char *path, mode_t mode, const char *text,
                        size_t length, struct config_error *error);

bool config_key_equal(const char *a, const char *b);

/* The entry of a map, or NULL. "node" may be NULL. */
const struct config_entry *config_node_find(const struct config_node *node, const char *key);

/* A key without a value, or with an empty one: the same as none. */
bool config_node_is_empty(const struct config_node *node);

const char *config_node_type_to_string(enum config_node_type type); /* "a list", ... */
