/* The page, its parts and the OpenAPI document: files that are part of the program. */
#pragma once
#include "server/exchange.h"

struct asset;

/* The asset at the exchange's path into its reply: compressed where the client takes that, 304
 * when it has it already, from --ui-dir when that is given. ERR_NOT_FOUND. */
bool asset_answer(struct exchange *exchange, struct error *err);

/* The headers that only assets have. */
void asset_headers(const struct exchange *exchange,
                   void (*add)(void *arg, const char *name, const char *value), void *arg);

/* Would this client rather see the page than the guide for curl? */
bool asset_wants_page(const struct exchange *exchange);
