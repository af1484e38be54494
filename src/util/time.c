/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/time.h"

#include <inttypes.h>
#include <stdio.h>

#include "util/macro.h"

#define USEC_PER_WEEK  (7 * USEC_PER_DAY)
#define USEC_PER_MONTH UINT64_C(2629800000000)  /* 30.4375 days, as systemd counts */
#define USEC_PER_YEAR  UINT64_C(31557600000000) /* 365.25 days */

#define FRACTION_SCALE      1000000
#define YEARS_REPRESENTABLE 9999

static const struct {
        const char *name;
        usec_t usec;
} units[] = {
        { "us", 1 },
        { "usec", 1 },
        { "\xc2\xb5s", 1 }, /* micro sign */
        { "\xce\xbcs", 1 }, /* Greek mu */
        { "ms", USEC_PER_MSEC },
        { "msec", USEC_PER_MSEC },
        { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },
        { "m", USEC_PER_MINUTE },
        { "min", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE },
        { "minutes", USEC_PER_MINUTE },
        { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },
        { "d", USEC_PER_DAY },
        { "day", USEC_PER_DAY },
        { "days", USEC_PER_DAY },
        { "w", USEC_PER_WEEK },
        { "week", USEC_PER_WEEK },
        { "weeks", USEC_PER_WEEK },
        { "M", USEC_PER_MONTH },
        { "month", USEC_PER_MONTH },
        { "months", USEC_PER_MONTH },
        { "y", USEC_PER_YEAR },
        { "year", USEC_PER_YEAR },
        { "years", USEC_PER_YEAR },
};

usec_t now_usec(clockid_t clock)
{
        struct timespec ts;
        _unused_ int r = clock_gettime(clock, &ts);

        assert(r == 0); /* the kernel has had these clocks since 2.6.39 */
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

usec_t usec_add(usec_t a, usec_t b)
{
        usec_t sum;

        return __builtin_add_overflow(a, b, &sum) ? USEC_INFINITY : sum;
}

usec_t usec_sub(usec_t a, usec_t b)
{
        if (a == USEC_INFINITY)
                return USEC_INFINITY;

        return a > b ? a - b : 0;
}

static const char *skip_blanks(const char *text)
{
        return text + strspn(text, " \t");
}

static int parse_number(const char **text, uint64_t *ret_whole, uint64_t *ret_fraction)
{
        const char *p = *text;
        uint64_t whole = 0, fraction = 0, scale = FRACTION_SCALE;
        bool digits = false;

        for (; *p >= '0' && *p <= '9'; p++, digits = true)
                if (__builtin_mul_overflow(whole, 10, &whole) ||
                    __builtin_add_overflow(whole, (uint64_t) (*p - '0'), &whole))
                        return -ERANGE;

        if (*p == '.')
                for (p++; *p >= '0' && *p <= '9'; p++, digits = true) {
                        scale /= 10;
                        fraction += (uint64_t) (*p - '0') * scale;
                }

        if (!digits)
                return -EINVAL;

        *text = p;
        *ret_whole = whole;
        *ret_fraction = fraction;
        return 0;
}

static int parse_unit(const char **text, usec_t *ret)
{
        const char *p = *text;
        size_t n = 0;

        while (p[n] && !strchr(" \t.0123456789", p[n]))
                n++;

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == n && memcmp(units[i].name, p, n) == 0) {
                        *text = p + n;
                        *ret = units[i].usec;
                        return 0;
                }

        return -EINVAL;
}

int time_span_parse(const char *text, usec_t *ret)
{
        const char *p = skip_blanks(text);
        usec_t sum = 0;
        int r;

        if (*p == 0)
                return -EINVAL;

        while (*p) {
                uint64_t whole, fraction;
                usec_t unit, part;

                r = parse_number(&p, &whole, &fraction);
                if (r < 0)
                        return r;

                p = skip_blanks(p);
                if (*p == 0 || (*p >= '0' && *p <= '9')) {
                        /* A number without unit is seconds, and stands alone. */
                        if (*p != 0 || sum != 0)
                                return -EINVAL;
                        unit = USEC_PER_SEC;
                } else {
                        r = parse_unit(&p, &unit);
                        if (r < 0)
                                return r;
                }

                if (__builtin_mul_overflow(whole, unit, &part) || usec_add(sum, part) == USEC_INFINITY)
                        return -ERANGE;
                sum = usec_add(sum, part);
                /* unit < 2^45 and fraction < 2^20: the product may pass 2^64 by a year, so divide first */
                part = unit / FRACTION_SCALE * fraction + unit % FRACTION_SCALE * fraction / FRACTION_SCALE;
                if (usec_add(sum, part) == USEC_INFINITY)
                        return -ERANGE;
                sum += part;
                p = skip_blanks(p);
        }

        *ret = sum;
        return 0;
}

char *time_span_format(char *buffer, size_t size, usec_t span)
{
        static const struct {
                const char *name;
                usec_t usec;
        } shown[] = {
                { "d", USEC_PER_DAY }, { "h", USEC_PER_HOUR },  { "min", USEC_PER_MINUTE },
                { "s", USEC_PER_SEC }, { "ms", USEC_PER_MSEC }, { "us", 1 },
        };
        size_t position = 0;

        if (size == 0)
                return buffer;
        if (span == USEC_INFINITY || span == 0) {
                snprintf(buffer, size, "%s", span == 0 ? "0" : "infinity");
                return buffer;
        }

        buffer[0] = 0;
        for (size_t i = 0; i < ELEMENTSOF(shown) && span > 0; i++) {
                usec_t n = span / shown[i].usec;
                int written;

                if (n == 0)
                        continue;
                span %= shown[i].usec;

                written = snprintf(buffer + position, size - position, "%s%" PRIu64 "%s",
                                   position > 0 ? " " : "", n, shown[i].name);
                if ((size_t) written >= size - position) {
                        buffer[position] = 0;
                        break;
                }
                position += (size_t) written;
        }

        return buffer;
}

char *timestamp_format(char *buffer, size_t size, usec_t realtime)
{
        time_t seconds = (time_t) (realtime / USEC_PER_SEC);
        struct tm tm;

        if (!gmtime_r(&seconds, &tm) || tm.tm_year + 1900 > YEARS_REPRESENTABLE ||
            strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                snprintf(buffer, size, "never");
        return buffer;
}
