/* A stored layer's file: sealed first, so that what is behind the digest is reached, and named by a
 * request when it can be read. Its document and the request's answer must come out whole. */
#include "api/api.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static const struct limits limits = {
    .pixels = 1 << 16, .output = 1 << 20, .macs = 20000000, .memory = 32 << 20
};

static const struct stored *find(void *arg, const char *name, struct error *err)
{
    (void)name, (void)err;
    return arg;
}

/* As /convolve goes, on a picture of a few channels. */
static bool use(const struct stored *stored, struct arena *arena, struct error *err)
{
    static const char json[BODY_SLACK + 64 + BODY_SLACK] = "{\"image\":{\"sample\":\"tiny\"},"
                                                           "\"layer\":\"a\"}";
    const struct layer_finder finder = { find, (void *)stored };
    const struct message message = { .method = "POST",
                                     .path = "/convolve",
                                     .query = "",
                                     .content_type = "",
                                     .accept = "",
                                     .content_encoding = "",
                                     .tensor_header_length = "",
                                     .body = { json, strlen(json) },
                                     .layers = &finder };
    struct convolve_request *request = arena_zeroed(arena, 1, sizeof *request);
    atomic_bool never = false;
    struct conv_context context = { NULL, arena, &never };
    struct conv_plan plan;
    float *output;

    if (!request || !convolve_decode(&message, &limits, arena, request, err) ||
        !conv_plan_init(&plan, &request->params, request->image.shape, NULL, err) ||
        !convolve_admit(request, &plan, &limits, err))
        return false;
    output = arena_new(arena, float, shape_count(plan.out));
    return output && conv_run(&plan, &request->inputs, output, &context, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(limits.memory);
    char *copy = arena ? arena_zeroed(arena, size + (size_t)2 * BODY_SLACK, 1) : NULL;
    const struct layer_entry entry = { .name = "a", .bytes = size };
    struct error err = { 0 };
    const struct stored *stored;
    struct reply *reply = copy ? arena_zeroed(arena, 1, sizeof *reply) : NULL;

    if (reply) {
        copy = memcpy(copy + BODY_SLACK, data, size);
        if (size >= 128)
            stored_seal(copy, size);
        if (stored_read((struct bytes){ copy, size }, &limits, arena, &stored, &err)) {
            if (!stored_encode(stored, &entry, arena, reply, &err) || !reply->body.size)
                abort();
            if (!use(stored, arena, &err) && !*err.detail)
                abort();
        } else if (!*err.detail) {
            abort();
        }
    }
    arena_destroy(arena);
    return 0;
}
