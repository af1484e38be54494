/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A preload under which nobody synchronizes the machine's clock. */

#include <dlfcn.h>
#include <sys/timex.h>

int adjtimex(struct timex *timex)
{
        int (*real)(struct timex *) = (int (*)(struct timex *)) dlsym(RTLD_NEXT, "adjtimex");
        int r = real(timex);

        timex->status |= STA_UNSYNC;
        return r < 0 ? r : TIME_ERROR;
}
