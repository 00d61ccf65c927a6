/* No matrix at all: depthwise layers and picture filters, at most three filters a group. There is
 * too little arithmetic to hide a second look at the pixels, so blocks of outputs, some rows high
 * and a vector or two wide, take all their taps straight from the planes.
 *
 *   planes of a channel      a block of sums, 4 rows x 2 vectors
 *   +----------------+       +--------+--------+
 *   | a row is read  |       |        |        |   with a 3x3 filter at stride 1, a row of pixels
 *   | once for the   |  -->  +--------+--------+   is under three rows of outputs
 *   | rows under it  |       |        |        |
 *   +----------------+       +--------+--------+ */
#include "core/engines/planes.h"
#include "core/kernels.h"

#include <string.h>

enum {
    PLANES_BYTES = 256 * 1024,
    LEAST_ROWS = 8,
    LEAST_PANELS = 2, /* of outputs in the middle of a tile that are worth three parts */
    BUNDLE = 16       /* groups of small maps that share a tile */
};

struct layer {
    const struct kernels *kernels;
    int group_channels, group_filters, taps;
    struct tiling tiling;
    struct planes planes;
};

static size_t tile_channels(const struct layer *l)
{
    return (size_t)l->tiling.groups * (size_t)l->group_channels;
}

/* What blocks may read behind the last channel's planes: rows and columns they do not store. */
static size_t floats_behind(const struct layer *l)
{
    return KERNEL_ROWS * l->planes.row_step + PANEL_MOST;
}

static bool too_large(const struct layer *l, size_t depth)
{
    const struct tiling *t = &l->tiling;
    size_t bytes = planes_floats(&l->planes, tile_channels(l), 0) * sizeof(float);
    size_t macs = (size_t)t->rows * (size_t)t->columns * (size_t)t->filters * depth;

    return bytes > PLANES_BYTES || macs > (size_t)l->kernels->tile_macs;
}

static struct layer layer_of(const struct conv_plan *plan)
{
    const struct conv_params *p = &plan->params;
    struct layer l = { .kernels = kernels_best() };
    struct tiling *t = &l.tiling;
    int panel = l.kernels->panel;

    l.group_channels = plan->in.channels / p->groups;
    l.group_filters = plan->maps.channels / p->groups;
    l.taps = p->kernel_size[0] * p->kernel_size[1];
    *t = tiling_of(plan);
    if (t->whole) { /* rows are as good as any, and blocks are made of them */
        t->whole = false;
        t->height = t->rows = plan->maps.height;
        t->width = t->columns = plan->maps.width;
    }
    for (l.planes = planes_of(plan, t);
         too_large(&l, plan->w_columns) && (t->rows > LEAST_ROWS || t->columns > 4 * panel);
         l.planes = planes_of(plan, t))
        if (t->rows > LEAST_ROWS)
            t->rows = at_least(LEAST_ROWS, parts(parts(t->rows, 2), LEAST_ROWS) * LEAST_ROWS);
        else
            t->columns = parts(parts(t->columns, 2), panel) * panel;
    if (t->rows == t->height && t->columns == t->width)
        while (t->groups < at_most(BUNDLE, p->groups) && !too_large(&l, plan->w_columns))
            t->groups++;
    tiling_count(t, plan);
    return l;
}

struct scratch {
    int32_t *offset; /* [taps] */
    float *zeros;    /* [filters of a group]: no bias */
    float *planes;
};

static struct scratch carve_scratch(struct carver *carver, const struct layer *l)
{
    struct scratch s;

    s.offset = carve(carver, (size_t)l->taps, sizeof(int32_t));
    s.zeros = carve(carver, DIRECT_FILTERS, sizeof(float));
    s.planes =
        carve(carver, planes_floats(&l->planes, tile_channels(l), floats_behind(l)), sizeof(float));
    return s;
}

static bool fits(const struct conv_plan *plan, struct error *err)
{
    return plan->maps.channels / plan->params.groups <= DIRECT_FILTERS ||
           fail(err, ERR_ENGINE, "algorithm", "direct is for at most %d filters a group; use auto",
                DIRECT_FILTERS);
}

/* With many channels the planes of a block leave the cache. */
static bool suits(const struct conv_plan *plan)
{
    return plan->in.channels / plan->params.groups <= 32;
}

static void size(struct conv_plan *plan)
{
    struct layer l = layer_of(plan);
    struct carver scratch = { 0 };

    carve_scratch(&scratch, &l);
    plan->scratch = scratch.bytes;
    plan->tiles = tiling_count(&l.tiling, plan);
}

static enum direct_form form_of(const struct conv_params *p)
{
    int size = p->kernel_size[0];
    bool plain = p->stride[0] == 1 && p->stride[1] == 1 && p->dilation[0] == 1 &&
                 p->dilation[1] == 1 && p->kernel_size[1] == size;

    return plain && size == 3 ? DIRECT_3X3 : plain && size == 5 ? DIRECT_5X5 : DIRECT_ANY;
}

/* Columns [from, to) of a group's maps in blocks: [rows] x [vectors * lanes] sums each. */
static void run_columns(const struct layer *l, const struct conv_plan *plan, struct tile tile,
                        struct direct_call call, int from, int to)
{
    bool wide = to - from > l->kernels->lanes;
    int block_rows = l->kernels->direct_rows[l->group_filters - 1][wide];
    int block_columns = l->kernels->lanes * (wide ? 2 : 1);
    direct_kernel *kernel = l->kernels->direct[l->group_filters - 1][form_of(&plan->params)][wide];
    const float *pixels = call.in.pixels;
    float *out = call.out;

    for (int y = 0; y < tile.rows; y += block_rows)
        for (int x = from; x < to; x += block_columns) {
            call.rows = at_most(block_rows, tile.rows - y);
            call.columns = at_most(block_columns, to - x);
            call.in.pixels = pixels + (size_t)y * call.row_step + x;
            call.out = out + (size_t)y * call.out_step + x;
            kernel(&call);
        }
}

/* Do all windows of these outputs, and of those that their blocks compute besides, lie side by side
 * in the picture? Then it is its own planes. */
static bool lies_inside(const struct layer *l, const struct conv_plan *plan, struct tile tile)
{
    const struct conv_params *p = &plan->params;
    int block_rows = l->kernels->direct_rows[l->group_filters - 1][1];
    int64_t top = (int64_t)tile.y * p->stride[0] - p->pads[0], left = tile.x - p->pads[1];
    int64_t rows = (int64_t)parts(tile.rows, block_rows) * block_rows;

    return p->stride[1] == 1 && tile.columns % l->kernels->panel == 0 && top >= 0 && left >= 0 &&
           top + (rows - 1) * p->stride[0] + (int64_t)(p->kernel_size[0] - 1) * p->dilation[0] <
               plan->in.height &&
           left + tile.columns + (int64_t)(p->kernel_size[1] - 1) * p->dilation[1] <=
               plan->in.width;
}

/* Windows of a part of a tile, cut into planes where they must be. */
static struct direct_call call_of(const struct layer *l, const struct conv_plan *plan,
                                  struct tile tile, const float *image, const struct scratch *s)
{
    const struct conv_params *p = &plan->params;
    size_t width = (size_t)plan->in.width, channel_step = (size_t)plan->in.height * width;
    struct direct_call call = { .row_step = (size_t)p->stride[0] * width };
    struct tiling part = l->tiling;
    struct planes planes;

    if (lies_inside(l, plan, tile)) {
        for (int t = 0; t < l->taps; t++)
            s->offset[t] = t / p->kernel_size[1] * p->dilation[0] * plan->in.width +
                           t % p->kernel_size[1] * p->dilation[1];
        image +=
            (size_t)(tile.y * p->stride[0] - p->pads[0]) * width + (size_t)(tile.x - p->pads[1]);
        call.in = (struct windows){ image, channel_step, l->group_channels, l->taps, s->offset };
        return call;
    }
    part.columns = tile.columns;
    planes = planes_of(plan, &part);
    planes_offsets(&planes, plan, s->offset);
    planes_cut(&planes, plan, tile, image, tile.groups * l->group_channels, s->planes);
    call.in =
        (struct windows){ s->planes, planes.channel_step, l->group_channels, l->taps, s->offset };
    call.row_step = planes.row_step;
    return call;
}

/* Everything that the parts of a tile look at. */
struct work {
    struct layer layer;
    const struct conv_plan *plan;
    const struct engine_inputs *in;
    struct scratch scratch;
    float *maps;
};

static void run_part(const struct work *w, struct tile tile)
{
    const struct layer *l = &w->layer;
    int filter = tile.group * l->group_filters, panel = l->kernels->panel;
    int whole = (tile.columns + panel - l->kernels->lanes - 1) / panel * panel;
    struct direct_call call =
        call_of(l, w->plan, tile, conv_group_image(w->plan, w->in->image, tile.picture, filter),
                &w->scratch);

    call.out = tile_maps(&l->tiling, w->plan, tile, w->maps);
    call.out_step = (size_t)l->tiling.width;
    call.map_step = w->plan->col_columns;
    for (int g = 0; g < tile.groups; g++, filter += l->group_filters) {
        call.weights = w->in->weights + (size_t)filter * w->plan->w_columns;
        call.bias = w->in->bias ? w->in->bias + filter : w->scratch.zeros;
        /* Two vectors at a time, then what is left in one. */
        run_columns(l, w->plan, tile, call, 0, at_most(whole, tile.columns));
        if (whole < tile.columns)
            run_columns(l, w->plan, tile, call, whole, tile.columns);
        call.in.pixels += (size_t)l->group_channels * call.in.channel_step;
        call.out += (size_t)l->group_filters * w->plan->col_columns;
    }
}

/* A tile in three parts, when the one in the middle sees no padding and is worth it. */
static void run(const struct conv_plan *plan, const struct engine_inputs *in, float *maps,
                const void *shared, void *scratch, int tile_index)
{
    const struct conv_params *p = &plan->params;
    struct carver carver = { .at = scratch };
    struct work w = { .layer = layer_of(plan), .plan = plan, .in = in, .maps = maps };
    struct tile tile = tiling_tile(&w.layer.tiling, plan, tile_index), part = tile;
    int panel = w.layer.kernels->panel;
    int from = at_least(0, parts(p->pads[1] - tile.x, panel)) * panel;
    int64_t seen = (int64_t)(p->kernel_size[1] - 1) * p->dilation[1] - p->pads[1] + tile.x;

    (void)shared;
    w.scratch = carve_scratch(&carver, &w.layer);
    memset(w.scratch.zeros, 0, DIRECT_FILTERS * sizeof(float));
    part.x += from;
    if (plan->in.width - seen < part.columns)
        part.columns = (int)(plan->in.width - seen);
    part.columns = at_least(0, (part.columns - from) / panel) * panel;
    if (part.columns >= LEAST_PANELS * panel && lies_inside(&w.layer, plan, part)) {
        run_part(&w, part);
        part.columns = tile.columns - from - part.columns;
        part.x = tile.x + tile.columns - part.columns;
        tile.columns = from;
    } else {
        part.columns = 0;
    }
    if (tile.columns)
        run_part(&w, tile);
    if (part.columns)
        run_part(&w, part);
    tile_finish(&w.layer.tiling, plan, tiling_tile(&w.layer.tiling, plan, tile_index), maps);
}

const struct engine engine_direct = {
    .name = "direct", .exact = true, .fits = fits, .suits = suits, .size = size, .run = run
};
