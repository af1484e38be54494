/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/protocol.h"

#include <strings.h>

#include "util/macro.h"

struct number_name {
        unsigned number;
        const char *name;
};

/* clang-format off */
static const struct number_name rcodes[] = {
        { DNS_RCODE_NOERROR, "NOERROR" },   { DNS_RCODE_FORMERR, "FORMERR" },
        { DNS_RCODE_SERVFAIL, "SERVFAIL" }, { DNS_RCODE_NXDOMAIN, "NXDOMAIN" },
        { DNS_RCODE_NOTIMP, "NOTIMP" },     { DNS_RCODE_REFUSED, "REFUSED" },
        { DNS_RCODE_YXDOMAIN, "YXDOMAIN" }, { DNS_RCODE_YXRRSET, "YXRRSET" },
        { DNS_RCODE_NXRRSET, "NXRRSET" },   { DNS_RCODE_NOTAUTH, "NOTAUTH" },
        { DNS_RCODE_NOTZONE, "NOTZONE" },   { DNS_RCODE_BADVERS, "BADVERS" },
        { DNS_RCODE_BADKEY, "BADKEY" },     { DNS_RCODE_BADTIME, "BADTIME" },
        { DNS_RCODE_BADTRUNC, "BADTRUNC" },
};

static const struct number_name algorithms[] = {
        { DNS_ALGORITHM_RSASHA1, "RSASHA1" },
        { DNS_ALGORITHM_RSASHA256, "RSASHA256" },
        { DNS_ALGORITHM_RSASHA512, "RSASHA512" },
        { DNS_ALGORITHM_ECDSAP256SHA256, "ECDSAP256SHA256" },
        { DNS_ALGORITHM_ECDSAP384SHA384, "ECDSAP384SHA384" },
        { DNS_ALGORITHM_ED25519, "ED25519" },
        { DNS_ALGORITHM_ED448, "ED448" },
};
/* clang-format on */

static const char *find(const struct number_name *names, size_t n, unsigned number)
{
        for (size_t i = 0; i < n; i++)
                if (names[i].number == number)
                        return names[i].name;

        return NULL;
}

const char *dns_rcode_to_string(unsigned rcode)
{
        return find(rcodes, ELEMENTSOF(rcodes), rcode);
}

const char *dns_algorithm_to_string(unsigned algorithm)
{
        return find(algorithms, ELEMENTSOF(algorithms), algorithm);
}

int dns_algorithm_from_string(const char *text)
{
        unsigned number = 0;

        for (size_t i = 0; i < ELEMENTSOF(algorithms); i++)
                if (strcasecmp(algorithms[i].name, text) == 0)
                        return (int) algorithms[i].number;

        if (*text == 0)
                return -EINVAL;
        for (const char *p = text; *p; p++) {
                if (*p < '0' || *p > '9')
                        return -EINVAL;
                number = number * 10 + (unsigned) (*p - '0');
                if (number > UINT8_MAX)
                        return -EINVAL;
        }

        return (int) number;
}
