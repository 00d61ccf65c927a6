/* The parts that /convolve and /plan answer alike: input, layer, the matrices of im2col. */
#include "api/encode.h"

#include <math.h>

void input_encode(struct json *json, const struct convolve_request *request)
{
    const struct shape *shape = &request->image.shape;
    const struct picture_info *picture = &request->picture;

    json_open(json, "input", '{');
    json_ints(json, "shape", &shape->count, 4);
    json_int(json, "width", shape->width);
    json_int(json, "height", shape->height);
    json_int(json, "channels", shape->channels);
    if (picture->count) { /* as it was before it became floats */
        json_open(json, "picture", '{');
        json_text(json, "format", picture->format);
        json_int(json, "width", picture->width);
        json_int(json, "height", picture->height);
        json_int(json, "channels", picture->channels);
        json_int(json, "depth", picture->depth);
        json_close(json, '}');
    }
    json_close(json, '}');
}

static void sides_encode(struct json *json, const char *name, const int *pads)
{
    json_open(json, name, '{');
    json_int(json, "top", pads[0]);
    json_int(json, "left", pads[1]);
    json_int(json, "bottom", pads[2]);
    json_int(json, "right", pads[3]);
    json_close(json, '}');
}

/* By canonical names, so that it can be sent again as it is (with the weights). */
void layer_encode(struct json *json, const struct convolve_request *request,
                  const struct conv_plan *plan)
{
    const struct conv_params *params = &plan->params;
    const struct fields *fields = &request->fields;

    json_open(json, "layer", '{');
    if (request->layer)
        json_text(json, "layer", request->layer);
    json_int(json, "out_channels", plan->maps.channels);
    json_ints(json, "kernel_size", params->kernel_size, 2);
    json_ints(json, "stride", params->stride, 2);
    sides_encode(json, "padding", params->pads);
    json_text(json, "padding_mode", padding_mode_words[params->padding_mode]);
    json_float(json, "padding_value", params->padding_value);
    json_ints(json, "dilation", params->dilation, 2);
    json_int(json, "groups", params->groups);
    json_bool(json, "bias", request->inputs.bias != NULL);
    json_text(json, "activation", activation_words[params->activation]);
    if (params->pool_type == POOL_NONE) {
        json_text(json, "pool", NULL);
    } else {
        json_open(json, "pool", '{');
        json_text(json, "type", pool_type_words[params->pool_type]);
        json_ints(json, "kernel_size", params->pool_kernel_size, 2);
        json_ints(json, "stride", params->pool_stride, 2);
        sides_encode(json, "padding", params->pool_pads);
        json_close(json, '}');
    }
    json_text(json, "combine", combine_words[params->combine]);
    json_bool(json, "flip", fields->flip);
    json_float(json, "scale", fields->scale);
    json_float(json, "offset", fields->offset);
    json_bool(json, "normalize", fields->normalize);
    json_bool(json, "strict", params->strict);
    json_text(json, "weights", request->bank); /* null: the request's own */
    json_ints(json, "weight_shape",
              (int[]){ plan->maps.channels, plan->in.channels / params->groups,
                       params->kernel_size[0], params->kernel_size[1] },
              4);
    json_close(json, '}');
}

void im2col_encode(struct json *json, const struct conv_plan *plan)
{
    double elements = (double)plan->col_rows * (double)plan->col_columns;
    double input = (double)plan->in.channels * plan->in.height * plan->in.width;

    json_open(json, "im2col", '{');
    json_open(json, "x_col", '[');
    json_int(json, NULL, (int64_t)plan->col_rows);
    json_int(json, NULL, (int64_t)plan->col_columns);
    json_close(json, ']');
    json_open(json, "w_row", '[');
    json_int(json, NULL, plan->maps.channels);
    json_int(json, NULL, (int64_t)plan->w_columns);
    json_close(json, ']');
    json_real(json, "bytes", elements * sizeof(float)); /* X_col of one picture, whole */
    json_real(json, "replication", round(elements / input * 10) / 10); /* times the picture */
    json_int(json, "macs", (int64_t)plan->macs);
    json_close(json, '}');
}

void warnings_encode(struct json *json, const struct warnings *warnings)
{
    json_open(json, "warnings", '[');
    for (int i = 0; i < warnings->count; i++)
        json_text(json, NULL, warnings->text[i]);
    json_close(json, ']');
}
