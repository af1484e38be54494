/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/update.h"

#include <inttypes.h>
#include <stdio.h>

#include "dns/edns.h"
#include "dns/message.h"
#include "dns/sig0.h"
#include "util/escape.h"
#include "util/macro.h"

static uint32_t address_ttl_sec(const struct update *update, const struct usable_address *address)
{
        usec_t left = usec_sub(address->valid_until_usec, update->now_boottime_usec);

        if (address->valid_until_usec == USEC_INFINITY || left / USEC_PER_SEC >= update->addr_ttl_sec)
                return update->addr_ttl_sec;
        /* TTL 0 would be a removal. */
        return MAX((uint32_t) (left / USEC_PER_SEC), 1u);
}

/* What does not fit under its name cannot be registered: it was looked at when it was configured. */
static void write_extra(struct dns_builder *builder, const struct update *update,
                        const struct extra_record_list *list, uint16_t class, uint32_t ttl)
{
        for (size_t i = 0; list && i < list->n_items; i++) {
                const struct extra_record *record = &list->items[i];
                struct dns_name owner;

                if (dns_name_concat(&record->below, update->name, &owner) >= 0)
                        dns_builder_rr(builder, DNS_SECTION_AUTHORITY, &owner, record->type, class, ttl,
                                       record->rdata, record->length);
        }
}

static void write_key(struct dns_builder *builder, const struct update *update, const struct dns_key *key,
                      uint16_t class, uint32_t ttl)
{
        uint8_t rdata[4 + DNS_KEY_PUBLIC_MAX];
        struct dns_key plain = *key;
        size_t length;

        plain.flags = 0;
        length = dns_key_to_rdata(&plain, rdata, sizeof(rdata));
        dns_builder_rr(builder, DNS_SECTION_AUTHORITY, update->name, DNS_TYPE_KEY, class, ttl, rdata, length);
}

static void write_update_section(struct dns_builder *builder, const struct update *update,
                                 uint32_t *ret_lease)
{
        uint32_t lease = update->addr_ttl_sec;

        if (update->kind == UPDATE_ROLL) {
                write_key(builder, update, &update->pair->key, DNS_CLASS_NONE, 0);
                write_key(builder, update, update->new_key, DNS_CLASS_IN, update->key_ttl_sec);
                *ret_lease = lease;
                return;
        }
        write_extra(builder, update, update->extra_removals, DNS_CLASS_NONE, 0);
        if (update->kind == UPDATE_RECORDS) {
                write_extra(builder, update, update->extra, DNS_CLASS_IN, update->addr_ttl_sec);
                *ret_lease = lease;
                return;
        }
        if (update->by_rrset) {
                dns_builder_rr(builder, DNS_SECTION_AUTHORITY, update->name, DNS_TYPE_A, DNS_CLASS_ANY, 0,
                               NULL, 0);
                dns_builder_rr(builder, DNS_SECTION_AUTHORITY, update->name, DNS_TYPE_AAAA, DNS_CLASS_ANY, 0,
                               NULL, 0);
        } else
                for (size_t i = 0; i < update->removals->n_items; i++)
                        dns_builder_address(builder, DNS_SECTION_AUTHORITY, update->name, DNS_CLASS_NONE, 0,
                                            &update->removals->items[i].address);

        for (size_t i = 0; update->kind == UPDATE_SET && i < update->addresses->n_items; i++) {
                const struct usable_address *address = &update->addresses->items[i];
                uint32_t ttl = address_ttl_sec(update, address);

                dns_builder_address(builder, DNS_SECTION_AUTHORITY, update->name, DNS_CLASS_IN, ttl,
                                    &address->address);
                lease = MIN(lease, ttl);
        }
        /* 0 would take away the whole of the name's records, those of another program with this key too. */
        *ret_lease = update->kind == UPDATE_RELEASE ? 0 : lease;
}

ssize_t update_build(const struct update *update, uint8_t buffer[static UPDATE_SIZE_MAX])
{
        struct dns_builder builder;
        struct dns_edns edns = { .present = true, .udp_size = DNS_UDP_MAX, .lease_form = 8, .ede_code = -1 };
        uint8_t rdata[4 + DNS_KEY_PUBLIC_MAX];
        struct dns_key key = update->pair->key;
        size_t length;
        ssize_t size;
        int r;

        dns_builder_begin(&builder, buffer, UPDATE_SIZE_MAX, update->id, DNS_OPCODE_UPDATE << 11);
        /* The original daemon packs the message anew before it verifies it, and does not compress. */
        builder.plain = true;
        dns_builder_question(&builder, update->zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        write_update_section(&builder, update, &edns.lease_sec);
        edns.key_lease_sec = update->kind == UPDATE_RELEASE ? 0 : update->key_ttl_sec;

        /* RFC 3445: no flags. The owner's key comes along every time, as the original daemon wants it. */
        key.flags = 0;
        length = dns_key_to_rdata(&key, rdata, sizeof(rdata));
        if (length == 0)
                return -EMSGSIZE;
        dns_builder_rr(&builder, DNS_SECTION_ADDITIONAL, update->name, DNS_TYPE_KEY, DNS_CLASS_IN,
                       update->key_ttl_sec, rdata, length);
        dns_edns_write(&builder, &edns, 0);

        size = dns_builder_end(&builder);
        if (size < 0)
                return size;
        r = dns_sig0_sign(&builder, update->pair, update->name, update->now_sec - UPDATE_VALIDITY_SEC,
                          update->now_sec + UPDATE_VALIDITY_SEC);
        if (r < 0)
                return r;
        return dns_builder_end(&builder);
}

/* The original's refusals are one TXT RR, the first of additional; newer servers add an EDE. */
static void read_text(const struct dns_message *message, const struct dns_edns *edns,
                      struct update_answer *ret)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_ADDITIONAL, &first);

        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &message->rrs[i];
                const uint8_t *rdata = dns_message_rdata(message, rr);

                if (rr->type != DNS_TYPE_TXT || rr->rdlength < 2 || rdata[0] >= rr->rdlength)
                        continue;
                escape_bytes(ret->text, sizeof(ret->text), rdata + 1, rdata[0]);
                return;
        }
        if (edns->ede_code >= 0 && edns->ede_text_length > 0)
                escape_bytes(ret->text, sizeof(ret->text), edns->ede_text, edns->ede_text_length);
}

static int read_echo(const struct dns_message *message, const struct dns_name *name,
                     struct update_answer *ret)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_ANSWER, &first);

        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &message->rrs[i];
                struct dns_name owner;
                struct address address;
                int r;

                if (rr->class != DNS_CLASS_IN || rr->ttl == 0 || dns_message_owner(message, rr, &owner) < 0 ||
                    !dns_name_equal(&owner, name) || dns_rr_address(message, rr, &address) < 0)
                        continue;
                r = address_set_add(&ret->granted, &address, USEC_INFINITY);
                if (r < 0)
                        return r;
                ret->lease_sec = ret->lease_sec == 0 ? rr->ttl : MIN(ret->lease_sec, rr->ttl);
        }
        return 0;
}

static enum verdict judge(unsigned rcode, int ede)
{
        switch (rcode) {
        case DNS_RCODE_NOERROR:
                return VERDICT_GRANTED;
        case DNS_RCODE_SERVFAIL:
                return VERDICT_LATER;
        case DNS_RCODE_FORMERR:
        case DNS_RCODE_NOTIMP:
        case DNS_RCODE_BADVERS:
                return VERDICT_FORM;
        case DNS_RCODE_NOTAUTH:
                if (ede == DNS_EDE_SIGNATURE_EXPIRED || ede == DNS_EDE_SIGNATURE_NOT_YET_VALID)
                        return VERDICT_CLOCK;
                return VERDICT_REFUSED;
        default:
                return VERDICT_REFUSED;
        }
}

int update_answer_read(const uint8_t *bytes, size_t size, const struct dns_name *name,
                       struct update_answer *ret)
{
        struct dns_message message;
        struct dns_edns edns = { .ede_code = -1 };
        int r;

        *ret = (struct update_answer){ .ede = -1 };
        r = dns_message_walk(bytes, size, NULL, &message, NULL);
        if (r < 0)
                return -EBADMSG;
        r = dns_edns_parse(&message, &edns);
        if (r < 0)
                return -EBADMSG;
        r = read_echo(&message, name, ret);
        if (r < 0) {
                update_answer_clear(ret);
                return r;
        }
        ret->rcode = dns_message_rcode(&message);
        ret->ede = edns.present ? edns.ede_code : -1;
        ret->verdict = judge(ret->rcode, ret->ede);
        if (edns.present && edns.lease_form > 0) {
                ret->knows_lease = true;
                if (edns.lease_sec > 0)
                        ret->lease_sec = ret->lease_sec == 0 ? edns.lease_sec
                                                             : MIN(ret->lease_sec, edns.lease_sec);
        }
        read_text(&message, &edns, ret);
        return 0;
}

bool update_answer_is_foreign(const struct update_answer *answer)
{
        /* Neither daemon has a code of its own for it, and the original none at all. */
        return answer->rcode == DNS_RCODE_REFUSED && strstr(answer->text, "owned by another key");
}

bool update_answer_has_twin(const struct update_answer *answer)
{
        return answer->rcode == DNS_RCODE_NOERROR &&
               strstr(answer->text, "changes this name with the same key");
}

uint32_t update_answer_limit(const struct update_answer *answer)
{
        static const char words[] = "a name may have ";
        const char *found = strstr(answer->text, words);
        uint32_t limit;

        return found && sscanf(found + strlen(words), "%" SCNu32, &limit) == 1 ? limit : 0;
}

void update_answer_clear(struct update_answer *answer)
{
        address_set_clear(&answer->granted);
}
