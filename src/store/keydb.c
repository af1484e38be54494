/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <openssl/evp.h>
#include <sqlite3.h>

#include "store/keydb.h"
#include "util/file.h"
#include "util/macro.h"

#define KEYDB_SIZE_MAX (64U << 20)

static const char type_text[] = "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) END";

static const char entries_text[] =
        "SELECT key, value ->> '$.Flags', value ->> '$.Protocol', value ->> '$.Algorithm',"
        " value ->> '$.PublicKey', CAST(strftime('%s', value ->> '$.Expiry') AS INTEGER) AS expiry"
        " FROM (SELECT key, CASE type WHEN 'object' THEN value END AS value FROM json_each(?1))"
        " ORDER BY rtrim(lower(key), '.'), key = lower(key) DESC, expiry, key";

static int decode_base64(const char *text, struct dns_key *key)
{
        size_t length = strlen(text);
        uint8_t buffer[DNS_KEY_PUBLIC_MAX + 3];
        int n;

        if (length == 0 || length % 4 != 0 || length / 4 * 3 > sizeof(buffer))
                return -EBADMSG;
        n = EVP_DecodeBlock(buffer, (const uint8_t *) text, (int) length);
        if (n < 0)
                return -EBADMSG;
        n -= (text[length - 1] == '=') + (text[length - 2] == '=');
        if (n > DNS_KEY_PUBLIC_MAX)
                return -EBADMSG;
        key->length = (uint16_t) n;
        memcpy(key->public_key, buffer, key->length);
        return 0;
}

/* A number of that many bits; -EBADMSG: it is none. */
static int read_number(sqlite3_stmt *statement, int column, int64_t max, int64_t *ret)
{
        int64_t value = sqlite3_column_int64(statement, column);

        if (sqlite3_column_type(statement, column) != SQLITE_INTEGER || value < 0 || value > max)
                return -EBADMSG;
        *ret = value;
        return 0;
}

/* The reason why an entry is unusable, or NULL. */
static const char *read_entry(sqlite3_stmt *statement, struct keydb_entry *entry)
{
        const char *public_key = (const char *) sqlite3_column_text(statement, 4);
        int64_t flags, protocol, algorithm, expiry;
        const char *why = NULL;

        if (dns_name_parse(entry->spelled, &entry->name) < 0)
                return "no domain name";
        if (read_number(statement, 1, UINT16_MAX, &flags) < 0 ||
            read_number(statement, 2, UINT8_MAX, &protocol) < 0 ||
            read_number(statement, 3, UINT8_MAX, &algorithm) < 0 || !public_key)
                return "no key in it";
        if (read_number(statement, 5, INT64_MAX / (int64_t) USEC_PER_SEC, &expiry) < 0)
                return "no time of expiry in it";
        entry->key.flags = (uint16_t) flags;
        entry->key.protocol = (uint8_t) protocol;
        entry->key.algorithm = (uint8_t) algorithm;
        entry->expiry_usec = (usec_t) expiry * USEC_PER_SEC;
        if (decode_base64(public_key, &entry->key) < 0)
                return "its key is no base64";
        return dns_key_check(&entry->key, &why) < 0 ? why ?: "a key that cannot be used" : NULL;
}

static int tell_entries(sqlite3_stmt *statement, keydb_told told, void *userdata)
{
        int code, r = 0;

        while (r >= 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
                struct keydb_entry entry = { .spelled = (const char *) sqlite3_column_text(statement, 0) };

                if (!entry.spelled)
                        return -ENOMEM;
                entry.why = read_entry(statement, &entry);
                r = told(userdata, &entry);
        }
        return r < 0 ? r : code == SQLITE_DONE ? 0 : -ENOMEM;
}

static int prepare(sqlite3 *handle, const char *sql, const char *text, size_t size, sqlite3_stmt **ret)
{
        if (sqlite3_prepare_v2(handle, sql, -1, ret, NULL) != SQLITE_OK ||
            sqlite3_bind_text(*ret, 1, text, (int) size, SQLITE_STATIC) != SQLITE_OK)
                return -ENOMEM;
        return 0;
}

int keydb_read(const char *path, char **ret, size_t *ret_size)
{
        return file_read(path, KEYDB_SIZE_MAX, ret, ret_size);
}

int keydb_parse(const char *text, size_t size, keydb_told told, void *userdata)
{
        sqlite3_stmt *type = NULL, *entries = NULL;
        sqlite3 *handle = NULL;
        const char *found;
        int r = -ENOMEM;

        if (sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
            SQLITE_OK)
                r = prepare(handle, type_text, text, size, &type);
        if (r >= 0 && sqlite3_step(type) == SQLITE_ROW) {
                found = (const char *) sqlite3_column_text(type, 0);
                r = found && streq(found, "object") ? prepare(handle, entries_text, text, size, &entries)
                                                    : -EBADMSG;
        } else if (r >= 0)
                r = -ENOMEM;
        if (r >= 0)
                r = tell_entries(entries, told, userdata);
        sqlite3_finalize(type);
        sqlite3_finalize(entries);
        sqlite3_close(handle);
        return r;
}
