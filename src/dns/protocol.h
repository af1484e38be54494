/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The numbers of the DNS that this project uses, under the names of the RFCs. */

#include <stdint.h>

#define DNS_HEADER_SIZE 12
#define DNS_NAME_MAX    255
#define DNS_LABEL_MAX   63
#define DNS_MESSAGE_MAX 65535
#define DNS_UDP_DEFAULT 512
#define DNS_UDP_MAX     1232

enum dns_opcode {
        DNS_OPCODE_QUERY = 0,
        DNS_OPCODE_NOTIFY = 4,
        DNS_OPCODE_UPDATE = 5, /* RFC 2136 */
};

enum dns_rcode {
        DNS_RCODE_NOERROR = 0,
        DNS_RCODE_FORMERR = 1,
        DNS_RCODE_SERVFAIL = 2,
        DNS_RCODE_NXDOMAIN = 3,
        DNS_RCODE_NOTIMP = 4,
        DNS_RCODE_REFUSED = 5,
        DNS_RCODE_YXDOMAIN = 6, /* RFC 2136 */
        DNS_RCODE_YXRRSET = 7,
        DNS_RCODE_NXRRSET = 8,
        DNS_RCODE_NOTAUTH = 9,
        DNS_RCODE_NOTZONE = 10,
        DNS_RCODE_BADVERS = 16, /* RFC 6891, extended */
        DNS_RCODE_BADSIG = 16,  /* RFC 8945, in a TSIG */
        DNS_RCODE_BADKEY = 17,
        DNS_RCODE_BADTIME = 18,
        DNS_RCODE_BADTRUNC = 22,
};

enum dns_class {
        DNS_CLASS_IN = 1,
        DNS_CLASS_CH = 3,
        DNS_CLASS_NONE = 254, /* RFC 2136 */
        DNS_CLASS_ANY = 255,
};

enum dns_type {
        DNS_TYPE_A = 1,
        DNS_TYPE_NS = 2,
        DNS_TYPE_CNAME = 5,
        DNS_TYPE_SOA = 6,
        DNS_TYPE_PTR = 12,
        DNS_TYPE_MX = 15,
        DNS_TYPE_TXT = 16,
        DNS_TYPE_SIG = 24,
        DNS_TYPE_KEY = 25,
        DNS_TYPE_AAAA = 28,
        DNS_TYPE_SRV = 33,
        DNS_TYPE_DNAME = 39,
        DNS_TYPE_OPT = 41,
        DNS_TYPE_SSHFP = 44,
        DNS_TYPE_TLSA = 52,
        DNS_TYPE_SVCB = 64,
        DNS_TYPE_HTTPS = 65,
        DNS_TYPE_TSIG = 250,
        DNS_TYPE_IXFR = 251,
        DNS_TYPE_AXFR = 252,
        DNS_TYPE_ANY = 255,
        DNS_TYPE_CAA = 257,
};

enum dns_algorithm {
        DNS_ALGORITHM_RSASHA1 = 5,
        DNS_ALGORITHM_RSASHA256 = 8,
        DNS_ALGORITHM_RSASHA512 = 10,
        DNS_ALGORITHM_ECDSAP256SHA256 = 13,
        DNS_ALGORITHM_ECDSAP384SHA384 = 14,
        DNS_ALGORITHM_ED25519 = 15,
        DNS_ALGORITHM_ED448 = 16,
};

/* Extended DNS Errors, RFC 8914. */
enum dns_ede {
        DNS_EDE_NONE = -1,
        DNS_EDE_OTHER = 0,
        DNS_EDE_SIGNATURE_EXPIRED = 7,
        DNS_EDE_SIGNATURE_NOT_YET_VALID = 8,
        DNS_EDE_NOT_READY = 14,
        DNS_EDE_BLOCKED = 15,
        DNS_EDE_PROHIBITED = 18,
        DNS_EDE_NOT_SUPPORTED = 21,
        DNS_EDE_NO_REACHABLE_AUTHORITY = 22,
        DNS_EDE_NETWORK_ERROR = 23,
};

enum dns_edns_option {
        DNS_EDNS_UPDATE_LEASE = 2, /* RFC 9664 */
        DNS_EDNS_EDE = 15,
};

/* Header flags, as bits of the second 16-bit word. */
#define DNS_FLAG_QR UINT16_C(0x8000)
#define DNS_FLAG_AA UINT16_C(0x0400)
#define DNS_FLAG_TC UINT16_C(0x0200)
#define DNS_FLAG_RD UINT16_C(0x0100)
#define DNS_FLAG_RA UINT16_C(0x0080)

/* Names for messages; NULL for numbers without one. */
const char *dns_rcode_to_string(unsigned rcode);
const char *dns_algorithm_to_string(unsigned algorithm); /* "ECDSAP256SHA256", as in BIND's key files */
int dns_algorithm_from_string(const char *text);         /* any case, or a number; -EINVAL */
