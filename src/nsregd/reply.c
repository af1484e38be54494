/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "nsregd/reply.h"

#define SHORT_ANSWERS_PER_SECOND 10
#define GRANTED_TEXT_MAX         400

static void begin(struct dns_builder *builder, const struct dns_message *request, enum dns_rcode rcode,
                  uint8_t *buffer, size_t size)
{
        uint16_t flags = (uint16_t) (DNS_FLAG_QR | (request->flags & 0x7800) | (rcode & 0xf));

        dns_builder_begin(builder, buffer, size, request->id, flags);
        /* The question of a message that was refused unread is not repeated. */
        if (request->question_name.length > 0 && request->question_type != 0)
                dns_builder_question(builder, &request->question_name, request->question_type,
                                     request->question_class);
}

static void write_text(struct dns_builder *builder, const struct dns_name *owner, uint16_t class,
                       const char *text)
{
        size_t length = MIN(strlen(text), 255U);

        dns_builder_rr_begin(builder, DNS_SECTION_ADDITIONAL, owner, DNS_TYPE_TXT, class, 0);
        wire_write_u8(&builder->writer, (uint8_t) length);
        wire_write_bytes(&builder->writer, text, length);
        dns_builder_rr_end(builder);
}

ssize_t reply_refusal(const struct dns_message *request, const struct update *update,
                      const struct decision *decision, uint8_t *buffer, size_t size)
{
        static const struct dns_name root = { .length = 1 };
        const struct dialect *dialect = update ? update->dialect : NULL;
        struct dns_edns parsed = {}, answer = {};
        const struct dns_edns *edns = update ? &update->edns : NULL;
        struct dns_builder builder;
        ssize_t n;

        if ((!edns || !edns->present) && request->opt >= 0 && dns_edns_parse(request, &parsed) >= 0)
                edns = &parsed;
        begin(&builder, request, decision->rcode, buffer, size);
        /* To whom it is not known, in the one form that everybody can read: of class ANY, only the original's
         * client takes a record with data. Who sends what cannot be read at all is the original's, or
         * nobody's. */
        if (dialect ? dialect->refuses_by_txt : !edns || !edns->present)
                write_text(&builder, update && update->name.length > 0 ? &update->name : &root,
                           update && !dialect ? DNS_CLASS_IN : DNS_CLASS_ANY, decision->text);
        if (edns && edns->present) {
                answer.udp_size = DNS_UDP_MAX;
                answer.ede_code = decision->ede == DNS_EDE_NONE ? DNS_EDE_OTHER : decision->ede;
                answer.ede_text = decision->text;
                answer.ede_text_length = (uint16_t) strlen(decision->text);
                dns_edns_write(&builder, &answer, decision->rcode);
        }
        n = dns_builder_end(&builder);
        return n < 0 ? 0 : n;
}

bool reply_may_be_short(void)
{
        static usec_t second_usec;
        static unsigned n;
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (now - second_usec > USEC_PER_SEC) {
                second_usec = now;
                n = 0;
        }
        return n++ < SHORT_ANSWERS_PER_SECOND;
}

ssize_t reply_short(const struct dns_message *request, enum dns_rcode rcode, uint8_t *buffer, size_t size)
{
        struct dns_builder builder;

        begin(&builder, request, rcode, buffer, size);
        return dns_builder_end(&builder);
}

/* What was left out is told to those who can read it. */
static void tell_filtered(const struct update *update, struct dns_edns *edns, char *text, size_t size)
{
        const struct operation *filtered = NULL;
        char address[ADDRESS_FORMAT_MAX];
        const char *why;

        for (unsigned i = 0; i < update->n_operations && !filtered; i++)
                if (update->operations[i].filtered)
                        filtered = &update->operations[i];
        if (!filtered)
                return;
        address_format(&filtered->address, address);
        why = address_verdict_text(filtered->never ? ADDRESS_NEVER : ADDRESS_NOT_ALLOWED, &filtered->address);
        if (update->n_filtered == 1)
                snprintf(text, size, "address %s was left out: it is %s", address, why);
        else
                snprintf(text, size, "%u addresses were left out, %s among them: it is %s",
                         update->n_filtered, address, why);
        edns->ede_code = DNS_EDE_PROHIBITED;
        edns->ede_text = text;
        edns->ede_text_length = (uint16_t) strlen(text);
}

static void tell_twin(const struct twin_sighting *twin, struct dns_edns *edns, char *text, size_t size)
{
        size_t used = strlen(text);
        char other[ADDRESS_FORMAT_MAX];

        if (!twin->two)
                return;
        snprintf(text + used, size - used,
                 "%sanother machine, at %s, changes this name with the same key; if one of the two is a copy "
                 "of the other, give it a key of its own",
                 used > 0 ? "; " : "", address_format(&twin->other, other));
        if (edns->ede_code == DNS_EDE_NONE)
                edns->ede_code = DNS_EDE_OTHER;
        edns->ede_text = text;
        edns->ede_text_length = (uint16_t) strlen(text);
}

static void echo(struct dns_builder *builder, const struct update *update, const struct operation *operation,
                 uint16_t class, uint32_t ttl_sec)
{
        struct record_value value = operation_value(operation);
        struct dns_name owner = update->name;

        /* Cannot fail: it was read as a name. */
        (void) record_owner(&update->name, &value, &owner);
        dns_builder_rr(builder, DNS_SECTION_ANSWER, &owner, value.type, class, ttl_sec, value.rdata,
                       value.length);
}

ssize_t reply_granted(const struct dns_message *request, const struct update *update,
                      const struct zone_policy *policy, const struct grant *grant,
                      const struct twin_sighting *twin, uint8_t *buffer, size_t size)
{
        struct dns_builder builder;
        char text[GRANTED_TEXT_MAX] = "";
        ssize_t n;

        begin(&builder, request, DNS_RCODE_NOERROR, buffer, size);
        for (unsigned i = 0; i < update->n_operations; i++) {
                const struct operation *operation = &update->operations[i];

                if (operation->stands)
                        echo(&builder, update, operation, DNS_CLASS_IN,
                             registry_grant_record(policy, update, operation->ttl_sec));
                else if (operation->kind == OPERATION_DELETE_RR && operation_has_record(operation) &&
                         update->dialect->echoes_removals)
                        echo(&builder, update, operation, DNS_CLASS_NONE, 0);
        }
        if (update->edns.present) {
                struct dns_edns edns = {
                        .udp_size = DNS_UDP_MAX,
                        .ede_code = DNS_EDE_NONE,
                        .lease_form = update->edns.lease_form,
                        .lease_sec = grant->record_lease_sec,
                        .key_lease_sec = grant->key_lease_sec,
                };

                /* A pure removal or key refresh grants what it asked for, within bounds. */
                if (edns.lease_form > 0 && edns.lease_sec == 0 && update->edns.lease_sec > 0)
                        edns.lease_sec = registry_grant_record(policy, update, 0);
                tell_filtered(update, &edns, text, sizeof(text));
                tell_twin(twin, &edns, text, sizeof(text));
                dns_edns_write(&builder, &edns, DNS_RCODE_NOERROR);
        }
        n = dns_builder_end(&builder);
        return n < 0 ? 0 : n;
}
