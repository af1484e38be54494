/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#define LOG_LINE_MAX  2048
#define LOG_FIELD_MAX 512

/* Fields of every entry: PRIORITY, MESSAGE, MESSAGE_ID, SYSLOG_IDENTIFIER, and those of struct log_fields. */
#define LOG_ENTRY_FIELDS_MAX 10

struct log_field {
        const char *journal_name;
        const char *name;
        const char *value;
};

static const char *log_program = "nsreg";
static int log_max_level = LOG_INFO;
static bool log_to_journal;

/* systemd says in $JOURNAL_STREAM which device and inode its stream has; a process whose stderr was
 * redirected afterwards (2>file) must not take the journal for it. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;
        int end = 0;

        if (!stream || sscanf(stream, "%llu:%llu%n", &device, &inode, &end) != 2 || stream[end] != 0)
                return false;
        if (fstat(STDERR_FILENO, &st) < 0)
                return false;

        return st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *program)
{
        log_program = program;
        log_to_journal = stderr_is_journal();
}

void log_set_max_level(int level)
{
        log_max_level = level;
}

int log_get_max_level(void)
{
        return log_max_level;
}

static size_t collect_fields(const struct log_fields *fields, struct log_field ret[static 6])
{
        const struct log_field all[] = {
                { "NSREG_NAME", "name", fields->name },
                { "NSREG_ZONE", "zone", fields->zone },
                { "NSREG_SOURCE", "source", fields->source },
                { "NSREG_KEYTAG", "keytag", fields->keytag },
                { "NSREG_UPSTREAM", "upstream", fields->upstream },
                { "NSREG_REASON", "reason", fields->reason },
        };
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (all[i].value)
                        ret[n++] = all[i];

        return n;
}

static void send_to_stderr(const char *message, const struct log_field *fields, size_t n_fields)
{
        char line[LOG_LINE_MAX + 6 * LOG_FIELD_MAX];
        int n;

        n = snprintf(line, LOG_LINE_MAX, "%s: %s", log_program, message);
        n = MIN(n, LOG_LINE_MAX - 1);

        for (size_t i = 0; log_max_level >= LOG_DEBUG && i < n_fields; i++) {
                int m = snprintf(line + n, LOG_FIELD_MAX, " %s=%s", fields[i].name, fields[i].value);

                n += MIN(m, LOG_FIELD_MAX - 1);
        }

        /* One write, so that lines of several processes on one terminal or file do not mix. */
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, (size_t) n) < 0)
                return;
}

static void add_entry(struct iovec *entry, char *buffer, size_t size, const char *name, const char *value)
{
        size_t n = (size_t) snprintf(buffer, size, "%s=%s", name, value);

        entry->iov_base = buffer;
        entry->iov_len = MIN(n, size - 1);
}

static int send_to_journal(int level, sd_id128_t message_id, const char *message,
                           const struct log_field *fields, size_t n_fields)
{
        char buffers[LOG_ENTRY_FIELDS_MAX][LOG_FIELD_MAX], line[LOG_LINE_MAX],
                number[2] = { (char) ('0' + level) };
        struct iovec entries[LOG_ENTRY_FIELDS_MAX];
        int n = 0;

        add_entry(&entries[n++], line, sizeof(line), "MESSAGE", message);
        add_entry(&entries[n], buffers[n], LOG_FIELD_MAX, "PRIORITY", number);
        n++;
        add_entry(&entries[n], buffers[n], LOG_FIELD_MAX, "SYSLOG_IDENTIFIER", log_program);
        n++;
        if (!sd_id128_is_null(message_id)) {
                char id[SD_ID128_STRING_MAX];

                add_entry(&entries[n], buffers[n], LOG_FIELD_MAX, "MESSAGE_ID",
                          sd_id128_to_string(message_id, id));
                n++;
        }
        for (size_t i = 0; i < n_fields; i++) {
                add_entry(&entries[n], buffers[n], LOG_FIELD_MAX, fields[i].journal_name, fields[i].value);
                n++;
        }

        return sd_journal_sendv(entries, n);
}

static void log_send(int level, sd_id128_t message_id, const struct log_fields *fields, const char *format,
                     va_list arguments) __attribute__((format(printf, 4, 0)));

static void log_send(int level, sd_id128_t message_id, const struct log_fields *fields, const char *format,
                     va_list arguments)
{
        char message[LOG_LINE_MAX - 64];
        struct log_field given[6];
        size_t n_given;

        vsnprintf(message, sizeof(message), format, arguments);
        n_given = fields ? collect_fields(fields, given) : 0;

        if (log_to_journal && send_to_journal(level, message_id, message, given, n_given) >= 0)
                return;

        send_to_stderr(message, given, n_given);
}

void log_message(int level, const char *format, ...)
{
        int saved_errno = errno;
        va_list arguments;

        if (level > log_max_level)
                return;

        va_start(arguments, format);
        log_send(level, SD_ID128_NULL, NULL, format, arguments);
        va_end(arguments);
        errno = saved_errno;
}

void log_event(int level, sd_id128_t message_id, const struct log_fields *fields, const char *format, ...)
{
        int saved_errno = errno;
        va_list arguments;

        if (level > log_max_level)
                return;

        va_start(arguments, format);
        log_send(level, message_id, fields, format, arguments);
        va_end(arguments);
        errno = saved_errno;
}

int log_oom(void)
{
        log_error("out of memory");
        return -ENOMEM;
}
