/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/key-sealed.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "util/macro.h"

#define PLAIN_MAX 65536

static int complain(char **why, const char *path, const char *what, int r)
{
        if (asprintf(why, "%s: %s", path, what) < 0)
                *why = NULL;
        return r;
}

/* Standard input and output are these, unless that is negative. */
static pid_t start(const char *const *words, int in, int out)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid < 0 ? -errno : pid;
        if ((in >= 0 && dup2(in, STDIN_FILENO) < 0) || (out >= 0 && dup2(out, STDOUT_FILENO) < 0))
                _exit(126);
        /* What is sealed is root's alone. */
        umask(0077);
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

static ssize_t decrypt(const char *path, char buffer[static PLAIN_MAX])
{
        const char *const words[] = { "systemd-creds", "decrypt", "--name=nsregc.private", path, "-", NULL };
        int pipe_fds[2], r;
        ssize_t size;
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        pid = start(words, -1, pipe_fds[1]);
        close(pipe_fds[1]);
        size = pid < 0 ? pid : read_all(pipe_fds[0], buffer);
        /* Whoever is not listened to ends by it. */
        close(pipe_fds[0]);
        r = pid < 0 ? pid : finish(pid);
        return r < 0 ? r : size;
}

int key_unseal(const char *path, struct dns_keypair **ret, char **why)
{
        char *buffer = malloc(PLAIN_MAX);
        ssize_t size;
        int r;

        if (!buffer)
                return -ENOMEM;
        size = decrypt(path, buffer);
        if (size < 0)
                r = complain(why, path, "systemd-creds cannot open it", (int) size);
        else {
                r = dns_keypair_parse(buffer, (size_t) size, ret);
                if (r == -EOPNOTSUPP)
                        r = complain(why, path, "a key of an algorithm that is not supported", r);
                else if (r < 0)
                        r = complain(why, path, "not a private key as BIND writes it", r);
        }
        explicit_bzero(buffer, PLAIN_MAX);
        free(buffer);
        return r;
}

int key_seal_new(char **why)
{
        static const char *const words[] = { LIBEXECDIR "/nsregc-keygen", NULL };
        pid_t pid = start(words, -1, -1);
        int r = pid < 0 ? pid : finish(pid);

        return r < 0 ? complain(why, KEY_SEALED_PATH, "no key could be made and sealed", r) : 0;
}

int key_seal(const char *text, const char *path, char **why)
{
        const char *const words[] = {
                "systemd-creds", "encrypt", "--with-key=host", "--name=nsregc.private", "-", path, NULL
        };
        size_t length = strlen(text);
        int pipe_fds[2], r;
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        pid = start(words, pipe_fds[0], -1);
        close(pipe_fds[0]);
        /* A key is smaller than a pipe: nobody has to read for that to end. */
        r = pid < 0 ? pid : write(pipe_fds[1], text, length) == (ssize_t) length ? 0 : -EIO;
        close(pipe_fds[1]);
        if (pid >= 0) {
                int ended = finish(pid);

                r = r < 0 ? r : ended;
        }
        return r < 0 ? complain(why, path, "it could not be sealed", r) : 0;
}
