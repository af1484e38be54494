/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/error.h"

#include <stdarg.h>
#include <stdio.h>

void config_error_clear(struct config_error *error)
{
        free(error->text);
        free(error->warnings);
        *error = CONFIG_ERROR_INIT;
}

/* One more line at the end of a text that may be NULL yet. */
static int append_line(char **text, const char *line)
{
        char *longer;

        if (asprintf(&longer, "%s%s%s", *text ? *text : "", *text ? "\n" : "", line) < 0)
                return -ENOMEM;
        free(*text);
        *text = longer;
        return 0;
}

static int format_line(char **ret, const struct config_position *position, const char *key,
                       const char *message)
{
        _cleanup_free_ char *place = NULL;
        int r;

        if (!position || !position->path)
                r = asprintf(&place, "%s", "");
        else if (position->line == 0)
                r = asprintf(&place, "%s: ", position->path);
        else
                r = asprintf(&place, "%s:%u:%u: ", position->path, position->line, position->column);
        if (r < 0) {
                place = NULL;
                return -ENOMEM;
        }

        if (asprintf(ret, "%s%s%s%s", place, key && *key ? key : "", key && *key ? ": " : "", message) < 0)
                return -ENOMEM;
        return 0;
}

static void add_line(struct config_error *error, char **text, unsigned *count,
                     const struct config_position *position, const char *key, const char *format,
                     va_list arguments)
{
        _cleanup_free_ char *message = NULL;
        _cleanup_free_ char *line = NULL;

        if ((*count)++ >= CONFIG_ERRORS_MAX)
                return;
        if (vasprintf(&message, format, arguments) < 0) {
                message = NULL;
                error->out_of_memory = true;
                return;
        }
        if (format_line(&line, position, key, message) < 0) {
                line = NULL;
                error->out_of_memory = true;
                return;
        }
        if (append_line(text, line) < 0)
                error->out_of_memory = true;
}

void config_error_add(struct config_error *error, const struct config_position *position, const char *key,
                      const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        add_line(error, &error->text, &error->n_errors, position, key, format, arguments);
        va_end(arguments);
}

void config_error_warn(struct config_error *error, const struct config_position *position, const char *key,
                       const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        add_line(error, &error->warnings, &error->n_warnings, position, key, format, arguments);
        va_end(arguments);
}

int config_error_result(const struct config_error *error)
{
        if (error->out_of_memory)
                return -ENOMEM;
        return error->n_errors > 0 ? -EINVAL : 0;
}
