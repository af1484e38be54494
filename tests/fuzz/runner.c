/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzzer's function over the files and directories named on the command line: the corpora as plain
 * tests, with any compiler. Or "--random SEED COUNT": over so many inputs made by chance, for a fuzzer whose
 * every input says something; one that fails is written to a file here. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "util/file.h"
#include "util/macro.h"

#define INPUT_MAX (1024 * 1024)

static unsigned n_run;

static int run_file(const char *path)
{
        _cleanup_free_ char *content = NULL;
        _cleanup_free_ uint8_t *exact = NULL;
        size_t size;
        int r;

        r = file_read(path, INPUT_MAX, &content, &size);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(-r));
                return r;
        }

        /* of the exact size, so that a sanitizer sees the first octet read too many */
        exact = malloc(MAX(size, (size_t) 1));
        if (!exact)
                return -ENOMEM;
        memcpy(exact, content, size);

        if (getenv("FUZZ_VERBOSE"))
                fprintf(stderr, "%s\n", path);
        LLVMFuzzerTestOneInput(exact, size);
        n_run++;
        return 0;
}

static int run_directory(const char *path)
{
        DIR *directory = opendir(path);
        struct dirent *entry;
        int r = 0;

        if (!directory)
                return -errno;

        while (r >= 0 && (entry = readdir(directory))) {
                _cleanup_free_ char *file = NULL;

                if (entry->d_name[0] == '.')
                        continue;
                file = path_join(path, entry->d_name);
                r = file ? run_file(file) : -ENOMEM;
        }

        closedir(directory);
        return r;
}

/* xorshift64*: the same inputs for a seed on every machine. */
static uint64_t random_next(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* What is being tried, for whoever wants to try it again. */
static uint64_t input[512];
static char input_path[64];

static void on_abort(int number)
{
        int fd = open(input_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd >= 0 && write(fd, input, sizeof(input)) == (ssize_t) sizeof(input))
                fprintf(stderr, "written to %s\n", input_path);
}

static void run_random(uint64_t seed, uint64_t count)
{
        uint64_t state = seed * 2 + 1;

        signal(SIGABRT, on_abort);
        for (uint64_t i = 0; i < count; i++) {
                for (size_t j = 0; j < ELEMENTSOF(input); j++)
                        input[j] = random_next(&state);
                snprintf(input_path, sizeof(input_path), "random-%llu-%llu", (unsigned long long) seed,
                         (unsigned long long) i);
                LLVMFuzzerTestOneInput((const uint8_t *) input, sizeof(input));
                n_run++;
        }
}

int main(int argc, char **argv)
{
        if (argc == 4 && streq(argv[1], "--random")) {
                run_random(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
                printf("%u inputs\n", n_run);
                return EXIT_SUCCESS;
        }
        for (int i = 1; i < argc; i++) {
                struct stat st;

                if (stat(argv[i], &st) < 0) {
                        fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
                        return EXIT_FAILURE;
                }
                if ((S_ISDIR(st.st_mode) ? run_directory(argv[i]) : run_file(argv[i])) < 0)
                        return EXIT_FAILURE;
        }

        printf("%u inputs\n", n_run);
        return n_run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
