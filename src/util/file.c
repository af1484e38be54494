/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/macro.h"

#define READ_STEP 4096

static int read_all(int fd, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *data = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                ssize_t n;

                if (allocated - size < 2) {
                        size_t wanted = MIN(MAX(allocated * 2, (size_t) READ_STEP), max + 2);
                        char *grown = realloc(data, wanted);

                        if (!grown)
                                return -ENOMEM;
                        data = grown;
                        allocated = wanted;
                }

                n = read(fd, data + size, allocated - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;

                size += (size_t) n;
                if (size > max)
                        return -EFBIG;
        }

        data[size] = 0;
        *ret = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_close_ int fd = -1;
        struct stat st;

        /* Without O_NONBLOCK a FIFO put in the file's place would make us wait for its writer. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((uint64_t) st.st_size > max)
                return -EFBIG;

        return read_all(fd, max, ret, ret_size);
}

static int write_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }

        return 0;
}

char *path_parent(const char *path)
{
        const char *slash = strrchr(path, '/');

        if (!slash)
                return strdup(".");
        if (slash == path)
                return strdup("/");

        return strndup(path, (size_t) (slash - path));
}

static int fill_temporary(const char *path, const void *data, size_t size, mode_t mode)
{
        _cleanup_close_ int fd = -1;
        int r;

        /* What the umask leaves does not matter: nobody else may open the file before fchmod. */
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;

        r = write_all(fd, data, size);
        if (r < 0)
                return r;
        if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
                return -errno;

        /* close() is where network file systems tell of a full disk. */
        if (close(TAKE_FD(fd)) < 0)
                return -errno;

        return 0;
}

static int sync_directory(const char *path)
{
        _cleanup_free_ char *directory = path_parent(path);
        _cleanup_close_ int fd = -1;

        if (!directory)
                return -ENOMEM;

        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fsync(fd) < 0)
                return -errno;

        return 0;
}

int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode)
{
        _cleanup_free_ char *temporary = NULL;
        int r;

        /* The process id is enough of a name: one process writes one file at a time, and what a killed
         * predecessor with the same id left is removed first. */
        if (asprintf(&temporary, "%s.%d.tmp", path, (int) getpid()) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        if (unlink(temporary) < 0 && errno != ENOENT)
                return -errno;

        r = fill_temporary(temporary, data, size, mode);
        if (r >= 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0) {
                unlink(temporary);
                return r;
        }

        return sync_directory(path);
}

int directory_ensure(const char *path, mode_t mode)
{
        struct stat st;

        if (mkdir(path, mode) >= 0)
                return chmod(path, mode) < 0 ? -errno : 0;
        if (errno != EEXIST)
                return -errno;

        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int directory_ensure_all(const char *path, mode_t mode)
{
        _cleanup_free_ char *way = strdup(path);

        if (!way)
                return -ENOMEM;
        for (char *slash = strchr(way + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(way, mode) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        if (mkdir(way, mode) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

char *path_join(const char *directory, const char *name)
{
        size_t n = strlen(directory);
        char *path;

        if (asprintf(&path, "%s%s%s", directory, n > 0 && directory[n - 1] == '/' ? "" : "/", name) < 0)
                return NULL;

        return path;
}

bool file_is_public(const char *path)
{
        _cleanup_free_ char *way = realpath(path, NULL);
        struct stat st;

        if (!way || stat(way, &st) < 0 || !(st.st_mode & S_IROTH))
                return false;
        for (char *slash = strrchr(way, '/'); slash && slash != way; slash = strrchr(way, '/')) {
                *slash = '\0';
                if (stat(way, &st) < 0 || !(st.st_mode & S_IXOTH))
                        return false;
        }
        return true;
}
