/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Records beside addresses that nsregc registers: at its machine's name, or at a name below it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

struct extra_record {
        struct dns_name below; /* relative: "_acme-challenge."; the root is the name itself */
        uint16_t type;
        uint16_t length;
        uint8_t *rdata; /* owned; in canonical form */
};

struct extra_record_list {
        struct extra_record *items; /* owned */
        size_t n_items;
};

/* "below" as text, "@" for the name itself; "type" and "text" in presentation form. 0; -EINVAL with a
 * constant text at "*why"; -ENOMEM. */
int extra_record_parse(const char *below, const char *type, const char *text, struct extra_record *ret,
                       const char **why);
/* The same of one text: "_443._tcp TLSA 3 1 1 ...". */
int extra_record_parse_line(const char *line, struct extra_record *ret, const char **why);
void extra_record_clear(struct extra_record *record);

bool extra_record_list_contains(const struct extra_record_list *list, const struct extra_record *record);
/* Copies, where it is not there yet. 0 or -ENOMEM. */
int extra_record_list_add(struct extra_record_list *list, const struct extra_record *record);
/* False: it was not there. */
bool extra_record_list_remove(struct extra_record_list *list, const struct extra_record *record);
int extra_record_list_merge(struct extra_record_list *list, const struct extra_record_list *other);
void extra_record_list_subtract(struct extra_record_list *list, const struct extra_record_list *other);
bool extra_record_list_equal(const struct extra_record_list *a, const struct extra_record_list *b);
void extra_record_list_clear(struct extra_record_list *list);
