/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/source-address.h"

#include "util/macro.h"

#define ANY_PORT 53

int source_address(const struct address *towards, struct address *ret)
{
        struct sockaddr_storage storage;
        socklen_t length = address_to_sockaddr(towards, ANY_PORT, &storage);
        _cleanup_(closep) int fd = socket(towards->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *) &storage, length) < 0)
                return -errno;
        length = sizeof(storage);
        if (getsockname(fd, (struct sockaddr *) &storage, &length) < 0)
                return -errno;
        return address_from_sockaddr((struct sockaddr *) &storage, ret, NULL);
}
