/* Activations, pooling, combining: one pass over the maps each. */
#include "core/maps.h"

#include "core/engine.h"

#include <math.h>

float conv_activate(int activation, float v)
{
    switch ((enum activation)activation) {
    case ACTIVATION_NONE:
        return v;
    case ACTIVATION_RELU:
        return v < 0 ? 0 : v; /* a NaN stays one */
    case ACTIVATION_RELU6:
        return v < 0 ? 0 : v > 6 ? 6 : v;
    case ACTIVATION_LEAKY_RELU:
        return v < 0 ? 0.01f * v : v;
    case ACTIVATION_SIGMOID:
        return (float)(1 / (1 + exp(-(double)v)));
    case ACTIVATION_TANH:
        return (float)tanh((double)v);
    case ACTIVATION_ELU:
        return v < 0 ? (float)expm1((double)v) : v;
    case ACTIVATION_HARDSWISH: {
        float gate = v + 3;

        return v * (gate < 0 ? 0 : gate > 6 ? 6 : gate) / 6;
    }
    }
    return v;
}

void conv_finish(const struct conv_plan *plan, float *values, size_t count)
{
    int activation = plan->params.activation;

    if (activation == ACTIVATION_NONE)
        for (size_t i = 0; i < count; i++)
            values[i] += 0.0f;
    else if (activation == ACTIVATION_RELU)
        for (size_t i = 0; i < count; i++)
            values[i] = values[i] < 0 ? 0 : values[i] + 0.0f;
    else
        for (size_t i = 0; i < count; i++)
            values[i] = conv_activate(activation, values[i] + 0.0f);
}

struct finishing {
    const struct conv_plan *plan;
    const float *from;
    float *to;
};

static size_t plane(struct shape shape)
{
    return (size_t)shape.height * (size_t)shape.width;
}

/* The pooling window whose corner is row y, column x of the map; padding is not part of it. */
static float pool_window(const struct conv_plan *plan, const float *map, int y, int x)
{
    const struct conv_params *p = &plan->params;
    int height = plan->maps.height, width = plan->maps.width;
    int y0 = y < 0 ? 0 : y, y1 = y + p->pool_kernel_size[0];
    int x0 = x < 0 ? 0 : x, x1 = x + p->pool_kernel_size[1];
    float best = -INFINITY;
    double sum = 0;
    int count = 0;

    for (int i = y0; i < (y1 < height ? y1 : height); i++)
        for (int j = x0; j < (x1 < width ? x1 : width); j++, count++) {
            float v = map[(size_t)i * (size_t)width + (size_t)j];

            sum += (double)v;
            if (v > best || isnan(v))
                best = v;
        }
    return p->pool_type == POOL_MAX ? best : (float)(sum / count);
}

static void pool_map(void *arg, int index, int slot)
{
    const struct finishing *job = arg;
    const struct conv_plan *plan = job->plan;
    const struct conv_params *p = &plan->params;
    const float *map = job->from + (size_t)index * plane(plan->maps);
    float *to = job->to + (size_t)index * plane(plan->out);

    (void)slot;
    for (int y = 0; y < plan->out.height; y++)
        for (int x = 0; x < plan->out.width; x++)
            *to++ = pool_window(plan, map, y * p->pool_stride[0] - p->pool_pads[0],
                                x * p->pool_stride[1] - p->pool_pads[1]);
}

/* K maps of one picture into one; index counts rows over all pictures. */
static void combine_row(void *arg, int index, int slot)
{
    const struct finishing *job = arg;
    const struct conv_plan *plan = job->plan;
    int width = plan->out.width, channels = plan->maps.channels;
    size_t size = plane(plan->out), row = (size_t)(index % plan->out.height) * (size_t)width;
    const float *maps =
        job->from + (size_t)(index / plan->out.height) * (size_t)channels * size + row;
    float *to = job->to + (size_t)(index / plan->out.height) * size + row;

    (void)slot;
    for (int x = 0; x < width; x++) {
        double sum = 0, squares = 0;
        float most = -INFINITY;

        for (int k = 0; k < channels; k++) {
            float v = maps[(size_t)k * size + (size_t)x];

            sum += (double)v;
            squares += (double)v * (double)v;
            if (v > most || isnan(v))
                most = v;
        }
        to[x] = plan->params.combine == COMBINE_SUM         ? (float)sum
                : plan->params.combine == COMBINE_MAGNITUDE ? (float)sqrt(squares)
                                                            : most;
    }
}

static bool pools(const struct conv_plan *plan)
{
    return plan->params.pool_type != POOL_NONE;
}

static bool combines(const struct conv_plan *plan)
{
    return plan->params.combine != COMBINE_NONE;
}

size_t maps_workspace(const struct conv_plan *plan)
{
    struct shape pooled = plan->out;

    pooled.channels = plan->maps.channels;
    return pools(plan) && combines(plan) ? shape_count(pooled) * sizeof(float) : 0;
}

void maps_finish(const struct conv_plan *plan, const float *maps, float *space, float *out,
                 struct pool *pool)
{
    struct finishing job = { plan, maps, combines(plan) ? space : out };

    if (pools(plan)) {
        pool_for(pool, plan->maps.count * plan->maps.channels, pool_map, &job);
        job.from = job.to;
    }
    job.to = out;
    if (combines(plan))
        pool_for(pool, plan->out.count * plan->out.height, combine_row, &job);
}
