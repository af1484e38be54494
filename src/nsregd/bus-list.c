/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <fnmatch.h>
#include <stdio.h>

#include "nsregd/bus-list.h"
#include "nsregd/bus-objects.h"
#include "util/background.h"

#define PAGE_MAX 1000
/* Octets of a reply, by estimate, after which a page ends: no message comes near a bus's limits. */
#define PAGE_BYTES_MAX (512 * 1024)
/* Names looked at in one turn; the dearest glob of this length takes 10 us a name. */
#define SLICE_NAMES 100
#define GLOB_MAX    255

/* Pages that are asked for and not answered yet. A connection that asks for more is told so at once; so is a
 * user, with however many connections. They take turns user by user: an administrator waits for one slice of
 * each other user's, not for all that these have asked for. */
#define PAGES_PER_SENDER 8
#define PAGES_PER_USER   32
#define PAGES_UNASKED    1024 /* of whom the bus has not said yet whose they are */
/* Messages that the bus has not taken, beyond which nothing is made for it. */
#define UNSENT_MAX       16
#define UNSENT_LOOK_USEC (20 * USEC_PER_MSEC)

struct user;

struct page {
        TAILQ_ENTRY(page) pages;
        struct bus_lists *lists;
        struct user *user; /* NULL: among the unasked */
        sd_bus_message *message, *reply;
        sd_bus_slot *asking, *leaving; /* whose is it; is the caller still there */
        bool reserved;                 /* the names that are reserved, not those that are claimed */
        bool records;                  /* not registrations, but their records ... */
        uint16_t type;                 /* ... of this type; 0: of any */
        char glob[GLOB_MAX + 1];
        struct dns_name only; /* length 0: all zones */
        struct dns_name zone; /* where it goes on, behind "label"; a reload may take it away meanwhile */
        char label[DNS_LABEL_MAX + 1];
        uint32_t limit, n;
        size_t bytes;
};

TAILQ_HEAD(page_list, page);

struct user {
        TAILQ_ENTRY(user) users;
        uid_t uid;
        struct page_list pages;
        unsigned n_pages;
};

struct bus_lists {
        struct context *context;
        sd_event_source *source, *unsent_source;
        struct page_list unasked;
        unsigned n_unasked;
        TAILQ_HEAD(, user) users; /* who is next */
};

static void page_unlink(struct page *page)
{
        struct user *user = TAKE_PTR(page->user);
        struct bus_lists *lists = TAKE_PTR(page->lists);

        if (!lists)
                return;
        if (!user) {
                TAILQ_REMOVE(&lists->unasked, page, pages);
                lists->n_unasked--;
                return;
        }
        TAILQ_REMOVE(&user->pages, page, pages);
        if (--user->n_pages > 0)
                return;
        TAILQ_REMOVE(&lists->users, user, users);
        free(user);
}

static struct page *page_free(struct page *page)
{
        if (!page)
                return NULL;
        page_unlink(page);
        sd_bus_slot_unref(page->asking);
        sd_bus_slot_unref(page->leaving);
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

static int append_records(struct page *page, const struct context *context, const struct name_entry *entry)
{
        struct dns_name host = name_entry_name(entry);
        unsigned n = 0;
        int r = 0;

        for (unsigned i = 0; i < entry->state->n_records && r >= 0; i++) {
                const struct record *record = &entry->state->records[i];

                if (page->type != 0 && record->type != page->type)
                        continue;
                r = bus_append_record(page->reply, context, &host, record, true);
                page->bytes += 600U + record->length;
                n++;
        }
        page->n += n > 0;
        return r;
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
        if (page->records)
                return append_records(page, context, entry);
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

/* Frees the page. */
static void page_fail(struct page *page, int error)
{
        /* Who asked may be gone. */
        if (error == -E2BIG)
                (void) sd_bus_reply_method_errorf(page->message, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Wait for the answers to what you asked before");
        else
                (void) sd_bus_reply_method_errno(page->message, error, NULL);
        page_free(page);
}

static bool bus_is_slow(const struct page *page)
{
        uint64_t n = 0;

        return sd_bus_get_n_queued_write(sd_bus_message_get_bus(page->message), &n) >= 0 && n > UNSENT_MAX;
}

static int on_unsent(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct bus_lists *lists = userdata;

        background_source_wake(lists->source);
        return 0;
}

static int on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct bus_lists *lists = userdata;
        struct user *user = TAILQ_FIRST(&lists->users);
        struct page *page;
        int r;

        if (!user)
                return 0;
        page = TAILQ_FIRST(&user->pages);
        if (bus_is_slow(page)) {
                /* A source that exists is set without memory. */
                (void) sd_event_source_set_time_relative(lists->unsent_source, UNSENT_LOOK_USEC);
                (void) sd_event_source_set_enabled(lists->unsent_source, SD_EVENT_ONESHOT);
                return 0;
        }
        TAILQ_REMOVE(&lists->users, user, users);
        TAILQ_INSERT_TAIL(&lists->users, user, users);
        TAILQ_REMOVE(&user->pages, page, pages);
        TAILQ_INSERT_TAIL(&user->pages, page, pages);
        r = slice(page, lists->context);
        if (r > 0)
                r = page_reply(page) < 0 ? -EIO : 1;
        if (r > 0)
                page_free(page);
        else if (r < 0)
                page_fail(page, r);
        if (!TAILQ_EMPTY(&lists->users))
                background_source_wake(source);
        return 0;
}

static struct user *get_user(struct bus_lists *lists, uid_t uid)
{
        struct user *user;

        TAILQ_FOREACH (user, &lists->users, users)
                if (user->uid == uid)
                        return user;
        user = calloc(1, sizeof(*user));
        if (!user)
                return NULL;
        user->uid = uid;
        TAILQ_INIT(&user->pages);
        TAILQ_INSERT_TAIL(&lists->users, user, users);
        return user;
}

static int on_user(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct page *page = userdata;
        struct bus_lists *lists = page->lists;
        struct user *user;
        uint32_t uid;

        page->asking = sd_bus_slot_unref(page->asking);
        /* Whoever is gone has no user any more. */
        if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "u", &uid) < 0) {
                page_fail(page, -ENXIO);
                return 0;
        }
        user = get_user(lists, uid);
        if (!user || user->n_pages >= PAGES_PER_USER) {
                page_fail(page, user ? -E2BIG : -ENOMEM);
                return 0;
        }
        page_unlink(page);
        page->lists = lists;
        page->user = user;
        TAILQ_INSERT_TAIL(&user->pages, page, pages);
        user->n_pages++;
        background_source_wake(lists->source);
        return 0;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct page *page = userdata;

        page_free(page);
        return 0;
}

static unsigned count_pages(const struct page_list *pages, const char *sender)
{
        const struct page *page;
        unsigned n = 0;

        TAILQ_FOREACH (page, pages, pages)
                n += streq(sd_bus_message_get_sender(page->message) ?: "", sender);
        return n;
}

static bool may_ask(const struct bus_lists *lists, const char *sender)
{
        unsigned n = count_pages(&lists->unasked, sender);
        const struct user *user;

        TAILQ_FOREACH (user, &lists->users, users)
                n += count_pages(&user->pages, sender);
        return n < PAGES_PER_SENDER && lists->n_unasked < PAGES_UNASKED;
}

/* Who asks is asked for, and watched, in this order: one who has left meanwhile has no user. */
static int page_ask(struct page *page, const char *sender)
{
        sd_bus *bus = sd_bus_message_get_bus(page->message);
        char match[256];
        int r;

        r = snprintf(match, sizeof(match),
                     "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                     "member='NameOwnerChanged',arg0='%s'",
                     sender);
        if (r < 0 || (size_t) r >= sizeof(match))
                return -EINVAL;
        r = sd_bus_add_match_async(bus, &page->leaving, match, on_owner_changed, NULL, page);
        return r < 0 ? r
                     : sd_bus_call_method_async(bus, &page->asking, "org.freedesktop.DBus",
                                                "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                                "GetConnectionUnixUser", on_user, page, "s", sender);
}

/* Takes the page. */
static int page_begin(struct bus_lists *lists, struct page *page, const char *contents)
{
        const char *sender = sd_bus_message_get_sender(page->message) ?: "";
        int r;

        if (!may_ask(lists, sender)) {
                page_fail(page, -E2BIG);
                return 1;
        }
        r = sd_bus_message_new_method_return(page->message, &page->reply);
        if (r >= 0)
                r = sd_bus_message_open_container(page->reply, 'a', contents);
        if (r >= 0)
                r = page_ask(page, sender);
        if (r < 0) {
                page_free(page);
                return r;
        }
        page->lists = lists;
        TAILQ_INSERT_TAIL(&lists->unasked, page, pages);
        lists->n_unasked++;
        return 1;
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

/* Where it begins, and what of. */
static int page_seek(struct page *page, const struct bus_lists *lists, const char *zone, const char *glob,
                     const char *after, sd_bus_error *error)
{
        int r;

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
        return find_position(page, lists->context, after, error);
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
        r = page_seek(page, lists, zone, glob, after, error);
        return r < 0 ? r : page_begin(lists, TAKE_PTR(page), "(sssqttsa(iayt)b)");
}

int bus_list_records(struct bus_lists *lists, sd_bus_message *message, sd_bus_error *error)
{
        _cleanup_(page_freep) struct page *page = NULL;
        const char *zone, *glob, *after;
        uint32_t limit;
        uint16_t type;
        int r;

        r = sd_bus_message_read(message, "sssqu", &zone, &glob, &after, &type, &limit);
        if (r < 0)
                return r;
        page = page_new(message, limit);
        if (!page)
                return -ENOMEM;
        page->records = true;
        page->type = type;
        r = page_seek(page, lists, zone, glob, after, error);
        return r < 0 ? r : page_begin(lists, TAKE_PTR(page), "(ssqayt)");
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
        struct user *user;

        while (!TAILQ_EMPTY(&lists->unasked))
                page_free(TAILQ_FIRST(&lists->unasked));
        /* With its last page goes the user. */
        while ((user = TAILQ_FIRST(&lists->users)))
                page_free(TAILQ_FIRST(&user->pages));
}

int bus_lists_new(struct context *context, struct bus_lists **ret)
{
        _cleanup_(bus_lists_freep) struct bus_lists *lists = calloc(1, sizeof(*lists));
        int r;

        if (!lists)
                return -ENOMEM;
        lists->context = context;
        TAILQ_INIT(&lists->unasked);
        TAILQ_INIT(&lists->users);
        r = background_source_new(context->event, on_turn, lists, &lists->source);
        if (r >= 0)
                r = sd_event_add_time(context->event, &lists->unsent_source, CLOCK_MONOTONIC, 0,
                                      USEC_PER_MSEC, on_unsent, lists);
        if (r >= 0)
                r = sd_event_source_set_enabled(lists->unsent_source, SD_EVENT_OFF);
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
        sd_event_source_disable_unref(lists->unsent_source);
        free(lists);
        return NULL;
}
