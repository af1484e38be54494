/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/types.h"

#include <stdarg.h>
#include <strings.h>
#include <time.h>

#include "util/escape.h"
#include "util/time.h"

int config_why_not(char why[static CONFIG_WHY_MAX], const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(why, CONFIG_WHY_MAX, format, arguments);
        va_end(arguments);
        return -EINVAL;
}

static int parse_bool(const struct config_key *key, const char *text, void *target,
                      char why[static CONFIG_WHY_MAX])
{
        static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcasecmp(text, words[i]) == 0) {
                        *(bool *) target = i % 2 == 1;
                        return 0;
                }
        return -EINVAL;
}

static bool print_bool(const struct config_key *key, const void *target, FILE *out)
{
        fputs(*(const bool *) target ? "true" : "false", out);
        return true;
}

const struct config_type config_type_bool = { "true or false", parse_bool, print_bool };

/* Digits only, as a whole. -ERANGE when it does not fit. */
static int parse_digits(const char *text, size_t length, uint64_t *ret)
{
        uint64_t value = 0;

        if (length == 0)
                return -EINVAL;
        for (size_t i = 0; i < length; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t) (text[i] - '0'), &value))
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}

static int parse_in_range(const struct config_key *key, const char *text, size_t length, uint64_t unit,
                          uint64_t *ret, char why[static CONFIG_WHY_MAX])
{
        uint64_t value = 0;
        int r = parse_digits(text, length, &value);

        if (r == -EINVAL)
                return r;
        if (r < 0 || __builtin_mul_overflow(value, unit, &value) || value < key->minimum ||
            value > key->maximum)
                return config_why_not(why, "out of range (%llu to %llu)", (unsigned long long) key->minimum,
                                      (unsigned long long) key->maximum);
        *ret = value;
        return 0;
}

static int parse_number(const struct config_key *key, const char *text, void *target,
                        char why[static CONFIG_WHY_MAX])
{
        uint64_t value = 0;
        int r;

        r = parse_in_range(key, text, strlen(text), 1, &value, why);
        if (r < 0)
                return r;
        *(uint32_t *) target = (uint32_t) value;
        return 0;
}

static bool print_number(const struct config_key *key, const void *target, FILE *out)
{
        fprintf(out, "%u", *(const uint32_t *) target);
        return true;
}

const struct config_type config_type_number = { "a number", parse_number, print_number };

static int parse_port(const struct config_key *key, const char *text, void *target,
                      char why[static CONFIG_WHY_MAX])
{
        uint64_t value = 0;
        int r;

        r = parse_digits(text, strlen(text), &value);
        if (r == -EINVAL)
                return r;
        if (r < 0 || value < 1 || value > UINT16_MAX)
                return config_why_not(why, "out of range (1 to 65535)");
        *(uint16_t *) target = (uint16_t) value;
        return 0;
}

static bool print_port(const struct config_key *key, const void *target, FILE *out)
{
        fprintf(out, "%u", *(const uint16_t *) target);
        return true;
}

const struct config_type config_type_port = { "a port number", parse_port, print_port };

static int parse_percent(const struct config_key *key, const char *text, void *target,
                         char why[static CONFIG_WHY_MAX])
{
        size_t length = strlen(text);
        uint64_t value = 0;
        int r;

        if (text[length - 1] == '%')
                length--;
        while (length > 0 && text[length - 1] == ' ')
                length--;
        r = parse_in_range(key, text, length, 1, &value, why);
        if (r < 0)
                return r;
        *(uint32_t *) target = (uint32_t) value;
        return 0;
}

static bool print_percent(const struct config_key *key, const void *target, FILE *out)
{
        fprintf(out, "%u%%", *(const uint32_t *) target);
        return true;
}

const struct config_type config_type_percent = { "a percentage such as 25%", parse_percent, print_percent };

static int parse_size(const struct config_key *key, const char *text, void *target,
                      char why[static CONFIG_WHY_MAX])
{
        size_t length = strlen(text);
        uint64_t unit = 1, value = 0;
        int r;

        switch (text[length - 1]) {
        case 'K':
        case 'k':
                unit = 1024;
                break;
        case 'M':
                unit = 1024 * 1024;
                break;
        default:
                break;
        }
        r = parse_in_range(key, text, unit == 1 ? length : length - 1, unit, &value, why);
        if (r < 0)
                return r;
        *(uint32_t *) target = (uint32_t) value;
        return 0;
}

const struct config_type config_type_size = { "a size in bytes such as 8192 or 64K", parse_size,
                                              print_number };

static int parse_span_in_range(const char *text, usec_t minimum, usec_t maximum, usec_t *ret,
                               char why[static CONFIG_WHY_MAX])
{
        char low[TIME_SPAN_FORMAT_MAX], high[TIME_SPAN_FORMAT_MAX];
        usec_t value = 0;
        int r;

        r = time_span_parse(text, &value);
        if (r < 0 && r != -ERANGE)
                return r;
        if (r < 0 || value < minimum || value > maximum)
                return config_why_not(why, "out of range (%s to %s)",
                                      time_span_format(low, sizeof(low), minimum),
                                      time_span_format(high, sizeof(high), maximum));
        *ret = value;
        return 0;
}

static int parse_time_span(const struct config_key *key, const char *text, void *target,
                           char why[static CONFIG_WHY_MAX])
{
        return parse_span_in_range(text, key->minimum, key->maximum, target, why);
}

static bool print_time_span(const struct config_key *key, const void *target, FILE *out)
{
        char buffer[TIME_SPAN_FORMAT_MAX];

        fputs(time_span_format(buffer, sizeof(buffer), *(const usec_t *) target), out);
        return true;
}

const struct config_type config_type_time_span = { "a time span such as 10s or 1h30m", parse_time_span,
                                                   print_time_span };

static int parse_seconds(const struct config_key *key, const char *text, void *target,
                         char why[static CONFIG_WHY_MAX])
{
        usec_t value = 0;
        int r;

        r = parse_span_in_range(text, key->minimum * USEC_PER_SEC, key->maximum * USEC_PER_SEC, &value, why);
        if (r < 0)
                return r;
        if (value % USEC_PER_SEC != 0)
                return config_why_not(why, "must be whole seconds");
        *(uint32_t *) target = (uint32_t) (value / USEC_PER_SEC);
        return 0;
}

static bool print_seconds(const struct config_key *key, const void *target, FILE *out)
{
        char buffer[TIME_SPAN_FORMAT_MAX];

        fputs(time_span_format(buffer, sizeof(buffer), *(const uint32_t *) target * USEC_PER_SEC), out);
        return true;
}

const struct config_type config_type_seconds = { "a time span such as 30s, 1h30m or 6months", parse_seconds,
                                                 print_seconds };

/* In UTC, so that it means the same wherever the file is read. */
static const char *const date_formats[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ" };

static int parse_date(const struct config_key *key, const char *text, void *target,
                      char why[static CONFIG_WHY_MAX])
{
        for (size_t i = 0; i < ELEMENTSOF(date_formats); i++) {
                struct tm date = {};
                const char *end = strptime(text, date_formats[i], &date);
                time_t seconds;

                if (!end || *end)
                        continue;
                seconds = timegm(&date);
                if (seconds <= 0)
                        return -EINVAL;
                *(usec_t *) target = (usec_t) seconds * USEC_PER_SEC;
                return 0;
        }
        return -EINVAL;
}

static bool print_date(const struct config_key *key, const void *target, FILE *out)
{
        time_t seconds = (time_t) (*(const usec_t *) target / USEC_PER_SEC);
        char text[32];
        struct tm date;

        if (seconds == 0)
                return false;
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &date));
        fputs(text, out);
        return true;
}

const struct config_type config_type_date = { "a date such as 2026-12-31", parse_date, print_date };

static int parse_tsig_fudge(const struct config_key *key, const char *text, void *target,
                            char why[static CONFIG_WHY_MAX])
{
        uint32_t seconds = 0;
        int r = strcasecmp(text, "auto") == 0 ? 0 : parse_seconds(key, text, &seconds, why);

        if (r >= 0)
                *(uint16_t *) target = (uint16_t) seconds;
        return r;
}

static bool print_tsig_fudge(const struct config_key *key, const void *target, FILE *out)
{
        const uint32_t seconds = *(const uint16_t *) target;

        if (seconds > 0)
                return print_seconds(key, &seconds, out);
        fputs("auto", out);
        return true;
}

const struct config_type config_type_tsig_fudge = { "auto, or a time span such as 30s", parse_tsig_fudge,
                                                    print_tsig_fudge };

void config_print_quoted(const char *text, FILE *out)
{
        fputc('"', out);
        for (; *text; text++) {
                unsigned char c = (unsigned char) *text;

                if (c == '"' || c == '\\')
                        fprintf(out, "\\%c", c);
                else if (c < 0x20 || c == 0x7f)
                        fprintf(out, "\\x%02x", c);
                else
                        fputc(c, out);
        }
        fputc('"', out);
}

static int parse_string(const struct config_key *key, const char *text, void *target,
                        char why[static CONFIG_WHY_MAX])
{
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*(char **) target);
        *(char **) target = copy;
        return 0;
}

bool config_print_string(const struct config_key *key, const void *target, FILE *out)
{
        const char *text = *(char *const *) target;

        if (!text)
                return false;
        config_print_quoted(text, out);
        return true;
}

const struct config_type config_type_string = { "a text", parse_string, config_print_string };

/* The place of a text in a list of names, or -EINVAL with all of them told. */
static int find_name(const char *const *names, const char *text, char why[static CONFIG_WHY_MAX])
{
        const char *nearest;
        size_t length;

        for (int i = 0; names[i]; i++)
                if (strcasecmp(names[i], text) == 0)
                        return i;

        config_why_not(why, "must be one of");
        for (int i = 0; names[i]; i++) {
                length = strlen(why);
                snprintf(why + length, CONFIG_WHY_MAX - length, "%s %s", i > 0 ? "," : "", names[i]);
        }
        nearest = config_suggest(names, text);
        length = strlen(why);
        if (nearest)
                snprintf(why + length, CONFIG_WHY_MAX - length, " (did you mean \"%s\"?)", nearest);
        return -EINVAL;
}

static int parse_enum(const struct config_key *key, const char *text, void *target,
                      char why[static CONFIG_WHY_MAX])
{
        int value = find_name(key->argument, text, why);

        if (value < 0)
                return value;
        *(int *) target = value;
        return 0;
}

static bool print_enum(const struct config_key *key, const void *target, FILE *out)
{
        fputs(((const char *const *) key->argument)[*(const int *) target], out);
        return true;
}

const struct config_type config_type_enum = { "one of a few words", parse_enum, print_enum };

static int parse_choice(const struct config_key *key, const char *text, void *target,
                        char why[static CONFIG_WHY_MAX])
{
        const char *const *names = key->argument;
        int value = find_name(names, text, why);

        if (value < 0)
                return value;
        return parse_string(key, names[value], target, why);
}

const struct config_type config_type_choice = { "one of a few words", parse_choice, config_print_string };

void config_server_clear(struct config_server *server)
{
        free(server->host);
        *server = (struct config_server){};
}

int config_server_parse(const char *text, uint16_t default_port, struct config_server *ret)
{
        const char *at = strrchr(text, '@');
        size_t length = at ? (size_t) (at - text) : strlen(text);
        uint64_t port = default_port;
        char *host;

        if (at && (parse_digits(at + 1, strlen(at + 1), &port) < 0 || port < 1 || port > UINT16_MAX))
                return -EINVAL;
        if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
                text++;
                length -= 2;
        }
        if (length == 0 || length > 255)
                return -EINVAL;

        host = strndup(text, length);
        if (!host)
                return -ENOMEM;
        if (!config_is_host(host)) {
                free(host);
                return -EINVAL;
        }
        config_server_clear(ret);
        *ret = (struct config_server){ .host = host, .port = (uint16_t) port };
        return 0;
}

static int parse_server(const struct config_key *key, const char *text, void *target,
                        char why[static CONFIG_WHY_MAX])
{
        int r = config_server_parse(text, *(const uint16_t *) key->argument, target);
        char host[CONFIG_HOST_MAX];
        const char *port;

        if (r != -EINVAL)
                return r;
        port = config_split_port(text, ':', host);
        if (port)
                return config_why_not(why, "the port stands behind an @: %s@%s", host, port);
        return config_refuse_foreign(text, why) == -ENOMEM ? -ENOMEM : -EINVAL;
}

static bool print_server(const struct config_key *key, const void *target, FILE *out)
{
        const struct config_server *server = target;
        _cleanup_free_ char *text = NULL;

        if (!server->host)
                return false;
        if (asprintf(&text, "%s@%u", server->host, server->port) < 0) {
                text = NULL;
                return false;
        }
        config_print_quoted(text, out);
        return true;
}

const struct config_type config_type_server = { "a server such as 192.0.2.1 or 192.0.2.1@8053", parse_server,
                                                print_server };
