/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the protocol says to a request: RCODE, Extended DNS Error (RFC 8914) and a text a person can act on.
 * Functions that judge return true to go on, or false with the decision filled in. */

#include <stdbool.h>

#include "dns/protocol.h"
#include "util/macro.h"

#define DECISION_TEXT_MAX 224 /* fits a TXT string and an EDE */

struct decision {
        enum dns_rcode rcode;
        int ede; /* enum dns_ede, DNS_EDE_NONE = no option */
        char text[DECISION_TEXT_MAX];
};

/* Fills in the decision; always returns false. What the format takes in must be escaped already. */
bool decide(struct decision *decision, enum dns_rcode rcode, int ede, const char *format, ...) _printf_(4, 5);
