/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pages of names. A page may take a look at every name there is, so it is made in slices, in turn with
 * everything else and with other pages. For bus.c only. */

#include <systemd/sd-bus.h>

#include "nsregd/context.h"
#include "util/macro.h"

struct bus_lists;

int bus_lists_new(struct context *context, struct bus_lists **ret);
struct bus_lists *bus_lists_free(struct bus_lists *lists);
DEFINE_CLEANUP(struct bus_lists *, bus_lists_free)

/* The bus is gone, and so is everybody who waits. */
void bus_lists_clear(struct bus_lists *lists);

/* Method handlers: 1, or negative with the error filled in. */
int bus_list_registrations(struct bus_lists *lists, sd_bus_message *message, sd_bus_error *error);
int bus_list_records(struct bus_lists *lists, sd_bus_message *message, sd_bus_error *error);
int bus_list_reserved(struct bus_lists *lists, sd_bus_message *message, sd_bus_error *error);
