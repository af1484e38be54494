/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/document.h"

#include <stdint.h>
#include <strings.h>
#include <yaml.h>

#include "util/escape.h"

struct reader {
        yaml_parser_t yaml;
        const char *text;
        size_t length;
        const struct config_source *source;
        struct config_error *error;
        size_t n_nodes;
};

static struct config_node *node_free(struct config_node *node)
{
        if (!node)
                return NULL;
        for (size_t i = 0; i < node->n_entries; i++) {
                free(node->entries[i].key);
                node_free(node->entries[i].value);
        }
        free(node->entries);
        free(node->text);
        free(node);
        return NULL;
}
DEFINE_CLEANUP(struct config_node *, node_free)

static struct config_source *source_free(struct config_source *source)
{
        if (!source)
                return NULL;
        free(source->path);
        free(source);
        return NULL;
}
DEFINE_CLEANUP(struct config_source *, source_free)

struct config_document *config_document_new(void)
{
        return calloc(1, sizeof(struct config_document));
}

struct config_document *config_document_free(struct config_document *document)
{
        struct config_source *next;

        if (!document)
                return NULL;
        node_free(document->root);
        for (struct config_source *source = document->sources; source; source = next) {
                next = source->next;
                source_free(source);
        }
        free(document);
        return NULL;
}

bool config_key_equal(const char *a, const char *b)
{
        size_t a_length = strlen(a), b_length = strlen(b);

        if (a_length > 1 && a[a_length - 1] == '.')
                a_length--;
        if (b_length > 1 && b[b_length - 1] == '.')
                b_length--;
        return a_length == b_length && strncasecmp(a, b, a_length) == 0;
}

const struct config_entry *config_node_find(const struct config_node *node, const char *key)
{
        if (!node || node->type != CONFIG_NODE_MAP)
                return NULL;
        for (size_t i = 0; i < node->n_entries; i++)
                if (config_key_equal(node->entries[i].key, key))
                        return &node->entries[i];
        return NULL;
}

bool config_node_is_empty(const struct config_node *node)
{
        return !node || (node->type == CONFIG_NODE_SCALAR && node->text[0] == '\0');
}

const char *config_node_type_to_string(enum config_node_type type)
{
        switch (type) {
        case CONFIG_NODE_SCALAR:
                return "a single value";
        case CONFIG_NODE_LIST:
                return "a list";
        case CONFIG_NODE_MAP:
                return "a table of keys";
        }
        return "";
}

static struct config_position position_of(const struct reader *reader, const yaml_mark_t *mark)
{
        return (struct config_position){
                .path = reader->source->path,
                .line = (unsigned) mark->line + 1,
                .column = (unsigned) mark->column + 1,
        };
}

/* What libyaml's reader complains about has an offset and no mark. */
static struct config_position position_of_offset(const struct reader *reader, size_t offset)
{
        struct config_position position = { .path = reader->source->path, .line = 1, .column = 1 };

        for (size_t i = 0; i < MIN(offset, reader->length); i++) {
                if (reader->text[i] == '\n') {
                        position.line++;
                        position.column = 1;
                } else {
                        position.column++;
                }
        }
        return position;
}

static int refuse(struct reader *reader, const yaml_mark_t *mark, const char *why)
{
        struct config_position position = position_of(reader, mark);

        config_error_add(reader->error, &position, NULL, "%s", why);
        return -EINVAL;
}

static int refuse_syntax(struct reader *reader)
{
        const char *problem = reader->yaml.problem ? reader->yaml.problem : "not readable";
        struct config_position position;

        switch (reader->yaml.error) {
        case YAML_MEMORY_ERROR:
                return -ENOMEM;
        case YAML_READER_ERROR:
                position = position_of_offset(reader, reader->yaml.problem_offset);
                break;
        default:
                position = position_of(reader, &reader->yaml.problem_mark);
                break;
        }

        if (reader->yaml.context)
                config_error_add(reader->error, &position, NULL, "not YAML: %s, %s", reader->yaml.context,
                                 problem);
        else
                config_error_add(reader->error, &position, NULL, "not YAML: %s", problem);
        return -EINVAL;
}

static int next_event(struct reader *reader, yaml_event_t *ret)
{
        if (!yaml_parser_parse(&reader->yaml, ret))
                return refuse_syntax(reader);
        return 0;
}

static int node_new(struct reader *reader, enum config_node_type type, const yaml_mark_t *mark,
                    struct config_node **ret)
{
        struct config_node *node;

        if (++reader->n_nodes > CONFIG_NODES_MAX)
                return refuse(reader, mark, "too many values in one file");
        node = calloc(1, sizeof(*node));
        if (!node)
                return -ENOMEM;
        node->type = type;
        node->position = position_of(reader, mark);
        node->source = reader->source;
        *ret = node;
        return 0;
}

/* The entry owns both, also when this fails. */
static int node_append(struct config_node *node, struct config_entry *entry)
{
        struct config_entry *entries;

        /* Doubled at every power of two: the array holds n_entries rounded up to one. */
        if ((node->n_entries & (node->n_entries - 1)) == 0) {
                size_t n = node->n_entries == 0 ? 1 : node->n_entries * 2;

                entries = reallocarray(node->entries, n, sizeof(*entries));
                if (!entries)
                        return -ENOMEM;
                node->entries = entries;
        }
        node->entries[node->n_entries++] = *entry;
        *entry = (struct config_entry){};
        return 0;
}

static int check_properties(struct reader *reader, const yaml_event_t *event, const yaml_char_t *anchor,
                            const yaml_char_t *tag)
{
        if (anchor)
                return refuse(reader, &event->start_mark, "anchors and aliases are not supported here");
        if (tag)
                return refuse(reader, &event->start_mark,
                              "tags are not supported here (a value that begins with \"!\" goes in quotes)");
        return 0;
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, struct config_node **ret)
{
        _cleanup_(node_freep) struct config_node *node = NULL;
        const char *value = (const char *) event->data.scalar.value;
        int r;

        r = check_properties(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
        if (r < 0)
                return r;
        if (memchr(value, '\0', event->data.scalar.length))
                return refuse(reader, &event->start_mark, "a value with a NUL in it");
        r = node_new(reader, CONFIG_NODE_SCALAR, &event->start_mark, &node);
        if (r < 0)
                return r;
        node->text = strdup(value);
        if (!node->text)
                return -ENOMEM;
        *ret = TAKE_PTR(node);
        return 0;
}

static int read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
                     struct config_node **ret);

static void yaml_event_freep(yaml_event_t *event)
{
        yaml_event_delete(event);
}

static int read_list(struct reader *reader, const yaml_event_t *start, unsigned depth,
                     struct config_node **ret)
{
        _cleanup_(node_freep) struct config_node *node = NULL;
        int r;

        r = check_properties(reader, start, start->data.sequence_start.anchor,
                             start->data.sequence_start.tag);
        if (r < 0)
                return r;
        r = node_new(reader, CONFIG_NODE_LIST, &start->start_mark, &node);
        if (r < 0)
                return r;

        for (;;) {
                _cleanup_(yaml_event_freep) yaml_event_t event = {};
                _cleanup_(node_freep) struct config_node *item = NULL;
                struct config_entry entry;

                r = next_event(reader, &event);
                if (r < 0)
                        return r;
                if (event.type == YAML_SEQUENCE_END_EVENT)
                        break;
                r = read_node(reader, &event, depth + 1, &item);
                if (r < 0)
                        return r;
                entry = (struct config_entry){ .key_position = item->position, .value = item };
                r = node_append(node, &entry);
                if (r < 0)
                        return r;
                item = NULL;
        }
        *ret = TAKE_PTR(node);
        return 0;
}

static int check_key(struct reader *reader, const yaml_event_t *event, const struct config_node *map)
{
        const char *key = (const char *) event->data.scalar.value;
        const struct config_entry *earlier;
        struct config_position position = position_of(reader, &event->start_mark);
        char escaped[80];

        if (event->type == YAML_ALIAS_EVENT)
                return refuse(reader, &event->start_mark, "anchors and aliases are not supported here");
        if (event->type != YAML_SCALAR_EVENT)
                return refuse(reader, &event->start_mark, "a key must be a single word");
        if (streq(key, "<<") && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
                return refuse(reader, &event->start_mark, "merge keys are not supported here");

        earlier = config_node_find(map, key);
        if (earlier) {
                config_error_add(reader->error, &position, NULL,
                                 "duplicate key \"%s\", first given in line %u",
                                 escape_string(escaped, sizeof(escaped), key), earlier->key_position.line);
                return -EINVAL;
        }
        return 0;
}

static int read_map(struct reader *reader, const yaml_event_t *start, unsigned depth,
                    struct config_node **ret)
{
        _cleanup_(node_freep) struct config_node *node = NULL;
        int r;

        r = check_properties(reader, start, start->data.mapping_start.anchor, start->data.mapping_start.tag);
        if (r < 0)
                return r;
        r = node_new(reader, CONFIG_NODE_MAP, &start->start_mark, &node);
        if (r < 0)
                return r;

        for (;;) {
                _cleanup_(yaml_event_freep) yaml_event_t key_event = {}, value_event = {};
                _cleanup_(node_freep) struct config_node *key = NULL, *value = NULL;
                struct config_entry entry;

                r = next_event(reader, &key_event);
                if (r < 0)
                        return r;
                if (key_event.type == YAML_MAPPING_END_EVENT)
                        break;
                r = check_key(reader, &key_event, node);
                if (r < 0)
                        return r;
                r = read_scalar(reader, &key_event, &key);
                if (r < 0)
                        return r;
                r = next_event(reader, &value_event);
                if (r < 0)
                        return r;
                r = read_node(reader, &value_event, depth + 1, &value);
                if (r < 0)
                        return r;

                entry = (struct config_entry){ key->text, key->position, value };
                r = node_append(node, &entry);
                if (r < 0)
                        return r;
                key->text = NULL;
                value = NULL;
        }
        *ret = TAKE_PTR(node);
        return 0;
}

static int read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
                     struct config_node **ret)
{
        if (depth > CONFIG_DEPTH_MAX)
                return refuse(reader, &event->start_mark, "nested too deeply");

        switch (event->type) {
        case YAML_SCALAR_EVENT:
                return read_scalar(reader, event, ret);
        case YAML_SEQUENCE_START_EVENT:
                return read_list(reader, event, depth, ret);
        case YAML_MAPPING_START_EVENT:
                return read_map(reader, event, depth, ret);
        case YAML_ALIAS_EVENT:
                return refuse(reader, &event->start_mark, "anchors and aliases are not supported here");
        default:
                return refuse(reader, &event->start_mark, "unexpected here");
        }
}

/* stream start, document start, node, document end, stream end; or an empty stream. */
static int read_stream(struct reader *reader, struct config_node **ret)
{
        _cleanup_(node_freep) struct config_node *root = NULL;
        int r;

        for (;;) {
                _cleanup_(yaml_event_freep) yaml_event_t event = {};

                r = next_event(reader, &event);
                if (r < 0)
                        return r;
                switch (event.type) {
                case YAML_STREAM_START_EVENT:
                case YAML_DOCUMENT_END_EVENT:
                        continue;
                case YAML_DOCUMENT_START_EVENT:
                        if (root)
                                return refuse(reader, &event.start_mark,
                                              "a second document in the same file");
                        continue;
                case YAML_STREAM_END_EVENT:
                        *ret = TAKE_PTR(root);
                        return 0;
                default:
                        r = read_node(reader, &event, 0, &root);
                        if (r < 0)
                                return r;
                }
        }
}

static int read_text(const struct config_source *source, const char *text, size_t length,
                     struct config_error *error, struct config_node **ret)
{
        struct reader reader = { .text = text, .length = length, .source = source, .error = error };
        int r;

        if (!yaml_parser_initialize(&reader.yaml))
                return -ENOMEM;
        /* Without it a UTF-16 byte order mark would switch the encoding. */
        yaml_parser_set_encoding(&reader.yaml, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reader.yaml, (const unsigned char *) text, length);
        r = read_stream(&reader, ret);
        yaml_parser_delete(&reader.yaml);
        if (r < 0)
                return r;

        if (config_node_is_empty(*ret)) {
                *ret = node_free(*ret);
                return 0;
        }
        if ((*ret)->type != CONFIG_NODE_MAP) {
                config_error_add(error, &(*ret)->position, NULL, "%s where a table of keys is expected",
                                 config_node_type_to_string((*ret)->type));
                *ret = node_free(*ret);
                return -EINVAL;
        }
        return 0;
}

/* Lays "over" on "base"; takes what it needs out of "over", whose rest is freed by the caller. Room for the
 * new entries is made before anything is changed, so a failure deep inside leaves whole values only. */
static int merge(struct config_node *base, struct config_node *over)
{
        int r;

        for (size_t i = 0; i < over->n_entries; i++) {
                struct config_entry *entry = &over->entries[i];
                struct config_entry *old = (struct config_entry *) config_node_find(base, entry->key);

                if (!old) {
                        r = node_append(base, entry);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (old->value->type == CONFIG_NODE_MAP && entry->value->type == CONFIG_NODE_MAP) {
                        r = merge(old->value, entry->value);
                        if (r < 0)
                                return r;
                        continue;
                }
                node_free(old->value);
                old->value = TAKE_PTR(entry->value);
                old->key_position = entry->key_position;
        }
        return 0;
}

int config_document_add(struct config_document *document, const char *path, mode_t mode, const char *text,
                        size_t length, struct config_error *error)
{
        _cleanup_(source_freep) struct config_source *source = NULL;
        _cleanup_(node_freep) struct config_node *root = NULL;
        int r;

        source = calloc(1, sizeof(*source));
        if (!source)
                return -ENOMEM;
        source->path = strdup(path);
        if (!source->path)
                return -ENOMEM;
        source->mode = mode;

        if (length > CONFIG_FILE_MAX) {
                struct config_position position = { .path = path };

                config_error_add(error, &position, NULL, "larger than %u bytes", CONFIG_FILE_MAX);
                return -EINVAL;
        }

        r = read_text(source, text, length, error, &root);
        if (r >= 0 && root && document->root)
                r = merge(document->root, root);
        else if (r >= 0 && root)
                document->root = TAKE_PTR(root);

        /* The error's positions are text already, but nodes that were merged in refer to the source. */
        source->next = document->sources;
        document->sources = TAKE_PTR(source);
        return r;
}
