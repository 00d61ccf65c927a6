/* npy and safetensors: the first byte picks one, the rest is the file. */
#include "api/npy.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = size ? arena_create(8 << 20) : NULL;
    char *copy = arena ? arena_alloc(arena, size - 1 + 2 * BODY_SLACK, 1) : NULL;
    struct bytes file = { copy ? copy + BODY_SLACK : NULL, size - 1 };
    struct error err = { 0 };
    struct npy npy;
    float *floats;
    bool read;

    if (copy) {
        memcpy(copy + BODY_SLACK, data + 1, size - 1);
        read = data[0] == 's' ? safetensors_read(file, NULL, arena, &npy, &err)
                              : npy_read(file, "weights", &npy, &err);
        if (!read && !err.detail[0])
            abort();
        if (read && npy.count > size)
            abort(); /* at least a byte each */
        floats = read ? arena_new(arena, float, npy.count) : NULL;
        if (floats)
            npy_floats(&npy, floats);
    }
    if (arena)
        arena_destroy(arena);
    return 0;
}
