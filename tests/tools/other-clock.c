/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A preload under which the wall clock is CLOCK_SHIFT seconds off. By system call: a sanitizer asks for the
 * time before it can bear a search for symbols. */

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *timespec)
{
        int r = (int) syscall(SYS_clock_gettime, clock, timespec);
        const char *shift = r == 0 && clock == CLOCK_REALTIME ? getenv("CLOCK_SHIFT") : NULL;

        if (shift)
                timespec->tv_sec += atol(shift);
        return r;
}
