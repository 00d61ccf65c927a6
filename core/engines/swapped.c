/* Filters on lanes, pixels broadcast: the engine for layers with many filters.
 *
 *        picture, as planes                     weights, packed once           sums
 *   c: [ . a b c d e f g . ]              filters 0..31   32..63 ...      filter 0..31
 *          | | | |                     c,i,j [ ........ ][ ........ ]   a [ ........... ]
 *          rows: neighbouring outputs        [ ........ ][ ........ ]   b [ ........... ]
 *                                            [depth][panel] each        c [ ........... ]
 *
 * An output row's pixels under one tap are neighbours on the planes, so nothing is packed but the
 * weights, and taps that fall into the padding need not be multiplied: that is no difference as
 * long as the weights are finite, since a product of 0 changes no sum but -0, and -0 leaves as
 * +0. Sums come out [outputs][filters] and are transposed while they are in the cache. */
#include "core/engines/planes.h"
#include "core/kernels.h"

#include <math.h>
#include <string.h>

enum {
    CHUNK_BYTES = 20 * 1024,         /* of weights, that stay in L1 over a tile's outputs */
    PLANES_BYTES = 480 * 1024,       /* of a tile's planes, that stay in L2 */
    TILE_OUTPUTS = 448,              /* of one map: their sums for a panel of filters are 56 KB */
    HALF_OUTPUTS = 4 * TILE_OUTPUTS, /* where planes are cut for one panel only */
    PACK_DEPTH = 1024,   /* of a panel's weights that stay in L2 between two looks at them */
    LEAST_OUTPUTS = 64,  /* of a flat tile that is cut again, since it reads all weights */
    LINE = 16,           /* floats of a cache line */
    LEAST_FILTERS = 1024 /* times taps, of a tile that need not be less: planes are cut for each */
};

/* The layer in numbers that every function here needs. */
struct layer {
    const struct kernels *kernels;
    int group_channels, group_filters, panels, taps;
    size_t depth;
    struct tiling tiling;
    struct planes planes;
};

static int64_t tile_macs(const struct layer *l)
{
    return (int64_t)l->tiling.rows * l->tiling.columns * l->tiling.filters * (int64_t)l->depth;
}

static void shrink_filters(struct layer *l, int least)
{
    int half = parts(l->tiling.filters, 2);

    half = parts(half, l->kernels->panel) * l->kernels->panel;
    if (half >= least && half < l->tiling.filters)
        l->tiling.filters = half;
}

/* Only half of a panel's weights and sums are looked at. */
static bool half_panels(const struct layer *l)
{
    return l->group_filters <= l->kernels->lanes;
}

static bool too_large(const struct layer *l)
{
    size_t planes = l->planes.channel_step * (size_t)l->group_channels * sizeof(float);

    return (!l->tiling.whole && planes > PLANES_BYTES) ||
           (int64_t)l->tiling.rows * l->tiling.columns >
               (half_panels(l) ? HALF_OUTPUTS : TILE_OUTPUTS);
}

/* Planes that stay in L2, tiles that end soon enough to be stopped, and enough of them. */
static void choose_tiles(struct layer *l, const struct conv_plan *plan)
{
    struct tiling *t = &l->tiling;
    int count;

    for (l->planes = planes_of(plan, t); too_large(l) && (t->rows > 1 || t->columns > KERNEL_ROWS);
         l->planes = planes_of(plan, t))
        if (t->rows > 1)
            t->rows = parts(t->rows, 2);
        else
            t->columns = parts(t->columns, 2);
    while (tile_macs(l) > l->kernels->tile_macs && t->filters > l->kernels->panel)
        shrink_filters(l, l->kernels->panel);
    count = tiling_count(t, plan);
    while (count < LEAST_TILES && plan->macs / (unsigned)count > SPLIT_MACS) {
        int before = t->filters;

        shrink_filters(l, t->whole ? 1 : LEAST_FILTERS / l->taps);
        if (t->filters == before && t->flat && t->rows * t->columns / 2 >= LEAST_OUTPUTS) {
            t->rows = parts(t->rows, 2); /* no pixel is cut twice */
            l->planes = planes_of(plan, t);
            before = 0;
        }
        if (t->filters == before)
            break;
        count = tiling_count(t, plan);
    }
}

static struct layer layer_of(const struct conv_plan *plan)
{
    const struct conv_params *p = &plan->params;
    struct layer l = { .kernels = kernels_best(), .depth = plan->w_columns };

    l.group_channels = plan->in.channels / p->groups;
    l.group_filters = plan->maps.channels / p->groups;
    l.panels = parts(l.group_filters, l.kernels->panel);
    l.taps = p->kernel_size[0] * p->kernel_size[1];
    l.tiling = tiling_of(plan);
    choose_tiles(&l, plan);
    return l;
}

/* bias [groups][padded filters], weights [groups][panels][depth][panel] */
static struct packed packing_of(const struct layer *l, const struct conv_plan *plan)
{
    return packed_of(times(plan->params.groups, l->panels) * (size_t)l->kernels->panel, l->depth);
}

struct scratch {
    int32_t *offset; /* [taps] */
    float *planes;
    float *sums; /* [outputs of the tile][panel] */
};

static struct scratch carve_scratch(struct carver *carver, const struct layer *l)
{
    struct scratch s;
    size_t channels = l->tiling.whole ? 0 : (size_t)l->group_channels;

    s.offset = carve(carver, (size_t)l->taps, sizeof(int32_t));
    s.planes = carve(carver, planes_floats(&l->planes, channels, KERNEL_ROWS), sizeof(float));
    s.sums = carve(carver,
                   (size_t)l->tiling.rows * (size_t)l->tiling.columns * (size_t)l->kernels->panel,
                   sizeof(float));
    return s;
}

static void size(struct conv_plan *plan)
{
    struct layer l = layer_of(plan);
    struct carver scratch = { 0 };

    carve_scratch(&scratch, &l);
    plan->shared = packing_of(&l, plan).bytes;
    plan->packs = plan->params.groups * l.panels;
    plan->scratch = scratch.bytes;
    plan->tiles = tiling_count(&l.tiling, plan);
}

/* W_row is [K x depth]; a panel's filters become [depth][panel], the missing ones zeros. */
static void prepare(const struct conv_plan *plan, const struct engine_inputs *in, void *shared,
                    int pack)
{
    struct layer l = layer_of(plan);
    struct packed packed = packing_of(&l, plan);
    int panel = l.kernels->panel, k = pack % l.panels * panel;
    int filters = at_most(l.group_filters - k, panel);
    size_t width = (size_t)panel, first = times(pack / l.panels, l.group_filters) + (size_t)k;
    const float *weights = in->weights + first * l.depth;
    float *bias = shared, *to = bias + packed.weights + (size_t)pack * width * l.depth, zero = 0;
    bool *finite = (void *)(bias + packed.finite);

    packed_bias(in, first, (size_t)filters, width, bias + (size_t)pack * width);
    if (filters < panel)
        memset(to, 0, width * l.depth * sizeof *to);
    for (size_t d = 0; d < l.depth && !conv_stopped(in); d += PACK_DEPTH) {
        size_t count = l.depth - d < PACK_DEPTH ? l.depth - d : PACK_DEPTH;

        l.kernels->transpose(weights + d, l.depth, filters, (int)count, to + d * width, width);
        for (size_t i = 0; i < width * count; i++)
            zero += to[d * width + i] * 0.0f; /* NaN as soon as one is not finite */
    }
    finite[pack] = zero == 0;
}

/* ---- one tile ---- */

/* Rows of the picture that the tile below will cut and this one did not, channel after channel. */
struct below {
    const float *pixels;
    size_t plane, floats; /* from channel to channel; of each */
    size_t asked, share;  /* floats of the channel so far; lines for each kernel call */
    int channels;         /* left */
};

/* Everything that the loops of a tile look at. */
struct work {
    struct layer layer;
    const struct conv_plan *plan;
    bool finite; /* are the panel's weights: then taps in the padding may be skipped */
    struct tile tile;
    int rows, columns;   /* of sums: the tile's, or all in one row when windows are pixels */
    const float *pixels; /* the planes, or the picture itself */
    size_t channel_step;
    struct scratch scratch;
    size_t calls; /* of kernels for a panel and a chunk */
    struct below below;
};

static int chunk_channels(const struct layer *l)
{
    int bytes = CHUNK_BYTES * (half_panels(l) ? 2 : 1);

    return at_least(1, bytes / (int)sizeof(float) / l->kernels->panel / l->taps);
}

/* Cutting would wait for memory, which can bring the pixels while the tile above multiplies: its
 * kernel calls ask for them in equal shares. Only where the next tile is the one below, and windows
 * leave out no row. */
static struct below below_of(const struct work *w, const float *image)
{
    const struct layer *l = &w->layer;
    const struct conv_params *p = &w->plan->params;
    size_t width = (size_t)w->plan->in.width, height = (size_t)w->plan->in.height;
    int64_t from = (int64_t)(w->tile.y + w->tile.rows - 1) * p->stride[0] - p->pads[0] +
                   (int64_t)(p->kernel_size[0] - 1) * p->dilation[0] + 1;
    int64_t to = from + (int64_t)l->tiling.rows * p->stride[0];
    size_t calls = w->calls * (size_t)parts(w->tile.filters, l->kernels->panel) *
                   (size_t)parts(l->group_channels, chunk_channels(l));
    struct below below = { .plane = height * width };

    from = from < 0 ? 0 : from;
    to = to < w->plan->in.height ? to : w->plan->in.height;
    if (l->tiling.whole || l->tiling.across > 1 || l->tiling.deep > 1 ||
        p->stride[0] > p->kernel_size[0] || from >= to)
        return below;
    below.pixels = image + (size_t)from * width;
    below.floats = (size_t)(to - from) * width;
    below.channels = l->group_channels;
    below.share = (below.floats / LINE + 1) * (size_t)below.channels / calls + 1;
    return below;
}

static void ask_below(struct below *below)
{
    for (size_t i = 0; i < below->share && below->channels; i++) {
        __builtin_prefetch(below->pixels + below->asked, 0, 2);
        below->asked += LINE;
        if (below->asked >= below->floats) {
            below->asked = 0;
            below->pixels += below->plane;
            below->channels--;
        }
    }
}

/* The filter's rows [*first, *last) that lie in the picture for output row y. */
static void rows_inside(const struct work *w, int y, int *first, int *last)
{
    const struct conv_params *p = &w->plan->params;
    int64_t top = (int64_t)(w->tile.y + y) * p->stride[0] - p->pads[0];

    *first = 0;
    *last = p->kernel_size[0];
    if (!w->finite || w->layer.tiling.flat)
        return;
    while (*first < *last && top + (int64_t)*first * p->dilation[0] < 0)
        ++*first;
    while (*first < *last && top + (int64_t)(*last - 1) * p->dilation[0] >= w->plan->in.height)
        --*last;
}

/* The kernel that leaves out what sticks out of the picture at the ends of a row, if there is one;
 * else the plain one, which multiplies the planes' zeros. */
static swapped_kernel *pick_kernel(const struct work *w, int x, int rows, int filters)
{
    const struct kernels *kernels = w->layer.kernels;
    const struct conv_params *p = &w->plan->params;
    int size = p->kernel_size[1], pad = size / 2, edge = EDGE_NONE;
    swapped_kernel *kernel = NULL;

    if (filters <= kernels->lanes)
        return kernels->swapped_half[rows];
    if ((size == 3 || size == 5) && p->stride[1] == 1 && p->dilation[1] == 1 && w->finite) {
        if (x == 0 && p->pads[1] >= pad)
            edge |= EDGE_LEFT;
        if (x + rows == w->plan->maps.width &&
            w->plan->maps.width + pad >= w->plan->in.width + p->pads[1])
            edge |= EDGE_RIGHT;
        kernel = kernels->swapped_edge[size == 5][edge][rows];
    }
    return kernel ? kernel : kernels->swapped[rows];
}

/* One row of outputs, [columns x panel] sums, in blocks of nearly equal size. */
static void run_row(struct work *w, struct swapped_call *call, int y, int filters)
{
    const struct kernels *kernels = w->layer.kernels;
    int blocks = parts(w->columns, kernels->swapped_rows), x = 0;
    const float *pixels = w->pixels + (size_t)y * w->layer.planes.row_step;
    float *sums = w->scratch.sums + (size_t)y * (size_t)(w->columns * kernels->panel);

    for (int b = 0; b < blocks; b++) {
        int rows = w->columns / blocks + (b < w->columns % blocks);

        call->in.pixels = pixels + x;
        call->sums = sums + times(x, kernels->panel);
        pick_kernel(w, w->tile.x + x, rows, filters)(call);
        ask_below(&w->below);
        call->ahead += call->weights_step * (size_t)call->in.channels / w->calls;
        x += rows;
    }
}

/* One panel of filters: sums[outputs x panel] += pixels[outputs x depth] * weights[depth x panel],
 * a chunk of channels at a time, whose weights stay in L1 for all the outputs. */
static void run_panel(struct work *w, const float *weights, const float *bias, int filters)
{
    const struct layer *l = &w->layer;
    int fw = w->plan->params.kernel_size[1], panel = l->kernels->panel;
    int chunk = chunk_channels(l);
    size_t step = (size_t)l->taps * (size_t)panel;

    for (int c = 0; c < l->group_channels; c += chunk) {
        int channels = at_most(chunk, l->group_channels - c);
        struct swapped_call call = { .weights_step = step, .bias = c ? NULL : bias };

        /* The next chunk's weights, in equal shares. */
        call.ahead = weights + (size_t)(c + channels) * step;
        call.ahead_step = ((size_t)panel + w->calls - 1) / w->calls;
        for (int y = 0; y < w->rows; y++) {
            int first, last;

            rows_inside(w, y, &first, &last);
            call.in = (struct windows){ NULL, w->channel_step, channels, (last - first) * fw,
                                        w->scratch.offset + times(first, fw) };
            call.weights = weights + (size_t)c * step + (size_t)(first * fw) * (size_t)panel;
            run_row(w, &call, y, filters);
        }
        w->pixels += (size_t)channels * w->channel_step;
    }
    w->pixels -= (size_t)l->group_channels * w->channel_step;
}

/* sums is [outputs][panel], the maps are [filters][outputs]. */
static void put_panel(const struct work *w, float *maps, int filters)
{
    const struct layer *l = &w->layer;
    bool whole_rows = w->tile.columns == l->tiling.width;
    int rows = whole_rows ? 1 : w->tile.rows;
    int columns = whole_rows ? w->tile.rows * w->tile.columns : w->tile.columns;

    for (int y = 0; y < rows; y++)
        l->kernels->transpose(w->scratch.sums + (size_t)y * (size_t)(columns * l->kernels->panel),
                              (size_t)l->kernels->panel, columns, filters,
                              maps + (size_t)y * (size_t)l->tiling.width, w->plan->col_columns);
}

static void cut_planes(struct work *w, const float *image)
{
    const struct layer *l = &w->layer;
    size_t plane = (size_t)w->plan->in.height * (size_t)w->plan->in.width;

    w->pixels = image + w->tile.x;
    w->channel_step = plane;
    if (l->tiling.whole)
        return;
    w->pixels = w->scratch.planes;
    w->channel_step = l->planes.channel_step;
    planes_cut(&l->planes, w->plan, w->tile, image, l->group_channels, w->scratch.planes);
}

static void run(const struct conv_plan *plan, const struct engine_inputs *in, float *maps,
                const void *shared, void *scratch, int tile)
{
    struct carver carver = { .at = scratch };
    struct work w = { .layer = layer_of(plan), .plan = plan };
    const struct layer *l = &w.layer;
    struct packed packed = packing_of(l, plan);
    const float *image, *bias = shared, *weights = bias + packed.weights;
    const bool *finite = (const void *)(bias + packed.finite);
    int panel = l->kernels->panel, group_filter;
    float *map;

    w.tile = tiling_tile(&l->tiling, plan, tile);
    w.scratch = carve_scratch(&carver, l);
    w.rows = l->tiling.flat ? 1 : w.tile.rows;
    w.columns = l->tiling.flat ? w.tile.rows * w.tile.columns : w.tile.columns;
    w.calls = times(w.rows, parts(w.columns, l->kernels->swapped_rows));
    group_filter = w.tile.group * l->group_filters;
    planes_offsets(&l->planes, plan, w.scratch.offset);
    image = conv_group_image(plan, in->image, w.tile.picture, group_filter);
    cut_planes(&w, image);
    w.below = below_of(&w, image);
    map = tile_maps(&l->tiling, plan, w.tile, maps);
    for (int k = 0; k < w.tile.filters && !conv_stopped(in); k += panel) {
        size_t pack = times(w.tile.group, l->panels) + (size_t)((w.tile.filter + k) / panel);
        size_t first = pack * (size_t)panel;
        int filters = at_most(panel, w.tile.filters - k);

        w.finite = finite[pack];
        run_panel(&w, weights + first * l->depth, bias + first, filters);
        put_panel(&w, map + (size_t)k * plan->col_columns, filters);
    }
    tile_finish(&l->tiling, plan, w.tile, maps);
}

const struct engine engine_swapped = {
    .name = "swapped", .exact = true, .size = size, .prepare = prepare, .run = run
};
