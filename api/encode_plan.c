/* What /plan and /info answer: all that is known without doing any work. */
#include "api/encode.h"

#include <stdio.h>
#include <string.h>

/* The textbook's formula with its numbers: (W - F + 2P) / S + 1 for one side of the plane. */
struct side {
    int size, kernel, before, after, stride, dilation, result;
};

static void formula_encode(struct json *json, const char *name, struct side side)
{
    int reach = side.dilation * (side.kernel - 1);
    bool exact = (side.size + side.before + side.after - reach - 1) % side.stride == 0;
    char kernel[48], padding[32], text[200];

    snprintf(kernel, sizeof kernel, "%d", side.kernel);
    if (side.dilation > 1)
        snprintf(kernel, sizeof kernel, "%d*(%d - 1) - 1", side.dilation, side.kernel);
    snprintf(padding, sizeof padding, "%d + %d", side.before, side.after);
    if (side.before == side.after)
        snprintf(padding, sizeof padding, "2*%d", side.before);
    snprintf(text, sizeof text, "%s(%d - %s + %s) / %d%s + 1 = %d", exact ? "" : "floor(",
             side.size, kernel, padding, side.stride, exact ? "" : ")", side.result);
    json_text(json, name, text);
}

/* axis 0 is height, 1 width. */
static int side_of(struct shape shape, int axis)
{
    return axis ? shape.width : shape.height;
}

/* Pads are top, left, bottom, right. */
static struct side maps_side(const struct conv_plan *plan, int axis)
{
    const struct conv_params *params = &plan->params;

    return (struct side){ side_of(plan->in, axis),  params->kernel_size[axis],
                          params->pads[axis],       params->pads[axis + 2],
                          params->stride[axis],     params->dilation[axis],
                          side_of(plan->maps, axis) };
}

static struct side pool_side(const struct conv_plan *plan, int axis)
{
    const struct conv_params *params = &plan->params;

    return (struct side){ side_of(plan->maps, axis), params->pool_kernel_size[axis],
                          params->pool_pads[axis],   params->pool_pads[axis + 2],
                          params->pool_stride[axis], 1,
                          side_of(plan->out, axis) };
}

static void sizes_encode(struct json *json, const struct conv_plan *plan)
{
    double weights = (double)plan->maps.channels * (double)plan->w_columns;
    double x_col = (double)plan->col_rows * (double)plan->col_columns;

    json_open(json, "formula", '{');
    formula_encode(json, "width", maps_side(plan, 1));
    formula_encode(json, "height", maps_side(plan, 0));
    if (plan->params.pool_type != POOL_NONE) {
        formula_encode(json, "pool_width", pool_side(plan, 1));
        formula_encode(json, "pool_height", pool_side(plan, 0));
    }
    json_close(json, '}');
    json_open(json, "bytes", '{');
    json_real(json, "input", (double)shape_count(plan->in) * sizeof(float));
    json_real(json, "weights", weights * sizeof(float));
    json_real(json, "output", (double)shape_count(plan->out) * sizeof(float));
    json_real(json, "x_col", x_col * sizeof(float)); /* of one picture, whole */
    json_close(json, '}');
    json_real(json, "flops", 2 * (double)plan->macs);
}

static void output_encode(struct json *json, const struct conv_plan *plan,
                          enum output_layout layout)
{
    const struct shape *out = &plan->out;

    json_open(json, "output", '{');
    json_ints(json, "shape",
              layout == OUTPUT_NCHW ? (int[]){ out->count, out->channels, out->height, out->width }
                                    : (int[]){ out->count, out->height, out->width, out->channels },
              4);
    json_text(json, "layout", layout == OUTPUT_NCHW ? "nchw" : "nhwc");
    json_text(json, "dtype", "float32");
    json_int(json, "width", out->width);
    json_int(json, "height", out->height);
    json_int(json, "channels", out->channels);
    json_close(json, '}');
}

bool reply_json(const struct json *json, const char *buffer, struct reply *reply, struct error *err)
{
    if (json->full)
        return fail(err, ERR_INTERNAL, "", "the reply is longer than was computed");
    reply_set(reply, 200, "application/json",
              (struct bytes){ buffer, (size_t)(json->at - buffer) });
    return true;
}

bool plan_encode(const struct convolve_request *request, const struct conv_plan *plan,
                 const struct reply_context *context, struct reply *reply, struct error *err)
{
    enum { SIZE = LAYER_BOUND + WARNINGS_BOUND + 4096 };
    char *buffer = arena_new(context->arena, char, SIZE);
    struct json json;

    if (!buffer)
        return fail(err, ERR_TOO_LARGE, "", "there is no memory for the reply");
    json_init(&json, buffer, SIZE);
    json_open(&json, NULL, '{');
    output_encode(&json, plan, (enum output_layout)request->fields.output_layout);
    input_encode(&json, request);
    layer_encode(&json, request, plan);
    sizes_encode(&json, plan);
    im2col_encode(&json, plan);
    json_text(&json, "algorithm", conv_plan_engine(plan));
    json_text(&json, "isa", conv_isa());
    json_bool(&json, "exact", conv_engine_is_exact(conv_plan_engine(plan)));
    json_int(&json, "workspace_bytes", (int64_t)conv_workspace(plan, context->pool));
    warnings_encode(&json, &request->warnings);
    json_text(&json, "request_id", context->request_id);
    json_close(&json, '}');
    return reply_json(&json, buffer, reply, err);
}

static void texts_encode(struct json *json, const char *name, const char *const *texts)
{
    json_open(json, name, '[');
    for (; *texts; texts++)
        json_text(json, NULL, *texts);
    json_close(json, ']');
}

static void engines_encode(struct json *json)
{
    const char *name;

    json_open(json, "engines", '[');
    for (int i = 0; (name = conv_engine_name(i)); i++) {
        json_open(json, NULL, '{');
        json_text(json, "name", name);
        json_bool(json, "exact", conv_engine_is_exact(name));
        json_close(json, '}');
    }
    json_close(json, ']');
}

bool info_encode(const struct limits *limits, const char *server_json, struct arena *arena,
                 struct reply *reply, struct error *err)
{
    static const char *const inputs[] = { "png", "jpeg", "bmp", "pnm", "npy", "json", NULL };
    static const char *const outputs[] = { "json", "png", "npy", "raw", NULL };
    size_t more = strlen(server_json), size = more + 4096;
    char *buffer = arena_new(arena, char, size), *room;
    struct json json;

    if (!buffer)
        return fail(err, ERR_TOO_LARGE, "", "there is no memory for the reply");
    json_init(&json, buffer, size);
    json_open(&json, NULL, '{');
    json_open(&json, "limits", '{');
    json_real(&json, "pixels", (double)limits->pixels);
    json_real(&json, "output_bytes", (double)limits->output);
    json_real(&json, "macs", (double)limits->macs);
    json_real(&json, "memory_bytes", (double)limits->memory);
    json_close(&json, '}');
    texts_encode(&json, "input_formats", inputs);
    texts_encode(&json, "output_formats", outputs);
    engines_encode(&json);
    json_text(&json, "isa", conv_isa());
    json_text(&json, "blas_core", conv_blas_core());
    room = more ? json_room(&json, NULL, more + 1) : NULL; /* members, as the server wrote them */
    if (room)
        json.at = stpcpy(room, server_json);
    json_close(&json, '}');
    return reply_json(&json, buffer, reply, err);
}
