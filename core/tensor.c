/* Shapes whose products cannot overflow. */
#include "core/tensor.h"

#include "core/checked.h"

size_t shape_count(struct shape shape)
{
    size_t plane, picture, count, bytes;

    if (shape.count <= 0 || shape.channels <= 0 || shape.height <= 0 || shape.width <= 0)
        return 0;
    if (!checked_mul((size_t)shape.height, (size_t)shape.width, &plane) ||
        !checked_mul(plane, (size_t)shape.channels, &picture) ||
        !checked_mul(picture, (size_t)shape.count, &count) ||
        !checked_mul(count, sizeof(float), &bytes))
        return 0;
    return count;
}

bool tensor_alloc(struct tensor *tensor, struct shape shape, const char *field, struct arena *arena,
                  struct error *err)
{
    size_t count = shape_count(shape);

    tensor->shape = shape;
    tensor->data = count ? arena_new(arena, float, count) : NULL;
    if (!tensor->data)
        return fail(err, ERR_TOO_LARGE, field,
                    "%d x %d x %d x %d floats are over the request's memory; send less at once",
                    shape.count, shape.channels, shape.height, shape.width);
    return true;
}
