/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/key.h"

#include <fcntl.h>

#include "nsregc/key-sealed.h"
#include "util/file.h"

#define FILE_MAX     65536
#define PRIVATE_NAME "nsregc.private"
#define PUBLIC_NAME  "nsregc.key"

void key_paths_clear(struct key_paths *paths)
{
        free(paths->private_path);
        free(paths->public_path);
        *paths = (struct key_paths){ 0 };
}

/* A relative path is beside the configuration file. */
static char *path_beside(const struct nsregc_config *config, const char *path)
{
        return path[0] == '/' || !config->directory ? strdup(path) : path_join(config->directory, path);
}

char *key_public_path(const struct nsregc_config *config, const char *state)
{
        return config->key_file_given ? path_beside(config, config->key_file) : path_join(state, PUBLIC_NAME);
}

/* Where it is kept when it is not a credential. 0 or -ENOMEM. */
static int paths_own(const struct nsregc_config *config, const char *state, struct key_paths *ret)
{
        ret->private_path = config->private_key_file_given ? path_beside(config, config->private_key_file)
                                                           : path_join(state, PRIVATE_NAME);
        ret->public_path = key_public_path(config, state);
        return ret->private_path && ret->public_path ? 0 : -ENOMEM;
}

static int complain(char **why, const char *path, const char *what, int r)
{
        if (r != -ENOMEM && asprintf(why, "%s: %s", path, what) < 0)
                *why = NULL;
        return r;
}

int key_read(const char *path, struct dns_keypair **ret, char **why)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read(path, FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return r;
        if (r < 0)
                return complain(why, path, strerror(-r), r);
        r = dns_keypair_parse(text, size, ret);
        explicit_bzero(text, size);
        if (r == -EOPNOTSUPP)
                return complain(why, path, "a key of an algorithm that is not supported", r);
        if (r < 0)
                return complain(why, path, "not a private key file as BIND writes it", r);
        return 0;
}

int key_write_public(const char *path, const char *label, const struct dns_key *key, char **why)
{
        _cleanup_free_ char *text = NULL;
        struct dns_name owner;
        int r;

        r = dns_name_parse(label, &owner);
        if (r < 0)
                return complain(why, label, "no name for a key", r);
        r = dns_key_format_rr(&owner, key, &text);
        if (r < 0)
                return r;
        r = file_write_atomic(path, text, strlen(text), 0644);
        return r < 0 ? complain(why, path, strerror(-r), r) : 0;
}

/* The public half first: with a private one there, the next start would not make it up. */
static int key_make(const struct key_paths *paths, const char *label, struct dns_keypair **ret, char **why)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = dns_keypair_generate(DNS_ALGORITHM_ECDSAP256SHA256, &pair);
        if (r < 0)
                return r;
        r = dns_keypair_format(pair, &text);
        if (r < 0)
                return r;
        r = key_write_public(paths->public_path, label, &pair->key, why);
        if (r >= 0) {
                r = file_write_atomic(paths->private_path, text, strlen(text), 0600);
                if (r < 0)
                        (void) complain(why, paths->private_path, strerror(-r), r);
        }
        explicit_bzero(text, strlen(text));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(pair);
        return 0;
}

static int credential_read(struct dns_keypair **ret, struct key_paths *ret_paths, char **why)
{
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = directory ? path_join(directory, PRIVATE_NAME) : NULL;
        int r;

        if (!path)
                return directory ? -ENOMEM : -ENOENT;
        r = key_read(path, ret, why);
        if (r >= 0)
                ret_paths->private_path = TAKE_PTR(path);
        return r;
}

/* An installation of the original keeps its key beside its configuration. */
static int original_read(const struct nsregc_config *config, struct dns_keypair **ret,
                         struct key_paths *ret_paths, char **why)
{
        _cleanup_free_ char *path = NULL;
        int r;

        if (!config->directory)
                return -ENOENT;
        path = path_join(config->directory, PRIVATE_NAME);
        if (!path)
                return -ENOMEM;
        r = key_read(path, ret, why);
        if (r < 0)
                return r;
        key_paths_clear(ret_paths);
        ret_paths->private_path = TAKE_PTR(path);
        return 0;
}

static int sealed_obtain(const struct nsregc_config *config, struct dns_keypair **ret,
                         struct key_paths *ret_paths, bool *ret_made, char **why)
{
        int r = 0;

        if (access(KEY_SEALED_PATH, F_OK) < 0) {
                if (!config->gen_key)
                        return complain(why, KEY_SEALED_PATH, "no such key, and gen-key is off", -ENOKEY);
                r = key_seal_new(why);
                *ret_made = r >= 0;
        }
        if (r >= 0)
                r = key_unseal(KEY_SEALED_PATH, ret, why);
        if (r < 0)
                return r;
        ret_paths->private_path = strdup(KEY_SEALED_PATH);
        return 0;
}

int key_obtain(const struct nsregc_config *config, const char *state, bool sealed, const char *label,
               struct dns_keypair **ret, struct key_paths *ret_paths, bool *ret_made, char **why)
{
        int r;

        *ret_made = false;
        if (!config->private_key_file_given) {
                r = credential_read(ret, ret_paths, why);
                if (r != -ENOENT)
                        return r;
                if (sealed)
                        return sealed_obtain(config, ret, ret_paths, ret_made, why);
        }
        r = paths_own(config, state, ret_paths);
        if (r < 0)
                return r;
        r = key_read(ret_paths->private_path, ret, why);
        if (r != -ENOENT)
                return r;
        if (!config->private_key_file_given) {
                r = original_read(config, ret, ret_paths, why);
                if (r != -ENOENT)
                        return r;
        }
        if (!config->gen_key)
                return complain(why, ret_paths->private_path, "no such key, and gen-key is off", -ENOKEY);
        r = key_make(ret_paths, label, ret, why);
        *ret_made = r >= 0;
        return r;
}

int key_generate(const struct nsregc_config *config, const char *state, bool sealed, const char *label,
                 struct dns_keypair **ret, struct key_paths *ret_paths, char **why)
{
        static const char there[] = "there is a key already; names registered with it would be lost";
        bool made;
        int r;

        if (sealed && !config->private_key_file_given) {
                if (access(KEY_SEALED_PATH, F_OK) >= 0)
                        return complain(why, KEY_SEALED_PATH, there, -EEXIST);
                return sealed_obtain(config, ret, ret_paths, &made, why);
        }
        r = paths_own(config, state, ret_paths);
        if (r < 0)
                return r;
        if (access(ret_paths->private_path, F_OK) >= 0)
                return complain(why, ret_paths->private_path, there, -EEXIST);
        return key_make(ret_paths, label, ret, why);
}
