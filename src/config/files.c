/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/files.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/file.h"

struct drop_in {
        char *name; /* what they are ordered by */
        char *path; /* NULL: masked */
};

struct drop_ins {
        struct drop_in *items;
        size_t n_items;
};

static void drop_ins_clear(struct drop_ins *list)
{
        for (size_t i = 0; i < list->n_items; i++) {
                free(list->items[i].name);
                free(list->items[i].path);
        }
        free(list->items);
        *list = (struct drop_ins){};
}

/* A link to /dev/null stands for nothing, and hides what it would be read instead of. */
static bool is_masked(const char *path)
{
        struct stat status;

        return stat(path, &status) >= 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

static int add_file(struct config_document *document, const char *path, struct config_error *error)
{
        _cleanup_free_ char *text = NULL;
        struct config_position position = { .path = path };
        struct stat status;
        size_t length;
        int r;

        r = file_read(path, CONFIG_FILE_MAX, &text, &length);
        if (r == -ENOMEM)
                return r;
        if (r == -EFBIG) {
                config_error_add(error, &position, NULL, "larger than %u bytes", CONFIG_FILE_MAX);
                return -EINVAL;
        }
        if (r >= 0 && stat(path, &status) < 0)
                r = -errno;
        if (r < 0) {
                config_error_add(error, &position, NULL, "cannot be read: %s", strerror(-r));
                return -EINVAL;
        }
        return config_document_add(document, path, status.st_mode, text, length, error);
}

static bool is_drop_in(const char *name)
{
        size_t length = strlen(name);

        return name[0] != '.' && length > strlen(".yaml") && streq(name + length - strlen(".yaml"), ".yaml");
}

static bool drop_ins_have(const struct drop_ins *list, const char *name)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (streq(list->items[i].name, name))
                        return true;
        return false;
}

static int drop_ins_add(struct drop_ins *list, const char *directory, const char *name)
{
        struct drop_in item = {}, *items;

        items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        item.name = strdup(name);
        item.path = path_join(directory, name);
        if (!item.name || !item.path) {
                free(item.name);
                free(item.path);
                return -ENOMEM;
        }
        if (is_masked(item.path)) {
                free(item.path);
                item.path = NULL;
        }
        items[list->n_items++] = item;
        return 0;
}

static int drop_ins_scan(struct drop_ins *list, const char *directory, struct config_error *error)
{
        struct config_position position = { .path = directory };
        struct dirent *entry;
        DIR *stream;
        int r = 0;

        stream = opendir(directory);
        if (!stream) {
                if (errno == ENOENT || errno == ENOTDIR)
                        return 0;
                if (errno == ENOMEM)
                        return -ENOMEM;
                config_error_add(error, &position, NULL, "cannot be read: %s", strerror(errno));
                return -EINVAL;
        }
        while (r >= 0 && (entry = readdir(stream)))
                if (is_drop_in(entry->d_name) && !drop_ins_have(list, entry->d_name))
                        r = drop_ins_add(list, directory, entry->d_name);
        closedir(stream);
        return r;
}

static int compare_drop_ins(const void *a, const void *b)
{
        return strcmp(((const struct drop_in *) a)->name, ((const struct drop_in *) b)->name);
}

/* All files are read even when one is bad, so that all complaints come at once. */
static int add_drop_ins(struct config_document *document, struct drop_ins *list, struct config_error *error)
{
        int result = 0;

        if (list->n_items > 0)
                qsort(list->items, list->n_items, sizeof(*list->items), compare_drop_ins);
        for (size_t i = 0; i < list->n_items; i++) {
                const char *path = list->items[i].path;
                int r = path ? add_file(document, path, error) : 0;

                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        result = r;
        }
        return result;
}

static int load(const char *main_file, struct drop_ins *drop_ins, struct config_document **ret,
                struct config_error *error)
{
        _cleanup_(config_document_freep) struct config_document *document = NULL;
        int main_result = 0, r;

        document = config_document_new();
        if (!document)
                return -ENOMEM;
        if (main_file && !is_masked(main_file))
                main_result = add_file(document, main_file, error);
        if (main_result == -ENOMEM)
                return main_result;
        r = add_drop_ins(document, drop_ins, error);
        if (r < 0)
                return r;
        if (main_result < 0)
                return main_result;
        *ret = TAKE_PTR(document);
        return 0;
}

int config_files_load_path(const char *path, struct config_document **ret, struct config_error *error)
{
        _cleanup_(drop_ins_clear) struct drop_ins drop_ins = {};
        _cleanup_free_ char *directory = NULL;
        int r;

        if (asprintf(&directory, "%s.d", path) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        r = drop_ins_scan(&drop_ins, directory, error);
        if (r < 0)
                return r;
        return load(path, &drop_ins, ret, error);
}

int config_files_load_directories(const char *const *directories, const char *name,
                                  struct config_document **ret, struct config_error *error)
{
        _cleanup_(drop_ins_clear) struct drop_ins drop_ins = {};
        _cleanup_free_ char *main_file = NULL;
        int r;

        for (; *directories; directories++) {
                _cleanup_free_ char *path = path_join(*directories, name);
                _cleanup_free_ char *directory = NULL;

                if (!path)
                        return -ENOMEM;
                if (asprintf(&directory, "%s.d", path) < 0) {
                        directory = NULL;
                        return -ENOMEM;
                }
                r = drop_ins_scan(&drop_ins, directory, error);
                if (r < 0)
                        return r;
                if (!main_file && access(path, F_OK) == 0)
                        main_file = TAKE_PTR(path);
        }
        return load(main_file, &drop_ins, ret, error);
}
