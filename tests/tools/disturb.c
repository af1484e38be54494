/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A preload under which a machine's clocks and disk are what the file $NSREG_DISTURB says, which is mapped
 * and may change while the program runs: six signed 64-bit numbers in the machine's byte order.
 *
 *   0  how far the wall clock is ahead, in microseconds
 *   1  how far the clock since boot is ahead, in microseconds
 *   2  how much longer every fsync and fdatasync takes, in microseconds
 *   3  the error that they fail with, or 0
 *   4  not 0: nobody synchronizes the clock; else somebody does
 *   5  unused
 *
 * Timers on such a clock follow, as far as they are set to a point in time. By system call, without a search
 * for symbols: a sanitizer asks for the time before it can bear one. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <unistd.h>

#include "older-clocks.h"

enum { REAL_AHEAD, BOOT_AHEAD, SYNC_DELAY, SYNC_ERROR, UNSYNCHRONIZED, N_NUMBERS = 6 };
enum { USEC_PER_SEC = 1000000, N_FDS = 1024 };

static const volatile int64_t *numbers;
static unsigned char fd_clock[N_FDS];

int fsync(int fd);
int fdatasync(int fd);

__attribute__((constructor)) static void map(void)
{
        static const int64_t nothing[N_NUMBERS];
        const char *path = getenv("NSREG_DISTURB");
        int fd = path ? (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = MAP_FAILED;

        /* By the kernel's own name: a sanitizer that watches mmap() asks for the time with its locks held. */
        if (fd >= 0)
                page = (void *) syscall(SYS_mmap, NULL, sizeof(nothing), PROT_READ, MAP_SHARED, fd, 0);
        if (fd >= 0)
                syscall(SYS_close, fd);
        numbers = page == MAP_FAILED ? nothing : page;
}

static int64_t ahead(clockid_t clock)
{
        /* Something asks for the time before anything is constructed. */
        if (!numbers)
                map();
        if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_REALTIME_ALARM)
                return numbers[REAL_AHEAD];
        if (clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM)
                return numbers[BOOT_AHEAD];
        return 0;
}

static void move(struct timespec *time, int64_t usec)
{
        int64_t nsec = time->tv_nsec + usec % USEC_PER_SEC * 1000;

        time->tv_sec += usec / USEC_PER_SEC;
        if (nsec < 0) {
                nsec += 1000000000;
                time->tv_sec--;
        }
        if (nsec >= 1000000000) {
                nsec -= 1000000000;
                time->tv_sec++;
        }
        time->tv_nsec = nsec;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
        int r = (int) syscall(SYS_clock_gettime, clock, ret);

        if (r == 0)
                move(ret, ahead(clock));
        return r;
}

int timerfd_create(clockid_t clock, int flags)
{
        int fd = (int) syscall(SYS_timerfd_create, clock, flags);

        if (fd >= 0 && fd < N_FDS)
                fd_clock[fd] = (unsigned char) clock;
        return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *ret_old)
{
        struct itimerspec moved = *value;

        if ((flags & TFD_TIMER_ABSTIME) && fd >= 0 && fd < N_FDS && fd_clock[fd] != CLOCK_MONOTONIC &&
            (moved.it_value.tv_sec != 0 || moved.it_value.tv_nsec != 0) &&
            moved.it_value.tv_sec < INT64_MAX / 4) {
                move(&moved.it_value, -ahead(fd_clock[fd]));
                /* In the past, which is before the kernel's time begins: now. Zero would mean never. */
                if (moved.it_value.tv_sec < 0 || (moved.it_value.tv_sec == 0 && moved.it_value.tv_nsec == 0))
                        moved.it_value = (struct timespec){ .tv_nsec = 1 };
        }
        return (int) syscall(SYS_timerfd_settime, fd, flags, &moved, ret_old);
}

/* The clock on the wall was here in 1985, and no machine ran for so long. */
static bool is_wall(const struct timespec *time)
{
        return time->tv_sec > 500000000;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
        struct timespec moved = *until;

        if (!is_wall(until))
                return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, until);
        move(&moved, -ahead(CLOCK_REALTIME));
        return pthread_cond_clockwait(cond, mutex, CLOCK_REALTIME, &moved);
}

int adjtimex(struct timex *timex)
{
        int r = (int) syscall(SYS_adjtimex, timex);

        if (!numbers)
                map();
        if (r < 0)
                return r;
        if (numbers[UNSYNCHRONIZED] != 0) {
                timex->status |= STA_UNSYNC;
                return TIME_ERROR;
        }
        timex->status &= ~STA_UNSYNC;
        return TIME_OK;
}

int ntp_adjtime(struct timex *timex)
{
        return adjtimex(timex);
}

static int synchronize(long call, int fd)
{
        int64_t delay, error;

        if (!numbers)
                map();
        delay = numbers[SYNC_DELAY];
        error = numbers[SYNC_ERROR];
        if (delay > 0) {
                struct timespec pause = { .tv_sec = delay / USEC_PER_SEC,
                                          .tv_nsec = delay % USEC_PER_SEC * 1000 };

                syscall(SYS_nanosleep, &pause, NULL);
        }
        if (error != 0) {
                errno = (int) error;
                return -1;
        }
        return (int) syscall(call, fd);
}

int fsync(int fd)
{
        return synchronize(SYS_fsync, fd);
}

int fdatasync(int fd)
{
        return synchronize(SYS_fdatasync, fd);
}
