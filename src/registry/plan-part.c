/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/plan-internal.h"

#define VALUE_HEADER 4U

/* --- life --- */

struct unit_part *part_new(struct unit *unit, uint16_t type, const struct rrset_item *rr)
{
        struct unit_part *part = calloc(1, sizeof(*part)), **end = &unit->parts;

        if (!part)
                return NULL;
        part->unit = unit;
        part->type = type;
        if (rr && rrset_add_item(&part->rr, rr) < 0) {
                free(part);
                return NULL;
        }
        /* Without a row, nothing of ours is there: an empty value needs no memory. */
        part->n_values = 1;
        while (*end)
                end = &(*end)->next;
        *end = part;
        return part;
}

void part_free(struct unit_part *part)
{
        waiter_clear(&part->write);
        rrset_clear(&part->rr);
        rrset_clear(&part->wanted);
        for (unsigned i = 0; i < part->n_values; i++)
                rrset_clear(&part->values[i]);
        free(part->row_zone);
        free(part->doubts);
        free(part);
}

struct unit_part *part_find(const struct unit *unit, const struct rrset_item *item)
{
        FOREACH_PART (part, unit)
                if (part->type == item->type &&
                    (unit_mode(unit) == UNIT_EXCLUSIVE || rrset_contains(&part->rr, item)))
                        return part;
        return NULL;
}

bool unit_has_part(const struct unit *unit, const struct rrset_item *item)
{
        return part_find(unit, item);
}

/* --- values --- */

int rrset_replace(struct rrset *to, const struct rrset *from)
{
        struct rrset copy;
        int r = rrset_copy(&copy, from);

        if (r < 0)
                return r;
        rrset_clear(to);
        *to = copy;
        return 0;
}

const struct rrset *part_known(const struct unit_part *part)
{
        return part->known >= 0 ? &part->values[part->known] : NULL;
}

int part_find_value(const struct unit_part *part, const struct rrset *value)
{
        for (int i = 0; i < part->n_values; i++)
                if (rrset_equal(&part->values[i], value))
                        return i;
        return -1;
}

int part_add_value(struct unit_part *part, const struct rrset *value)
{
        int r, i = part_find_value(part, value);

        if (i >= 0)
                return i;
        if (part->n_values == PART_VALUES_MAX)
                return -ENOSPC;
        r = rrset_copy(&part->values[part->n_values], value);
        if (r < 0)
                return r;
        part->changed = true;
        return part->n_values++;
}

struct rrset part_view(const struct unit_part *part, const struct rrset *set)
{
        if (unit_mode(part->unit) == UNIT_EXCLUSIVE)
                return rrset_of_type(set, part->type);
        return rrset_contains_all(set, &part->rr) ? part->rr : (struct rrset){};
}

bool part_in_sync(const struct unit_part *part)
{
        bool again = part->again || (part->in_message && part->again_then);

        /* Something of others: there is nothing of ours. */
        if (part->known == VALUE_OTHER)
                return rrset_is_empty(&part->wanted);
        if (part->known < 0 || !rrset_equal(&part->values[part->known], &part->wanted))
                return false;
        /* Nothing cannot be published again. */
        return !again || rrset_is_empty(&part->wanted);
}

/* A step in doubt changes nothing where what it replaces is not there, or what it makes is. */
static bool is_harmless(const struct unit_part *part, int before, int after)
{
        return after == part->known || (before != VALUE_ANY && before != part->known);
}

bool part_is_harmless(const struct unit_part *part)
{
        if (part->in_message && !is_harmless(part, part->before, part->after))
                return false;
        for (unsigned i = 0; i < part->n_doubts; i++)
                if (!is_harmless(part, part->doubts[i].before, part->doubts[i].after))
                        return false;
        return true;
}

/* Everything in doubt is settled: so nothing of ours is there but what is known, if that is ours. */
void part_trim(struct unit_part *part)
{
        int kept = part->known;

        if (part->n_doubts > 0 || part->in_message || kept == VALUE_UNKNOWN)
                return;
        part->full = false;
        part->changed |= part->n_values > 1;
        for (int i = 0; i < part->n_values; i++)
                if (i != kept)
                        rrset_clear(&part->values[i]);
        if (kept > 0) {
                part->values[0] = part->values[kept];
                part->values[kept] = (struct rrset){};
        }
        part->n_values = 1;
        part->fudge_sec = 0;
        if (kept >= 0)
                part->known = 0;
}

bool part_may_adopt(const struct unit_part *part)
{
        const struct unit *unit = part->unit;
        const struct plan *plan = unit->plan;

        return plan->ops->adopts &&
               plan->ops->adopts(plan->userdata, unit, unit_mode(unit) == UNIT_SHARED ? &part->rr : NULL);
}

/* --- doubt --- */

static struct part_doubt *find_doubt(const struct unit_part *part, const struct part_doubt *like)
{
        for (unsigned i = 0; i < part->n_doubts; i++)
                if (part->doubts[i].before == like->before && part->doubts[i].after == like->after &&
                    part->doubts[i].server == like->server &&
                    part->doubts[i].as_of_start == like->as_of_start)
                        return &part->doubts[i];
        return NULL;
}

int part_prepare(struct unit_part *part)
{
        if (!part->doubts)
                part->doubts = calloc(PART_DOUBTS_MAX, sizeof(*part->doubts));
        if (!part->doubts)
                return -ENOMEM;
        return part->n_doubts < PART_DOUBTS_MAX ? 0 : -ENOSPC;
}

static void add_doubt(struct unit_part *part, const struct part_doubt *doubt)
{
        struct part_doubt *same = find_doubt(part, doubt);

        if (same) {
                same->until_sec = MAX(same->until_sec, doubt->until_sec);
                same->due_usec = MAX(same->due_usec, doubt->due_usec);
                return;
        }
        assert(part->doubts && part->n_doubts < PART_DOUBTS_MAX);
        part->doubts[part->n_doubts++] = *doubt;
}

/* How long a barrier has to wait behind a message: both fudges and the margin, and the seconds that whole
 * seconds lose. */
static usec_t wait_usec(const struct plan *plan, unsigned fudge_sec)
{
        unsigned sec = plan->options.bounded ? fudge_sec + plan->fudge_sec + plan->options.margin_sec
                                             : UNBOUNDED_SEC;

        return (sec + 1) * USEC_PER_SEC;
}

static uint64_t life_sec(const struct plan *plan, unsigned fudge_sec)
{
        return plan->options.bounded ? fudge_sec + plan->options.margin_sec : UNBOUNDED_SEC;
}

void part_doubt(struct unit_part *part, const struct plan_batch *batch)
{
        const struct plan *plan = part->unit->plan;
        const struct part_doubt doubt = {
                .before = part->before,
                .after = part->after,
                .server = batch->server,
                .until_sec = batch->signed_sec + life_sec(plan, batch->signed_fudge_sec),
                .due_usec = batch->sent_usec + wait_usec(plan, batch->signed_fudge_sec),
        };

        add_doubt(part, &doubt);
}

void part_doubt_start(struct unit_part *part)
{
        const struct plan *plan = part->unit->plan;

        for (uint8_t i = 0; i < part->n_values; i++) {
                const struct part_doubt doubt = {
                        .before = VALUE_ANY,
                        .after = (int8_t) i,
                        .as_of_start = true,
                        .until_sec = life_sec(plan, part->fudge_sec),
                        .due_usec = plan->now_usec + wait_usec(plan, part->fudge_sec),
                };

                add_doubt(part, &doubt);
        }
}

void part_settle(struct unit_part *part, const struct plan_batch *batch, usec_t now_usec)
{
        const struct plan *plan = part->unit->plan;
        usec_t slow_usec = plan->options.slow_usec;
        bool slow = slow_usec > 0 && now_usec > batch->sent_usec + slow_usec;
        uint64_t arrived_sec = batch->signed_sec - batch->signed_fudge_sec; /* at the earliest */
        unsigned n = 0;

        for (unsigned i = 0; i < part->n_doubts; i++) {
                struct part_doubt *doubt = &part->doubts[i];
                uint64_t until_sec = doubt->until_sec + (doubt->as_of_start ? plan->start_sec : 0);
                bool same = doubt->server == 0 || doubt->server == batch->server;
                uint64_t wait_sec = 1;

                if (same && !slow && arrived_sec > until_sec)
                        continue;
                /* Too early after all: the clock was set; or it was for another of the server's addresses. */
                if (arrived_sec <= until_sec)
                        wait_sec = until_sec - arrived_sec + 1;
                if (doubt->due_usec <= now_usec)
                        doubt->due_usec = now_usec + wait_sec * USEC_PER_SEC;
                part->doubts[n++] = *doubt;
        }
        part->n_doubts = (uint8_t) n;
        part->full &= n > 0;
}

usec_t part_due(const struct unit_part *part)
{
        usec_t due_usec = part->n_doubts > 0 ? 0 : USEC_INFINITY;

        for (unsigned i = 0; i < part->n_doubts; i++)
                due_usec = MAX(due_usec, part->doubts[i].due_usec);
        return due_usec;
}

/* --- what a part needs --- */

static bool row_says_enough(const struct unit_part *part)
{
        return part->stored && !part->changed && part->fudge_sec >= part->unit->plan->fudge_sec;
}

/* clang-format off */
/* What is there, what is wanted, what the row says: what is to be done. "k" is what is known to be there, "w"
 * what is wanted.
 *
 * | state x event                        | action                           | row            | doubt     |
 * |--------------------------------------|----------------------------------|----------------|-----------|
 * | no row, w empty                      | -                                | -              | -         |
 * | no row, w, not looked                | k unknown: look                  | -              | -         |
 * | no row, w, nothing was there         | FIRST, nothing there             | {nothing, w} * | +         |
 * | k unknown                            | look: prerequisites; a query for | stays          | stays     |
 * |                                      | the content only                 |                |           |
 * | k != w, room in the list             | UPDATE k -> w                    | + w *          | +         |
 * | list full                            | wait, barrier, then send         | stays          | cleared   |
 * | acknowledged                         | k := after; NOERROR if harmless  | stays          | - it **   |
 * | prerequisite failed, signed          | k unknown                        | stays          | - it **   |
 * | BADTIME, signed                      | correct, send again              | stays          | - it **   |
 * | no answer, unsigned, SERVFAIL        | k unknown                        | stays          | stays     |
 * | never written to the socket          | send again                       | stays          | none      |
 * | look finds a listed value            | k := found                       | stays          | stays     |
 * | look finds another, never accepted   | refuse                           | kept in doubt  | stays     |
 * | look finds another, once accepted    | drift: k := found                | + found        | stays     |
 * | look finds another, to be adopted    | k := found                       | + found        | stays     |
 * | k = w, all harmless                  | NOERROR                          | stays          | stays     |
 * | k = w, not harmless                  | SERVFAIL at the deadline         | stays          | stays     |
 * | barrier behind all                   | settled                          | {w} or none    | cleared   |
 * | name, zone, upstream go              | w empty, else as above           | stays          | stays     |
 * | start                                | k unknown where several values   | as read        | all ***   |
 *
 * *: durable before the message. **: over TCP and directly, else it may have a twin and stays. ***: as of the
 * start. Answers are in plan-answer.c and plan-look.c. */
/* clang-format on */
enum part_need part_need(const struct unit_part *part)
{
        bool row_goes = part->stored && part->n_doubts == 0 &&
                        (part->known == VALUE_OTHER || part_in_sync(part) || part->refused);

        if (part->writing || part->deleting)
                return NEED_WRITE;
        if (part->known == VALUE_UNKNOWN && !part->full)
                return NEED_LOOK;
        if (part->known == VALUE_UNKNOWN || part->known == VALUE_OTHER || part->refused ||
            part_in_sync(part)) {
                if (part->n_doubts > 0)
                        return NEED_BARRIER;
                /* It was there already as it is wanted, and is ours from now on. */
                if (part->accepted && !part->stored && part->known >= 0 &&
                    !rrset_is_empty(&part->values[part->known]))
                        return NEED_ROW;
                return row_goes && (part->changed || part->known < 0 ||
                                    rrset_is_empty(&part->values[part->known]))
                               ? NEED_TRIM
                               : NEED_NOTHING;
        }
        if (part->full)
                return NEED_BARRIER;
        if (part_find_value(part, &part->wanted) < 0 || !row_says_enough(part))
                return NEED_ROW;
        return NEED_SEND;
}

/* --- the row --- */

static void make_key(const struct unit_part *part, struct unit_row *ret)
{
        struct rrset_item item = {};
        uint32_t position = 0;

        *ret = (struct unit_row){
                .zone = part->row_zone ? *part->row_zone : unit_lane(part->unit)->zone,
                .mode = unit_mode(part->unit),
                .owner = unit_owner(part->unit),
                .type = part->type,
        };
        if (rrset_next(&part->rr, &position, &item)) {
                ret->rdata = item.rdata;
                ret->rdata_size = item.length;
        }
}

static uint8_t *write_values(const struct unit_part *part, size_t *ret_size)
{
        uint8_t *octets, *at;
        size_t size = 0;

        assert(part->n_values > 0);
        for (unsigned i = 0; i < part->n_values; i++)
                size += VALUE_HEADER + part->values[i].size;
        at = octets = malloc(size);
        for (unsigned i = 0; octets && i < part->n_values; i++) {
                const struct rrset *value = &part->values[i];

                for (unsigned j = 0; j < VALUE_HEADER; j++)
                        *at++ = (uint8_t) (value->size >> (24 - 8 * j));
                if (value->size > 0)
                        memcpy(at, value->bytes, value->size);
                at += value->size;
        }
        *ret_size = size;
        return octets;
}

static void on_written(struct waiter *waiter, int error)
{
        unit_row_written(container_of(waiter, struct unit_part, write), error);
}

int part_store(struct unit_part *part)
{
        struct plan *plan = part->unit->plan;
        _cleanup_free_ uint8_t *values = NULL;
        struct unit_row row;
        int r;

        make_key(part, &row);
        /* Nothing of ours is there, and nothing is to be. */
        if (part->n_values == 1 && rrset_is_empty(&part->values[0]) && part->n_doubts == 0) {
                part->deleting = true;
                r = plan->ops->delete_row(plan->userdata, part, &row, on_written);
                if (r < 0)
                        part->deleting = false;
                return r;
        }
        part->fudge_sec = MAX(part->fudge_sec, plan->fudge_sec);
        row.values = values = write_values(part, &row.values_size);
        if (!values)
                return -ENOMEM;
        row.flags = (uint32_t) part->fudge_sec << UNIT_ROW_FUDGE_SHIFT |
                    (part->accepted ? UNIT_ROW_ACCEPTED : 0) | (plan->forwarded ? UNIT_ROW_FORWARDED : 0);
        part->stored = part->writing = true;
        part->changed = false;
        r = plan->ops->put_row(plan->userdata, part, &row, on_written);
        if (r < 0) {
                part->writing = false;
                part->changed = true;
        }
        return r;
}

static int read_value(struct unit_part *part, const uint8_t **at, size_t *left)
{
        size_t size;
        int r;

        if (*left < VALUE_HEADER || part->n_values == PART_VALUES_MAX)
                return -EBADMSG;
        size = (size_t) (*at)[0] << 24 | (size_t) (*at)[1] << 16 | (size_t) (*at)[2] << 8 | (*at)[3];
        if (size > *left - VALUE_HEADER)
                return -EBADMSG;
        r = rrset_from_bytes(&part->values[part->n_values], *at + VALUE_HEADER, size);
        if (r < 0)
                return r;
        part->n_values++;
        *at += VALUE_HEADER + size;
        *left -= VALUE_HEADER + size;
        return 0;
}

int part_load(struct unit_part *part, const struct unit_row *row)
{
        const uint8_t *at = row->values;
        size_t left = row->values_size;
        int r;

        part->n_values = 0;
        while (left > 0) {
                r = read_value(part, &at, &left);
                if (r < 0)
                        return r;
        }
        if (part->n_values == 0)
                return -EBADMSG;
        if (!dns_name_equal(&row->zone, &unit_lane(part->unit)->zone)) {
                part->row_zone = malloc(sizeof(*part->row_zone));
                if (!part->row_zone)
                        return -ENOMEM;
                *part->row_zone = row->zone;
        }
        part->stored = true;
        part->accepted = row->flags & UNIT_ROW_ACCEPTED;
        part->unit->plan->forwarded |= (row->flags & UNIT_ROW_FORWARDED) != 0;
        part->fudge_sec = (uint16_t) (row->flags >> UNIT_ROW_FUDGE_SHIFT);
        part->known = part->n_values == 1 ? 0 : VALUE_UNKNOWN;
        if (part->n_values == 1)
                return 0;
        r = part_prepare(part);
        if (r < 0)
                return r;
        part_doubt_start(part);
        return 0;
}
