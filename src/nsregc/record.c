/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/record.h"

#include "util/macro.h"

static int target_read(const struct dns_message *message, const struct dns_rr *rr, size_t skip,
                       struct dns_name *ret)
{
        if (rr->rdlength <= skip)
                return -EBADMSG;
        return dns_message_name(message, (size_t) rr->rdata + skip, ret, NULL);
}

/* 1: taken, 0: of no interest. */
static int record_read(const struct dns_message *message, const struct dns_rr *rr, struct record *ret)
{
        const uint8_t *rdata = dns_message_rdata(message, rr);
        int r = 0;

        if (rr->class != DNS_CLASS_IN)
                return 0;
        *ret = (struct record){ .type = rr->type, .ttl_sec = rr->ttl };
        switch (rr->type) {
        case DNS_TYPE_A:
        case DNS_TYPE_AAAA:
                r = dns_rr_address(message, rr, &ret->address);
                break;
        case DNS_TYPE_PTR:
                r = target_read(message, rr, 0, &ret->target);
                break;
        case DNS_TYPE_SRV:
                r = target_read(message, rr, 6, &ret->target);
                if (r < 0)
                        return r;
                ret->priority = (uint16_t) (rdata[0] << 8 | rdata[1]);
                ret->weight = (uint16_t) (rdata[2] << 8 | rdata[3]);
                ret->port = (uint16_t) (rdata[4] << 8 | rdata[5]);
                break;
        default:
                return 0;
        }
        if (r < 0)
                return r;
        r = dns_message_owner(message, rr, &ret->owner);
        return r < 0 ? r : 1;
}

int record_list_read(struct record_list *list, const struct dns_message *message)
{
        static const enum dns_section sections[] = { DNS_SECTION_ANSWER, DNS_SECTION_ADDITIONAL };

        for (size_t s = 0; s < ELEMENTSOF(sections); s++) {
                unsigned first, n = dns_message_section(message, sections[s], &first);

                for (unsigned i = first; i < first + n && list->n_items < RECORDS_MAX; i++) {
                        struct record record, *items;
                        int r = record_read(message, &message->rrs[i], &record);

                        if (r < 0)
                                return r;
                        if (r == 0)
                                continue;
                        items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
                        if (!items)
                                return -ENOMEM;
                        list->items = items;
                        items[list->n_items++] = record;
                }
        }
        return 0;
}

int record_list_read_raw(struct record_list *list, const uint8_t *rr, size_t size)
{
        _cleanup_free_ uint8_t *wire = NULL;
        struct dns_message message;
        int r;

        if (size > DNS_MESSAGE_MAX - DNS_HEADER_SIZE)
                return -EBADMSG;
        wire = calloc(1, DNS_HEADER_SIZE + size);
        if (!wire)
                return -ENOMEM;
        wire[2] = 0x80;
        wire[7] = 1; /* one RR in answer */
        memcpy(wire + DNS_HEADER_SIZE, rr, size);
        r = dns_message_walk(wire, DNS_HEADER_SIZE + size, NULL, &message, NULL);
        if (r < 0)
                return -EBADMSG;
        return record_list_read(list, &message);
}

void record_list_clear(struct record_list *list)
{
        free(list->items);
        *list = (struct record_list){ 0 };
}

/* One of the first n, with a chance by weight. Those of weight 0 stand first, for a very small chance. */
static size_t pick_by_weight(const struct record *items, size_t n, uint32_t (*random)(void *, uint32_t),
                             void *userdata)
{
        uint32_t sum = 0, mark;
        size_t i;

        for (i = 0; i < n; i++)
                sum += items[i].weight;
        mark = random(userdata, sum + 1);
        sum = 0;
        for (i = 0; i < n; i++) {
                sum += items[i].weight;
                if (sum >= mark)
                        break;
        }
        return MIN(i, n - 1);
}

static int srv_compare(const void *a, const void *b)
{
        const struct record *x = a, *y = b;

        if (x->priority != y->priority)
                return x->priority < y->priority ? -1 : 1;
        return (x->weight > 0) - (y->weight > 0);
}

void record_list_order(struct record_list *list, uint32_t (*random)(void *userdata, uint32_t below),
                       void *userdata)
{
        size_t n = 0;

        for (size_t i = 0; i < list->n_items; i++)
                if (list->items[i].type == DNS_TYPE_SRV)
                        list->items[n++] = list->items[i];
        list->n_items = n;
        if (n == 0)
                return;

        qsort(list->items, n, sizeof(*list->items), srv_compare);
        for (size_t first = 0; first < n; first++) {
                size_t same = 1;

                while (first + same < n && list->items[first + same].priority == list->items[first].priority)
                        same++;
                size_t pick = first + pick_by_weight(list->items + first, same, random, userdata);
                struct record chosen = list->items[pick];
                memmove(&list->items[first + 1], &list->items[first], (pick - first) * sizeof(chosen));
                list->items[first] = chosen;
        }
}
