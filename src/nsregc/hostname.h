/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The machine's name for the DNS: the first label of the static host name. A transient name (by DHCP, or none
 * at all) is not the machine's own and is not registered; neither is "localhost". */

#include "dns/protocol.h"
#include "util/macro.h"

#define HOSTNAME_LABEL_MAX (DNS_LABEL_MAX + 1)

/* From the text of /etc/hostname (hostname(5)): lower case. 0, -ENODATA (none, or localhost), -EINVAL (no
 * name for the DNS). */
int hostname_parse(const char *text, char ret[static HOSTNAME_LABEL_MAX]);
/* "directory" is /etc but in tests. */
int hostname_read(const char *directory, char ret[static HOSTNAME_LABEL_MAX]);

/* The configured name, if there is one, else hostname_read(). */
int hostname_choose(const char *configured, const char *directory, char ret[static HOSTNAME_LABEL_MAX]);

#define HOSTNAME_WHY_MAX 320
/* What hostname_choose() failed for (its error), and what to do, as a sentence without its full stop. */
void hostname_why(const char *configured, const char *directory, int error,
                  char ret[static HOSTNAME_WHY_MAX]);
