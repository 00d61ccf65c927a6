/* A layer's file, which every safetensors reader opens: the tensors weight and bias, if any, and in
 * the header's metadata the parameters and the digest. The digest stands first, so that it is found
 * without trusting anything; it is the SHA-256 of the file with its own digits as zeros. */
#include "api/json_write.h"
#include "api/sha256.h"
#include "api/stored.h"

#include <string.h>

static const char opening[] = "{\"__metadata__\":{\"digest\":\"";
static const char format[] = "convolved layer 1";
enum {
    OPENING = sizeof opening - 1,
    DIGEST_AT = 8 + OPENING,
    HEADER_FIXED = 1024,   /* the header without the parameters */
    HEADER_MOST = 1 << 18, /* what cJSON may see */
    ALIGN = 64
};

static bool bad(struct error *err, const char *what)
{
    return fail(err, ERR_SYNTAX, "weights", "the layer's file is not whole: %s", what);
}

static void digest_of(struct bytes file, char hex[STORED_DIGEST + 1])
{
    char zeros[STORED_DIGEST];
    struct sha256 sha;

    memset(zeros, '0', sizeof zeros);
    sha256_init(&sha);
    sha256_add(&sha, file.data, DIGEST_AT);
    sha256_add(&sha, zeros, sizeof zeros);
    sha256_add(&sha, file.data + DIGEST_AT + STORED_DIGEST, file.size - DIGEST_AT - STORED_DIGEST);
    sha256_finish(&sha, hex);
}

bool stored_is_file(struct bytes file)
{
    return file.size >= DIGEST_AT + STORED_DIGEST + 1 && !memcmp(file.data + 8, opening, OPENING);
}

void stored_seal(char *file, size_t size)
{
    char hex[STORED_DIGEST + 1];

    digest_of((struct bytes){ file, size }, hex);
    memcpy(file + DIGEST_AT, hex, STORED_DIGEST);
}

/* --- writing --------------------------------------------------------------------------------- */

static void write_entry(struct json *json, const char *name, const struct numbers *numbers,
                        size_t *offset)
{
    if (!numbers->count)
        return;
    json_open(json, name, '{');
    json_text(json, "dtype", "F32");
    json_open(json, "shape", '[');
    for (int i = 0; i < numbers->rank; i++)
        json_int(json, NULL, (int64_t)numbers->dims[i]);
    json_close(json, ']');
    json_open(json, "data_offsets", '[');
    json_int(json, NULL, (int64_t)*offset);
    *offset += numbers->count * sizeof(float);
    json_int(json, NULL, (int64_t)*offset);
    json_close(json, ']');
    json_close(json, '}');
}

/* The header's JSON at at; its end, blanks up to where the numbers are aligned included. */
static char *write_header(const struct stored *stored, char *file, size_t room)
{
    char zeros[STORED_DIGEST + 1] = "";
    struct json json;
    size_t offset = 0;

    memset(zeros, '0', STORED_DIGEST);
    json_init(&json, file + 8, room - 8 - ALIGN);
    json_open(&json, NULL, '{');
    json_open(&json, "__metadata__", '{');
    json_text(&json, "digest", zeros);
    json_text(&json, "format", format);
    json_text(&json, "parameters", stored->parameters.data);
    json_close(&json, '}');
    write_entry(&json, "weight", &stored->weights, &offset);
    write_entry(&json, "bias", &stored->bias, &offset);
    json_close(&json, '}');
    while ((json.at - file) % ALIGN)
        *json.at++ = ' ';
    return json.full ? NULL : json.at;
}

bool stored_write(const struct stored *stored, struct arena *arena, struct bytes *file,
                  struct error *err)
{
    size_t head = HEADER_FIXED + 2 * stored->parameters.size; /* quotes are escaped */
    size_t weights = stored->weights.count * sizeof(float);
    size_t bias = stored->bias.count * sizeof(float), room;
    char *data = NULL, *at;
    uint64_t length;

    if (checked_add(weights, bias + head, &room))
        data = arena_zeroed(arena, room + 2UL * BODY_SLACK, 1);
    if (!data)
        return fail(err, ERR_TOO_LARGE, "weights", "the layer is over the request's memory limit");
    data += BODY_SLACK;
    at = write_header(stored, data, head);
    if (!at)
        return fail(err, ERR_INTERNAL, "", "the layer's header is longer than was computed");
    length = (uint64_t)(at - data) - 8;
    memcpy(data, &length, sizeof length); /* little-endian, as we are */
    if (weights)
        memcpy(at, stored->weights.data, weights);
    if (bias)
        memcpy(at + weights, stored->bias.data, bias);
    *file = (struct bytes){ data, (size_t)(at - data) + weights + bias };
    stored_seal(data, file->size);
    return true;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool read_tensor(struct decoder *d, struct bytes file, const char *name,
                        struct numbers *numbers)
{
    struct npy npy;

    return safetensors_read(file, name, d->arena, &npy, d->err) &&
           decode_npy_numbers(d, &npy, name, numbers);
}

static bool read_header(struct decoder *d, struct bytes file, const cJSON *header,
                        struct stored *stored)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(header, "__metadata__");
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(metadata, "parameters");
    const cJSON *is = cJSON_GetObjectItemCaseSensitive(metadata, "format");
    size_t size;
    char *copy;

    if (!cJSON_IsString(parameters) || !cJSON_IsString(is) || strcmp(is->valuestring, format))
        return bad(d->err, "its metadata is not a layer's");
    size = strlen(parameters->valuestring);
    copy = arena_zeroed(d->arena, size + 2UL * BODY_SLACK, 1);
    if (!copy)
        return fail(d->err, ERR_TOO_LARGE, "", "the layer does not fit the memory");
    copy = memcpy(copy + BODY_SLACK, parameters->valuestring, size);
    stored->parameters = (struct bytes){ copy, size };
    return (!cJSON_GetObjectItemCaseSensitive(header, "weight") ||
            read_tensor(d, file, "weight", &stored->weights)) &&
           (!cJSON_GetObjectItemCaseSensitive(header, "bias") ||
            read_tensor(d, file, "bias", &stored->bias));
}

bool stored_parts(struct decoder *d, struct bytes file, struct stored *stored)
{
    uint64_t length = 0;
    cJSON *header;
    bool ok;

    if (!stored_is_file(file))
        return bad(d->err, "it does not begin like one");
    digest_of(file, stored->digest);
    if (memcmp(stored->digest, file.data + DIGEST_AT, STORED_DIGEST))
        return bad(d->err, "its digest is another than its content's");
    memcpy(&length, file.data, sizeof length);
    if (length > file.size - 8 || length > HEADER_MOST)
        return bad(d->err, "its header is longer than a layer's can be");
    header = safetensors_header((struct bytes){ file.data + 8, (size_t)length }, d->arena, d->err);
    ok = header && read_header(d, file, header, stored);
    cJSON_Delete(header);
    return ok;
}
