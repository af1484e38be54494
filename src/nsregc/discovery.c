/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/discovery.h"

#include <stdio.h>

#include "nsregc/candidate.h"
#include "nsregc/link.h"
#include "nsregc/random.h"
#include "util/log.h"

#define DOMAINS_MAX    32
#define NETWORKS_MAX   16
#define CANDIDATES_MAX (2 * (DOMAINS_MAX + NETWORKS_MAX))
#define ASKING_MAX     8                   /* at a time */
#define LINGER_USEC    (10 * USEC_PER_SEC) /* what a link that broke recommended stays for so long */
#define LEFT_OUT_MAX   256

struct candidate {
        struct discovery *discovery;
        struct dns_name domain;
        struct link_set links;
        bool may_be_zone;   /* a domain of a link, not a reverse name */
        bool quiet;         /* nobody wonders if it is not answered */
        bool wanted;        /* by the networks of now */
        usec_t linger_usec; /* BOOTTIME: where it is not, it is forgotten then */
        struct candidate_state state;
        const char *label; /* "r" or "dr", being asked for */
        struct resolve_query *query;
        struct name_list found, fresh;
        uint32_t ttl_sec;
        char *why; /* the last failure; NULL: none */
};

struct discovery {
        sd_event *event;
        struct resolver *resolver;
        struct name_list configured, zones;
        struct prefix_list networks; /* of the last run */
        bool discover;
        struct candidate *candidates[CANDIDATES_MAX];
        size_t n_candidates, n_asking;
        sd_event_source *timer;      /* BOOTTIME */
        char left_out[LEFT_OUT_MAX]; /* told last */
        char told[RESOLVE_WHY_MAX];  /* the problem that was */
        discovery_changed changed;
        void *userdata;
};

static void ask_due(struct discovery *discovery);

static void candidate_stop(struct candidate *candidate)
{
        if (candidate->query)
                candidate->discovery->n_asking--;
        candidate->query = resolve_query_free(candidate->query);
        name_list_clear(&candidate->fresh);
}

static struct candidate *candidate_free(struct candidate *candidate)
{
        candidate_stop(candidate);
        name_list_clear(&candidate->found);
        free(candidate->why);
        free(candidate);
        return NULL;
}

static void zones_collect(struct discovery *discovery)
{
        name_list_clear(&discovery->zones);
        for (size_t i = 0; i < discovery->configured.n_items; i++)
                (void) name_list_add_new(&discovery->zones, &discovery->configured.items[i]);
        for (size_t i = 0; i < discovery->n_candidates; i++)
                for (size_t j = 0; j < discovery->candidates[i]->found.n_items; j++)
                        (void) name_list_add_new(&discovery->zones,
                                                 &discovery->candidates[i]->found.items[j]);
}

/* Where nothing is found at all, a person wants to know whether anybody could be asked. */
static void problem_tell(struct discovery *discovery)
{
        const char *problem = discovery_problem(discovery) ?: "";

        if (discovery_is_busy(discovery) || streq(problem, discovery->told))
                return;
        (void) snprintf(discovery->told, sizeof(discovery->told), "%s", problem);
        if (problem[0] && discovery->zones.n_items == 0)
                log_notice("No zone to register in is found yet: %s", problem);
}

static void candidate_end(struct candidate *candidate, enum candidate_outcome outcome, const char *why)
{
        struct discovery *discovery = candidate->discovery;

        if (!candidate_note(&candidate->state, outcome, candidate->ttl_sec, now_usec(CLOCK_BOOTTIME),
                            random_below(NULL, SCHEDULE_LOT)))
                name_list_clear(&candidate->found);
        if (outcome == CANDIDATE_FOUND) {
                name_list_clear(&candidate->found);
                candidate->found = candidate->fresh;
                candidate->fresh = (struct name_list){ 0 };
        }
        free(candidate->why);
        candidate->why = why ? strdup(why) : NULL;
        candidate_stop(candidate);
        zones_collect(discovery);
        ask_due(discovery);
        problem_tell(discovery);
        discovery->changed(discovery->userdata);
}

static int candidate_ask(struct candidate *candidate, const char *prefix, uint16_t type, resolve_done done)
{
        struct discovery *discovery = candidate->discovery;
        struct dns_name first, name;
        int r;

        r = dns_name_parse(prefix, &first);
        if (r >= 0)
                r = dns_name_concat(&first, &candidate->domain, &name);
        if (r >= 0)
                r = resolver_ask(discovery->resolver, &name, type, done, candidate, &candidate->query);
        if (r >= 0)
                discovery->n_asking++;
        return r;
}

/* Its question is answered. */
static void candidate_heard(struct candidate *candidate)
{
        candidate->query = NULL;
        candidate->discovery->n_asking--;
}

static void candidate_conclude(struct candidate *candidate)
{
        candidate_end(candidate, candidate->fresh.n_items > 0 ? CANDIDATE_FOUND : CANDIDATE_EMPTY, NULL);
}

static void on_service(void *userdata, const struct resolve_answer *answer)
{
        struct candidate *candidate = userdata;

        candidate_heard(candidate);
        if (answer->error < 0 && candidate->fresh.n_items == 0) {
                candidate_end(candidate, CANDIDATE_FAILED, answer->why);
                return;
        }
        for (size_t i = 0; i < answer->records->n_items; i++) {
                const struct record *record = &answer->records->items[i];

                /* A root as the target says that there is none (RFC 2782). */
                if (record->type != DNS_TYPE_SRV || dns_name_is_root(&record->target))
                        continue;
                (void) name_list_add_new(&candidate->fresh, &candidate->domain);
                candidate->ttl_sec = MIN(candidate->ttl_sec, record->ttl_sec);
        }
        if (candidate->fresh.n_items == 0)
                candidate->ttl_sec = MIN(candidate->ttl_sec, answer->negative_ttl_sec);
        candidate_conclude(candidate);
}

static void on_pointers(void *userdata, const struct resolve_answer *answer)
{
        struct candidate *candidate = userdata;
        int r = 0;

        candidate_heard(candidate);
        if (answer->error < 0) {
                candidate_end(candidate, CANDIDATE_FAILED, answer->why);
                return;
        }
        for (size_t i = 0; i < answer->records->n_items; i++) {
                const struct record *record = &answer->records->items[i];

                if (record->type != DNS_TYPE_PTR || dns_name_is_root(&record->target))
                        continue;
                (void) name_list_add_new(&candidate->fresh, &record->target);
                candidate->ttl_sec = MIN(candidate->ttl_sec, record->ttl_sec);
        }
        if (candidate->fresh.n_items == 0)
                candidate->ttl_sec = MIN(candidate->ttl_sec, answer->negative_ttl_sec);
        if (candidate->fresh.n_items == 0 && streq(candidate->label, "r")) {
                candidate->label = "dr";
                r = candidate_ask(candidate, "dr._dns-sd._udp.", DNS_TYPE_PTR, on_pointers);
        } else if (candidate->may_be_zone)
                r = candidate_ask(candidate, "_nsreg._tcp.", DNS_TYPE_SRV, on_service);
        else
                candidate_conclude(candidate);
        if (r < 0)
                candidate_end(candidate, CANDIDATE_FAILED, strerror(-r));
}

/* ------ whose turn it is ------ */

static bool is_due(const struct candidate *candidate, usec_t now)
{
        return candidate->wanted && !candidate->query && candidate->state.next_usec <= now;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void timer_arm(struct discovery *discovery)
{
        usec_t next = USEC_INFINITY, now = now_usec(CLOCK_BOOTTIME);

        discovery->timer = sd_event_source_disable_unref(discovery->timer);
        for (size_t i = 0; i < discovery->n_candidates; i++) {
                const struct candidate *candidate = discovery->candidates[i];

                if (!candidate->wanted)
                        next = MIN(next, candidate->linger_usec);
                else if (!candidate->query && candidate->state.next_usec > now)
                        next = MIN(next, candidate->state.next_usec);
        }
        if (next != USEC_INFINITY)
                (void) sd_event_add_time(discovery->event, &discovery->timer, CLOCK_BOOTTIME, next,
                                         CLAMP(usec_sub(next, now) / 10, USEC_PER_MSEC, 10 * USEC_PER_SEC),
                                         on_timer, discovery);
}

/* Few at a time: a machine with many networks is no flood to its resolver. */
static void ask_due(struct discovery *discovery)
{
        usec_t now = now_usec(CLOCK_BOOTTIME);

        for (size_t i = 0; i < discovery->n_candidates && discovery->n_asking < ASKING_MAX; i++) {
                struct candidate *candidate = discovery->candidates[i];

                if (!is_due(candidate, now))
                        continue;
                candidate->ttl_sec = UINT32_MAX;
                candidate->label = "r";
                if (candidate_ask(candidate, "r._dns-sd._udp.", DNS_TYPE_PTR, on_pointers) < 0)
                        (void) candidate_note(&candidate->state, CANDIDATE_FAILED, 0, now, 0);
        }
        timer_arm(discovery);
}

static bool linger_end(struct discovery *discovery)
{
        usec_t now = now_usec(CLOCK_BOOTTIME);
        bool ended = false;

        for (size_t i = 0; i < discovery->n_candidates;) {
                struct candidate *candidate = discovery->candidates[i];

                if (candidate->wanted || candidate->linger_usec > now) {
                        i++;
                        continue;
                }
                ended = true;
                candidate_free(candidate);
                discovery->candidates[i] = discovery->candidates[--discovery->n_candidates];
        }
        return ended;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct discovery *discovery = userdata;
        bool ended = linger_end(discovery);

        ask_due(discovery);
        if (ended) {
                zones_collect(discovery);
                discovery->changed(discovery->userdata);
        }
        return 0;
}

/* ------ who is asked ------ */

static struct candidate *candidate_find(struct discovery *discovery, const struct dns_name *domain)
{
        for (size_t i = 0; i < discovery->n_candidates; i++)
                if (dns_name_equal(&discovery->candidates[i]->domain, domain))
                        return discovery->candidates[i];
        return NULL;
}

/* Whether it is one that was not there before. */
static bool candidate_want(struct discovery *discovery, const struct dns_name *domain,
                           const struct link_set *links, bool may_be_zone)
{
        struct candidate *candidate = candidate_find(discovery, domain);
        bool is_new = !candidate || candidate->linger_usec != 0;

        if (!candidate) {
                if (discovery->n_candidates >= CANDIDATES_MAX || !(candidate = calloc(1, sizeof(*candidate))))
                        return false;
                candidate->discovery = discovery;
                candidate->domain = *domain;
                discovery->candidates[discovery->n_candidates++] = candidate;
        }
        /* Back again: what it gave stands, and it is asked. */
        if (candidate->linger_usec != 0)
                candidate_renew(&candidate->state, true, 0);
        candidate->linger_usec = 0;
        if (!candidate->wanted)
                candidate->links = *links;
        else
                link_set_merge(&candidate->links, links);
        candidate->wanted = true;
        candidate->may_be_zone |= may_be_zone;
        return is_new;
}

static void left_out_tell(struct discovery *discovery, const struct link_domain_list *domains,
                          size_t n_networks)
{
        char text[LEFT_OUT_MAX] = "", name[DNS_NAME_FORMAT_MAX];
        size_t used = 0;

        if (domains->n_items > DOMAINS_MAX)
                used = (size_t) snprintf(text, sizeof(text), "%zu of %zu domains, from %.200s on",
                                         domains->n_items - DOMAINS_MAX, domains->n_items,
                                         dns_name_format(&domains->items[DOMAINS_MAX].name, name));
        if (n_networks > NETWORKS_MAX && used < sizeof(text))
                (void) snprintf(text + used, sizeof(text) - used, "%s%zu of %zu networks",
                                used > 0 ? "; " : "", n_networks - NETWORKS_MAX, n_networks);
        if (streq(text, discovery->left_out))
                return;
        strcpy(discovery->left_out, text);
        if (text[0])
                log_notice("Not asked for zones to register in, for there are too many: %s", text);
}

static bool candidates_choose(struct discovery *discovery, const struct link_domain_list *domains,
                              const struct prefix_list *networks, const struct link_set *network_links)
{
        static const struct link_set all = { .all = true };
        static const char *const always[] = { "local.", "home.arpa." };
        struct dns_name name;
        bool added = false;

        for (size_t i = 0; i < discovery->n_candidates; i++)
                discovery->candidates[i]->wanted = false;
        for (size_t i = 0; i < MIN(domains->n_items, (size_t) DOMAINS_MAX); i++)
                added |= candidate_want(discovery, &domains->items[i].name, &domains->items[i].links, true);
        for (size_t i = 0; i < MIN(networks->n_items, (size_t) NETWORKS_MAX); i++) {
                name = dns_name_reverse(&networks->items[i].base);
                added |= candidate_want(discovery, &name, &network_links[i], false);
        }
        /* Without any network there is nobody to recommend anything. */
        for (size_t i = 0; i < ELEMENTSOF(always) && networks->n_items > 0; i++)
                if (dns_name_parse(always[i], &name) >= 0) {
                        added |= candidate_want(discovery, &name, &all, false);
                        if (i == 0 && candidate_find(discovery, &name))
                                candidate_find(discovery, &name)->quiet = true;
                }
        left_out_tell(discovery, domains, networks->n_items);
        return added;
}

static bool prefix_known(const struct prefix_list *list, const struct prefix *prefix)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (list->items[i].length == prefix->length &&
                    address_compare(&list->items[i].base, &prefix->base) == 0)
                        return true;
        return false;
}

/* Is none of the networks one of before. */
static bool has_moved(const struct prefix_list *before, const struct prefix_list *now)
{
        for (size_t i = 0; i < now->n_items; i++)
                if (prefix_known(before, &now->items[i]))
                        return false;
        return true;
}

static int networks_note(struct discovery *discovery, const struct prefix_list *networks)
{
        prefix_list_clear(&discovery->networks);
        for (size_t i = 0; i < networks->n_items; i++) {
                int r = prefix_list_add(&discovery->networks, &networks->items[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void candidates_drop(struct discovery *discovery)
{
        for (size_t i = 0; i < discovery->n_candidates; i++)
                candidate_free(discovery->candidates[i]);
        discovery->n_candidates = 0;
        discovery->timer = sd_event_source_disable_unref(discovery->timer);
}

static void candidates_renew(struct discovery *discovery, bool moved, bool added)
{
        usec_t now = now_usec(CLOCK_BOOTTIME);

        for (size_t i = 0; i < discovery->n_candidates; i++) {
                struct candidate *candidate = discovery->candidates[i];
                bool of_all = !candidate->may_be_zone && dns_name_count_labels(&candidate->domain) <= 2;

                if (!candidate->wanted) {
                        candidate_stop(candidate);
                        if (candidate->linger_usec == 0)
                                candidate->linger_usec = usec_add(now, LINGER_USEC);
                        continue;
                }
                /* Whoever answers for the networks that were added may be who answers for those of everybody.
                 */
                candidate_renew(&candidate->state, moved || (added && of_all), now);
                if (!candidate->state.answered)
                        candidate_stop(candidate);
        }
}

int discovery_run(struct discovery *discovery, const struct link_domain_list *domains,
                  const struct prefix_list *networks, const struct link_set *network_links, bool anew)
{
        bool moved = anew || has_moved(&discovery->networks, networks);
        int r;

        if (!discovery->discover) {
                candidates_drop(discovery);
                zones_collect(discovery);
                discovery->changed(discovery->userdata);
                return 0;
        }
        r = networks_note(discovery, networks);
        if (r < 0)
                return r;
        candidates_renew(discovery, moved, candidates_choose(discovery, domains, networks, network_links));
        (void) linger_end(discovery); /* told in any case */
        ask_due(discovery);
        zones_collect(discovery);
        discovery->changed(discovery->userdata);
        return 0;
}

bool discovery_is_busy(const struct discovery *discovery)
{
        for (size_t i = 0; i < discovery->n_candidates; i++)
                if (discovery->candidates[i]->wanted && !discovery->candidates[i]->state.answered)
                        return true;
        return false;
}

bool discovery_is_sure(const struct discovery *discovery)
{
        usec_t now = now_usec(CLOCK_BOOTTIME);

        for (size_t i = 0; i < discovery->n_candidates; i++)
                if (!candidate_is_sure(&discovery->candidates[i]->state, now) &&
                    !discovery->candidates[i]->quiet)
                        return false;
        return true;
}

const char *discovery_problem(const struct discovery *discovery)
{
        for (size_t i = 0; i < discovery->n_candidates; i++)
                if (discovery->candidates[i]->why && !discovery->candidates[i]->quiet)
                        return discovery->candidates[i]->why;
        return NULL;
}

const struct name_list *discovery_zones(struct discovery *discovery)
{
        return &discovery->zones;
}

struct link_set discovery_links(const struct discovery *discovery, const struct dns_name *zone)
{
        struct link_set links = { .all = name_list_contains(&discovery->configured, zone) };

        for (size_t i = 0; i < discovery->n_candidates; i++)
                if (name_list_contains(&discovery->candidates[i]->found, zone))
                        link_set_merge(&links, &discovery->candidates[i]->links);
        return links;
}

int discovery_new(sd_event *event, struct resolver *resolver, discovery_changed changed, void *userdata,
                  struct discovery **ret)
{
        struct discovery *discovery = calloc(1, sizeof(*discovery));

        if (!discovery)
                return -ENOMEM;
        discovery->event = sd_event_ref(event);
        discovery->resolver = resolver;
        discovery->changed = changed;
        discovery->userdata = userdata;
        *ret = discovery;
        return 0;
}

int discovery_configure(struct discovery *discovery, const struct name_list *configured, bool discover)
{
        struct name_list list = { 0 };

        for (size_t i = 0; i < configured->n_items; i++) {
                int r = name_list_add_new(&list, &configured->items[i]);

                if (r < 0) {
                        name_list_clear(&list);
                        return r;
                }
        }
        name_list_clear(&discovery->configured);
        discovery->configured = list;
        discovery->discover = discover;
        return 0;
}

struct discovery *discovery_free(struct discovery *discovery)
{
        if (!discovery)
                return NULL;
        candidates_drop(discovery);
        name_list_clear(&discovery->configured);
        name_list_clear(&discovery->zones);
        prefix_list_clear(&discovery->networks);
        sd_event_unref(discovery->event);
        free(discovery);
        return NULL;
}
