/* The gate over a request's head, cut up as libmicrohttpd cuts it: what the gate lets pass must be
 * HTTP/1.1 to a second, stricter reader of the bytes as they came. */
#include "server/gate.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST = 16 * 1024 };

/* A line ends in CR LF, or in either alone; NULs take their place. NULL: it does not end. */
static char *cut_line(char **at)
{
    char *start = *at, *end = start + strcspn(start, "\r\n");
    bool two = end[0] == '\r' && end[1] == '\n';

    if (!*end)
        return NULL;
    *at = end + 1 + two;
    memset(end, 0, 1 + (size_t)two);
    return start;
}

/* The request line's words; the last blank ends the target. */
static bool cut_words(char *line, struct gate_request *head)
{
    char *space = strchr(line, ' ');

    if (!space)
        return false;
    head->method = line;
    *space++ = '\0';
    space += strspn(space, " ");
    head->target = head->target_at = space;
    space = strrchr(space, ' ');
    if (!space)
        return false;
    *space = '\0';
    head->version = space + 1;
    return true;
}

/* A blank at a line's start would fold it: another target's (daemon) business. false:
 * libmicrohttpd would not come to the gate. */
static bool tokenize(char *text, struct gate_request *head)
{
    char *at = text, *line = cut_line(&at);

    if (!line || !cut_words(line, head))
        return false;
    while ((line = cut_line(&at)) && *line) {
        char *colon = strchr(line, ':');

        if (!colon || *line == ' ' || *line == '\t')
            return false;
        *colon = '\0';
        if (head->count < GATE_HEADERS)
            head->headers[head->count] =
                (struct gate_header){ line, colon + 1 + strspn(colon + 1, " \t") };
        head->count++;
    }
    head->head_end = at;
    return line != NULL;
}

static bool token_only(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", text[i]))
            return false;
    return size > 0;
}

struct counts {
    int hosts, lengths, encodings;
};

static bool header_is_strict(const char *line, size_t size, struct counts *counts)
{
    const char *colon = memchr(line, ':', size);
    size_t name = colon ? (size_t)(colon - line) : 0;

    counts->hosts += name == 4 && !strncasecmp(line, "host", 4);
    counts->lengths += name == 14 && !strncasecmp(line, "content-length", 14);
    counts->encodings += name == 17 && !strncasecmp(line, "transfer-encoding", 17);
    return token_only(line, name);
}

/* RFC 9112 without its tolerances, from the bytes as they came. */
static bool head_is_strict(const char *text, const struct gate_result *result)
{
    struct counts counts = { 0 };
    const char *line = text, *end = strstr(text, "\r\n");
    bool new_version = end && end - text > 8 && !strncmp(end - 8, "HTTP/1.1", 8);

    for (const char *c = text; *c; c++)
        if ((*c == '\r') != (c[1] == '\n') || (*c == '\n' && (c == text || c[-1] != '\r')))
            return false;
        else if (((unsigned char)*c < ' ' && !strchr("\r\n\t", *c)) || *c == 0x7f)
            return false;
    for (line = end + 2; (end = strstr(line, "\r\n")) && end > line; line = end + 2)
        if (!header_is_strict(line, (size_t)(end - line), &counts))
            return false;
    return end == line && counts.hosts <= 1 && (counts.hosts == 1 || !new_version) &&
           counts.lengths == result->sized && counts.encodings == result->chunked &&
           counts.lengths + counts.encodings <= 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t used = strnlen((const char *)data, size);
    struct gate_request head = { 0 };
    struct gate_result result;
    struct error err = { 0 };
    char *text, *copy, *target;

    if (used > MOST)
        return 0;
    text = calloc(used + 1, 1);
    memcpy(text, data, used);
    copy = strdup(text);
    if (tokenize(text, &head)) {
        target = strdup(head.target);
        copy[head.head_end - text] = '\0';
        if (gate_check(&head, &result, &err)) {
            if (!head_is_strict(copy, &result))
                abort();
            target[strcspn(target, "?")] = '\0';
            if (gate_path(target, &err) && (strstr(target, "/../") || strchr(target, '\\')))
                abort();
        } else if (!*err.detail) {
            abort();
        }
        free(target);
    }
    free(copy);
    free(text);
    return 0;
}
