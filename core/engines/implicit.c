/* Pixels on lanes, weights broadcast: the engine for large maps and for layers with few filters or
 * few weights. It is the textbook's W_row * X_col, whose X_col exists for 32 columns at a time:
 *
 *   W_row                     X_col                          maps
 *   [K x depth]               [depth x OH*OW]                [K x OH*OW]
 *    +-----+-----+             +--+--+--+--                   +--+--+--+--
 *    |     |     | 12 filters  |  |  |  |    a chunk of       |  |  |  |   12 filters
 *    +-----+-----+             |  |  |  |    channels         +--+--+--+--
 *    |     |     |             +--+--+--+--                   |  |  |  |
 *    +-----+-----+             |  |  |  |
 *     chunks                    panels of 32                   += for each chunk
 *
 * The first 12 filters' kernel reads a panel from the planes, multiplies, and leaves it packed for
 * the other filters. A panel stays in L1, a chunk's weights and the tile's sums in L2. At F = 1
 * and stride 1 (`pointwise`) the picture is X_col as it lies, and no planes are cut. */
#include "core/engines/planes.h"
#include "core/kernels.h"

#include <string.h>

enum {
    CHUNK_DEPTH = 224,       /* rows of X_col in a panel: 28 KB */
    PANEL_DEPTH = 1024,      /* the most, where one channel has more taps: nothing is packed */
    BLOCK_FILTERS = 264,     /* whose weights of a chunk stay in L2 */
    TILE_BYTES = 384 * 1024, /* of sums */
    PLANES_BYTES = 256 * 1024,
    STREAM_FLOATS = 2 << 20 /* of maps that are written past the caches */
};

/* The layer in numbers that every function here needs. */
struct layer {
    const struct kernels *kernels;
    int group_channels, group_filters, taps;
    int chunk; /* channels */
    size_t depth;
    struct tiling tiling;
    struct planes planes;
};

static bool too_large(const struct layer *l, const struct conv_plan *plan)
{
    int64_t outputs = (int64_t)l->tiling.rows * l->tiling.columns;
    int64_t macs = outputs * l->tiling.filters * (int64_t)l->depth;
    size_t planes = l->planes.channel_step * (size_t)l->chunk * sizeof(float);

    return outputs * l->tiling.filters * (int64_t)sizeof(float) > TILE_BYTES ||
           macs > l->kernels->tile_macs ||
           (macs > SPLIT_MACS && (uint64_t)macs > plan->macs / LEAST_TILES) ||
           (!l->tiling.whole && planes > PLANES_BYTES);
}

static void choose_tiles(struct layer *l, const struct conv_plan *plan)
{
    struct tiling *t = &l->tiling;
    int panel = l->kernels->panel;

    t->filters = parts(t->filters, parts(t->filters, BLOCK_FILTERS));
    for (l->planes = planes_of(plan, t);
         too_large(l, plan) && (t->rows > 1 || t->columns > 4 * panel);
         l->planes = planes_of(plan, t))
        if (t->rows > 4 || (t->rows > 1 && t->columns <= 4 * panel))
            t->rows = parts(t->rows, 2);
        else
            t->columns = parts(parts(t->columns, 2), panel) * panel;
    tiling_count(t, plan);
}

static struct layer layer_of(const struct conv_plan *plan)
{
    const struct conv_params *p = &plan->params;
    struct layer l = { .kernels = kernels_best(), .depth = plan->w_columns };
    int chunks;

    l.group_channels = plan->in.channels / p->groups;
    l.group_filters = plan->maps.channels / p->groups;
    l.taps = p->kernel_size[0] * p->kernel_size[1];
    chunks = parts(l.group_channels, at_least(1, CHUNK_DEPTH / l.taps));
    l.chunk = parts(l.group_channels, chunks);
    l.tiling = tiling_of(plan);
    choose_tiles(&l, plan);
    return l;
}

struct scratch {
    int32_t *offset; /* [taps] */
    float *planes;   /* of a chunk */
    float *panel;    /* [chunk * taps][panel] */
};

static struct scratch carve_scratch(struct carver *carver, const struct layer *l)
{
    struct scratch s;
    size_t channels = l->tiling.whole ? 0 : (size_t)l->chunk;
    size_t depth = (size_t)l->chunk * (size_t)l->taps;

    s.offset = carve(carver, (size_t)l->taps, sizeof(int32_t));
    s.planes = carve(carver, planes_floats(&l->planes, channels, PANEL_MOST), sizeof(float));
    s.panel = carve(carver, depth > PANEL_DEPTH ? 0 : depth, (size_t)l->kernels->panel * 4);
    return s;
}

static bool fits_pointwise(const struct conv_plan *plan, struct error *err)
{
    return tiling_of(plan).whole ||
           fail(err, ERR_ENGINE, "algorithm",
                "pointwise is for 1x1 kernels at stride 1 without padding; use auto");
}

static void size(struct conv_plan *plan)
{
    struct layer l = layer_of(plan);
    struct carver scratch = { 0 };

    carve_scratch(&scratch, &l);
    plan->shared = packed_of((size_t)plan->maps.channels, l.depth).bytes;
    plan->packs = plan->params.groups * parts(l.group_channels, l.chunk);
    plan->scratch = scratch.bytes;
    plan->tiles = tiling_count(&l.tiling, plan);
}

/* Filters are cut into panels of nearly the same number of rows, at most the kernel's. */
static int panel_rows(int filters, int most, int panel)
{
    int panels = parts(filters, most);

    return filters / panels + (panel < filters % panels);
}

/* W_row [filters x depth] becomes [panel][depth of chunk][rows]; returns what is behind. */
static float *pack_block(const struct layer *l, const float *weights, int filters, int depth,
                         float *to)
{
    for (int i = 0, k = 0, rows; k < filters; i++, k += rows) {
        rows = panel_rows(filters, l->kernels->implicit_rows, i);
        l->kernels->transpose(weights + (size_t)k * l->depth, l->depth, rows, depth, to,
                              (size_t)rows);
        to += (size_t)rows * (size_t)depth;
    }
    return to;
}

/* Where the packed weights of filters from `filter` on begin in a chunk from channel c on:
 * [groups][chunks][blocks of filters][panels][depth of chunk][rows]. */
static size_t packed_at(const struct layer *l, int group, int c, int filter)
{
    int channels = at_most(l->chunk, l->group_channels - c);

    return times(group, l->group_filters) * l->depth +
           (times(c, l->group_filters) + times(filter, channels)) * (size_t)l->taps;
}

/* A pack is a chunk of channels of all of a group's filters. */
static void prepare(const struct conv_plan *plan, const struct engine_inputs *in, void *shared,
                    int pack)
{
    struct layer l = layer_of(plan);
    struct packed packed = packed_of((size_t)plan->maps.channels, l.depth);
    int chunks = parts(l.group_channels, l.chunk), g = pack / chunks, c = pack % chunks * l.chunk;
    int depth = at_most(l.chunk, l.group_channels - c) * l.taps;
    const float *weights = in->weights + times(g, l.group_filters) * l.depth + times(c, l.taps);
    float *bias = shared, *to = bias + packed.weights + packed_at(&l, g, c, 0);

    if (pack == 0)
        packed_bias(in, 0, (size_t)plan->maps.channels, (size_t)plan->maps.channels, bias);
    for (int k = 0; k < l.group_filters && !conv_stopped(in); k += l.tiling.filters)
        to = pack_block(&l, weights + (size_t)k * l.depth,
                        at_most(l.tiling.filters, l.group_filters - k), depth, to);
}

/* ---- one tile ---- */

/* Everything that the loops of a tile look at. */
struct work {
    struct layer layer;
    const struct conv_plan *plan;
    struct tile tile;
    struct scratch scratch;
    struct windows in; /* a chunk's: channels and pixels move on */
    const float *weights, *bias;
    bool first;  /* chunk: sums start from the bias */
    bool stream; /* whole panels past the caches */
};

/* One panel of X_col, [depth x columns], times all of the tile's filters. out: [filters][columns],
 * map after map. */
static void run_panel(const struct work *w, const float *pixels, int columns, float *out)
{
    const struct kernels *kernels = w->layer.kernels;
    struct implicit_call call = { .in = w->in, .weights = w->weights };
    bool narrow = columns <= kernels->lanes || w->in.channels * w->in.taps > PANEL_DEPTH;
    implicit_kernel *const *kernel = narrow ? kernels->implicit_narrow : kernels->implicit_pack;
    int rows;

    call.in.pixels = pixels;
    call.panel = w->scratch.panel;
    call.out_step = w->plan->col_columns;
    call.columns = columns;
    call.stream = w->stream && columns == kernels->panel && (uintptr_t)out % 64 == 0;
    for (int i = 0, k = 0; k < w->tile.filters; i++, k += rows) {
        rows = panel_rows(w->tile.filters, kernels->implicit_rows, i);
        call.out = out + (size_t)k * call.out_step;
        call.bias = w->first ? w->bias + k : NULL;
        kernel[rows](&call);
        call.weights += times(rows, w->in.channels) * (size_t)w->in.taps;
        if (!narrow)
            kernel = kernels->implicit_packed;
    }
}

/* A row of outputs, panel by panel. `readable`: floats from pixels on that may be read; where a
 * panel would need more, it is copied out. */
static void run_row(const struct work *w, const float *pixels, int columns, int readable,
                    float *out)
{
    const struct kernels *kernels = w->layer.kernels;
    bool wide = w->in.channels * w->in.taps <= PANEL_DEPTH;
    int step = wide ? kernels->panel : kernels->lanes;

    for (int x = 0; x < columns; x += step) {
        int count = at_most(step, columns - x);
        struct work tail;

        if (x + step <= readable) {
            run_panel(w, pixels + x, count, out + x);
            continue;
        }
        tail = *w;
        kernels->cut(&(struct cut_call){ .to = w->scratch.panel,
                                         .to_step = (size_t)step,
                                         .from = pixels + x,
                                         .from_step = w->in.channel_step,
                                         .rows = w->in.channels,
                                         .count = count,
                                         .stride = 1 });
        tail.in.channel_step = (size_t)step;
        run_panel(&tail, w->scratch.panel, count, out + x);
    }
}

/* sums[filters x outputs] += weights[filters x depth of chunk] * X_col[depth of chunk x outputs] */
static void run_chunk(const struct work *w, float *out)
{
    const struct layer *l = &w->layer;
    size_t width = (size_t)l->tiling.width;

    if (l->tiling.whole) {
        run_row(w, w->in.pixels, w->tile.columns, l->tiling.width - w->tile.x, out);
        return;
    }
    if (l->tiling.flat && w->tile.columns == l->tiling.width) {
        run_row(w, w->in.pixels, w->tile.rows * w->tile.columns, INT32_MAX, out);
        return;
    }
    for (int y = 0; y < w->tile.rows; y++)
        run_row(w, w->in.pixels + (size_t)y * l->planes.row_step, w->tile.columns, INT32_MAX,
                out + (size_t)y * width);
}

/* Maps that would leave the caches before anybody looks at them need not come in: lines that are
 * written as a whole, once, go straight to memory. Cached, the same panel's lines of many maps also
 * push each other out, where a map's size is a multiple of 4 KB and so all are in one set of L1. */
static bool streams(const struct layer *l, const struct conv_plan *plan)
{
    return l->chunk == l->group_channels && plan->params.activation == ACTIVATION_NONE &&
           shape_count(plan->maps) > STREAM_FLOATS && plan->col_columns % 16 == 0;
}

static void run(const struct conv_plan *plan, const struct engine_inputs *in, float *maps,
                const void *shared, void *scratch, int tile)
{
    struct carver carver = { .at = scratch };
    struct work w = { .layer = layer_of(plan), .plan = plan };
    const struct layer *l = &w.layer;
    size_t plane = (size_t)plan->in.height * (size_t)plan->in.width;
    const float *image, *bias = shared;
    const float *weights = bias + packed_of((size_t)plan->maps.channels, l->depth).weights;
    size_t filter;

    w.tile = tiling_tile(&l->tiling, plan, tile);
    w.scratch = carve_scratch(&carver, l);
    filter = times(w.tile.group, l->group_filters) + (size_t)w.tile.filter;
    image = conv_group_image(plan, in->image, w.tile.picture, (int)filter);
    w.bias = bias + filter;
    w.stream = streams(l, plan);
    planes_offsets(&l->planes, plan, w.scratch.offset);
    for (int c = 0; c < l->group_channels && !conv_stopped(in); c += l->chunk) {
        int count = at_most(l->chunk, l->group_channels - c);

        w.weights = weights + packed_at(l, w.tile.group, c, w.tile.filter);
        w.in = (struct windows){ image + w.tile.x, plane, count, l->taps, w.scratch.offset };
        w.first = c == 0;
        if (!l->tiling.whole) {
            planes_cut(&l->planes, plan, w.tile, image, count, w.scratch.planes);
            w.in.pixels = w.scratch.planes;
            w.in.channel_step = l->planes.channel_step;
        }
        run_chunk(&w, tile_maps(&l->tiling, plan, w.tile, maps));
        image += (size_t)count * plane;
    }
    if (w.stream)
        l->kernels->streamed();
    tile_finish(&l->tiling, plan, w.tile, maps);
}

/* Below this many weights a filter, swapped's transposition of the sums costs more than its
 * packing of nothing saves; below this many filters, its lanes are not full. They are, too, where
 * the filters fill one vector, whose rows alone keep AVX-512's units busy. */
static bool suits(const struct conv_plan *plan)
{
    const struct kernels *kernels = kernels_best();
    int filters = plan->maps.channels / plan->params.groups;
    bool one_vector = kernels->swapped_rows == KERNEL_ROWS && filters > kernels->implicit_rows &&
                      filters <= kernels->lanes;

    return (filters < 24 && !one_vector) || plan->w_columns < 96;
}

static bool suits_pointwise(const struct conv_plan *plan)
{
    return plan->col_columns > 256;
}

const struct engine engine_pointwise = { .name = "pointwise",
                                         .exact = true,
                                         .fits = fits_pointwise,
                                         .suits = suits_pointwise,
                                         .size = size,
                                         .prepare = prepare,
                                         .run = run };

const struct engine engine_implicit = {
    .name = "implicit", .exact = true, .suits = suits, .size = size, .prepare = prepare, .run = run
};
