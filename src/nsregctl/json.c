/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nsregctl/json.h"

static void write_text(const char *text, size_t size)
{
        putchar('"');
        for (const char *end = text + size; text < end; text++) {
                unsigned char c = (unsigned char) *text;

                if (c == '"' || c == '\\')
                        printf("\\%c", c);
                else if (c < 0x20)
                        printf("\\u%04x", c);
                else
                        putchar(c);
        }
        putchar('"');
}

static void new_line(const struct json *json)
{
        if (json->pretty && json->depth > 0)
                printf("\n%*s", (int) json->depth * 3, "");
        else if (json->pretty)
                putchar('\n');
}

static void begin_value(struct json *json, const char *key)
{
        if (json->comma)
                putchar(',');
        if (json->depth > 0)
                new_line(json);
        json->comma = true;
        if (!key)
                return;
        write_text(key, strlen(key));
        fputs(json->pretty ? ": " : ":", stdout);
}

void json_begin(struct json *json, const char *key, char bracket)
{
        begin_value(json, key);
        putchar(bracket);
        json->depth++;
        json->comma = false;
}

void json_end(struct json *json, char bracket)
{
        json->depth--;
        if (json->comma)
                new_line(json);
        putchar(bracket);
        json->comma = true;
        if (json->depth == 0)
                putchar('\n');
}

void json_string_n(struct json *json, const char *key, const char *text, size_t size)
{
        begin_value(json, key);
        write_text(text, size);
}

void json_string(struct json *json, const char *key, const char *text)
{
        json_string_n(json, key, text, strlen(text));
}

void json_number(struct json *json, const char *key, uint64_t number)
{
        begin_value(json, key);
        printf("%" PRIu64, number);
}

void json_boolean(struct json *json, const char *key, bool value)
{
        begin_value(json, key);
        fputs(value ? "true" : "false", stdout);
}
