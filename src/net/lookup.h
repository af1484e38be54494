/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host's addresses without blocking the loop: getaddrinfo on a thread of its own. The thread works on a job
 * that belongs to both sides, so a lookup may be given up while getaddrinfo hangs. Literals complete at once
 * (in the next turn of the loop) and start no thread. */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "util/macro.h"

#define LOOKUP_ADDRESSES_MAX 16

struct lookup_address {
        struct sockaddr_storage sockaddr; /* with the port */
        socklen_t length;
};

struct lookup;

/* error 0: n >= 1 addresses, in getaddrinfo's order. -ENXIO: no such name or no address; -EAGAIN: try later;
 * -ENOMEM. The lookup is freed behind the call, so the owner only forgets its pointer. */
typedef void (*lookup_done)(void *userdata, int error, const struct lookup_address *addresses, size_t n);

int lookup_new(sd_event *event, const char *host, uint16_t port, lookup_done done, void *userdata,
               struct lookup **ret);
/* Cancels: done is not called. */
struct lookup *lookup_free(struct lookup *lookup);
DEFINE_CLEANUP(struct lookup *, lookup_free)
