/* Feature maps as a picture: what is shown, where it stands on the sheet, and which value becomes
 * which grey.
 *
 * One map is a grey picture. Three maps that a filter made of a colour picture's three channels
 * are a colour picture again (four: with alpha). Everything else is a contact sheet of tiles with
 * white lines between them, the pictures of a batch one after the other.
 *
 * A value v becomes (v - lo) / (hi - lo) of full white, rounded half up and kept inside:
 *   clip       what input_scale, mean and std made of the picture's black and white, 0 and 255
 *              (65535 of a 16-bit picture): of the map's own channel where it has one, else from
 *              the least to the greatest of them
 *   abs        |v|, from 0 to white less black: edges as convertScaleAbs shows them. Without a
 *              picture to say what white is, the tile's largest |v|
 *   minmax     each tile by its own least and greatest value
 *   symmetric  each tile by its greatest |v|: zero is middle grey
 *   global     all tiles by the least and greatest value of all
 *   lo,hi      as given
 * NaN is black. */
#include "api/colormap.h"
#include "api/encode.h"
#include "api/floats.h"
#include "api/png.h"

#include <math.h>
#include <string.h>

enum { GAP = 1, GAP_COLOR = 255 };

/* The values of one tile, 1, 3 or 4 planes of one picture. */
struct sheet {
    const struct convolve_request *request;
    const struct conv_plan *plan;
    const struct view *view;
    struct png png;
    int tile_planes, tiles, columns;
    bool colored; /* each level becomes colors[level] */
    uint8_t colors[256][3];
    enum range range;
    float lo, hi;                  /* where they are the same for all tiles */
    const struct map_stats *stats; /* of each plane, where it is not */
    uint8_t *pixels;
};

/* Rows of a tile that are drawn by one worker in one go; pixels of a row that are. */
enum { BAND = 64, SPAN = 512 };

/* Three or four planes that are the colours of one picture; else 1. */
static int planes_of_tile(const struct convolve_request *request, const struct conv_plan *plan,
                          const struct view *view, enum range range)
{
    int planes = view->shape.channels;
    bool whole = request->fields.what == WHAT_INPUT ||
                 (request->fields.what == WHAT_FEATURES && !request->maps &&
                  plan->params.groups == plan->in.channels);

    if (!whole || !request->picture.count || request->fields.colormap != COLORMAP_GRAY ||
        planes != plan->in.channels)
        return 1;
    /* an alpha that is stretched or made absolute would hide the picture */
    if (planes == 4 && range != RANGE_CLIP && range != RANGE_GIVEN)
        return 1;
    return planes == 3 || planes == 4 ? planes : 1;
}

/* Near to a square, and without empty places where up to twice the columns allow it. */
static int columns_of(const struct sheet *sheet, int asked)
{
    const struct shape *shape = &sheet->view->shape;
    int square = (int)ceil(sqrt((double)sheet->tiles * shape->height / shape->width));

    if (asked)
        return asked < sheet->tiles ? asked : sheet->tiles;
    square = square < 1 ? 1 : square > sheet->tiles ? sheet->tiles : square;
    for (int columns = square; columns <= 2 * square && columns <= sheet->tiles; columns++)
        if (sheet->tiles % columns == 0)
            return columns;
    return square;
}

/* The range of what is shown: as given, as resolved for the layer, or what suits a matrix. */
static enum range range_of(const struct convolve_request *request)
{
    if (request->fields.range >= 0 || request->fields.what == WHAT_FEATURES)
        return request->range;
    return request->fields.what == WHAT_INPUT     ? RANGE_CLIP
           : request->fields.what == WHAT_WEIGHTS ? RANGE_SYMMETRIC
                                                  : RANGE_MINMAX;
}

/* The input's channel whose values a plane of the view shows; -1: those of all. */
static int channel_of(const struct sheet *sheet, int plane)
{
    const struct convolve_request *request = sheet->request;
    int channels = sheet->plan->in.channels, map = plane % sheet->view->shape.channels;

    if (request->fields.what == WHAT_INPUT)
        return map;
    if (request->fields.what != WHAT_FEATURES || sheet->plan->params.groups != channels ||
        request->params.combine != COMBINE_NONE)
        return -1;
    return (request->maps ? request->maps[map] : map) / (sheet->plan->out.channels / channels);
}

/* What became of the picture's black and white. */
static void picture_range(const struct sheet *sheet, int plane, float *lo, float *hi)
{
    const struct fields *fields = &sheet->request->fields;
    float white = (sheet->request->picture.depth == 16 ? 65535 : 255) * fields->input_scale;
    int channels = sheet->plan->in.channels, only = channel_of(sheet, plane);

    *lo = INFINITY;
    *hi = -INFINITY;
    for (int c = 0; c < channels && c < MAX_PICTURE_CHANNELS; c++)
        if (only < 0 || c == (only < MAX_PICTURE_CHANNELS ? only : 0)) {
            *lo = fminf(*lo, (0 - fields->mean[c]) / fields->std[c]);
            *hi = fmaxf(*hi, (white - fields->mean[c]) / fields->std[c]);
        }
    if (sheet->range == RANGE_ABS) {
        *hi = fabsf(*hi - *lo);
        *lo = 0;
    }
}

/* The least and greatest of some planes. */
static void planes_range(const struct sheet *sheet, int from, int count, float *lo, float *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int i = from; i < from + count; i++) {
        *lo = fminf(*lo, sheet->stats[i].min);
        *hi = fmaxf(*hi, sheet->stats[i].max);
    }
}

static void plane_range(const struct sheet *sheet, int tile, int plane, float *lo, float *hi)
{
    bool middle = sheet->range == RANGE_SYMMETRIC, absolute = sheet->range == RANGE_ABS;
    int first = tile * sheet->tile_planes;

    *lo = sheet->lo;
    *hi = sheet->hi;
    if (sheet->range == RANGE_CLIP || (absolute && sheet->request->picture.count)) {
        picture_range(sheet, first + plane, lo, hi);
    } else if (sheet->range == RANGE_MINMAX || middle || absolute) {
        planes_range(sheet, first, sheet->tile_planes, lo, hi);
        if (middle || absolute) {
            *hi = fmaxf(fabsf(*lo), fabsf(*hi));
            *lo = absolute ? 0 : -*hi;
        }
    }
    if (*hi == *lo || !isfinite(*lo)) { /* all the same (or no number): black, or middle grey */
        *lo = middle ? -1 : isfinite(*lo) ? *lo : 0;
        *hi = middle ? 1 : *lo + 1;
    }
}

/* How a tile's values become 0..white. */
struct scale {
    float lo, factor, white;
    bool absolute;
};

static void quantize(uint16_t *levels, const float *values, size_t count, struct scale scale)
{
    for (size_t i = 0; i < count; i++) {
        float value = scale.absolute ? fabsf(values[i]) : values[i];
        float level = (value - scale.lo) * scale.factor;

        level = level > 0 ? level : 0; /* NaN too */
        level = level < scale.white ? level : scale.white;
        levels[i] = (uint16_t)(int)(level + 0.5f);
    }
}

/* The levels of one plane into pixels that may have several. */
static void place(const struct sheet *sheet, uint8_t *out, const uint16_t *levels, size_t count,
                  int plane)
{
    size_t step = (size_t)sheet->tile_planes;

    if (sheet->colored) {
        for (size_t i = 0; i < count; i++)
            memcpy(out + 3 * i, sheet->colors[levels[i]], 3);
    } else if (sheet->png.depth == 8) {
        out += plane;
        for (size_t i = 0; i < count; i++)
            out[i * step] = (uint8_t)levels[i];
    } else {
        out += 2 * (ptrdiff_t)plane;
        for (size_t i = 0; i < count; i++) {
            out[2 * i * step] = (uint8_t)(levels[i] >> 8);
            out[2 * i * step + 1] = (uint8_t)levels[i];
        }
    }
}

static void draw_band(void *arg, int index, int slot)
{
    const struct sheet *sheet = arg;
    const struct shape *shape = &sheet->view->shape;
    int bands = (shape->height + BAND - 1) / BAND, tile = index / bands,
        from = index % bands * BAND;
    int to = from + BAND < shape->height ? from + BAND : shape->height;
    size_t width = (size_t)shape->width,
           pixel = (size_t)(sheet->png.channels * sheet->png.depth / 8);
    size_t top = (size_t)(tile / sheet->columns) * (size_t)(shape->height + GAP);
    size_t left = (size_t)(tile % sheet->columns) * (width + GAP);
    struct scale scale = { .white = sheet->png.depth == 16 ? 65535 : 255,
                           .absolute = sheet->range == RANGE_ABS };
    uint16_t levels[SPAN];
    float hi;

    (void)slot;
    for (int plane = 0; plane < sheet->tile_planes; plane++) {
        plane_range(sheet, tile, plane, &scale.lo, &hi);
        scale.factor = scale.white / (hi - scale.lo);
        for (int y = from; y < to; y++) {
            const float *row =
                sheet->view->data +
                ((size_t)(tile * sheet->tile_planes + plane) * (size_t)shape->height + (size_t)y) *
                    width;
            uint8_t *out =
                sheet->pixels + ((top + (size_t)y) * (size_t)sheet->png.width + left) * pixel;

            for (size_t x = 0; x < width; x += SPAN) {
                size_t span = width - x < SPAN ? width - x : SPAN;

                quantize(levels, row + x, span, scale);
                place(sheet, out + x * pixel, levels, span, plane);
            }
        }
    }
}

/* The picture's size, its depth and what its pixels are. */
static bool sheet_init(struct sheet *sheet, const struct convolve_request *request,
                       const struct conv_plan *plan, const struct view *view, struct error *err)
{
    const struct fields *fields = &request->fields;
    const struct shape *shape = &view->shape;
    int64_t width, height;

    *sheet = (struct sheet){
        .request = request, .plan = plan, .view = view, .range = range_of(request)
    };
    sheet->tile_planes = planes_of_tile(request, plan, view, sheet->range);
    sheet->tiles = shape->count * (shape->channels / sheet->tile_planes);
    sheet->columns = columns_of(sheet, fields->grid);
    sheet->colored = fields->colormap != COLORMAP_GRAY;
    if (sheet->colored && fields->depth == 16)
        return fail(err, ERR_PARAMETER, "depth",
                    "colour maps have 8 bits; leave depth away, or take colormap=gray");
    if (sheet->colored)
        colormap_fill((enum colormap)fields->colormap, sheet->colors);
    width = (int64_t)sheet->columns * (shape->width + GAP) - GAP;
    height =
        (int64_t)((sheet->tiles + sheet->columns - 1) / sheet->columns) * (shape->height + GAP) -
        GAP;
    if (width > INT32_MAX || height > INT32_MAX)
        return fail(err, ERR_TOO_LARGE, "format", "a sheet of %d maps is too large for PNG",
                    sheet->tiles);
    sheet->png = (struct png){ .width = (int)width,
                               .height = (int)height,
                               .channels = sheet->colored ? 3 : sheet->tile_planes,
                               .depth = fields->depth,
                               .level = fields->png_level };
    if (!fields->depth)
        sheet->png.depth =
            request->picture.depth == 16 && sheet->range == RANGE_CLIP && !sheet->colored ? 16 : 8;
    return true;
}

bool png_encode(const struct convolve_request *request, const struct conv_plan *plan,
                const struct view *view, const struct reply_context *context, struct reply *reply,
                struct error *err)
{
    struct pool *pool = shape_count(view->shape) >= (1 << 17) ? context->pool : NULL;
    struct sheet sheet;
    struct bytes file;
    size_t size;

    if (!sheet_init(&sheet, request, plan, view, err))
        return false;
    size = (size_t)(sheet.png.channels * sheet.png.depth / 8);
    if (!checked_mul(size, (size_t)sheet.png.width, &size) ||
        !checked_mul(size, (size_t)sheet.png.height, &size))
        size = SIZE_MAX;
    sheet.pixels = arena_new(context->arena, uint8_t, size);
    sheet.stats = sheet.pixels ? stats_of_view(view, context) : NULL;
    if (!sheet.stats)
        return fail(err, ERR_TOO_LARGE, "format",
                    "there is no memory for a picture of %d x %d pixels; ask for fewer maps",
                    sheet.png.width, sheet.png.height);
    if (sheet.range == RANGE_GIVEN) {
        sheet.lo = request->fields.range_lo;
        sheet.hi = request->fields.range_hi;
    } else if (sheet.range == RANGE_GLOBAL) {
        planes_range(&sheet, 0, view->shape.count * view->shape.channels, &sheet.lo, &sheet.hi);
    }
    if (sheet.tiles > 1)
        memset(sheet.pixels, GAP_COLOR, size);
    pool_for(pool, sheet.tiles * ((view->shape.height + BAND - 1) / BAND), draw_band, &sheet);
    sheet.png.pixels = sheet.pixels;
    if (!png_write(&sheet.png, pool, context->arena, &file, err))
        return false;
    if (sheet.tiles == 1 || (sheet.range != RANGE_MINMAX && sheet.range != RANGE_SYMMETRIC)) {
        char text[2 * FLOAT_TEXT + FLOATS_SLACK];
        float range[2];

        plane_range(&sheet, 0, 0, range, range + 1);
        *floats_write(text, range, 2) = 0;
        memcpy(reply->range, text, sizeof reply->range);
    }
    reply_set(reply, 200, "image/png", file);
    return true;
}
