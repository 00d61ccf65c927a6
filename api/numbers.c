/* Tensors given as numbers: nested lists, a shape with a flat list or base64, npy, safetensors. */
#include "api/base64.h"
#include "api/decode.h"
#include "api/image.h"
#include "api/npy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool out_of_memory(struct decoder *d, const char *field)
{
    return fail(d->err, ERR_TOO_LARGE, field,
                "%s needs more than the request's memory limit of "
                "%zu bytes",
                field, d->limits->memory);
}

struct bytes decode_base64(struct decoder *d, struct bytes text, const char *field)
{
    const char *comma = text.size > 5 && !strncasecmp(text.data, "data:", 5)
                            ? memchr(text.data, ',', text.size)
                            : NULL;
    struct bytes out = { NULL, 0 };
    char *bytes;

    if (comma) {
        text.size -= (size_t)(comma + 1 - text.data);
        text.data = comma + 1;
    }
    bytes = arena_new(d->arena, char, text.size / 4 * 3 + 2UL * BODY_SLACK);
    if (!bytes)
        return out_of_memory(d, field), out;
    memset(bytes, 0, BODY_SLACK);
    if (!base64_read(text.data, text.size, bytes + BODY_SLACK, &out.size))
        return fail(d->err, ERR_PARAMETER, field,
                    "%s is not base64 (the standard alphabet, padded with =, no line breaks)",
                    field),
               (struct bytes){ NULL, 0 };
    memset(bytes + BODY_SLACK + out.size, 0, BODY_SLACK);
    out.data = bytes + BODY_SLACK;
    return out;
}

/* --- files ----------------------------------------------------------------------------------- */

bool decode_npy_numbers(struct decoder *d, const struct npy *npy, const char *field,
                        struct numbers *numbers)
{
    float *data = arena_new(d->arena, float, npy->count);

    if (!data)
        return out_of_memory(d, field);
    npy_floats(npy, data);
    *numbers = (struct numbers){ .rank = npy->rank, .count = npy->count, .data = data };
    memcpy(numbers->dims, npy->dims, sizeof numbers->dims);
    numbers->bytes = npy->kind == 'u' && npy->item_size == 1;
    return true;
}

/* A layer's file holds weight and bias; of any other the only tensor is taken. */
static bool from_safetensors(struct decoder *d, struct bytes file, const char *field,
                             struct numbers *numbers)
{
    const char *usual = !strcmp(field, "bias") ? "bias" : "weight";
    struct error other;
    struct npy npy;

    if (!safetensors_read(file, usual, d->arena, &npy, &other)) {
        *d->err = other;
        if (other.code != ERR_PARAMETER || !safetensors_read(file, NULL, d->arena, &npy, d->err))
            return false;
    }
    return decode_npy_numbers(d, &npy, field, numbers);
}

bool decode_numbers_file(struct decoder *d, struct bytes file, const char *field,
                         struct numbers *numbers)
{
    const cJSON *item;
    struct npy npy;

    switch (media_sniff(file)) {
    case MEDIA_NPY:
        return npy_read(file, field, &npy, d->err) && decode_npy_numbers(d, &npy, field, numbers);
    case MEDIA_SAFETENSORS:
        return from_safetensors(d, file, field, numbers);
    case MEDIA_JSON:
        item = json_parse(file, &d->json, d->arena, d->err);
        if (item)
            return decode_numbers(d, item, field, numbers);
        snprintf(d->err->field, sizeof d->err->field, "%s", field);
        return false;
    default:
        return fail(d->err, ERR_PARAMETER, field,
                    "%s must be npy, safetensors or JSON; its first bytes are none of these",
                    field);
    }
}

/* --- JSON ------------------------------------------------------------------------------------ */

static bool from_list(struct decoder *d, const struct json_cut *cut, const char *field,
                      struct numbers *numbers)
{
    if (cut->infinite)
        return fail(d->err, ERR_PARAMETER, field,
                    "%s holds a number beyond float32's range, 3.4e38", field);
    *numbers = (struct numbers){ .rank = cut->rank, .count = cut->count, .data = cut->data };
    memcpy(numbers->dims, cut->dims, sizeof numbers->dims);
    return true;
}

bool decode_shape(struct decoder *d, const cJSON *shape, const char *field, struct numbers *numbers)
{
    double dims[MAX_RANK];

    numbers->rank = cJSON_IsArray(shape) ? json_numbers(&d->json, shape, dims, MAX_RANK) : -1;
    if (numbers->rank < 1)
        return fail(d->err, ERR_PARAMETER, field,
                    "%s's shape must be a list of 1 to %d whole "
                    "numbers",
                    field, MAX_RANK);
    numbers->count = 1;
    for (int i = 0; i < numbers->rank; i++) {
        int dim;

        if (!decode_whole(d, field, dims[i], 1, INT32_MAX, &dim))
            return false;
        numbers->dims[i] = (size_t)dim;
        if (!checked_mul(numbers->count, (size_t)dim, &numbers->count))
            return fail(d->err, ERR_TOO_LARGE, field, "%s's shape is larger than any memory",
                        field);
    }
    return true;
}

/* What stands beside "shape": a list of so many numbers, or the base64 of their bytes. */
static bool fill_shape(struct decoder *d, const cJSON *data, const cJSON *base64, const char *field,
                       struct numbers *numbers)
{
    const struct json_cut *cut = json_tensor(&d->json, data);
    struct bytes text = json_string(&d->json, base64), bytes;
    struct numbers flat = { 0 };

    if (!data == !base64 || (data && !cut) || (base64 && !text.data))
        return fail(d->err, ERR_PARAMETER, field,
                    "%s with a shape needs data, a list of numbers, or base64, little-endian "
                    "float32",
                    field);
    if (cut) {
        if (!from_list(d, cut, field, &flat))
            return false;
        if (flat.count != numbers->count)
            return fail(d->err, ERR_SHAPE, field,
                        "%s's data has %zu numbers but its shape has "
                        "%zu",
                        field, flat.count, numbers->count);
        numbers->data = flat.data;
        return true;
    }
    bytes = decode_base64(d, text, field);
    if (!bytes.data)
        return false;
    if (bytes.size % sizeof(float) || bytes.size / sizeof(float) != numbers->count)
        return fail(d->err, ERR_SHAPE, field,
                    "%s's base64 holds %zu bytes but its shape needs "
                    "%zu float32 of 4 bytes",
                    field, bytes.size, numbers->count);
    numbers->data = (const float *)(const void *)bytes.data; /* little-endian, as we are */
    return true;
}

static bool from_object(struct decoder *d, const cJSON *object, const char *field,
                        struct numbers *numbers)
{
    static const char *const names[] = { "shape", "data", "base64", "npy", NULL };
    const cJSON *found[4] = { NULL }, *member;

    cJSON_ArrayForEach(member, object) {
        int index = word_find(names, member->string);

        if (index < 0)
            return fail(d->err, ERR_UNKNOWN, field,
                        "%s has no \"%.40s\"; give shape with data or "
                        "base64, or npy",
                        field, member->string);
        found[index] = member;
    }
    *numbers = (struct numbers){ 0 };
    if (found[0] && !found[3])
        return decode_shape(d, found[0], field, numbers) &&
               fill_shape(d, found[1], found[2], field, numbers);
    member = found[3] ? found[3] : found[2];
    if (member && !found[0] && !found[1] && json_string(&d->json, member).data) {
        struct bytes file = decode_base64(d, json_string(&d->json, member), field);

        return file.data && decode_numbers_file(d, file, field, numbers);
    }
    return fail(d->err, ERR_PARAMETER, field, "%s needs a shape with data or base64, or npy alone",
                field);
}

bool decode_numbers(struct decoder *d, const cJSON *item, const char *field,
                    struct numbers *numbers)
{
    const struct json_cut *cut = json_tensor(&d->json, item);

    if (cut)
        return from_list(d, cut, field, numbers);
    if (cJSON_IsObject(item))
        return from_object(d, item, field, numbers);
    return fail(d->err, ERR_PARAMETER, field,
                "%s must be nested lists of numbers, or an object of shape with data or base64, "
                "or npy",
                field);
}
