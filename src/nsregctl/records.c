/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Records of all names, by type. */

#include <stdio.h>

#include "dns/rdata.h"
#include "nsregctl/verbs.h"
#include "util/macro.h"

enum { RECORDS_REGISTRATION, RECORDS_NAME, RECORDS_TYPE, RECORDS_DATA, RECORDS_LEASE };

static const struct column records_columns[] = {
        [RECORDS_REGISTRATION] = { "REGISTRATION", "Registration", COLUMN_TEXT },
        [RECORDS_NAME] = { "NAME", "Name", COLUMN_TEXT },
        [RECORDS_TYPE] = { "TYPE", "Type", COLUMN_TEXT },
        [RECORDS_DATA] = { "DATA", "Data", COLUMN_TEXT },
        [RECORDS_LEASE] = { "LEASE ENDS", "LeaseEndUSec", COLUMN_TIME },
};

static int read_record(sd_bus_message *reply, struct table *table, const char **ret_registration)
{
        _cleanup_free_ char *text = NULL;
        char type_text[RDATA_TYPE_FORMAT_MAX];
        const void *octets;
        uint64_t end_usec;
        const char *name;
        uint16_t type;
        size_t size;
        int r;

        r = sd_bus_message_read(reply, "ssq", ret_registration, &name, &type);
        if (r >= 0)
                r = sd_bus_message_read_array(reply, 'y', &octets, &size);
        if (r >= 0)
                r = sd_bus_message_read(reply, "t", &end_usec);
        if (r < 0)
                return r;
        text = rdata_format(type, octets, size);
        r = text ? table_row(table) : -ENOMEM;
        if (r < 0)
                return r;
        (void) table_set(table, RECORDS_REGISTRATION, *ret_registration);
        (void) table_set(table, RECORDS_NAME, name);
        (void) table_set(table, RECORDS_TYPE, rdata_type_format(type, type_text));
        (void) table_set(table, RECORDS_DATA, text);
        (void) table_set_time(table, RECORDS_LEASE, end_usec);
        return 0;
}

/* A page into the table; "after" becomes the last name. 1: there may be more. */
static int records_page(struct context *context, const char *zone, const char *glob, uint16_t type,
                        struct table *table, char after[static 1100])
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *name;
        bool any = false;
        int r;

        r = call_method(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "ListRecords", &error,
                        &reply, "sssqu", zone, glob, after, type, 0);
        if (r < 0) {
                r = report(REGISTRY_SERVICE, &error, r);
                sd_bus_error_free(&error);
                return r;
        }
        r = sd_bus_message_enter_container(reply, 'a', "(ssqayt)");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "ssqayt")) > 0) {
                r = read_record(reply, table, &name);
                if (r < 0)
                        break;
                snprintf(after, 1100, "%s", name);
                any = true;
                r = sd_bus_message_exit_container(reply);
        }
        sd_bus_message_unref(reply);
        return r < 0 ? say_unreadable(r) : any;
}

int list_records(struct context *context, const char *zone, const char *glob)
{
        struct table *table;
        char after[1100] = "";
        uint16_t type = 0;
        int r;

        if (strcasecmp(context->type, "any") != 0 && rdata_type_from_string(context->type, &type) < 0) {
                fprintf(stderr,
                        "nsregctl: --type takes a record type such as SSHFP, or \"any\", not \"%s\".\n",
                        context->type);
                return -EINVAL;
        }
        table = table_new("Records", records_columns, ELEMENTSOF(records_columns), context->output,
                          context->legend);
        if (!table)
                return say_no_memory();
        do
                r = records_page(context, zone, glob, type, table, after);
        while (r > 0);
        if (r >= 0 && (table_rows(table) > 0 || context->output != OUTPUT_TABLE))
                r = table_print(table);
        if (r >= 0 && glob[0] && table_rows(table) == 0)
                r = say_none_like(glob);
        if (r >= 0 && context->output == OUTPUT_TABLE && context->legend)
                printf("\n%u record%s.\n", table_rows(table), table_rows(table) == 1 ? "" : "s");
        table_free(table);
        return r;
}
