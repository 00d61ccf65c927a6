/* What is decided about a request before its body, from who sends it to whether there is room; then
 * the room itself. All of this runs in the loop's thread. */
#include "server/clock.h"
#include "server/keys.h"
#include "server/peer.h"
#include "server/rate.h"
#include "server/routes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_ROOM = 64 * 1024 }; /* the body's first buffer; it quadruples as bytes really arrive */

bool admit_init(struct http *http, struct error *err)
{
    const struct config *config = http->service->config;

    if (*config->api_key_file && !(http->keys = keys_read(config->api_key_file, err)))
        return false;
    if (config->rate_limit &&
        !(http->rate = rate_create((double)config->rate_limit, http->id_seed)))
        return fail(err, ERR_INTERNAL, "", "out of memory");
    return true;
}

/* The client's own id when it is one that logs and headers can carry, else one of ours. */
void peer_identify(struct peer *peer, const char *given)
{
    uint64_t mixed;

    if (gate_id(given)) {
        memcpy(peer->exchange.id, given, strlen(given) + 1);
        return;
    }
    mixed = peer->http->id_seed + ++peer->http->ids * 0x9e3779b97f4a7c15u; /* splitmix64 */
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    snprintf(peer->exchange.id, sizeof peer->exchange.id, "%016llx",
             (unsigned long long)(mixed ^ mixed >> 31));
}

static bool check_head(struct peer *peer, const char *version, struct error *err)
{
    struct message *in = &peer->exchange.in;
    struct gate_request head = { .method = in->method,
                                 .version = version,
                                 .target = peer->target,
                                 .target_at = peer->target_at };
    char *query;

    if (!peer->target)
        return exchange_starved(err);
    http_head(peer, &head);
    if (!gate_check(&head, &peer->framing, err))
        return false;
    query = strchr(peer->target, '?');
    if (query) {
        *query = '\0';
        in->query = query + 1;
    }
    in->path = peer->target;
    return gate_path(peer->target, err);
}

static bool check_browser(struct peer *peer, struct error *err)
{
    const struct config *config = peer->http->service->config;
    const struct browser_request request = {
        .method = peer->exchange.in.method,
        .host = peer->framing.host,
        .origin = peer_header(peer, "Origin"),
        .site = peer_header(peer, "Sec-Fetch-Site"),
        .mode = peer_header(peer, "Sec-Fetch-Mode"),
        .wanted_method = peer_header(peer, "Access-Control-Request-Method"),
        .wanted_private = peer_header(peer, "Access-Control-Request-Private-Network"),
    };

    return browser_check(&request, peer->door->loopback, config->cors_origins,
                         config->allowed_hosts, &peer->exchange.browser, err);
}

static bool check_body(const struct peer *peer, struct error *err)
{
    const struct route *route = peer->exchange.route;
    const struct gate_result *framing = &peer->framing;
    size_t limit = peer->http->service->config->max_body;

    if (framing->length > limit)
        return fail(err, ERR_TOO_LARGE, "",
                    "the body has %llu bytes; at most %zu are taken (--max-body)",
                    (unsigned long long)framing->length, limit);
    if (route && *route->method == 'P' && !framing->chunked && !framing->sized)
        return fail(err, ERR_LENGTH, "",
                    "a %s needs a Content-Length or Transfer-Encoding: chunked", route->method);
    return true;
}

/* Who it is, and whether he may now. Preflights and what is OPEN are for everybody. */
static bool check_client(struct peer *peer, struct error *err)
{
    struct http *http = peer->http;
    const struct route *route = peer->exchange.route;
    uint64_t client = peer->client;
    double wait_ms = 0;

    if (!route || route->thread >= OPEN)
        return true;
    if (http->keys) {
        int key = keys_find(http->keys, keys_given(peer_header(peer, "Authorization"),
                                                   peer_header(peer, "X-API-Key")));

        if (key < 0)
            return fail(err, ERR_UNAUTHORIZED, "",
                        "send an API key: Authorization: Bearer KEY, or X-API-Key: KEY");
        client = ~(uint64_t)key;
    }
    if (http->rate)
        wait_ms = rate_take(http->rate, client, clock_ms());
    if (wait_ms <= 0)
        return true;
    peer->exchange.retry_s = 1 + (int)(wait_ms / 1000);
    return fail(err, ERR_RATE, "",
                "more than %zu requests a second (--rate-limit); try again in %.0f ms",
                http->service->config->rate_limit, ceil(wait_ms));
}

bool peer_busy(struct error *err)
{
    return fail(err, ERR_BUSY, "",
                "every worker is busy and the queue is full; try again later, or start the server "
                "with more --workers or a larger --queue");
}

static bool check_load(struct peer *peer, struct error *err)
{
    if (peer->http->phase == STOPPING)
        return fail(err, ERR_DRAINING, "", "the server is stopping; ask another one");
    if (peer->exchange.route && peer->exchange.route->thread == ON_A_WORKER &&
        jobs_full(peer->http->jobs))
        return peer_busy(err);
    peer->exchange.arena =
        arena_create_cached(peer->http->service->limits.memory, peer->http->service->memory);
    return peer->exchange.arena || exchange_starved(err);
}

bool peer_admit(struct peer *peer, const char *method, const char *version, struct error *err)
{
    struct message *in = &peer->exchange.in;

    in->method = method;
    in->content_type = peer_header(peer, "Content-Type");
    in->accept = peer_header(peer, "Accept");
    in->content_encoding = peer_header(peer, "Content-Encoding");
    in->tensor_header_length = peer_header(peer, "Inference-Header-Content-Length");
    peer->exchange.accept_encoding = peer_header(peer, "Accept-Encoding");
    peer->exchange.if_match = peer_header(peer, "If-Match");
    peer->exchange.if_none_match = peer_header(peer, "If-None-Match");
    peer_identify(peer, peer_header(peer, "X-Request-ID"));
    gate_trace(peer_header(peer, "traceparent"), peer->exchange.trace);
    peer->state = AT_BODY;
    peer->deadline_ms = clock_ms() + (double)peer->http->service->config->body_timeout;
    peer->last = true; /* of what is not understood nothing further is read */
    if (!check_head(peer, version, err))
        return false;
    peer->last = false;
    return check_browser(peer, err) && route_find(&peer->exchange, err) &&
           check_client(peer, err) && check_body(peer, err) && check_load(peer, err);
}

/* The buffer quadruples, up to the announced length: who announces much and sends little costs
 * little. Around it lie the BODY_SLACK bytes that readers may touch. */
static bool make_room(struct peer *peer, size_t more, struct error *err)
{
    size_t limit = peer->http->service->config->max_body;
    size_t have = peer->exchange.in.body.size, want = have + more;
    size_t room = peer->room ? peer->room : FIRST_ROOM / 4;
    char *body;

    if (want <= peer->room)
        return true;
    if (want > limit)
        return fail(err, ERR_TOO_LARGE, "", "the body is over the limit of %zu bytes (--max-body)",
                    limit);
    do
        room *= 4;
    while (room < want);
    if (peer->framing.sized && room > peer->framing.length)
        room = (size_t)peer->framing.length;
    if (room > limit)
        room = limit;
    body = arena_alloc(peer->exchange.arena, room + (size_t)2 * BODY_SLACK, 1);
    if (!body)
        return arena_starved(peer->exchange.arena)
                   ? exchange_starved(err)
                   : fail(err, ERR_TOO_LARGE, "",
                          "the body is over the memory for one request (--memory)");
    memset(body, 0, BODY_SLACK);
    if (have) {
        memcpy(body + BODY_SLACK, peer->body, have);
        arena_keep(peer->exchange.arena, body); /* the old one goes */
    }
    peer->body = body + BODY_SLACK;
    peer->room = room;
    peer->exchange.in.body.data = peer->body;
    return true;
}

bool peer_take(struct peer *peer, const char *data, size_t size, struct error *err)
{
    struct bytes *body = &peer->exchange.in.body;

    if (!make_room(peer, size, err))
        return false;
    memcpy(peer->body + body->size, data, size);
    body->size += size;
    memset(peer->body + body->size, 0, BODY_SLACK);
    return true;
}
