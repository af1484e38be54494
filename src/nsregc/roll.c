/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/roll.h"

#include <sys/wait.h>

#include "nsregc/hostname.h"
#include "nsregc/key-roll.h"
#include "nsregc/key-sealed.h"
#include "nsregc/key.h"
#include "nsregc/launch.h"
#include "nsregc/manager.h"
#include "util/log.h"

static int wait_for(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : ROLL_EXIT_UNCERTAIN;
}

/* What follows from what the registrars said. */
static int conclude(const struct nsregc_config *config, const struct identity *identity,
                    const struct dns_keypair *pair, int status)
{
        bool sealed = streq(identity->key_source, KEY_SEALED_PATH);
        _cleanup_free_ char *public_path = sealed ? NULL : key_public_path(config, identity->state);
        char label[HOSTNAME_LABEL_MAX], fingerprint[DNS_KEY_FINGERPRINT_MAX];
        _cleanup_free_ char *why = NULL;
        int r;

        if (status == ROLL_EXIT_UNCERTAIN) {
                log_error("Not every name has the new key for certain: it is kept in %s.new; type nsregc "
                          "--roll-key again to go on with it",
                          identity->key_source);
                return -EIO;
        }
        if (status != ROLL_EXIT_DONE) {
                r = key_roll_drop(identity->key_source, &why);
                if (r < 0)
                        log_error("%s", why ?: strerror(-r));
                return r < 0 ? r : -EIO;
        }
        if (hostname_choose(config->name, "/etc", label) < 0)
                strcpy(label, "nsregc");
        r = key_roll_take(identity->key_source, public_path, label, &pair->key, &why);
        if (r < 0) {
                log_error("The new key is in force, but not in its place: %s", why ?: strerror(-r));
                return r;
        }
        log_info("The name has a new key, %s, fingerprint %s", identity->key_source,
                 dns_key_fingerprint(&pair->key, fingerprint));
        return 0;
}

int roll_key(const struct options *options, struct nsregc_config *config, roll_run run)
{
        _cleanup_(nsregc_config_freep) struct nsregc_config *owned = config;
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        struct identity identity = { .lock = -1 };
        _cleanup_free_ char *why = NULL;
        bool left = false;
        pid_t pid;
        int r;

        r = launch_key(options, config, &identity);
        if (r >= 0 && getenv("CREDENTIALS_DIRECTORY") && !config->private_key_file_given) {
                log_error("A credential cannot be replaced from within; type nsregc --roll-key as root");
                r = -EROFS;
        }
        if (r >= 0) {
                r = key_roll_begin(identity.key_source, &pair, &left, &why);
                if (r < 0)
                        log_error("Key: %s", why ?: strerror(-r));
        }
        if (r >= 0) {
                if (left)
                        log_info("Going on with the new key of an earlier attempt");
                pid = fork();
                if (pid == 0)
                        _exit(run(options, TAKE_PTR(owned), &identity, pair, left));
                r = pid < 0 ? -errno : wait_for(pid);
                r = r < 0 ? r : conclude(config, &identity, pair, r);
        }
        identity_clear(&identity);
        return r;
}
