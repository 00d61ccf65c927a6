/* The inputs of an inference request: ONNX's operands as JSON lists, or as they lie in memory behind
 * the JSON. */
#include "api/oip.h"

#include <math.h>
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

struct input {
    const struct operand *operand;
    const struct datatype *type;
    struct numbers *numbers; /* its shape, then its data */
    const cJSON *data;       /* or, when it is sent in binary: */
    bool binary;
    struct bytes raw;
};

static const struct datatype *find_type(struct decoder *d, const struct operand *operand,
                                        const char *name)
{
    size_t count = sizeof datatypes / sizeof *datatypes;

    for (size_t i = 0; name && i < count; i++)
        if (!strcmp(name, datatypes[i].name) && !datatypes[i].kind == !operand->rank)
            return &datatypes[i];
    fail(d->err, ERR_PARAMETER, operand->name,
         operand->rank
             ? "%s's datatype must be FP32, or FP16, BF16, FP64, UINT8 to UINT64, INT8 to INT64"
             : "%s's datatype must be BYTES: each element is a whole picture file",
         operand->name);
    return NULL;
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
                        "%s's binary_data_size is %.17g but only %zu bytes are left of the body; "
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

static const struct operand *find_operand(struct decoder *d, const char *name)
{
    size_t count = sizeof operands / sizeof *operands;

    for (size_t i = 0; name && i < count; i++)
        if (!strcmp(name, operands[i].name))
            return &operands[i];
    fail(d->err, ERR_UNKNOWN, "inputs",
         "there is no input \"%.60s\"; there are X (or IMAGE, picture files), W and B",
         name ? name : "");
    return NULL;
}

bool infer_input(struct wire *wire, const cJSON *object)
{
    static const char *const names[] = { "name", "shape", "datatype", "parameters", "data", NULL };
    struct input input = { .numbers = arena_zeroed(wire->d->arena, 1, sizeof(struct numbers)) };
    const cJSON *found[5] = { NULL }, *member;

    if (!input.numbers)
        return infer_out_of_memory(wire->d, "inputs");
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
    input.operand = find_operand(wire->d, cJSON_GetStringValue(found[0]));
    if (!input.operand || !decode_shape(wire->d, found[1], input.operand->name, input.numbers))
        return false;
    input.type = find_type(wire->d, input.operand, cJSON_GetStringValue(found[2]));
    if (!input.type || !take_raw(wire, &input, found[3]))
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
