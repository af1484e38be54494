/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/control-stream.h"

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/lookup.h"
#include "util/address.h"
#include "util/log.h"

#define REPLY_MAX      (64 * 1024)
#define SLICE_SIZE     (256 * 1024)
#define TIMER_ACCURACY USEC_PER_MSEC

struct control_tls {
        SSL_CTX *context;
        char *server_name;
};

enum control_state {
        CONTROL_RESOLVING,
        CONTROL_CONNECTING,
        CONTROL_HANDSHAKE,
        CONTROL_SENDING,
        CONTROL_RECEIVING,
};

struct control_stream {
        sd_event *event;
        struct control_tls *tls; /* the caller's */
        enum control_state state;
        struct lookup *lookup;
        struct lookup_address addresses[LOOKUP_ADDRESSES_MAX];
        size_t n_addresses, next_address;
        int fd;
        SSL *ssl;
        sd_event_source *io_source;
        sd_event_source *timer;
        uint8_t *command;
        size_t command_size, command_sent;
        char *reply;
        size_t reply_size, reply_have, reply_max;
        control_stream_done done;
        void *userdata;
};

static int file_error(const char *path, char **why)
{
        /* What OpenSSL says about a file that is not there is told by the file itself. */
        int r = access(path, R_OK) < 0 ? -errno : -EKEYREJECTED;

        if (why)
                *why = strdup(path);
        ERR_clear_error();
        return r;
}

/* 0, or negative with the guilty file in *ret_file (NULL: none is). */
static int context_load(SSL_CTX *context, const char *client_cert, const char *client_key,
                        const char *server_cert, const char **ret_file)
{
        *ret_file = server_cert;
        if (SSL_CTX_load_verify_locations(context, server_cert, NULL) != 1)
                return -EKEYREJECTED;
        *ret_file = client_cert;
        if (client_cert && SSL_CTX_use_certificate_chain_file(context, client_cert) != 1)
                return -EKEYREJECTED;
        *ret_file = client_key;
        if (client_key && SSL_CTX_use_PrivateKey_file(context, client_key, SSL_FILETYPE_PEM) != 1)
                return -EKEYREJECTED;
        if (client_key && SSL_CTX_check_private_key(context) != 1)
                return -EKEYREJECTED;
        return 0;
}

int control_tls_new(const char *client_cert, const char *client_key, const char *server_cert,
                    const char *server_name, struct control_tls **ret, char **why)
{
        struct control_tls *tls = calloc(1, sizeof(*tls));
        const char *file;

        if (tls)
                tls->context = SSL_CTX_new(TLS_client_method());
        if (tls && server_name)
                tls->server_name = strdup(server_name);
        if (!tls || !tls->context || (server_name && !tls->server_name)) {
                control_tls_free(tls);
                return -ENOMEM;
        }

        SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
        SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        /* The reply's own form says whether it is whole; not every server says goodbye. */
        SSL_CTX_set_options(tls->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
        /* Pinned: a certificate in the file is trusted by itself, whoever signed it. */
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(tls->context), X509_V_FLAG_PARTIAL_CHAIN);

        if (context_load(tls->context, client_cert, client_key, server_cert, &file) < 0) {
                control_tls_free(tls);
                return file_error(file, why);
        }
        *ret = tls;
        return 0;
}

struct control_tls *control_tls_free(struct control_tls *tls)
{
        if (!tls)
                return NULL;
        SSL_CTX_free(tls->context);
        free(tls->server_name);
        free(tls);
        return NULL;
}

static void connection_close(struct control_stream *stream)
{
        stream->io_source = sd_event_source_disable_unref(stream->io_source);
        SSL_free(stream->ssl);
        stream->ssl = NULL;
        if (stream->fd >= 0)
                close(stream->fd);
        stream->fd = -1;
}

struct control_stream *control_stream_free(struct control_stream *stream)
{
        if (!stream)
                return NULL;
        lookup_free(stream->lookup);
        connection_close(stream);
        sd_event_source_disable_unref(stream->timer);
        sd_event_unref(stream->event);
        free(stream->command);
        free(stream->reply);
        free(stream);
        return NULL;
}

static void finish(struct control_stream *stream, int error)
{
        control_stream_done done = stream->done;
        void *userdata = stream->userdata;
        _cleanup_free_ char *reply = NULL;
        size_t have = 0;

        if (error == 0) {
                have = stream->reply_have;
                reply = TAKE_PTR(stream->reply);
        }
        control_stream_free(stream);
        done(userdata, error, error < 0 ? NULL : reply ?: "", have);
}

static void watch(struct control_stream *stream, uint32_t events)
{
        (void) sd_event_source_set_io_events(stream->io_source, events);
}

/* What OpenSSL wants next: 0 to go on waiting, else an error; *ret_eof when the peer is done. */
static int tls_result(struct control_stream *stream, int result, bool *ret_eof)
{
        int saved = errno;

        switch (SSL_get_error(stream->ssl, result)) {
        case SSL_ERROR_WANT_READ:
                watch(stream, EPOLLIN);
                return 0;
        case SSL_ERROR_WANT_WRITE:
                watch(stream, EPOLLOUT);
                return 0;
        case SSL_ERROR_ZERO_RETURN:
                *ret_eof = true;
                return 0;
        case SSL_ERROR_SYSCALL:
                return saved != 0 ? -saved : -ECONNRESET;
        default:
                return SSL_get_verify_result(stream->ssl) != X509_V_OK ? -EKEYREJECTED : -EPROTO;
        }
}

/* Like recv and send: n > 0; 0 with *ret_eof at the end; 0 without it: wait; negative errno. */
static ssize_t stream_receive(struct control_stream *stream, void *buffer, size_t size, bool *ret_eof)
{
        if (stream->ssl) {
                ERR_clear_error();
                errno = 0;
                int n = SSL_read(stream->ssl, buffer, (int) MIN(size, (size_t) INT_MAX));
                return n > 0 ? n : tls_result(stream, n, ret_eof);
        }
        ssize_t n = recv(stream->fd, buffer, size, MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        *ret_eof = n == 0;
        return n;
}

static ssize_t stream_send(struct control_stream *stream, const void *bytes, size_t size)
{
        bool eof = false;

        if (stream->ssl) {
                ERR_clear_error();
                errno = 0;
                int n = SSL_write(stream->ssl, bytes, (int) MIN(size, (size_t) INT_MAX));
                if (n > 0)
                        return n;
                n = tls_result(stream, n, &eof);
                return eof ? -ECONNRESET : n;
        }
        ssize_t n = send(stream->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        return n;
}

static int reply_make_room(struct control_stream *stream)
{
        /* One octet stays for the NUL, one tells a reply of exactly the bound from a longer one. */
        if (stream->reply_size - stream->reply_have >= 2)
                return 0;
        size_t size = MIN(MAX(stream->reply_size * 2, (size_t) 4096), stream->reply_max + 2);
        if (size <= stream->reply_size)
                return -EFBIG;
        char *grown = realloc(stream->reply, size);
        if (!grown)
                return -ENOMEM;
        stream->reply = grown;
        stream->reply_size = size;
        return 0;
}

static void receive(struct control_stream *stream)
{
        size_t had = stream->reply_have;

        for (;;) {
                bool eof = false;
                int r;

                /* A long reply in slices; what TLS has decrypted already would not wake anybody. */
                if (stream->reply_have - had > SLICE_SIZE && !(stream->ssl && SSL_pending(stream->ssl) > 0))
                        return;
                r = reply_make_room(stream);
                if (r < 0) {
                        finish(stream, r);
                        return;
                }
                ssize_t n = stream_receive(stream, stream->reply + stream->reply_have,
                                           stream->reply_size - stream->reply_have - 1, &eof);
                if (n < 0 || eof) {
                        stream->reply[stream->reply_have] = '\0';
                        finish(stream, (int) MIN(n, 0));
                        return;
                }
                if (n == 0)
                        return;
                stream->reply_have += (size_t) n;
                if (stream->reply_have > stream->reply_max) {
                        finish(stream, -EFBIG);
                        return;
                }
        }
}

static void transmit(struct control_stream *stream)
{
        while (stream->command_sent < stream->command_size) {
                ssize_t n = stream_send(stream, stream->command + stream->command_sent,
                                        stream->command_size - stream->command_sent);

                if (n < 0) {
                        finish(stream, (int) n);
                        return;
                }
                if (n == 0)
                        return;
                stream->command_sent += (size_t) n;
        }
        stream->state = CONTROL_RECEIVING;
        watch(stream, EPOLLIN);
        receive(stream);
}

static void handshake(struct control_stream *stream)
{
        bool eof = false;
        int n, r;

        ERR_clear_error();
        errno = 0;
        n = SSL_do_handshake(stream->ssl);
        if (n != 1) {
                r = tls_result(stream, n, &eof);
                if (r < 0 || eof)
                        finish(stream, r < 0 ? r : -ECONNRESET);
                return;
        }
        stream->state = CONTROL_SENDING;
        watch(stream, EPOLLOUT);
        transmit(stream);
}

static int tls_begin(struct control_stream *stream)
{
        const char *name = stream->tls->server_name;

        stream->ssl = SSL_new(stream->tls->context);
        if (!stream->ssl || SSL_set_fd(stream->ssl, stream->fd) != 1)
                return -ENOMEM;
        if (name &&
            (SSL_set1_host(stream->ssl, name) != 1 || SSL_set_tlsext_host_name(stream->ssl, name) != 1))
                return -EINVAL;
        SSL_set_connect_state(stream->ssl);
        stream->state = CONTROL_HANDSHAKE;
        return 0;
}

static void connected(struct control_stream *stream)
{
        if (!stream->tls) {
                stream->state = CONTROL_SENDING;
                transmit(stream);
                return;
        }
        int r = tls_begin(stream);
        if (r < 0)
                finish(stream, r);
        else
                handshake(stream);
}

static void connect_next(struct control_stream *stream, int error);

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct control_stream *stream = userdata;
        int error = 0;
        socklen_t length = sizeof(error);

        switch (stream->state) {
        case CONTROL_RESOLVING:
                break;
        case CONTROL_CONNECTING:
                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
                        error = errno;
                if (error != 0)
                        connect_next(stream, -error);
                else
                        connected(stream);
                break;
        case CONTROL_HANDSHAKE:
                handshake(stream);
                break;
        case CONTROL_SENDING:
                transmit(stream);
                break;
        case CONTROL_RECEIVING:
                receive(stream);
                break;
        }
        return 0;
}

static int stream_connect(struct control_stream *stream, const struct sockaddr *sockaddr, socklen_t length)
{
        int r;

        stream->fd = socket(sockaddr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (stream->fd < 0)
                return -errno;
        if (connect(stream->fd, sockaddr, length) < 0 && errno != EINPROGRESS)
                return -errno;
        r = sd_event_add_io(stream->event, &stream->io_source, stream->fd, EPOLLOUT, on_io, stream);
        if (r < 0)
                return r;
        stream->state = CONTROL_CONNECTING;
        return 0;
}

static void connect_next(struct control_stream *stream, int error)
{
        while (stream->next_address < stream->n_addresses) {
                const struct lookup_address *address = &stream->addresses[stream->next_address++];

                connection_close(stream);
                error = stream_connect(stream, (const struct sockaddr *) &address->sockaddr, address->length);
                if (error == 0)
                        return;
        }
        finish(stream, error);
}

static void on_lookup(void *userdata, int error, const struct lookup_address *addresses, size_t n)
{
        struct control_stream *stream = userdata;

        stream->lookup = NULL;
        if (error == 0) {
                memcpy(stream->addresses, addresses, n * sizeof(*addresses));
                stream->n_addresses = n;
        }
        connect_next(stream, error);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        finish(userdata, -ETIMEDOUT);
        return 0;
}

static int unix_connect(struct control_stream *stream, const char *path)
{
        struct sockaddr_un sockaddr = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(sockaddr.sun_path))
                return -ENAMETOOLONG;
        strcpy(sockaddr.sun_path, path);
        return stream_connect(stream, (struct sockaddr *) &sockaddr, sizeof(sockaddr));
}

int control_stream_run(sd_event *event, const struct control_stream_options *options, const void *command,
                       size_t size, control_stream_done done, void *userdata, struct control_stream **ret)
{
        _cleanup_(control_stream_freep) struct control_stream *stream = calloc(1, sizeof(*stream));
        int r;

        if (!stream)
                return -ENOMEM;
        stream->fd = -1;
        stream->event = sd_event_ref(event);
        stream->tls = options->tls;
        stream->reply_max = options->reply_max ?: REPLY_MAX;
        stream->done = done;
        stream->userdata = userdata;
        stream->command_size = size;
        stream->command = malloc(size + 1);
        if (!stream->command)
                return -ENOMEM;
        memcpy(stream->command, command, size);

        r = sd_event_add_time_relative(event, &stream->timer, CLOCK_MONOTONIC, options->timeout_usec,
                                       TIMER_ACCURACY, on_timeout, stream);
        if (r < 0)
                return r;
        if (options->path)
                r = unix_connect(stream, options->path);
        else
                r = lookup_new(event, options->host, options->port, on_lookup, stream, &stream->lookup);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(stream);
        return 0;
}
