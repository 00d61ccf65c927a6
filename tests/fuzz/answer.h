/* A request's whole way from bytes to reply, as the server's handler goes it: the first line of an
 * input is its head, which each target reads its own way, the rest its body. Nothing may crash,
 * leak, hang or pass the arena's limit, and every refusal must become a problem. */
#pragma once
#include "api/api.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static const struct limits limits = {
    .pixels = 1 << 16, .output = 1 << 20, .macs = 20 * 1000 * 1000, .memory = 32 << 20
};

static inline double no_clock(void)
{
    return 0;
}

/* Cuts the next word of the head out. */
static inline const char *word(char **at)
{
    char *start = *at;

    *at += strcspn(start, " ");
    if (**at)
        *(*at)++ = '\0';
    return start;
}

/* Each target's own: fills the message from the head (the arena's), says how it is decoded. */
static __typeof__(convolve_decode) *read_head(char *head, struct message *message);

static inline bool answer(const struct message *message, __typeof__(convolve_decode) *decode,
                          struct arena *arena, struct reply *reply, struct error *err)
{
    struct convolve_request *request = arena_zeroed(arena, 1, sizeof *request);
    atomic_bool never = false;
    struct stages stages = { .clock_ms = no_clock };
    struct reply_context reply_context = { NULL, arena, &stages, "fuzz", &never };
    struct conv_context context = { NULL, arena, &never };
    struct conv_plan plan;
    float *output;

    if (!request)
        return fail(err, ERR_TOO_LARGE, "", "no memory");
    if (!decode(message, &limits, arena, request, err) ||
        !conv_plan_init(&plan, &request->params, request->image.shape, NULL, err))
        return false;
    if (decode == plan_decode)
        return plan_encode(request, &plan, &reply_context, reply, err);
    if (!convolve_admit(request, &plan, &limits, err))
        return false;
    output = arena_new(arena, float, shape_count(plan.out));
    return (output || fail(err, ERR_TOO_LARGE, "", "no memory")) &&
           conv_run(&plan, &request->inputs, output, &context, err) &&
           convolve_encode(request, &plan, output, &reply_context, reply, err);
}

/* MemorySanitizer speaks up at a branch on a byte that nobody wrote. */
static inline void read_all(struct bytes bytes)
{
    volatile size_t zeros = 0;

    for (size_t i = 0; i < bytes.size; i++)
        if (!bytes.data[i])
            zeros++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t head_size = end ? (size_t)(end - data) : 0, body_size = end ? size - head_size - 1 : 0;
    struct arena *arena = end ? arena_create(limits.memory) : NULL;
    char *head = arena ? arena_zeroed(arena, head_size + 1, 1) : NULL;
    char *body = head ? arena_alloc(arena, body_size + 2 * BODY_SLACK, 1) : NULL;
    struct message message = { "POST", "/convolve", "", "", "", "", "", { NULL, 0 }, NULL };
    struct reply *reply = body ? arena_zeroed(arena, 1, sizeof *reply) : NULL;
    struct error err = { 0 };

    if (reply) {
        memcpy(head, data, head_size);
        memset(body, '7', body_size + 2 * BODY_SLACK); /* digits, which must not be believed */
        memcpy(body + BODY_SLACK, end + 1, body_size);
        message.body = (struct bytes){ body + BODY_SLACK, body_size };
        if (!answer(&message, read_head(head, &message), arena, reply, &err))
            problem_encode(&err, "fuzz", reply);
        if (reply->status < 200 || reply->status == 500 || !reply->body.size)
            abort();
        read_all(reply->body);
    }
    if (arena)
        arena_destroy(arena);
    return 0;
}
