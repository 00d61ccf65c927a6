/* The headers of every reply, from what the exchange knows. */
#pragma once
#include "server/exchange.h"

/* Calls add for each. */
void headers_each(const struct exchange *exchange,
                  void (*add)(void *arg, const char *name, const char *value), void *arg);

/* The whole reply as bytes for a connection that is cut short: complete, with Connection: close.
 * The size; 0 when it does not fit. */
size_t headers_raw(const struct exchange *exchange, const char *reason, char *out, size_t size);
