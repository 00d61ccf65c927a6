/* The bombs, packed here so that no large file has to be kept. */
#include "tests/unit/bombs.h"
#include "tests/testing.h"

#include <libdeflate.h>
#include <stdlib.h>

struct writer {
    uint8_t *data;
    size_t size;
};

static void put(struct writer *out, const void *from, size_t size)
{
    out->data = realloc(out->data, out->size + size + 1);
    assert_non_null(out->data);
    memcpy(out->data + out->size, from, size);
    out->size += size;
}

static void put_be32(struct writer *out, uint32_t value)
{
    put(out,
        (uint8_t[]){ (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                     (uint8_t)value },
        4);
}

static struct bytes finish(struct writer *out)
{
    return (struct bytes){ (const char *)out->data, out->size };
}

static void put_chunk(struct writer *out, const char *type, const void *body, size_t size)
{
    put_be32(out, (uint32_t)size);
    put(out, type, 4);
    put(out, body, size);
    put_be32(out, libdeflate_crc32(0, out->data + out->size - size - 4, size + 4));
}

/* size zeros under this header. */
static struct bytes zeros_png(uint32_t side, int depth, size_t size)
{
    struct writer out = { 0 }, head = { 0 };
    struct libdeflate_compressor *packer = libdeflate_alloc_compressor(9);
    char *zeros = calloc(size, 1), *packed = malloc(size / 500 + 4096);
    size_t packed_size;

    assert_true(packer && zeros && packed);
    packed_size = libdeflate_zlib_compress(packer, zeros, size, packed, size / 500 + 4096);
    assert_true(packed_size > 0);
    put(&out, "\x89PNG\r\n\x1a\n", 8);
    put_be32(&head, side);
    put_be32(&head, side);
    put(&head, (uint8_t[]){ (uint8_t)depth, 0, 0, 0, 0 }, 5);
    put_chunk(&out, "IHDR", head.data, head.size);
    put_chunk(&out, "IDAT", packed, packed_size);
    put_chunk(&out, "IEND", "", 0);
    free(head.data);
    free(packed);
    free(zeros);
    libdeflate_free_compressor(packer);
    return finish(&out);
}

struct bytes bomb_idat(size_t inflated)
{
    return zeros_png(1, 8, inflated);
}

struct bytes bomb_bits(uint32_t side)
{
    return zeros_png(side, 1, (size_t)side * ((side + 7) / 8 + 1));
}

static void put_segment(struct writer *out, uint8_t marker, const void *body, size_t size)
{
    put(out, (uint8_t[]){ 0xff, marker, (uint8_t)((size + 2) >> 8), (uint8_t)(size + 2) }, 4);
    put(out, body, size);
}

struct bytes bomb_scans(unsigned side, int scans)
{
    size_t blocks = (size_t)((side + 7) / 8) * ((side + 7) / 8);
    uint8_t quantizer[65] = { 0 }, dc[18] = { 0x00, 1 }, ac[18] = { 0x10, 1 };
    uint8_t frame[] = {
        8, (uint8_t)(side >> 8), (uint8_t)side, (uint8_t)(side >> 8), (uint8_t)side, 1, 1, 0x11, 0
    };
    struct writer out = { 0 };
    uint8_t *zeros = calloc(blocks / 8 + 1, 1);

    assert_non_null(zeros);
    memset(quantizer + 1, 1, 64);
    ac[17] = 0xe0; /* the one code: skip 16384 blocks and as many as 14 bits say */
    put(&out, "\xff\xd8", 2);
    put_segment(&out, 0xdb, quantizer, sizeof quantizer);
    put_segment(&out, 0xc2, frame, sizeof frame);
    put_segment(&out, 0xc4, dc, sizeof dc);
    put_segment(&out, 0xc4, ac, sizeof ac);
    put_segment(&out, 0xda, (uint8_t[]){ 1, 1, 0, 0, 0, 0 }, 6);
    put(&out, zeros, blocks / 8 + 1);
    for (int i = 0; i < scans; i++) {
        put_segment(&out, 0xda, (uint8_t[]){ 1, 1, 0, 1, 63, 0 }, 6);
        for (size_t left = blocks, bit = 0; left >= 16384; left -= 16384, bit += 15)
            if (bit % 8 == 0 || left < 2 * 16384)
                put(&out, "\0\0", 2);
    }
    put(&out, "\xff\xd9", 2);
    free(zeros);
    return finish(&out);
}
