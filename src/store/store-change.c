/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "store/store-internal.h"

struct job *job_new(enum job_kind kind, const struct dns_name *zone)
{
        struct job *job = calloc(1, sizeof(*job));

        if (!job)
                return NULL;
        job->kind = kind;
        job->weight = 1;
        if (zone)
                job->zone = *zone;
        return job;
}

struct job *job_free(struct job *job)
{
        if (!job)
                return NULL;
        if (job->waiter)
                waiter_clear(job->waiter);
        name_state_free(job->state);
        free(job->unit.octets);
        moved_slice_free(job->slice);
        store_import_free(job->import);
        if (job->page)
                store_page_clear(job->page);
        free(job->page);
        if (job->units)
                store_units_clear(job->units);
        free(job->units);
        free(job);
        return NULL;
}

void job_list_clear(struct job_list *list)
{
        struct job *job;

        while ((job = STAILQ_FIRST(list))) {
                STAILQ_REMOVE_HEAD(list, next);
                job_free(job);
        }
}

int store_put_name(struct store *store, const struct dns_name *zone, const char *label,
                   struct name_state *state, struct waiter *waiter, waiter_done done)
{
        _cleanup_(job_freep) struct job *job = job_new(JOB_PUT_NAME, zone);

        if (!job)
                return -ENOMEM;
        snprintf(job->label, sizeof(job->label), "%s", label);
        job->state = name_state_copy(state);
        if (!job->state)
                return -ENOMEM;
        job->state->generation = state->generation = ++store->generation;
        store_append(store, TAKE_PTR(job), waiter, done);
        return 0;
}

int stored_unit_set(struct stored_unit *unit, const struct unit_row *row)
{
        size_t upstream_size = strlen(row->upstream) + 1;
        uint8_t *octets = malloc(upstream_size + row->rdata_size + row->values_size);

        if (!octets)
                return -ENOMEM;
        *unit = (struct stored_unit){ .row = *row, .octets = octets };
        memcpy(octets, row->upstream, upstream_size);
        unit->row.upstream = (const char *) octets;
        octets += upstream_size;
        if (row->rdata_size > 0)
                memcpy(octets, row->rdata, row->rdata_size);
        unit->row.rdata = octets;
        octets += row->rdata_size;
        if (row->values_size > 0)
                memcpy(octets, row->values, row->values_size);
        unit->row.values = octets;
        return 0;
}

static int put_unit(struct store *store, enum job_kind kind, const struct unit_row *row,
                    struct waiter *waiter, waiter_done done)
{
        _cleanup_(job_freep) struct job *job = job_new(kind, NULL);

        if (!job || stored_unit_set(&job->unit, row) < 0)
                return -ENOMEM;
        store_append(store, TAKE_PTR(job), waiter, done);
        return 0;
}

int store_put_unit(struct store *store, const struct unit_row *row, struct waiter *waiter, waiter_done done)
{
        return put_unit(store, JOB_PUT_UNIT, row, waiter, done);
}

int store_delete_unit(struct store *store, const struct unit_row *key, struct waiter *waiter,
                      waiter_done done)
{
        struct unit_row row = *key;

        row.values_size = 0;
        return put_unit(store, JOB_DELETE_UNIT, &row, waiter, done);
}

int store_move_units(struct store *store, const char *from, const char *to, struct waiter *waiter,
                     waiter_done done)
{
        const struct unit_row row = { .upstream = from,
                                      .values = (const uint8_t *) to,
                                      .values_size = to ? strlen(to) + 1 : 0 };

        return put_unit(store, JOB_MOVE_UNITS, &row, waiter, done);
}

int store_put_serial(struct store *store, const struct dns_name *zone, uint32_t serial, struct waiter *waiter,
                     waiter_done done)
{
        struct job *job = job_new(JOB_PUT_SERIAL, zone);

        if (!job)
                return -ENOMEM;
        job->serial = serial;
        store_append(store, job, waiter, done);
        return 0;
}

/* --- ends --- */

struct moved_slice *moved_slice_new(const struct dns_name *zone)
{
        struct moved_slice *slice = calloc(1, sizeof(*slice));

        if (!slice)
                return NULL;
        slice->n_references = 1;
        slice->zone = *zone;
        return slice;
}

struct moved_slice *moved_slice_ref(struct moved_slice *slice)
{
        slice->n_references++;
        return slice;
}

struct moved_slice *moved_slice_free(struct moved_slice *slice)
{
        if (!slice || --slice->n_references > 0)
                return NULL;
        for (unsigned i = 0; i < slice->n; i++)
                free(slice->ends[i]);
        free(slice->ends);
        free(slice);
        return NULL;
}

int moved_slice_add(struct moved_slice *slice, const char *label, const struct name_state *state)
{
        assert(slice->n_references == 1);
        if (slice->n == slice->n_allocated) {
                unsigned n = MAX(slice->n_allocated * 2, 16U);
                struct moved_ends **ends = reallocarray(slice->ends, n, sizeof(struct moved_ends *));

                if (!ends)
                        return -ENOMEM;
                slice->ends = ends;
                slice->n_allocated = n;
        }
        slice->ends[slice->n] = moved_ends_new(label, state);
        if (!slice->ends[slice->n])
                return -ENOMEM;
        slice->n++;
        return 0;
}

int store_move_ends(struct store *store, struct moved_slice *slice, struct waiter *waiter, waiter_done done)
{
        struct job *job = job_new(JOB_MOVE_ENDS, &slice->zone);

        if (!job)
                return -ENOMEM;
        job->slice = moved_slice_ref(slice);
        job->weight = MAX(slice->n, 1U);
        store_append(store, job, waiter, done);
        return 0;
}

/* --- imports --- */

struct store_import *store_import_new(struct store *store, const struct dns_name *zone)
{
        struct store_import *import = calloc(1, sizeof(*import));

        if (!import)
                return NULL;
        import->store = store;
        import->zone = *zone;
        STAILQ_INIT(&import->names);
        return import;
}

struct store_import *store_import_free(struct store_import *import)
{
        struct imported_name *name;

        if (!import)
                return NULL;
        while ((name = STAILQ_FIRST(&import->names))) {
                STAILQ_REMOVE_HEAD(&import->names, next);
                name_state_free(name->state);
                free(name);
        }
        free(import);
        return NULL;
}

int store_import_add(struct store_import *import, const char *label, struct name_state *state)
{
        struct imported_name *name = malloc(sizeof(*name) + strlen(label) + 1);

        if (!name)
                return -ENOMEM;
        strcpy(name->label, label);
        name->state = name_state_copy(state);
        if (!name->state) {
                free(name);
                return -ENOMEM;
        }
        name->state->generation = state->generation = ++import->store->generation;
        STAILQ_INSERT_TAIL(&import->names, name, next);
        import->n++;
        return 0;
}

int store_put_import(struct store_import *import, usec_t imported_usec, struct waiter *waiter,
                     waiter_done done)
{
        struct job *job = job_new(JOB_IMPORT, &import->zone);

        if (!job) {
                store_import_free(import);
                return -ENOMEM;
        }
        import->imported_usec = imported_usec;
        job->import = import;
        job->weight = import->n + 1;
        store_append(import->store, job, waiter, done);
        return 0;
}

/* --- pages --- */

int store_read_page(struct store *store, struct store_page *page, waiter_done done)
{
        _cleanup_(job_freep) struct job *job = job_new(JOB_READ_PAGE, NULL);

        assert(page->n_names == 0);
        if (!job)
                return -ENOMEM;
        job->page = calloc(1, sizeof(*job->page));
        if (!job->page)
                return -ENOMEM;
        job->page->zone = page->zone;
        memcpy(job->page->after, page->after, sizeof(page->after));
        /* Reading takes its time too. */
        job->weight = STORE_PAGE_MAX;
        store_append(store, TAKE_PTR(job), &page->waiter, done);
        return 0;
}

void store_page_clear(struct store_page *page)
{
        assert(!waiter_is_waiting(&page->waiter));
        for (unsigned i = 0; i < page->n_names; i++)
                page->names[i].state = name_state_free(page->names[i].state);
        page->n_names = 0;
}

int store_read_units(struct store *store, struct store_units *page, waiter_done done)
{
        struct unit_row first = { .upstream = page->upstream };
        _cleanup_(job_freep) struct job *job = job_new(JOB_READ_UNITS, NULL);

        assert(page->n_units == 0);
        if (!job || stored_unit_set(&job->unit, page->after ?: &first) < 0)
                return -ENOMEM;
        job->units = calloc(1, sizeof(*job->units));
        if (!job->units)
                return -ENOMEM;
        job->weight = STORE_PAGE_MAX;
        store_append(store, TAKE_PTR(job), &page->waiter, done);
        return 0;
}

void store_units_clear(struct store_units *page)
{
        assert(!waiter_is_waiting(&page->waiter));
        for (unsigned i = 0; i < page->n_units; i++)
                free(page->units[i].octets);
        page->n_units = 0;
}
