/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/hostname.h"

#include <ctype.h>
#include <stdio.h>

#include "dns/name.h"
#include "util/escape.h"
#include "util/file.h"

#define FILE_MAX      4096
#define LABEL_WHY_MAX 208

/* The first label, and its length. Comments and empty lines may stand before the name. */
static const char *first_label(const char *text, size_t *ret_length)
{
        for (;;) {
                text += strspn(text, " \t\r\n");
                if (*text != '#')
                        break;
                text += strcspn(text, "\n");
        }
        *ret_length = strcspn(text, ". \t\r\n");
        return text;
}

int hostname_parse(const char *text, char ret[static HOSTNAME_LABEL_MAX])
{
        size_t n;

        text = first_label(text, &n);
        if (n == 0 && *text != '.')
                return -ENODATA;
        if (n == 0 || n > DNS_LABEL_MAX || !dns_label_is_ldh((const uint8_t *) text, n))
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                ret[i] = (char) tolower((unsigned char) text[i]);
        ret[n] = '\0';
        return streq(ret, "localhost") ? -ENODATA : 0;
}

int hostname_read(const char *directory, char ret[static HOSTNAME_LABEL_MAX])
{
        _cleanup_free_ char *path = path_join(directory, "hostname"), *text = NULL;
        size_t size;
        int r;

        if (!path)
                return -ENOMEM;
        r = file_read(path, FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return -ENODATA;
        if (r < 0)
                return r;
        return hostname_parse(text, ret);
}

int hostname_choose(const char *configured, const char *directory, char ret[static HOSTNAME_LABEL_MAX])
{
        return configured ? hostname_parse(configured, ret) : hostname_read(directory, ret);
}

/* What keeps a label from being one that can be registered. */
static void label_why(const char *label, size_t length, char why[static LABEL_WHY_MAX])
{
        char text[128];

        escape_bytes(text, sizeof(text), label, length);
        if (length > DNS_LABEL_MAX)
                (void) snprintf(why, LABEL_WHY_MAX, "\"%s\" has %zu characters, and %u are the most", text,
                                length, (unsigned) DNS_LABEL_MAX);
        else if (length == 0 || label[0] == '-' || label[length - 1] == '-')
                (void) snprintf(why, LABEL_WHY_MAX, "\"%s\" begins or ends with what a name cannot", text);
        else
                (void) snprintf(why, LABEL_WHY_MAX,
                                "\"%s\" has other characters than letters, digits and hyphens%s", text,
                                memchr(label, '_', length) ? " (an underscore)" : "");
}

void hostname_why(const char *configured, const char *directory, int error, char ret[static HOSTNAME_WHY_MAX])
{
        static const char hint[] = "set one (hostnamectl hostname NAME) or give -n NAME";
        _cleanup_free_ char *path = path_join(directory, "hostname"), *read = NULL;
        const char *text = configured, *label;
        char why[LABEL_WHY_MAX];
        size_t size, length;

        if (!text && path && file_read(path, FILE_MAX, &read, &size) >= 0)
                text = read;
        label = text ? first_label(text, &length) : NULL;
        if (error == -ENODATA && label && length > 0)
                (void) snprintf(ret, HOSTNAME_WHY_MAX,
                                "This machine's static host name is localhost, which every machine is; %s",
                                hint);
        else if (error == -ENODATA)
                (void) snprintf(ret, HOSTNAME_WHY_MAX, "This machine has no static host name; %s", hint);
        else if (error == -EINVAL && label) {
                label_why(label, length, why);
                (void) snprintf(ret, HOSTNAME_WHY_MAX, "This machine's %s cannot be registered: %s; %s",
                                configured ? "configured name" : "static host name", why, hint);
        } else
                (void) snprintf(ret, HOSTNAME_WHY_MAX, "This machine's static host name cannot be read: %s",
                                strerror(-error));
}
