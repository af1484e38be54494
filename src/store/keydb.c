/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>

#include "store/keydb.h"
#include "util/escape.h"
#include "util/file.h"

#define KEYDB_SIZE_MAX (64U << 20)

static const char entries_text[] =
        "SELECT key, value ->> '$.Flags', value ->> '$.Protocol', value ->> '$.Algorithm',"
        " value ->> '$.PublicKey', CAST(strftime('%s', value ->> '$.Expiry') AS INTEGER)"
        " FROM json_each(?1)";

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

static int read_entry(sqlite3_stmt *statement, keydb_entry entry, void *userdata, char **why)
{
        const char *name_text = (const char *) sqlite3_column_text(statement, 0);
        const char *public_key = (const char *) sqlite3_column_text(statement, 4);
        struct dns_key key = {
                .flags = (uint16_t) sqlite3_column_int(statement, 1),
                .protocol = (uint8_t) sqlite3_column_int(statement, 2),
                .algorithm = (uint8_t) sqlite3_column_int(statement, 3),
        };
        int64_t expiry = sqlite3_column_int64(statement, 5);
        char escaped[128];
        struct dns_name name;

        if (!name_text || dns_name_parse(name_text, &name) < 0 || !public_key ||
            decode_base64(public_key, &key) < 0 || dns_key_check(&key, NULL) < 0 ||
            sqlite3_column_type(statement, 5) == SQLITE_NULL || expiry < 0) {
                if (asprintf(why, "the entry of \"%s\" makes no sense",
                             escape_string(escaped, sizeof(escaped), name_text ?: "")) < 0)
                        *why = NULL;
                return -EBADMSG;
        }
        return entry ? entry(userdata, &name, &key, (usec_t) expiry * USEC_PER_SEC) : 0;
}

static int read_entries(sqlite3_stmt *statement, keydb_entry entry, void *userdata, char **why)
{
        int code, r = 0;

        while (r >= 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
                r = read_entry(statement, entry, userdata, why);
        if (r >= 0 && code != SQLITE_DONE) {
                *why = strdup("it is no JSON object");
                r = -EBADMSG;
        }
        sqlite3_reset(statement);
        return r;
}

int keydb_read(const char *path, keydb_entry entry, void *userdata, char **why)
{
        _cleanup_free_ char *text = NULL;
        sqlite3_stmt *statement = NULL;
        sqlite3 *handle = NULL;
        size_t size;
        int r;

        *why = NULL;
        r = file_read(path, KEYDB_SIZE_MAX, &text, &size);
        if (r < 0)
                return r;
        r = -ENOMEM;
        if (sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
                    SQLITE_OK ||
            sqlite3_prepare_v2(handle, entries_text, -1, &statement, NULL) != SQLITE_OK ||
            sqlite3_bind_text(statement, 1, text, (int) size, SQLITE_STATIC) != SQLITE_OK)
                goto finish;
        /* Once without telling: all or nothing. */
        r = read_entries(statement, NULL, NULL, why);
        if (r >= 0)
                r = read_entries(statement, entry, userdata, why);
finish:
        sqlite3_finalize(statement);
        sqlite3_close(handle);
        return r;
}
