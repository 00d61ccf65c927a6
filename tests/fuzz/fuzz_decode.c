/* The decoder alone: the first line is TYPE?QUERY, the rest the body; a line that begins with ! is
 * a plan. What is accepted must be whole: every float of every tensor is read, every number is in
 * its range. What is refused must become a problem that is JSON. */
#include "api/json_scan.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY = 32 << 20 };

static void read_all(const float *values, size_t count)
{
    volatile float sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += values[i];
}

static void check_request(const struct convolve_request *request, bool plan_only)
{
    const struct shape *weights = &request->weight_shape;
    struct error err;

    if (!conv_params_check(&request->params, &err))
        abort();
    if (!shape_count(request->image.shape) || !shape_count(*weights) ||
        (!plan_only && (!request->image.data || !request->inputs.weights)))
        abort();
    if (weights->count != request->params.out_channels ||
        weights->height != request->params.kernel_size[0] ||
        weights->width != request->params.kernel_size[1])
        abort();
    if (request->image.data)
        read_all(request->image.data, shape_count(request->image.shape));
    if (request->inputs.weights)
        read_all(request->inputs.weights, shape_count(*weights));
    if (request->inputs.bias)
        read_all(request->inputs.bias, (size_t)weights->count);
}

static void check_problem(const struct error *err)
{
    static struct reply reply;
    struct arena *arena = arena_create(1 << 20);
    struct json_store store = { 0 };
    char *copy = calloc(1, sizeof reply.problem + BODY_SLACK);
    struct error unread;

    problem_encode(err, "fuzz", &reply);
    memcpy(copy, reply.body.data, reply.body.size);
    if (reply.status < 400 || reply.status >= 500 ||
        !json_parse((struct bytes){ copy, reply.body.size }, &store, arena, &unread))
        abort();
    json_free(&store);
    free(copy);
    arena_destroy(arena);
}

static void decode(struct message *message, bool plan_only)
{
    static const struct limits limits = {
        .pixels = 1 << 16, .output = 1 << 20, .macs = 1 << 24, .memory = MEMORY
    };
    struct arena *arena = arena_create(MEMORY);
    struct convolve_request request;
    struct error err = { 0 };

    if ((plan_only ? plan_decode : convolve_decode)(message, &limits, arena, &request, &err))
        check_request(&request, plan_only);
    else
        check_problem(&err);
    arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t head = end ? (size_t)(end - data) : 0, body = end ? size - head - 1 : 0;
    char *line, *block, *query;

    if (!end || memchr(data, '\0', head))
        return 0;
    line = calloc(head + 1, 1);
    memcpy(line, data, head);
    block = malloc(body + 2 * BODY_SLACK);
    memset(block, '7', body + 2 * BODY_SLACK);
    memcpy(block + BODY_SLACK, end + 1, body);
    query = strchr(line, '?');
    if (query)
        *query = '\0';
    decode(&(struct message){ .method = "POST",
                              .path = "/convolve",
                              .query = query ? query + 1 : "",
                              .content_type = line + (*line == '!'),
                              .accept = "",
                              .content_encoding = "",
                              .tensor_header_length = "",
                              .body = { block + BODY_SLACK, body } },
           *line == '!');
    free(block);
    free(line);
    return 0;
}
