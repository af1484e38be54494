/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/link.h"
#include "nsregc/manager-internal.h"
#include "nsregc/name-choice.h"
#include "util/log.h"

static void on_registration(void *userdata, struct registration *registration)
{
        struct manager *manager = userdata;

        /* What the ledger has may be of another registration now, or of none. */
        manager->look_again = true;
        manager_tidy_later(manager);
}

/* By the name that is wanted, or by that which it has. */
static struct registration *find(const struct manager *manager, const struct dns_name *zone,
                                 const struct dns_name *name, bool plain)
{
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (dns_name_equal(&info.zone, zone) &&
                    dns_name_equal(plain ? &info.plain : &info.name, name))
                        return manager->registrations[i];
        }
        return NULL;
}

/* "left": by a predecessor, there; NULL: it is what we want ourselves. */
static struct registration *add(struct manager *manager, const struct dns_name *zone,
                                const struct dns_name *name, const struct ledger_entry *left)
{
        struct registration_options options = {
                .event = manager->event,
                .resolver = manager->resolver,
                .pair = manager->identity->pair,
                .key_source = manager->identity->key_source,
                .ledger = manager->ledger,
                .zone = *zone,
                .name = *name,
                .suffix = manager->config->name_on_conflict == NAME_ON_CONFLICT_SUFFIX,
                .left = left,
                .place = left ? left->place : NULL,
                .key_ttl_sec = manager->config->key_ttl_sec,
                .addr_ttl_sec = manager->config->addr_ttl_sec,
                .timeout_usec = manager->config->dns_timeout_usec,
                .changed = on_registration,
                .userdata = manager,
        };
        struct registration *registration;
        int r;

        if (manager->n_registrations >= REGISTRATIONS_MAX)
                return NULL;
        r = registration_new(&options, &registration);
        if (r < 0) {
                log_error("Registration: %s", strerror(-r));
                return NULL;
        }
        manager->registrations[manager->n_registrations++] = registration;
        return registration;
}

static bool name_of(const struct manager *manager, const struct dns_name *zone, struct dns_name *ret)
{
        return manager->label[0] && dns_name_prepend(manager->label, strlen(manager->label), zone, ret) >= 0;
}

enum registration_goal manager_goal(const struct manager *manager)
{
        return manager->mode == MANAGER_RELEASE || manager->released ? GOAL_RELEASE : GOAL_REGISTER;
}

void manager_set_addresses(struct manager *manager, struct registration *registration,
                           const struct dns_name *zone)
{
        struct link_set links = discovery_links(manager->discovery, zone);
        struct address_set addresses = { 0 }, spare = { 0 };

        if (!links.all && links.n_items == 0)
                return;
        /* Without memory for it the next change is the next chance. */
        if (links.all)
                (void) registration_set_addresses(registration, address_monitor_get(manager->addresses),
                                                  address_monitor_spare(manager->addresses));
        else if (address_monitor_get_of(manager->addresses, &links, &addresses, &spare) >= 0)
                (void) registration_set_addresses(registration, &addresses, &spare);
        address_set_clear(&addresses);
        address_set_clear(&spare);
}

static void wanted_add(struct manager *manager)
{
        const struct name_list *zones = discovery_zones(manager->discovery);

        for (size_t i = 0; i < zones->n_items; i++) {
                struct registration *registration;
                struct dns_name name;

                if (!name_of(manager, &zones->items[i], &name))
                        continue;
                registration = find(manager, &zones->items[i], &name, true)
                                       ?: add(manager, &zones->items[i], &name, NULL);
                if (!registration)
                        continue;
                registration_set_goal(registration, manager_goal(manager));
                if (manager_goal(manager) == GOAL_REGISTER)
                        manager_set_addresses(manager, registration, &zones->items[i]);
        }
}

/* Of the same zone's name there may be other registrars elsewhere, and what was left there waits. */
static bool is_elsewhere(const struct registration *registration, const struct ledger_entry *entry)
{
        struct registration_info info;

        registration_get_info(registration, &info);
        return !info.place[0] || !place_same(info.place, entry->place);
}

/* What a predecessor left. A suffix that is only remembered is nobody's business until its zone is back; one
 * that is not needed any more is given up. */
static void left_add(struct manager *manager, const struct ledger_entry *entry)
{
        bool suffix = manager->config->name_on_conflict == NAME_ON_CONFLICT_SUFFIX;
        const struct registration *wanted = NULL;
        struct dns_name plain;

        if (entry->elsewhere || find(manager, &entry->zone, &entry->name, false))
                return;
        if (name_of(manager, &entry->zone, &plain))
                wanted = find(manager, &entry->zone, &plain, true);
        /* The plain name beside one with a suffix: it is being asked for. */
        if (wanted && (is_elsewhere(wanted, entry) || dns_name_equal(&plain, &entry->name)))
                return;
        if (wanted || !suffix || !manager->label[0] || name_choice_number(&plain, &entry->name) < 2)
                (void) add(manager, &entry->zone, &entry->name, entry);
        else if (entry->addresses.n_items > 0 || manager->mode == MANAGER_RELEASE)
                (void) add(manager, &entry->zone, &plain, entry);
}

/* Our own name in a zone that was not found yet: it may be in a moment. */
static bool left_waits(const struct manager *manager, const struct ledger_entry *entry)
{
        struct dns_name plain;

        return manager->mode != MANAGER_RELEASE && !discovery_is_sure(manager->discovery) &&
               name_of(manager, &entry->zone, &plain) &&
               (dns_name_equal(&plain, &entry->name) || name_choice_number(&plain, &entry->name) >= 2) &&
               !name_list_contains(discovery_zones(manager->discovery), &entry->zone);
}

/* Another name than ours is given up; ours in a zone that is no longer there only loses its records. */
static void unwanted_end(struct manager *manager)
{
        const struct name_list *zones = discovery_zones(manager->discovery);

        for (size_t i = 0; i < ledger_count(manager->ledger); i++)
                if (!left_waits(manager, ledger_get(manager->ledger, i)))
                        left_add(manager, ledger_get(manager->ledger, i));
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;
                struct dns_name name;

                registration_get_info(manager->registrations[i], &info);
                if (manager->mode == MANAGER_RELEASE || !name_of(manager, &info.zone, &name) ||
                    !dns_name_equal(&name, &info.plain))
                        registration_set_goal(manager->registrations[i], GOAL_RELEASE);
                else if (!name_list_contains(zones, &info.zone))
                        registration_set_goal(manager->registrations[i], GOAL_WITHDRAW);
        }
}

void manager_reconcile(struct manager *manager)
{
        if (manager->stopping || !manager->started || !manager->addresses_known)
                return;
        /* Without a name what there is stays: it may come back under the same one. */
        if (manager->label[0] || manager->mode == MANAGER_RELEASE) {
                wanted_add(manager);
                manager_apply_records(manager);
                if (!discovery_is_busy(manager->discovery))
                        unwanted_end(manager);
        }
        manager_tidy_later(manager);
}
