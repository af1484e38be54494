/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>

#include "dns/rdata.h"
#include "upstream/unbound-list.h"
#include "util/background.h"

#define SLICE_SIZE (128U * 1024)

struct sought {
        uint64_t hash; /* of the owner as text */
        unsigned index;
};

struct unbound_list {
        sd_event_source *source;
        const struct plan_batch *batch;
        unbound_list_done done;
        void *userdata;
        char *octets; /* owned, NUL-terminated */
        size_t size, at;
        struct sought *sought; /* owned, in order of their hashes */
        unsigned n_units;
        int error;
        struct finding findings[];
};

static uint64_t hash_owner(const char *owner, size_t length)
{
        uint64_t hash = UINT64_C(14695981039346656037);

        for (size_t i = 0; i < length; i++)
                hash = (hash ^ (uint8_t) tolower((unsigned char) owner[i])) * UINT64_C(1099511628211);
        return hash;
}

static int compare_sought(const void *a, const void *b)
{
        uint64_t x = ((const struct sought *) a)->hash, y = ((const struct sought *) b)->hash;

        return x < y ? -1 : x > y;
}

/* What the unit is about: pointers, or addresses and what else is ours at a name. */
static bool is_sought_type(const struct unit *unit, uint16_t type)
{
        if (unit_mode(unit) == UNIT_SHARED)
                return type == DNS_TYPE_PTR;
        if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA)
                return true;
        FOREACH_PART (part, unit)
                if (part->type == type)
                        return true;
        return false;
}

static void take_record(struct finding *finding, const struct unit *unit, const char *type_text,
                        const char *rdata, int *error)
{
        _cleanup_free_ uint8_t *octets = NULL;
        uint16_t type, length;
        int r;

        if (rdata_type_from_string(type_text, &type) < 0 || !is_sought_type(unit, type)) {
                finding->other = true;
                return;
        }
        r = rdata_parse(type, rdata, &octets, &length);
        if (r >= 0)
                r = rrset_add(&finding->found, type, octets, length);
        if (r == -EINVAL)
                finding->other = true;
        else if (r < 0)
                *error = r;
}

/* Of an owner that is sought, as far as its hash tells: "owner TTL class type rdata". Foreign text, cut up
 * where it is. */
static void read_line(struct unbound_list *list, const struct sought *sought, char *line)
{
        const struct unit *unit = list->batch->units[sought->index];
        struct dns_name name, owner = unit_owner(unit);
        char *text, *type, *rdata, *state;

        text = strtok_r(line, " \t", &state);
        if (!text || !strtok_r(NULL, " \t", &state) || !strtok_r(NULL, " \t", &state))
                return;
        type = strtok_r(NULL, " \t", &state);
        rdata = strtok_r(NULL, "", &state);
        if (!type || !rdata || dns_name_parse(text, &name) < 0 || !dns_name_equal(&name, &owner))
                return;
        take_record(&list->findings[sought->index], unit, type, rdata, &list->error);
}

static void read_slice(struct unbound_list *list)
{
        size_t end = MIN(list->at + SLICE_SIZE, list->size);

        while (list->at < end) {
                char *line = list->octets + list->at;
                size_t length = strcspn(line, "\n");
                struct sought key = { .hash = hash_owner(line, strcspn(line, " \t\n")) };
                const struct sought *sought = bsearch(&key, list->sought, list->n_units, sizeof(key),
                                                      compare_sought);

                list->at += length + 1;
                line[length] = '\0';
                if (sought)
                        read_line(list, sought, line);
        }
}

static int on_slice(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct unbound_list *list = userdata;

        read_slice(list);
        if (list->at < list->size && list->error >= 0)
                background_source_wake(source);
        else
                list->done(list->userdata, list->error);
        return 0;
}

int unbound_list_new(sd_event *event, const struct plan_batch *batch, const char *reply, size_t size,
                     unbound_list_done done, void *userdata, struct unbound_list **ret)
{
        struct unbound_list *list = calloc(1, sizeof(*list) + batch->n_units * sizeof(list->findings[0]));

        if (!list)
                return -ENOMEM;
        list->batch = batch;
        list->done = done;
        list->userdata = userdata;
        list->n_units = batch->n_units;
        list->size = size;
        list->octets = malloc(size + 1);
        list->sought = calloc(batch->n_units, sizeof(*list->sought));
        if (!list->octets || !list->sought ||
            background_source_new(event, on_slice, list, &list->source) < 0) {
                unbound_list_free(list);
                return -ENOMEM;
        }
        memcpy(list->octets, reply, size);
        list->octets[size] = '\0';
        for (unsigned i = 0; i < batch->n_units; i++) {
                struct dns_name owner = unit_owner(batch->units[i]);
                char text[DNS_NAME_FORMAT_MAX];

                dns_name_format(&owner, text);
                list->sought[i] = (struct sought){ .hash = hash_owner(text, strlen(text)), .index = i };
        }
        qsort(list->sought, batch->n_units, sizeof(*list->sought), compare_sought);
        background_source_wake(list->source);
        *ret = list;
        return 0;
}

struct unbound_list *unbound_list_free(struct unbound_list *list)
{
        if (!list)
                return NULL;
        sd_event_source_disable_unref(list->source);
        for (unsigned i = 0; i < list->n_units; i++)
                rrset_clear(&list->findings[i].found);
        free(list->sought);
        free(list->octets);
        free(list);
        return NULL;
}

const struct finding *unbound_list_finding(const struct unbound_list *list, unsigned i)
{
        return &list->findings[i];
}
