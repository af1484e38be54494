/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <fnmatch.h>

#include "nsregd/bus-list.h"
#include "nsregd/bus-objects.h"
#include "util/background.h"

#define PAGE_MAX 1000
/* Octets of a reply, by estimate, after which a page ends: no message comes near a bus's limits. */
#define PAGE_BYTES_MAX (512 * 1024)
/* Names looked at in one turn; the dearest glob of this length takes 10 us a name. */
#define SLICE_NAMES 100
#define GLOB_MAX    255

struct page {
        TAILQ_ENTRY(page) pages;
        sd_bus_message *message, *reply;
        bool reserved; /* the names that are reserved, not those that are claimed */
        char glob[GLOB_MAX + 1];
        struct dns_name only; /* length 0: all zones */
        struct dns_name zone; /* where it goes on, behind "label"; a reload may take it away meanwhile */
        char label[DNS_LABEL_MAX + 1];
        uint32_t limit, n;
        size_t bytes;
};

struct bus_lists {
        struct context *context;
        sd_event_source *source;
        TAILQ_HEAD(, page) pages;
};

static struct page *page_free(struct page *page)
{
        if (!page)
                return NULL;
        sd_bus_message_unref(page->message);
        sd_bus_message_unref(page->reply);
        free(page);
        return NULL;
}
DEFINE_CLEANUP(struct page *, page_free)

static int find_position(struct page *page, const struct context *context, const char *after,
                         sd_bus_error *error)
{
        const struct registry_zone *zone = context->registry->zones;
        const uint8_t *label;
        struct dns_name name;
        size_t length;
        int r;

        if (after[0]) {
                r = bus_parse_name(after, &name, error);
                if (r < 0)
                        return r;
                zone = registry_find_zone_of(context->registry, &name);
                if (!zone)
                        return sd_bus_error_set(error, "org.nsreg.Error.InvalidName",
                                                "The last name of the page before is in no zone");
                length = dns_name_first_label(&name, &label);
                memcpy(page->label, label, length);
                page->label[length] = '\0';
        }
        if (zone)
                page->zone = zone->policy->zone;
        return 0;
}

static int append_registration(sd_bus_message *reply, const struct context *context,
                               const struct name_entry *entry)
{
        const struct name_state *state = entry->state;
        char name_text[DNS_NAME_FORMAT_MAX], zone_text[DNS_NAME_FORMAT_MAX], source[ADDRESS_FORMAT_MAX] = "";
        struct dns_name name = name_entry_name(entry);
        int r;

        if (state->source.family)
                address_format(&state->source, source);
        r = sd_bus_message_open_container(reply, 'r', "sssqttsa(iayt)b");
        if (r >= 0)
                r = sd_bus_message_append(reply, "sssqtts", bus_name_text(&name, name_text),
                                          bus_name_text(&entry->zone->policy->zone, zone_text),
                                          dns_algorithm_to_string(state->key->algorithm) ?: "",
                                          state->key_tag, bus_real_usec(context, state->key_end_usec),
                                          state->seen_usec, source);
        if (r >= 0)
                r = bus_append_addresses(reply, context, state);
        if (r >= 0)
                r = sd_bus_message_append(reply, "b", bus_is_published(entry));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int look_at(struct page *page, const struct context *context, const struct name_entry *entry)
{
        const struct name_state *state = entry->state;
        struct dns_name name = name_entry_name(entry);
        char text[DNS_NAME_FORMAT_MAX];

        if (page->reserved) {
                if (!state->reserved && !state->banned_fingerprint)
                        return 0;
                page->bytes += 600;
                page->n++;
                return sd_bus_message_append(page->reply, "(ss)", bus_name_text(&name, text),
                                             state->banned_fingerprint ?: "");
        }
        if (!state->claimed || (page->glob[0] && fnmatch(page->glob, entry->label, FNM_CASEFOLD) != 0))
                return 0;
        page->bytes += 600 + 48U * state->n_records;
        page->n++;
        return append_registration(page->reply, context, entry);
}

/* 1: the page has come to its end; 0: not yet; or negative. */
static int slice(struct page *page, const struct context *context)
{
        struct registry_zone *zone = page->zone.length > 0
                                             ? registry_find_zone(context->registry, &page->zone)
                                             : NULL;
        int r;

        for (unsigned i = 0; zone && i < SLICE_NAMES; i++) {
                struct name_entry *entry = NULL;

                if (page->n >= page->limit || page->bytes >= PAGE_BYTES_MAX)
                        return 1;
                if (page->only.length == 0 || dns_name_equal(&page->only, &page->zone))
                        entry = registry_after(zone, page->label);
                if (entry) {
                        strcpy(page->label, entry->label);
                        r = look_at(page, context, entry);
                        if (r < 0)
                                return r;
                        continue;
                }
                zone = zone->next;
                page->label[0] = '\0';
                if (zone)
                        page->zone = zone->policy->zone;
        }
        return !zone;
}

static int page_reply(struct page *page)
{
        int r = sd_bus_message_close_container(page->reply);

        return r < 0 ? r : sd_bus_send(NULL, page->reply, NULL);
}

static int on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct bus_lists *lists = userdata;
        struct page *page = TAILQ_FIRST(&lists->pages);
        int r;

        if (!page)
                return 0;
        TAILQ_REMOVE(&lists->pages, page, pages);
        r = slice(page, lists->context);
        if (r == 0)
                TAILQ_INSERT_TAIL(&lists->pages, page, pages);
        else {
                if (r > 0)
                        r = page_reply(page);
                /* Who asked may be gone. */
                if (r < 0)
                        (void) sd_bus_reply_method_errno(page->message, r, NULL);
                page_free(page);
        }
        if (!TAILQ_EMPTY(&lists->pages))
                background_source_wake(source);
        return 0;
}

/* Most pages are full, or all, within the first slice. Takes the page. */
static int page_begin(struct bus_lists *lists, struct page *page, const char *contents)
{
        int r;

        r = sd_bus_message_new_method_return(page->message, &page->reply);
        if (r >= 0)
                r = sd_bus_message_open_container(page->reply, 'a', contents);
        if (r >= 0)
                r = slice(page, lists->context);
        if (r == 0) {
                TAILQ_INSERT_TAIL(&lists->pages, page, pages);
                background_source_wake(lists->source);
                return 1;
        }
        if (r > 0)
                r = page_reply(page);
        page_free(page);
        return r < 0 ? r : 1;
}

static struct page *page_new(sd_bus_message *message, uint32_t limit)
{
        struct page *page = calloc(1, sizeof(*page));

        if (!page)
                return NULL;
        page->message = sd_bus_message_ref(message);
        page->limit = limit == 0 ? PAGE_MAX : MIN(limit, (uint32_t) PAGE_MAX);
        return page;
}

int bus_list_registrations(struct bus_lists *lists, sd_bus_message *message, sd_bus_error *error)
{
        _cleanup_(page_freep) struct page *page = NULL;
        const char *zone, *glob, *after;
        uint32_t limit;
        int r;

        r = sd_bus_message_read(message, "sssu", &zone, &glob, &after, &limit);
        if (r < 0)
                return r;
        page = page_new(message, limit);
        if (!page)
                return -ENOMEM;
        if (strlen(glob) > GLOB_MAX)
                return sd_bus_error_set(error, "org.nsreg.Error.InvalidName", "The glob is too long");
        strcpy(page->glob, glob);
        if (zone[0]) {
                r = bus_parse_name(zone, &page->only, error);
                if (r < 0)
                        return r;
                if (!registry_find_zone(lists->context->registry, &page->only))
                        return sd_bus_error_setf(error, "org.nsreg.Error.NoSuchZone",
                                                 "Zone %s is not served here", zone);
        }
        r = find_position(page, lists->context, after, error);
        return r < 0 ? r : page_begin(lists, TAKE_PTR(page), "(sssqttsa(iayt)b)");
}

int bus_list_reserved(struct bus_lists *lists, sd_bus_message *message, sd_bus_error *error)
{
        _cleanup_(page_freep) struct page *page = NULL;
        const char *after;
        uint32_t limit;
        int r;

        r = sd_bus_message_read(message, "su", &after, &limit);
        if (r < 0)
                return r;
        page = page_new(message, limit);
        if (!page)
                return -ENOMEM;
        page->reserved = true;
        r = find_position(page, lists->context, after, error);
        return r < 0 ? r : page_begin(lists, TAKE_PTR(page), "(ss)");
}

void bus_lists_clear(struct bus_lists *lists)
{
        struct page *page;

        while ((page = TAILQ_FIRST(&lists->pages))) {
                TAILQ_REMOVE(&lists->pages, page, pages);
                page_free(page);
        }
}

int bus_lists_new(struct context *context, struct bus_lists **ret)
{
        _cleanup_(bus_lists_freep) struct bus_lists *lists = calloc(1, sizeof(*lists));
        int r;

        if (!lists)
                return -ENOMEM;
        lists->context = context;
        TAILQ_INIT(&lists->pages);
        r = background_source_new(context->event, on_turn, lists, &lists->source);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(lists);
        return 0;
}

struct bus_lists *bus_lists_free(struct bus_lists *lists)
{
        if (!lists)
                return NULL;
        bus_lists_clear(lists);
        sd_event_source_disable_unref(lists->source);
        free(lists);
        return NULL;
}
