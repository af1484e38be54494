/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/identity.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>

#include "util/file.h"

#define SERVICE_USER  "nsregc"
#define SERVICE_STATE "/var/lib/nsregc"
#define LOCK_NAME     "lock"

void identity_clear(struct identity *identity)
{
        dns_keypair_free(identity->pair);
        free(identity->state);
        free(identity->key_source);
        closep(&identity->lock);
        *identity = (struct identity){ .lock = -1 };
}

bool identity_is_by_hand(void)
{
        return geteuid() == 0 && !getenv("STATE_DIRECTORY") && !getenv("CREDENTIALS_DIRECTORY");
}

static int state_of_user(char **ret)
{
        const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        const struct passwd *user;

        if (state && state[0] == '/') {
                *ret = path_join(state, "nsregc");
                return *ret ? 0 : -ENOMEM;
        }
        if (!home || home[0] != '/') {
                user = getpwuid(geteuid());
                home = user ? user->pw_dir : NULL;
        }
        if (!home || home[0] != '/')
                return -ENOENT;
        *ret = path_join(home, ".local/state/nsregc");
        return *ret ? 0 : -ENOMEM;
}

int identity_state(char **ret)
{
        const char *directories = getenv("STATE_DIRECTORY");
        _cleanup_free_ char *state = NULL;
        bool service = false;
        int r = 0;

        if (directories && directories[0] == '/')
                state = strndup(directories, strcspn(directories, ":"));
        else if (geteuid() == 0) {
                state = strdup(SERVICE_STATE);
                service = access(SERVICE_STATE, F_OK) < 0;
        } else
                r = state_of_user(&state);
        if (r >= 0 && !state)
                r = -ENOMEM;
        if (r >= 0)
                r = directory_ensure_all(state, 0700);
        if (r >= 0 && service)
                r = identity_give(state);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(state);
        return 0;
}

int identity_give(const char *path)
{
        const struct passwd *user = getpwnam(SERVICE_USER);

        return user && lchown(path, user->pw_uid, user->pw_gid) < 0 ? -errno : 0;
}

int identity_become_service(void)
{
        const struct passwd *user = getpwnam(SERVICE_USER);

        if (!user)
                return 0;
        if (initgroups(user->pw_name, user->pw_gid) < 0 ||
            setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
            setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
                return -errno;
        return 0;
}

int identity_lock(const char *state, bool wait, int *ret_fd)
{
        _cleanup_free_ char *path = path_join(state, LOCK_NAME);
        _cleanup_close_ int fd = -1;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        while (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0)
                if (errno != EINTR)
                        return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
