/* The definition, with no tricks: every exact engine gives these bits. Read this one first. */
#include "core/engine.h"

#include <limits.h>
#include <math.h>

/* A row at a time, so that a run can be stopped; a map when an int cannot count the rows. */
static int tile_rows(const struct conv_plan *plan)
{
    return plan->maps.count * plan->maps.channels > INT_MAX / plan->maps.height ? plan->maps.height
                                                                                : 1;
}

static void size(struct conv_plan *plan)
{
    plan->tiles = plan->maps.count * plan->maps.channels * (plan->maps.height / tile_rows(plan));
}

/* One output: the chain from the bias over channel, row, column. */
static float window(const struct conv_plan *plan, const float *image, const float *weights,
                    float bias, int y, int x)
{
    const struct conv_params *p = &plan->params;
    size_t plane = (size_t)plan->in.height * (size_t)plan->in.width;
    float sum = bias;

    for (int c = 0; c < plan->in.channels / p->groups; c++, image += plane)
        for (int i = 0; i < p->kernel_size[0]; i++)
            for (int j = 0; j < p->kernel_size[1]; j++)
                sum =
                    fmaf(conv_pixel(plan, image, y * p->stride[0] - p->pads[0] + i * p->dilation[0],
                                    x * p->stride[1] - p->pads[1] + j * p->dilation[1]),
                         *weights++, sum);
    return sum;
}

/* One tile is some rows of one filter's map of one picture: [rows x OW]. */
static void run(const struct conv_plan *plan, const struct engine_inputs *in, float *maps,
                const void *shared, void *scratch, int tile)
{
    int rows = tile_rows(plan), steps = plan->maps.height / rows, map = tile / steps;
    int n = map / plan->maps.channels, k = map % plan->maps.channels, y = tile % steps * rows;
    const float *image = conv_group_image(plan, in->image, n, k);
    const float *weights = in->weights + (size_t)k * plan->w_columns;
    size_t count = (size_t)rows * (size_t)plan->maps.width;
    float *from = maps + (size_t)tile * count, *to = from;

    (void)shared, (void)scratch;
    for (int end = y + rows; y < end; y++)
        for (int x = 0; x < plan->maps.width && !conv_stopped(in); x++)
            *to++ = window(plan, image, weights, in->bias ? in->bias[k] : 0, y, x);
    conv_finish(plan, from, count);
}

const struct engine engine_reference = {
    .name = "reference", .exact = true, .pads = true, .size = size, .run = run
};
