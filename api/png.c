/* PNG (ISO 15948): each row is replaced by its differences from what its neighbours foretell, where
 * that is simpler, then the whole is packed. Rows are packed in blocks that know nothing of
 * one another, each a chunk of its own, so that several workers share a big picture. */
#include "api/png.h"
#include "api/huffman.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 64 << 10,
    CHUNK = 12,
    FILTER_NONE = 0,
    FILTER_SUB = 1,
    FILTER_UP = 2,
    FILTER_PAETH = 4,
    SAMPLE = 4 /* rows of a block */
};

static uint8_t *put_number(uint8_t *out, uint32_t number)
{
    number = __builtin_bswap32(number);
    memcpy(out, &number, 4);
    return out + 4;
}

/* A chunk whose data, size bytes, stand at chunk + 8 already. Returns its end. */
static uint8_t *finish_chunk(uint8_t *chunk, const char *type, size_t size)
{
    put_number(chunk, (uint32_t)size);
    memcpy(chunk + 4, type, 4);
    return put_number(chunk + 8 + size, libdeflate_crc32(0, chunk + 4, size + 4));
}

static uint32_t checksum_append(uint32_t a, uint32_t b, size_t b_size)
{
    enum { MODULUS = 65521 };
    uint32_t low = ((a & 0xffff) + (b & 0xffff) + MODULUS - 1) % MODULUS;
    uint64_t grown = (uint64_t)(b_size % MODULUS) * ((a & 0xffff) + MODULUS - 1);

    return low | (uint32_t)((grown + (a >> 16) + (b >> 16)) % MODULUS) << 16;
}

static inline uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static inline uint8_t most(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

/* Paeth's guess from left (a), above (b) and above left (c): the nearest of them to a + b - c. With
 * a and b in order: the lower is as far from that as c is below the higher, the higher as c is above
 * the lower (where c is not, it is the nearest), and c by the difference of the two. Eight bits are
 * enough, so that the compiler's vectors hold sixteen. */
static inline uint8_t paeth(uint8_t a, uint8_t b, uint8_t c)
{
    uint8_t low = least(a, b), high = most(a, b);
    uint8_t to_low = most(high, c) - c, to_high = c - least(low, c);
    uint8_t near = least(to_low, to_high), to_c = most(to_low, to_high) - near;

    return near > to_c ? c : near == to_low ? low : high;
}

/* How far a difference is from zero, either way round; so that the compiler sees psadbw. */
static inline uint32_t distance(uint8_t difference)
{
    uint8_t zero = difference < 128 ? 0 : 255;

    return (uint32_t)abs(difference - zero);
}

/* What all blocks of one file share. */
struct work {
    const struct png *png;
    size_t pixel, row; /* bytes */
    size_t block_rows; /* rows in a block; the last may have fewer */
    uint8_t *filtered; /* scratch, of a block for each slot */
    size_t filtered_size;
    uint8_t *out; /* a chunk for each block, chunk_size apart */
    size_t chunk_size;
    size_t *packed; /* bytes of each chunk */
    uint32_t *checksums;
};

/* The filter of a row that leaves the least: the least sum of distances but for the first pixel. */
static int best_filter(const struct work *work, size_t y)
{
    static const int filters[] = { FILTER_NONE, FILTER_SUB, FILTER_UP, FILTER_PAETH };
    const uint8_t *row = work->png->pixels + y * work->row, *above = row - work->row;
    uint32_t costs[4] = { 0 };
    size_t pixel = work->pixel;
    int best = 0;

    if (!y)
        return FILTER_SUB;
    for (size_t i = pixel; i < work->row; i++) {
        uint8_t x = row[i], a = row[i - pixel], b = above[i], c = above[i - pixel];

        costs[0] += distance(x);
        costs[1] += distance(x - a);
        costs[2] += distance(x - b);
        costs[3] += distance(x - paeth(a, b, c));
    }
    for (int i = 1; i < 4; i++)
        if (costs[i] < costs[best])
            best = i;
    return filters[best];
}

static void subtract(uint8_t *restrict out, const uint8_t *restrict row,
                     const uint8_t *restrict from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(row[i] - from[i]);
}

static void subtract_paeth(uint8_t *restrict out, const uint8_t *restrict row,
                           const uint8_t *restrict above, size_t pixel, size_t size)
{
    const uint8_t *left = row - pixel, *above_left = above - pixel;

    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(row[i] - paeth(left[i], above[i], above_left[i]));
}

/* One row with its filter's number in front. */
static void filter_row(const struct work *work, uint8_t *out, size_t y, int filter)
{
    const uint8_t *row = work->png->pixels + y * work->row;

    *out++ = (uint8_t)filter;
    if (filter == FILTER_UP) {
        subtract(out, row, row - work->row, work->row);
    } else if (filter == FILTER_SUB) {
        memcpy(out, row, work->pixel);
        subtract(out + work->pixel, row + work->pixel, row, work->row - work->pixel);
    } else if (filter == FILTER_PAETH) {
        subtract(out, row, row - work->row, work->pixel);
        subtract_paeth(out + work->pixel, row + work->pixel, row + work->pixel - work->row,
                       work->pixel, work->row - work->pixel);
    } else {
        memcpy(out, row, work->row);
    }
}

static uint8_t *filter_rows(const struct work *work, uint8_t *out, size_t from, size_t to,
                            size_t step, bool filtered)
{
    for (size_t y = from; y < to; y += step, out += work->row + 1)
        filter_row(work, out, y, filtered ? best_filter(work, y) : FILTER_NONE);
    return out;
}

/* Sparse maps (after a ReLU) are simplest as they are, which the sum of differences does not see:
 * some rows of the block, done both ways, decide. */
static bool filters_pay(const struct work *work, uint8_t *scratch, size_t from, size_t to)
{
    size_t step = (to - from + SAMPLE - 1) / SAMPLE;
    double plain, filtered;

    plain = huffman_estimate(scratch,
                             (size_t)(filter_rows(work, scratch, from, to, step, false) - scratch));
    filtered = huffman_estimate(
        scratch, (size_t)(filter_rows(work, scratch, from, to, step, true) - scratch));
    return filtered < plain;
}

static void pack_block(void *arg, int index, int slot)
{
    struct work *work = arg;
    const struct png *png = work->png;
    size_t from = (size_t)index * work->block_rows, to = from + work->block_rows, size;
    uint8_t *rows = work->filtered + (size_t)slot * work->filtered_size;
    uint8_t *chunk = work->out + (size_t)index * work->chunk_size, *data = chunk + 8;
    bool last = to >= (size_t)png->height;

    to = last ? (size_t)png->height : to;
    size = (size_t)(filter_rows(work, rows, from, to, 1,
                                png->level > 0 && filters_pay(work, rows, from, to)) -
                    rows);
    if (index == 0) { /* zlib's header: deflate, window 32 KiB, fastest */
        *data++ = 0x78;
        *data++ = 0x01;
    }
    data +=
        png->level ? huffman_encode(data, rows, size, last) : huffman_store(data, rows, size, last);
    work->checksums[index] = libdeflate_adler32(1, rows, size);
    work->packed[index] = (size_t)(finish_chunk(chunk, "IDAT", (size_t)(data - chunk - 8)) - chunk);
}

static uint8_t *put_header(uint8_t *out, const struct png *png)
{
    static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    uint8_t *chunk = (uint8_t *)memcpy(out, signature, 8) + 8;
    uint8_t *data = put_number(put_number(chunk + 8, (uint32_t)png->width), (uint32_t)png->height);

    data[0] = (uint8_t)png->depth;
    data[1] = png->channels == 1 ? 0 : png->channels == 3 ? 2 : 6;
    memset(data + 2, 0, 3);
    return finish_chunk(chunk, "IHDR", 13);
}

static bool fail_memory(size_t size, struct error *err)
{
    return fail(err, ERR_TOO_LARGE, "format",
                "there is no memory for a PNG of %zu bytes of pixels; ask for fewer maps", size);
}

/* Levels 0 and 1: blocks side by side, then moved together. */
static bool write_blocks(struct work *work, struct pool *pool, struct arena *arena,
                         struct bytes *file, struct error *err)
{
    size_t height = (size_t)work->png->height, count, slots = pool ? (size_t)pool_slots(pool) : 1;
    uint32_t checksum = 1;
    uint8_t *start, *end;

    work->block_rows = BLOCK / (work->row + 1) + 1;
    work->block_rows = work->block_rows < height ? work->block_rows : height;
    count = (height + work->block_rows - 1) / work->block_rows;
    work->filtered_size = work->block_rows * (work->row + 1);
    work->chunk_size = huffman_bound(work->filtered_size) + CHUNK + 2;
    work->filtered = arena_alloc(arena, slots, work->filtered_size);
    work->packed = arena_new(arena, size_t, count);
    work->checksums = arena_new(arena, uint32_t, count);
    start = arena_alloc(arena, count + 1, work->chunk_size + 64); /* one more for all the rest */
    if (!work->filtered || !work->packed || !work->checksums || !start)
        return fail_memory(work->row * height, err);
    end = put_header(start, work->png);
    work->out = end;
    pool_for(count > 1 ? pool : NULL, (int)count, pack_block, work);
    for (size_t i = 0; i < count; i++) {
        size_t from = i * work->block_rows, rows = height - from;

        rows = rows < work->block_rows ? rows : work->block_rows;
        memmove(end, work->out + i * work->chunk_size, work->packed[i]);
        end += work->packed[i];
        checksum = checksum_append(checksum, work->checksums[i], rows * (work->row + 1));
    }
    put_number(end + 8, checksum);
    end = finish_chunk(finish_chunk(end, "IDAT", 4), "IEND", 0);
    *file = (struct bytes){ (char *)start, (size_t)(end - start) };
    return true;
}

/* Levels 2 to 12: libdeflate, all rows at once. */
static bool write_whole(struct work *work, struct arena *arena, struct bytes *file,
                        struct error *err)
{
    size_t height = (size_t)work->png->height, size = height * (work->row + 1), bound, packed;
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(work->png->level);
    uint8_t *rows = arena_alloc(arena, size, 1), *start, *end;

    if (!compressor)
        return fail(err, ERR_BUSY, "", "there is not enough memory to deflate a PNG; try again");
    bound = libdeflate_zlib_compress_bound(compressor, size);
    start = arena_alloc(arena, bound + 128, 1);
    if (!rows || !start) {
        libdeflate_free_compressor(compressor);
        return fail_memory(work->row * height, err);
    }
    filter_rows(work, rows, 0, height, 1, filters_pay(work, rows, 0, height));
    end = put_header(start, work->png);
    packed = libdeflate_zlib_compress(compressor, rows, size, end + 8, bound);
    libdeflate_free_compressor(compressor);
    end = finish_chunk(finish_chunk(end, "IDAT", packed), "IEND", 0);
    *file = (struct bytes){ (char *)start, (size_t)(end - start) };
    return true;
}

bool png_write(const struct png *png, struct pool *pool, struct arena *arena, struct bytes *file,
               struct error *err)
{
    struct work work = { .png = png };
    size_t size;

    work.pixel = (size_t)png->channels * (size_t)(png->depth / 8);
    work.row = work.pixel * (size_t)png->width;
    if (!checked_mul(work.row + 1, (size_t)png->height, &size) || size > INT32_MAX)
        return fail(err, ERR_TOO_LARGE, "format",
                    "a PNG of %d x %d pixels is too large; ask for fewer maps, or format=npy",
                    png->width, png->height);
    return png->level < 2 ? write_blocks(&work, pool, arena, file, err)
                          : write_whole(&work, arena, file, err);
}
