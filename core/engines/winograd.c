/* Fewer multiplications, other roundings: 3x3 filters at stride 1 by Winograd's F(4x4, 3x3). Used
 * only when asked for by name, since its sums are not the definition's; verify=true tells by how
 * much. A map is cut into tiles of 4 x 4 outputs:
 *
 *   pixels 6x6  --B^T d B-->  V [36][C][tiles]
 *   weights 3x3 --G g G^T-->  U [panels of filters][36][C][panel]
 *   36 products a panel:      M [36][tiles][panel] = V^T U, by swapped's kernels
 *   M --A^T m A-->            outputs, [4 rows][tiles * 4][panel], then transposed into the maps
 *
 * The 6x6 pixels of neighbouring tiles start 4 apart: they are the planes of a layer of 6x6 filters
 * at stride 4, which planes.c cuts. */
#include "core/engines/planes.h"
#include "core/kernels.h"

#include <string.h>

enum {
    PRODUCTS = 36,
    CHUNK_BYTES = 20 * 1024, /* of U for one product, that stay in L1 */
    TILES = 64,              /* at least so many at a time, where the map has them */
    LEAST_FILTERS = 256      /* of a tile: pixels are transformed for each */
};

struct layer {
    const struct kernels *kernels;
    struct conv_plan tiles;               /* the layer whose outputs are tiles */
    int channels, filters, panels, pitch; /* pitch: of V's rows */
    struct tiling tiling;
    struct planes planes;
};

/* Can a tile not be stopped soon enough? A quarter more is let through. */
static bool too_long(const struct layer *l)
{
    return (int64_t)l->tiling.rows * l->tiling.columns * PRODUCTS * l->channels *
               l->tiling.filters >
           (int64_t)l->kernels->tile_macs / 4 * 5;
}

static struct layer layer_of(const struct conv_plan *plan)
{
    struct layer l = { .kernels = kernels_best(), .tiles = *plan };
    struct conv_params *p = &l.tiles.params;

    l.channels = plan->in.channels / p->groups;
    l.filters = plan->maps.channels / p->groups;
    l.panels = parts(l.filters, l.kernels->panel);
    for (int i = 0; i < 2; i++) {
        p->kernel_size[i] = 6;
        p->stride[i] = 4;
    }
    l.tiles.maps.height = parts(plan->maps.height, 4);
    l.tiles.maps.width = parts(plan->maps.width, 4);
    l.tiling = tiling_of(&l.tiles);
    l.tiling.columns = at_most(l.tiling.width, TILES);
    l.tiling.rows = at_most(l.tiling.height, parts(TILES, l.tiling.columns));
    while (l.tiling.filters > LEAST_FILTERS && too_long(&l))
        l.tiling.filters = parts(parts(l.tiling.filters, 2), l.kernels->panel) * l.kernels->panel;
    while (l.tiling.rows > 1 && too_long(&l))
        l.tiling.rows = parts(l.tiling.rows, 2);
    l.pitch = parts(l.tiling.rows * l.tiling.columns, 16) * 16;
    l.planes = planes_of(&l.tiles, &l.tiling);
    tiling_count(&l.tiling, &l.tiles);
    return l;
}

/* bias [groups][padded filters], weights: U of each group */
static struct packed packing_of(const struct layer *l)
{
    return packed_of(times(l->tiles.params.groups, l->panels) * (size_t)l->kernels->panel,
                     times(PRODUCTS, l->channels));
}

struct scratch {
    int32_t *offset; /* [36] */
    float *zeros;    /* [panel] */
    float *planes;   /* of one channel */
    float *v, *m;    /* [36][C][pitch], [36][pitch][panel] */
    float *out;      /* [4][tiles of a row * 4][panel] */
};

static struct scratch carve_scratch(struct carver *carver, const struct layer *l)
{
    size_t panel = (size_t)l->kernels->panel, pitch = (size_t)l->pitch;
    struct scratch s;

    s.offset = carve(carver, PRODUCTS, sizeof(int32_t));
    s.zeros = carve(carver, panel, sizeof(float));
    s.planes = carve(carver, planes_floats(&l->planes, 1, PANEL_MOST), sizeof(float));
    s.v = carve(carver, (size_t)PRODUCTS * (size_t)l->channels * pitch + PANEL_MOST, sizeof(float));
    s.m = carve(carver, (size_t)PRODUCTS * pitch * panel, sizeof(float));
    s.out = carve(carver, 16 * (size_t)l->tiling.columns * panel, sizeof(float));
    return s;
}

static bool fits(const struct conv_plan *plan, struct error *err)
{
    const struct conv_params *p = &plan->params;

    for (int i = 0; i < 2; i++)
        if (p->kernel_size[i] != 3 || p->stride[i] != 1 || p->dilation[i] != 1)
            return fail(err, ERR_ENGINE, "algorithm",
                        "winograd is for 3x3 kernels at stride and dilation 1; use auto");
    return true;
}

static void size(struct conv_plan *plan)
{
    struct layer l = layer_of(plan);
    struct carver scratch = { 0 };

    carve_scratch(&scratch, &l);
    plan->shared = packing_of(&l).bytes;
    plan->packs = plan->params.groups * l.panels;
    plan->scratch = scratch.bytes;
    plan->tiles = tiling_count(&l.tiling, &l.tiles);
}

/* G g G^T of one filter's channel, product p to u[p * step]. */
static void transform_weights(const float *g, float *u, size_t step)
{
    static const double G[6][3] = { { 1 / 4.0, 0, 0 },
                                    { -1 / 6.0, -1 / 6.0, -1 / 6.0 },
                                    { -1 / 6.0, 1 / 6.0, -1 / 6.0 },
                                    { 1 / 24.0, 1 / 12.0, 1 / 6.0 },
                                    { 1 / 24.0, -1 / 12.0, 1 / 6.0 },
                                    { 0, 0, 1 } };
    double half[6][3];

    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 3; j++)
            half[i][j] =
                G[i][0] * (double)g[j] + G[i][1] * (double)g[3 + j] + G[i][2] * (double)g[6 + j];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            u[(size_t)(6 * i + j) * step] =
                (float)(half[i][0] * G[j][0] + half[i][1] * G[j][1] + half[i][2] * G[j][2]);
}

/* U of a panel of filters: a channel of all of them at a time, since its rows lie far apart. */
static void pack_panel(const struct layer *l, const struct engine_inputs *in, size_t first,
                       int filters, float *u)
{
    size_t channels = (size_t)l->channels, panel = (size_t)l->kernels->panel;
    const float *weights = in->weights + first * channels * 9;
    float block[PRODUCTS][PANEL_MOST] = { { 0 } };

    for (size_t c = 0; c < channels && !conv_stopped(in); c++) {
        for (size_t k = 0; k < (size_t)filters; k++)
            transform_weights(weights + (k * channels + c) * 9, &block[0][k], PANEL_MOST);
        for (size_t p = 0; p < PRODUCTS; p++)
            memcpy(u + (p * channels + c) * panel, block[p], panel * sizeof *u);
    }
}

/* A pack is a panel. */
static void prepare(const struct conv_plan *plan, const struct engine_inputs *in, void *shared,
                    int pack)
{
    struct layer l = layer_of(plan);
    int panel = l.kernels->panel, k = pack % l.panels * panel;
    int filters = at_most(panel, l.filters - k);
    size_t first = times(pack / l.panels, l.filters) + (size_t)k;
    float *bias = shared, *u = bias + packing_of(&l).weights;

    packed_bias(in, first, (size_t)filters, (size_t)panel, bias + times(pack, panel));
    pack_panel(&l, in, first, filters, u + times(pack, panel) * PRODUCTS * (size_t)l.channels);
}

/* ---- one tile of the tiling: some rows of 4x4 tiles ---- */

struct work {
    struct layer layer;
    const struct conv_plan *plan;
    struct tile tile;
    struct scratch scratch;
    int count; /* 4x4 tiles */
    const struct engine_inputs *in;
};

/* V [36][C][tiles] */
static void transform_pixels(const struct work *w, const float *image)
{
    const struct layer *l = &w->layer;
    size_t plane = (size_t)w->plan->in.height * (size_t)w->plan->in.width;
    size_t step = (size_t)l->channels * (size_t)l->pitch;
    struct windows in = { .offset = w->scratch.offset };

    for (int c = 0; c < l->channels && !conv_stopped(w->in); c++, image += plane) {
        float *v = w->scratch.v + (size_t)c * (size_t)l->pitch;

        planes_cut(&l->planes, &l->tiles, w->tile, image, 1, w->scratch.planes);
        for (int y = 0; y < w->tile.rows; y++) {
            in.pixels = w->scratch.planes + (size_t)y * l->planes.row_step;
            l->kernels->winograd_input(&in, v + times(y, w->tile.columns), step, w->tile.columns);
        }
    }
}

/* M [36][tiles][panel] = V [36][C][tiles], transposed, times U [36][C][panel] of a panel. */
static void multiply(const struct work *w, const float *u)
{
    const struct layer *l = &w->layer;
    int panel = l->kernels->panel, chunk = CHUNK_BYTES / (int)sizeof(float) / panel;
    int blocks = parts(w->count, l->kernels->swapped_rows);
    static const int32_t none = 0;

    for (int p = 0; p < PRODUCTS && !conv_stopped(w->in); p++)
        for (int c = 0; c < l->channels; c += chunk) {
            int channels = at_most(chunk, l->channels - c);
            size_t row = times(p, l->channels) + (size_t)c;
            struct swapped_call call = { .weights = u + row * (size_t)panel,
                                         .weights_step = (size_t)panel,
                                         .bias = c ? NULL : w->scratch.zeros };

            call.ahead = call.weights + times(channels, panel);
            call.ahead_step = (size_t)parts(panel, blocks);
            for (int b = 0, t = 0; b < blocks; b++) {
                int rows = w->count / blocks + (b < w->count % blocks);

                call.in = (struct windows){ w->scratch.v + row * (size_t)l->pitch + t,
                                            (size_t)l->pitch, channels, 1, &none };
                call.sums = w->scratch.m + (size_t)(p * l->pitch + t) * (size_t)panel;
                l->kernels->swapped[rows](&call);
                call.ahead += (size_t)channels * call.ahead_step;
                t += rows;
            }
        }
}

/* The panel's filters of the maps: rows of tiles become four rows of outputs each. */
static void transform_sums(const struct work *w, const float *bias, int filters, float *map)
{
    const struct layer *l = &w->layer;
    size_t panel = (size_t)l->kernels->panel, row_step = (size_t)w->tile.columns * 4 * panel;
    size_t width = (size_t)w->plan->maps.width;
    int columns = at_most(w->tile.columns * 4, w->plan->maps.width - w->tile.x * 4);

    for (int y = 0; y < w->tile.rows; y++) {
        int first = (w->tile.y + y) * 4, rows = at_most(4, w->plan->maps.height - first);

        for (int x = 0; x < w->tile.columns; x++)
            l->kernels->winograd_output(w->scratch.m + (size_t)(y * w->tile.columns + x) * panel,
                                        (size_t)l->pitch * panel, bias,
                                        w->scratch.out + (size_t)x * 4 * panel, row_step);
        for (int i = 0; i < rows; i++) {
            float *to = map + (size_t)(first + i) * width + (size_t)w->tile.x * 4;

            l->kernels->transpose(w->scratch.out + (size_t)i * row_step, panel, columns, filters,
                                  to, w->plan->col_columns);
            for (int k = 0; k < filters; k++)
                conv_finish(w->plan, to + (size_t)k * w->plan->col_columns, (size_t)columns);
        }
    }
}

static void run(const struct conv_plan *plan, const struct engine_inputs *in, float *maps,
                const void *shared, void *scratch, int tile)
{
    struct carver carver = { .at = scratch };
    struct work w = { .layer = layer_of(plan), .plan = plan, .in = in };
    const struct layer *l = &w.layer;
    const float *bias = shared, *u = bias + packing_of(l).weights;
    int panel = l->kernels->panel, filter;

    w.tile = tiling_tile(&l->tiling, &l->tiles, tile);
    w.scratch = carve_scratch(&carver, l);
    w.count = w.tile.rows * w.tile.columns;
    filter = w.tile.group * l->filters + w.tile.filter;
    memset(w.scratch.zeros, 0, (size_t)panel * sizeof(float));
    planes_offsets(&l->planes, &l->tiles, w.scratch.offset);
    transform_pixels(&w, conv_group_image(plan, in->image, w.tile.picture, filter));
    for (int k = 0; k < w.tile.filters && !conv_stopped(in); k += panel) {
        size_t first = times(w.tile.group, l->panels) * (size_t)panel + (size_t)(w.tile.filter + k);
        size_t map = (size_t)w.tile.picture * (size_t)plan->maps.channels + (size_t)(filter + k);

        multiply(&w, u + first * PRODUCTS * (size_t)l->channels);
        transform_sums(&w, bias + first, at_most(panel, w.tile.filters - k),
                       maps + map * plan->col_columns);
    }
}

const struct engine engine_winograd = {
    .name = "winograd", .named = true, .fits = fits, .size = size, .prepare = prepare, .run = run
};
