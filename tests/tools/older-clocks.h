/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The older ways to ask for the time, by the clock_gettime() of the preload that includes this. */

#include <sys/time.h>
#include <time.h>

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) < 0)
                return -1;
        ret->tv_sec = now.tv_sec;
        ret->tv_usec = now.tv_nsec / 1000;
        return 0;
}

time_t time(time_t *ret)
{
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) < 0)
                return -1;
        if (ret)
                *ret = now.tv_sec;
        return now.tv_sec;
}
