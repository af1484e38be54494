/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <stdio.h>

#include "registry/decision.h"

bool decide(struct decision *decision, enum dns_rcode rcode, int ede, const char *format, ...)
{
        va_list arguments;

        decision->rcode = rcode;
        decision->ede = ede;
        va_start(arguments, format);
        vsnprintf(decision->text, sizeof(decision->text), format, arguments);
        va_end(arguments);
        return false;
}
