/* One request and its reply, from the first header to the last byte sent. It is the event loop's
 * until jobs_submit() and again after jobs_done(); between them a worker owns it, and the loop
 * touches only what is atomic. */
#pragma once
#include "api/api.h"
#include "server/browsers.h"
#include "server/gate.h"
#include "server/listen.h"
#include "server/log.h"

enum { PUBLIC, OPERATOR, DOORS }; /* --listen, --metrics-listen */

/* What all exchanges share; written before the first of them, but for draining. */
struct service {
    const struct config *config;
    struct limits limits;
    struct pool *pool;
    struct arena_cache *memory; /* of all requests together */
    struct log log;
    struct jobs *jobs;
    struct layers *layers;     /* NULL: none are kept */
    struct metrics *metrics;   /* the loop's own, */
    const size_t *connections; /*   like how many there are */
    struct door doors[DOORS];
    const char *guide; /* the text at / for curl */
    double started;    /* Unix time */
    bool draining;     /* the loop's own */
};

struct asset;

struct exchange {
    const struct service *service;
    const struct route *route;
    const char *tail;    /* the path behind the route's: "" or "/id" */
    struct arena *arena; /* owns the body, the tensors, the workspace and the reply's body */
    struct message in;
    struct reply out;
    struct stages stages;
    char id[GATE_ID + 1];
    char trace[GATE_TRACE + 1]; /* W3C traceparent, for the log; "" none */
    bool aside;                 /* came in by --metrics-listen */
    char allow[64];             /* the methods of this path */
    struct browser browser;
    const char *accept_encoding, *if_match, *if_none_match; /* "" when absent */
    struct layer_finder finder;                             /* in.layers, */
    struct held *held;                                      /*   and what it found */
    char etag[STORED_DIGEST + 8];                           /* of the reply, or "" */
    const struct asset *asset;                              /* the reply is a file of the page: */
    bool gzip;                                              /* compressed */
    double began_ms;                                        /* the request's first byte */
    atomic_bool stop;                                       /* give up: */
    atomic_int why; /* ERR_DEADLINE, ERR_GONE or ERR_DRAINING */
    _Atomic(double) deadline_ms;
    bool answered;
    struct shape input; /* of a convolution */
    uint64_t macs;      /* of a finished one */
    int refusal;        /* the error's code + 1; 0 none */
    int retry_s;        /* Retry-After of a refusal; 0 when any will do */

    /* server/jobs.c's own: its place among those that wait or are done. */
    struct exchange *next, *previous;
    bool waiting;
};

/* Handler, its problem if it fails, its times. Any thread. */
void exchange_answer(struct exchange *exchange);
void exchange_refuse(struct exchange *exchange, const struct error *err);
bool exchange_starved(struct error *err); /* false, as fail() is */
