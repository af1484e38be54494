/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/host-keys.h"

#include <glob.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "dns/protocol.h"
#include "util/file.h"
#include "util/log.h"

#define FILE_MAX    (64 * 1024)
#define HASH_SHA256 2
#define BLOB_MAX    (16 * 1024)

/* RFC 4255 section 3.1.1, RFC 6594, RFC 7479, RFC 8709. */
static const struct {
        const char *prefix;
        uint8_t algorithm;
} kinds[] = {
        { "ssh-rsa ", 1 },     { "ssh-dss ", 2 },   { "ecdsa-sha2-", 3 },
        { "ssh-ed25519 ", 4 }, { "ssh-ed448 ", 6 },
};

static uint8_t algorithm_of(const char *text)
{
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
                        return kinds[i].algorithm;
        return 0;
}

/* "ssh-ed25519 AAAA... comment": the fingerprint is of the octets that the second word stands for. */
static int fingerprint(const char *text, uint8_t ret[static 2 + SHA256_DIGEST_LENGTH])
{
        size_t start = strcspn(text, " "), length;
        _cleanup_free_ uint8_t *blob = NULL;
        uint8_t algorithm = algorithm_of(text);
        unsigned padding = 0;
        int size;

        if (algorithm == 0 || !text[start])
                return -EINVAL;
        text += start + 1;
        length = strcspn(text, " \r\n");
        if (length == 0 || length % 4 != 0 || length > BLOB_MAX)
                return -EINVAL;
        while (padding < 2 && text[length - 1 - padding] == '=')
                padding++;
        blob = malloc(length);
        if (!blob)
                return -ENOMEM;
        size = EVP_DecodeBlock(blob, (const uint8_t *) text, (int) length);
        if (size < 0)
                return -EINVAL;
        ret[0] = algorithm;
        ret[1] = HASH_SHA256;
        SHA256(blob, (size_t) size - padding, ret + 2);
        return 0;
}

static int add_file(const char *path, struct extra_record_list *list)
{
        uint8_t rdata[2 + SHA256_DIGEST_LENGTH];
        struct extra_record record = { .type = DNS_TYPE_SSHFP, .length = sizeof(rdata), .rdata = rdata };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read(path, FILE_MAX, &text, &size);
        if (r >= 0)
                r = fingerprint(text, rdata);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                log_debug("%s: %s", path, strerror(-r));
                return 0;
        }
        /* Cannot fail: the root. */
        (void) dns_name_parse(".", &record.below);
        return extra_record_list_add(list, &record);
}

int host_keys_read(const char *directory, struct extra_record_list *list)
{
        _cleanup_free_ char *pattern = path_join(directory, "ssh_host_*_key.pub");
        glob_t found = { 0 };
        int r = 0, n;

        if (!pattern)
                return -ENOMEM;
        n = glob(pattern, 0, NULL, &found);
        for (size_t i = 0; n == 0 && i < found.gl_pathc && r >= 0; i++)
                r = add_file(found.gl_pathv[i], list);
        globfree(&found);
        return n == GLOB_NOSPACE ? -ENOMEM : r;
}
