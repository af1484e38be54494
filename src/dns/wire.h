/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cursors over wire form with a sticky error: no check at each read or write, one at the end. Integers are in
 * network order on the wire and host order in the arguments. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_reader {
        const uint8_t *data;
        size_t size;
        size_t position;
        bool error; /* once true, every read gives 0 and moves nothing */
};

struct wire_reader wire_reader_init(const void *data, size_t size);
uint8_t wire_read_u8(struct wire_reader *reader);
uint16_t wire_read_u16(struct wire_reader *reader);
uint32_t wire_read_u32(struct wire_reader *reader);
uint64_t wire_read_u48(struct wire_reader *reader);                   /* TSIG's time */
const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t n); /* a view; NULL on error */
size_t wire_reader_left(const struct wire_reader *reader);

/* Writes into the caller's buffer; past its end the error is set and nothing more is written. */
struct wire_writer {
        uint8_t *data;
        size_t size; /* of the buffer */
        size_t position;
        bool error;
};

struct wire_writer wire_writer_init(void *buffer, size_t size);
void wire_write_u8(struct wire_writer *writer, uint8_t value);
void wire_write_u16(struct wire_writer *writer, uint16_t value);
void wire_write_u32(struct wire_writer *writer, uint32_t value);
void wire_write_u48(struct wire_writer *writer, uint64_t value);
void wire_write_bytes(struct wire_writer *writer, const void *bytes, size_t n);
void wire_patch_u16(struct wire_writer *writer, size_t position, uint16_t value); /* within what is written */
