/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dns/wire.h"

#include "util/macro.h"

struct wire_reader wire_reader_init(const void *data, size_t size)
{
        return (struct wire_reader){ .data = data, .size = size };
}

const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t n)
{
        const uint8_t *bytes;

        if (reader->error || n > reader->size - reader->position) {
                reader->error = true;
                return NULL;
        }

        bytes = reader->data + reader->position;
        reader->position += n;
        return bytes;
}

static uint64_t read_integer(struct wire_reader *reader, size_t n)
{
        const uint8_t *bytes = wire_read_bytes(reader, n);
        uint64_t value = 0;

        for (size_t i = 0; bytes && i < n; i++)
                value = value << 8 | bytes[i];

        return value;
}

uint8_t wire_read_u8(struct wire_reader *reader)
{
        return (uint8_t) read_integer(reader, 1);
}

uint16_t wire_read_u16(struct wire_reader *reader)
{
        return (uint16_t) read_integer(reader, 2);
}

uint32_t wire_read_u32(struct wire_reader *reader)
{
        return (uint32_t) read_integer(reader, 4);
}

uint64_t wire_read_u48(struct wire_reader *reader)
{
        return read_integer(reader, 6);
}

size_t wire_reader_left(const struct wire_reader *reader)
{
        return reader->error ? 0 : reader->size - reader->position;
}

struct wire_writer wire_writer_init(void *buffer, size_t size)
{
        return (struct wire_writer){ .data = buffer, .size = size };
}

void wire_write_bytes(struct wire_writer *writer, const void *bytes, size_t n)
{
        if (writer->error || n > writer->size - writer->position) {
                writer->error = true;
                return;
        }

        if (n > 0)
                memcpy(writer->data + writer->position, bytes, n);
        writer->position += n;
}

static void write_integer(struct wire_writer *writer, uint64_t value, size_t n)
{
        uint8_t bytes[8];

        for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t) (value >> 8 * (n - 1 - i));
        wire_write_bytes(writer, bytes, n);
}

void wire_write_u8(struct wire_writer *writer, uint8_t value)
{
        write_integer(writer, value, 1);
}

void wire_write_u16(struct wire_writer *writer, uint16_t value)
{
        write_integer(writer, value, 2);
}

void wire_write_u32(struct wire_writer *writer, uint32_t value)
{
        write_integer(writer, value, 4);
}

void wire_write_u48(struct wire_writer *writer, uint64_t value)
{
        write_integer(writer, value, 6);
}

void wire_patch_u16(struct wire_writer *writer, size_t position, uint16_t value)
{
        if (writer->position < 2 || position > writer->position - 2) {
                writer->error = true;
                return;
        }

        writer->data[position] = (uint8_t) (value >> 8);
        writer->data[position + 1] = (uint8_t) value;
}
