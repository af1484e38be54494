/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A preload that makes a slow disk of a fast one: every fsync and fdatasync takes SLOW_SYNC_MS longer, or as
 * many as stand in the file SLOW_SYNC_FILE, and fails with ENOSPC while the file SLOW_SYNC_FAIL exists. */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int fsync(int fd);
int fdatasync(int fd);

static int delayed(int fd, const char *symbol)
{
        const char *delay = getenv("SLOW_SYNC_MS"), *fail = getenv("SLOW_SYNC_FAIL");
        int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, symbol);
        long ms = delay ? atol(delay) : 0;
        const char *path = getenv("SLOW_SYNC_FILE");
        FILE *file = path ? fopen(path, "re") : NULL;

        if (file) {
                char text[16];

                if (fgets(text, sizeof(text), file))
                        ms = atol(text);
                fclose(file);
        }
        if (ms > 0)
                nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
        if (fail && access(fail, F_OK) == 0) {
                errno = ENOSPC;
                return -1;
        }
        return real(fd);
}

int fsync(int fd)
{
        return delayed(fd, "fsync");
}

int fdatasync(int fd)
{
        return delayed(fd, "fdatasync");
}
