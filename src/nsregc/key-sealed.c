/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/key-sealed.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "util/macro.h"

#define PLAIN_MAX 65536

static int complain(char **why, const char *what, int r)
{
        if (asprintf(why, "%s: %s", KEY_SEALED_PATH, what) < 0)
                *why = NULL;
        return r;
}

/* Standard output goes to "out", unless that is negative. */
static pid_t start(const char *const *words, int out)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid < 0 ? -errno : pid;
        if (out >= 0 && dup2(out, STDOUT_FILENO) < 0)
                _exit(126);
        execvp(words[0], (char **) words);
        fprintf(stderr, "nsregc: %s: %s\n", words[0], strerror(errno));
        _exit(127);
}

static int finish(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Returns the size, or -errno. */
static ssize_t read_all(int fd, char buffer[static PLAIN_MAX])
{
        size_t size = 0;

        for (;;) {
                ssize_t n = read(fd, buffer + size, PLAIN_MAX - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return (ssize_t) size;
                size += (size_t) n;
                if (size == PLAIN_MAX)
                        return -EFBIG;
        }
}

static ssize_t decrypt(char buffer[static PLAIN_MAX])
{
        static const char *const words[] = { "systemd-creds", "decrypt", "--name=nsregc.private",
                                             KEY_SEALED_PATH, "-",       NULL };
        int pipe_fds[2], r;
        ssize_t size;
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        pid = start(words, pipe_fds[1]);
        close(pipe_fds[1]);
        size = pid < 0 ? pid : read_all(pipe_fds[0], buffer);
        /* Whoever is not listened to ends by it. */
        close(pipe_fds[0]);
        r = pid < 0 ? pid : finish(pid);
        return r < 0 ? r : size;
}

int key_unseal(struct dns_keypair **ret, char **why)
{
        char *buffer = malloc(PLAIN_MAX);
        ssize_t size;
        int r;

        if (!buffer)
                return -ENOMEM;
        size = decrypt(buffer);
        if (size < 0)
                r = complain(why, "systemd-creds cannot open it", (int) size);
        else {
                r = dns_keypair_parse(buffer, (size_t) size, ret);
                if (r == -EOPNOTSUPP)
                        r = complain(why, "a key of an algorithm that is not supported", r);
                else if (r < 0)
                        r = complain(why, "not a private key as BIND writes it", r);
        }
        explicit_bzero(buffer, PLAIN_MAX);
        free(buffer);
        return r;
}

int key_seal_new(char **why)
{
        static const char *const words[] = { LIBEXECDIR "/nsregc-keygen", NULL };
        pid_t pid = start(words, -1);
        int r = pid < 0 ? pid : finish(pid);

        return r < 0 ? complain(why, "no key could be made and sealed", r) : 0;
}
