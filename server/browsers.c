/* CORS (the Fetch standard) and the two checks that a preflight does not make for us: a multipart
 * POST needs none, and a name that resolves to 127.0.0.1 is another site's. */
#include "server/browsers.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A name without its port; brackets stay. */
static size_t host_size(const char *host)
{
    return *host == '[' ? strcspn(host, "]") + (strchr(host, ']') != NULL) : strcspn(host, ":/");
}

static bool same(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && !strncasecmp(text, word, size);
}

static bool is_loopback(const char *host)
{
    size_t size = host_size(host), end = size;
    const char *tail = host + size;

    if (*tail == ':')
        tail += 1 + strspn(tail + 1, "0123456789");
    if (*tail)
        return false;
    return same(host, end, "localhost") || same(host, end, "[::1]") || same(host, end, "127.0.0.1");
}

/* Is text, as a whole, in a list with commas or spaces? */
static bool listed(const char *list, const char *text, size_t size)
{
    for (const char *at = list; *(at += strspn(at, ", "));) {
        size_t length = strcspn(at, ", ");

        if (length == size && !strncasecmp(at, text, size))
            return true;
        at += length;
    }
    return false;
}

static bool origin_allowed(const char *policy, const char *origin)
{
    const char *host = strstr(origin, "://");
    bool http = !strncasecmp(origin, "http://", 7) || !strncasecmp(origin, "https://", 8);

    if (listed(policy, "*", 1) || listed(policy, origin, strlen(origin)))
        return true;
    return listed(policy, "loopback", 8) && http && is_loopback(host + 3);
}

/* Our own page: its origin is this very host, whatever it is called. */
static bool own_page(const struct browser_request *request)
{
    const char *host = strstr(request->origin, "://");

    return host && request->host && !strcasecmp(host + 3, request->host);
}

static bool check_host(const char *host, const char *hosts, struct error *err)
{
    if (!host || is_loopback(host) || listed(hosts, host, strlen(host)) ||
        listed(hosts, host, host_size(host)))
        return true;
    return fail(err, ERR_HOST, "",
                "this server listens on this machine only and does not answer to %.64s; call it "
                "localhost, or start it with --allowed-hosts",
                host);
}

bool browser_check(const struct browser_request *request, bool loopback, const char *policy,
                   const char *hosts, struct browser *browser, struct error *err)
{
    bool own = own_page(request), cross, safe;

    *browser = (struct browser){ 0 };
    if (loopback && !check_host(request->host, hosts, err))
        return false;
    if (*request->origin && !own && origin_allowed(policy, request->origin)) {
        browser->origin = listed(policy, "*", 1) ? "*" : request->origin;
        browser->preflight = !strcmp(request->method, "OPTIONS") && *request->wanted_method;
        browser->private_net = !strcmp(request->wanted_private, "true");
        return true;
    }
    safe = !strcmp(request->method, "GET") || !strcmp(request->method, "HEAD");
    cross =
        !strcasecmp(request->site, "cross-site") && !(safe && !strcmp(request->mode, "navigate"));
    if (own || listed(policy, "*", 1) || (!cross && (!*request->origin || safe)))
        return true;
    return fail(err, ERR_ORIGIN, "",
                "pages of %.64s may not call this server; start it with --cors-origins and their "
                "origin",
                *request->origin ? request->origin : "other sites");
}

void browser_headers(const struct browser *browser, const char *methods,
                     void (*add)(void *arg, const char *name, const char *value), void *arg)
{
    if (!browser->origin)
        return;
    add(arg, "Access-Control-Allow-Origin", browser->origin);
    if (browser->preflight) {
        add(arg, "Access-Control-Allow-Methods", methods);
        add(arg, "Access-Control-Allow-Headers",
            "Authorization, Content-Type, X-API-Key, X-Request-ID, traceparent, "
            "Inference-Header-Content-Length");
        add(arg, "Access-Control-Max-Age", "7200");
        if (browser->private_net)
            add(arg, "Access-Control-Allow-Private-Network", "true");
        return;
    }
    add(arg, "Access-Control-Expose-Headers",
        "X-Request-ID, Server-Timing, Retry-After, Convolved-Output-Shape, Convolved-Range, "
        "Convolved-Workspace-Bytes, Convolved-Algorithm, Inference-Header-Content-Length");
}
