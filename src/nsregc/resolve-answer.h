/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a server's reply to a question says, and how a question that was not answered is told. Pure. */

#include <stdint.h>

#include "dns/message.h"
#include "dns/name.h"
#include "nsregc/record.h"

#define RESOLVE_DNS_PORT 53
#define RESOLVE_WHY_MAX  768

struct resolve_answer {
        /* 0: an answer. Else negative: nobody answered (-ETIMEDOUT, -ECONNREFUSED, ...) or nobody could
         * (-EAGAIN: SERVFAIL and its like). */
        int error;
        unsigned rcode; /* NXDOMAIN or NOERROR */
        /* Those of the type asked for (CNAMEs followed) and what came along with them; it may be empty, which
         * is an answer too. */
        const struct record_list *records;
        uint32_t negative_ttl_sec; /* how long an empty one may be believed, 0: not told */
        const char *why;           /* of an error: for people, escaped */
};

struct resolve_question {
        const struct dns_name *name;
        uint16_t type;
        const char *server;
        uint16_t port;
};

/* RFC 2308: the SOA of a negative answer says how long it holds. 0: it has none. */
uint32_t resolve_negative_ttl(const struct dns_message *message);

/* Does it come from a server that stumbled over the OPT, and may answer without (RFC 6891, section 7). */
bool resolve_dislikes_edns(const struct dns_message *message);

/* "192.168.0.1 refuses questions from this network (REFUSED to _nsreg._tcp.lan SRV)" */
void resolve_why_rcode(const struct resolve_question *question, const struct dns_message *message,
                       char why[static RESOLVE_WHY_MAX]);
void resolve_why_error(const struct resolve_question *question, int error, char why[static RESOLVE_WHY_MAX]);
/* Somebody else's words, as those of systemd-resolved. */
void resolve_why_text(const struct resolve_question *question, const char *text,
                      char why[static RESOLVE_WHY_MAX]);
