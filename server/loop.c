/* The event loop: connections in, finished work out, deadlines, clients that leave, signals and
 * the drain. It never computes and never waits for anything but epoll. */
#include "server/clock.h"
#include "server/keys.h"
#include "server/layers.h"
#include "server/listen.h"
#include "server/metrics.h"
#include "server/notify.h"
#include "server/peer.h"

#include <errno.h>
#include <linux/tcp.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    TICK_MS = 10, /* how late a deadline may be seen */
    SCAN_MS = 10,
    EVENTS = 64,
    ACCEPT_AT_ONCE = 64, /* so that a flood of connections leaves room for requests */
    PAUSE_MS = 100,      /* without accepting, when the system has no files left */
    DRAIN_IDLE_MS = 300, /* for requests that are on their way when we stop */
    FLUSH_MS = 1000,     /* for the last replies when requests were given up */
    ASIDE = 64           /* connections of the operator's door over --max-connections */
};

static bool watch(struct http *http, int fd, uint32_t events, void *who)
{
    struct epoll_event event = { .events = events, .data.ptr = who };

    return epoll_ctl(http->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool watch_doors(struct http *http)
{
    struct door *doors = http->service->doors;
    bool done = true;

    for (int i = 0; i < DOORS; i++)
        done &= doors[i].fd < 0 || watch(http, doors[i].fd, EPOLLIN, &doors[i]);
    return done;
}

bool loop_init(struct http *http)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    http->epoll = epoll_create1(EPOLL_CLOEXEC);
    http->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return http->epoll >= 0 && http->signals >= 0 &&
           watch(http, http->signals, EPOLLIN, &http->signals) && watch_doors(http) &&
           watch(http, jobs_fd(http->jobs), EPOLLIN, &http->jobs) &&
           watch(http, http_epoll(http), EPOLLIN, &http->daemon);
}

void loop_end(struct http *http)
{
    if (http->signals >= 0)
        close(http->signals);
    if (http->epoll >= 0)
        close(http->epoll);
}

/* libmicrohttpd, which reads after an edge of its own until a read is short, never sees an end
 * that came together with the last bytes. */
void loop_watch(struct peer *peer)
{
    watch(peer->http, peer->fd, EPOLLRDHUP | EPOLLET, peer);
}

void loop_unwatch(struct peer *peer)
{
    epoll_ctl(peer->http->epoll, EPOLL_CTL_DEL, peer->fd, NULL);
}

/* --- work that ends, or has to --- */

/* A job that waits is answered here and now; a running one is told to stop, and says so itself. */
static void give_up(struct peer *peer, enum error_code why)
{
    struct exchange *exchange = &peer->exchange;

    if (atomic_load(&exchange->stop))
        return;
    atomic_store(&exchange->why, (int)why);
    atomic_store(&exchange->stop, true);
    if (!jobs_cancel(peer->http->jobs, exchange))
        return;
    exchange_answer(exchange); /* which sees stop and runs nothing */
    http_resume(peer);
}

static void on_hang_up(struct peer *peer)
{
    peer->hung_up = true;
    if (peer->state != AT_WORK)
        return;
    peer->gone = true;
    give_up(peer, ERR_GONE);
}

static void on_done(struct http *http)
{
    for (struct exchange *exchange = jobs_done(http->jobs), *next; exchange; exchange = next) {
        next = exchange->next;
        http_resume((struct peer *)((char *)exchange - offsetof(struct peer, exchange)));
    }
}

/* --- connections --- */

/* One line that every client understands, and no more of our time. */
static void turn_away(int fd, int retry_s)
{
    static const char body[] = "{\"type\":\"/problems/busy\",\"title\":\"The server is at its "
                               "capacity\",\"status\":503,\"detail\":\"too many connections\"}";
    char text[512], rest[4096];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\n"
                        "Content-Type: application/problem+json\r\nConnection: close\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        retry_s, sizeof body - 1, body);

    send(fd, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0) /* unread bytes would reset the reply */
        continue;
    close(fd);
}

static void pause_accepting(struct http *http)
{
    struct door *doors = http->service->doors;

    log_say(&http->service->log, LOG_WARNING, "cannot accept: %m");
    http->accept_again_ms = clock_ms() + PAUSE_MS;
    for (int i = 0; i < DOORS; i++)
        epoll_ctl(http->epoll, EPOLL_CTL_DEL, doors[i].fd, NULL);
}

static void accept_some(struct http *http, const struct door *door, int most)
{
    size_t room = http->service->config->max_connections +
                  (door == &http->service->doors[OPERATOR] ? ASIDE : 0);
    int fd, on = 1;

    while (most-- > 0 && door->fd >= 0) {
        union entry entry = { 0 };
        socklen_t size = sizeof entry.longest;

        fd = accept4(door->fd, (struct sockaddr *)&entry, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        entry.door = door;
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue;
        if (fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                pause_accepting(http);
            return;
        }
        if (http->count >= room) {
            http->metrics->rejected[ERR_BUSY]++;
            turn_away(fd, 1 + (int)(http->metrics->rejected[ERR_BUSY] % 4));
            continue;
        }
        if (entry.address.ss_family != AF_UNIX)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        http_accept(http, fd, &entry);
    }
}

/* --- deadlines --- */

static void too_slow(struct peer *peer, const char *what, int64_t limit)
{
    struct error err;

    fail(&err, ERR_SLOW, "", "the request's %s took longer than %lld ms (--%s-timeout)", what,
         (long long)limit, what);
    peer_fail(peer, &err);
}

/* A browser or a proxy opens connections ahead of need; a reply there would be taken for the answer
 * to a request that crosses it. */
static bool said_nothing(const struct peer *peer)
{
    struct tcp_info info;
    socklen_t size = sizeof info;

    return !getsockopt(peer->fd, IPPROTO_TCP, TCP_INFO, &info, &size) && !info.tcpi_bytes_received;
}

static void on_late(struct peer *peer)
{
    const struct config *config = peer->http->service->config;

    switch (peer->state) {
    case AT_BODY:
        too_slow(peer, "body", config->body_timeout);
        break;
    case AT_HEAD:
        if (!said_nothing(peer)) {
            too_slow(peer, "header", config->header_timeout);
            break;
        }
        /* fall through */
    case AT_REPLY:
    case AT_REST:
    case AT_END:
        shutdown(peer->fd, SHUT_RDWR);
        peer->deadline_ms = INFINITY;
        break;
    default:
        break;
    }
}

/* Nothing more will come, and half a request is all there is. What libmicrohttpd holds already may
 * be a request, so it gets one more scan. */
static void bury(struct peer *peer, double now)
{
    int unread = 0;

    if (peer->state == AT_WORK) /* it had hung up before it was whole */
        on_hang_up(peer);
    else if (peer->state == AT_REPLY || ioctl(peer->fd, FIONREAD, &unread) || unread)
        return;
    else if (!peer->dead_ms)
        peer->dead_ms = now + SCAN_MS;
    else if (now >= peer->dead_ms)
        shutdown(peer->fd, SHUT_RDWR);
}

static void scan(struct http *http, double now)
{
    for (struct peer *peer = http->peers; peer; peer = peer->next) {
        if (peer->hung_up)
            bury(peer, now);
        if (peer->state == AT_WORK && now >= atomic_load(&peer->exchange.deadline_ms))
            give_up(peer, ERR_DEADLINE);
        else if (now >= peer->deadline_ms)
            on_late(peer);
    }
    if (http->accept_again_ms && now >= http->accept_again_ms) {
        http->accept_again_ms = 0;
        watch_doors(http);
    }
}

/* --- the end --- */

/* What has connected already is still served: it is taken out of the kernel's queue first. */
static void stop_accepting(struct http *http, double now)
{
    for (struct door *door = http->service->doors; door < http->service->doors + DOORS; door++) {
        accept_some(http, door, (int)http->service->config->max_connections);
        listen_close(door);
    }
    http->accept_again_ms = 0;
    for (struct peer *peer = http->peers; peer; peer = peer->next)
        if (peer->state == AT_REST || (peer->state == AT_HEAD && !peer->target))
            peer->deadline_ms = fmin(peer->deadline_ms, now + DRAIN_IDLE_MS);
}

static void give_up_all(struct http *http)
{
    struct error err;

    fail(&err, ERR_DRAINING, "", "the server is stopping; send the request to another one");
    for (struct peer *peer = http->peers; peer; peer = peer->next)
        if (peer->state == AT_WORK) {
            http->lost = true;
            give_up(peer, ERR_DRAINING);
        } else if (peer->state == AT_BODY || (peer->state == AT_HEAD && peer->target)) {
            http->lost = true;
            peer_fail(peer, &err);
        }
}

static void enter(struct http *http, int phase, double now)
{
    const struct config *config = http->service->config;

    http->phase = phase;
    if (phase == WAITING) {
        http->service->draining = true;
        http->phase_ends_ms = now + (double)config->drain_delay;
        notify_say(&http->notify, "STOPPING=1");
        log_say(&http->service->log, LOG_INFO, "stopping: not ready any more");
    } else if (phase == DRAINING) {
        stop_accepting(http, now);
        http->phase_ends_ms = now + (double)config->shutdown_timeout;
    } else {
        give_up_all(http);
        http->phase_ends_ms = now + FLUSH_MS;
    }
}

/* All or nothing: what cannot be read leaves keys and layers as they were. */
static void reload_all(struct http *http)
{
    const char *path = http->service->config->api_key_file;
    struct layers *layers = http->service->layers;
    struct error err;
    struct keys *keys = *path ? keys_read(path, &err) : NULL;
    bool keyed = !*path || keys;
    int folder = layers && keyed ? layers_find_folder(layers, &err) : -1;

    if (!keyed || (layers && folder < 0)) {
        keys_free(keys);
        log_say(&http->service->log, LOG_ERROR, "SIGHUP: nothing changed: %s", err.detail);
        return;
    }
    keys_free(http->keys);
    http->keys = keys;
    if (layers)
        layers_use_folder(layers, folder);
    log_say(&http->service->log, LOG_INFO, "SIGHUP: %s",
            keys && layers ? "keys and layers read"
            : keys         ? "keys read"
            : layers       ? "layers read"
                           : "nothing to read");
}

static void reload(struct http *http)
{
    notify_reloading(&http->notify);
    reload_all(http);
    notify_say(&http->notify, "READY=1");
}

static void on_signal(struct http *http)
{
    struct signalfd_siginfo info;

    while (read(http->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            reload(http);
            continue;
        }
        if (http->phase == SERVING) {
            enter(http, WAITING, clock_ms());
            continue;
        }
        log_say(&http->service->log, LOG_WARNING, "told to stop twice: ending now");
        for (int i = 0; i < DOORS; i++)
            listen_close(&http->service->doors[i]);
        _exit(1);
    }
}

static bool working(const struct http *http)
{
    for (const struct peer *peer = http->peers; peer; peer = peer->next)
        if (peer->state == AT_WORK)
            return true;
    return false;
}

/* true: all is done. libmicrohttpd must not be stopped while a connection is suspended. */
static bool advance(struct http *http, double now)
{
    if (http->phase == WAITING && now >= http->phase_ends_ms)
        enter(http, DRAINING, now);
    if (http->phase >= DRAINING && !http->count)
        return true;
    if (http->phase == DRAINING && now >= http->phase_ends_ms)
        enter(http, STOPPING, now);
    return http->phase == STOPPING && now >= http->phase_ends_ms && !working(http);
}

/* --- the loop --- */

static void dispatch(struct http *http, void *who)
{
    struct door *doors = http->service->doors;

    if (who == &http->signals)
        on_signal(http);
    else if (who == &doors[PUBLIC] || who == &doors[OPERATOR])
        accept_some(http, who, ACCEPT_AT_ONCE);
    else if (who == &http->jobs)
        on_done(http);
    else if (who != &http->daemon)
        on_hang_up(who);
}

/* Milliseconds that epoll may wait; -1 for ever. */
static int patience(const struct http *http, bool more)
{
    bool idle = !http->count && http->phase == SERVING && !http->accept_again_ms;

    return more ? 0 : idle ? notify_patience(&http->notify, clock_ms()) : TICK_MS;
}

bool http_serve(struct http *http)
{
    struct epoll_event events[EVENTS];
    bool more = false;
    double now;

    notify_open(&http->notify);
    notify_say(&http->notify, "READY=1");
    do {
        int count = epoll_wait(http->epoll, events, EVENTS, patience(http, more));

        for (int i = 0; i < count; i++)
            dispatch(http, events[i].data.ptr);
        more = http_step(http);
        now = clock_ms();
        notify_alive(&http->notify, now);
        if (now >= http->next_scan_ms) {
            scan(http, now);
            http->next_scan_ms = now + SCAN_MS;
        }
    } while (!advance(http, now));
    return !http->lost;
}
