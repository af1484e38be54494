/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One command on a connection of its own, as Unbound's control protocol has it: everything is sent, then the
 * reply is read to its end. Over TLS with a client certificate and a pinned server certificate, or over a
 * unix stream socket. Bounded in size and time, all asynchronous. */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "util/macro.h"
#include "util/time.h"

/* Certificates, read once. */
struct control_tls;

/* Files are PEM. The server's certificate must be server_cert itself or be issued by it, and carry
 * server_name (NULL: any name). 0; -ENOENT, -EACCES ... for a file that is not to be read; -EKEYREJECTED: a
 * file makes no sense, or key and certificate do not belong together. "*why" (may be NULL) names the file,
 * owned by the caller. */
int control_tls_new(const char *client_cert, const char *client_key, const char *server_cert,
                    const char *server_name, struct control_tls **ret, char **why);
struct control_tls *control_tls_free(struct control_tls *tls);
DEFINE_CLEANUP(struct control_tls *, control_tls_free)

struct control_stream_options {
        const char *path; /* unix socket; else: */
        const char *host; /* address literal or name */
        uint16_t port;
        struct control_tls
                *tls; /* must outlive the stream; NULL with host: in the clear (control-use-cert: no) */
        usec_t timeout_usec; /* for everything */
        size_t reply_max;    /* 0: 64 KiB */
};

struct control_stream;

/* error 0: the reply up to its end (NUL-terminated behind it), gone when this returns. Else negative:
 * -ETIMEDOUT, -ECONNREFUSED, -EKEYREJECTED (certificate), -EPROTO (TLS), -EFBIG (reply_max), -ENXIO ... The
 * stream is freed behind the call, so the owner only forgets its pointer. Never called from within
 * control_stream_run(). */
typedef void (*control_stream_done)(void *userdata, int error, const char *reply, size_t size);

/* With TLS the process must ignore SIGPIPE. A unix socket that cannot be connected to fails here: -ENOENT,
 * -ECONNREFUSED, -EACCES, -EAGAIN (its backlog is full). */
int control_stream_run(sd_event *event, const struct control_stream_options *options, const void *command,
                       size_t size, control_stream_done done, void *userdata, struct control_stream **ret);
/* Cancels: done is not called. */
struct control_stream *control_stream_free(struct control_stream *stream);
DEFINE_CLEANUP(struct control_stream *, control_stream_free)
