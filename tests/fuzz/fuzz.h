/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one function of every fuzzer, under the name that libFuzzer calls. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in every build, unlike assert(). */
#define FUZZ_ASSERT(condition)                                                                               \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);            \
                        abort();                                                                             \
                }                                                                                            \
        } while (0)
