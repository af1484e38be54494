/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/update-pass.h"

#include "dns/protocol.h"
#include "nsregc/update.h"
#include "util/macro.h"

#define RR_FIXED       10 /* type, class, TTL, length of the RDATA */
#define RRSET_DELETES  2  /* A and AAAA */
#define SIG_FIXED      18
#define SIGNATURE_MAX  128
#define EDNS_BYTES_MAX 64

struct update_room update_room(const struct dns_name *zone, const struct dns_name *name,
                               const struct dns_key *key, size_t rrs)
{
        size_t rest = DNS_HEADER_SIZE + zone->length + 4u + name->length + RR_FIXED + 4u + key->length +
                      EDNS_BYTES_MAX + 1u + RR_FIXED + SIG_FIXED + name->length + SIGNATURE_MAX;

        return (struct update_room){ MAX(rrs, RRSET_DELETES + 1u), UPDATE_SIZE_MAX - rest };
}

void update_pass_clear(struct update_pass *pass)
{
        address_set_clear(&pass->removals);
        address_set_clear(&pass->additions);
        pass->by_rrset = false;
}

static size_t rr_bytes(const struct dns_name *name, const struct address *address)
{
        return name->length + (size_t) RR_FIXED + address_size(address);
}

static bool fits(const struct address_set *set, const struct update_room *room, const struct dns_name *name)
{
        size_t bytes = 0;

        for (size_t i = 0; i < set->n_items; i++)
                bytes += rr_bytes(name, &set->items[i].address);
        return set->n_items <= room->rrs && bytes <= room->bytes;
}

int update_pass_begin(struct update_pass *pass, const struct address_set *there,
                      const struct address_set *target, bool knows_rrset, bool replace,
                      const struct update_room *room, const struct dns_name *name)
{
        int r;

        update_pass_clear(pass);
        r = address_set_copy(target, &pass->additions);
        for (size_t i = 0; i < there->n_items && r >= 0; i++)
                if (!address_set_contains(target, &there->items[i].address))
                        r = address_set_add(&pass->removals, &there->items[i].address, USEC_INFINITY);
        if (r < 0) {
                update_pass_clear(pass);
                return r;
        }
        pass->by_rrset = knows_rrset && (replace || !fits(&pass->removals, room, name));
        if (pass->by_rrset)
                address_set_clear(&pass->removals);
        return 0;
}

bool update_pass_is_done(const struct update_pass *pass)
{
        return !pass->by_rrset && pass->removals.n_items == 0 && pass->additions.n_items == 0;
}

/* Moves the first ones. */
static int take(struct address_set *from, struct address_set *to, struct update_room *room,
                const struct dns_name *name)
{
        size_t n = 0;
        int r = 0;

        while (n < from->n_items && room->rrs > 0 && r >= 0) {
                const struct usable_address *item = &from->items[n];
                size_t bytes = rr_bytes(name, &item->address);

                if (bytes > room->bytes)
                        break;
                r = address_set_add_ranked(to, &item->address, item->valid_until_usec, item->rank);
                room->bytes -= bytes;
                room->rrs--;
                n++;
        }
        if (n > 0)
                memmove(from->items, from->items + n, (from->n_items - n) * sizeof(*from->items));
        from->n_items -= n;
        return r;
}

int update_pass_next(struct update_pass *pass, const struct update_room *room, const struct dns_name *name,
                     struct address_set *removals, struct address_set *additions, bool *by_rrset)
{
        struct update_room left = *room;
        int r;

        address_set_clear(removals);
        address_set_clear(additions);
        *by_rrset = pass->by_rrset;
        if (pass->by_rrset) {
                left.rrs -= RRSET_DELETES;
                left.bytes -= RRSET_DELETES * (name->length + (size_t) RR_FIXED);
                pass->by_rrset = false;
        }
        r = take(&pass->removals, removals, &left, name);
        return r < 0 ? r : take(&pass->additions, additions, &left, name);
}
