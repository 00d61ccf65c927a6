/* The handlers, each a line of steps, and the table that leads to them. */
#include "server/routes.h"

#include "server/assets.h"
#include "server/clock.h"
#include "server/config.h"
#include "server/held.h"
#include "server/jobs.h"
#include "server/layers.h"
#include "server/metrics.h"
#include "server/version.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds since *mark, which moves to now. */
static double lap(double *mark)
{
    double now = clock_ms(), passed = now - *mark;

    *mark = now;
    return passed;
}

static bool give_up(const struct exchange *exchange, struct error *err)
{
    switch (atomic_load(&exchange->why)) {
    case ERR_GONE:
        return fail(err, ERR_GONE, "", "the client has left");
    case ERR_DRAINING:
        return fail(err, ERR_DRAINING, "", "the server is stopping; send the request again");
    default:
        return fail(err, ERR_DEADLINE, "timeout_ms",
                    "the deadline of %.0f ms has passed; raise timeout_ms (the server allows "
                    "%lld) or send less work",
                    atomic_load(&exchange->deadline_ms) - exchange->stages.started,
                    (long long)exchange->service->config->request_timeout);
    }
}

static bool in_time(struct exchange *exchange, struct error *err)
{
    if (clock_ms() >= atomic_load(&exchange->deadline_ms) || atomic_load(&exchange->stop))
        return give_up(exchange, err);
    return true;
}

static bool decode(struct exchange *exchange, struct convolve_request *request, double *mark,
                   struct error *err)
{
    const char *path = exchange->route->path;
    struct limits limits = exchange->service->limits;
    bool (*how)(const struct message *, const struct limits *, struct arena *,
                struct convolve_request *, struct error *) = convolve_decode;
    bool done;

    if (!strcmp(path, "/plan"))
        how = plan_decode;
    else if (!strncmp(path, "/v2/", 4))
        how = infer_decode;
    limits.stop = &exchange->stop;
    limits.deadline_ms = &exchange->deadline_ms;
    limits.started_ms = exchange->stages.started;
    done = how(&exchange->in, &limits, exchange->arena, request, err);
    exchange->stages.decode = lap(mark);
    return done && in_time(exchange, err);
}

static bool make_plan(struct exchange *exchange, struct convolve_request *request,
                      struct conv_plan *layer, double *mark, struct error *err)
{
    const char *engine = request->fields.algorithm;
    bool done;

    if (!*engine || !strcmp(engine, "auto"))
        engine = NULL;
    done = conv_plan_init(layer, &request->params, request->image.shape, engine, err) &&
           convolve_admit(request, layer, &exchange->service->limits, err);
    exchange->input = request->image.shape;
    exchange->stages.plan = lap(mark);
    return done;
}

static bool run(struct exchange *exchange, const struct convolve_request *request,
                const struct conv_plan *layer, float *output, double *mark, struct error *err)
{
    struct conv_context context = { exchange->service->pool, exchange->arena, &exchange->stop };
    struct arena_mark before = arena_save(exchange->arena);
    struct conv_inputs inputs = request->inputs;
    bool done;

    if (request->layer_weights)
        held_pack(exchange->held, layer, &inputs);
    done = conv_run(layer, &inputs, output, &context, err);
    arena_restore(exchange->arena, before);
    exchange->macs = layer->macs;
    exchange->stages.convolve = lap(mark);
    return done;
}

static struct reply_context reply_context(struct exchange *exchange, double mark)
{
    exchange->stages.encode_started = mark;
    return (struct reply_context){ exchange->service->pool, exchange->arena, &exchange->stages,
                                   exchange->id, &exchange->stop };
}

/* A convolution, top to bottom. Each line takes what the line above it made. */
static bool convolve(struct exchange *exchange, struct error *err)
{
    double mark = clock_ms();
    struct convolve_request request;
    struct reply_context context;
    struct conv_plan layer;
    struct tensor output;
    bool done;

    if (!decode(exchange, &request, &mark, err) ||
        !make_plan(exchange, &request, &layer, &mark, err) ||
        !tensor_alloc(&output, layer.out, "", exchange->arena, err) ||
        !run(exchange, &request, &layer, output.data, &mark, err))
        return false;
    context = reply_context(exchange, mark);
    done = convolve_encode(&request, &layer, output.data, &context, &exchange->out, err);
    exchange->stages.encode = lap(&mark);
    return done;
}

static bool plan(struct exchange *exchange, struct error *err)
{
    double mark = clock_ms();
    struct convolve_request request;
    struct reply_context context;
    struct conv_plan layer;

    if (!decode(exchange, &request, &mark, err) ||
        !make_plan(exchange, &request, &layer, &mark, err))
        return false;
    context = reply_context(exchange, mark);
    return plan_encode(&request, &layer, &context, &exchange->out, err);
}

static bool filters(struct exchange *exchange, struct error *err)
{
    return filters_encode(&exchange->in, exchange->tail, exchange->arena, &exchange->out, err);
}

static bool samples(struct exchange *exchange, struct error *err)
{
    return samples_encode(&exchange->in, exchange->tail, exchange->arena, &exchange->out, err);
}

static bool info(struct exchange *exchange, struct error *err)
{
    const struct service *service = exchange->service;
    char own[512];

    snprintf(own, sizeof own,
             "\"version\":\"" VERSION "\",\"workers\":%d,\"queue\":%zu,\"max_body\":%zu,"
             "\"memory\":%zu,\"max_connections\":%zu,\"request_timeout_ms\":%lld,\"draining\":%s",
             pool_workers(service->pool), service->config->queue, service->config->max_body,
             service->config->memory, service->config->max_connections,
             (long long)service->config->request_timeout, service->draining ? "true" : "false");
    return info_encode(&service->limits, own, exchange->arena, &exchange->out, err);
}

static bool say(struct exchange *exchange, const char *type, const char *text)
{
    reply_set(&exchange->out, 200, type, (struct bytes){ text, strlen(text) });
    return true;
}

static bool metrics(struct exchange *exchange, struct error *err)
{
    const struct service *service = exchange->service;
    struct metrics_now now = { .connections = (double)*service->connections,
                               .most_connections = (double)service->config->max_connections,
                               .workers = pool_workers(service->pool),
                               .queue = (double)service->config->queue,
                               .memory_used = (double)arena_cache_used(service->memory),
                               .memory_limit = (double)service->config->memory,
                               .draining = service->draining,
                               .started = service->started };
    int waiting, running;

    jobs_count(service->jobs, &waiting, &running);
    now.waiting = waiting;
    now.running = running;
    if (service->layers)
        layers_count(service->layers, &now.layers, &now.layers_bytes);
    metrics_process(&now);
    return metrics_encode(service->metrics, &now, exchange, err);
}

static bool live(struct exchange *exchange, struct error *err)
{
    (void)err;
    return say(exchange, "text/plain; charset=utf-8", "alive\n");
}

static bool ready(struct exchange *exchange, struct error *err)
{
    if (exchange->service->draining)
        return fail(err, ERR_DRAINING, "", "the server is stopping; ask another one");
    return say(exchange, "text/plain; charset=utf-8", "ready\n");
}

/* --- the Open Inference Protocol: only 200 is yes ---------------------------------------------- */

static bool infer_server(struct exchange *exchange, struct error *err)
{
    (void)err;
    return say(exchange, "application/json",
               "{\"name\":\"convolved\",\"version\":\"" VERSION
               "\",\"extensions\":[\"binary_tensor_data\",\"parameters\"]}");
}

static bool infer_live(struct exchange *exchange, struct error *err)
{
    (void)err;
    return say(exchange, "application/json", "{\"live\":true}");
}

static bool infer_ready(struct exchange *exchange, struct error *err)
{
    return ready(exchange, err) && say(exchange, "application/json", "{\"ready\":true}");
}

static bool model(struct exchange *exchange, struct error *err)
{
    return model_encode(&exchange->in, exchange->arena, &exchange->out, err);
}

/* --- the page ---------------------------------------------------------------------------------- */

static bool asset(struct exchange *exchange, struct error *err)
{
    return asset_answer(exchange, err);
}

/* Browsers get the page, curl a text with the lines to type. */
static bool page(struct exchange *exchange, struct error *err)
{
    if (asset_wants_page(exchange))
        return asset_answer(exchange, err);
    return say(exchange, "text/plain; charset=utf-8", exchange->service->guide);
}

char *guide_write(const char *url)
{
    static const char format[] =
        "convolved %s: a picture and a layer's parameters in, feature maps out.\n\n"
        "  curl -s '%s/samples/cat?size=512' -o cat.png\n"
        "  curl -s --data-binary @cat.png '%s/convolve?kernel=sobel_x&format=png' -o edges.png\n"
        "  curl -s -F image=@cat.png -F K=96 -F F=11 -F S=4 -F P=0 "
        "-F 'weights={\"random\":{\"seed\":1}}' %s/convolve | jq -c .output.shape\n"
        "  curl -s %s/convolve -d '{\"image\":{\"sample\":\"cat\",\"size\":227},"
        "\"weights\":\"learned96\",\"stride\":4}' -H 'Accept: image/png' -o maps.png\n"
        "  curl -s '%s/plan?input=3x227x227&K=96&F=11&S=4' | jq -c "
        "'.im2col.x_col,.im2col.w_row,.output.shape'\n\n"
        "Filters: %s/filters   pictures: %s/samples   limits: %s/info   OpenAPI: "
        "%s/openapi.json\n";
    char *text;

    if (asprintf(&text, format, VERSION, url, url, url, url, url, url, url, url, url) < 0)
        return NULL;
    return text;
}

static const struct route routes[] = {
#define ROUTE(method, path, item, handler, thread) { method, path, item, handler, thread },
#include "server/routes.def"
};
enum { ROUTES = sizeof routes / sizeof routes[0] };
_Static_assert((int)ROUTES <= (int)METRIC_ROUTES, "every route has its counters");

int route_index(const struct route *route)
{
    return (int)(route - routes);
}

const struct route *route_at(int index)
{
    return &routes[index];
}

/* What follows the route's path, or NULL when it is another path. */
static const char *tail(const struct route *route, const char *path)
{
    for (const char *at = route->path; *at; at++)
        if (*at == '*' && *path && *path != '/')
            path += strcspn(path, "/");
        else if (*at == '*' || *at != *path++)
            return NULL;
    return !*path || (route->item == ITEM && *path == '/' && path[1] && !strchr(path + 1, '/'))
               ? path
               : NULL;
}

static void allow(struct exchange *exchange, const char *method)
{
    size_t used = strlen(exchange->allow);

    snprintf(exchange->allow + used, sizeof exchange->allow - used, "%s%s", used ? ", " : "",
             method);
    if (!strcmp(method, "GET"))
        allow(exchange, "HEAD");
}

/* Whether the door that the request came in by has this route. */
static bool shown(const struct exchange *exchange, const struct route *route)
{
    if (exchange->aside)
        return route->thread >= HEALTH;
    return route->thread != METRICS || !*exchange->service->config->metrics_listen;
}

static bool nothing_at(const struct exchange *exchange, struct error *err)
{
    const char *paths[ROUTES + 1], *near;
    int count = 0;

    for (int i = 0; i < ROUTES; i++)
        if (shown(exchange, &routes[i]))
            paths[count++] = routes[i].path;
    paths[count] = NULL;
    near = word_nearest(exchange->in.path, paths);
    return fail(err, ERR_NOT_FOUND, "", "there is nothing at %.64s; %s%s", exchange->in.path,
                near ? "did you mean " : "GET / says what there is", near ? near : "");
}

bool route_find(struct exchange *exchange, struct error *err)
{
    const char *method = exchange->in.method, *path = exchange->in.path;

    if (!strcmp(method, "HEAD"))
        method = "GET";
    for (int i = 0; i < ROUTES; i++) {
        const char *rest = tail(&routes[i], path);

        if (!rest || !shown(exchange, &routes[i]))
            continue;
        allow(exchange, routes[i].method);
        if (strcmp(method, routes[i].method))
            continue;
        exchange->route = &routes[i];
        exchange->tail = rest;
    }
    if (exchange->route)
        return true;
    if (!*exchange->allow && strcmp(path, "*"))
        return nothing_at(exchange, err);
    allow(exchange, "OPTIONS");
    if (!strcmp(method, "OPTIONS"))
        return true;
    return fail(err, ERR_METHOD, "", "%.64s does not take %.16s; it takes %s", path,
                exchange->in.method, exchange->allow);
}

void exchange_refuse(struct exchange *exchange, const struct error *err)
{
    exchange->out = (struct reply){ 0 };
    problem_encode(err, exchange->id, &exchange->out);
    if (err->code == ERR_METHOD)
        exchange->out.allow = exchange->allow;
    exchange->refusal = (int)err->code + 1;
    if (exchange->retry_s)
        exchange->out.retry_after_s = exchange->retry_s;
    else if (exchange->out.status == 503)
        exchange->out.retry_after_s =
            1 + (int)fmod(exchange->began_ms * 1000, 4); /* so that not all return at once */
    exchange->answered = true;
}

bool exchange_starved(struct error *err)
{
    return fail(err, ERR_BUSY, "",
                "other requests hold the memory (--memory); try again when they are done");
}

static void answer(struct exchange *exchange)
{
    struct error err;

    exchange->stages.queue = clock_ms() - exchange->stages.started;
    if (in_time(exchange, &err) && exchange->route->handle(exchange, &err)) {
        exchange->answered = true;
        return;
    }
    if (err.code == ERR_DEADLINE)
        give_up(exchange, &err);
    if (err.code == ERR_TOO_LARGE && arena_starved(exchange->arena))
        exchange_starved(&err);
    exchange_refuse(exchange, &err);
}

/* What the reply does not need goes to the next request while it is warm in the caches, not when
 * the last byte has been sent. */
void exchange_answer(struct exchange *exchange)
{
    answer(exchange);
    exchange->in.body.data = NULL;
    arena_keep(exchange->arena, exchange->out.body.data);
}
