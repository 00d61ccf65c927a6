/* An inference request. The head is LENGTH QUERY, separated by a blank: the length of the JSON, "-"
 * when there is no such header, "*" when the JSON ends at the last brace of the body, which keeps
 * mutated requests whole. */
#include "tests/fuzz/answer.h"

#include <stdio.h>

static __typeof__(convolve_decode) *read_head(char *head, struct message *message)
{
    static char length[24];
    const char *given = word(&head), *last = memrchr(message->body.data, '}', message->body.size);

    if (!strcmp(given, "*")) {
        snprintf(length, sizeof length, "%td", last ? last + 1 - message->body.data : 0);
        given = length;
    }
    message->path = "/v2/models/conv2d/infer";
    message->tensor_header_length = strcmp(given, "-") ? given : "";
    message->query = head;
    return infer_decode;
}
