/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the nsupdate driver share. nsupdate.c: batches and their exchanges. nsupdate-message.c:
 * what goes into a message. nsupdate-answer.c: what an answer says. nsupdate-clock.c: with which time and
 * fudge a message is signed, for each of the server's addresses. */

#include <bsd/sys/queue.h>

#include "net/dns-client.h"
#include "upstream/nsupdate.h"

#define PEERS_MAX 8
/* A datagram that is not larger goes through everywhere in one piece. */
#define NSUPDATE_DATAGRAM_MAX 1232

enum fudge_state {
        FUDGE_UNTRIED,
        FUDGE_SMALL,    /* a message signed with it was accepted */
        FUDGE_WIDE,     /* only a wide one was */
        FUDGE_TRY_WIDE, /* what was signed with a small one was refused without a signature */
};

/* One of the server's addresses. */
struct peer {
        struct sockaddr_storage address;
        enum fudge_state fudge;
        int64_t offset_sec; /* of its clock to ours */
};

enum exchange_kind {
        EXCHANGE_UPDATE,
        EXCHANGE_QUERY,  /* the content at the owner of a unit, one type */
        EXCHANGE_PROBE,  /* the SOA at the owner of a unit */
        EXCHANGE_SERIAL, /* the SOA of a lane's zone */
        EXCHANGE_FUDGE,  /* an UPDATE that does nothing, to see how it may be signed */
};

/* A message under way. */
struct exchange {
        LIST_ENTRY(exchange) exchanges;
        struct nsupdate *driver;
        struct dns_request *request;
        enum exchange_kind kind;
        struct job *job; /* NULL where no batch is behind it */
        unsigned unit;   /* or lane */
        uint16_t type;   /* of a query */
        uint16_t max_fudge_sec;
        struct tsig_context tsig;
        bool sent;
        struct peer *peer; /* where it went */
};

/* A batch under way, or waiting for it. */
struct job {
        TAILQ_ENTRY(job) held;
        struct plan_batch *batch;
        unsigned n_open;
        enum plan_outcome outcome; /* the worst so far */
        char reason[200];
        bool has_zone; /* of a probe: the server answers for the lane's zone */
        struct answer {
                struct rrset found;
                bool alias;
                char cut[200];      /* of a probe: what is in the way */
                bool absent;        /* of a probe: there is no such name */
                unsigned n_missing; /* answers still to come */
        } answers[];                /* of a batch of queries */
};
TAILQ_HEAD(job_queue, job);

struct nsupdate {
        struct upstream *upstream;
        struct dns_client *client;
        LIST_HEAD(, exchange) exchanges;
        struct job_queue held; /* until it is known how to sign */
        bool trying;           /* an EXCHANGE_FUDGE is under way */
        bool step_back;        /* the connection ends, as the next message is signed earlier than the last */
        unsigned n_tried;
        bool asked_last; /* since serials were asked at a connection, nothing else was answered */
        struct peer peers[PEERS_MAX];
        unsigned n_peers;
        struct peer *last_peer;
};

/* nsupdate-message.c */
/* Writes what the batch says into the buffer; takes from it what does not fit. Its size or -EMSGSIZE. "id" is
 * the message's. */
ssize_t nsupdate_write_update(const struct nsupdate *driver, struct plan_batch *batch, uint16_t id,
                              void *buffer, size_t size);
/* Octets that signing adds to a message, at most. */
size_t nsupdate_room(const struct nsupdate *driver);
/* A message of nothing but the zone. */
ssize_t nsupdate_write_nothing(const struct dns_name *zone, uint16_t id, void *buffer, size_t size);
ssize_t nsupdate_write_query(const struct dns_name *owner, uint16_t type, uint16_t id, void *buffer,
                             size_t size);

/* nsupdate-answer.c */
void nsupdate_note(struct job *job, enum plan_outcome outcome, const char *format, ...) _printf_(3, 4);
void nsupdate_judge_error(struct exchange *exchange, int error);
/* Into the job; a reply that walked. */
void nsupdate_judge_reply(struct exchange *exchange, const struct dns_message *reply);
/* 0 or -EBADMSG. */
int nsupdate_read_serial(const struct dns_message *reply, const struct dns_name *zone, uint32_t *ret);

/* nsupdate-clock.c */
bool nsupdate_signs(const struct nsupdate *driver);
/* Where the connection goes; while there is none, where the last one went: a server that ends its connections
 * behind a message or two is not asked anew in each how to sign. NULL: there never was one. */
struct peer *nsupdate_peer(struct nsupdate *driver);
/* May updates be signed, as far as is known? */
bool nsupdate_is_ready(struct nsupdate *driver);
uint16_t nsupdate_fudge(const struct nsupdate *driver, const struct peer *peer);
/* dns_client_prepare of a signed exchange. */
ssize_t nsupdate_prepare(void *userdata, uint8_t *message, size_t size, size_t capacity);
/* The seconds that an exchange was signed at, or is sent at. */
uint64_t nsupdate_time(const struct exchange *exchange);
/* A reply's signature. */
enum tsig_verdict nsupdate_verify(struct exchange *exchange, const struct dns_message *reply,
                                  struct tsig_answer *ret);
/* The server's clock, as it says itself. True: the connection has to end first. */
bool nsupdate_set_clock(struct exchange *exchange, uint64_t server_time);
