/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/idna.h"

#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "dns/protocol.h"
#include "util/macro.h"

#define PREFIX "xn--"

/* RFC 3492 section 5. */
#define BASE         36
#define TMIN         1
#define TMAX         26
#define SKEW         38
#define DAMP         700
#define INITIAL_BIAS 72
#define INITIAL_N    0x80

#define COMBINING_FIRST 0x300
#define COMBINING_LAST  0x36f

bool text_is_ascii(const char *text)
{
        for (; *text; text++)
                if ((unsigned char) *text >= INITIAL_N)
                        return false;
        return true;
}

/* The next character; 0 where there is none, or no valid one. Whoever read the text has judged its UTF-8. */
static uint32_t next_character(const char **text)
{
        const unsigned char *octets = (const unsigned char *) *text;
        unsigned length = octets[0] < 0x80 ? 1 : octets[0] < 0xe0 ? 2 : octets[0] < 0xf0 ? 3 : 4;
        uint32_t character = length == 1 ? octets[0] : octets[0] & (0x7fu >> length);

        if (octets[0] == 0)
                return 0;
        for (unsigned i = 1; i < length; i++) {
                if ((octets[i] & 0xc0) != 0x80)
                        return 0;
                character = character << 6 | (octets[i] & 0x3f);
        }
        *text += length;
        return character;
}

static uint32_t adapt(uint32_t delta, uint32_t n_points, bool is_first)
{
        uint32_t k = 0;

        delta = is_first ? delta / DAMP : delta / 2;
        delta += delta / n_points;
        for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
                delta /= BASE - TMIN;
        return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

struct label {
        uint32_t points[DNS_LABEL_MAX];
        size_t n_points;
        char ascii[DNS_LABEL_MAX + 1];
        size_t length;
};

static int put(struct label *label, char octet)
{
        if (label->length == DNS_LABEL_MAX)
                return -ENAMETOOLONG;
        label->ascii[label->length++] = octet;
        return 0;
}

/* A number of variable length, RFC 3492 section 3.3. */
static int put_delta(struct label *label, uint32_t delta, uint32_t bias)
{
        static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
        int r = 0;

        for (uint32_t k = BASE; r >= 0; k += BASE) {
                uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;

                if (delta < t)
                        return put(label, digits[delta]);
                r = put(label, digits[t + (delta - t) % (BASE - t)]);
                delta = (delta - t) / (BASE - t);
        }
        return r;
}

static uint32_t smallest_from(const struct label *label, uint32_t n)
{
        uint32_t smallest = UINT32_MAX;

        for (size_t i = 0; i < label->n_points; i++)
                if (label->points[i] >= n)
                        smallest = MIN(smallest, label->points[i]);
        return smallest;
}

/* RFC 3492 section 6.3. No sum overflows: there are at most 63 points of 21 bits. */
static int encode(struct label *label)
{
        uint32_t n = INITIAL_N, delta = 0, bias = INITIAL_BIAS;
        size_t n_basic = 0, n_done;
        int r = 0;

        for (const char *c = PREFIX; *c; c++)
                r = put(label, *c);
        for (size_t i = 0; i < label->n_points && r >= 0; i++)
                if (label->points[i] < INITIAL_N) {
                        r = put(label, (char) label->points[i]);
                        n_basic++;
                }
        if (n_basic > 0 && r >= 0)
                r = put(label, '-');
        for (n_done = n_basic; n_done < label->n_points && r >= 0; delta++, n++) {
                uint32_t next = smallest_from(label, n);

                delta += (next - n) * (uint32_t) (n_done + 1);
                n = next;
                for (size_t i = 0; i < label->n_points && r >= 0; i++) {
                        delta += label->points[i] < n;
                        if (label->points[i] != n)
                                continue;
                        r = put_delta(label, delta, bias);
                        bias = adapt(delta, (uint32_t) n_done + 1, n_done == n_basic);
                        delta = 0;
                        n_done++;
                }
        }
        return r;
}

/* The text's next label, as it is or encoded; the dot behind it stays. */
static int take_label(struct label *label, const char **text, locale_t locale)
{
        bool ascii = true;
        int r = 0;

        *label = (struct label){};
        while (**text && **text != '.') {
                uint32_t character = next_character(text);

                if (character == 0 || (character >= COMBINING_FIRST && character <= COMBINING_LAST) ||
                    label->n_points == DNS_LABEL_MAX)
                        return -EINVAL;
                label->points[label->n_points++] = (uint32_t) towlower_l((wint_t) character, locale);
                ascii = ascii && character < INITIAL_N;
        }
        if (!ascii)
                return encode(label);
        for (size_t i = 0; i < label->n_points && r >= 0; i++)
                r = put(label, (char) label->points[i]);
        return r;
}

static int convert(const char *text, locale_t locale, FILE *out)
{
        while (*text) {
                struct label label;
                int r = take_label(&label, &text, locale);

                if (r < 0)
                        return r;
                fwrite(label.ascii, 1, label.length, out);
                if (*text == '.')
                        fputc(*text++, out);
        }
        return 0;
}

char *idna_to_ascii(const char *text)
{
        locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
        char *ascii = NULL;
        size_t size;
        FILE *out;
        int r;

        if (!locale)
                return NULL;
        out = open_memstream(&ascii, &size);
        r = out ? convert(text, locale, out) : -ENOMEM;
        if (out && fclose(out) != 0)
                r = -ENOMEM;
        freelocale(locale);
        if (r >= 0)
                return ascii;
        free(ascii);
        return NULL;
}
