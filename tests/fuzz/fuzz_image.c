/* A picture file: decoded and spread into planes, every sample read. A PNG once more with its
 * checksums mended, since a mutated one would not get past them. */
#include "api/image.h"
#include "tests/fuzz/fuzz.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

static uint32_t read_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void mend_checksums(uint8_t *data, size_t size)
{
    for (size_t at = 8; size >= 12 && at <= size - 12;) {
        size_t length = read_be32(data + at);
        uint32_t sum;

        if (length > size - at - 12)
            return;
        sum = libdeflate_crc32(0, data + at + 4, length + 4);
        at += length + 12;
        for (int i = 0; i < 4; i++)
            data[at - 1 - (size_t)i] = (uint8_t)(sum >> 8 * i);
    }
}

static void decode(const uint8_t *data, size_t size)
{
    static const struct limits limits = { .pixels = 1 << 18, .memory = 64 << 20 };
    struct arena *arena = arena_create(limits.memory);
    struct bytes file = { (const char *)data, size };
    struct fields fields = { .input_scale = 1, .std = { 1, 1, 1, 1 } };
    struct picture_info info = { 0 };
    struct error err = { 0 };
    struct pixels pixels;
    size_t count;
    float *planes, sum = 0;

    if (arena && image_decode(file, &limits, arena, &pixels, &info, &err)) {
        if (pixels.width < 1 || pixels.height < 1 || info.width != pixels.width ||
            info.height != pixels.height)
            abort();
        for (enum channels want = CHANNELS_AUTO; want <= CHANNELS_4; want++) {
            count = (size_t)pixels.width * (size_t)pixels.height *
                    (size_t)image_channels(&pixels, want);
            planes = arena_new(arena, float, count);
            if (!planes)
                break;
            image_planes(&pixels, want, &fields, planes);
            for (size_t i = 0; i < count; i++)
                sum += planes[i];
        }
        if (!(sum >= 0))
            abort();
    } else if (arena && !err.detail[0]) {
        abort();
    }
    if (arena)
        arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *mended;

    decode(data, size);
    if (size < 8 || memcmp(data, "\x89PNG", 4) != 0)
        return 0;
    mended = malloc(size);
    memcpy(mended, data, size);
    mend_checksums(mended, size);
    decode(mended, size);
    free(mended);
    return 0;
}
