/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/base64.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

char *base64_encode(const uint8_t *data, size_t length)
{
        char *text = malloc((length + 2) / 3 * 4 + 1);

        if (text)
                EVP_EncodeBlock((unsigned char *) text, data, (int) length);
        return text;
}

/* Without what may stand between the characters; at most two at the end fill up the last four. */
static int base64_tidy(const char *text, char *ret, size_t *ret_padding)
{
        size_t n = 0, padding = 0;

        for (; *text; text++) {
                if (strchr(" \t\r\n", *text))
                        continue;
                if (*text == '=')
                        padding++;
                else if (padding > 0 || !strchr(ALPHABET, *text))
                        return -EINVAL;
                ret[n++] = *text;
        }
        if (n == 0 || n % 4 != 0 || padding > 2 || n > INT_MAX)
                return -EINVAL;
        *ret_padding = padding;
        return (int) n;
}

int base64_decode(const char *text, uint8_t *buffer, size_t size)
{
        size_t length = strlen(text), padding = 0;
        _cleanup_free_ char *tidy = malloc(length + 1);
        _cleanup_free_ uint8_t *data = malloc(length / 4 * 3 + 3);
        int r = -EINVAL, n;

        if (!tidy || !data)
                return -EINVAL;
        n = base64_tidy(text, tidy, &padding);
        if (n > 0)
                n = EVP_DecodeBlock(data, (const unsigned char *) tidy, n);
        /* What only fills up is nothing: else several texts would be one key. */
        for (size_t i = 0; i < padding && n > 0; i++)
                n = data[n - 1] == 0 ? n - 1 : -1;
        if (n > 0 && (size_t) n <= size) {
                memcpy(buffer, data, (size_t) n);
                r = n;
        }
        OPENSSL_cleanse(tidy, length + 1);
        OPENSSL_cleanse(data, length / 4 * 3 + 3);
        return r;
}
