/* The Open Inference Protocol's side of a request: JSON, and behind it the tensors that are sent as
 * they lie in memory. Names are ONNX's; everything but the carrier is the same as for /convolve. */
#include "api/oip.h"

#include <math.h>
#include <string.h>

const char infer_where[] = "the inference request";

static const struct infer_output known_outputs[INFER_OUTPUTS] = {
    { "Y", WHAT_FEATURES, false },
    { "X_COL", WHAT_COLUMNS, false },
};

bool infer_out_of_memory(struct decoder *d, const char *field)
{
    return fail(d->err, ERR_TOO_LARGE, field,
                "the request needs more than its memory limit of %zu bytes", d->limits->memory);
}

/* A string of the JSON as a C string that outlives it, with BODY_SLACK behind. NULL and an error
 * when item is none. */
static char *copy_string(struct decoder *d, const cJSON *item, const char *field, size_t *size)
{
    struct bytes text = json_string(&d->json, item);
    char *copy;

    if (!text.data)
        return fail(d->err, ERR_PARAMETER, field, "%s must be a string", field), NULL;
    copy = arena_zeroed(d->arena, text.size + BODY_SLACK, 1);
    if (!copy)
        return infer_out_of_memory(d, field), NULL;
    memcpy(copy, text.data, text.size);
    if (size)
        *size = text.size;
    return copy;
}

/* --- parameters ------------------------------------------------------------------------------ */

static bool read_bool(struct decoder *d, const cJSON *item, const char *field, int *value)
{
    if (!cJSON_IsBool(item))
        return fail(d->err, ERR_PARAMETER, field, "%s must be true or false", field);
    *value = cJSON_IsTrue(item);
    return true;
}

/* The protocol's deadline counts microseconds, and 0 is none. */
static bool read_timeout(struct decoder *d, const cJSON *item)
{
    double us = cJSON_IsNumber(item) ? item->valuedouble : -1;

    if (!(us >= 0 && us <= 3.6e9) || us != floor(us))
        return fail(d->err, ERR_PARAMETER, "timeout",
                    "timeout must be whole microseconds, 0 to 3600000000");
    if (us > 0)
        d->request->fields.timeout_ms = (int)ceil(us / 1000);
    return us == 0 || decode_mark(d, P_timeout_ms, 0, infer_where);
}

/* The protocol knows strings, numbers and booleans: a string may hold a list, "2,2". Real lists
 * are understood as well. */
static bool read_parameter(struct wire *wire, const cJSON *item)
{
    struct decoder *d = wire->d;
    const char *text;
    size_t size;

    if (!strcmp(item->string, "binary_data_output"))
        return read_bool(d, item, "binary_data_output", &wire->binary_default);
    if (!strcmp(item->string, "timeout"))
        return read_timeout(d, item);
    if (!cJSON_IsString(item))
        return decode_item(d, item->string, item, infer_where);
    text = copy_string(d, item, "parameters", &size);
    return text && decode_text(d, item->string, (struct bytes){ text, size }, infer_where);
}

/* What only makes sense in a reply of our own. */
static bool check_parameters(struct decoder *d)
{
    static const enum param_id ours[] = { P_format,  P_data,  P_what,     P_output, P_stats,
                                          P_explain, P_grid,  P_range,    P_verify, P_colormap,
                                          P_depth,   P_input, P_png_level };

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (d->seen[ours[i]])
            return fail(d->err, ERR_PARAMETER, params[ours[i]].name,
                        "%s is for /convolve; here outputs, with binary_data for each, say what "
                        "comes back",
                        params[ours[i]].name);
    return true;
}

/* --- outputs --------------------------------------------------------------------------------- */

static bool read_output(struct wire *wire, const cJSON *object)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "name");
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(object, "parameters"), *item;
    struct error *err = wire->d->err;
    int index = INFER_OUTPUTS;

    while (index-- > 0)
        if (cJSON_IsString(name) && !strcmp(name->valuestring, known_outputs[index].name))
            break;
    if (index < 0)
        return fail(err, ERR_UNKNOWN, "outputs",
                    "there is no output \"%.60s\"; there are Y and X_COL",
                    cJSON_IsString(name) ? name->valuestring : "");
    if (wire->asked[index])
        return fail(err, ERR_TWICE, "outputs", "the output %s is asked for twice",
                    name->valuestring);
    wire->asked[index] = true;
    wire->infer->outputs[wire->infer->count++] = known_outputs[index];
    cJSON_ArrayForEach(item, parameters) {
        if (!cJSON_IsObject(parameters) || strcmp(item->string, "binary_data"))
            return fail(err, ERR_UNKNOWN, "outputs",
                        "%s's parameters must be an object with binary_data, true or false",
                        name->valuestring);
        if (!read_bool(wire->d, item, "binary_data", &wire->binary[index]))
            return false;
    }
    return true;
}

static void finish_outputs(struct wire *wire)
{
    struct infer *infer = wire->infer;

    if (!infer->count)
        infer->outputs[infer->count++] = known_outputs[0];
    for (int i = 0; i < infer->count; i++) {
        int binary = wire->binary[infer->outputs[i].what == WHAT_COLUMNS];

        infer->outputs[i].binary = (binary < 0 ? wire->binary_default : binary) != 0;
    }
}

/* --- the whole ------------------------------------------------------------------------------- */

static bool read_list(struct wire *wire, const cJSON *list,
                      bool (*read)(struct wire *, const cJSON *))
{
    const cJSON *item;

    if (!cJSON_IsArray(list))
        return fail(wire->d->err, ERR_SYNTAX, list->string, "%s must be a list of objects",
                    list->string);
    cJSON_ArrayForEach(item, list)
        if (!read(wire, item))
            return false;
    return true;
}

static bool read_member(struct wire *wire, const cJSON *item)
{
    const char *name = item->string;
    const cJSON *parameter;

    if (!strcmp(name, "id"))
        return (wire->infer->id = copy_string(wire->d, item, "id", NULL)) != NULL;
    if (!strcmp(name, "inputs"))
        return read_list(wire, item, infer_input);
    if (!strcmp(name, "outputs"))
        return read_list(wire, item, read_output);
    if (!strcmp(name, "model_name") || !strcmp(name, "model_version"))
        return true; /* some clients repeat what the path says */
    if (strcmp(name, "parameters"))
        return fail(wire->d->err, ERR_UNKNOWN, name,
                    "an inference request has no \"%.60s\"; it has id, parameters, inputs and "
                    "outputs",
                    name);
    if (!cJSON_IsObject(item))
        return fail(wire->d->err, ERR_SYNTAX, name, "parameters must be an object");
    cJSON_ArrayForEach(parameter, item)
        if (!read_parameter(wire, parameter))
            return false;
    return true;
}

static bool read_json(struct wire *wire, struct bytes text)
{
    struct decoder *d = wire->d;
    const cJSON *root = json_parse(text, &d->json, d->arena, d->err), *item;

    if (!root)
        return false;
    if (!cJSON_IsObject(root))
        return fail(d->err, ERR_SYNTAX, "", "an inference request is a JSON object");
    cJSON_ArrayForEach(item, root)
        if (!read_member(wire, item))
            return false;
    return !wire->raw.size ||
           fail(d->err, ERR_SYNTAX, "",
                "%zu bytes are left behind the last tensor; each binary input needs its "
                "binary_data_size",
                wire->raw.size);
}

/* A body without JSON: one picture (or npy), as it is or behind its length; everything else is
 * said in the query or by the model. All that comes back is binary. */
static bool read_raw_body(struct wire *wire)
{
    struct bytes file = wire->raw;
    uint32_t size = 0;

    if (file.size >= sizeof size)
        memcpy(&size, file.data, sizeof size);
    if (file.size >= sizeof size && size == file.size - sizeof size)
        file = (struct bytes){ file.data + sizeof size, size };
    wire->binary_default = true;
    return decode_mark(wire->d, P_image, 0, infer_where) && decode_add_image(wire->d, file);
}

/* Where the JSON ends: at the header's number, or at the body's end when there is no header. */
static bool split_body(struct decoder *d, const char *header, struct bytes body, struct bytes *json,
                       struct bytes *raw)
{
    size_t size = 0, digits = strspn(header, "0123456789");

    *json = body;
    *raw = (struct bytes){ body.data + body.size, 0 };
    if (!*header)
        return true;
    for (size_t i = 0; i < digits && size <= body.size; i++)
        size = size * 10 + (size_t)(header[i] - '0');
    if (header[digits] || !digits)
        return fail(d->err, ERR_SYNTAX, "",
                    "Inference-Header-Content-Length is \"%.40s\"; it must be the number of bytes "
                    "of the JSON at the body's start",
                    header);
    if (size > body.size)
        return fail(d->err, ERR_SYNTAX, "",
                    "Inference-Header-Content-Length is %.40s but the body has %zu bytes", header,
                    body.size);
    json->size = size;
    *raw = (struct bytes){ body.data + size, body.size - size };
    return true;
}

static bool check_operands(struct decoder *d)
{
    if (!d->seen[P_image])
        return fail(d->err, ERR_PARAMETER, "inputs",
                    "there is no input X, the tensor, nor IMAGE, a picture file");
    if (!d->seen[P_weights] && !d->seen[P_layer])
        return fail(d->err, ERR_PARAMETER, "inputs",
                    "there is no input W, the filters, and no bank is named instead, like "
                    "\"weights\":\"sobel_x\" in the parameters");
    return true;
}

/* A stored layer that is the model has its weights. */
static bool use_model(struct wire *wire)
{
    struct decoder *d = wire->d;

    if (!d->layer)
        return true;
    d->layer_name = wire->infer->model;
    return decode_mark(d, P_layer, 0, "the path");
}

bool decode_infer(struct decoder *d, const struct message *message, struct bytes body)
{
    struct wire wire = { .d = d, .infer = arena_zeroed(d->arena, 1, sizeof(struct infer)) };
    struct bytes json;

    for (int i = 0; i < INFER_OUTPUTS; i++)
        wire.binary[i] = -1;
    if (!wire.infer)
        return infer_out_of_memory(d, "");
    d->request->infer = wire.infer;
    if (!model_find(message, d->arena, wire.infer, &d->layer, d->err) || !use_model(&wire) ||
        !split_body(d, message->tensor_header_length, body, &json, &wire.raw) ||
        !(json.size || !*message->tensor_header_length ? read_json(&wire, json)
                                                       : read_raw_body(&wire)) ||
        !check_parameters(d) || !check_operands(d))
        return false;
    finish_outputs(&wire);
    return true;
}
