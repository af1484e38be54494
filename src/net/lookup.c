/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "util/address.h"

/* Belongs to the lookup and to the thread; who lets go last frees it. */
struct job {
        atomic_uint references;
        atomic_bool finished; /* what stands below is the thread's before, the lookup's after */
        int done_fd;          /* eventfd, written by the thread when the rest is filled in */
        char *host;
        char port[8];
        int error;
        size_t n_addresses;
        struct lookup_address addresses[LOOKUP_ADDRESSES_MAX];
};

struct lookup {
        struct job *job;
        sd_event_source *source;
        lookup_done done;
        void *userdata;
};

static struct job *job_unref(struct job *job)
{
        if (!job || atomic_fetch_sub(&job->references, 1) > 1)
                return NULL;
        if (job->done_fd >= 0)
                close(job->done_fd);
        free(job->host);
        free(job);
        return NULL;
}
DEFINE_CLEANUP(struct job *, job_unref)

static int error_from_gai(int error)
{
        switch (error) {
        case EAI_AGAIN:
                return -EAGAIN;
        case EAI_MEMORY:
                return -ENOMEM;
        default:
                return -ENXIO;
        }
}

static void *job_run(void *argument)
{
        struct job *job = argument;
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
        struct addrinfo *list = NULL;
        uint64_t one = 1;
        int r;

        r = getaddrinfo(job->host, job->port, &hints, &list);
        if (r == 0) {
                for (struct addrinfo *i = list; i && job->n_addresses < LOOKUP_ADDRESSES_MAX;
                     i = i->ai_next) {
                        struct lookup_address *address = &job->addresses[job->n_addresses++];

                        memcpy(&address->sockaddr, i->ai_addr, i->ai_addrlen);
                        address->length = i->ai_addrlen;
                }
                freeaddrinfo(list);
        }
        job->error = r != 0 ? error_from_gai(r) : job->n_addresses == 0 ? -ENXIO : 0;
        atomic_store_explicit(&job->finished, true, memory_order_release);
        (void) !write(job->done_fd, &one, sizeof(one));
        job_unref(job);
        return NULL;
}

static int job_start(struct job *job)
{
        pthread_attr_t attributes;
        sigset_t all, before;
        pthread_t thread;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        (void) pthread_attr_setstacksize(&attributes, 256 * 1024);

        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        atomic_fetch_add(&job->references, 1);
        r = pthread_create(&thread, &attributes, job_run, job);
        if (r != 0)
                atomic_fetch_sub(&job->references, 1);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        (void) pthread_attr_destroy(&attributes);
        return -r;
}

/* The owner may start the next lookup, or free itself, in its callback: what is told lives in the job. */
static int lookup_finish(struct lookup *lookup)
{
        _cleanup_(job_unrefp) struct job *job = TAKE_PTR(lookup->job);
        lookup_done done = lookup->done;
        void *userdata = lookup->userdata;

        lookup_free(lookup);
        done(userdata, job->error, job->addresses, job->error < 0 ? 0 : job->n_addresses);
        return 0;
}

static int on_done_fd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct lookup *lookup = userdata;

        if (!atomic_load_explicit(&lookup->job->finished, memory_order_acquire))
                return 0;
        return lookup_finish(lookup);
}

static int on_literal(sd_event_source *source, void *userdata)
{
        return lookup_finish(userdata);
}

/* Literals with a zone ("fe80::1%eth0") are left to getaddrinfo, which answers those without asking anybody.
 */
static bool literal_parse(struct job *job, const char *host, uint16_t port)
{
        struct address address;

        if (address_parse(host, &address) < 0)
                return false;
        job->addresses[0].length = address_to_sockaddr(&address, port, &job->addresses[0].sockaddr);
        job->n_addresses = 1;
        return true;
}

int lookup_new(sd_event *event, const char *host, uint16_t port, lookup_done done, void *userdata,
               struct lookup **ret)
{
        _cleanup_(lookup_freep) struct lookup *lookup = calloc(1, sizeof(*lookup));
        struct job *job;
        int r;

        if (!lookup)
                return -ENOMEM;
        job = lookup->job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        atomic_init(&job->references, 1);
        job->done_fd = -1;
        lookup->done = done;
        lookup->userdata = userdata;

        if (literal_parse(job, host, port)) {
                r = sd_event_add_defer(event, &lookup->source, on_literal, lookup);
                if (r < 0)
                        return r;
                *ret = TAKE_PTR(lookup);
                return 0;
        }

        job->host = strdup(host);
        if (!job->host)
                return -ENOMEM;
        (void) snprintf(job->port, sizeof(job->port), "%u", (unsigned) port);
        job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (job->done_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &lookup->source, job->done_fd, EPOLLIN, on_done_fd, lookup);
        if (r < 0)
                return r;
        r = job_start(job);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(lookup);
        return 0;
}

struct lookup *lookup_free(struct lookup *lookup)
{
        if (!lookup)
                return NULL;
        sd_event_source_disable_unref(lookup->source);
        job_unref(lookup->job);
        free(lookup);
        return NULL;
}
