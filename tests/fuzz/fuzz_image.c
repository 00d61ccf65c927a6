/* A picture file: decoded and spread into planes, every sample read. */
#include "api/image.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct limits limits = { .pixels = 1 << 14, .memory = 64 << 20 };
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
    return 0;
}
