/* A connection and the loop around all of them: private to http.c, admit.c and loop.c. */
#pragma once
#include "server/gate.h"
#include "server/http.h"
#include "server/jobs.h"
#include "server/notify.h"

#include <sys/socket.h>

enum { LINGER_MS = 1000 };

/* A connection from accept to close. Its exchange is used again for each request. */
struct peer {
    struct peer *next, *previous;
    struct http *http;
    struct MHD_Connection *mhd;
    const struct door *door;
    int fd;
    enum {
        AT_HEAD,  /* reading a request's head */
        AT_BODY,  /* reading its body */
        AT_WORK,  /* suspended: waiting or computing */
        AT_REPLY, /* sending */
        AT_REST,  /* between two requests */
        AT_END    /* answered and cut; reads what still comes, for a moment */
    } state;
    double deadline_ms; /* of this state */
    struct exchange exchange;
    struct gate_result framing;
    char *target;          /* the path, decoded, and the query behind it */
    const char *target_at; /* in libmicrohttpd's memory */
    char *body;
    size_t room, swallowed;
    uint64_t client; /* whose requests are counted together */
    bool last;       /* the connection ends with this reply */
    bool gone;       /* the client has left: nothing is sent */
    bool hung_up;    /* it sends no more; all of it may not be read yet */
    double dead_ms;  /* when a request that can never end is given up; 0: it can */
};

struct http {
    struct service *service;
    struct jobs *jobs;
    struct MHD_Daemon *daemon;
    int epoll, signals;
    struct peer *peers;
    size_t count;
    enum { SERVING, WAITING, DRAINING, STOPPING } phase;
    double phase_ends_ms, next_scan_ms, accept_again_ms;
    uint64_t id_seed, ids;
    struct keys *keys; /* NULL: none needed */
    struct rate *rate; /* NULL: no limit */
    struct metrics *metrics;
    struct notify notify;
    bool lost; /* requests were given up */
};

/* Who comes in and by which door. libmicrohttpd keeps the address until it begins the connection,
 * which is later, and gives it back then; behind the longest kind there is room for the door. */
union entry {
    struct sockaddr_storage address;
    struct {
        char longest[120];
        const struct door *door;
    };
};
_Static_assert(sizeof(union entry) == sizeof(struct sockaddr_storage), "it fits in the address");

/* http.c's, for the loop. */
int http_epoll(struct http *http); /* readable when http_step has something to do */
bool http_step(struct http *http); /* true: there is more to do at once */
void http_accept(struct http *http, int fd, const union entry *entry);
void http_resume(struct peer *peer); /* a suspended peer's exchange is answered */

/* http.c's, for admit.c. */
void http_head(const struct peer *peer, struct gate_request *head); /* its headers and its end */
const char *peer_header(const struct peer *peer, const char *name); /* "" when absent */

/* admit.c's, for http.c. The head is complete: all that can be decided before the body is decided
 * by peer_admit(); peer_take() keeps the body. */
bool admit_init(struct http *http, struct error *err);    /* keys and rates */
void peer_identify(struct peer *peer, const char *given); /* X-Request-ID, or "" */
bool peer_admit(struct peer *peer, const char *method, const char *version, struct error *err);
bool peer_take(struct peer *peer, const char *data, size_t size, struct error *err);
bool peer_busy(struct error *err); /* false, as fail() is */

/* loop.c's, for http.c. */
bool loop_init(struct http *http);
void loop_end(struct http *http);
void loop_watch(struct peer *peer); /* notices when the client leaves */
void loop_unwatch(struct peer *peer);

/* Answers with exchange.out at once, in the middle of a request, and ends the connection: first
 * our side, and when the client has had a moment to stop and read, the other. */
void peer_cut(struct peer *peer);
void peer_fail(struct peer *peer, const struct error *err);
