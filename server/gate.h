/* The strict HTTP gate. libmicrohttpd tokenizes leniently (two lengths, folded lines, a NUL that
 * cuts a path); what two readers could understand in two ways stops here. Pure functions. */
#pragma once
#include "core/core.h"

#include <stddef.h>

enum { GATE_ID = 64, GATE_TRACE = 55 };
enum { GATE_HEADERS = 64, GATE_BYTES = 32 * 1024, GATE_TARGET = 16 * 1024 };

/* Pointers into the request's head as libmicrohttpd cut it up: NULs stand where separators were,
 * so the distances between the texts tell what it skipped. */
struct gate_request {
    const char *method, *version;
    const char *target;               /* path?query, a copy; libmicrohttpd cuts its own up: */
    const char *target_at, *head_end; /* where that one began; behind the empty line */
    int count;                        /* may be over GATE_HEADERS: the rest is not listed */
    struct gate_header {
        const char *name, *value;
    } headers[GATE_HEADERS];
};

struct gate_result {
    bool chunked, sized; /* a body of unknown length; a Content-Length */
    uint64_t length;
    const char *host; /* NULL in HTTP/1.0 without one */
};

/* ERR_SYNTAX, ERR_ENCODING or ERR_HEADERS: answer and close, the next request's start is in doubt. */
bool gate_check(const struct gate_request *request, struct gate_result *result, struct error *err);

/* Decodes a path in place. Refuses what could name another path to another reader: %00, %2f, \,
 * dot segments, control bytes. */
bool gate_path(char *path, struct error *err);

/* What a client may put into our logs and replies: an X-Request-ID of letters, digits and ._- */
bool gate_id(const char *given);
/* A W3C traceparent; "" when given is none. */
void gate_trace(const char *given, char trace[GATE_TRACE + 1]);
