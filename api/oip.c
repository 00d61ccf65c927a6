/* The Open Inference Protocol's side of a request: JSON, and behind it the tensors that are sent as
 * they lie in memory. Names are ONNX's; everything but the carrier is the same as for /convolve. */
#include "api/oip.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Elements on the wire. FP16 and BF16 have no JSON form. */
static const struct datatype {
    const char *name;
    char kind; /* as in struct npy; 0: BYTES */
    int size;
    double least, most; /* of the whole numbers */
} datatypes[] = {
    { "FP32", 'f', 4, 0, 0 },
    { "UINT8", 'u', 1, 0, UINT8_MAX },
    { "FP16", 'f', 2, 0, 0 },
    { "BF16", 'B', 2, 0, 0 },
    { "FP64", 'f', 8, 0, 0 },
    { "INT8", 'i', 1, INT8_MIN, INT8_MAX },
    { "UINT16", 'u', 2, 0, UINT16_MAX },
    { "INT16", 'i', 2, INT16_MIN, INT16_MAX },
    { "UINT32", 'u', 4, 0, UINT32_MAX },
    { "INT32", 'i', 4, INT32_MIN, INT32_MAX },
    { "UINT64", 'u', 8, 0, 0x1p64 },
    { "INT64", 'i', 8, -0x1p63, 0x1p63 },
    { "BYTES", 0, 0, 0, 0 },
};

static const struct operand {
    const char *name;
    enum param_id id;
    int rank; /* 0: files, in any shape */
} operands[] = {
    { "X", P_image, 4 },
    { "IMAGE", P_image, 0 },
    { "W", P_weights, 4 },
    { "B", P_bias, 1 },
};

static const struct infer_output known_outputs[INFER_OUTPUTS] = {
    { "Y", WHAT_FEATURES, false },
    { "X_COL", WHAT_COLUMNS, false },
};

/* One request under way. */
struct wire {
    struct decoder *d;
    struct bytes raw;    /* the tensors behind the JSON that are not read yet */
    struct infer *infer; /* the request's */
    int binary_default;  /* binary_data_output */
    bool asked[INFER_OUTPUTS];
    int binary[INFER_OUTPUTS]; /* of each known output; -1 is the default */
};

static const char infer_where[] = "the inference request";

static bool out_of_memory(struct decoder *d, const char *field)
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
        return out_of_memory(d, field), NULL;
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

/* --- inputs ---------------------------------------------------------------------------------- */

struct input {
    const struct operand *operand;
    const struct datatype *type;
    struct numbers *numbers; /* its shape, then its data */
    const cJSON *data;       /* or, when it is sent in binary: */
    bool binary;
    struct bytes raw;
};

static bool find_type(struct wire *wire, struct input *input, const cJSON *item)
{
    const char *name = input->operand->name;
    size_t count = sizeof datatypes / sizeof *datatypes;

    for (size_t i = 0; cJSON_IsString(item) && i < count; i++)
        if (!strcmp(item->valuestring, datatypes[i].name))
            input->type = &datatypes[i];
    if (!input->type || !input->type->kind != !input->operand->rank)
        return fail(wire->d->err, ERR_PARAMETER, name,
                    input->operand->rank
                        ? "%s's datatype must be FP32, or FP16, BF16, FP64, UINT8 to UINT64, INT8 "
                          "to INT64"
                        : "%s's datatype must be BYTES: each element is a whole picture file",
                    name);
    return true;
}

/* The next binary_data_size bytes are this input's. */
static bool take_raw(struct wire *wire, struct input *input, const cJSON *parameters)
{
    const char *name = input->operand->name;
    const cJSON *item;
    double size = -1;

    if (parameters && !cJSON_IsObject(parameters))
        return fail(wire->d->err, ERR_PARAMETER, name, "%s's parameters must be an object", name);
    cJSON_ArrayForEach(item, parameters) {
        if (strcmp(item->string, "binary_data_size"))
            return fail(wire->d->err, ERR_UNKNOWN, name,
                        "%s has no parameter \"%.60s\"; an input has binary_data_size", name,
                        item->string);
        size = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(size >= 0 && size == floor(size)))
            return fail(wire->d->err, ERR_PARAMETER, name,
                        "%s's binary_data_size must be a whole number of bytes", name);
        if (size > (double)wire->raw.size)
            return fail(wire->d->err, ERR_SYNTAX, name,
                        "%s's binary_data_size is %.0f but only %zu bytes are left of the body; "
                        "Inference-Header-Content-Length must be the length of the JSON alone",
                        name, size, wire->raw.size);
    }
    if (size < 0)
        return true;
    input->binary = true;
    input->raw = (struct bytes){ wire->raw.data, (size_t)size };
    wire->raw.data += input->raw.size;
    wire->raw.size -= input->raw.size;
    return true;
}

/* Pictures, each behind its length of four bytes. */
static bool add_raw_files(struct decoder *d, const struct input *input)
{
    struct bytes left = input->raw;
    size_t count = 0;
    uint32_t size;

    for (; left.size >= sizeof size; count++) {
        memcpy(&size, left.data, sizeof size); /* little-endian, as we are */
        left.data += sizeof size;
        left.size -= sizeof size;
        if (size > left.size)
            return fail(d->err, ERR_SYNTAX, "IMAGE",
                        "element %zu of IMAGE should have %u bytes but only %zu are left", count,
                        size, left.size);
        if (!decode_add_image(d, (struct bytes){ left.data, size }))
            return false;
        left.data += size;
        left.size -= size;
    }
    if (left.size || count != input->numbers->count)
        return fail(d->err, ERR_SHAPE, "IMAGE",
                    "IMAGE has %zu elements in its shape but its binary data is %zu elements, each "
                    "behind its length of 4 bytes, and %zu bytes more",
                    input->numbers->count, count, left.size);
    return true;
}

/* JSON strings hold text, so pictures come as base64. */
static bool add_text_files(struct decoder *d, const struct input *input)
{
    size_t count = 0;
    const cJSON *item;

    if (!cJSON_IsArray(input->data))
        return fail(d->err, ERR_PARAMETER, "IMAGE",
                    "IMAGE's data must be a list of strings, each a picture file as base64");
    cJSON_ArrayForEach(item, input->data) {
        struct bytes text = json_string(&d->json, item), file;

        if (!text.data)
            return fail(d->err, ERR_PARAMETER, "IMAGE",
                        "element %zu of IMAGE is not a string; each is a picture file as base64",
                        count);
        file = decode_base64(d, text, "IMAGE");
        if (!file.data || !decode_add_image(d, file))
            return false;
        count++;
    }
    return count == input->numbers->count ||
           fail(d->err, ERR_SHAPE, "IMAGE",
                "IMAGE has %zu elements in its shape but %zu in its data", input->numbers->count,
                count);
}

static bool use_raw_numbers(struct decoder *d, const struct input *input)
{
    const struct datatype *type = input->type;
    const char *name = input->operand->name;
    struct numbers *numbers = input->numbers;
    struct npy view = { .rank = numbers->rank,
                        .kind = type->kind,
                        .item_size = type->size,
                        .data = input->raw.data,
                        .count = numbers->count };
    size_t size;

    if (!checked_mul(numbers->count, (size_t)type->size, &size) || size != input->raw.size)
        return fail(d->err, ERR_SHAPE, name,
                    "%s's binary_data_size is %zu but its shape has %zu elements of %s, %d bytes "
                    "each",
                    name, input->raw.size, numbers->count, type->name, type->size);
    memcpy(view.dims, numbers->dims, sizeof view.dims);
    if (!decode_npy_numbers(d, &view, name, numbers))
        return false;
    numbers->bytes = false; /* the protocol's order is NCHW whatever the datatype */
    return true;
}

/* Whole numbers that the datatype cannot hold are refused, not rounded. */
static bool check_elements(struct decoder *d, const struct input *input, const struct json_cut *cut)
{
    const struct datatype *type = input->type;
    const char *name = input->operand->name;

    if (cut->infinite)
        return fail(d->err, ERR_PARAMETER, name, "%s holds a number beyond float32's range, 3.4e38",
                    name);
    for (size_t i = 0; type->most != 0 && i < cut->count; i++)
        if ((double)cut->data[i] < type->least || (double)cut->data[i] > type->most ||
            cut->data[i] != floorf(cut->data[i]))
            return fail(d->err, ERR_PARAMETER, name, "element %zu of %s is %.9g, which is no %s", i,
                        name, (double)cut->data[i], type->name);
    return true;
}

/* data: flat, or nested as the shape says. */
static bool use_json_numbers(struct decoder *d, const struct input *input)
{
    const struct json_cut *cut = json_tensor(&d->json, input->data);
    const char *name = input->operand->name;
    struct numbers *numbers = input->numbers;

    if (!cut)
        return fail(d->err, ERR_PARAMETER, name,
                    "%s needs data, a list of numbers, or in its parameters binary_data_size",
                    name);
    if (input->type->kind != 'u' && input->type->kind != 'i' && input->type->size == 2)
        return fail(d->err, ERR_PARAMETER, name,
                    "%s is %s, which has no JSON form; send it as binary data, or FP32", name,
                    input->type->name);
    if (cut->count != numbers->count)
        return fail(d->err, ERR_SHAPE, name, "%s has %zu numbers in its shape but %zu in its data",
                    name, numbers->count, cut->count);
    if (cut->rank > 1 && (cut->rank != numbers->rank ||
                          memcmp(cut->dims, numbers->dims, (size_t)cut->rank * sizeof *cut->dims)))
        return fail(d->err, ERR_SHAPE, name,
                    "%s's data is nested in another way than its shape says; nest it so, or "
                    "send it flat",
                    name);
    numbers->data = cut->data;
    return check_elements(d, input, cut);
}

static bool use_input(struct wire *wire, const struct input *input)
{
    struct decoder *d = wire->d;

    if (!decode_mark(d, input->operand->id, 0, infer_where))
        return false;
    if (!input->operand->rank)
        return input->binary ? add_raw_files(d, input) : add_text_files(d, input);
    d->operands[input->operand->id] = input->numbers;
    return input->binary ? use_raw_numbers(d, input) : use_json_numbers(d, input);
}

static bool find_operand(struct wire *wire, struct input *input, const cJSON *name)
{
    size_t count = sizeof operands / sizeof *operands;

    for (size_t i = 0; cJSON_IsString(name) && i < count; i++)
        if (!strcmp(name->valuestring, operands[i].name))
            input->operand = &operands[i];
    if (input->operand)
        return true;
    return fail(wire->d->err, ERR_UNKNOWN, "inputs",
                "there is no input \"%.60s\"; there are X (or IMAGE, picture files), W and B",
                cJSON_IsString(name) ? name->valuestring : "");
}

static bool read_input(struct wire *wire, const cJSON *object)
{
    static const char *const names[] = { "name", "shape", "datatype", "parameters", "data", NULL };
    struct input input = { .numbers = arena_zeroed(wire->d->arena, 1, sizeof(struct numbers)) };
    const cJSON *found[5] = { NULL }, *member;

    if (!input.numbers)
        return out_of_memory(wire->d, "inputs");
    if (!cJSON_IsObject(object))
        return fail(wire->d->err, ERR_SYNTAX, "inputs", "each input must be an object");
    cJSON_ArrayForEach(member, object) {
        int index = word_find(names, member->string);

        if (index < 0)
            return fail(wire->d->err, ERR_UNKNOWN, "inputs",
                        "an input has no \"%.60s\"; it has name, shape, datatype, parameters and "
                        "data",
                        member->string);
        found[index] = member;
    }
    input.data = found[4];
    if (!find_operand(wire, &input, found[0]) ||
        !decode_shape(wire->d, found[1], input.operand->name, input.numbers) ||
        !find_type(wire, &input, found[2]) || !take_raw(wire, &input, found[3]))
        return false;
    if (input.operand->rank && input.numbers->rank != input.operand->rank)
        return fail(wire->d->err, ERR_SHAPE, input.operand->name,
                    "%s has %d dimensions in its shape; it must have %d%s", input.operand->name,
                    input.numbers->rank, input.operand->rank,
                    input.operand->rank == 1         ? ", [filters]"
                    : input.operand->id == P_weights ? ", [filters,channels,height,width]"
                                                     : ", [count,channels,height,width]");
    if (input.binary && input.data)
        return fail(wire->d->err, ERR_TWICE, input.operand->name,
                    "%s has both data and binary_data_size; give one", input.operand->name);
    return use_input(wire, &input);
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
        return read_list(wire, item, read_input);
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

bool decode_infer(struct decoder *d, const struct message *message, struct bytes body)
{
    struct wire wire = { .d = d, .infer = arena_zeroed(d->arena, 1, sizeof(struct infer)) };
    struct bytes json;

    for (int i = 0; i < INFER_OUTPUTS; i++)
        wire.binary[i] = -1;
    if (!wire.infer)
        return out_of_memory(d, "");
    d->request->infer = wire.infer;
    if (!model_find(message->path, d->arena, wire.infer, d->err) ||
        !split_body(d, message->tensor_header_length, body, &json, &wire.raw) ||
        !(json.size || !*message->tensor_header_length ? read_json(&wire, json)
                                                       : read_raw_body(&wire)) ||
        !check_parameters(d) || !check_operands(d))
        return false;
    finish_outputs(&wire);
    return true;
}
