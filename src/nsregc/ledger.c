/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/ledger.h"

#include <stdio.h>

#include "util/file.h"

#define FILE_MAX    (256 * 1024)
#define ENTRIES_MAX 256

struct ledger {
        char *path;
        struct ledger_entry *entries;
        size_t n_entries;
        bool dirty; /* the file does not say all of it */
};

static const char *const kind_names[] = {
        [SERVER_UNKNOWN] = "unknown",
        [SERVER_ORIGINAL] = "original",
        [SERVER_MODERN] = "modern",
};

static int kind_parse(const char *text, enum server_kind *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(kind_names); i++)
                if (streq(text, kind_names[i])) {
                        *ret = (enum server_kind) i;
                        return 0;
                }
        return -EINVAL;
}

static struct ledger_entry *entry_find(const struct ledger *ledger, const struct dns_name *zone,
                                       const struct dns_name *name, const char *place)
{
        for (size_t i = 0; i < ledger->n_entries; i++)
                if (dns_name_equal(&ledger->entries[i].zone, zone) &&
                    dns_name_equal(&ledger->entries[i].name, name) &&
                    place_same(ledger->entries[i].place, place))
                        return &ledger->entries[i];
        return NULL;
}

/* The others keep their order: the first one is the oldest. */
static void entry_remove(struct ledger *ledger, struct ledger_entry *entry)
{
        size_t i = (size_t) (entry - ledger->entries);

        address_set_clear(&entry->addresses);
        ledger->n_entries--;
        memmove(entry, entry + 1, (ledger->n_entries - i) * sizeof(*entry));
}

static int entry_put(struct ledger *ledger, const struct ledger_entry *like)
{
        struct ledger_entry *entry = entry_find(ledger, &like->zone, &like->name, like->place);

        if (!entry) {
                if (ledger->n_entries >= ENTRIES_MAX)
                        entry_remove(ledger, ledger->entries);
                entry = reallocarray(ledger->entries, ledger->n_entries + 1, sizeof(*entry));
                if (!entry)
                        return -ENOMEM;
                ledger->entries = entry;
                entry = &ledger->entries[ledger->n_entries];
                *entry = (struct ledger_entry){ .zone = like->zone, .name = like->name };
                ledger->n_entries++;
        }
        entry->kind = like->kind;
        if (like->place[0])
                strcpy(entry->place, like->place);
        return address_set_copy(&like->addresses, &entry->addresses);
}

/* A line that makes no sense is passed over: what it spoke of ends with its lease. */
static int line_read(struct ledger *ledger, char *line)
{
        struct ledger_entry entry = { 0 };
        char *saved = NULL, *zone = strtok_r(line, " ", &saved), *name = strtok_r(NULL, " ", &saved),
             *kind = strtok_r(NULL, " ", &saved), *word;
        struct address address;
        int r = 0;

        if (!kind || dns_name_parse(zone, &entry.zone) < 0 || dns_name_parse(name, &entry.name) < 0 ||
            kind_parse(kind, &entry.kind) < 0)
                return 0;
        while (r >= 0 && (word = strtok_r(NULL, " ", &saved)))
                if (word[0] == '@' && strlen(word) <= PLACE_MAX)
                        strcpy(entry.place, word + 1);
                else if (address_parse(word, &address) >= 0)
                        r = address_set_add(&entry.addresses, &address, USEC_INFINITY);
        if (r >= 0)
                r = entry_put(ledger, &entry);
        address_set_clear(&entry.addresses);
        return r;
}

static int ledger_write(struct ledger *ledger)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *out;
        int r;

        if (!ledger->path)
                return 0;
        ledger->dirty = true;
        out = open_memstream(&text, &size);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < ledger->n_entries; i++) {
                const struct ledger_entry *entry = &ledger->entries[i];
                char zone[DNS_NAME_FORMAT_MAX], name[DNS_NAME_FORMAT_MAX], address[ADDRESS_FORMAT_MAX];

                fprintf(out, "%s %s %s", dns_name_format(&entry->zone, zone),
                        dns_name_format(&entry->name, name), kind_names[entry->kind]);
                if (entry->place[0])
                        fprintf(out, " @%s", entry->place);
                for (size_t j = 0; j < entry->addresses.n_items; j++)
                        fprintf(out, " %s", address_format(&entry->addresses.items[j].address, address));
                fputc('\n', out);
        }
        if (fclose(out) != 0)
                return -ENOMEM;
        r = file_write_atomic(ledger->path, text, size, 0600);
        ledger->dirty = r < 0;
        return r;
}

int ledger_open(const char *path, struct ledger **ret)
{
        _cleanup_(ledger_freep) struct ledger *ledger = calloc(1, sizeof(*ledger));
        _cleanup_free_ char *text = NULL;
        char *saved = NULL;
        size_t size;
        int r;

        if (!ledger)
                return -ENOMEM;
        if (path) {
                ledger->path = strdup(path);
                if (!ledger->path)
                        return -ENOMEM;
                r = file_read(path, FILE_MAX, &text, &size);
                if (r < 0 && r != -ENOENT)
                        return r;
                for (char *line = text ? strtok_r(text, "\n", &saved) : NULL; line;
                     line = strtok_r(NULL, "\n", &saved)) {
                        r = line_read(ledger, line);
                        if (r < 0)
                                return r;
                }
        }
        *ret = TAKE_PTR(ledger);
        return 0;
}

struct ledger *ledger_free(struct ledger *ledger)
{
        if (!ledger)
                return NULL;
        for (size_t i = 0; i < ledger->n_entries; i++)
                address_set_clear(&ledger->entries[i].addresses);
        free(ledger->entries);
        free(ledger->path);
        free(ledger);
        return NULL;
}

size_t ledger_count(const struct ledger *ledger)
{
        return ledger->n_entries;
}

const struct ledger_entry *ledger_get(const struct ledger *ledger, size_t index)
{
        return &ledger->entries[index];
}

const struct ledger_entry *ledger_find(const struct ledger *ledger, const struct dns_name *zone,
                                       const struct dns_name *name, const char *place)
{
        return entry_find(ledger, zone, name, place);
}

void ledger_set_elsewhere(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name,
                          const char *place)
{
        struct ledger_entry *entry = entry_find(ledger, zone, name, place);

        if (entry)
                entry->elsewhere = true;
}

void ledger_look_again(struct ledger *ledger)
{
        for (size_t i = 0; i < ledger->n_entries; i++)
                ledger->entries[i].elsewhere = false;
}

bool ledger_is_dirty(const struct ledger *ledger)
{
        return ledger->dirty;
}

int ledger_flush(struct ledger *ledger)
{
        return ledger->dirty ? ledger_write(ledger) : 0;
}

int ledger_set(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name,
               const char *place, enum server_kind kind, const struct address_set *addresses)
{
        const struct ledger_entry *known = entry_find(ledger, zone, name, place);
        struct ledger_entry entry = { .zone = *zone, .name = *name, .kind = kind, .addresses = *addresses };
        int r;

        strcpy(entry.place, place);
        if (known && known->kind == kind && address_set_equal(&known->addresses, addresses) &&
            (!place[0] || streq(known->place, place)))
                return ledger_flush(ledger);
        r = entry_put(ledger, &entry);
        return r < 0 ? r : ledger_write(ledger);
}

int ledger_remove(struct ledger *ledger, const struct dns_name *zone, const struct dns_name *name,
                  const char *place)
{
        struct ledger_entry *entry = entry_find(ledger, zone, name, place);

        if (!entry)
                return ledger_flush(ledger);
        entry_remove(ledger, entry);
        return ledger_write(ledger);
}
