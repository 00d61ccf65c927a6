/* A form of boundary x. What is taken began and ended as RFC 7578 says, and is whole. */
#include "api/api.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct limits limits = {
        .pixels = 1 << 14, .output = 1 << 20, .macs = 1 << 24, .memory = 16 << 20
    };
    struct arena *arena = arena_create(limits.memory);
    char *block = malloc(size + (size_t)2 * BODY_SLACK);
    struct message message = { .method = "POST",
                               .path = "/convolve",
                               .query = "",
                               .content_type = "multipart/form-data; boundary=x",
                               .accept = "",
                               .content_encoding = "",
                               .tensor_header_length = "",
                               .body = { block + BODY_SLACK, size } };
    struct convolve_request request;
    struct error err = { 0 };
    volatile float sum = 0; /* a sanitizer sees each number read */

    memset(block, '-', size + (size_t)2 * BODY_SLACK);
    memcpy(block + BODY_SLACK, data, size);
    if (convolve_decode(&message, &limits, arena, &request, &err)) {
        if (!memmem(data, size, "--x\r\n", 5) || !memmem(data, size, "\r\n--x--", 7))
            abort();
        for (size_t i = 0; i < shape_count(request.image.shape); i++)
            sum += request.image.data[i];
    } else if (!*err.detail) {
        abort();
    }
    free(block);
    arena_destroy(arena);
    return 0;
}
