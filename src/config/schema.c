/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/schema.h"

#include <ctype.h>
#include <stdarg.h>
#include <strings.h>

#include "util/escape.h"

#define NAMES_MAX       64
#define NAME_LENGTH_MAX 63

struct config_decoder {
        struct config_error *error;
        size_t path_length;
        char path[512];
};

/* What is too long for the path is left out of it; the position in the file is exact anyway. */
static size_t path_push(struct config_decoder *decoder, const char *separator, const char *name)
{
        size_t before = decoder->path_length;
        char escaped[300];
        int n;

        escape_string(escaped, sizeof(escaped), name);
        n = snprintf(decoder->path + before, sizeof(decoder->path) - before, "%s%s",
                     before > 0 ? separator : "", escaped);
        if (n > 0)
                decoder->path_length = MIN(before + (size_t) n, sizeof(decoder->path) - 1);
        return before;
}

static size_t path_push_index(struct config_decoder *decoder, size_t index)
{
        char text[32];

        snprintf(text, sizeof(text), "[%zu]", index);
        return path_push(decoder, "", text);
}

static void path_pop(struct config_decoder *decoder, size_t before)
{
        decoder->path_length = before;
        decoder->path[before] = '\0';
}

bool config_key_given(const struct config_node *node, const char *key)
{
        const struct config_entry *entry = config_node_find(node, key);

        return entry && !config_node_is_empty(entry->value);
}

static const struct config_position *position_for(const struct config_node *node, const char *key)
{
        const struct config_entry *entry = key ? config_node_find(node, key) : NULL;

        if (entry)
                return &entry->value->position;
        return node ? &node->position : NULL;
}

/* What config_error_add() and config_error_warn() have in common. */
typedef void (*config_teller)(struct config_error *error, const struct config_position *position,
                              const char *key, const char *format, ...);

static void tell(struct config_decoder *decoder, config_teller teller, const struct config_node *node,
                 const char *key, const char *format, va_list arguments)
        __attribute__((format(printf, 5, 0)));

static void tell(struct config_decoder *decoder, config_teller teller, const struct config_node *node,
                 const char *key, const char *format, va_list arguments)
{
        _cleanup_free_ char *message = NULL;
        size_t before = decoder->path_length;

        if (vasprintf(&message, format, arguments) < 0) {
                message = NULL;
                decoder->error->out_of_memory = true;
                return;
        }
        if (key)
                path_push(decoder, ".", key);
        teller(decoder->error, position_for(node, key), decoder->path, "%s", message);
        path_pop(decoder, before);
}

void config_decoder_complain(struct config_decoder *decoder, const struct config_node *node, const char *key,
                             const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        tell(decoder, config_error_add, node, key, format, arguments);
        va_end(arguments);
}

void config_decoder_warn(struct config_decoder *decoder, const struct config_node *node, const char *key,
                         const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        tell(decoder, config_error_warn, node, key, format, arguments);
        va_end(arguments);
}

/* How many letters are wrong, missing, too many, or swapped with their neighbour. */
static unsigned distance(const char *a, const char *b)
{
        unsigned rows[3][NAME_LENGTH_MAX + 1];
        size_t a_length = strlen(a), b_length = strlen(b);

        if (a_length > NAME_LENGTH_MAX || b_length > NAME_LENGTH_MAX)
                return UINT32_MAX;
        for (unsigned j = 0; j <= b_length; j++)
                rows[0][j] = j;
        for (unsigned i = 1; i <= a_length; i++) {
                unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i - 2) % 3];
                int x = tolower((unsigned char) a[i - 1]);

                row[0] = i;
                for (unsigned j = 1; j <= b_length; j++) {
                        int y = tolower((unsigned char) b[j - 1]);

                        row[j] = MIN(MIN(above[j], row[j - 1]) + 1, above[j - 1] + (x == y ? 0 : 1));
                        if (i > 1 && j > 1 && x == tolower((unsigned char) b[j - 2]) &&
                            y == tolower((unsigned char) a[i - 2]))
                                row[j] = MIN(row[j], before[j - 2] + 1);
                }
        }
        return rows[a_length % 3][b_length];
}

const char *config_suggest(const char *const *names, const char *text)
{
        const char *best = NULL;
        unsigned best_distance = UINT32_MAX;

        for (; *names; names++) {
                unsigned d = distance(*names, text);

                if (d < best_distance) {
                        best = *names;
                        best_distance = d;
                }
        }
        /* Up to a third of the letters may be wrong: enough for a slip, not for another word. */
        if (!best || best_distance > MAX(strlen(text) / 3, (size_t) 1))
                return NULL;
        return best;
}

static const struct config_key *find_key(const struct config_table *table, const char *name)
{
        for (const struct config_key *key = table->keys; key->name; key++)
                if (strcasecmp(key->name, name) == 0)
                        return key;
        return NULL;
}

static void complain_unknown(struct config_decoder *decoder, const struct config_table *table,
                             const struct config_entry *entry, bool has_type)
{
        const char *names[NAMES_MAX + 2], *nearest;
        size_t n = 0, before;

        for (const struct config_key *key = table->keys; key->name && n < NAMES_MAX; key++)
                names[n++] = key->name;
        if (has_type)
                names[n++] = "type";
        names[n] = NULL;
        nearest = config_suggest(names, entry->key);

        before = path_push(decoder, ".", entry->key);
        if (nearest)
                config_error_add(decoder->error, &entry->key_position, decoder->path,
                                 "unknown key (did you mean \"%s\"?)", nearest);
        else
                config_error_add(decoder->error, &entry->key_position, decoder->path, "unknown key");
        path_pop(decoder, before);
}

static int decode_table(struct config_decoder *decoder, const struct config_table *table,
                        const struct config_node *node, void *object, const void *outer, bool has_type);

static void complain_kind(struct config_decoder *decoder, const struct config_node *node,
                          const char *expected)
{
        config_error_add(decoder->error, &node->position, decoder->path, "%s where %s is expected",
                         config_node_type_to_string(node->type), expected);
}

static int decode_text(struct config_decoder *decoder, const struct config_key *key,
                       const struct config_node *node, void *target)
{
        char why[CONFIG_WHY_MAX] = "", escaped[100];
        int r;

        if (node->type != CONFIG_NODE_SCALAR) {
                complain_kind(decoder, node, key->type->expected);
                return 0;
        }
        if (node->text[0] == '\0') {
                config_error_add(decoder->error, &node->position, decoder->path,
                                 "empty, where %s is expected", key->type->expected);
                return 0;
        }

        r = key->type->parse(key, node->text, target, why);
        if (r <= 0 && r != -EINVAL)
                return r;
        if (key->flags & CONFIG_SECRET)
                snprintf(escaped, sizeof(escaped), "(not shown)");
        else
                escape_string(escaped, sizeof(escaped), node->text);
        if (r > 0)
                config_error_warn(decoder->error, &node->position, decoder->path, "\"%s\": %s", escaped, why);
        else if (why[0] != '\0')
                config_error_add(decoder->error, &node->position, decoder->path, "\"%s\": %s", escaped, why);
        else
                config_error_add(decoder->error, &node->position, decoder->path, "\"%s\" is not %s", escaped,
                                 key->type->expected);
        return 0;
}

static int decode_list(struct config_decoder *decoder, const struct config_key *key,
                       const struct config_node *node, void *target)
{
        if (node->type != CONFIG_NODE_LIST) {
                complain_kind(decoder, node, "a list");
                return 0;
        }
        for (size_t i = 0; i < node->n_entries; i++) {
                size_t before = path_push_index(decoder, i);
                int r = decode_text(decoder, key, node->entries[i].value, target);

                path_pop(decoder, before);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void warn_secret(struct config_decoder *decoder, const struct config_node *node)
{
        if (node->source->mode & 0004)
                config_error_warn(
                        decoder->error, &node->position, decoder->path,
                        "a secret in a file that everybody can read (chmod o-r, or use tsig-key-file)");
}

/* Appends one zeroed, initialised object to an array; the count grows before anything can fail later, so that
 * whoever frees the outer object frees this one too. */
static int array_append(struct config_decoder *decoder, const struct config_key *key,
                        const struct config_position *position, void *object, const char *name, int value,
                        void **ret)
{
        void **items = (void **) ((char *) object + key->offset);
        size_t *count = (size_t *) ((char *) object + key->array->count_offset);
        char why[CONFIG_WHY_MAX] = "";
        void *longer, *element;
        int r;

        longer = reallocarray(*items, *count + 1, key->array->element_size);
        if (!longer)
                return -ENOMEM;
        *items = longer;
        element = (char *) longer + *count * key->array->element_size;
        memset(element, 0, key->array->element_size);

        r = key->array->init(element, name, value, why);
        if (r == -EINVAL)
                config_error_add(decoder->error, position, decoder->path, "%s", why);
        if (r < 0)
                return r;
        (*count)++;
        *ret = element;
        return 0;
}

static int decode_map(struct config_decoder *decoder, const struct config_key *key,
                      const struct config_node *node, void *object)
{
        if (node->type != CONFIG_NODE_MAP) {
                complain_kind(decoder, node, "a table of names");
                return 0;
        }
        for (size_t i = 0; i < node->n_entries; i++) {
                const struct config_entry *entry = &node->entries[i];
                size_t before = path_push(decoder, ".", entry->key);
                void *element;
                int r;

                r = array_append(decoder, key, &entry->key_position, object, entry->key, 0, &element);
                if (r >= 0)
                        r = decode_table(decoder, key->table, entry->value, element, object, false);
                path_pop(decoder, before);
                if (r < 0 && r != -EINVAL)
                        return r;
        }
        return 0;
}

static const struct config_variant *find_variant(struct config_decoder *decoder, const struct config_key *key,
                                                 const struct config_node *node)
{
        const struct config_entry *type = config_node_find(node, "type");
        const char *names[NAMES_MAX + 1], *nearest;
        char all[CONFIG_WHY_MAX] = "", escaped[100];
        size_t n = 0;

        for (const struct config_variant *v = key->variants; v->name && n < NAMES_MAX; v++) {
                size_t length = strlen(all);

                if (type && type->value->type == CONFIG_NODE_SCALAR &&
                    strcasecmp(v->name, type->value->text) == 0)
                        return v;
                snprintf(all + length, sizeof(all) - length, "%s%s", n > 0 ? ", " : "", v->name);
                names[n++] = v->name;
        }
        names[n] = NULL;

        if (!type || type->value->type != CONFIG_NODE_SCALAR || type->value->text[0] == '\0') {
                config_decoder_complain(decoder, node, "type", "must say which type this is: %s", all);
                return NULL;
        }
        nearest = config_suggest(names, type->value->text);
        escape_string(escaped, sizeof(escaped), type->value->text);
        if (nearest)
                config_decoder_complain(decoder, node, "type", "\"%s\" is none of %s (did you mean \"%s\"?)",
                                        escaped, all, nearest);
        else
                config_decoder_complain(decoder, node, "type", "\"%s\" is none of %s", escaped, all);
        return NULL;
}

static int decode_variant(struct config_decoder *decoder, const struct config_key *key,
                          const struct config_node *node, void *object)
{
        const struct config_variant *variant;
        void *element;
        int r;

        if (node->type != CONFIG_NODE_MAP) {
                complain_kind(decoder, node, "a table of keys");
                return 0;
        }
        variant = find_variant(decoder, key, node);
        if (!variant)
                return 0;
        r = array_append(decoder, key, &node->position, object, NULL, variant->value, &element);
        if (r < 0)
                return r == -EINVAL ? 0 : r;
        return variant->table ? decode_table(decoder, variant->table, node, element, object, true) : 0;
}

static int decode_variants(struct config_decoder *decoder, const struct config_key *key,
                           const struct config_node *node, void *object)
{
        if (node->type != CONFIG_NODE_LIST) {
                complain_kind(decoder, node, "a list");
                return 0;
        }
        for (size_t i = 0; i < node->n_entries; i++) {
                size_t before = path_push_index(decoder, i);
                int r = decode_variant(decoder, key, node->entries[i].value, object);

                path_pop(decoder, before);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int decode_default(const struct config_key *key, void *target)
{
        _cleanup_free_ char *copy = NULL;
        char why[CONFIG_WHY_MAX] = "", *rest, *item;
        int r;

        if (!key->default_value)
                return 0;
        if (key->kind == CONFIG_SCALAR)
                return key->type->parse(key, key->default_value, target, why);

        copy = strdup(key->default_value);
        if (!copy)
                return -ENOMEM;
        for (item = strtok_r(copy, " ", &rest); item; item = strtok_r(NULL, " ", &rest)) {
                r = key->type->parse(key, item, target, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int decode_absent(struct config_decoder *decoder, const struct config_key *key, void *object)
{
        switch (key->kind) {
        case CONFIG_SCALAR:
        case CONFIG_LIST:
                return decode_default(key, (char *) object + key->offset);
        case CONFIG_TABLE:
                return decode_table(decoder, key->table, NULL, (char *) object + key->offset, object, false);
        case CONFIG_MAP:
        case CONFIG_VARIANTS:
                return 0;
        }
        return 0;
}

static int decode_present(struct config_decoder *decoder, const struct config_key *key,
                          const struct config_node *node, void *object)
{
        void *target = (char *) object + key->offset;

        if (key->present_offset > 0)
                *(bool *) ((char *) object + key->present_offset) = true;
        if (key->flags & CONFIG_SECRET)
                warn_secret(decoder, node);

        switch (key->kind) {
        case CONFIG_SCALAR:
                return decode_text(decoder, key, node, target);
        case CONFIG_LIST:
                return decode_list(decoder, key, node, target);
        case CONFIG_TABLE:
                return decode_table(decoder, key->table, node, target, object, false);
        case CONFIG_MAP:
                return decode_map(decoder, key, node, object);
        case CONFIG_VARIANTS:
                return decode_variants(decoder, key, node, object);
        }
        return 0;
}

static int decode_given_keys(struct config_decoder *decoder, const struct config_table *table,
                             const struct config_node *node, void *object, bool has_type)
{
        for (size_t i = 0; node && i < node->n_entries; i++) {
                const struct config_entry *entry = &node->entries[i];
                const struct config_key *key = find_key(table, entry->key);
                size_t before;
                int r;

                if (!key) {
                        if (!has_type || strcasecmp(entry->key, "type") != 0)
                                complain_unknown(decoder, table, entry, has_type);
                        continue;
                }
                if (config_node_is_empty(entry->value))
                        continue;
                before = path_push(decoder, ".", key->name);
                r = decode_present(decoder, key, entry->value, object);
                path_pop(decoder, before);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int decode_table(struct config_decoder *decoder, const struct config_table *table,
                        const struct config_node *node, void *object, const void *outer, bool has_type)
{
        unsigned errors_before = decoder->error->n_errors;
        int r;

        if (config_node_is_empty(node))
                node = NULL;
        if (node && node->type != CONFIG_NODE_MAP) {
                complain_kind(decoder, node, "a table of keys");
                return 0;
        }

        r = decode_given_keys(decoder, table, node, object, has_type);
        if (r < 0)
                return r;
        for (const struct config_key *key = table->keys; key->name; key++) {
                if (config_key_given(node, key->name))
                        continue;
                r = decode_absent(decoder, key, object);
                if (r < 0)
                        return r;
        }

        if (table->check && decoder->error->n_errors == errors_before)
                return table->check(decoder, node, object, outer);
        return 0;
}

int config_decode(const struct config_table *table, const struct config_document *document, void *object,
                  struct config_error *error)
{
        struct config_decoder decoder = { .error = error };
        int r;

        r = decode_table(&decoder, table, document->root, object, NULL, false);
        if (r < 0)
                return r;
        return config_error_result(error);
}
