/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where messages go: to the journal with their fields when stderr is the journal's stream, else to stderr as
 * readable lines. Programs log; library rooms use log_debug only and return errors. */

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>
#include <systemd/sd-id128.h>

#include "util/macro.h"

/* "program" is a string constant, for the stderr form. */
void log_open(const char *program);
void log_set_max_level(int level);
int log_get_max_level(void);

void log_message(int level, const char *format, ...) _printf_(2, 3);

#define log_error(...)   log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                       \
        do {                                                                                                 \
                if (log_get_max_level() >= LOG_DEBUG)                                                        \
                        log_message(LOG_DEBUG, __VA_ARGS__);                                                 \
        } while (false)

/* Returns -ENOMEM, for "return log_oom();". */
int log_oom(void);

/* The fields an event can carry. Members left NULL are left out; all values are already escaped text.
 * Journal names are NSREG_NAME=, NSREG_ZONE=, ... */
struct log_fields {
        const char *name;
        const char *zone;
        const char *source;
        const char *keytag;
        const char *upstream;
        const char *reason;
};

/* An event with a MESSAGE_ID; "message_id" may be SD_ID128_NULL for a line with fields only. */
void log_event(int level, sd_id128_t message_id, const struct log_fields *fields, const char *format, ...)
        _printf_(4, 5);
