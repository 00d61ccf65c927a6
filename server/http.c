/* libmicrohttpd as a tokenizer. Its threads, timeouts, limits and listening are not used: each
 * was measured to hang, to drop or to abort somewhere. All of this runs in the loop's thread. */
#include "server/http.h"

#include "server/clock.h"
#include "server/headers.h"
#include "server/held.h"
#include "server/layers.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/peer.h"
#include "server/rate.h"
#include "server/routes.h"

#include <math.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    CONNECTION = 128 * 1024, /* libmicrohttpd's buffer of one connection: head, upload chunks */
    EXTRA = 256,             /* its own limit of connections lies above ours */
    SWALLOW = 64 * 1024,     /* a refused body up to this is read, so that the connection lives */
    LINGER = 1024 * 1024,    /* of a larger one this much is read before the connection is cut */
    SLOWEST_PER_MS = 256     /* bytes of a reply: who reads slower holds its memory too long */
};

static void exchange_begin(struct peer *peer)
{
    struct exchange *exchange = &peer->exchange;

    memset(exchange, 0, sizeof *exchange);
    exchange->service = peer->http->service;
    exchange->aside = peer->door == &exchange->service->doors[OPERATOR];
    exchange->in = (struct message){ "", "", "", "", "", "", "", { "", 0 }, NULL };
    exchange->finder = (struct layer_finder){ layers_find, exchange };
    exchange->in.layers = exchange->service->layers ? &exchange->finder : NULL;
    exchange->accept_encoding = exchange->if_match = exchange->if_none_match = "";
    exchange->stages.clock_ms = clock_ms;
    exchange->began_ms = clock_ms();
    atomic_store(&exchange->deadline_ms, INFINITY);
    peer->framing = (struct gate_result){ 0 };
    peer->target = peer->body = NULL;
    peer->target_at = NULL;
    peer->room = peer->swallowed = 0;
    peer->dead_ms = 0;
}

/* --- replies --- */

struct response {
    struct MHD_Response *mhd;
    bool whole; /* no header is missing for want of memory */
};

static void add_header(void *arg, const char *name, const char *value)
{
    struct response *response = arg;

    if (MHD_add_response_header(response->mhd, name, value) != MHD_YES && *value)
        response->whole = false;
}

/* The body is memory that outlives the response: the arena's, static, or the exchange's own. */
static enum MHD_Result deliver(struct peer *peer)
{
    const struct reply *out = &peer->exchange.out;
    struct response response = { .whole = true };
    enum MHD_Result result;

    if (peer->gone || peer->state == AT_END)
        return MHD_NO;
    response.mhd = MHD_create_response_from_buffer(out->body.size, (void *)out->body.data,
                                                   MHD_RESPMEM_PERSISTENT);
    if (!response.mhd)
        return MHD_NO;
    headers_each(&peer->exchange, add_header, &response);
    if (peer->last || peer->http->service->draining)
        add_header(&response, "Connection", "close");
    result = response.whole ? MHD_queue_response(peer->mhd, (unsigned)out->status, response.mhd)
                            : MHD_NO;
    MHD_destroy_response(response.mhd);
    peer->state = AT_REPLY;
    peer->deadline_ms = clock_ms() + (double)peer->http->service->config->idle_timeout +
                        (double)out->body.size / SLOWEST_PER_MS;
    return result;
}

static void account(struct peer *peer, int status)
{
    metrics_count(peer->http->metrics, &peer->exchange, status);
    log_request(&peer->http->service->log, &peer->exchange, status);
}

void peer_cut(struct peer *peer)
{
    char raw[4096];
    size_t size =
        headers_raw(&peer->exchange, MHD_get_reason_phrase_for((unsigned)peer->exchange.out.status),
                    raw, sizeof raw);

    send(peer->fd, raw, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(peer->fd, SHUT_WR);
    account(peer, peer->exchange.out.status);
    peer->state = AT_END;
    peer->deadline_ms = clock_ms() + LINGER_MS;
}

void peer_fail(struct peer *peer, const struct error *err)
{
    if (!*peer->exchange.id)
        peer_identify(peer, "");
    exchange_refuse(&peer->exchange, err);
    peer_cut(peer);
}

/* A refusal that is known before the body: a small body is read and thrown away. */
static enum MHD_Result refuse(struct peer *peer, const struct error *err)
{
    exchange_refuse(&peer->exchange, err);
    if (peer->last || peer->framing.chunked || peer->framing.length > SWALLOW)
        peer_cut(peer);
    return MHD_YES;
}

/* --- a request --- */

static enum MHD_Result collect(void *arg, __attribute__((unused)) enum MHD_ValueKind kind,
                               const char *name, const char *value)
{
    struct gate_request *head = arg;

    if (head->count < GATE_HEADERS)
        head->headers[head->count] = (struct gate_header){ name, value ? value : "" };
    head->count++;
    return MHD_YES;
}

const char *peer_header(const struct peer *peer, const char *name)
{
    const char *value = MHD_lookup_connection_value(peer->mhd, MHD_HEADER_KIND, name);

    return value ? value : "";
}

void http_head(const struct peer *peer, struct gate_request *head)
{
    head->head_end =
        head->method +
        MHD_get_connection_info(peer->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    MHD_get_connection_values(peer->mhd, MHD_HEADER_KIND, collect, head);
}

static enum MHD_Result on_data(struct peer *peer, const char *data, size_t *size)
{
    struct error err;
    size_t got = *size;

    *size = 0;
    if (peer->exchange.answered || peer->state == AT_END) {
        peer->swallowed += got;
        return peer->swallowed > LINGER ? MHD_NO : MHD_YES;
    }
    if (!peer_take(peer, data, got, &err))
        peer_fail(peer, &err);
    return MHD_YES;
}

static void answer_options(struct exchange *exchange)
{
    reply_set(&exchange->out, 204, NULL, (struct bytes){ "", 0 });
    exchange->out.allow = exchange->allow;
    exchange->answered = true;
}

static enum MHD_Result on_complete(struct peer *peer)
{
    struct exchange *exchange = &peer->exchange;
    struct error err;

    exchange->stages.started = clock_ms();
    atomic_store(&exchange->deadline_ms,
                 exchange->stages.started + (double)exchange->service->config->request_timeout);
    if (!exchange->route)
        answer_options(exchange);
    else if (exchange->route->thread != ON_A_WORKER)
        exchange_answer(exchange);
    if (exchange->answered)
        return deliver(peer);
    MHD_suspend_connection(peer->mhd);
    peer->state = AT_WORK;
    if (jobs_submit(peer->http->jobs, exchange))
        return MHD_YES;
    peer_busy(&err);
    exchange_refuse(exchange, &err);
    http_resume(peer);
    return MHD_YES;
}

void http_resume(struct peer *peer)
{
    peer->state = AT_REPLY;
    MHD_resume_connection(peer->mhd);
}

/* --- libmicrohttpd's callbacks --- */

static struct peer *peer_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The request line was read; headers follow. The text is still whole. */
static void *on_target(__attribute__((unused)) void *arg, const char *target,
                       struct MHD_Connection *mhd)
{
    struct peer *peer = peer_of(mhd);

    if (!peer || peer->state == AT_END)
        return peer;
    peer->exchange.began_ms = clock_ms();
    peer->target = strdup(target);
    peer->target_at = target;
    peer->dead_ms = 0;
    if (peer->state == AT_REST)
        peer->deadline_ms = clock_ms() + (double)peer->http->service->config->header_timeout;
    peer->state = AT_HEAD;
    return peer;
}

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd fixes the parameters */
static enum MHD_Result on_request(__attribute__((unused)) void *arg, struct MHD_Connection *mhd,
                                  __attribute__((unused)) const char *path, const char *method,
                                  const char *version, const char *data, size_t *size,
                                  __attribute__((unused)) void **state)
{
    struct peer *peer = peer_of(mhd);
    struct error err;

    if (peer && peer->state == AT_HEAD && !*size)
        return peer_admit(peer, method, version, &err) ? MHD_YES : refuse(peer, &err);
    if (peer && *size)
        return on_data(peer, data, size);
    if (!peer || peer->state == AT_END)
        return MHD_NO;
    return peer->exchange.answered ? deliver(peer) : on_complete(peer);
}

/* How a request really ended: libmicrohttpd's own refusals are refusals; whatever else did not
 * reach its end has lost its client. */
static int final_status(struct peer *peer, enum MHD_RequestTerminationCode why)
{
    const union MHD_ConnectionInfo *own =
        MHD_get_connection_info(peer->mhd, MHD_CONNECTION_INFO_HTTP_STATUS);

    if (why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        return peer->exchange.out.status;
    if (peer->state == AT_REPLY || !own || !own->http_status)
        return 499;
    peer->exchange.refusal = ERR_SYNTAX + 1;
    if (!*peer->exchange.id)
        peer_identify(peer, "");
    return (int)own->http_status;
}

static void on_end(__attribute__((unused)) void *arg, struct MHD_Connection *mhd,
                   __attribute__((unused)) void **state, enum MHD_RequestTerminationCode why)
{
    struct peer *peer = peer_of(mhd);

    if (!peer)
        return;
    if (peer->state != AT_END) {
        account(peer, final_status(peer, why));
        peer->state = AT_REST;
        peer->deadline_ms = clock_ms() + (double)peer->http->service->config->idle_timeout;
    }
    held_release(peer->exchange.held);
    arena_destroy(peer->exchange.arena);
    free(peer->target);
    exchange_begin(peer);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *http = arg;
    struct peer *peer = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union entry *entry =
            (const void *)MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                ->client_addr;

        *context = peer = calloc(1, sizeof *peer);
        if (!peer)
            return; /* its requests get MHD_NO */
        peer->http = http;
        peer->mhd = mhd;
        peer->door = entry->door;
        peer->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        peer->deadline_ms = clock_ms() + (double)http->service->config->header_timeout;
        peer->client = rate_client((const struct sockaddr *)entry);
        exchange_begin(peer);
        peer->next = http->peers;
        if (peer->next)
            peer->next->previous = peer;
        http->peers = peer;
        http->count++;
        loop_watch(peer);
    } else if (peer) {
        loop_unwatch(peer);
        *(peer->previous ? &peer->previous->next : &http->peers) = peer->next;
        if (peer->next)
            peer->next->previous = peer->previous;
        http->count--;
        free(peer);
    }
}

static void on_log(void *arg, const char *format, va_list args)
{
    struct http *http = arg;
    char text[512];

    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_say(&http->service->log, LOG_DEBUG, "libmicrohttpd: %s", text);
}

/* Encoded bytes stay as they are: gate_path decodes, and sees a %00 before it can cut. */
static size_t keep_encoded(__attribute__((unused)) void *arg,
                           __attribute__((unused)) struct MHD_Connection *mhd, char *text)
{
    return strlen(text);
}

static void on_panic(void *arg, const char *file, unsigned line, const char *reason)
{
    struct http *http = arg;

    log_say(&http->service->log, LOG_ERROR, "libmicrohttpd gave up: %s:%u: %s", file, line,
            reason ? reason : "");
    _exit(1);
}

/* --- start, step, stop --- */

static struct MHD_Daemon *daemon_start(struct http *http)
{
    const struct config *config = http->service->config;
    int64_t slowest = config->idle_timeout;

    if (slowest < config->header_timeout)
        slowest = config->header_timeout;
    if (slowest < config->body_timeout)
        slowest = config->body_timeout;
    MHD_set_panic_func(on_panic, http);
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, http,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)config->max_connections + EXTRA, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(slowest / 1000 + 1), MHD_OPTION_URI_LOG_CALLBACK, on_target, http,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, http, MHD_OPTION_NOTIFY_COMPLETED, on_end, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
}

static bool start(struct http *http, struct error *err)
{
    struct service *service = http->service;

    if (getrandom(&http->id_seed, sizeof http->id_seed, 0) < 0)
        http->id_seed = (uint64_t)(clock_ms() * 1e6);
    if (!admit_init(http, err))
        return false;
    http->jobs =
        jobs_create(service->pool, pool_workers(service->pool) + (int)service->config->queue);
    http->metrics = calloc(1, sizeof *http->metrics);
    http->daemon = http->jobs && http->metrics ? daemon_start(http) : NULL;
    service->jobs = http->jobs;
    service->metrics = http->metrics;
    service->connections = &http->count;
    return (http->daemon && loop_init(http)) ||
           fail(err, ERR_INTERNAL, "", "cannot start the HTTP server: out of memory or files");
}

void http_stop(struct http *http)
{
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    loop_end(http);
    notify_close(&http->notify);
    if (http->jobs)
        jobs_destroy(http->jobs);
    free(http->metrics);
    keys_free(http->keys);
    rate_destroy(http->rate);
    free(http);
}

struct http *http_start(struct service *service, struct error *err)
{
    struct http *http = calloc(1, sizeof *http);

    if (!http) {
        fail(err, ERR_INTERNAL, "", "out of memory");
        return NULL;
    }
    http->service = service;
    http->epoll = http->signals = http->notify.fd = -1;
    if (start(http, err))
        return http;
    http_stop(http);
    return NULL;
}

int http_epoll(struct http *http)
{
    return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

bool http_step(struct http *http)
{
    MHD_UNSIGNED_LONG_LONG timeout;

    MHD_run(http->daemon);
    return MHD_get_timeout(http->daemon, &timeout) == MHD_YES && timeout == 0;
}

void http_accept(struct http *http, int fd, const union entry *entry)
{
    /* closes the socket when it cannot */
    MHD_add_connection(http->daemon, fd, (const struct sockaddr *)entry, sizeof *entry);
}
