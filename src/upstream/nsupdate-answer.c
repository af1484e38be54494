/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "dns/rdata.h"
#include "upstream/nsupdate-internal.h"
#include "util/log.h"

void nsupdate_note(struct job *job, enum plan_outcome outcome, const char *format, ...)
{
        va_list arguments;

        if (!job || job->outcome != PLAN_ACKNOWLEDGED)
                return;
        job->outcome = outcome;
        va_start(arguments, format);
        vsnprintf(job->reason, sizeof(job->reason), format, arguments);
        va_end(arguments);
}

/* --- no answer --- */

void nsupdate_judge_error(struct exchange *exchange, int error)
{
        /* It is to be signed otherwise, or over another connection. */
        bool again = error == -EAGAIN || error == -ECONNABORTED;
        enum plan_outcome outcome = again ? PLAN_AGAIN : exchange->sent ? PLAN_LOST : PLAN_UNSENT;

        switch (error) {
        case -ETIMEDOUT:
                nsupdate_note(exchange->job, outcome, "no answer within the time-out");
                break;
        case -ENXIO:
                nsupdate_note(exchange->job, outcome, "the server's host name has no address");
                break;
        case -EBADMSG:
                nsupdate_note(exchange->job, outcome, "the answer is malformed");
                break;
        default:
                nsupdate_note(exchange->job, outcome, "connection failed: %s", strerror(-error));
        }
}

/* --- its signature --- */

static void judge_unsigned(struct exchange *exchange, unsigned rcode)
{
        struct job *job = exchange->job;

        /* What a small fudge was refused for, perhaps; the next message finds out. */
        if (exchange->peer && exchange->peer->fudge == FUDGE_SMALL)
                exchange->peer->fudge = FUDGE_TRY_WIDE;
        if (rcode == DNS_RCODE_NOTAUTH || rcode == DNS_RCODE_REFUSED)
                nsupdate_note(job, PLAN_DENIED,
                              "the answer is not signed (%s): the server does not know the TSIG key, or its "
                              "clock and "
                              "ours differ; check tsig-name and tsig-algorithm, and synchronize both",
                              dns_rcode_to_string(rcode));
        else
                nsupdate_note(job, PLAN_LOST, "the answer is not signed (%s)",
                              dns_rcode_to_string(rcode) ?: "unknown RCODE");
}

/* Whoever passes updates on gives them IDs of his own; a few of those are ours by chance, so that it is
 * enough to have seen another once. */
static void note_forwarded(const struct exchange *exchange, const struct tsig_answer *answer)
{
        exchange->driver->upstream->plan->forwarded |= answer->forwarded;
}

/* True: it may be believed. */
static bool judge_tsig(struct exchange *exchange, const struct dns_message *reply)
{
        struct job *job = exchange->job;
        struct tsig_answer answer;

        switch (nsupdate_verify(exchange, reply, &answer)) {
        case TSIG_GOOD:
                note_forwarded(exchange, &answer);
                return true;
        case TSIG_BADTIME:
                note_forwarded(exchange, &answer);
                nsupdate_note(job, PLAN_LATE,
                              "BADTIME: its clock and ours differ by %lld s; synchronize both",
                              (long long) answer.server_time - (long long) nsupdate_time(exchange));
                exchange->driver->step_back |= nsupdate_set_clock(exchange, answer.server_time);
                return false;
        case TSIG_UNSIGNED:
                nsupdate_note(job, PLAN_DENIED,
                              answer.error == DNS_RCODE_BADKEY
                                      ? "BADKEY: the server does not know the TSIG key; check tsig-name "
                                        "and tsig-algorithm"
                                      : "BADSIG: the TSIG secrets differ; check tsig-secret");
                return false;
        case TSIG_MISSING:
                judge_unsigned(exchange, dns_message_rcode(reply));
                return false;
        case TSIG_BAD:
                nsupdate_note(job, PLAN_LOST, "the answer's TSIG is wrong");
                return false;
        }
        return false;
}

/* --- updates --- */

static void judge_update(struct job *job, unsigned rcode)
{
        const char *text = dns_rcode_to_string(rcode) ?: "unknown RCODE";

        switch (rcode) {
        case DNS_RCODE_NOERROR:
                return;
        case DNS_RCODE_YXDOMAIN:
        case DNS_RCODE_YXRRSET:
        case DNS_RCODE_NXRRSET:
        case DNS_RCODE_NXDOMAIN:
                nsupdate_note(job, PLAN_PREREQUISITE, "%s: the server has data of its own at this name",
                              text);
                return;
        case DNS_RCODE_NOTAUTH:
                nsupdate_note(job, PLAN_DENIED,
                              "%s: the server is not authoritative for the zone, or the key may not "
                              "update it",
                              text);
                return;
        case DNS_RCODE_NOTIMP:
                nsupdate_note(job, PLAN_DENIED, "%s: the server takes no updates", text);
                return;
        case DNS_RCODE_SERVFAIL:
                nsupdate_note(job, PLAN_FAILED, "the server answers %s to the update", text);
                return;
        default:
                nsupdate_note(job, PLAN_REJECTED, "the server answers %s to the update", text);
        }
}

/* --- content --- */

static int add_found(struct answer *answer, const struct dns_message *reply, const struct dns_rr *rr)
{
        _cleanup_free_ uint8_t *octets = NULL;
        uint16_t length;
        int r = rdata_read(reply, rr, true, &octets, &length, NULL);

        if (r == -EBADMSG)
                /* Nothing that could be ours. */
                return 0;
        return r < 0 ? r : rrset_add(&answer->found, rr->type, octets, length);
}

static void judge_content(struct exchange *exchange, const struct dns_message *reply)
{
        struct job *job = exchange->job;
        struct answer *answer = &job->answers[exchange->unit];
        struct dns_name owner = unit_owner(job->batch->units[exchange->unit]), name;
        unsigned rcode = dns_message_rcode(reply), first, n;

        if (rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN) {
                nsupdate_note(job, PLAN_REJECTED, "the server answers %s to a query",
                              dns_rcode_to_string(rcode) ?: "unknown RCODE");
                return;
        }
        n = dns_message_section(reply, DNS_SECTION_ANSWER, &first);
        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &reply->rrs[i];

                if (dns_message_owner(reply, rr, &name) < 0 || !dns_name_equal(&name, &owner))
                        continue;
                if (rr->type == DNS_TYPE_CNAME || rr->type == DNS_TYPE_DNAME)
                        answer->alias = true;
                else if (rr->type == exchange->type && add_found(answer, reply, rr) < 0) {
                        nsupdate_note(job, PLAN_UNSENT, "out of memory");
                        return;
                }
        }
        /* A referral at the name itself. */
        n = dns_message_section(reply, DNS_SECTION_AUTHORITY, &first);
        for (unsigned i = first; i < first + n; i++)
                if (reply->rrs[i].type == DNS_TYPE_NS && !(reply->flags & DNS_FLAG_AA) &&
                    dns_message_owner(reply, &reply->rrs[i], &name) >= 0 && dns_name_equal(&name, &owner))
                        answer->alias = true;
        answer->n_missing--;
}

/* --- zone cuts --- */

/* The RR of this type that is nearest to the name, above or at it: its owner. */
static bool find_above(const struct dns_message *reply, enum dns_section section, uint16_t type,
                       const struct dns_name *owner, struct dns_name *ret)
{
        unsigned first, n = dns_message_section(reply, section, &first);

        for (unsigned i = first; i < first + n; i++)
                if (reply->rrs[i].type == type && dns_message_owner(reply, &reply->rrs[i], ret) >= 0 &&
                    dns_name_is_subdomain(owner, ret))
                        return true;
        return false;
}

/* Where the answer does not come from the zone that is updated, what is written there is seen by nobody. A
 * server that does not answer such questions tells nothing, nor does one that has not got the zone at all. */
static void judge_probe(struct exchange *exchange, const struct dns_message *reply)
{
        struct plan_batch *batch = exchange->job->batch;
        const struct dns_name *zone = &batch->plan->lanes[batch->lane].zone;
        struct answer *answer;
        struct dns_name owner, name;
        bool authoritative = reply->flags & DNS_FLAG_AA;
        char text[DNS_NAME_FORMAT_MAX];
        const char *what = NULL;
        uint32_t serial;

        if (exchange->unit == batch->n_units) {
                exchange->job->has_zone = nsupdate_read_serial(reply, zone, &serial) >= 0;
                return;
        }
        answer = &exchange->job->answers[exchange->unit];
        owner = unit_owner(batch->units[exchange->unit]);
        answer->n_missing--;
        answer->absent = authoritative && dns_message_rcode(reply) == DNS_RCODE_NXDOMAIN;
        if (find_above(reply, DNS_SECTION_ANSWER, DNS_TYPE_DNAME, &owner, &name))
                what = name.length >= zone->length ? "is redirected (DNAME)" : NULL;
        else if (authoritative && (find_above(reply, DNS_SECTION_AUTHORITY, DNS_TYPE_SOA, &owner, &name) ||
                                   find_above(reply, DNS_SECTION_ANSWER, DNS_TYPE_SOA, &owner, &name)))
                what = name.length > zone->length ? "is a zone of its own" : NULL;
        else if (!authoritative && find_above(reply, DNS_SECTION_AUTHORITY, DNS_TYPE_NS, &owner, &name))
                /* One of the name itself is data of the administrator's there, as any other. */
                what = name.length > zone->length && !dns_name_equal(&name, &owner)
                               ? "is delegated to other servers"
                               : NULL;
        if (what && dns_name_is_subdomain(&name, zone))
                snprintf(answer->cut, sizeof(answer->cut),
                         "%.90s %s on the DNS server: what is written into the zone above is seen by nobody",
                         dns_name_format(&name, text), what);
}

void nsupdate_judge_reply(struct exchange *exchange, const struct dns_message *reply)
{
        if (!judge_tsig(exchange, reply))
                return;
        if (exchange->peer && exchange->kind == EXCHANGE_FUDGE)
                exchange->peer->fudge = exchange->tsig.fudge == TSIG_FUDGE_SEC ? FUDGE_WIDE : FUDGE_SMALL;
        switch (exchange->kind) {
        case EXCHANGE_UPDATE:
                judge_update(exchange->job, dns_message_rcode(reply));
                break;
        case EXCHANGE_QUERY:
                judge_content(exchange, reply);
                break;
        case EXCHANGE_PROBE:
                judge_probe(exchange, reply);
                break;
        case EXCHANGE_SERIAL:
        case EXCHANGE_FUDGE:
                break;
        }
}

/* MNAME and RNAME are two names, the serial is behind them (RFC 1035 section 3.3.13). */
int nsupdate_read_serial(const struct dns_message *reply, const struct dns_name *zone, uint32_t *ret)
{
        unsigned first, n = dns_message_section(reply, DNS_SECTION_ANSWER, &first);
        struct dns_name name;

        if (dns_message_rcode(reply) != DNS_RCODE_NOERROR || !(reply->flags & DNS_FLAG_AA))
                return -EBADMSG;
        for (unsigned i = first; i < first + n; i++) {
                const struct dns_rr *rr = &reply->rrs[i];
                const uint8_t *rdata = dns_message_rdata(reply, rr);

                if (rr->type != DNS_TYPE_SOA || rr->rdlength < 22 ||
                    dns_message_owner(reply, rr, &name) < 0 || !dns_name_equal(&name, zone))
                        continue;
                rdata += rr->rdlength - 20;
                *ret = (uint32_t) rdata[0] << 24 | (uint32_t) rdata[1] << 16 | (uint32_t) rdata[2] << 8 |
                       rdata[3];
                return 0;
        }
        return -EBADMSG;
}
