/* A message in, a request or an error out: what the tests of the decoder share. */
#pragma once
#include "api/api.h"
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>

static struct arena *arena;
static struct convolve_request request;
static struct error err;
static struct limits limits;
static struct message message;

/* The body in a block of its own size, the bytes around it digits: a reader that believes them is
 * found out, and a sanitizer sees who reads past them. */
static inline struct bytes with_slack(const void *data, size_t size)
{
    static char *block;

    free(block);
    block = malloc(size + 2 * BODY_SLACK);
    memset(block, '7', size + 2 * BODY_SLACK);
    memcpy(block + BODY_SLACK, data, size);
    return (struct bytes){ block + BODY_SLACK, size };
}

static inline void start(void)
{
    if (arena)
        arena_destroy(arena);
    arena = arena_create((size_t)64 << 20);
    limits = (struct limits){
        .pixels = 1000000, .output = 1 << 24, .macs = 1000000000, .memory = (size_t)64 << 20
    };
    message = (struct message){ "POST", "/convolve", "", "", "", "", "", { "", 0 }, NULL };
    memset(&request, 0xa5, sizeof request); /* whatever is read was written */
    err = (struct error){ 0 };
}

static inline bool decode_bytes(const char *type, const char *query, struct bytes body)
{
    start();
    message.content_type = type;
    message.query = query;
    message.body = with_slack(body.data, body.size);
    return convolve_decode(&message, &limits, arena, &request, &err);
}

static inline bool decode(const char *type, const char *query, const char *body)
{
    return decode_bytes(type, query, (struct bytes){ body, strlen(body) });
}

static inline bool plan(const char *query, const char *body)
{
    start();
    message.query = query;
    message.body = with_slack(body, strlen(body));
    return plan_decode(&message, &limits, arena, &request, &err);
}

#define assert_decodes(call)                                                                       \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("refused: %s (%s)", err.detail, err.field);                                   \
    } while (0)

/* The call fails with this code on this field, and its sentence has this text in it. */
#define assert_refuses(call, wanted, where, says)                                                  \
    do {                                                                                           \
        if (call)                                                                                  \
            fail_msg("%s is accepted", #call);                                                     \
        if (err.code != (wanted) || strcmp(err.field, where) || !strstr(err.detail, says))         \
            fail_msg("%s\n  %s on \"%s\": %s", #call, error_slug(err.code), err.field,             \
                     err.detail);                                                                  \
    } while (0)
