/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* EDNS(0), RFC 6891, with the two options used here: Update Lease (RFC 9664) and Extended DNS Error
 * (RFC 8914). */

#include <stdbool.h>
#include <stdint.h>

#include "dns/message.h"

struct dns_edns {
        bool present;
        uint8_t version;
        uint8_t extended_rcode;
        bool dnssec_ok;
        uint16_t udp_size;
        /* Update Lease: 0 octets = absent, 4 = LEASE only, 8 = LEASE and KEY-LEASE. Seconds. */
        uint8_t lease_form;
        uint32_t lease_sec;
        uint32_t key_lease_sec; /* equal to lease_sec in the 4-octet form */
        /* First EDE: -1 = none; the text is a view into the message. */
        int ede_code;
        const char *ede_text;
        uint16_t ede_text_length;
};

/* Reads message's OPT. 0 (present = false without one), or -EBADMSG: an option that runs over its end, a
 * lease of another length, two leases. */
int dns_edns_parse(const struct dns_message *message, struct dns_edns *ret);

/* Writes an OPT RR with this UDP size, version 0; the lease option when lease_form is 4 or 8; the EDE when
 * ede_code >= 0, its text cut to 255 octets. "rcode" gives the extended bits. */
void dns_edns_write(struct dns_builder *builder, const struct dns_edns *edns, unsigned rcode);
