/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "dns/rdata.h"
#include "registry/update.h"
#include "util/escape.h"

static const struct dialect dialect_nsreg = {
        .name = "nsreg",
        .key_section = DNS_SECTION_ADDITIONAL,
        .drops_addresses = true,
        .key_claims = false, /* it is sent with every request, removals too */
        .refuses_by_txt = true,
        .echoes_removals = true,
};

static const struct dialect dialect_plain = {
        .name = "rfc2136",
        .key_section = DNS_SECTION_AUTHORITY,
        .drops_addresses = false,
        .key_claims = true,
};

void update_clear(struct update *update)
{
        for (unsigned i = 0; i < update->n_prerequisites; i++) {
                free(update->prerequisites[i].key);
                free(update->prerequisites[i].operand.octets);
        }
        for (unsigned i = 0; i < update->n_operations; i++)
                free(update->operations[i].operand.octets);
        free(update->prerequisites);
        free(update->operations);
        *update = (struct update){};
}

static struct record_value operand_value(uint16_t type, const struct address *address,
                                         const struct operand *operand)
{
        if (address->family && operand->below_length == 0)
                return record_value_of_address(address);
        return (struct record_value){
                .type = type,
                .length = operand->length,
                .below_length = operand->below_length,
                .rdata = operand->octets,
                .below = operand->octets ? operand->octets + operand->length : NULL,
        };
}

struct record_value operation_value(const struct operation *operation)
{
        return operand_value(operation->type, &operation->address, &operation->operand);
}

struct record_value prerequisite_value(const struct prerequisite *prerequisite)
{
        return operand_value(prerequisite->type, &prerequisite->address, &prerequisite->operand);
}

static bool malformed(struct decision *decision, const char *text)
{
        return decide(decision, DNS_RCODE_FORMERR, DNS_EDE_NONE, "%s", text);
}

/* Neither a lease nor a TTL: RFC 2181 section 8. */
static bool ttl_is_none(uint32_t ttl_sec, struct decision *decision)
{
        if (ttl_sec <= INT32_MAX)
                return false;
        decide(decision, DNS_RCODE_FORMERR, DNS_EDE_NONE, "a TTL of %u is none: the longest is %d", ttl_sec,
               INT32_MAX);
        return true;
}

static bool no_memory(struct decision *decision)
{
        return decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY, "out of memory; try again later");
}

/* The KEY in the additional section is the mark of the original's dialect; everything else is plain. */
static const struct dialect *find_dialect(const struct dns_message *message)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_ADDITIONAL, &first);

        for (unsigned i = first; i < first + n; i++)
                if (message->rrs[i].type == DNS_TYPE_KEY)
                        return &dialect_nsreg;
        return &dialect_plain;
}

void update_sketch(const struct dns_message *message, struct update *ret)
{
        const struct dialect *dialect = find_dialect(message);

        if (dialect->refuses_by_txt)
                ret->dialect = dialect;
}

static bool is_signers(const struct dns_key *key, const struct update *update)
{
        return key->algorithm == update->algorithm && dns_key_tag(key) == update->key_tag;
}

/* The n-th RR of type KEY in the update section, at the signer's name, as far as it is well-formed: whatever
 * is not is told when the section is read as a whole. NULL: there are no more. */
static const struct dns_rr *next_updated_key(const struct dns_message *message, const struct update *update,
                                             unsigned *position, struct dns_key *ret)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_AUTHORITY, &first);
        struct dns_name owner;

        while (*position < n) {
                const struct dns_rr *rr = &message->rrs[first + (*position)++];

                if (rr->type != DNS_TYPE_KEY || dns_message_owner(message, rr, &owner) < 0 ||
                    !dns_name_equal(&owner, &update->name))
                        continue;
                if (rr->class == DNS_CLASS_ANY ||
                    dns_key_from_rdata(dns_message_rdata(message, rr), rr->rdlength, ret) >= 0)
                        return rr;
        }
        return NULL;
}

static bool deletes_signers_key(const struct dns_message *message, const struct update *update)
{
        const struct dns_rr *rr;
        unsigned position = 0;
        struct dns_key key;

        while ((rr = next_updated_key(message, update, &position, &key)))
                if (rr->class == DNS_CLASS_ANY || (rr->class == DNS_CLASS_NONE && is_signers(&key, update)))
                        return true;
        return false;
}

/* Key roll-over: the old key signs that it goes and that the new one comes. Two at the same time are not
 * kept.
 */
static bool decode_new_key(const struct dns_message *message, const struct update_context *context,
                           struct update *update, struct decision *decision)
{
        const struct dns_rr *rr;
        unsigned position = 0;
        struct dns_key key;

        if (!deletes_signers_key(message, update))
                return true;
        while ((rr = next_updated_key(message, update, &position, &key))) {
                if (rr->class != DNS_CLASS_IN || is_signers(&key, update))
                        continue;
                if (update->has_new_key)
                        return malformed(decision, "more than one new KEY record; send exactly one");
                if (key.protocol != 3)
                        return malformed(decision, "the KEY record's protocol is not 3 (DNSSEC)");
                if (key.algorithm >= 32 || !(context->policy->algorithms & (1U << key.algorithm)))
                        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_NOT_SUPPORTED,
                                      "key algorithm %u is not allowed for this zone; use ECDSAP256SHA256",
                                      key.algorithm);
                if (ttl_is_none(rr->ttl, decision))
                        return false;
                if (rr->ttl == 0 && update->edns.lease_form == 0)
                        return malformed(decision,
                                         "the KEY record's TTL, the key lease, must be more than 0");
                update->has_new_key = true;
                update->new_key = key;
                update->new_key_ttl_sec = rr->ttl;
        }
        return true;
}

static bool decode_key(const struct dns_message *message, struct update *update, struct decision *decision)
{
        unsigned first, n = dns_message_section(message, update->dialect->key_section, &first);
        struct dns_name owner;

        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &message->rrs[i];

                if (rr->type != DNS_TYPE_KEY || rr->class != DNS_CLASS_IN)
                        continue;
                if (update->has_key)
                        return malformed(decision, "more than one KEY record; send exactly one");
                if (dns_message_owner(message, rr, &owner) < 0 ||
                    dns_key_from_rdata(dns_message_rdata(message, rr), rr->rdlength, &update->key) < 0)
                        return malformed(decision, "the KEY record is malformed");
                if (!dns_name_equal(&owner, &update->name))
                        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                      "the KEY record is not at the signer's name");
                if (update->key.protocol != 3)
                        return malformed(decision, "the KEY record's protocol is not 3 (DNSSEC)");
                if (update->has_new_key && dns_key_same(&update->key, &update->new_key))
                        continue;
                if (!is_signers(&update->key, update))
                        return malformed(decision, "the KEY record is not the key of the signature "
                                                   "(algorithm or key tag differ)");
                if (ttl_is_none(rr->ttl, decision))
                        return false;
                if (rr->ttl == 0 && update->edns.lease_form == 0)
                        return malformed(decision,
                                         "the KEY record's TTL, the key lease, must be more than 0");
                update->has_key = true;
                update->key_ttl_sec = rr->ttl;
        }
        return true;
}

/* Number 4: the signature's form, its key, its algorithm. */
static bool decode_signature(const struct dns_message *message, const struct update_context *context,
                             struct update *update, struct decision *decision)
{
        struct dns_sig0 sig;
        int r;

        r = dns_sig0_parse(message, &sig);
        if (r == -ENODATA)
                return malformed(decision, "the update is not signed; sign it with SIG(0)");
        if (r < 0)
                return malformed(decision, "the SIG(0) record is malformed");
        update->name = sig.signer;
        update->algorithm = sig.algorithm;
        update->key_tag = sig.key_tag;
        update->inception = sig.inception;
        update->expiration = sig.expiration;
        r = dns_sig0_hash(message, &sig, update->hash);
        if (r < 0)
                return no_memory(decision);

        if (dns_edns_parse(message, &update->edns) < 0)
                return malformed(decision, "the OPT record's options are malformed");
        update->edns.ede_text = NULL;
        update->edns.ede_text_length = 0;

        if (!decode_new_key(message, context, update, decision) || !decode_key(message, update, decision))
                return false;
        if (update->algorithm >= 32 || !(context->policy->algorithms & (1U << update->algorithm)))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_NOT_SUPPORTED,
                              "key algorithm %u is not allowed for this zone; use ECDSAP256SHA256",
                              update->algorithm);
        return true;
}

static bool check_claimable(const struct update_context *context, const struct update *update,
                            struct decision *decision)
{
        const struct dns_name *zone = &context->policy->zone, *name = &update->name;
        char text[DNS_NAME_FORMAT_MAX], label_text[80];
        const uint8_t *label;
        size_t length;

        if (!dns_name_is_subdomain(name, zone))
                return decide(decision, DNS_RCODE_NOTZONE, DNS_EDE_NONE,
                              "the signer's name is not in the zone");
        if (dns_name_equal(name, zone))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "the zone itself cannot be claimed; claim a name one label below it");
        length = dns_name_first_label(name, &label);
        escape_bytes(label_text, sizeof(label_text), label, length);
        if (dns_name_count_labels(name) != dns_name_count_labels(zone) + 1)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "only names exactly one label below %.120s can be claimed",
                              dns_name_format(zone, text));
        if (!dns_label_is_ldh(label, length))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "name \"%s\" is not a host name: use letters, digits and hyphens, "
                              "no hyphen at either end",
                              label_text);
        if (zone_policy_reserves(context->policy, name, context->server_name))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_BLOCKED,
                              "name \"%s\" is reserved by the server's configuration; choose another name",
                              label_text);
        return true;
}

static bool is_meta_type(uint16_t type)
{
        return type == DNS_TYPE_OPT || (type >= 128 && type <= 255);
}

/* "*" is a label like others on the wire, and none to those who look names up (RFC 4592). */
static bool has_wildcard(const uint8_t *below, size_t length)
{
        for (size_t at = 0; at < length; at += 1U + below[at])
                if (below[at] == 1 && below[at + 1] == '*')
                        return true;
        return false;
}

/* What is below goes behind the data. */
static bool set_below(struct operand *operand, const struct dns_name *owner, size_t length,
                      struct decision *decision)
{
        uint8_t *octets;

        if (length == 0)
                return true;
        octets = realloc(operand->octets, operand->length + length);
        if (!octets)
                return no_memory(decision);
        memcpy(octets + operand->length, owner->wire, length);
        operand->octets = octets;
        operand->below_length = (uint8_t) length;
        return true;
}

/* The owner of an RR of prerequisite or update section: the signer's name, or one below it. */
static bool decode_owner(const struct dns_message *message, const struct dns_rr *rr,
                         const struct update_context *context, const struct update *update,
                         struct operand *operand, struct decision *decision)
{
        struct dns_name owner;
        size_t length;

        if (dns_message_owner(message, rr, &owner) < 0)
                return malformed(decision, "a record's owner name is malformed");
        if (!dns_name_is_subdomain(&owner, &context->policy->zone))
                return decide(decision, DNS_RCODE_NOTZONE, DNS_EDE_NONE, "a record is outside the zone");
        if (!dns_name_is_subdomain(&owner, &update->name) ||
            (rr->type == DNS_TYPE_KEY && !dns_name_equal(&owner, &update->name)))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "every record must be at the signer's own name, or below it");
        length = (size_t) owner.length - update->name.length;
        if (has_wildcard(owner.wire, length))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "a name with a label \"*\" cannot be registered");
        if (dns_name_count_labels(&owner) - dns_name_count_labels(&update->name) > BELOW_LABELS_MAX)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "names more than %d labels below a host cannot be registered",
                              BELOW_LABELS_MAX);
        return set_below(operand, &owner, length, decision);
}

/* The data of a record that is no address. */
static bool decode_rdata(const struct dns_message *message, const struct dns_rr *rr, struct operand *ret,
                         struct decision *decision)
{
        char type[RDATA_TYPE_FORMAT_MAX];
        const char *why;
        int r = rdata_read(message, rr, false, &ret->octets, &ret->length, &why);

        if (r >= 0)
                return true;
        if (r == -ENOMEM)
                return no_memory(decision);
        return decide(decision, DNS_RCODE_FORMERR, DNS_EDE_NONE, "a record of type %s %s",
                      rdata_type_format(rr->type, type), why);
}

static bool decode_prerequisite(const struct dns_message *message, const struct dns_rr *rr,
                                struct prerequisite *ret, struct decision *decision)
{
        ret->type = rr->type;
        if (rr->ttl != 0)
                return malformed(decision, "a prerequisite's TTL must be 0");
        switch (rr->class) {
        case DNS_CLASS_ANY:
        case DNS_CLASS_NONE:
                if (rr->rdlength != 0)
                        return malformed(decision, "a prerequisite of class ANY or NONE has no data");
                if (rr->type == DNS_TYPE_ANY)
                        ret->kind = rr->class == DNS_CLASS_ANY ? PREREQUISITE_NAME_IN_USE
                                                               : PREREQUISITE_NAME_NOT_IN_USE;
                else if (is_meta_type(rr->type))
                        return malformed(decision, "a prerequisite's type is no data type");
                else
                        ret->kind = rr->class == DNS_CLASS_ANY ? PREREQUISITE_RRSET_EXISTS
                                                               : PREREQUISITE_RRSET_ABSENT;
                return true;
        case DNS_CLASS_IN:
                if (is_meta_type(rr->type))
                        return malformed(decision, "a prerequisite's type is no data type");
                ret->kind = PREREQUISITE_RR_EXISTS;
                if (rr->type == DNS_TYPE_KEY) {
                        ret->key = calloc(1, sizeof(*ret->key));
                        if (!ret->key)
                                return no_memory(decision);
                        if (dns_key_from_rdata(dns_message_rdata(message, rr), rr->rdlength, ret->key) < 0)
                                return malformed(decision, "a prerequisite's KEY is malformed");
                } else if (rr->type == DNS_TYPE_A || rr->type == DNS_TYPE_AAAA) {
                        if (dns_rr_address(message, rr, &ret->address) < 0)
                                return malformed(decision, "a prerequisite's address is malformed");
                } else if (rdata_type_to_string(rr->type))
                        return decode_rdata(message, rr, &ret->operand, decision);
                return true;
        default:
                return malformed(decision, "a prerequisite's class is wrong");
        }
}

static bool decode_prerequisites(const struct dns_message *message, const struct update_context *context,
                                 struct update *update, struct decision *decision)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_ANSWER, &first);

        if (n == 0)
                return true;
        update->prerequisites = calloc(n, sizeof(*update->prerequisites));
        if (!update->prerequisites)
                return no_memory(decision);
        for (unsigned i = 0; i < n; i++) {
                const struct dns_rr *rr = &message->rrs[first + i];

                update->n_prerequisites = i + 1;
                if (!decode_prerequisite(message, rr, &update->prerequisites[i], decision) ||
                    !decode_owner(message, rr, context, update, &update->prerequisites[i].operand, decision))
                        return false;
        }
        return true;
}

/* RFC 2136 section 3.4.1: what class, type, TTL and RDLENGTH of an update RR may be together. */
static bool decode_operation(const struct dns_message *message, const struct dns_rr *rr,
                             const struct update *update, struct operation *ret, struct decision *decision)
{
        bool is_address = rr->type == DNS_TYPE_A || rr->type == DNS_TYPE_AAAA;
        char type[RDATA_TYPE_FORMAT_MAX];
        struct dns_key key;

        *ret = (struct operation){ .type = rr->type, .ttl_sec = rr->ttl };

        if (rr->class != DNS_CLASS_IN && rr->class != DNS_CLASS_NONE && rr->class != DNS_CLASS_ANY)
                return malformed(decision, "an update record's class is wrong");
        if (rr->class != DNS_CLASS_IN && rr->ttl != 0)
                return malformed(decision, "a deletion's TTL must be 0");
        if (rr->class == DNS_CLASS_ANY && rr->rdlength != 0)
                return malformed(decision, "a deletion of class ANY has no data");
        if (is_meta_type(rr->type) && !(rr->class == DNS_CLASS_ANY && rr->type == DNS_TYPE_ANY))
                return malformed(decision, "an update record's type is no data type");
        if (!is_address && rr->type != DNS_TYPE_KEY && rr->type != DNS_TYPE_ANY &&
            record_type_bit(rr->type) == 0)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_NOT_SUPPORTED,
                              "records of type %s are never accepted", rdata_type_format(rr->type, type));

        if (rr->class == DNS_CLASS_ANY) {
                ret->kind = rr->type == DNS_TYPE_ANY   ? OPERATION_DELETE_ALL
                            : rr->type == DNS_TYPE_KEY ? OPERATION_KEY_DELETE
                                                       : OPERATION_DELETE_RRSET;
                return true;
        }

        if (rr->type != DNS_TYPE_KEY) {
                if (is_address && dns_rr_address(message, rr, &ret->address) < 0)
                        return malformed(decision, "an address record is malformed");
                if (!is_address && !decode_rdata(message, rr, &ret->operand, decision))
                        return false;
                ret->kind = rr->class == DNS_CLASS_IN ? OPERATION_ADD : OPERATION_DELETE_RR;
                if (rr->class == DNS_CLASS_IN && ttl_is_none(rr->ttl, decision))
                        return false;
                if (rr->class == DNS_CLASS_IN && rr->ttl == 0 && update->edns.lease_form == 0)
                        return malformed(decision,
                                         is_address
                                                 ? "an address record's TTL, its lease, must be more than 0"
                                                 : "a record's TTL, its lease, must be more than 0");
                return true;
        }

        if (dns_key_from_rdata(dns_message_rdata(message, rr), rr->rdlength, &key) < 0)
                return malformed(decision, "the KEY record is malformed");
        if (rr->class == DNS_CLASS_IN) {
                if (!(update->has_key && dns_key_same(&key, &update->key)) &&
                    !(update->has_new_key && dns_key_same(&key, &update->new_key)))
                        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                                      "only the signing key itself can be added");
                ret->kind = OPERATION_KEY_ADD;
                return true;
        }
        /* Deleting a key that is not the signer's deletes nothing, as any deletion of what is not there. */
        if (!is_signers(&key, update)) {
                ret->kind = OPERATION_DELETE_RR;
                return true;
        }
        ret->kind = OPERATION_KEY_DELETE;
        return true;
}

static bool judge_addition(const struct update_context *context, struct update *update,
                           struct operation *operation, struct decision *decision)
{
        char text[ADDRESS_FORMAT_MAX], type[RDATA_TYPE_FORMAT_MAX];
        struct record_value value = operation_value(operation);
        enum address_verdict verdict;

        if (!zone_policy_takes(context->policy, operation->type, value.below, value.below_length))
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_NOT_SUPPORTED,
                              "records of type %s are not accepted at %s",
                              rdata_type_format(operation->type, type),
                              value.below_length == 0 ? "host names of this zone (record-types)"
                                                      : "this name below a host (names-below-host)");
        if (!operation->address.family)
                return true;
        verdict = zone_policy_judge_address(context->policy, &operation->address);
        if (verdict == ADDRESS_ACCEPTED)
                return true;
        if (update->dialect->drops_addresses) {
                operation->filtered = true;
                operation->never = verdict == ADDRESS_NEVER;
                update->n_filtered++;
                return true;
        }
        return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED, "address %s is %s",
                      address_format(&operation->address, text),
                      address_verdict_text(verdict, &operation->address));
}

static bool decode_operations(const struct dns_message *message, const struct update_context *context,
                              struct update *update, struct decision *decision)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_AUTHORITY, &first);
        const struct operation *never = NULL;
        char text[ADDRESS_FORMAT_MAX];

        if (n > 0) {
                update->operations = calloc(n, sizeof(*update->operations));
                if (!update->operations)
                        return no_memory(decision);
        }
        for (unsigned i = 0; i < n; i++) {
                const struct dns_rr *rr = &message->rrs[first + i];
                struct operation *operation = &update->operations[i];

                update->n_operations = i + 1;
                if (!decode_operation(message, rr, update, operation, decision) ||
                    !decode_owner(message, rr, context, update, &operation->operand, decision))
                        return false;
                if (operation->kind != OPERATION_ADD)
                        continue;
                update->n_additions++;
                if (!judge_addition(context, update, operation, decision))
                        return false;
                if (operation->never)
                        never = operation;
        }
        if (never && update->n_filtered == update->n_additions)
                return decide(decision, DNS_RCODE_REFUSED, DNS_EDE_PROHIBITED,
                              "none of the addresses can be registered: %s is %s",
                              address_format(&never->address, text),
                              address_verdict_text(ADDRESS_NEVER, &never->address));
        return true;
}

/* Number 6. Serial number arithmetic of RFC 1982, as the 32-bit times wrap in 2106. */
static bool check_time(const struct update_context *context, const struct update *update,
                       struct decision *decision)
{
        uint32_t now = (uint32_t) (context->real_usec / USEC_PER_SEC);
        int32_t early = (int32_t) (update->inception - now), late = (int32_t) (now - update->expiration);
        int32_t span = (int32_t) (update->expiration - update->inception);

        if (span < 0 || span > UPDATE_SIGNATURE_SPAN_SEC)
                return decide(decision, DNS_RCODE_NOTAUTH,
                              span < 0 ? DNS_EDE_SIGNATURE_EXPIRED : DNS_EDE_SIGNATURE_NOT_YET_VALID,
                              "the signature's validity of %d s is not between 0 and %d s", span,
                              UPDATE_SIGNATURE_SPAN_SEC);
        if (early <= 0 && late <= 0)
                return true;
        if (!context->clock_synchronized)
                return decide(decision, DNS_RCODE_SERVFAIL, DNS_EDE_NOT_READY,
                              "this server's clock is not synchronized yet; try again later");
        if (early > 0)
                return decide(decision, DNS_RCODE_NOTAUTH, DNS_EDE_SIGNATURE_NOT_YET_VALID,
                              "the signature becomes valid in %d s; check this machine's clock", early);
        return decide(decision, DNS_RCODE_NOTAUTH, DNS_EDE_SIGNATURE_EXPIRED,
                      "the signature expired %d s ago; check this machine's clock", late);
}

bool update_decode(const struct dns_message *message, const struct update_context *context,
                   struct update *ret, struct decision *decision)
{
        struct update update = { .dialect = find_dialect(message), .source = context->source };

        if (!decode_signature(message, context, &update, decision) ||
            !check_claimable(context, &update, decision) ||
            !decode_prerequisites(message, context, &update, decision) ||
            !decode_operations(message, context, &update, decision) ||
            !check_time(context, &update, decision)) {
                /* What the answer needs. */
                struct update rest = { .dialect = update.dialect,
                                       .name = update.name,
                                       .source = update.source,
                                       .edns = update.edns };

                update_clear(&update);
                *ret = rest;
                return false;
        }
        *ret = update;
        return true;
}
