/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "nsregc/bus.h"
#include "nsregc/launch.h"
#include "nsregc/manager.h"
#include "nsregc/options.h"
#include "nsregc/roll.h"
#include "util/log.h"

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct manager *manager = userdata;
        _cleanup_free_ char *why = NULL;

        if (info->ssi_signo != SIGHUP) {
                manager_stop(manager);
                return 0;
        }
        (void) sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_usec(CLOCK_MONOTONIC));
        (void) manager_reload(manager, &why);
        (void) sd_notify(false, "READY=1");
        return 0;
}

static int signals_set_up(sd_event *event, struct manager *manager)
{
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                int r = sd_event_add_signal(event, NULL, signals[i], on_signal, manager);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int signals_block(void)
{
        sigset_t mask;

        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        return sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
}

/* Takes the configuration. */
/* Its letters were looked at: they are a text in DNS as they are. */
static int say_challenge(const struct options *options, struct manager *manager)
{
        struct extra_record record;
        const char *why;
        int r;

        r = extra_record_parse("_acme-challenge", "TXT", options->challenge, &record, &why);
        if (r < 0) {
                log_error("--acme-challenge: %s", r == -EINVAL ? why : strerror(-r));
                return r;
        }
        if (options->challenge_add)
                r = manager_add_record(manager, &record);
        else
                (void) manager_remove_record(manager, &record, true);
        extra_record_clear(&record);
        return r;
}

/* "pair" is a new key, for --roll-key. */
static int run(const struct options *options, struct nsregc_config *config, const struct identity *identity,
               const struct dns_keypair *pair, bool left)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(client_bus_freep) struct client_bus *bus = NULL;
        _cleanup_(manager_freep) struct manager *manager = NULL; /* freed before what watches it */
        enum manager_mode mode = options->roll_key                     ? MANAGER_ROLL
                                 : options->release                    ? MANAGER_RELEASE
                                 : options->once || options->challenge ? MANAGER_ONCE
                                                                       : MANAGER_DAEMON;
        int r;

        r = signals_block();
        if (r >= 0)
                r = sd_event_default(&event);
        if (r < 0) {
                log_error("Event loop: %s", strerror(-r));
                nsregc_config_free(config);
                return r;
        }
        r = manager_new(event, mode, config, identity, launch_load, (void *) options, &manager);
        if (r < 0)
                return r;
        if (pair)
                manager_set_roll(manager, pair, left);
        if (options->challenge) {
                r = say_challenge(options, manager);
                if (r < 0)
                        return r;
        }
        /* A command that ends by itself is no service. */
        if (mode == MANAGER_DAEMON) {
                r = client_bus_new(manager, &bus);
                if (r < 0)
                        return r;
        }
        r = signals_set_up(event, manager);
        if (r < 0) {
                log_error("Signals: %s", strerror(-r));
                return r;
        }
        if (mode == MANAGER_DAEMON) {
                (void) sd_event_set_watchdog(event, true);
                (void) sd_notify(false, "READY=1");
                if (!manager_label(manager))
                        log_notice("%s; waiting for one", manager_label_why(manager));
        }
        r = sd_event_loop(event);
        if (r < 0)
                log_error("Event loop: %s", strerror(-r));
        return r;
}

/* Takes the configuration. */
static int main_configured(const struct options *options, struct nsregc_config *config)
{
        _cleanup_(nsregc_config_freep) struct nsregc_config *owned = config;
        struct identity identity = { .lock = -1 };
        int r;

        r = launch_identity(options, config, &identity);
        if (r >= 0 && !options->generate_key)
                r = run(options, TAKE_PTR(owned), &identity, NULL, false);
        identity_clear(&identity);
        return r;
}

/* Where nothing was said to anybody, nothing has changed. */
static int roll_in_child(const struct options *options, struct nsregc_config *config,
                         struct identity *identity, const struct dns_keypair *pair, bool left)
{
        int r = launch_state(identity);

        if (r < 0)
                nsregc_config_free(config);
        else
                r = run(options, config, identity, pair, left);
        if (r < 0)
                return left ? ROLL_EXIT_UNCERTAIN : ROLL_EXIT_NOTHING;
        return r;
}

/* For whoever seals keys: it never touches a disk in the clear. */
static int print_new_key(void)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        char *text = NULL;
        int r;

        r = dns_keypair_generate(DNS_ALGORITHM_ECDSAP256SHA256, &pair);
        if (r >= 0)
                r = dns_keypair_format(pair, &text);
        if (r < 0) {
                log_error("A key could not be made: %s.", strerror(-r));
                return r;
        }
        if (fputs(text, stdout) < 0 || fflush(stdout) < 0)
                r = -EIO;
        explicit_bzero(text, strlen(text));
        free(text);
        return r;
}

static int main_with(struct options *options)
{
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;
        _cleanup_free_ char *why = NULL;
        int r;

        r = launch_load(options, &config, &why);
        if (r < 0) {
                log_error("%s", why ?: strerror(-r));
                return r;
        }
        if (options->print && options->generate_key)
                return print_new_key();
        if (options->print) {
                nsregc_config_print(config, stdout);
                return 0;
        }
        r = launch_ask(options, config);
        if (r != -ENOENT)
                return r;
        return options->roll_key ? roll_key(options, TAKE_PTR(config), roll_in_child)
                                 : main_configured(options, TAKE_PTR(config));
}

/* The library would fill tables of error texts and of every algorithm that it has: half a megabyte for what
 * is never looked up here. Its configuration, which may hold a policy of the machine, is read all the same.
 */
static void crypto_set_up(void)
{
        /* What fails here is done by the first call that needs it. */
        (void) OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
                                           OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
                                   NULL);
}

int main(int argc, char *argv[])
{
        struct options options = { 0 };
        int r;

        crypto_set_up();
        log_open("nsregc");
        r = options_parse(argc, argv, &options);
        if (r == 0)
                r = options_check(&options);
        if (r != 0) {
                options_clear(&options);
                return r > 0 ? EXIT_SUCCESS : 2;
        }
        if (options.debug)
                log_set_max_level(LOG_DEBUG);
        r = main_with(&options);
        options_clear(&options);
        return r < 0 ? EXIT_FAILURE : r;
}
