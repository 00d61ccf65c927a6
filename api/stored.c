/* Stored layers: from a request to a file, from the file to values, from these into requests that
 * name the layer. A value of the request's own beats the layer's; weights it cannot have. */
#include "api/image.h"
#include "api/json_write.h"
#include "api/stored.h"
#include "api/weights.h"

#include <stdio.h>
#include <string.h>

static const char where[] = "the layer";

static bool out_of_memory(struct error *err, const struct limits *limits)
{
    return fail(err, ERR_TOO_LARGE, "weights",
                "the layer needs more than the request's memory limit of %zu bytes",
                limits->memory);
}

bool stored_name_check(const char *name, struct error *err)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(name);

    if (!size || size > STORED_NAME || !strchr(first, *name) || strspn(name, rest) != size)
        return fail(err, ERR_PARAMETER, "name",
                    "\"%.80s\" is no name for a layer: it begins with a-z or 0-9, goes on with "
                    "these and . _ -, and has at most %d letters",
                    name, STORED_NAME);
    return strcmp(name, "conv2d") || fail(err, ERR_CONFLICT, "name",
                                          "conv2d is the model under /v2 that is always there; "
                                          "give the layer another name");
}

const char *stored_digest(const struct stored *stored)
{
    return stored->digest;
}

/* --- what a layer can say ----------------------------------------------------------------------- */

/* The layer itself, and how its picture and weights are read; what comes back and when is a
 * request's own. */
static bool of_layer(enum param_id id)
{
    switch (id) {
    case P_output_layout:
        return false;
    case P_weights:
    case P_bias:
    case P_padding:
    case P_pool:
    case P_divisor:
        return true;
    default:
        return id <= P_algorithm;
    }
}

static bool check_ids(struct decoder *d)
{
    for (int i = 0; i < PARAM_COUNT; i++)
        if (d->seen[i] && !of_layer(i) && i != P_input)
            return fail(d->err, ERR_PARAMETER, params[i].name,
                        "%s belongs to a request, not to a layer that is kept; leave it out",
                        params[i].name);
    return true;
}

/* Values that say one thing together: id is the layer's only when the request has none of any. */
static const struct {
    enum param_id id, any[3];
} together[] = {
    { P_pads, { P_padding, P_pads, P_auto_pad } },
    { P_auto_pad, { P_padding, P_pads, P_auto_pad } },
    { P_scale, { P_scale, P_divisor, P_divisor } },
    { P_divisor, { P_scale, P_divisor, P_divisor } },
    { P_pool_kernel_size, { P_pool_kernel_size, P_pool_type, P_pool_type } },
    { P_pool_stride, { P_pool_stride, P_pool_type, P_pool_type } },
    { P_pool_pads, { P_pool_pads, P_pool_type, P_pool_type } },
};

/* What the request says of id, in decode_mark()'s bits. */
static int said(const unsigned char *seen, enum param_id id)
{
    for (size_t i = 0; i < sizeof together / sizeof *together; i++)
        if (together[i].id == id)
            return seen[together[i].any[0]] || seen[together[i].any[1]] || seen[together[i].any[2]]
                       ? 3
                       : 0;
    return seen[id];
}

/* padding is pads or auto_pad by now. */
static void forget_padding(struct decoder *d)
{
    if (d->seen[P_padding] && !d->seen[P_auto_pad])
        d->seen[P_pads] = 3;
    d->seen[P_padding] = 0;
}

static size_t size_of(enum param_kind kind)
{
    switch (kind) {
    case PARAM_PAIR:
        return sizeof(int[2]);
    case PARAM_QUAD:
        return sizeof(int[4]);
    case PARAM_REALS:
        return sizeof(float[MAX_PICTURE_CHANNELS]);
    case PARAM_TEXT:
        return sizeof((struct fields *)0)->algorithm;
    case PARAM_BOOL:
        return sizeof(bool);
    default:
        return sizeof(int);
    }
}

/* --- into a request --------------------------------------------------------------------------- */

static void copy_value(struct decoder *d, const struct stored *s, enum param_id id, int have)
{
    const struct param *row = &params[id];
    char *to = (char *)d->request + row->offset;
    const char *from = (const char *)&s->told + row->offset;

    if (row->kind == PARAM_PAIR && have) /* one half is the request's */
        ((int *)to)[have == 1] = ((const int *)from)[have == 1];
    else if (id < P_image)
        memcpy(to, from, size_of(row->kind));
    if (id == P_scale)
        d->scale = s->scale;
    if (id == P_divisor)
        d->divisor = s->divisor;
    if (id == P_mean)
        d->mean_count = s->mean_count;
    if (id == P_std)
        d->std_count = s->std_count;
    d->seen[id] = 3;
    d->where[id] = where;
}

static bool take_weights(struct decoder *d, const struct stored *s)
{
    if (s->weights.count)
        d->operands[P_weights] = &s->weights;
    else
        d->item[P_weights] = json_parse(s->named, &d->json, d->arena, d->err);
    d->seen[P_weights] = 3;
    d->where[P_weights] = where;
    return s->weights.count || d->item[P_weights];
}

/* All that the layer says and the request does not. */
static bool apply(struct decoder *d, const struct stored *s)
{
    unsigned char seen[PARAM_COUNT];

    memcpy(seen, d->seen, sizeof seen);
    for (int i = 0; i < PARAM_COUNT; i++)
        if (s->seen[i] && i != P_weights && i != P_bias && said(seen, i) != 3)
            copy_value(d, s, i, said(seen, i));
    if (s->bias.count && !seen[P_bias]) {
        d->operands[P_bias] = &s->bias;
        d->seen[P_bias] = 3;
    }
    d->request->layer_weights = !seen[P_flip] && !seen[P_scale] && !seen[P_divisor] &&
                                !seen[P_normalize] && !seen[P_bank_depth];
    return take_weights(d, s);
}

bool decode_layer(struct decoder *d, const struct message *message)
{
    const char *name = d->layer_name;
    size_t size = name ? strlen(name) + 1 : 0;
    char *copy;

    if (!name)
        return true;
    if (d->seen[P_weights] || d->seen[P_weight_layout])
        return fail(d->err, ERR_TWICE, d->seen[P_weights] ? "weights" : "weight_layout",
                    "the layer %.64s has its weights already; leave out %s, or the layer", name,
                    d->seen[P_weights] ? "weights" : "weight_layout");
    if (!d->layer && !message->layers)
        return fail(d->err, ERR_PARAMETER, "layer",
                    "this server keeps no layers (--layers); give weights instead");
    if (!d->layer)
        d->layer = message->layers->find(message->layers->arg, name, d->err);
    if (!d->layer) {
        snprintf(d->err->field, sizeof d->err->field, "layer");
        d->err->code = d->err->code == ERR_NOT_FOUND ? ERR_PARAMETER : d->err->code;
        return false;
    }
    copy = arena_new(d->arena, char, size);
    if (!copy)
        return out_of_memory(d->err, d->limits);
    d->request->layer = memcpy(copy, name, size);
    return apply(d, d->layer);
}

/* --- from a file ------------------------------------------------------------------------------ */

/* Weights by name as a text that outlives the JSON. */
static bool keep_named(struct decoder *d, struct stored *s)
{
    enum { MOST = 8192 };
    char *text;

    if (!d->item[P_weights] || s->weights.count)
        return s->weights.count ||
               fail(d->err, ERR_PARAMETER, "weights",
                    "there are no weights; give numbers, a file, or a preset's name");
    text = arena_zeroed(d->arena, MOST + BODY_SLACK, 1);
    if (!text)
        return out_of_memory(d->err, d->limits);
    if (!filters_named(d) ||
        !cJSON_PrintPreallocated((cJSON *)d->item[P_weights], text, MOST, false))
        return fail(d->err, ERR_PARAMETER, "weights", "the weights' names are too long to keep");
    s->named = (struct bytes){ text, strlen(text) };
    return true;
}

/* A picture that every layer fits, unless something is wrong with the layer itself. */
static struct shape any_picture(const struct filters *f, const struct conv_params *p)
{
    enum { USUAL = 3, ROOM = 4096 }; /* channels; pixels for the padding that mirrors them */
    struct shape shape = { 1, USUAL, ROOM, ROOM };

    if (f->flat && p->groups > 1)
        shape.channels = p->groups;
    else if (!f->flat)
        shape.channels = p->groups               ? f->shape.channels * p->groups
                         : f->shape.channels > 1 ? f->shape.channels
                                                 : f->shape.count;
    shape.height +=
        p->dilation[0] * (f->shape.height - 1) + 1 + p->pool_kernel_size[0] * p->stride[0];
    shape.width +=
        p->dilation[1] * (f->shape.width - 1) + 1 + p->pool_kernel_size[1] * p->stride[1];
    return shape;
}

/* The layer as a request would meet it, with a picture of this shape (count 0: any). Nothing of it
 * stays but the weights' shape. */
static bool try(struct stored *s, struct shape picture, const struct limits *limits,
                struct arena *arena, struct error *err)
{
    struct arena_mark mark = arena_save(arena);
    struct convolve_request *request = arena_zeroed(arena, 1, sizeof *request);
    struct decoder d = { limits, arena, request, err, .scale = 1, .divisor = 1 };
    const char *engine;
    struct conv_plan plan;
    struct filters f;
    bool ok;

    if (!request)
        return out_of_memory(err, limits);
    *request = s->told;
    ok = apply(&d, s) && filters_read(&d, &f);
    if (ok) {
        s->shape = f.shape;
        s->flat = f.flat;
        request->image.shape = picture.count ? picture : any_picture(&f, &request->params);
        request->params.strict &= picture.count != 0;
        engine = strcmp(request->fields.algorithm, "auto") ? request->fields.algorithm : NULL;
        ok = decode_weights(&d) && conv_params_check(&request->params, err) &&
             conv_plan_init(&plan, &request->params, request->image.shape, engine, err);
    }
    decode_end(&d);
    arena_restore(arena, mark);
    return ok;
}

static bool no_read(struct decoder *d, const struct message *message, struct bytes body)
{
    (void)message;
    return decode_json(d, body, where);
}

static bool read_file(struct decoder *d, struct bytes file, struct stored *s)
{
    struct message message = { .query = "", .content_encoding = "" };

    if (!stored_parts(d, file, s))
        return false;
    message.body = s->parameters;
    if (!decode_begin(d, &message) || !check_ids(d) || !decode_together(d) || !keep_named(d, s))
        return false;
    forget_padding(d);
    memcpy(s->seen, d->seen, sizeof s->seen);
    s->scale = d->scale;
    s->divisor = d->divisor;
    s->mean_count = d->mean_count;
    s->std_count = d->std_count;
    return true;
}

/* picture as in try(). */
static bool read_stored(struct bytes file, struct shape picture, const struct limits *limits,
                        struct arena *arena, struct stored **stored, struct error *err)
{
    struct stored *s = arena_zeroed(arena, 1, sizeof *s);
    struct decoder d = { limits, arena, s ? &s->told : NULL, err, .plan = true, .read = no_read };
    bool ok;

    if (!s)
        return out_of_memory(err, limits);
    ok = read_file(&d, file, s);
    decode_end(&d);
    *stored = s;
    return ok && try(s, picture, limits, arena, err);
}

bool stored_read(struct bytes file, const struct limits *limits, struct arena *arena,
                 const struct stored **stored, struct error *err)
{
    struct stored *s = NULL;

    if (!read_stored(file, (struct shape){ 0 }, limits, arena, &s, err))
        return false;
    *stored = s;
    return true;
}

/* --- from a request --------------------------------------------------------------------------- */

static void write_value(struct json *json, const struct decoder *d, enum param_id id)
{
    const struct param *row = &params[id];
    const void *at = (const char *)d->request + row->offset;
    const int *ints = at;

    switch (row->kind) {
    case PARAM_INT:
        if (id == P_groups && !*ints)
            json_text(json, row->name, "depthwise");
        else
            json_int(json, row->name, *ints);
        break;
    case PARAM_PAIR:
        json_ints(json, row->name, ints, 2);
        break;
    case PARAM_QUAD:
        json_ints(json, row->name, ints, 4);
        break;
    case PARAM_WORD:
        json_text(json, id == P_bank_depth ? "depth" : row->name, row->words[*ints]);
        break;
    case PARAM_REAL:
        if (id == P_scale)
            json_real(json, row->name, d->scale);
        else
            json_float(json, row->name, *(const float *)at);
        break;
    case PARAM_REALS:
        json_floats(json, row->name, at, (size_t)(id == P_mean ? d->mean_count : d->std_count));
        break;
    case PARAM_BOOL:
        json_bool(json, row->name, *(const bool *)at);
        break;
    default:
        json_text(json, row->name, at);
        break;
    }
}

/* What was said, by canonical names; what is in the tensors is left out. */
static bool write_parameters(struct decoder *d, struct stored *s)
{
    enum { SIZE = 16384 };
    char *text = arena_zeroed(d->arena, SIZE, 1), *room;
    struct json json;

    if (!text)
        return out_of_memory(d->err, d->limits);
    forget_padding(d);
    if (s->weights.count)
        d->seen[P_weight_layout] = 0; /* they are OIHW by now */
    json_init(&json, text, SIZE - BODY_SLACK);
    json_open(&json, NULL, '{');
    if (s->named.size && (room = json_room(&json, "weights", s->named.size)))
        json.at = mempcpy(room, s->named.data, s->named.size);
    for (int i = 0; i < P_image; i++)
        if (d->seen[i])
            write_value(&json, d, i);
    if (d->seen[P_divisor])
        json_real(&json, "divisor", d->divisor);
    json_close(&json, '}');
    *json.at = '\0'; /* floats are written with some slack behind */
    s->parameters = (struct bytes){ text, (size_t)(json.at - text) };
    return !json.full || fail(d->err, ERR_TOO_LARGE, "weights", "the parameters are too long");
}

/* An npy or safetensors file alone is the weights. */
static bool read_put(struct decoder *d, const struct message *message, struct bytes body)
{
    enum media media = media_sniff(body);

    if (media != MEDIA_NPY && media != MEDIA_SAFETENSORS)
        return decode_body(d, message->content_type, body);
    d->weights = body;
    return decode_mark(d, P_weights, 0, "the body");
}

static bool is_random(const struct decoder *d)
{
    const cJSON *item = d->item[P_weights];
    const char *word = NULL;

    if (filters_named(d))
        word = cJSON_IsString(item) ? item->valuestring : item->child ? item->child->string : NULL;
    return word && !strcmp(word, "random");
}

/* Numbers become tensors; presets and the generators of small kernels keep their names, since how
 * they meet a picture depends on it. Random weights need the input's channels, and are numbers. */
static bool read_weights(struct decoder *d, struct stored *s)
{
    int *kernel = d->request->params.kernel_size;
    const int *dims;
    struct filters f;

    if (d->item[P_input] && !decode_input_shape(d))
        return false;
    if (is_random(d) && !d->item[P_input])
        return fail(d->err, ERR_PARAMETER, "input",
                    "random weights depend on the input's channels; give its shape, like "
                    "input=3x224x224");
    if (!filters_read(d, &f))
        return false;
    if (!f.shape.count || (filters_named(d) && !is_random(d)))
        return keep_named(d, s); /* which says so when there are none */
    dims = (int[]){ f.shape.count, f.shape.channels, f.shape.height, f.shape.width };
    s->weights =
        (struct numbers){ .rank = f.flat ? 2 : 4, .count = shape_count(f.shape), .data = f.data };
    for (int i = 0; i < s->weights.rank; i++)
        s->weights.dims[i] = (size_t)dims[4 - s->weights.rank + i];
    for (int i = 0; i < 2; i++) /* a half that was not given */
        if (!(d->seen[P_kernel_size] & 1 << i))
            kernel[i] = i ? f.shape.width : f.shape.height;
    return true;
}

static bool read_bias(struct decoder *d, struct stored *s)
{
    if (!decode_bias(d, &s->bias))
        return false;
    if (s->bias.count && !s->bias.rank)
        s->bias.dims[s->bias.rank++] = 1;
    return true;
}

static bool decode_put(struct decoder *d, const struct message *message, struct bytes *file)
{
    struct stored s = { 0 };

    return decode_begin(d, message) && check_ids(d) && decode_together(d) && read_weights(d, &s) &&
           read_bias(d, &s) && write_parameters(d, &s) && stored_write(&s, d->arena, file, d->err);
}

bool stored_decode(const struct message *message, const struct limits *limits, struct arena *arena,
                   const struct stored **stored, struct bytes *file, struct error *err)
{
    struct convolve_request *request = arena_zeroed(arena, 1, sizeof *request);
    struct decoder d = { limits, arena, request, err, .plan = true, .read = read_put };
    struct stored *s = NULL;
    bool ok;

    if (!request)
        return out_of_memory(err, limits);
    *file = message->body;
    ok = stored_is_file(*file) || decode_put(&d, message, file); /* a layer's own file: as it is */
    if (ok)
        ok = read_stored(*file, request->image.shape, limits, arena, &s, err);
    decode_end(&d);
    if (ok)
        *stored = s;
    return ok;
}
