/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/service-user.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "util/file.h"
#include "util/log.h"

#define SERVICE_USER "nsregd"

/* Within the service these are empty, whatever they hold (ProtectHome=, PrivateTmp=). */
static const char *const unseen[] = { "/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/" };

/* What belongs to another group that may read it stays that group's; the service joins it. */
static void tell(const char *path, const char *obstacle, const struct stat *st)
{
        const struct group *group = st->st_gid != 0 && st->st_mode & S_IRGRP ? getgrgid(st->st_gid) : NULL;
        const char *because = streq(path, obstacle) ? "" : ", because of ";
        const char *what = streq(path, obstacle) ? "" : obstacle;

        if (group)
                log_error("%s: the service's user " SERVICE_USER
                          " cannot read it%s%s. Type: usermod -a -G %s " SERVICE_USER,
                          path, because, what, group->gr_name);
        else
                log_error("%s: the service's user " SERVICE_USER
                          " cannot read it%s%s. Type: chgrp " SERVICE_USER " %s && chmod g+%s %s",
                          path, because, what, obstacle, S_ISDIR(st->st_mode) ? "rx" : "r", obstacle);
}

/* The first thing on the way to "path", itself included, that is closed to this process. */
static bool is_closed(const char *path)
{
        _cleanup_free_ char *way = strdup(path);
        struct stat st;

        for (char *slash = way ? strchr(way + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (access(way, X_OK) < 0 && errno == EACCES) {
                        if (stat(way, &st) >= 0)
                                tell(path, way, &st);
                        return true;
                }
                *slash = '/';
        }
        if (stat(path, &st) < 0 || access(path, S_ISSOCK(st.st_mode) ? R_OK | W_OK : R_OK) >= 0 ||
            errno != EACCES)
                return false;
        tell(path, path, &st);
        return true;
}

static bool is_unseen(const char *path)
{
        for (size_t i = 0; i < ELEMENTSOF(unseen); i++)
                if (strncmp(path, unseen[i], strlen(unseen[i])) == 0) {
                        log_error("%s: the service sees nothing of %s. Move it to /etc/nsregd", path,
                                  unseen[i]);
                        return true;
                }
        return false;
}

/* With what it is behind symbolic links, whose way is another one. Root sees all of it. */
static int path_add(struct string_list *list, const char *path)
{
        char *resolved;
        int r;

        if (!path || path[0] != '/')
                return 0;
        r = string_list_add(list, path);
        resolved = realpath(path, NULL);
        if (r >= 0 && resolved && !streq(resolved, path))
                r = string_list_add(list, resolved);
        free(resolved);
        return r;
}

static int paths_collect(const struct nsregd_config *config, struct string_list *ret)
{
        int r = 0;

        for (size_t i = 0; i < config->files.n_items && r >= 0; i++)
                r = path_add(ret, config->files.items[i]);
        for (size_t i = 0; i < config->n_zones; i++)
                for (size_t j = 0; j < config->zones[i].n_upstreams; j++) {
                        const struct upstream_config *upstream = &config->zones[i].upstreams[j];
                        const char *paths[] = { upstream->tsig_key_file, upstream->control_socket,
                                                upstream->client_cert, upstream->client_key,
                                                upstream->server_cert };

                        for (size_t k = 0; k < ELEMENTSOF(paths) && r >= 0; k++)
                                if (upstream->type != UPSTREAM_DISABLED)
                                        r = path_add(ret, paths[k]);
                }
        return r;
}

static bool all_in_reach(const struct string_list *paths)
{
        unsigned n = 0;

        for (size_t i = 0; i < paths->n_items; i++)
                n += is_unseen(paths->items[i]) || is_closed(paths->items[i]);
        return n == 0;
}

/* A directory of drop-ins that cannot be listed, and whatever else is in the way: by doing it. */
static bool can_be_loaded(void)
{
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        struct config_error error = CONFIG_ERROR_INIT;
        int r = nsregd_config_load(NULL, &config, &error);

        if (r < 0)
                log_error("As the service's user " SERVICE_USER ": %s", error.text ?: strerror(-r));
        else if (!config->found)
                log_error("The service's user " SERVICE_USER " finds no configuration");
        config_error_clear(&error);
        return r >= 0 && config->found;
}

/* For good. */
static int become(const struct passwd *user)
{
        if (initgroups(user->pw_name, user->pw_gid) < 0 ||
            setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
            setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
                return -errno;
        return 0;
}

static int check_as(const struct passwd *user, const struct string_list *paths)
{
        pid_t child;
        int status, r;

        child = fork();
        if (child < 0)
                return -errno;
        if (child == 0) {
                r = become(user);
                if (r < 0)
                        log_error("Becoming " SERVICE_USER ": %s", strerror(-r));
                _exit(r >= 0 && all_in_reach(paths) && can_be_loaded() ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS ? 0 : -EACCES;
}

int service_user_check(const struct nsregd_config *config)
{
        _cleanup_(string_list_clear) struct string_list paths = { 0 };
        const struct passwd *user = getpwnam(SERVICE_USER);
        int r;

        if (!user) {
                log_notice("There is no user " SERVICE_USER
                           " here: whether the service can read its files was not checked");
                return 0;
        }
        r = paths_collect(config, &paths);
        return r < 0 ? r : check_as(user, &paths);
}

/* By root, for the service's own configuration: as the service manager would make it. */
static int make_directory(const char *path, bool of_service)
{
        const struct passwd *user = of_service ? getpwnam(SERVICE_USER) : NULL;
        int r = directory_ensure(path, 0700);

        if (r >= 0 && user && chown(path, user->pw_uid, user->pw_gid) < 0)
                return -errno;
        return r;
}

int service_user_enter(const char *directory, bool of_service)
{
        struct stat st;
        int r = 0;

        if (access(directory, F_OK) < 0)
                r = make_directory(directory, of_service && geteuid() == 0);
        if (r < 0)
                return r;
        if (stat(directory, &st) < 0)
                return -errno;
        if (geteuid() != 0 || st.st_uid == 0)
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
            setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
                return -errno;
        return 0;
}

static bool has_closed_file(const char *path)
{
        DIR *directory = opendir(path);
        const struct dirent *entry;
        bool closed = false;

        while (directory && !closed && (entry = readdir(directory)))
                /* "." is the directory itself; the one above it is nobody's business. */
                closed = !streq(entry->d_name, "..") &&
                         faccessat(dirfd(directory), entry->d_name, R_OK | W_OK, AT_EACCESS) < 0 &&
                         errno == EACCES;
        if (directory)
                closedir(directory);
        return closed;
}

bool service_user_explain(const char *directory)
{
        const struct passwd *user = getpwuid(geteuid());

        if (!user || !has_closed_file(directory))
                return false;
        log_error("%s is used by %s, who cannot use all that is in it. Type: chown -R %s: %s", directory,
                  user->pw_name, user->pw_name, directory);
        return true;
}
