/* The only door to libmicrohttpd: bytes in, exchanges, bytes out, and the loop around it all. */
#pragma once
#include "server/config.h"
#include "server/exchange.h"

struct http;

/* Takes over the service's doors. NULL: err says why. The signals SIGTERM, SIGINT and SIGHUP must
 * be blocked in all threads. */
struct http *http_start(struct service *service, struct error *err);

/* Serves until SIGTERM or SIGINT, then drains. false: requests had to be given up. */
bool http_serve(struct http *http);
void http_stop(struct http *http);
