/* Cuts maps into tiles, and the picture into the zero-padded planes that a tile's windows lie on.
 * A plane is copied once and read F*F times: strides, dilations and padding end here. */
#include "core/engines/planes.h"

#include "core/kernels.h"

#include <string.h>

struct tiling tiling_of(const struct conv_plan *plan)
{
    const struct conv_params *p = &plan->params;
    struct tiling t = { .height = plan->maps.height, .width = plan->maps.width };

    t.flat = p->kernel_size[0] == 1 && p->kernel_size[1] == 1;
    t.whole = t.flat && p->stride[0] == 1 && p->stride[1] == 1 && !p->pads[0] && !p->pads[1] &&
              t.height == plan->in.height && t.width == plan->in.width;
    if (t.whole) {
        t.width *= t.height;
        t.height = 1;
    }
    t.rows = t.height;
    t.columns = t.width;
    t.filters = plan->maps.channels / p->groups;
    t.groups = 1;
    return t;
}

int tiling_count(struct tiling *t, const struct conv_plan *plan)
{
    int64_t count;

    t->down = parts(t->height, t->rows);
    t->across = parts(t->width, t->columns);
    t->deep = parts(plan->maps.channels / plan->params.groups, t->filters);
    t->bundles = parts(plan->params.groups, t->groups);
    count = (int64_t)t->down * t->across * t->deep;
    if (__builtin_mul_overflow(count, (int64_t)plan->maps.count * t->bundles, &count) ||
        count > INT32_MAX)
        return INT32_MAX;
    return (int)count;
}

/* [picture][bundle][down][across][deep]: neighbours in time share their planes' pixels. */
struct tile tiling_tile(const struct tiling *t, const struct conv_plan *plan, int index)
{
    int group_filters = plan->maps.channels / plan->params.groups;
    struct tile tile;

    tile.filter = index % t->deep * t->filters;
    index /= t->deep;
    tile.x = index % t->across * t->columns;
    index /= t->across;
    tile.y = index % t->down * t->rows;
    index /= t->down;
    tile.group = index % t->bundles * t->groups;
    tile.picture = index / t->bundles;
    tile.groups = at_most(t->groups, plan->params.groups - tile.group);
    tile.filters = at_most(t->filters, group_filters - tile.filter) * tile.groups;
    tile.columns = at_most(t->columns, t->width - tile.x);
    tile.rows = at_most(t->rows, t->height - tile.y);
    return tile;
}

float *tile_maps(const struct tiling *t, const struct conv_plan *plan, struct tile tile,
                 float *maps)
{
    size_t group_filters = (size_t)(plan->maps.channels / plan->params.groups);
    size_t map = (size_t)tile.picture * (size_t)plan->maps.channels +
                 (size_t)tile.group * group_filters + (size_t)tile.filter;

    return maps + map * plan->col_columns + (size_t)tile.y * (size_t)t->width + (size_t)tile.x;
}

void tile_finish(const struct tiling *t, const struct conv_plan *plan, struct tile tile,
                 float *maps)
{
    float *map = tile_maps(t, plan, tile, maps);

    if (plan->params.activation == ACTIVATION_NONE)
        return; /* the kernels have made the -0s +0 */
    for (int k = 0; k < tile.filters; k++, map += plan->col_columns)
        for (int y = 0; y < tile.rows; y++)
            conv_finish(plan, map + (size_t)y * (size_t)t->width, (size_t)tile.columns);
}

static int greatest_divisor(int a, int b)
{
    return b ? greatest_divisor(b, a % b) : a;
}

/* Outputs of a tile along one axis; pad as in "before". */
static struct axis axis_of(int taps, int stride, int dilation, int pad, int outputs, int limit)
{
    struct axis a = { .stride = stride, .dilation = dilation, .origin = -pad, .limit = limit };
    int64_t shared;

    a.cycle = stride / greatest_divisor(stride, dilation);
    a.slots = at_most(a.cycle, taps);
    a.advance = (int)((int64_t)a.cycle * dilation / stride);
    shared = outputs + (int64_t)((taps - 1) / a.cycle) * a.advance;
    if (shared * a.slots > (int64_t)outputs * taps) {
        a.cycle = a.slots = taps;
        a.advance = 0;
        shared = outputs;
    }
    a.length = (int)shared;
    a.longest = (taps - 1) % a.cycle;
    return a;
}

static int32_t axis_tap(const struct axis *a, int tap)
{
    return tap % a->cycle * a->length + tap / a->cycle * a->advance;
}

struct planes planes_of(const struct conv_plan *plan, const struct tiling *t)
{
    const struct conv_params *p = &plan->params;
    struct planes planes;

    planes.y = axis_of(p->kernel_size[0], p->stride[0], p->dilation[0], p->pads[0], t->rows,
                       plan->in.height);
    planes.x = axis_of(p->kernel_size[1], p->stride[1], p->dilation[1], p->pads[1], t->columns,
                       plan->in.width);
    planes.row_step = (size_t)planes.x.slots * (size_t)planes.x.length;
    planes.channel_step = planes.row_step * (size_t)planes.y.slots * (size_t)planes.y.length;
    return planes;
}

size_t planes_floats(const struct planes *planes, size_t channels, size_t behind)
{
    return channels * planes->channel_step + behind;
}

void planes_offsets(const struct planes *planes, const struct conv_plan *plan, int32_t *offset)
{
    for (int i = 0; i < plan->params.kernel_size[0]; i++)
        for (int j = 0; j < plan->params.kernel_size[1]; j++)
            *offset++ =
                axis_tap(&planes->y, i) * (int32_t)planes->row_step + axis_tap(&planes->x, j);
}

/* The elements of a slot that lie in the input: [from, to), the first one's coordinate. */
struct inside {
    int from, to, first;
    int after; /* elements that taps see behind them */
};

static struct inside axis_inside(const struct axis *a, int output, int slot)
{
    int length = a->length - (slot > a->longest ? a->advance : 0);
    int64_t start = (int64_t)output * a->stride + (int64_t)slot * a->dilation + a->origin;
    int64_t from = start < 0 ? (-start + a->stride - 1) / a->stride : 0;
    int64_t to = start < a->limit ? (a->limit - start + a->stride - 1) / a->stride : 0;

    to = to < length ? to : length;
    from = from < to ? from : to;
    return (struct inside){ (int)from, (int)to, (int)(start + from * a->stride), length - (int)to };
}

void planes_cut(const struct planes *planes, const struct conv_plan *plan, struct tile tile,
                const float *image, int channels, float *to)
{
    const struct kernels *kernels = kernels_best();
    size_t width = (size_t)plan->in.width, plane = width * (size_t)plan->in.height;

    for (int i = 0; i < planes->y.slots; i++)
        for (int j = 0; j < planes->x.slots; j++) {
            struct inside y = axis_inside(&planes->y, tile.y, i);
            struct inside x = axis_inside(&planes->x, tile.x, j);
            struct cut_call call = { .to = to + times(i, planes->y.length) * planes->row_step +
                                           times(j, planes->x.length),
                                     .to_step = planes->row_step,
                                     .from_step = width * (size_t)planes->y.stride,
                                     .rows_before = y.from,
                                     .rows = y.to - y.from,
                                     .rows_after = y.after,
                                     .before = x.from,
                                     .count = x.to - x.from,
                                     .after = x.after,
                                     .stride = planes->x.stride };

            /* Where all is padding, there is no pixel to point at. */
            call.from = call.rows && call.count ? image + (size_t)y.first * width + x.first : image;
            for (int c = 0; c < channels; c++) {
                kernels->cut(&call);
                call.to += planes->channel_step;
                call.from += plane;
            }
        }
}

void *carve(struct carver *carver, size_t count, size_t size)
{
    void *taken = carver->at ? carver->at + carver->bytes : NULL;

    carver->bytes += (count * size + 63) / 64 * 64;
    return taken;
}

struct packed packed_of(size_t filters, size_t filter_floats)
{
    struct packed packed = { .finite = (filters + 15) / 16 * 16 };

    packed.weights = packed.finite + (filters + 63) / 64 * 16;
    packed.bytes = (packed.weights + filters * filter_floats) * sizeof(float);
    return packed;
}

void packed_bias(const struct engine_inputs *in, size_t first, size_t filters, size_t padded,
                 float *bias)
{
    memset(bias, 0, padded * sizeof *bias);
    if (in->bias)
        memcpy(bias, in->bias + first, filters * sizeof *bias);
}
