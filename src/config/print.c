/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/schema.h"

static void print_table(const struct config_table *table, const void *object, int indent, FILE *out);

static void print_value(const struct config_key *key, const void *object, int indent, FILE *out)
{
        _cleanup_free_ char *text = NULL;
        size_t length = 0;
        FILE *buffer;
        bool is_set, given;

        buffer = open_memstream(&text, &length);
        if (!buffer)
                return;
        is_set = key->type->print(key, (const char *) object + key->offset, buffer);
        fclose(buffer);
        given = key->present_offset > 0 && *(const bool *) ((const char *) object + key->present_offset);

        if (key->flags & CONFIG_SECRET)
                fprintf(out, "%*s# %s: %s\n", indent, "", key->name, is_set ? "(not shown)" : "(not set)");
        else if (is_set)
                fprintf(out, "%*s%s: %s\n", indent, "", key->name, text);
        else if (key->kind == CONFIG_LIST && given)
                fprintf(out, "%*s%s: []\n", indent, "", key->name);
        else
                fprintf(out, "%*s# %s: (not set)\n", indent, "", key->name);
}

static const struct config_variant *variant_of(const struct config_key *key, const void *element)
{
        int value = key->array->get_variant(element);

        for (const struct config_variant *variant = key->variants; variant->name; variant++)
                if (variant->value == value)
                        return variant;
        return NULL;
}

static void print_array(const struct config_key *key, const void *object, int indent, FILE *out)
{
        const char *items = *(const char *const *) ((const char *) object + key->offset);
        size_t n = *(const size_t *) ((const char *) object + key->array->count_offset);

        if (n == 0) {
                fprintf(out, "%*s%s: %s\n", indent, "", key->name, key->kind == CONFIG_MAP ? "{}" : "[]");
                return;
        }
        fprintf(out, "%*s%s:\n", indent, "", key->name);
        for (size_t i = 0; i < n; i++) {
                const void *element = items + i * key->array->element_size;

                if (key->kind == CONFIG_MAP) {
                        char buffer[2048];

                        fprintf(out, "%*s\"%s\":\n", indent + 2, "",
                                key->array->print_name(element, buffer, sizeof(buffer)));
                        print_table(key->table, element, indent + 4, out);
                } else {
                        const struct config_variant *variant = variant_of(key, element);

                        if (!variant)
                                continue;
                        fprintf(out, "%*s- type: %s\n", indent + 2, "", variant->name);
                        if (variant->table)
                                print_table(variant->table, element, indent + 4, out);
                }
        }
}

static void print_table(const struct config_table *table, const void *object, int indent, FILE *out)
{
        for (const struct config_key *key = table->keys; key->name; key++)
                switch (key->kind) {
                case CONFIG_SCALAR:
                case CONFIG_LIST:
                        print_value(key, object, indent, out);
                        break;
                case CONFIG_TABLE:
                        fprintf(out, "%*s%s:\n", indent, "", key->name);
                        print_table(key->table, (const char *) object + key->offset, indent + 2, out);
                        break;
                case CONFIG_MAP:
                case CONFIG_VARIANTS:
                        print_array(key, object, indent, out);
                        break;
                }
}

void config_print(const struct config_table *table, const void *object, FILE *out)
{
        print_table(table, object, 0, out);
}

static void visit(const struct config_table *table, const char *path, config_key_visitor visitor,
                  void *userdata)
{
        for (const struct config_key *key = table->keys; key->name; key++) {
                _cleanup_free_ char *below = NULL;

                visitor(userdata, path, key);
                if (asprintf(&below, "%s%s%s%s", path, *path ? "." : "", key->name,
                             key->kind == CONFIG_MAP ? ".NAME" : "") < 0) {
                        below = NULL;
                        continue;
                }
                if (key->table)
                        visit(key->table, below, visitor, userdata);
                for (const struct config_variant *variant = key->variants; variant && variant->name;
                     variant++)
                        if (variant->table)
                                visit(variant->table, below, visitor, userdata);
        }
}

void config_visit_keys(const struct config_table *table, config_key_visitor visitor, void *userdata)
{
        visit(table, "", visitor, userdata);
}
