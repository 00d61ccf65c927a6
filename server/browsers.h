/* What browsers may ask on behalf of pages: Host (DNS rebinding), Origin and Sec-Fetch-Site (other
 * sites' scripts), preflights. Programs that send none of these headers are not concerned. */
#pragma once
#include "core/core.h"

/* What the exchange keeps for its reply. */
struct browser {
    const char *origin;          /* may read the reply: echoed, or "*"; NULL none */
    bool preflight, private_net; /* an OPTIONS that asks first; from a page on the open network */
};

struct browser_request {
    const char *method, *host, *origin, *site, *mode; /* "" when not there; host may be NULL */
    const char *wanted_method, *wanted_private;       /* Access-Control-Request-... */
};

/* policy: --cors-origins; hosts: --allowed-hosts. ERR_HOST or ERR_ORIGIN. */
bool browser_check(const struct browser_request *request, bool loopback, const char *policy,
                   const char *hosts, struct browser *browser, struct error *err);

/* Calls add for each CORS header of the reply. */
void browser_headers(const struct browser *browser, const char *methods,
                     void (*add)(void *arg, const char *name, const char *value), void *arg);
