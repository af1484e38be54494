/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/extra-record.h"

#include "dns/rdata.h"
#include "util/macro.h"

static bool is_registrable(uint16_t type)
{
        for (unsigned n = 0; rdata_type_registrable(n) != 0; n++)
                if (rdata_type_registrable(n) == type)
                        return true;
        return false;
}

int extra_record_parse(const char *below, const char *type, const char *text, struct extra_record *ret,
                       const char **why)
{
        struct extra_record record = { 0 };
        int r;

        if (dns_name_parse(streq(below, "@") ? "." : below, &record.below) < 0) {
                *why = "the first word is neither \"@\" nor a name";
                return -EINVAL;
        }
        if (rdata_type_from_string(type, &record.type) < 0 || !is_registrable(record.type)) {
                *why = "its type is none that can be registered beside addresses (SSHFP, TXT, TLSA, ... are)";
                return -EINVAL;
        }
        r = rdata_parse(record.type, text, &record.rdata, &record.length);
        if (r == -EINVAL)
                *why = "its data is not what its type wants";
        if (r >= 0)
                *ret = record;
        return r;
}

int extra_record_parse_line(const char *line, struct extra_record *ret, const char **why)
{
        _cleanup_free_ char *copy = strdup(line);
        char *rest = copy, *below, *type;

        if (!copy)
                return -ENOMEM;
        below = strsep(&rest, " \t");
        if (rest)
                rest += strspn(rest, " \t");
        type = strsep(&rest, " \t");
        if (rest)
                rest += strspn(rest, " \t");
        if (!type || !rest || !*rest) {
                *why = "a record is NAME TYPE DATA, as in \"_443._tcp TLSA 3 1 1 ...\"";
                return -EINVAL;
        }
        return extra_record_parse(below, type, rest, ret, why);
}

void extra_record_clear(struct extra_record *record)
{
        free(record->rdata);
        record->rdata = NULL;
}

static bool is_same(const struct extra_record *a, const struct extra_record *b)
{
        return a->type == b->type && a->length == b->length && dns_name_equal(&a->below, &b->below) &&
               memcmp(a->rdata, b->rdata, a->length) == 0;
}

static struct extra_record *find(const struct extra_record_list *list, const struct extra_record *record)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (is_same(&list->items[i], record))
                        return &list->items[i];
        return NULL;
}

bool extra_record_list_contains(const struct extra_record_list *list, const struct extra_record *record)
{
        return find(list, record);
}

int extra_record_list_add(struct extra_record_list *list, const struct extra_record *record)
{
        struct extra_record *items;

        if (find(list, record))
                return 0;
        items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items] = *record;
        items[list->n_items].rdata = malloc(record->length + 1U);
        if (!items[list->n_items].rdata)
                return -ENOMEM;
        memcpy(items[list->n_items].rdata, record->rdata, record->length);
        list->n_items++;
        return 0;
}

bool extra_record_list_remove(struct extra_record_list *list, const struct extra_record *record)
{
        struct extra_record *found = find(list, record);

        if (!found)
                return false;
        extra_record_clear(found);
        *found = list->items[--list->n_items];
        return true;
}

int extra_record_list_merge(struct extra_record_list *list, const struct extra_record_list *other)
{
        int r = 0;

        for (size_t i = 0; i < other->n_items && r >= 0; i++)
                r = extra_record_list_add(list, &other->items[i]);
        return r;
}

void extra_record_list_subtract(struct extra_record_list *list, const struct extra_record_list *other)
{
        for (size_t i = 0; i < other->n_items; i++)
                (void) extra_record_list_remove(list, &other->items[i]);
}

bool extra_record_list_equal(const struct extra_record_list *a, const struct extra_record_list *b)
{
        for (size_t i = 0; i < a->n_items; i++)
                if (!find(b, &a->items[i]))
                        return false;
        return a->n_items == b->n_items;
}

void extra_record_list_clear(struct extra_record_list *list)
{
        for (size_t i = 0; i < list->n_items; i++)
                extra_record_clear(&list->items[i]);
        free(list->items);
        *list = (struct extra_record_list){ 0 };
}
