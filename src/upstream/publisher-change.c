/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "upstream/publisher-internal.h"

/* At the daemon's end nothing is wanted where records are not kept. */
static bool is_withdrawn(const struct upstream *upstream)
{
        return upstream && upstream->publisher->withdrawing && !upstream->config->keep_records;
}

/* Unbound reads a line of 2048 octets, and shows an octet in up to four. */
#define UNBOUND_RDATA_MAX 256

static bool takes_record(const struct upstream_config *config, const struct record_value *value,
                         const struct address *address)
{
        if (address->family)
                return !prefix_list_contains(&config->exclude_nets, address);
        if (config->type == UPSTREAM_UNBOUND && value->length > UNBOUND_RDATA_MAX)
                return false;
        return config->record_types & record_type_bit(value->type);
}

int forward_set(const struct attachment *attachment, const struct name_state *state,
                const struct record_value *name, struct rrset *ret)
{
        int r;

        *ret = (struct rrset){};
        if (!attachment || is_withdrawn(attachment->upstream))
                return 0;
        for (unsigned i = 0; state && i < state->n_records; i++) {
                struct record_value value = record_value(&state->records[i]);
                struct address address = record_address(&state->records[i]);

                if (!record_is_beside(&value, name))
                        continue;
                if (!takes_record(attachment->config, &value, &address))
                        continue;
                r = rrset_add(ret, value.type, value.rdata, value.length);
                if (r < 0) {
                        rrset_clear(ret);
                        return r;
                }
        }
        return 0;
}

int find_lane(const struct upstream *upstream, enum unit_mode mode, const struct dns_name *zone)
{
        for (unsigned i = 0; i < upstream->plan->n_lanes; i++)
                if (upstream->plan->lanes[i].mode == mode &&
                    dns_name_equal(&upstream->plan->lanes[i].zone, zone))
                        return (int) i;
        return -1;
}

/* A name that is not in the zone that its upstream is configured with is the configuration's mistake: the
 * server will say so. */
int forward_lane(const struct attachment *attachment, const struct registry_zone *zone)
{
        const struct upstream_config *config = attachment->config;

        return attachment->upstream
                       ? find_lane(attachment->upstream, UNIT_EXCLUSIVE,
                                   config->type == UPSTREAM_UNBOUND ? &zone->policy->zone : &config->zone)
                       : -1;
}

static bool has_lane(const struct upstream *upstream, unsigned lane, enum lane_choice choice)
{
        switch (choice) {
        case LANE_CONFIGURED:
                return upstream->serials[lane].configured;
        case LANE_CONFIGURED_BEFORE:
                return upstream->serials[lane].configured_before;
        case LANE_ANY:
                return true;
        }
        assert(false);
}

int reverse_lane(const struct upstream *upstream, const struct dns_name *owner, enum lane_choice choice)
{
        int best = -1;

        for (unsigned i = 0; i < upstream->plan->n_lanes; i++) {
                const struct plan_lane *lane = &upstream->plan->lanes[i];

                if (lane->mode == UNIT_SHARED && has_lane(upstream, i, choice) &&
                    dns_name_is_subdomain(owner, &lane->zone) &&
                    (best < 0 || lane->zone.length > upstream->plan->lanes[best].zone.length))
                        best = (int) i;
        }
        return best;
}

const struct attachment *find_attachment(const struct attachment *attachments,
                                         const struct upstream *upstream)
{
        for (; attachments; attachments = attachments->next)
                if (attachments->upstream == upstream)
                        return attachments;
        return NULL;
}

/* What an upstream should have at an address whose PTR a name of this zone was granted. */
int ptr_set(const struct attachment *attachment, const struct dns_name *target, const struct address *address,
            struct rrset *ret)
{
        struct dns_name owner = dns_name_reverse(address);
        bool has_zone = false;

        *ret = (struct rrset){};
        if (!attachment || is_withdrawn(attachment->upstream) ||
            prefix_list_contains(&attachment->config->exclude_nets, address))
                return 0;
        for (size_t i = 0; i < attachment->config->reverse_zones.n_items && !has_zone; i++)
                has_zone = dns_name_is_subdomain(&owner, &attachment->config->reverse_zones.items[i]);
        return has_zone ? rrset_add_name(ret, DNS_TYPE_PTR, target) : 0;
}

static const struct attachment *zone_attachment(const struct registry_zone *zone,
                                                const struct upstream *upstream)
{
        return zone ? find_attachment(zone->userdata, upstream) : NULL;
}

static int change_ptr(struct upstream *upstream, const struct ptr_change *change)
{
        struct dns_name owner = dns_name_reverse(&change->address);
        int r, lane = reverse_lane(upstream, &owner, LANE_CONFIGURED);
        struct rrset before, wanted;

        if (lane < 0)
                return 0;
        r = ptr_set(zone_attachment(change->zone_before, upstream), &change->before, &change->address,
                    &before);
        if (r < 0)
                return r;
        r = ptr_set(zone_attachment(change->zone_after, upstream), &change->after, &change->address, &wanted);
        if (r >= 0)
                r = plan_change(upstream->plan, (unsigned) lane, &owner, &before, &wanted);
        rrset_clear(&before);
        rrset_clear(&wanted);
        return r;
}

static int change_forward(const struct attachment *attachment, const struct registry_zone *zone,
                          const struct dns_name *host, const struct record_value *name,
                          const struct name_state *before, const struct name_state *after)
{
        int r, lane = forward_lane(attachment, zone);
        struct rrset old = {}, wanted = {};
        struct dns_name owner;

        if (lane < 0)
                return 0;
        r = record_owner(host, name, &owner);
        if (r >= 0)
                r = forward_set(attachment, before, name, &old);
        if (r >= 0)
                r = forward_set(attachment, after, name, &wanted);
        if (r >= 0)
                r = plan_change(attachment->upstream->plan, (unsigned) lane, &owner, &old, &wanted);
        rrset_clear(&old);
        rrset_clear(&wanted);
        return r;
}

/* All names of a registration, those that it had and those that it has. */
static int change_names(const struct attachment *attachment, const struct registry_zone *zone,
                        const struct dns_name *host, const struct name_state *before,
                        const struct name_state *after)
{
        struct record_value name;
        unsigned position = 0;
        int r = 0;

        while (r >= 0 && before && name_state_next_name(before, &position, &name))
                r = change_forward(attachment, zone, host, &name, before, after);
        position = before ? 1 : 0;
        while (r >= 0 && after && name_state_next_name(after, &position, &name))
                if (!before || !name_state_has_name(before, &name))
                        r = change_forward(attachment, zone, host, &name, before, after);
        return r;
}

int publisher_change(struct publisher *publisher, struct registry_zone *zone, const struct dns_name *name,
                     const struct name_state *before, const struct name_state *after,
                     const struct effects *effects)
{
        struct upstream *upstream;
        int r;

        for (const struct attachment *attachment = zone->userdata; attachment;
             attachment = attachment->next) {
                r = change_names(attachment, zone, name, before, after);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < effects->n_ptrs; i++)
                LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                        r = change_ptr(upstream, &effects->ptrs[i]);
                        if (r < 0)
                                return r;
                }
        publisher_pump(publisher);
        return 0;
}

static int withdraw_forward(const struct attachment *attachment, const struct name_entry *entry,
                            const struct dns_name *host)
{
        int r = 0, lane = forward_lane(attachment, entry->zone);
        const struct rrset nothing = {};
        struct record_value name;
        unsigned position = 0;

        while (r >= 0 && lane >= 0 && name_state_next_name(entry->state, &position, &name)) {
                struct dns_name owner;
                struct rrset before;

                r = record_owner(host, &name, &owner);
                if (r < 0 || forward_set(attachment, entry->state, &name, &before) < 0)
                        continue;
                r = plan_change(attachment->upstream->plan, (unsigned) lane, &owner, &before, &nothing);
                rrset_clear(&before);
        }
        return r;
}

int withdraw_name(struct publisher *publisher, const struct name_entry *entry)
{
        struct dns_name name = name_entry_name(entry);
        const struct rrset nothing = {};
        struct upstream *upstream;
        struct rrset before;
        int lane, r = 0;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                const struct attachment *attachment = find_attachment(entry->zone->userdata, upstream);

                if (!attachment || upstream->config->keep_records)
                        continue;
                r = withdraw_forward(attachment, entry, &name);
                for (unsigned i = 0; i < entry->state->n_records && r >= 0; i++) {
                        struct address address = record_address(&entry->state->records[i]);
                        struct dns_name owner;

                        if (!address.family)
                                continue;
                        owner = dns_name_reverse(&address);
                        lane = reverse_lane(upstream, &owner, LANE_CONFIGURED);
                        if (lane < 0 || registry_ptr_owner(publisher->registry, &address) != entry ||
                            ptr_set(attachment, &name, &address, &before) < 0)
                                continue;
                        r = plan_change(upstream->plan, (unsigned) lane, &owner, &before, &nothing);
                        rrset_clear(&before);
                }
        }
        return r;
}

/* Records belong to a name: its own, or the one that a PTR leads to. */
static bool record_name(const struct unit *unit, const struct rrset *records, struct dns_name *ret)
{
        struct rrset_item item;
        uint32_t position = 0;

        if (unit_mode(unit) == UNIT_EXCLUSIVE) {
                *ret = unit_owner(unit);
                return true;
        }
        return rrset_next(records, &position, &item) && dns_name_from_wire(item.rdata, item.length, ret) >= 0;
}

uint32_t upstream_record_ttl(const struct upstream *upstream, const struct unit *unit,
                             const struct rrset *records)
{
        const struct attachment *attachment = NULL;
        struct dns_name name;

        if (record_name(unit, records, &name)) {
                const struct registry_zone *zone = registry_find_zone_of(upstream->publisher->registry,
                                                                         &name);

                attachment = zone ? find_attachment(zone->userdata, upstream) : NULL;
        }
        return attachment ? attachment->config->record_ttl_sec : upstream->config->record_ttl_sec;
}

/* --- start --- */

void publisher_load_begin(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                plan_load_begin(upstream->plan);
}

/* The lane of a row: of its zone, whether that is configured or not. Negative: none, or -ENOMEM. */
static int row_lane(struct upstream *upstream, const struct unit_row *row)
{
        int r, lane = find_lane(upstream, row->mode, &row->zone);

        if (lane >= 0)
                return lane;
        /* Zones were put together or divided since. */
        if (row->mode == UNIT_SHARED) {
                lane = reverse_lane(upstream, &row->owner, LANE_CONFIGURED);
                return lane >= 0 ? lane : reverse_lane(upstream, &row->owner, LANE_ANY);
        }
        /* Of a zone that is configured no more: in a lane of its own, where it is found should the zone come
         * back. */
        r = upstream_add_lane(upstream, UNIT_EXCLUSIVE, &row->zone);
        return r < 0 ? r : find_lane(upstream, UNIT_EXCLUSIVE, &row->zone);
}

int publisher_load_row(struct publisher *publisher, const struct unit_row *row)
{
        struct upstream *upstream = publisher_find(publisher, row->upstream);
        int lane;

        /* What cannot be reached any more keeps its rows. */
        if (!upstream)
                return 0;
        lane = row_lane(upstream, row);
        if (lane < 0)
                return lane == -ENOMEM ? lane : 0;
        return plan_load(upstream->plan, (unsigned) lane, row);
}

int publisher_load_name(struct publisher *publisher, const struct registry *registry,
                        struct name_entry *entry)
{
        struct upstream *upstream;
        struct dns_name name;
        int r;

        if (LIST_EMPTY(&publisher->upstreams))
                return 0;
        name = name_entry_name(entry);
        for (const struct attachment *attachment = entry->zone->userdata; attachment;
             attachment = attachment->next) {
                r = change_names(attachment, entry->zone, &name, NULL, entry->state);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < entry->state->n_records; i++) {
                struct address address = record_address(&entry->state->records[i]);
                struct ptr_change change = { .address = address, .zone_after = entry->zone, .after = name };

                if (!address.family || entry->state->records[i].right == POINTER_NONE ||
                    registry_ptr_owner(registry, &address) != entry)
                        continue;
                LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                        r = change_ptr(upstream, &change);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

void publisher_load_done(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                plan_load_done(upstream->plan, upstream_now());
                /* Rows say what was acknowledged; what was sent behind that, or done by somebody else while
                 * the daemon was away, is found by looking. */
                (void) sweep_start(upstream, upstream->republish);
        }
        publisher_pump(publisher);
}
