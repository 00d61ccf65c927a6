/* Padding as an index: which pixel, or which number, stands at a place outside the picture. */
#include "core/padding.h"

#include <string.h>

bool padding_needs_copy(const struct conv_plan *plan)
{
    const struct conv_params *p = &plan->params;
    bool zeros = p->padding_mode == PADDING_ZEROS && p->padding_value == 0;

    return !zeros && (p->pads[0] || p->pads[1] || p->pads[2] || p->pads[3]);
}

struct conv_plan padding_plan(const struct conv_plan *plan)
{
    struct conv_plan padded = *plan;
    int *pads = padded.params.pads;

    if (!padding_needs_copy(plan))
        return padded;
    padded.in.height += pads[0] + pads[2];
    padded.in.width += pads[1] + pads[3];
    memset(pads, 0, sizeof padded.params.pads);
    padded.params.padding_mode = PADDING_ZEROS;
    padded.params.padding_value = 0;
    padded.params.auto_pad = AUTO_PAD_NOTSET;
    return padded;
}

/* The index inside 0..size-1 that stands at i, or -1: padding_value. The plan has made sure that
 * one fold is enough for reflect and circular. */
static int source(int mode, int i, int size)
{
    if (i >= 0 && i < size)
        return i;
    switch ((enum padding_mode)mode) {
    case PADDING_ZEROS:
        return -1;
    case PADDING_REFLECT:
        return i < 0 ? -i : 2 * (size - 1) - i;
    case PADDING_REPLICATE:
        return i < 0 ? 0 : size - 1;
    case PADDING_CIRCULAR:
        return i < 0 ? i + size : i - size;
    }
    return -1;
}

float conv_pixel(const struct conv_plan *plan, const float *plane, int y, int x)
{
    int row = source(plan->params.padding_mode, y, plan->in.height);
    int column = source(plan->params.padding_mode, x, plan->in.width);

    if (row < 0 || column < 0)
        return plan->params.padding_value;
    return plane[(size_t)row * (size_t)plan->in.width + (size_t)column];
}

struct copying {
    const struct conv_plan *plan;
    const float *image;
    float *copy;
};

/* One plane: [H + top + bottom][W + left + right]. */
static void copy_plane(void *arg, int index, int slot)
{
    const struct copying *job = arg;
    const struct conv_plan *plan = job->plan;
    const int *pads = plan->params.pads;
    int height = plan->in.height, width = plan->in.width;
    size_t wide = (size_t)width + (size_t)pads[1] + (size_t)pads[3];
    const float *plane = job->image + (size_t)index * (size_t)height * (size_t)width;
    float *to =
        job->copy + (size_t)index * wide * ((size_t)height + (size_t)pads[0] + (size_t)pads[2]);

    (void)slot;
    for (int y = -pads[0]; y < height + pads[2]; y++, to += wide) {
        for (int x = -pads[1]; x < 0; x++)
            to[x + pads[1]] = conv_pixel(plan, plane, y, x);
        if (y >= 0 && y < height)
            memcpy(to + pads[1], plane + (size_t)y * (size_t)width, (size_t)width * sizeof *to);
        else
            for (int x = 0; x < width; x++)
                to[pads[1] + x] = conv_pixel(plan, plane, y, x);
        for (int x = width; x < width + pads[3]; x++)
            to[pads[1] + x] = conv_pixel(plan, plane, y, x);
    }
}

void padding_copy(const struct conv_plan *plan, const float *image, float *copy, struct pool *pool)
{
    struct copying job = { plan, image, copy };

    pool_for(pool, plan->in.count * plan->in.channels, copy_plane, &job);
}
