/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public half: a KEY RR in the presentation form of zone files. */

#include <ldns/ldns.h>

#include "dns/base64.h"
#include "dns/key.h"
#include "util/macro.h"

/* clang-format off */
DEFINE_CLEANUP_VOID(ldns_rr *, ldns_rr_free)
DEFINE_CLEANUP_VOID(FILE *, fclose)
/* clang-format on */

static int key_from_rr(const ldns_rr *rr, struct dns_key *ret)
{
        uint8_t rdata[4 + DNS_KEY_PUBLIC_MAX];
        struct wire_writer writer = wire_writer_init(rdata, sizeof(rdata));

        if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_KEY || ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
                return -EBADMSG;

        for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
                const ldns_rdf *field = ldns_rr_rdf(rr, i);

                wire_write_bytes(&writer, ldns_rdf_data(field), ldns_rdf_size(field));
        }
        if (writer.error)
                return -EBADMSG;

        return dns_key_from_rdata(rdata, writer.position, ret);
}

int dns_key_parse_rr(const char *text, struct dns_name *ret_owner, struct dns_key *ret)
{
        _cleanup_(ldns_rr_freep) ldns_rr *rr = NULL;
        _cleanup_(fclosep) FILE *file = NULL;
        ldns_status status;
        struct dns_name owner;
        struct dns_key key;
        int r;

        if (*text == 0)
                return -EBADMSG;
        file = fmemopen((void *) text, strlen(text), "r");
        if (!file)
                return -errno;

        /* Comments and empty lines come back one by one. */
        do
                status = ldns_rr_new_frm_fp(&rr, file, NULL, NULL, NULL);
        while (status == LDNS_STATUS_SYNTAX_EMPTY && !feof(file));
        if (status != LDNS_STATUS_OK)
                return -EBADMSG;

        r = dns_name_from_wire(ldns_rdf_data(ldns_rr_owner(rr)), ldns_rdf_size(ldns_rr_owner(rr)), &owner);
        if (r >= 0)
                r = key_from_rr(rr, &key);
        if (r < 0)
                return r;

        *ret_owner = owner;
        *ret = key;
        return 0;
}

int dns_key_format_rr(const struct dns_name *owner, const struct dns_key *key, char **ret)
{
        _cleanup_free_ char *encoded = base64_encode(key->public_key, key->length);
        char name[DNS_NAME_FORMAT_MAX], *text;

        if (!encoded)
                return -ENOMEM;

        if (asprintf(&text, "%s IN KEY %u %u %u %s\n", dns_name_format(owner, name), key->flags,
                     key->protocol, key->algorithm, encoded) < 0)
                return -ENOMEM;

        *ret = text;
        return 0;
}
