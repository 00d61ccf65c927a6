/* Content-Encoding of a request: gzip, inflated within bounds. */
#pragma once
#include "api/api.h"

enum {
    GUNZIP_RATIO = 64,     /* a body may inflate to so many times its size, */
    GUNZIP_FREE = 16 << 20 /* or to this, whichever is more */
};

/* *body inflated into the arena (with BODY_SLACK around it); unchanged when encoding is "" or
 * identity. ERR_MEDIA for another, ERR_TOO_LARGE before inflating, ERR_SYNTAX for a broken stream. */
bool gunzip_body(const char *encoding, struct bytes *body, const struct limits *limits,
                 struct arena *arena, struct error *err);
