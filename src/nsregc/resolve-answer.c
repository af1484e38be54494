/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/resolve-answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "dns/edns.h"
#include "util/escape.h"
#include "util/macro.h"

#define QUESTION_MAX (DNS_NAME_FORMAT_MAX + 16)
#define SERVER_MAX   320
#define WORDS_MAX    256

uint32_t resolve_negative_ttl(const struct dns_message *message)
{
        unsigned first, n = dns_message_section(message, DNS_SECTION_AUTHORITY, &first);

        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &message->rrs[i];
                const uint8_t *end = dns_message_rdata(message, rr) + rr->rdlength;

                if (rr->type != DNS_TYPE_SOA || rr->rdlength < 22)
                        continue;
                uint32_t minimum = (uint32_t) end[-4] << 24 | (uint32_t) end[-3] << 16 |
                                   (uint32_t) end[-2] << 8 | end[-1];
                return MIN(minimum, rr->ttl);
        }
        return 0;
}

bool resolve_dislikes_edns(const struct dns_message *message)
{
        struct dns_edns edns = { .ede_code = -1 };

        switch (dns_message_rcode(message)) {
        case DNS_RCODE_FORMERR:
        case DNS_RCODE_NOTIMP:
        case DNS_RCODE_BADVERS:
                return true;
        case DNS_RCODE_SERVFAIL:
                /* Who knows EDNS means it when it says so. */
                return dns_edns_parse(message, &edns) < 0 || !edns.present;
        default:
                return false;
        }
}

static const char *server_text(const struct resolve_question *question, char text[static SERVER_MAX])
{
        if (question->port == RESOLVE_DNS_PORT)
                (void) snprintf(text, SERVER_MAX, "%s", question->server);
        else
                (void) snprintf(text, SERVER_MAX, "%s@%u", question->server, (unsigned) question->port);
        return text;
}

static const char *question_text(const struct resolve_question *question, char text[static QUESTION_MAX])
{
        size_t length = strlen(dns_name_format(question->name, text));
        const char *type = question->type == DNS_TYPE_SRV    ? "SRV"
                           : question->type == DNS_TYPE_PTR  ? "PTR"
                           : question->type == DNS_TYPE_AAAA ? "AAAA"
                                                             : "A";

        if (length > 1)
                length--; /* people write it without the last dot */
        (void) snprintf(text + length, QUESTION_MAX - length, " %s", type);
        return text;
}

/* ": what the server's Extended DNS Error says", or nothing. */
static void ede_text(const struct dns_message *message, char text[static WORDS_MAX])
{
        struct dns_edns edns = { .ede_code = -1 };

        text[0] = '\0';
        if (dns_edns_parse(message, &edns) < 0 || !edns.present || edns.ede_code < 0)
                return;
        strcpy(text, ": ");
        if (edns.ede_text_length > 0)
                (void) escape_bytes(text + 2, WORDS_MAX - 2, edns.ede_text, edns.ede_text_length);
        else
                (void) snprintf(text + 2, WORDS_MAX - 2, "extended error %d", edns.ede_code);
}

static bool is_for_registrar(const struct resolve_question *question)
{
        static const char label[] = "\6_nsreg";

        return question->type == DNS_TYPE_SRV && question->name->length > sizeof(label) &&
               memcmp(question->name->wire, label, sizeof(label) - 1) == 0;
}

/* For people: what is longer is cut. */
__attribute__((format(printf, 2, 3))) static void say(char why[static RESOLVE_WHY_MAX], const char *format,
                                                      ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(why, RESOLVE_WHY_MAX, format, arguments);
        va_end(arguments);
}

void resolve_why_rcode(const struct resolve_question *question, const struct dns_message *message,
                       char why[static RESOLVE_WHY_MAX])
{
        unsigned rcode = dns_message_rcode(message);
        char server[SERVER_MAX], asked[QUESTION_MAX], words[WORDS_MAX], number[32];
        const char *name = dns_rcode_to_string(rcode);

        if (!name) {
                (void) snprintf(number, sizeof(number), "RCODE %u", rcode);
                name = number;
        }
        ede_text(message, words);
        if (rcode == DNS_RCODE_REFUSED)
                say(why, "%s refuses questions from this network (%s to %s%s)%s",
                    server_text(question, server), name, question_text(question, asked), words,
                    is_for_registrar(question) ? "; the registrar's query-nets may be too narrow" : "");
        else
                say(why, "%s cannot answer (%s to %s%s)", server_text(question, server), name,
                    question_text(question, asked), words);
}

void resolve_why_error(const struct resolve_question *question, int error, char why[static RESOLVE_WHY_MAX])
{
        char server[SERVER_MAX], asked[QUESTION_MAX];
        const char *text = error == -ETIMEDOUT ? "no answer"
                           : error == -ENXIO   ? "the server's name has no address"
                           : error == -EAGAIN  ? "the server's name cannot be resolved now"
                           : error == -EBADMSG ? "the answer makes no sense"
                                               : strerror(-error);

        say(why, "%s: %s (to %s)", server_text(question, server), text, question_text(question, asked));
}

void resolve_why_text(const struct resolve_question *question, const char *text,
                      char why[static RESOLVE_WHY_MAX])
{
        char asked[QUESTION_MAX], words[WORDS_MAX];

        say(why, "%s: %s (to %s)", question->server, escape_string(words, sizeof(words), text),
            question_text(question, asked));
}
