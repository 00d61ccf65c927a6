/* Filters meet the picture: 2-D kernels are spread over its channels, scale, normalize and flip
 * are folded in (in double, rounded once), the biases are made, and the ranges resolved. Core
 * knows none of these. */
#include "api/image.h"
#include "api/npy.h"
#include "api/weights.h"

#include <stdio.h>
#include <string.h>

static bool out_of_memory(struct decoder *d)
{
    return fail(d->err, ERR_TOO_LARGE, "weights",
                "the weights need more than the request's memory limit of %zu bytes",
                d->limits->memory);
}

/* --- 2-D kernels on several channels ---------------------------------------------------------- */

static enum bank_depth usual_depth(const struct decoder *d, const struct filters *f)
{
    bool picture_filter = !f->name || f->kind == BANK_SMOOTHING;

    /* Luma keeps a bank's exact output range, which is that of a grey picture. */
    if (d->seen[P_groups] ? d->request->params.groups != 1 : picture_filter)
        return DEPTH_DEPTHWISE;
    return picture_filter ? DEPTH_FULL : DEPTH_LUMA;
}

/* How f meets the channels, and the groups that this needs. */
static bool choose_depth(struct decoder *d, const struct filters *f, enum bank_depth *depth)
{
    struct conv_params *p = &d->request->params;
    int channels = d->request->image.shape.channels, wanted;

    *depth = (enum bank_depth)d->request->fields.bank_depth;
    if (!f->flat) {
        if (*depth == DEPTH_DEPTHWISE || *depth == DEPTH_LUMA)
            return fail(d->err, ERR_PARAMETER, "depth",
                        "depth %s is for 2-D kernels; these weights have their own channels",
                        *depth == DEPTH_LUMA ? "luma" : "depthwise");
        *depth = DEPTH_FULL;
        return true;
    }
    if (*depth == DEPTH_AUTO)
        *depth = usual_depth(d, f);
    wanted = *depth == DEPTH_DEPTHWISE ? channels : 1;
    if (d->seen[P_groups] && p->groups && p->groups != wanted)
        return fail(d->err, ERR_SHAPE, "groups",
                    "groups is %d; a 2-D kernel on %d channels takes 1, or %d (depthwise), and "
                    "depth must agree",
                    p->groups, channels, channels);
    p->groups = wanted;
    return true;
}

/* What a 2-D kernel is multiplied with on channel c. */
static double share(enum bank_depth depth, int channels, int c)
{
    if (depth != DEPTH_LUMA)
        return 1;
    if (channels < 3 || channels > 4)
        return 1.0 / channels;
    return c < 3 ? (double)bank_luma[c] : 0; /* alpha is no light */
}

/* --- the weights as used ---------------------------------------------------------------------- */

static double factor(const struct decoder *d, const float *filter, size_t size)
{
    double sum = 0;

    for (size_t i = 0; d->request->fields.normalize && i < size; i++)
        sum += (double)filter[i];
    return d->scale / d->divisor / (sum == 0 ? 1 : sum);
}

/* One kernel, turned by 180 degrees when flip says so. */
static float *write_kernel(const float *kernel, size_t size, bool flip, double times, float *to)
{
    for (size_t i = 0; i < size; i++)
        *to++ = (float)((double)kernel[flip ? size - 1 - i : i] * times);
    return to;
}

/* f as [K][C/groups][Fh][Fw]: f->flat kernels over the channels, others as they are. Depthwise
 * maps are ordered [channel][kernel], as frameworks order them. */
static bool spread(struct decoder *d, const struct filters *f, enum bank_depth depth)
{
    struct convolve_request *r = d->request;
    int channels = r->image.shape.channels;
    size_t kernel = (size_t)f->shape.height * (size_t)f->shape.width;
    size_t filter = kernel * (size_t)f->shape.channels;
    struct shape shape = f->shape;
    struct tensor out;
    float *to;

    if (f->flat && depth == DEPTH_DEPTHWISE)
        shape.count = f->shape.count * channels;
    else if (f->flat)
        shape.channels = channels;
    r->weight_shape = shape;
    r->inputs.weights = f->data;
    if (shape.count == f->shape.count && shape.channels == f->shape.channels && !r->fields.flip &&
        !r->fields.normalize && d->scale / d->divisor == 1)
        return true;
    if (!tensor_alloc(&out, shape, "weights", d->arena, d->err))
        return false;
    r->inputs.weights = to = out.data;
    for (int k = 0; k < shape.count; k++) {
        const float *from = f->data + (size_t)(k % f->shape.count) * filter;
        double times = factor(d, from, filter);

        for (int c = 0; c < shape.channels; c++)
            to = write_kernel(from + (f->flat ? 0 : (size_t)c * kernel), kernel, r->fields.flip,
                              times * (f->flat ? share(depth, shape.channels, c) : 1), to);
    }
    return true;
}

static bool check_shape(struct decoder *d)
{
    struct convolve_request *r = d->request;
    struct conv_params *p = &r->params;
    const struct shape *w = &r->weight_shape;
    int channels = r->image.shape.channels, groups = p->groups ? p->groups : channels;

    if (d->seen[P_out_channels] && p->out_channels != w->count)
        return fail(d->err, ERR_SHAPE, "out_channels",
                    "out_channels is %d but the weights make %d; leave it out", p->out_channels,
                    w->count);
    for (int i = 0; i < 2; i++)
        if (d->seen[P_kernel_size] & (1 << i) && p->kernel_size[i] != (i ? w->width : w->height))
            return fail(d->err, ERR_SHAPE, "kernel_size",
                        "kernel_size is %dx%d but the weights are %dx%d; leave it out",
                        p->kernel_size[0], p->kernel_size[1], w->height, w->width);
    if (channels % groups)
        return fail(d->err, ERR_SHAPE, "groups",
                    "groups is %d, which does not divide the input's %d channels", groups,
                    channels);
    if (w->channels != channels / groups)
        return fail(d->err, ERR_SHAPE, "weights",
                    "the weights are for %d channels but the input has %d in %d groups, %d each",
                    w->channels, channels, groups, channels / groups);
    p->out_channels = w->count;
    p->kernel_size[0] = w->height;
    p->kernel_size[1] = w->width;
    return true;
}

/* --- bias ------------------------------------------------------------------------------------ */

/* What 1 is for a bank whose numbers are made for pictures in [0, 1]. */
static double full_scale(const struct convolve_request *r)
{
    double most = r->picture.depth == 16 ? 65535 : 255;

    return r->picture.count ? most * (double)r->fields.input_scale : 1;
}

/* The weights' file may hold the layer's bias too. */
static bool file_bias(struct decoder *d, struct numbers *bias)
{
    struct error none;
    struct npy npy;

    if (!d->weights.data || media_sniff(d->weights) != MEDIA_SAFETENSORS)
        return true;
    if (safetensors_read(d->weights, "bias", d->arena, &npy, &none))
        return decode_numbers_file(d, d->weights, "bias", bias);
    if (none.code == ERR_PARAMETER)
        return true;
    *d->err = none;
    return false;
}

bool decode_bias(struct decoder *d, struct numbers *bias)
{
    const cJSON *item = d->item[P_bias];
    float *one;

    *bias = d->operands[P_bias] ? *d->operands[P_bias] : (struct numbers){ 0 };
    if (d->bias.data)
        return decode_numbers_file(d, d->bias, "bias", bias);
    if (!item)
        return file_bias(d, bias);
    if (!cJSON_IsNumber(item))
        return decode_numbers(d, item, "bias", bias);
    if (!(item->valuedouble >= -1e30 && item->valuedouble <= 1e30))
        return fail_range(d->err, "bias", item->valuedouble, -1e30, 1e30);
    one = arena_new(d->arena, float, 1);
    if (!one)
        return out_of_memory(d);
    *one = (float)item->valuedouble;
    *bias = (struct numbers){ .count = 1, .data = one };
    return true;
}

static bool make_bias(struct decoder *d, const struct filters *f)
{
    struct convolve_request *r = d->request;
    size_t maps = (size_t)r->weight_shape.count;
    double offset = (double)r->fields.offset;
    struct numbers given;
    float *bias;

    if (!decode_bias(d, &given))
        return false;
    if (given.count > 1 && given.count != maps)
        return fail(d->err, ERR_SHAPE, "bias",
                    "bias has %zu numbers but there are %zu filters; give one, or one a filter",
                    given.count, maps);
    if (!given.count && !f->bias && offset == 0)
        return true;
    bias = arena_new(d->arena, float, maps);
    if (!bias)
        return out_of_memory(d);
    r->inputs.bias = bias;
    for (size_t k = 0; k < maps; k++) {
        double value = 0;

        if (given.count)
            value = (double)given.data[given.count > 1 ? k : 0];
        else if (f->bias && f->shape.count)
            value = (double)f->bias[k % (size_t)f->shape.count] * full_scale(r);

        bias[k] = (float)(value + offset);
    }
    return true;
}

/* --- defaults that a bank brings ---------------------------------------------------------------- */

static void use_defaults(struct decoder *d, const struct filters *f)
{
    struct conv_params *p = &d->request->params;
    bool padded = d->seen[P_padding] || d->seen[P_pads] || d->seen[P_auto_pad];

    d->request->bank = f->name;
    d->request->bank_kind = f->name ? f->kind : BANK_LAYER;
    if (!f->name)
        return;
    if (f->stride && !d->seen[P_stride])
        p->stride[0] = p->stride[1] = f->stride;
    if (padded)
        return;
    if (f->padding >= 0)
        for (int i = 0; i < 4; i++)
            p->pads[i] = f->padding;
    else if (f->kind != BANK_LAYER) /* a filtered picture is as large as the picture */
        p->auto_pad = AUTO_PAD_SAME_UPPER;
}

static enum range usual_range(const struct decoder *d, const struct filters *f)
{
    if (f->name && f->kind != BANK_LAYER)
        return f->kind == BANK_SMOOTHING ? RANGE_CLIP : RANGE_ABS;
    return f->flat && d->request->weight_shape.channels == 1 && !f->name ? RANGE_CLIP
                                                                         : RANGE_MINMAX;
}

/* A plan without weights: their shape from out_channels and kernel_size. */
static bool plan_shape(struct decoder *d)
{
    struct convolve_request *r = d->request;
    const struct conv_params *p = &r->params;
    int channels = r->image.shape.channels, groups = p->groups ? p->groups : channels;

    if (!d->plan)
        return fail(d->err, ERR_PARAMETER, "weights",
                    "there are no weights; give numbers, a preset like sobel_x, or "
                    "{\"random\":{\"seed\":1}}");
    if (!p->out_channels || !p->kernel_size[0] || !p->kernel_size[1])
        return fail(d->err, ERR_PARAMETER, p->out_channels ? "kernel_size" : "out_channels",
                    "a plan without weights needs out_channels (K) and kernel_size (F)");
    if (channels % groups)
        return fail(d->err, ERR_SHAPE, "groups",
                    "groups is %d, which does not divide the input's %d channels", groups,
                    channels);
    r->weight_shape =
        (struct shape){ p->out_channels, channels / groups, p->kernel_size[0], p->kernel_size[1] };
    return true;
}

bool decode_weights(struct decoder *d)
{
    struct filters filters;
    enum bank_depth depth;

    if (!filters_read(d, &filters))
        return false;
    if (filters.shape.count) {
        if (!choose_depth(d, &filters, &depth) || !spread(d, &filters, depth) || !check_shape(d))
            return false;
        use_defaults(d, &filters);
    } else if (!plan_shape(d)) {
        return false;
    }
    d->request->range = d->request->fields.range >= 0 ? (enum range)d->request->fields.range
                                                      : usual_range(d, &filters);
    d->request->fields.scale = (float)(d->scale / d->divisor);
    return make_bias(d, &filters);
}
