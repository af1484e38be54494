/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/limits.h"

#include <inttypes.h>

#include "dns/protocol.h"

/* Beside the addresses: the deletion of both RRsets, KEY, OPT, SIG. */
#define RRS_BESIDE 5

/* RFC 1035 section 4.1.3: type, class, TTL, length; no name is compressed. */
#define RR_FIXED 10
/* KEY with P-384, OPT with Update Lease, and the signature: RDATA, and what OPT and SIG have in front. */
#define RDATA_BESIDE 320

void config_check_limits(struct config_decoder *decoder, const struct config_node *zone_node,
                         const struct config_node *limits_node, const struct zone_policy *policy,
                         const struct peer_limits *limits)
{
        uint64_t n = policy->max_records_per_name, name = policy->zone.length + 1 + DNS_LABEL_MAX,
                 bytes = DNS_HEADER_SIZE + policy->zone.length + 4 + (n + RRS_BESIDE) * (name + RR_FIXED) +
                         n * 16 + RDATA_BESIDE;
        const struct config_node *node = config_key_given(zone_node, "max-records-per-name") ? zone_node
                                                                                             : limits_node;
        char text[DNS_NAME_FORMAT_MAX];

        dns_name_format(&policy->zone, text);
        if (n + RRS_BESIDE > limits->rrs_per_message)
                config_decoder_warn(decoder, node,
                                    node == zone_node ? "max-records-per-name" : "rrs-per-message",
                                    "an update with all %" PRIu64 " addresses of a name in %s has %" PRIu64
                                    " records, and limits: rrs-per-message allows %" PRIu32
                                    ": it has to be sent in parts, which not every client does",
                                    n, text, n + RRS_BESIDE, limits->rrs_per_message);
        if (bytes > limits->message_bytes)
                config_decoder_warn(
                        decoder, node, node == zone_node ? "max-records-per-name" : "message-bytes",
                        "an update with all %" PRIu64 " addresses of a name in %s has up to %" PRIu64
                        " octets, and limits: message-bytes allows %" PRIu32
                        ": it has to be sent in parts, which not every client does",
                        n, text, bytes, limits->message_bytes);
}
