/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>

#include "nsregctl/verbs.h"
#include "util/macro.h"

struct verb {
        const char *name;
        int min_arguments, max_arguments; /* behind the verb */
        bool pages;                       /* its output may be long */
        int (*run)(struct context *context, int argc, char *argv[]);
        const char *usage;
        const char *help;
};

static const struct verb verbs[] = {
        { "status", 0, 0, false, verb_status, "", "Both daemons at a glance (default)" },
        { "list", 0, 1, true, verb_list, " [ZONE|GLOB]", "List registered names, or records (--type)" },
        { "show", 1, 1, false, verb_show, " NAME", "Show all about one name" },
        { "zones", 0, 0, false, verb_zones, "", "List zones" },
        { "upstreams", 0, 0, false, verb_upstreams, "", "List the DNS servers that names are carried into" },
        { "reserved", 0, 0, true, verb_reserved, "", "List reserved names and refused keys" },
        { "revoke", 1, 1, false, verb_change, " NAME",
          "Take a name from its owner; --block refuses its key" },
        { "withdraw", 1, 1, false, verb_change, " NAME",
          "Take a name's records out of the DNS, keep its owner" },
        { "reserve", 1, 1, false, verb_change, " NAME", "Let nobody claim a name" },
        { "unreserve", 1, 1, false, verb_change, " NAME", "Let a name be claimed again, by any key" },
        { "abandon-import", 1, 1, false, verb_change, " ZONE", "Give up a key file that cannot be imported" },
        { "forget", 1, 1, false, verb_change, " UPSTREAM", "Forget a DNS server that is configured no more" },
        { "monitor", 0, 0, false, verb_monitor, "", "Show events as they happen" },
        { "flush", 0, 0, false, verb_simple, "", "Try failing DNS servers again now" },
        { "reconcile", 0, 0, false, verb_simple, "",
          "Compare DNS servers with what they should have, and repair" },
        { "reload", 0, 0, false, verb_simple, "", "Let nsregd read its configuration again" },
        { "statistics", 0, 0, false, verb_statistics, "", "Show counters" },
        { "client", 0, 1, false, verb_client, " [status|refresh|release|rediscover|reload]",
          "Speak to nsregc" },
};

static void help(void)
{
        printf("nsregctl [OPTIONS...] VERB\n\nShows and steers nsregd and nsregc.\n\nVerbs:\n");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                char left[64];

                snprintf(left, sizeof(left), "%s%s", verbs[i].name, verbs[i].usage);
                if (strlen(left) > 22)
                        printf("  %s\n  %-22s %s\n", left, "", verbs[i].help);
                else
                        printf("  %-22s %s\n", left, verbs[i].help);
        }
        printf("\nOptions:\n"
               "     --json=pretty|short JSON instead of tables\n"
               "  -l --full              Leave out nothing, however wide a table gets\n"
               "     --no-pager          Do not pipe long output into a pager\n"
               "     --no-legend         No headings, no remarks\n"
               "     --type=TYPE|any     list: records of this type\n"
               "     --block             revoke: refuse the key for this name from now on\n"
               "     --prometheus        statistics: in Prometheus' text format\n"
               "  -h --help              Show this help\n"
               "     --version           Show the version\n\n"
               "See nsregctl(1).\n");
}

struct options {
        struct context context;
        bool pager;
        bool full;
};

/* 0: go on; 1: all is done; -EINVAL. */
static int parse_arguments(int argc, char *argv[], struct options *options)
{
        enum {
                OPTION_JSON = 256,
                OPTION_NO_PAGER,
                OPTION_NO_LEGEND,
                OPTION_TYPE,
                OPTION_BLOCK,
                OPTION_PROMETHEUS,
                OPTION_VERSION
        };
        static const struct option long_options[] = {
                { "json", required_argument, NULL, OPTION_JSON },
                { "full", no_argument, NULL, 'l' },
                { "no-pager", no_argument, NULL, OPTION_NO_PAGER },
                { "no-legend", no_argument, NULL, OPTION_NO_LEGEND },
                { "type", required_argument, NULL, OPTION_TYPE },
                { "block", no_argument, NULL, OPTION_BLOCK },
                { "prometheus", no_argument, NULL, OPTION_PROMETHEUS },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "hl", long_options, NULL)) >= 0)
                switch (c) {
                case OPTION_JSON:
                        if (streq(optarg, "pretty"))
                                options->context.output = OUTPUT_JSON_PRETTY;
                        else if (streq(optarg, "short"))
                                options->context.output = OUTPUT_JSON_SHORT;
                        else {
                                fprintf(stderr,
                                        "nsregctl: --json takes \"pretty\" or \"short\", not \"%s\".\n",
                                        optarg);
                                return -EINVAL;
                        }
                        break;
                case 'l':
                        options->full = true;
                        break;
                case OPTION_NO_PAGER:
                        options->pager = false;
                        break;
                case OPTION_NO_LEGEND:
                        options->context.legend = false;
                        break;
                case OPTION_TYPE:
                        options->context.type = optarg;
                        break;
                case OPTION_BLOCK:
                        options->context.block = true;
                        break;
                case OPTION_PROMETHEUS:
                        options->context.prometheus = true;
                        break;
                case 'h':
                        help();
                        return 1;
                case OPTION_VERSION:
                        printf("nsregctl %s\n", NSREG_VERSION);
                        return 1;
                default:
                        fprintf(stderr, "Try 'nsregctl --help'.\n");
                        return -EINVAL;
                }
        return 0;
}

static const struct verb *find_verb(int argc, char *argv[])
{
        const char *name = argc > 0 ? argv[0] : "status";

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                const struct verb *verb = &verbs[i];
                int n = MAX(argc - 1, 0);

                if (!streq(verb->name, name))
                        continue;
                if (n >= verb->min_arguments && n <= verb->max_arguments)
                        return verb;
                fprintf(stderr,
                        n < verb->min_arguments ? "nsregctl: \"%s\" needs more: nsregctl %s%s\n"
                                                : "nsregctl: \"%s\" takes less: nsregctl %s%s\n",
                        name, verb->name, verb->usage);
                return NULL;
        }
        fprintf(stderr, "nsregctl: There is no verb \"%s\". Try 'nsregctl --help'.\n", name);
        return NULL;
}

/* Whether somebody else sits at the terminal than this runs as: what he may do is to look, and a pager may
 * run programs. As with systemd's own tools, SYSTEMD_PAGERSECURE knows better. */
static bool pager_is_secure(void)
{
        const char *told = getenv("SYSTEMD_PAGERSECURE");
        uid_t owner;

        if (told && told[0])
                return !streq(told, "0") && strcasecmp(told, "no") != 0 && strcasecmp(told, "false") != 0 &&
                       strcasecmp(told, "off") != 0;
        return getuid() != geteuid() || getenv("SUDO_UID") ||
               (sd_pid_get_owner_uid(0, &owner) >= 0 && owner != geteuid());
}

/* Does not return. */
static void run_pager(const char *pager, bool secure)
{
        /* Without S: what is chopped at the edge looks as if it were whole. */
        setenv("LESS", "FRXMK", secure);
        if (secure) {
                setenv("LESSSECURE", "1", true);
                execlp("less", "less", NULL);
                execlp("cat", "cat", NULL);
        } else
                execlp("sh", "sh", "-c", pager, NULL);
        _exit(127);
}

/* Standard output goes through a pager from now on; its process id, or 0 where there is none to be had. */
static pid_t start_pager(void)
{
        const char *pager = getenv("SYSTEMD_PAGER") ?: getenv("PAGER") ?: "less";
        int pipe_fds[2];
        pid_t pid;

        if (!isatty(STDOUT_FILENO) || pager[0] == '\0' || streq(pager, "cat") || pipe(pipe_fds) < 0)
                return 0;
        pid = fork();
        if (pid == 0) {
                dup2(pipe_fds[0], STDIN_FILENO);
                close(pipe_fds[0]);
                close(pipe_fds[1]);
                run_pager(pager, pager_is_secure());
        }
        if (pid > 0)
                dup2(pipe_fds[1], STDOUT_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return MAX(pid, 0);
}

/* As systemd's tools: COLUMNS says more than the terminal. 0: there is none. */
static unsigned terminal_width(void)
{
        const char *columns = getenv("COLUMNS");
        struct winsize size;
        unsigned long number;
        char *end;

        if (!isatty(STDOUT_FILENO))
                return 0;
        if (columns && columns[0] >= '1' && columns[0] <= '9') {
                number = strtoul(columns, &end, 10);
                if (*end == '\0' && number <= UINT16_MAX)
                        return (unsigned) number;
        }
        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void end_pager(pid_t pid)
{
        if (pid <= 0)
                return;
        fflush(stdout);
        close(STDOUT_FILENO);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

int main(int argc, char *argv[])
{
        struct options options = { .context = { .output = OUTPUT_TABLE, .legend = true }, .pager = true };
        const struct verb *verb;
        pid_t pager = 0;
        int r;

        /* How wide a text is depends on it. */
        (void) setlocale(LC_CTYPE, "");
        r = parse_arguments(argc, argv, &options);
        if (r != 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        verb = find_verb(argc - optind, argv + optind);
        if (!verb)
                return 2;
        if (options.context.block && !streq(verb->name, "revoke")) {
                fprintf(stderr, "nsregctl: --block goes with revoke only.\n");
                return 2;
        }
        if (options.context.type && !streq(verb->name, "list")) {
                fprintf(stderr, "nsregctl: --type goes with list only.\n");
                return 2;
        }
        r = sd_bus_open_system(&options.context.bus);
        if (r < 0) {
                fprintf(stderr, "nsregctl: Cannot reach the system bus: %s.\n", strerror(-r));
                return EXIT_FAILURE;
        }
        table_set_terminal(options.full ? 0 : terminal_width(), isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
        /* A pager that is closed early is no failure. */
        signal(SIGPIPE, SIG_IGN);
        if (options.pager && verb->pages && options.context.output == OUTPUT_TABLE)
                pager = start_pager();
        r = verb->run(&options.context, MAX(argc - optind, 1), argv + optind);
        if (fflush(stdout) != 0 && !pager && r >= 0)
                r = -errno;
        end_pager(pager);
        sd_bus_flush_close_unref(options.context.bus);
        return r == -EINVAL ? 2 : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
