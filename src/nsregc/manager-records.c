/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is registered beside addresses: by the configuration, the host keys of sshd, and on request. */

#include "nsregc/directory-watch.h"
#include "nsregc/host-keys.h"
#include "nsregc/manager-internal.h"
#include "util/log.h"

#define SSH_DIRECTORY "/etc/ssh"
#define REQUESTED_MAX 64

static const char *ssh_directory(void)
{
        /* For tests. */
        return getenv("NSREGC_SSH_DIRECTORY") ?: SSH_DIRECTORY;
}

static int collect(const struct manager *manager, struct extra_record_list *list)
{
        int r = 0;

        for (size_t i = 0; i < manager->config->records.n_items && r >= 0; i++) {
                struct extra_record record = { 0 };
                const char *why;

                /* It was read once already, when the configuration was. */
                r = extra_record_parse_line(manager->config->records.items[i], &record, &why);
                if (r >= 0)
                        r = extra_record_list_add(list, &record);
                extra_record_clear(&record);
        }
        if (r >= 0)
                r = extra_record_list_merge(list, &manager->requested);
        if (r >= 0 && manager->config->ssh_host_keys)
                r = host_keys_read(ssh_directory(), list);
        return r;
}

void manager_apply_records(struct manager *manager)
{
        struct extra_record_list list = { 0 };
        int r = collect(manager, &list);

        for (size_t i = 0; i < manager->n_registrations && r >= 0; i++)
                r = registration_set_records(manager->registrations[i], &list, &manager->left);
        if (r < 0)
                log_error("Records beside addresses: %s", strerror(-r));
        extra_record_list_clear(&list);
}

static void on_host_keys(void *userdata)
{
        manager_apply_records(userdata);
}

void manager_watch_host_keys(struct manager *manager)
{
        int r;

        if (!manager->config->ssh_host_keys) {
                manager->host_keys = directory_watch_free(manager->host_keys);
                return;
        }
        if (manager->host_keys)
                return;
        r = directory_watch_new(manager->event, ssh_directory(), HOST_KEYS_PATTERN, on_host_keys, manager,
                                &manager->host_keys);
        if (r < 0)
                log_notice("Changes of the keys in %s are not seen: %s", ssh_directory(), strerror(-r));
}

int manager_add_record(struct manager *manager, const struct extra_record *record)
{
        int r;

        if (manager->requested.n_items >= REQUESTED_MAX &&
            !extra_record_list_contains(&manager->requested, record))
                return -ENOBUFS;
        r = extra_record_list_add(&manager->requested, record);
        if (r >= 0)
                manager_apply_records(manager);
        return r;
}

bool manager_remove_record(struct manager *manager, const struct extra_record *record, bool left)
{
        bool was = extra_record_list_remove(&manager->requested, record);

        if (!was && left)
                was = extra_record_list_add(&manager->left, record) >= 0;
        if (was)
                manager_apply_records(manager);
        return was;
}

bool manager_records_settled(const struct manager *manager, bool *ret_good, char **ret_why)
{
        char name[DNS_NAME_FORMAT_MAX];
        bool good = false, ready = manager_settled(manager, &good, ret_why);

        *ret_good = false;
        if (!ready || !good)
                return ready;
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (info.goal != GOAL_REGISTER)
                        continue;
                if (!info.records_settled)
                        return false;
                /* One zone that has them is what was asked for. */
                if (!info.records_reason[0])
                        *ret_good = true;
                else if (!*ret_why && asprintf(ret_why, "%s: %s", dns_name_format(&info.name, name),
                                               info.records_reason) < 0)
                        *ret_why = NULL;
        }
        return true;
}
