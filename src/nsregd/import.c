/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <systemd/sd-event.h>

#include "config/nsregd-config.h"
#include "nsregd/context.h"
#include "nsregd/import.h"
#include "nsregd/message-ids.h"
#include "nsregd/service-user.h"
#include "nsregd/zones.h"
#include "store/keydb.h"
#include "util/escape.h"
#include "util/file.h"
#include "util/log.h"

/* Of one kind, in the journal; what is beyond is counted only. */
#define TOLD_MAX 10

struct import {
        struct waiter waiter;
        int error; /* of storing */
        const char *path;
        struct registry_zone *zone;
        struct store *store;
        struct store_import *stored;
        struct dns_name taken_name; /* the last one: other spellings of it follow */
        struct dns_key taken_key;
        unsigned n_taken;
        unsigned n_owned; /* claimed already */
        unsigned n_expired;
        unsigned n_unusable;
        unsigned n_spellings;
};

static void tell_unusable(struct import *import, const char *spelled, const char *why)
{
        char escaped[128];

        if (import->n_unusable++ < TOLD_MAX)
                log_warning("%s: the entry of \"%s\" cannot be used: %s.", import->path,
                            escape_string(escaped, sizeof(escaped), spelled), why);
}

/* The original told names by case, so that what belonged to one key could be claimed with another. */
static void tell_spelling(struct import *import, const struct keydb_entry *entry)
{
        char escaped[128], name[DNS_NAME_FORMAT_MAX];

        if (dns_key_same(&entry->key, &import->taken_key))
                return;
        if (import->n_spellings++ < TOLD_MAX)
                log_warning("%s: \"%s\" is another spelling of %s, with another key, which was not taken.",
                            import->path, escape_string(escaped, sizeof(escaped), entry->spelled),
                            dns_name_format(&entry->name, name));
}

static struct name_state *state_for(const struct import *import, const struct keydb_entry *entry,
                                    const struct name_state *before, usec_t real_usec)
{
        struct name_state *state = name_state_copy(before);
        usec_t left_usec = usec_sub(entry->expiry_usec, real_usec);

        if (!state || name_state_set_key(state, &entry->key) < 0)
                return name_state_free(state);
        state->claimed = true;
        /* What was in the way was the owner's own, perhaps. */
        name_state_unblock(state);
        state->claimed_usec = state->seen_usec = real_usec;
        state->key_lease_sec = (uint32_t) MIN(left_usec / USEC_PER_SEC + 1,
                                              (usec_t) import->zone->policy->max_key_ttl_sec);
        state->key_end_usec = store_lease_now(import->store) + state->key_lease_sec * USEC_PER_SEC;
        return state;
}

static int take_entry(struct import *import, const struct keydb_entry *entry, const struct name_state *before,
                      usec_t real_usec)
{
        struct name_state *state = state_for(import, entry, before, real_usec);
        char label[DNS_LABEL_MAX + 1];
        struct effects effects;
        int r;

        if (!state)
                return -ENOMEM;
        dns_name_copy_label(&entry->name, label);
        r = store_import_add(import->stored, label, state);
        if (r >= 0)
                r = registry_install(import->zone, label, state, &effects, NULL);
        if (r < 0) {
                name_state_free(state);
                return r;
        }
        free(effects.ptrs);
        import->taken_name = entry->name;
        import->taken_key = entry->key;
        import->n_taken++;
        return 0;
}

static bool is_of_zone(const struct import *import, const struct dns_name *name)
{
        const uint8_t *octets;
        size_t length = dns_name_first_label(name, &octets);
        struct dns_name parent;

        return dns_label_is_ldh(octets, length) && dns_name_parent(name, &parent) >= 0 &&
               dns_name_equal(&parent, &import->zone->policy->zone);
}

static int on_entry(void *userdata, const struct keydb_entry *entry)
{
        struct import *import = userdata;
        usec_t real_usec = now_usec(CLOCK_REALTIME);
        const struct name_entry *known;

        if (entry->why || !is_of_zone(import, &entry->name)) {
                tell_unusable(import, entry->spelled, entry->why ?: "no name of this zone");
                return 0;
        }
        if (entry->expiry_usec <= real_usec) {
                import->n_expired++;
                return 0;
        }
        if (dns_name_equal(&entry->name, &import->taken_name)) {
                tell_spelling(import, entry);
                return 0;
        }
        known = registry_find(import->zone, &entry->name);
        if (known && known->state->claimed) {
                import->n_owned++;
                return 0;
        }
        return take_entry(import, entry, known ? known->state : NULL, real_usec);
}

static void on_stored(struct waiter *waiter, int error)
{
        container_of(waiter, struct import, waiter)->error = error;
}

/* With the mark that it is done, all or nothing. From now on what is found at the names is their owners'. */
static int import_store(struct import *import)
{
        usec_t real_usec = now_usec(CLOCK_REALTIME);
        int r;

        import->error = -EIO;
        r = store_put_import(TAKE_PTR(import->stored), real_usec, &import->waiter, on_stored);
        if (r >= 0)
                r = store_drain(import->store);
        waiter_clear(&import->waiter);
        r = r < 0 ? r : import->error;
        if (r >= 0)
                import->zone->imported_usec = real_usec;
        return r;
}

static int import_text(struct import *import, const char *text, size_t size)
{
        int r;

        import->stored = store_import_new(import->store, &import->zone->policy->zone);
        if (!import->stored)
                return log_oom();
        r = keydb_parse(text, size, on_entry, import);
        if (r >= 0)
                r = import_store(import);
        import->stored = store_import_free(import->stored);
        if (r < 0) {
                log_error("Cannot import %s: %s. Nothing of it was taken.", import->path,
                          r == -EBADMSG ? "it is no JSON object" : strerror(-r));
                return r;
        }
        log_event(LOG_NOTICE, MESSAGE_STATE_IMPORTED, NULL,
                  "Imported %s: %u name%s taken over, %u claimed already, %u expired, %u unusable, %u other "
                  "spellings.",
                  import->path, import->n_taken, import->n_taken == 1 ? "" : "s", import->n_owned,
                  import->n_expired, import->n_unusable, import->n_spellings);
        return 0;
}

static int import_file(struct import *import)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = keydb_read(import->path, &text, &size);

        if (r >= 0)
                return import_text(import, text, size);
        log_error("Cannot import %s: %s. Nothing of it was taken.", import->path, strerror(-r));
        return r;
}

struct imported_zone {
        struct dns_name name;
        usec_t imported_usec;
};

struct imports {
        bool all;
        struct imported_zone *zones; /* owned */
        size_t n_zones;
};

static int load_import(void *userdata, const struct dns_name *zone, usec_t imported_usec)
{
        struct imports *imports = userdata;
        struct imported_zone *zones;

        if (!zone) {
                imports->all = true;
                return 0;
        }
        zones = reallocarray(imports->zones, imports->n_zones + 1, sizeof(*zones));
        if (!zones)
                return -ENOMEM;
        imports->zones = zones;
        zones[imports->n_zones++] = (struct imported_zone){ .name = *zone, .imported_usec = imported_usec };
        return 0;
}

static const struct imported_zone *find_imported(const struct imports *imports, const struct dns_name *zone)
{
        for (size_t i = 0; imports && i < imports->n_zones; i++)
                if (dns_name_equal(&imports->zones[i].name, zone))
                        return &imports->zones[i];
        return NULL;
}

void import_recall(const struct context *context, struct registry_zone *zone)
{
        const struct imported_zone *imported = find_imported(context->imports, &zone->policy->zone);

        if (imported)
                zone->imported_usec = imported->imported_usec;
}

struct imports *imports_free(struct imports *imports)
{
        if (imports)
                free(imports->zones);
        free(imports);
        return NULL;
}

/* The mark alone. If it does not come to the disk, the store tries again. */
static int import_mark(const struct registry_zone *zone, struct store *store)
{
        struct store_import *stored = store_import_new(store, &zone->policy->zone);

        return stored ? store_put_import(stored, 0, NULL, NULL) : -ENOMEM;
}

/* A zone that is seen for the first time: its key file, if there is one; none then is none for ever. */
static int import_zone(struct registry_zone *zone, struct store *store, const char *directory)
{
        struct import import = { .zone = zone, .store = store };
        _cleanup_free_ char *path = NULL;
        char zone_text[DNS_NAME_FORMAT_MAX];

        if (asprintf(&path, "%s/%skeydb", directory, dns_name_format(&zone->policy->zone, zone_text)) < 0)
                return -ENOMEM;
        import.path = path;
        if (access(path, F_OK) == 0)
                return import_file(&import);
        return import_mark(zone, store);
}

int import_directory(struct context *context)
{
        static const struct store_loader loader = { .import = load_import };
        _cleanup_free_ char *why = NULL;
        struct imports *imports;
        struct served_zone *served;
        int r;

        context->imports = imports = calloc(1, sizeof(*imports));
        if (!imports)
                return -ENOMEM;
        r = store_drain(context->store);
        if (r >= 0)
                r = store_load_imports(context->store, &loader, imports, &why);
        if (r < 0)
                log_error("Cannot read which key files were imported: %s.", why ?: strerror(-r));
        LIST_FOREACH (served, zones_list(context->zones), zones) {
                char text[DNS_NAME_FORMAT_MAX];

                import_recall(context, served->zone);
                if (r < 0 || imports->all || find_imported(imports, &served->policy.zone) ||
                    import_zone(served->zone, context->store, context->config->data_dir) >= 0)
                        continue;
                served->claims_held = true;
                log_error("Until that file can be imported, no new names are given in %s. Mend or remove it "
                          "and "
                          "restart, or give it up: \"nsregctl abandon-import %s\".",
                          dns_name_format(&served->policy.zone, text), text);
        }
        return r;
}

int import_abandon(struct context *context, struct registry_zone *zone)
{
        struct served_zone *served = zones_find(context->zones, zone);
        int r = import_mark(zone, context->store);

        if (r >= 0)
                served->claims_held = false;
        return r;
}

/* "/some/where/example.org.keydb" belongs to zone example.org. */
static struct registry_zone *zone_of_file(const struct registry *registry, const char *path)
{
        const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        size_t length = strlen(base);
        char text[DNS_NAME_FORMAT_MAX];
        struct dns_name name;

        if (length <= 5 || length >= sizeof(text) || !streq(base + length - 5, "keydb"))
                return NULL;
        memcpy(text, base, length - 5);
        text[length - 5] = '\0';
        return dns_name_parse(text, &name) < 0 ? NULL : registry_find_zone(registry, &name);
}

static int load_name(void *userdata, const struct dns_name *zone_name, const char *label,
                     struct name_state *state)
{
        struct registry *registry = userdata;
        struct registry_zone *zone = registry_find_zone(registry, zone_name);
        int r = zone ? registry_load(zone, label, state) : -ENOENT;

        if (r < 0)
                name_state_free(state);
        return r == -ENOENT ? 1 : r;
}

/* Nothing was refreshed here: what the next start has to know of the last run is what this one knew. */
static int finish(struct store *store)
{
        int r;

        r = store_drain(store);
        if (r < 0)
                log_error("The names could not be stored: %s.", strerror(-r));
        return r;
}

/* A key file, read before the data directory's user is taken on: it may be root's. */
struct key_file {
        const char *path;
        char *text;
        size_t size;
};

static void key_files_free(struct key_file *files, int n_files)
{
        for (int i = 0; files && i < n_files; i++)
                free(files[i].text);
        free(files);
}

static struct key_file *key_files_read(char **paths, int n_files)
{
        struct key_file *files = calloc((size_t) n_files, sizeof(*files));
        int r = files ? 0 : -ENOMEM, failed = 0;

        for (int i = 0; files && i < n_files; i++) {
                files[i].path = paths[i];
                r = keydb_read(paths[i], &files[i].text, &files[i].size);
                if (r < 0)
                        log_error("Cannot import %s: %s. Nothing was taken.", paths[i], strerror(-r));
                failed = r < 0 ? r : failed;
        }
        if (files && failed >= 0)
                return files;
        key_files_free(files, n_files);
        return NULL;
}

static int import_into(const struct nsregd_config *config, struct registry *registry, struct store *store,
                       const struct key_file *files, int n_files)
{
        static const struct store_loader loader = { .name = load_name };
        _cleanup_free_ char *why = NULL;
        int r, failed = 0;

        r = store_load_names(store, &loader, registry, &why);
        if (r >= 0)
                r = store_start(store);
        if (r < 0) {
                log_error("Cannot use the database in %s: %s.", config->data_dir, why ?: strerror(-r));
                return r;
        }
        for (int i = 0; i < n_files; i++) {
                struct import import = { .store = store, .path = files[i].path };

                import.zone = zone_of_file(registry, files[i].path);
                if (!import.zone) {
                        log_error(
                                "%s: there is no zone configured that this file could belong to; it must be "
                                "named <zone>.keydb.",
                                files[i].path);
                        failed = -ENOENT;
                        continue;
                }
                r = import_text(&import, files[i].text, files[i].size);
                if (r < 0)
                        failed = r;
        }
        return failed ?: finish(store);
}

static int import_files(const struct nsregd_config *config, struct registry *registry,
                        const struct key_file *files, int n_files)
{
        _cleanup_free_ char *why = NULL;
        struct store *store = NULL;
        sd_event *event = NULL;
        int r = sd_event_new(&event);

        if (r < 0)
                return log_oom();
        r = store_open(event, config->data_dir, getenv("RUNTIME_DIRECTORY"), &store, &why);
        if (r < 0) {
                log_error("Cannot open the database in %s: %s.%s", config->data_dir, why ?: strerror(-r),
                          r == -EBUSY ? " Stop nsregd first." : "");
                /* What it says comes beside. */
                (void) service_user_explain(config->data_dir);
        } else
                r = import_into(config, registry, store, files, n_files);
        store_free(store);
        sd_event_unref(event);
        return r;
}

int import_keydbs(const char *config_path, char **paths, int n_files)
{
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_(registry_freep) struct registry *registry = registry_new();
        struct config_error error = CONFIG_ERROR_INIT;
        struct key_file *files;
        int r;

        r = nsregd_config_load(config_path, &config, &error);
        if (r < 0)
                log_error("%s", error.text ?: strerror(-r));
        config_error_clear(&error);
        if (r < 0)
                return r;
        for (size_t i = 0; registry && i < config->n_zones; i++)
                if (!registry_add_zone(registry, &config->zones[i].policy))
                        return log_oom();
        if (!registry)
                return log_oom();
        files = key_files_read(paths, n_files);
        if (!files)
                return -EIO;
        r = service_user_enter(config->data_dir, !config_path);
        if (r < 0)
                log_error("Cannot use %s: %s.", config->data_dir, strerror(-r));
        else
                r = import_files(config, registry, files, n_files);
        key_files_free(files, n_files);
        return r;
}
