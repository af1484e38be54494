/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few records that a client of this project looks for, taken out of an answer. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/message.h"
#include "dns/name.h"
#include "util/address.h"

struct record {
        struct dns_name owner;
        uint16_t type; /* A, AAAA, PTR, SRV */
        uint32_t ttl_sec;
        struct address address; /* A, AAAA */
        struct dns_name target; /* PTR, SRV */
        uint16_t priority, weight, port;
};

struct record_list {
        struct record *items;
        size_t n_items;
};

#define RECORDS_MAX 128 /* more are left out */

/* Appends those of answer and additional. 0, -EBADMSG, -ENOMEM. */
int record_list_read(struct record_list *list, const struct dns_message *message);
/* The same for one RR in wire form, as systemd-resolved hands them out. */
int record_list_read_raw(struct record_list *list, const uint8_t *rr, size_t size);
void record_list_clear(struct record_list *list);

/* Puts SRV records in the order of RFC 2782: by priority, within one at random by weight. Everything else is
 * dropped from the list. "random" gives a number below its argument. */
void record_list_order(struct record_list *list, uint32_t (*random)(void *userdata, uint32_t below),
                       void *userdata);
