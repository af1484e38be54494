/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/reply.h"

#include <ctype.h>
#include <string.h>

#include "dns/protocol.h"

bool dns_reply_matches(const uint8_t *request, size_t request_size, const uint8_t *reply, size_t size,
                       bool strict)
{
        const uint8_t *question = request + DNS_HEADER_SIZE;
        size_t length = 0;

        if (size < DNS_HEADER_SIZE || request_size < DNS_HEADER_SIZE || memcmp(reply, request, 2) != 0)
                return false;
        if (!(reply[2] & 0x80) || ((reply[2] ^ request[2]) & 0x78) != 0)
                return false;
        if (reply[4] == 0 && reply[5] == 0) {
                unsigned rcode = reply[3] & 0xf;

                /* Over UDP only a server that could not read the question has an excuse. */
                return !strict || rcode == DNS_RCODE_FORMERR || rcode == DNS_RCODE_NOTIMP;
        }
        if (reply[4] != 0 || reply[5] != 1 || request[5] != 1)
                return false;

        while (DNS_HEADER_SIZE + length < request_size && question[length] != 0)
                length += 1u + question[length];
        length += 1 + 4;
        if (DNS_HEADER_SIZE + length > request_size || DNS_HEADER_SIZE + length > size)
                return false;
        for (size_t i = 0; i < length; i++) {
                uint8_t a = question[i], b = reply[DNS_HEADER_SIZE + i];

                if (i + 4 < length ? tolower(a) != tolower(b) : a != b)
                        return false;
        }
        return true;
}
