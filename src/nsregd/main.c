/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "config/nsregd-config.h"
#include "nsregd/import.h"
#include "nsregd/manager.h"
#include "nsregd/message-ids.h"
#include "nsregd/prove.h"
#include "nsregd/service-user.h"
#include "util/log.h"

struct options {
        const char *config_path;
        bool check_config;
        bool print;
        bool import;
        char **import_files;
        int n_import_files;
};

static void help(void)
{
        printf("nsregd [OPTIONS...]\n\n"
               "Lets devices claim DNS names, keeps their leases, and carries them into DNS servers.\n\n"
               "  -c --conffile FILE     Read this configuration instead of /etc/nsregd/nsregd.yaml\n"
               "     --check-config      Check the configuration and exit\n"
               "     --print             Print the configuration in force, without secrets, and exit\n"
               "     --import-keydb FILE...\n"
               "                         Take over the key files of the original nsregd and exit\n"
               "     --debug             Log everything\n"
               "  -h --help              Show this help\n"
               "     --version           Show the version\n\n"
               "SIGHUP reads the configuration again. See nsregd(8) and nsregd.yaml(5).\n");
}

/* 0: go on; 1: all is done; -EINVAL. */
static int parse_arguments(int argc, char *argv[], struct options *options)
{
        enum { OPTION_CHECK_CONFIG = 256, OPTION_PRINT, OPTION_IMPORT, OPTION_DEBUG, OPTION_VERSION };
        static const struct option long_options[] = {
                { "conffile", required_argument, NULL, 'c' },
                { "check-config", no_argument, NULL, OPTION_CHECK_CONFIG },
                { "print", no_argument, NULL, OPTION_PRINT },
                { "import-keydb", no_argument, NULL, OPTION_IMPORT },
                { "debug", no_argument, NULL, OPTION_DEBUG },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "c:h", long_options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        options->config_path = optarg;
                        break;
                case OPTION_CHECK_CONFIG:
                        options->check_config = true;
                        break;
                case OPTION_PRINT:
                        options->print = true;
                        break;
                case OPTION_IMPORT:
                        options->import = true;
                        break;
                case OPTION_DEBUG:
                        log_set_max_level(LOG_DEBUG);
                        break;
                case 'h':
                        help();
                        return 1;
                case OPTION_VERSION:
                        printf("nsregd %s\n", NSREG_VERSION);
                        return 1;
                default:
                        fprintf(stderr, "Try 'nsregd --help'.\n");
                        return -EINVAL;
                }
        options->import_files = argv + optind;
        options->n_import_files = argc - optind;
        if (options->import != (options->n_import_files > 0)) {
                fprintf(stderr,
                        options->import ? "nsregd: --import-keydb needs at least one file.\n"
                                        : "nsregd: unexpected argument \"%s\". Try 'nsregd --help'.\n",
                        argv[optind]);
                return -EINVAL;
        }
        return 0;
}

static int show_config(const struct options *options)
{
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        struct config_error error = CONFIG_ERROR_INIT;
        int r;

        r = nsregd_config_load(options->config_path, &config, &error);
        if (error.warnings)
                fprintf(stderr, "%s\n", error.warnings);
        if (r < 0) {
                struct log_fields fields = { .reason = error.text };

                log_event(LOG_ERR, MESSAGE_CONFIGURATION_REJECTED, &fields, "%s", error.text ?: strerror(-r));
        } else if (options->print)
                nsregd_config_print(config, stdout);
        if (r >= 0 && options->check_config)
                r = prove_upstreams(config);
        /* Another file is no service's. */
        if (r >= 0 && options->check_config && !options->config_path && geteuid() == 0)
                r = service_user_check(config);
        config_error_clear(&error);
        return r;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        manager_reload(userdata);
        return 0;
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        manager_stop(userdata);
        return 0;
}

static int run(sd_event *event, const struct options *options)
{
        _cleanup_(manager_freep) struct manager *manager = NULL;
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);

        r = manager_new(event, options->config_path, &manager);
        if (r < 0)
                return r;
        r = sd_event_add_signal(event, NULL, SIGTERM, on_terminate, manager);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, on_terminate, manager);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, manager);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        if (r < 0)
                return r;

        manager_ready(manager);
        r = sd_event_loop(event);
        return r > 0 ? -EIO : r;
}

int main(int argc, char *argv[])
{
        struct options options = {};
        sd_event *event = NULL;
        int r;

        log_open("nsregd");
        r = parse_arguments(argc, argv, &options);
        if (r != 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        if (options.check_config || options.print)
                return show_config(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (options.import)
                return import_keydbs(options.config_path, options.import_files, options.n_import_files) < 0
                               ? EXIT_FAILURE
                               : EXIT_SUCCESS;

        r = sd_event_default(&event);
        if (r >= 0)
                r = run(event, &options);
        sd_event_unref(event);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
