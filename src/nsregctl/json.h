/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* JSON, written as it goes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
        bool pretty;
        unsigned depth;
        bool comma; /* something stands before, at this depth */
};

/* "key" is NULL in an array and for the whole. "bracket" is '{' or '['. */
void json_begin(struct json *json, const char *key, char bracket);
/* "bracket" is '}' or ']'. Behind the last one the line ends. */
void json_end(struct json *json, char bracket);
void json_string(struct json *json, const char *key, const char *text);
void json_string_n(struct json *json, const char *key, const char *text, size_t size);
void json_number(struct json *json, const char *key, uint64_t number);
void json_boolean(struct json *json, const char *key, bool value);
