/* Inflates a request's body into the arena over libdeflate, which writes only where it may. */
#include "api/gunzip.h"

#include <libdeflate.h>
#include <string.h>
#include <strings.h>

/* The length that the stream's trailer claims. A liar is found out by libdeflate. */
static size_t claimed(struct bytes body)
{
    const unsigned char *tail = (const unsigned char *)body.data + body.size - 4;

    return (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
}

static bool inflate(struct bytes *body, char *out, size_t size, struct error *err)
{
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    enum libdeflate_result result;
    size_t read = 0, written = 0;

    if (!inflater)
        return fail(err, ERR_BUSY, "", "there is not enough memory to inflate the body; try again");
    result =
        libdeflate_gzip_decompress_ex(inflater, body->data, body->size, out, size, &read, &written);
    libdeflate_free_decompressor(inflater);
    if (result != LIBDEFLATE_SUCCESS || read != body->size || written != size)
        return fail(err, ERR_SYNTAX, "",
                    "the body is not one whole gzip stream, as "
                    "Content-Encoding says");
    *body = (struct bytes){ out, size };
    return true;
}

bool gunzip_body(const char *encoding, struct bytes *body, const struct limits *limits,
                 struct arena *arena, struct error *err)
{
    size_t size, most;
    char *out;

    if (!*encoding || !strcasecmp(encoding, "identity"))
        return true;
    if (strcasecmp(encoding, "gzip") && strcasecmp(encoding, "x-gzip"))
        return fail(err, ERR_MEDIA, "",
                    "Content-Encoding \"%.40s\" is not supported; send gzip or none", encoding);
    if (body->size < 18) /* an empty stream: header, two bytes, trailer */
        return fail(err, ERR_SYNTAX, "", "the body is too short for gzip");
    size = claimed(*body);
    most = body->size > GUNZIP_FREE / GUNZIP_RATIO ? body->size * GUNZIP_RATIO : GUNZIP_FREE;
    if (size > most || size > limits->memory)
        return fail(err, ERR_TOO_LARGE, "",
                    "the body inflates to %zu bytes; the limit is %zu (%d times its size)", size,
                    most < limits->memory ? most : limits->memory, GUNZIP_RATIO);
    out = arena_new(arena, char, size + 2 * (size_t)BODY_SLACK);
    if (!out)
        return fail(err, ERR_TOO_LARGE, "",
                    "the body inflates to %zu bytes, over the memory limit "
                    "of %zu",
                    size, limits->memory);
    memset(out, 0, BODY_SLACK);
    memset(out + BODY_SLACK + size, 0, BODY_SLACK);
    return inflate(body, out + BODY_SLACK, size, err);
}
