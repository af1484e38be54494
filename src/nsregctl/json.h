/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* JSON that is no table, written as it goes. */

#include <stdbool.h>
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
void json_number(struct json *json, const char *key, uint64_t number);
void json_boolean(struct json *json, const char *key, bool value);
/* Members that were written by somebody else, without the brackets around them. */
void json_members(struct json *json, const char *text);
