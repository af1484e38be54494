/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the small programs of the tests share. They end at the first error, with a word on stderr. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dns/message.h"
#include "util/file.h"
#include "util/macro.h"

#define TOOL_FILE_MAX 65536

_printf_(1, 2) __attribute__((noreturn)) static inline void die(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        exit(2);
}

static inline char *read_whole(const char *path, size_t *ret_size)
{
        char *content;
        int r;

        r = file_read(path, TOOL_FILE_MAX, &content, ret_size);
        if (r < 0)
                die("%s: %s", path, strerror(-r));
        return content;
}

static inline struct dns_name parse_name(const char *text)
{
        struct dns_name name;

        if (dns_name_parse(text, &name) < 0)
                die("not a name: %s", text);
        return name;
}

/* "name address" pairs, TTL 300, to the update section. */
static inline void add_addresses(struct dns_builder *builder, int argc, char **argv)
{
        for (int i = 0; i + 1 < argc; i += 2) {
                struct dns_name owner = parse_name(argv[i]);
                struct address address;

                if (address_parse(argv[i + 1], &address) < 0)
                        die("not an address: %s", argv[i + 1]);
                dns_builder_address(builder, DNS_SECTION_AUTHORITY, &owner, DNS_CLASS_IN, 300, &address);
        }
}
