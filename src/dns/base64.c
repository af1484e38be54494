/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/base64.h"

#include <ldns/ldns.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "util/macro.h"

char *base64_encode(const uint8_t *data, size_t length)
{
        char *text = malloc((length + 2) / 3 * 4 + 1);

        if (text)
                EVP_EncodeBlock((unsigned char *) text, data, (int) length);
        return text;
}

int base64_decode(const char *text, uint8_t *buffer, size_t size)
{
        ldns_rdf *data = NULL;
        int r = -EINVAL;

        if (ldns_str2rdf_b64(&data, text) != LDNS_STATUS_OK)
                return -EINVAL;

        if (ldns_rdf_size(data) > 0 && ldns_rdf_size(data) <= size) {
                r = (int) ldns_rdf_size(data);
                memcpy(buffer, ldns_rdf_data(data), ldns_rdf_size(data));
        }

        OPENSSL_cleanse(ldns_rdf_data(data), ldns_rdf_size(data));
        ldns_rdf_deep_free(data);
        return r;
}
