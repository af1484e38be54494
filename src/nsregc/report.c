/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/report.h"

#include "util/log.h"

void report_reason(const struct dns_name *zone, const struct dns_name *name, int level, sd_id128_t id,
                   const char *what, const char reason[static REPORT_REASON_MAX],
                   char told[static REPORT_REASON_MAX])
{
        char name_text[DNS_NAME_FORMAT_MAX], zone_text[DNS_NAME_FORMAT_MAX];
        struct log_fields fields = {
                .name = dns_name_format(name, name_text),
                .zone = dns_name_format(zone, zone_text),
                .reason = reason,
        };

        if (streq(reason, told)) {
                log_debug("%s %s: %s", name_text, what, reason);
                return;
        }
        strcpy(told, reason);
        log_event(level, id, &fields, "%s %s: %s", name_text, what, reason);
}

void report_done(const struct dns_name *zone, const struct dns_name *name, sd_id128_t id, const char *what,
                 const struct address_set *addresses)
{
        char name_text[DNS_NAME_FORMAT_MAX], zone_text[DNS_NAME_FORMAT_MAX], list[ADDRESS_SET_TEXT_MAX] = "";
        struct log_fields fields = {
                .name = dns_name_format(name, name_text),
                .zone = dns_name_format(zone, zone_text),
        };

        if (addresses)
                address_set_text(addresses, NULL, list);
        log_event(LOG_INFO, id, &fields, "%s %s%s%s", what, name_text, list[0] ? ": " : "", list);
}
