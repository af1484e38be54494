/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the data of a record looks like, type by type. There is one table of types, in rdata.c: whoever adds a
 * type adds a line there, and it can be registered (where a zone's configuration allows it), published,
 * answered, stored and shown.
 *
 * The canonical form is RFC 4034's (section 6.2): names uncompressed, in lower case for the types that are
 * named there. Only that form is ever compared, kept or published. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/message.h"

/* "SSHFP"; NULL for a type that is not in the table. */
const char *rdata_type_to_string(uint16_t type);
/* Any case. 0 or -EINVAL. */
int rdata_type_from_string(const char *text, uint16_t *ret);
/* "SSHFP", or "TYPE1234" (RFC 3597) for one that is not in the table; returns buffer. */
#define RDATA_TYPE_FORMAT_MAX 16
char *rdata_type_format(uint16_t type, char buffer[static RDATA_TYPE_FORMAT_MAX]);
/* The n-th type that may be registered, where a zone's configuration allows it, beside addresses; 0: there
 * are no more. The others are the zone's own business (NS, SOA, DS), or stand for a name as a whole (CNAME,
 * DNAME), or are the registrar's (KEY, PTR). Sets of them are bits, 1 << n. */
uint16_t rdata_type_registrable(unsigned n);

/* Reads the data of an RR of a message that the walk accepted, into canonical form: "*ret" is the caller's.
 * "as_answer": names may be compressed, as in the answers of name servers; else that is an error, as RFC 3597
 * section 4 has it. 0, -EBADMSG (with a constant text at "*why", may be NULL: to follow "the RR"), -ENOMEM.
 */
int rdata_read(const struct dns_message *message, const struct dns_rr *rr, bool as_answer, uint8_t **ret,
               uint16_t *ret_length, const char **why);

/* "number": the type. Presentation form, printable ASCII whatever the octets; allocated, NULL when memory is
 * out. Where a type has no form here, or the octets have not that form: RFC 3597's ("\# 4 0a000001"). */
char *rdata_format(uint16_t number, const uint8_t *octets, size_t length);
/* From presentation form, RFC 3597's included: for texts of people and of servers that are trusted. "*ret" is
 * the caller's. 0, -EINVAL, -ENOMEM. */
int rdata_parse(uint16_t number, const char *text, uint8_t **ret, uint16_t *ret_length);
