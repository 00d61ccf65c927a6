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

/* The row that stands at y; NULL: padding_value alone. */
static const float *row_at(const struct conv_plan *plan, const float *plane, int y)
{
    int row = source(plan->params.padding_mode, y, plan->in.height);

    return row < 0 ? NULL : plane + (size_t)row * (size_t)plan->in.width;
}

static float pixel_at(const struct conv_plan *plan, const float *row, int x)
{
    int column = row ? source(plan->params.padding_mode, x, plan->in.width) : -1;

    return column < 0 ? plan->params.padding_value : row[column];
}

float conv_pixel(const struct conv_plan *plan, const float *plane, int y, int x)
{
    return pixel_at(plan, row_at(plan, plane, y), x);
}

static void copy_row(const struct conv_plan *plan, const float *row, float *to)
{
    int left = plan->params.pads[1], width = plan->in.width, right = width + plan->params.pads[3];

    for (int x = -left; x < 0; x++)
        *to++ = pixel_at(plan, row, x);
    if (row)
        memcpy(to, row, (size_t)width * sizeof *to);
    for (int x = 0; !row && x < width; x++)
        to[x] = plan->params.padding_value;
    for (int x = width; x < right; x++)
        to[x] = pixel_at(plan, row, x);
}

struct copying {
    const struct conv_plan *plan;
    const float *image;
    float *copy;
    const atomic_bool *stop;
};

/* One plane: [H + top + bottom][W + left + right]. Most rows of wide padding are the one above. */
static void copy_plane(void *arg, int index, int slot)
{
    const struct copying *job = arg;
    const struct conv_plan *plan = job->plan;
    const int *pads = plan->params.pads;
    int height = plan->in.height, width = plan->in.width;
    size_t wide = (size_t)width + (size_t)pads[1] + (size_t)pads[3];
    const float *plane = job->image + (size_t)index * (size_t)height * (size_t)width;
    const float *row, *above = plane;
    float *to =
        job->copy + (size_t)index * wide * ((size_t)height + (size_t)pads[0] + (size_t)pads[2]);

    (void)slot;
    for (int y = -pads[0]; y < height + pads[2] && !atomic_load(job->stop); y++, above = row) {
        row = row_at(plan, plane, y);
        if (y > -pads[0] && row == above)
            memcpy(to, to - wide, wide * sizeof *to);
        else
            copy_row(plan, row, to);
        to += wide;
    }
}

void padding_copy(const struct conv_plan *plan, const float *image, float *copy,
                  const struct conv_context *context)
{
    struct copying job = { plan, image, copy, context->stop };

    pool_for(context->pool, plan->in.count * plan->in.channels, copy_plane, &job);
}
