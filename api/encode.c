/* From a finished layer to a reply: what is returned, and in which format. */
#include "api/encode.h"
#include "api/npy.h"

#include <limits.h>
#include <string.h>

/* X_col of every picture. */
static bool view_columns(struct view *view, const struct convolve_request *request,
                         const struct conv_plan *plan, struct arena *arena, struct error *err)
{
    struct tensor columns;
    size_t size;

    if (plan->col_rows > INT_MAX || plan->col_columns > INT_MAX ||
        !checked_mul(plan->col_rows, plan->col_columns, &size))
        return fail(err, ERR_TOO_LARGE, "what", "X_col is too large to be returned");
    view->shape = (struct shape){ plan->in.count, 1, (int)plan->col_rows, (int)plan->col_columns };
    view->matrix = true;
    if (!tensor_alloc(&columns, view->shape, "what", arena, err))
        return false;
    for (int n = 0; n < plan->in.count; n++)
        conv_columns(plan, request->inputs.image, n, columns.data + (size_t)n * size);
    view->data = columns.data;
    return true;
}

/* The maps that were asked for, side by side; convolve_admit() knows that they are there. */
static bool view_maps(struct view *view, const struct convolve_request *request,
                      const struct conv_plan *plan, const float *output, struct arena *arena,
                      struct error *err)
{
    size_t area = (size_t)plan->out.height * (size_t)plan->out.width;
    struct tensor picked;
    float *to;

    view->data = output;
    view->shape = plan->out;
    if (!request->maps)
        return true;
    view->shape.channels = request->map_count;
    if (!tensor_alloc(&picked, view->shape, "maps", arena, err))
        return false;
    to = picked.data;
    for (int n = 0; n < plan->out.count; n++)
        for (int i = 0; i < request->map_count; i++, to += area)
            memcpy(to,
                   output +
                       ((size_t)n * (size_t)plan->out.channels + (size_t)request->maps[i]) * area,
                   area * sizeof(float));
    view->data = picked.data;
    return true;
}

bool view_init(struct view *view, const struct convolve_request *request,
               const struct conv_plan *plan, const float *output, struct arena *arena,
               struct error *err)
{
    *view = (struct view){ .output = output };
    switch ((enum what)request->fields.what) {
    case WHAT_FEATURES:
        return view_maps(view, request, plan, output, arena, err);
    case WHAT_COLUMNS:
        return view_columns(view, request, plan, arena, err);
    case WHAT_WEIGHTS:
        view->data = request->inputs.weights;
        view->shape = (struct shape){ 1, 1, plan->maps.channels, (int)plan->w_columns };
        view->matrix = true;
        return true;
    case WHAT_INPUT:
        view->data = request->inputs.image;
        view->shape = plan->in;
        return true;
    }
    return fail(err, ERR_INTERNAL, "what", "what is %d", request->fields.what);
}

/* [C][H*W] to [H*W][C], in blocks that stay in the first cache. */
static void interleave(float *restrict out, const float *restrict planes, size_t channels,
                       size_t area)
{
    enum { BLOCK = 64 };

    for (size_t from = 0; from < area; from += BLOCK)
        for (size_t c = 0; c < channels; c++)
            for (size_t i = from; i < area && i < from + BLOCK; i++)
                out[i * channels + c] = planes[c * area + i];
}

bool listing_init(struct listing *listing, const struct view *view, enum output_layout layout,
                  struct arena *arena, struct error *err)
{
    const struct shape *shape = &view->shape;
    size_t area = (size_t)shape->height * (size_t)shape->width;
    struct tensor pixels;

    *listing = (struct listing){ view->data,
                                 { shape->count, shape->channels, shape->height, shape->width },
                                 4,
                                 shape_count(*shape) };
    if (view->matrix) { /* [rows][columns], or one of these for each picture */
        listing->rank = shape->count > 1 ? 3 : 2;
        memcpy(listing->dims,
               shape->count > 1 ? (int[]){ shape->count, shape->height, shape->width }
                                : (int[]){ shape->height, shape->width, 0 },
               3 * sizeof(int));
        return true;
    }
    if (layout == OUTPUT_NCHW)
        return true;
    memcpy(listing->dims + 1, (int[]){ shape->height, shape->width, shape->channels },
           3 * sizeof(int));
    if (!tensor_alloc(&pixels, *shape, "output_layout", arena, err))
        return false;
    for (int n = 0; n < shape->count; n++) {
        size_t at = (size_t)n * (size_t)shape->channels * area;

        interleave(pixels.data + at, view->data + at, (size_t)shape->channels, area);
    }
    listing->data = pixels.data;
    return true;
}

static bool npy_encode(const struct listing *listing, struct arena *arena, struct reply *reply,
                       struct error *err)
{
    size_t dims[4], size = listing->count * sizeof(float);
    char *file = arena_new(arena, char, size + NPY_HEADER), *data;

    if (!file)
        return fail(err, ERR_TOO_LARGE, "format",
                    "there is no memory for %zu bytes of npy; format=raw needs none", size);
    for (int i = 0; i < listing->rank; i++)
        dims[i] = (size_t)listing->dims[i];
    data = npy_header(file, dims, listing->rank);
    memcpy(data, listing->data, size);
    reply_set(reply, 200, "application/x-npy",
              (struct bytes){ file, (size_t)(data - file) + size });
    return true;
}

bool convolve_encode(const struct convolve_request *request, const struct conv_plan *plan,
                     const float *output, const struct reply_context *context, struct reply *reply,
                     struct error *err)
{
    enum format format = (enum format)request->fields.format;
    struct listing listing;
    struct view view;

    reply->workspace_bytes = conv_workspace(plan, context->pool);
    reply->algorithm = conv_plan_engine(plan);
    if (request->infer)
        return infer_encode(request, plan, output, context, reply, err);
    if (!view_init(&view, request, plan, output, context->arena, err))
        return false;
    reply->output_shape = view.shape;
    if (format == FORMAT_PNG)
        return png_encode(request, plan, &view, context, reply, err);
    if (!listing_init(&listing, &view, (enum output_layout)request->fields.output_layout,
                      context->arena, err))
        return false;
    if (listing.rank == 4)
        memcpy(&reply->output_shape, listing.dims, sizeof listing.dims);
    if (format == FORMAT_NPY)
        return npy_encode(&listing, context->arena, reply, err);
    if (format == FORMAT_RAW) {
        reply_set(reply, 200, "application/octet-stream",
                  (struct bytes){ (const char *)listing.data, listing.count * sizeof(float) });
        return true;
    }
    reply_set(reply, 200, "application/json",
              json_encode(request, plan, &view, &listing, context, err));
    return reply->body.data != NULL;
}
