/* What is served where. */
#pragma once
#include "server/exchange.h"

struct route {
    const char *method, *path;
    enum { NO_ITEM, ITEM } item;
    bool (*handle)(struct exchange *exchange, struct error *err);
    enum { AT_ONCE, ON_A_WORKER, OPEN, HEALTH, METRICS } thread;
};

/* Sets the exchange's route, tail and allow from its method and path; HEAD is GET's. An OPTIONS
 * request has no route and no error: the answer is allow. */
bool route_find(struct exchange *exchange, struct error *err);

int route_index(const struct route *route); /* in the table */
const struct route *route_at(int index);

/* The text at /, with the address to type; malloc's. NULL when out of memory. */
char *guide_write(const char *url);
