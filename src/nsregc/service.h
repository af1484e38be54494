/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a zone's registrar is: SRV _nsreg._tcp.<zone>, all targets in the order of RFC 2782, with their
 * addresses. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "nsregc/resolve.h"

#define SERVICE_ENDPOINTS_MAX 16

struct endpoint {
        char *host; /* address literal; a name where the DNS knew no address and another source may */
        uint16_t port;
        size_t target; /* the number of the target that this is an address of */
};

struct service {
        struct endpoint endpoints[SERVICE_ENDPOINTS_MAX];
        size_t n_endpoints;
        bool none;        /* the target is ".": there is decidedly no service */
        uint32_t ttl_sec; /* how long to believe it; 0: not told */
};

void service_clear(struct service *service);
bool service_equal(const struct service *a, const struct service *b);

struct service_lookup;

/* error and why as of resolver_ask(). 0 with no endpoints and none = false: the zone has no such record. The
 * service is the callee's to take (struct copy, then all zero) or to leave. The lookup is freed behind the
 * call. Never called from within service_lookup_new(). */
typedef void (*service_done)(void *userdata, int error, const char *why, struct service *service);

int service_lookup_new(struct resolver *resolver, const struct dns_name *zone, service_done done,
                       void *userdata, struct service_lookup **ret);
struct service_lookup *service_lookup_free(struct service_lookup *lookup);
