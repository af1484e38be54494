/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What name servers answer: a reply to each kind of message of nsupdate, unsigned and as if its signature had
 * been right; and the list of what an Unbound has. The first octet says which. */

#include <ctype.h>
#include <string.h>

#include "fuzz.h"
#include "upstream/nsupdate-internal.h"
#include "upstream/publisher-internal.h"
#include "upstream/unbound-list.h"

#define KINDS (EXCHANGE_FUDGE + 1)

static struct unit *units[2];
static struct plan plan;
static struct plan_lane lane;
static struct plan_batch *batch;

static struct unit *unit_new(const char *text)
{
        struct dns_name owner;
        struct unit *unit;

        FUZZ_ASSERT(dns_name_parse(text, &owner) == 0);
        unit = calloc(1, sizeof(*unit) + owner.length);
        FUZZ_ASSERT(unit);
        unit->plan = &plan;
        unit->owner_length = owner.length;
        memcpy(unit->owner, owner.wire, owner.length);
        return unit;
}

/* Once: nothing of it is changed. */
static void make_batch(void)
{
        if (batch)
                return;
        FUZZ_ASSERT(dns_name_parse("d.example", &lane.zone) == 0);
        plan.lanes = &lane;
        plan.n_lanes = 1;
        units[0] = unit_new("foo.d.example");
        units[1] = unit_new("bar.d.example");
        batch = calloc(1, sizeof(*batch) + sizeof(units));
        FUZZ_ASSERT(batch);
        batch->plan = &plan;
        batch->n_units = 2;
        memcpy(batch->units, units, sizeof(units));
}

static void check_text(const char *text, size_t size)
{
        const char *end = memchr(text, '\0', size);

        FUZZ_ASSERT(end);
        for (; text < end; text++)
                FUZZ_ASSERT(isprint((unsigned char) *text));
}

static void judge(const struct dns_message *reply, enum exchange_kind kind, unsigned unit, uint16_t type)
{
        static struct upstream_config config;
        struct upstream upstream = { .config = &config, .plan = &plan };
        struct nsupdate driver = { .upstream = &upstream };
        struct job *job = calloc(1, sizeof(*job) + 2 * sizeof(struct answer));
        struct exchange exchange = {
                .driver = &driver, .kind = kind, .job = job, .unit = unit, .type = type
        };

        FUZZ_ASSERT(job);
        job->batch = batch;
        job->answers[0].n_missing = job->answers[1].n_missing = 1;
        nsupdate_judge_reply(&exchange, reply);
        check_text(job->reason, sizeof(job->reason));
        for (unsigned i = 0; i < 2; i++) {
                FUZZ_ASSERT(job->answers[i].n_missing <= 1);
                check_text(job->answers[i].cut, sizeof(job->answers[i].cut));
                rrset_clear(&job->answers[i].found);
        }
        free(job);
}

static void on_listed(void *userdata, int error)
{
        FUZZ_ASSERT(error == 0);
        *(bool *) userdata = true;
}

static void read_list(const uint8_t *data, size_t size)
{
        struct unbound_list *list;
        bool done = false;
        sd_event *event;

        FUZZ_ASSERT(sd_event_new(&event) >= 0);
        FUZZ_ASSERT(unbound_list_new(event, batch, (const char *) data, size, on_listed, &done, &list) == 0);
        while (!done)
                FUZZ_ASSERT(sd_event_run(event, UINT64_MAX) >= 0);
        for (unsigned i = 0; i < 2; i++)
                FUZZ_ASSERT(unbound_list_finding(list, i));
        unbound_list_free(list);
        sd_event_unref(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint16_t types[] = { DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_PTR, DNS_TYPE_SOA };
        static struct dns_message reply;
        uint32_t serial;
        uint8_t what;

        if (size == 0)
                return 0;
        make_batch();
        what = data[0];
        if (what & 0x80) {
                lane.mode = what & 1 ? UNIT_SHARED : UNIT_EXCLUSIVE;
                read_list(data + 1, size - 1);
                return 0;
        }
        lane.mode = UNIT_EXCLUSIVE;
        if (dns_message_walk(data + 1, size - 1, NULL, &reply, NULL) < 0)
                return 0;
        (void) nsupdate_read_serial(&reply, &lane.zone, &serial);
        judge(&reply, (enum exchange_kind)(what % KINDS),
              what % KINDS == EXCHANGE_PROBE ? what / KINDS % 3 : what / KINDS % 2, types[what >> 5 & 3]);
        return 0;
}
