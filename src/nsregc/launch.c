/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/launch.h"

#include "nsregc/bus-ask.h"
#include "nsregc/hostname.h"
#include "nsregc/key.h"
#include "nsregc/machine-note.h"
#include "util/log.h"

static int key_report(int r, const char *why, const struct key_paths *paths, const struct dns_keypair *pair,
                      bool made)
{
        char fingerprint[DNS_KEY_FINGERPRINT_MAX];

        if (r < 0) {
                log_error("Key: %s", why ?: strerror(-r));
                return r;
        }
        dns_key_fingerprint(&pair->key, fingerprint);
        if (made)
                log_info("Made a key, %s, fingerprint %s", paths->private_path, fingerprint);
        else
                log_debug("Key %s, fingerprint %s", paths->private_path, fingerprint);
        return 0;
}

int launch_load(void *userdata, struct nsregc_config **ret, char **why)
{
        const struct options *options = userdata;
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;
        struct config_error error = CONFIG_ERROR_INIT;
        int r;

        r = nsregc_config_load(options->config_path, &config, &error);
        if (error.warnings)
                log_warning("%s", error.warnings);
        if (r < 0)
                *why = TAKE_PTR(error.text);
        config_error_clear(&error);
        if (r < 0)
                return r;
        r = options_apply(options, config);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(config);
        return 0;
}

/* Made by root for a service that has to read it. */
static int key_give(const struct key_paths *paths)
{
        int r = identity_give(paths->private_path);

        if (r >= 0 && paths->public_path)
                r = identity_give(paths->public_path);
        if (r < 0)
                log_error("%s: cannot be given to the service's user: %s", paths->private_path, strerror(-r));
        return r;
}

static int key_get(const struct options *options, const struct nsregc_config *config,
                   struct identity *identity)
{
        bool by_hand = identity_is_by_hand(), made = true;
        _cleanup_free_ char *why = NULL;
        struct key_paths paths = { 0 };
        char label[HOSTNAME_LABEL_MAX];
        int r;

        if (hostname_choose(config->name, "/etc", label) < 0)
                strcpy(label, "nsregc");
        if (options->generate_key)
                r = key_generate(config, identity->state, by_hand, label, &identity->pair, &paths, &why);
        else
                r = key_obtain(config, identity->state, by_hand, label, &identity->pair, &paths, &made, &why);
        r = key_report(r, why, &paths, identity->pair, made);
        if (r >= 0 && made && by_hand && config->private_key_file_given)
                r = key_give(&paths);
        if (r >= 0)
                identity->key_source = TAKE_PTR(paths.private_path);
        key_paths_clear(&paths);
        return r;
}

/* From here on the state directory is ours alone. */
static int state_take(const char *state, int *ret_lock)
{
        int r = 0;

        if (identity_is_by_hand())
                r = identity_become_service();
        if (r < 0) {
                log_error("Becoming the service's user: %s", strerror(-r));
                return r;
        }
        /* A service waits for a command that is about to end; a person is told. */
        r = identity_lock(state, getenv("NOTIFY_SOCKET"), ret_lock);
        if (r == -EWOULDBLOCK)
                log_error("%s/lock: another nsregc is at work with this key; stop it, or wait for its end",
                          state);
        else if (r < 0)
                log_error("%s/lock: %s", state, strerror(-r));
        return r;
}

int launch_key(const struct options *options, const struct nsregc_config *config, struct identity *ret)
{
        int r;

        r = identity_state(&ret->state);
        if (r == -ENOENT)
                log_error("There is no home directory to keep the key in; set STATE_DIRECTORY");
        else if (r < 0)
                log_error("The state directory cannot be made: %s", strerror(-r));
        return r < 0 ? r : key_get(options, config, ret);
}

int launch_state(struct identity *identity)
{
        int r = state_take(identity->state, &identity->lock);

        if (r >= 0)
                machine_note(identity->state, identity->key_source);
        return r;
}

int launch_identity(const struct options *options, const struct nsregc_config *config, struct identity *ret)
{
        int r = launch_key(options, config, ret);

        return r < 0 || options->generate_key ? r : launch_state(ret);
}

/* What runs has the configuration of the system; the command line may say the same, and no more. 0; 2 when it
 * does not, told; -errno. */
static int same_as_service(const struct nsregc_config *config)
{
        _cleanup_(nsregc_config_freep) struct nsregc_config *service = NULL;
        _cleanup_free_ char *different = NULL;
        static const struct options none = { 0 };
        _cleanup_free_ char *why = NULL;
        int r;

        r = launch_load((void *) &none, &service, &why);
        if (r < 0) {
                log_error("%s", why ?: strerror(-r));
                return r;
        }
        r = options_difference(service, config, &different);
        if (r < 0)
                return r;
        if (!different)
                return 0;
        log_error(
                "nsregc.service runs, and is not configured like this: %s. Leave it out, or put it into the "
                "configuration and type: systemctl reload nsregc",
                different);
        return 2;
}

int launch_ask(const struct options *options, const struct nsregc_config *config)
{
        _cleanup_(bus_ask_freep) struct bus_ask *ask = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        if (options->generate_key || !identity_is_by_hand())
                return -ENOENT;
        r = bus_ask_open(&ask);
        if (r == -ENOENT)
                return r;
        if (r < 0) {
                log_error("The system bus: %s", strerror(-r));
                return -EIO;
        }
        r = same_as_service(config);
        if (r != 0)
                return r == -ENOENT ? -EIO : r;
        if (options->roll_key) {
                log_error("nsregc.service runs: type systemctl stop nsregc first, and start it again behind "
                          "this");
                return -EALREADY;
        }
        if (options->challenge) {
                r = bus_ask_record(ask, options->challenge_add, "_acme-challenge", "TXT", options->challenge,
                                   &why);
                if (r < 0)
                        log_error("%s", why ?: strerror(-r));
                return r < 0 ? -EIO : 0;
        }
        if (!options->once && !options->release) {
                log_error("nsregc.service runs already; \"nsregctl client\" shows what it does");
                return -EALREADY;
        }
        r = bus_ask_run(ask, options->release, &why);
        if (r < 0)
                log_error("%s", why ?: strerror(-r));
        return r < 0 ? -EIO : 0;
}
