/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/key-roll.h"

#include <sys/stat.h>

#include "nsregc/key-sealed.h"
#include "nsregc/key.h"
#include "util/file.h"

static char *path_of_new(const char *path)
{
        char *new_path;

        return asprintf(&new_path, "%s.new", path) < 0 ? NULL : new_path;
}

static int complain(char **why, const char *path, int r)
{
        if (r != -ENOMEM && asprintf(why, "%s: %s", path, strerror(-r)) < 0)
                *why = NULL;
        return r;
}

/* Whoever may read the one may read the other. */
static int own_alike(const char *path, const char *new_path)
{
        struct stat old;

        if (stat(path, &old) < 0 || lchown(new_path, old.st_uid, old.st_gid) < 0)
                return -errno;
        return 0;
}

static int make(const char *path, const char *new_path, struct dns_keypair **ret, char **why)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        char *text = NULL;
        int r;

        r = dns_keypair_generate(DNS_ALGORITHM_ECDSAP256SHA256, &pair);
        if (r >= 0)
                r = dns_keypair_format(pair, &text);
        if (r < 0)
                return r;
        if (streq(path, KEY_SEALED_PATH))
                r = key_seal(text, new_path, why);
        else {
                r = file_write_atomic(new_path, text, strlen(text), 0600);
                if (r >= 0)
                        r = own_alike(path, new_path);
                if (r < 0)
                        (void) complain(why, new_path, r);
        }
        explicit_bzero(text, strlen(text));
        free(text);
        if (r >= 0)
                *ret = TAKE_PTR(pair);
        return r;
}

int key_roll_begin(const char *path, struct dns_keypair **ret, bool *ret_left, char **why)
{
        _cleanup_free_ char *new_path = path_of_new(path);

        if (!new_path)
                return -ENOMEM;
        *ret_left = access(new_path, F_OK) >= 0;
        if (!*ret_left)
                return make(path, new_path, ret, why);
        return streq(path, KEY_SEALED_PATH) ? key_unseal(new_path, ret, why) : key_read(new_path, ret, why);
}

int key_roll_take(const char *path, const char *public_path, const char *label, const struct dns_key *key,
                  char **why)
{
        _cleanup_free_ char *new_path = path_of_new(path);

        if (!new_path)
                return -ENOMEM;
        if (rename(new_path, path) < 0)
                return complain(why, new_path, -errno);
        return public_path && access(public_path, F_OK) >= 0 ? key_write_public(public_path, label, key, why)
                                                             : 0;
}

int key_roll_drop(const char *path, char **why)
{
        _cleanup_free_ char *new_path = path_of_new(path);

        if (!new_path)
                return -ENOMEM;
        return unlink(new_path) < 0 && errno != ENOENT ? complain(why, new_path, -errno) : 0;
}
