/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A preload that makes a machine's wall clock wrong by SHIFT_CLOCK_SEC seconds, for one process; from the
 * moment on that the file SHIFT_CLOCK_FILE exists, if that is given. By system call: a sanitizer asks for the
 * time before it can bear a search for symbols. */

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "older-clocks.h"

static long shift(void)
{
        const char *seconds = getenv("SHIFT_CLOCK_SEC"), *file = getenv("SHIFT_CLOCK_FILE");

        return seconds && (!file || access(file, F_OK) == 0) ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
        int r = (int) syscall(SYS_clock_gettime, clock, ret);

        if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                ret->tv_sec += shift();
        return r;
}
