/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/escape.h"

#include <stdint.h>
#include <string.h>

#define ELLIPSIS "..."

static size_t escape_octet(char out[static 4], uint8_t octet)
{
        if (octet >= ' ' && octet <= '~' && octet != '\\') {
                out[0] = (char) octet;
                return 1;
        }

        out[0] = '\\';
        out[1] = (char) ('0' + octet / 100);
        out[2] = (char) ('0' + octet / 10 % 10);
        out[3] = (char) ('0' + octet % 10);
        return 4;
}

char *escape_bytes(char *buffer, size_t size, const void *bytes, size_t length)
{
        const uint8_t *octets = bytes;
        size_t position = 0, cut = 0;

        if (size == 0)
                return buffer;

        for (size_t i = 0; i < length; i++) {
                char escaped[4];
                size_t n = escape_octet(escaped, octets[i]);

                if (position + n >= size) {
                        /* "cut" is the last place behind a whole octet that leaves room for the dots */
                        for (const char *dot = ELLIPSIS; *dot && cut + 1 < size; dot++)
                                buffer[cut++] = *dot;
                        buffer[cut] = 0;
                        return buffer;
                }

                memcpy(buffer + position, escaped, n);
                position += n;
                if (position + strlen(ELLIPSIS) < size)
                        cut = position;
        }

        buffer[position] = 0;
        return buffer;
}

char *escape_string(char *buffer, size_t size, const char *string)
{
        return escape_bytes(buffer, size, string, strlen(string));
}
