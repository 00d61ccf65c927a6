/* Written once for the two ways a reply leaves: through libmicrohttpd, and raw before a cut. */
#include "server/headers.h"

#include "server/assets.h"

#include <stdio.h>
#include <string.h>

static void add_shape(const struct reply *out, void (*add)(void *, const char *, const char *),
                      void *arg)
{
    const struct shape *shape = &out->output_shape;
    char text[64];

    if (!shape->count)
        return;
    snprintf(text, sizeof text, "%d,%d,%d,%d", shape->count, shape->channels, shape->height,
             shape->width);
    add(arg, "Convolved-Output-Shape", text);
    snprintf(text, sizeof text, "%zu", out->workspace_bytes);
    add(arg, "Convolved-Workspace-Bytes", text);
    add(arg, "Convolved-Algorithm", out->algorithm);
    if (*out->range)
        add(arg, "Convolved-Range", out->range);
}

void headers_each(const struct exchange *exchange,
                  void (*add)(void *arg, const char *name, const char *value), void *arg)
{
    const struct reply *out = &exchange->out;
    const struct stages *stages = &exchange->stages;
    char text[160];

    if (out->content_type)
        add(arg, "Content-Type", out->content_type);
    add(arg, "X-Request-ID", exchange->id);
    snprintf(text, sizeof text,
             "queue;dur=%.3f, decode;dur=%.3f, convolve;dur=%.3f, encode;dur=%.3f", stages->queue,
             stages->decode, stages->convolve, stages->encode);
    add(arg, "Server-Timing", text);
    add_shape(out, add, arg);
    add(arg, "Vary", "Accept, Origin");
    add(arg, "X-Content-Type-Options", "nosniff");
    if (exchange->asset)
        asset_headers(exchange, add, arg);
    else
        add(arg, "Cache-Control", *exchange->etag ? "no-cache" : "no-store");
    if (*exchange->etag)
        add(arg, "ETag", exchange->etag);
    browser_headers(&exchange->browser, exchange->allow, add, arg);
    if (out->allow)
        add(arg, "Allow", out->allow);
    if (out->status == 401)
        add(arg, "WWW-Authenticate", "Bearer realm=\"convolved\"");
    if (out->retry_after_s) {
        snprintf(text, sizeof text, "%d", out->retry_after_s);
        add(arg, "Retry-After", text);
    }
    if (out->tensor_header_length) {
        snprintf(text, sizeof text, "%zu", out->tensor_header_length);
        add(arg, "Inference-Header-Content-Length", text);
    }
}

struct raw {
    char *out;
    size_t used, size;
};

static void append(struct raw *raw, const void *data, size_t size)
{
    if (size <= raw->size - raw->used)
        memcpy(raw->out + raw->used, data, size);
    raw->used += size <= raw->size - raw->used ? size : 0;
}

static void append_header(void *arg, const char *name, const char *value)
{
    append(arg, name, strlen(name));
    append(arg, ": ", 2);
    append(arg, value, strlen(value));
    append(arg, "\r\n", 2);
}

size_t headers_raw(const struct exchange *exchange, const char *reason, char *out, size_t size)
{
    struct raw raw = { out, 0, size };
    char text[64];

    snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\n", exchange->out.status, reason);
    append(&raw, text, strlen(text));
    headers_each(exchange, append_header, &raw);
    snprintf(text, sizeof text, "%zu", exchange->out.body.size);
    append_header(&raw, "Content-Length", text);
    append_header(&raw, "Connection", "close");
    append(&raw, "\r\n", 2);
    if (strcmp(exchange->in.method, "HEAD"))
        append(&raw, exchange->out.body.data, exchange->out.body.size);
    return raw.used;
}
