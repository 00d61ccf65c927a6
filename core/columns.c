/* im2col: windows laid out as columns, whole or a few at a time. */
#include "core/columns.h"

#include "core/engine.h"

#include <string.h>

/* One row of X_col over output row y, columns x0 ... x0+count-1. */
static void copy_run(const struct conv_plan *plan, const float *plane, int y, int x, int count,
                     float *to)
{
    int stride = plan->params.stride[1];

    if (stride == 1 && y >= 0 && y < plan->in.height && x >= 0 && x + count <= plan->in.width) {
        memcpy(to, plane + (size_t)y * (size_t)plan->in.width + x, (size_t)count * sizeof *to);
        return;
    }
    for (int i = 0; i < count; i++, x += stride)
        to[i] = conv_pixel(plan, plane, y, x);
}

static void copy_row(const struct conv_plan *plan, const float *plane, const int tap[2],
                     size_t first, size_t count, float *to)
{
    const struct conv_params *p = &plan->params;
    size_t width = (size_t)plan->maps.width;

    while (count) {
        int y = (int)(first / width), x = (int)(first % width);
        size_t run = width - (size_t)x < count ? width - (size_t)x : count;

        copy_run(plan, plane, y * p->stride[0] - p->pads[0] + tap[0] * p->dilation[0],
                 x * p->stride[1] - p->pads[1] + tap[1] * p->dilation[1], (int)run, to);
        to += run;
        first += run;
        count -= run;
    }
}

void columns_copy(const struct conv_plan *plan, const float *image, size_t first, size_t count,
                  float *to, size_t stride)
{
    const struct conv_params *p = &plan->params;
    size_t plane = (size_t)plan->in.height * (size_t)plan->in.width;

    for (int c = 0; c < plan->in.channels / p->groups; c++, image += plane)
        for (int i = 0; i < p->kernel_size[0]; i++)
            for (int j = 0; j < p->kernel_size[1]; j++, to += stride)
                copy_row(plan, image, (int[2]){ i, j }, first, count, to);
}

void conv_columns(const struct conv_plan *plan, const float *image, int n, float *columns)
{
    int filters = plan->maps.channels / plan->params.groups;

    for (int g = 0; g < plan->params.groups; g++)
        columns_copy(plan, conv_group_image(plan, image, n, g * filters), 0, plan->col_columns,
                     columns + (size_t)g * plan->w_columns * plan->col_columns, plan->col_columns);
}
