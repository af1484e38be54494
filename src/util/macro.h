/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few macros every room uses. */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ELEMENTSOF(array) (sizeof(array) / sizeof((array)[0]))

#define MIN(a, b)                                                                                            \
        __extension__({                                                                                      \
                __auto_type min_a_ = (a);                                                                    \
                __auto_type min_b_ = (b);                                                                    \
                min_a_ < min_b_ ? min_a_ : min_b_;                                                           \
        })
#define MAX(a, b)                                                                                            \
        __extension__({                                                                                      \
                __auto_type max_a_ = (a);                                                                    \
                __auto_type max_b_ = (b);                                                                    \
                max_a_ > max_b_ ? max_a_ : max_b_;                                                           \
        })
#define CLAMP(value, low, high) MIN(MAX(value, low), high)

#define container_of(pointer, type, member) ((type *) ((char *) (pointer) -offsetof(type, member)))

#define _cleanup_(function)   __attribute__((cleanup(function)))
#define _printf_(text, first) __attribute__((format(printf, text, first)))
#define _unused_              __attribute__((unused))

/* Defines foo_freep() for use as _cleanup_(foo_freep) on a variable of type "type" (a pointer type);
 * the destructor takes NULL and returns NULL. */
#define DEFINE_CLEANUP(type, destructor)                                                                     \
        static inline void destructor##p(type *pointer)                                                      \
        {                                                                                                    \
                if (*pointer)                                                                                \
                        *pointer = destructor(*pointer);                                                     \
        }

/* The same for destructors of foreign libraries, which return something else or nothing. */
#define DEFINE_CLEANUP_VOID(type, destructor)                                                                \
        _unused_ static inline void destructor##p(type *pointer)                                             \
        {                                                                                                    \
                if (*pointer)                                                                                \
                        destructor(*pointer);                                                                \
        }

static inline void freep(void *pointer)
{
        free(*(void **) pointer);
}

static inline void closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

#define _cleanup_free_  _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

/* Hands a pointer or a descriptor on and forgets it here. */
#define TAKE_PTR(pointer)                                                                                    \
        __extension__({                                                                                      \
                __auto_type taken_ = (pointer);                                                              \
                (pointer) = NULL;                                                                            \
                taken_;                                                                                      \
        })
#define TAKE_FD(fd)                                                                                          \
        __extension__({                                                                                      \
                int taken_ = (fd);                                                                           \
                (fd) = -1;                                                                                   \
                taken_;                                                                                      \
        })

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}
