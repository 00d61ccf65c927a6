/* Protobuf's wire format: a message is a row of (field number, wire type, value). Field numbers
 * are those of onnx.proto3. */
#include "tests/conformance/onnx.h"
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>

struct span {
    const unsigned char *at, *end;
};

struct field {
    int number, type;
    uint64_t value;   /* of type 0, a varint */
    struct span span; /* of type 2, bytes; and of types 1 and 5, fixed width */
};

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5, MOST_NAMES = 8 };

static uint64_t varint(struct span *span)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        assert_true(span->at < span->end);
        value |= (uint64_t)(*span->at & 0x7f) << shift;
        if (!(*span->at++ & 0x80))
            return value;
    }
    fail_msg("a varint of more than 64 bits");
    return 0;
}

static bool next(struct span *message, struct field *field)
{
    uint64_t key, size;

    if (message->at == message->end)
        return false;
    key = varint(message);
    *field = (struct field){ .number = (int)(key >> 3), .type = key & 7 };
    if (field->type == VARINT) {
        field->value = varint(message);
        return true;
    }
    assert_true(field->type == FIXED64 || field->type == BYTES || field->type == FIXED32);
    size = field->type == BYTES ? varint(message) : field->type == FIXED64 ? 8 : 4;
    assert_true(size <= (size_t)(message->end - message->at));
    field->span = (struct span){ message->at, message->at + size };
    message->at += size;
    return true;
}

static void text(char *out, size_t room, struct span span)
{
    snprintf(out, room, "%.*s", (int)(span.end - span.at), (const char *)span.at);
}

static struct span file(const char *folder, const char *name)
{
    size_t size;
    const char *path = text_format("%s/%s", folder, name);
    const unsigned char *data = (const unsigned char *)file_read(path, &size);

    return (struct span){ data, data + size };
}

static void add_dim(struct onnx_tensor *tensor, uint64_t dim)
{
    assert_true(tensor->rank < ONNX_RANK);
    tensor->dims[tensor->rank++] = dim;
}

/* TensorProto: dims 1, data_type 2 (FLOAT 1), float_data 4 (packed), name 8, raw_data 9. */
static void read_tensor(struct onnx_tensor *tensor, struct span message)
{
    struct span floats = { NULL, NULL };
    struct field field;

    memset(tensor, 0, sizeof *tensor);
    while (next(&message, &field)) {
        if (field.number == 1 && field.type == VARINT)
            add_dim(tensor, field.value);
        else if (field.number == 1)
            while (field.span.at < field.span.end)
                add_dim(tensor, varint(&field.span));
        else if (field.number == 2)
            assert_int_equal(field.value, 1);
        else if (field.number == 4 || field.number == 9)
            floats = field.span;
        else if (field.number == 8)
            text(tensor->name, sizeof tensor->name, field.span);
    }
    tensor->count = 1;
    for (int i = 0; i < tensor->rank; i++)
        tensor->count *= tensor->dims[i];
    assert_int_equal(floats.end - floats.at, tensor->count * sizeof(float));
    tensor->data = keep(malloc(tensor->count * sizeof(float)));
    memcpy(tensor->data, floats.at, tensor->count * sizeof(float));
}

/* AttributeProto: name 1, i 3, s 4, ints 8. Appends a JSON member. */
static void read_attribute(struct onnx_case *onnx, struct span message)
{
    char name[32] = "", value[160] = "", *out = onnx->attributes;
    struct field field;
    size_t used = 0;
    bool list = false;

    while (next(&message, &field)) {
        if (field.number == 1)
            text(name, sizeof name, field.span);
        else if (field.number == 3)
            snprintf(value, sizeof value, "%lld", (long long)field.value);
        else if (field.number == 4)
            snprintf(value, sizeof value, "\"%.*s\"", (int)(field.span.end - field.span.at),
                     (const char *)field.span.at);
        else if (field.number == 8 && field.type == VARINT)
            used += (size_t)snprintf(value + used, sizeof value - used, "%s%lld", used ? "," : "",
                                     (long long)field.value);
        else if (field.number == 8)
            while (field.span.at < field.span.end)
                used += (size_t)snprintf(value + used, sizeof value - used, "%s%lld",
                                         used ? "," : "", (long long)varint(&field.span));
        list |= field.number == 8;
    }
    out += strlen(out);
    snprintf(out, sizeof onnx->attributes - (size_t)(out - onnx->attributes),
             list ? ",\"%s\":[%s]" : ",\"%s\":%s", name, value);
}

/* NodeProto: input 1, op_type 4, attribute 5. */
static int read_node(struct onnx_case *onnx, struct span message, char names[][64])
{
    struct field field;
    char op[32] = "";
    int count = 0;

    while (next(&message, &field)) {
        if (field.number == 1 && count < MOST_NAMES)
            text(names[count++], sizeof names[0], field.span);
        else if (field.number == 4)
            text(op, sizeof op, field.span);
        else if (field.number == 5)
            read_attribute(onnx, field.span);
    }
    assert_string_equal(op, "Conv");
    return count;
}

/* GraphProto: node 1, initializer 5, input 11 (ValueInfoProto: name 1). Operands that are not in
 * the model lie in files, in the order of the graph's inputs. */
void onnx_read(struct onnx_case *onnx, const char *folder)
{
    struct span model = file(folder, "model.onnx"), graph = { NULL, NULL }, message, info;
    struct onnx_tensor known[MOST_NAMES], *operands[] = { &onnx->x, &onnx->w, &onnx->b };
    char names[MOST_NAMES][64], input[64];
    struct field field;
    int operand_count = 0, known_count = 0, file_count = 0;

    memset(onnx, 0, sizeof *onnx);
    while (next(&model, &field))
        if (field.number == 7)
            graph = field.span;
    for (message = graph; next(&message, &field);) {
        if (field.number == 1)
            operand_count = read_node(onnx, field.span, names);
        else if (field.number == 5 && known_count < MOST_NAMES)
            read_tensor(&known[known_count++], field.span);
    }
    for (message = graph; next(&message, &field);) {
        bool found = false;

        if (field.number != 11 || known_count == MOST_NAMES)
            continue;
        for (info = field.span; next(&info, &field);)
            if (field.number == 1)
                text(input, sizeof input, field.span);
        for (int i = 0; i < known_count; i++)
            found |= !strcmp(known[i].name, input);
        if (!found) {
            read_tensor(&known[known_count],
                        file(folder, text_format("test_data_set_0/input_%d.pb", file_count++)));
            strcpy(known[known_count++].name, input);
        }
    }
    assert_in_range(operand_count, 2, 3);
    for (int i = 0; i < operand_count; i++)
        for (int j = 0; j < known_count; j++)
            if (!strcmp(names[i], known[j].name))
                *operands[i] = known[j];
    read_tensor(&onnx->y, file(folder, "test_data_set_0/output_0.pb"));
    assert_true(onnx->x.rank == 4 && onnx->w.rank == 4 && onnx->y.rank == 4);
}
