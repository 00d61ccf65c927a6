/* Named layers: the files of a folder, and those in memory that requests have used. A layer in
 * memory is counted by who uses it, so that it may be replaced or deleted meanwhile. */
#pragma once
#include "server/exchange.h"

struct layers;

/* NULL: err says why. Reads every file once and sets aside what is damaged. */
struct layers *layers_open(const struct service *service, struct error *err);
void layers_close(struct layers *layers); /* NULL is fine; nothing is held any more */

/* The folder anew, for SIGHUP: layers_find_folder() alone can fail; layers_use_folder() takes what it
 * gave, and all files are read again. */
int layers_find_folder(const struct layers *layers, struct error *err);
void layers_use_folder(struct layers *layers, int folder);

/* The exchange's finder (arg is the exchange): the layer is held until held_release(exchange->held). */
const struct stored *layers_find(void *arg, const char *name, struct error *err);
void layers_count(struct layers *layers, double *count, double *bytes);

/* The handlers: GET /layers, GET, PUT and DELETE /layers/{name}, POST /v2/repository/index. */
bool layers_list(struct exchange *exchange, struct error *err);
bool layers_show(struct exchange *exchange, struct error *err);
bool layers_put(struct exchange *exchange, struct error *err);
bool layers_delete(struct exchange *exchange, struct error *err);
bool layers_models(struct exchange *exchange, struct error *err);
