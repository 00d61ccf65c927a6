/* API keys from a file: one a line, # begins a comment. They are compared in constant time and
 * never logged. */
#pragma once
#include "core/core.h"

struct keys;

/* ERR_PARAMETER names the file and the line, never what stands there. */
struct keys *keys_read(const char *path, struct error *err);
void keys_free(struct keys *keys); /* NULL is fine */

/* The key's place in the file, or -1. */
int keys_find(const struct keys *keys, const char *given);

/* The key in a request's Authorization or X-API-Key header; "" when there is none. */
const char *keys_given(const char *authorization, const char *api_key);
