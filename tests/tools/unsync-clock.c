/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A preload under which nobody synchronizes the machine's clock; or under which somebody does, once the file
 * SYNC_CLOCK exists. */

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <unistd.h>

int adjtimex(struct timex *timex)
{
        int (*real)(struct timex *) = (int (*)(struct timex *)) dlsym(RTLD_NEXT, "adjtimex");
        const char *path = getenv("SYNC_CLOCK");

        (void) real(timex);
        if (path && access(path, F_OK) == 0) {
                timex->status &= ~STA_UNSYNC;
                return TIME_OK;
        }
        timex->status |= STA_UNSYNC;
        return TIME_ERROR;
}
