/* The load itself: non-blocking sockets, one epoll. */
#include "tests/bench/load_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 256, FIRST_ROOM = 1 << 16, MOST_DONE = 1 << 20 };

struct connection {
    int fd;
    bool busy;
    size_t sent, got, room, body_at, body_size;
    char *buffer;
    double since; /* sent, or due */
};

struct run {
    struct load *load;
    int epoll;
    struct connection connections[MOST_CONNECTIONS];
    size_t due; /* begun */
    double began, ends;
    bool failed;
};

double load_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void load_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
}

double load_quantile(const double *sorted, size_t count, double part)
{
    return count ? sorted[(size_t)(part * (double)(count - 1) + 0.5)] : 0;
}

static bool open_connection(struct run *run, struct connection *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)run->load->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    c->buffer = malloc(c->room = FIRST_ROOM);
    if (c->fd < 0 || !c->buffer || connect(c->fd, (struct sockaddr *)&to, sizeof to))
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return !epoll_ctl(run->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

/* A server may end a connection that was idle for too long, with a 408 or without a word. */
static bool has_ended(const struct connection *c)
{
    return recv(c->fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static bool reopen(struct run *run, struct connection *c)
{
    close(c->fd);
    free(c->buffer);
    return open_connection(run, c);
}

static void send_more(struct run *run, struct connection *c)
{
    while (c->busy && c->sent < run->load->request_size) {
        ssize_t size = send(c->fd, run->load->request + c->sent, run->load->request_size - c->sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);

        if (size < 0) {
            run->failed |= errno != EAGAIN;
            return;
        }
        c->sent += (size_t)size;
    }
}

static void begin(struct run *run, struct connection *c, double since)
{
    if (has_ended(c))
        run->failed |= !reopen(run, c);
    c->busy = true;
    c->since = since;
    c->sent = c->got = c->body_at = 0;
    run->due++;
    send_more(run, c);
}

/* What is to be sent now: closed, on every idle connection; open, what has fallen due. */
static void begin_due(struct run *run)
{
    struct load *load = run->load;
    double now = load_now();

    for (int i = 0; i < load->connections && now < run->ends; i++) {
        double since = load->rate > 0 ? run->began + (double)run->due / load->rate : now;

        if (!run->connections[i].busy && since <= now)
            begin(run, &run->connections[i], since);
    }
}

static void finish(struct run *run, struct connection *c)
{
    struct load *load = run->load;
    struct load_reply reply = { .status = atoi(c->buffer + 9),
                                .head = c->buffer,
                                .body = c->buffer + c->body_at,
                                .size = c->body_size };

    c->buffer[c->body_at - 1] = '\0';
    if (load->done < MOST_DONE)
        load->ms[load->done++] = (load_now() - c->since) * 1e3;
    load->wrong += !load->check(load->arg, &reply);
    c->busy = false;
}

/* Once the head is there: where the body is, and room for all of it. */
static void read_head(struct run *run, struct connection *c)
{
    char *end = memmem(c->buffer, c->got, "\r\n\r\n", 4), *length;

    if (!end)
        return;
    *end = '\0';
    length = strcasestr(c->buffer, "\r\ncontent-length:");
    run->failed |= !length;
    c->body_at = (size_t)(end + 4 - c->buffer);
    c->body_size = length ? strtoul(length + 17, NULL, 10) : 0;
    if (c->body_at + c->body_size > c->room) {
        c->room = c->body_at + c->body_size;
        c->buffer = realloc(c->buffer, c->room);
        run->failed |= !c->buffer;
    }
}

static void receive_more(struct run *run, struct connection *c)
{
    while (c->busy && !run->failed) {
        ssize_t size = recv(c->fd, c->buffer + c->got, c->room - c->got, MSG_DONTWAIT);

        if (size <= 0) {
            run->failed |= size == 0 || errno != EAGAIN;
            return;
        }
        c->got += (size_t)size;
        if (!c->body_at)
            read_head(run, c);
        if (!run->failed && c->body_at && c->got >= c->body_at + c->body_size)
            finish(run, c);
    }
}

static bool any_busy(const struct run *run)
{
    for (int i = 0; i < run->load->connections; i++)
        if (run->connections[i].busy)
            return true;
    return false;
}

static void drive(struct run *run)
{
    struct epoll_event events[64];

    while (!run->failed && (load_now() < run->ends || any_busy(run))) {
        int count;

        begin_due(run);
        count = epoll_wait(run->epoll, events, 64, 1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;

            send_more(run, c);
            receive_more(run, c);
            if (!c->busy)
                begin_due(run);
        }
    }
}

bool load_run(struct load *load)
{
    static struct run run; /* large; one at a time */

    run = (struct run){ .load = load, .epoll = epoll_create1(0) };
    load->done = load->wrong = 0;
    load->ms = malloc(MOST_DONE * sizeof *load->ms);
    for (int i = 0; i < load->connections; i++)
        run.failed |= !open_connection(&run, &run.connections[i]);
    run.began = load_now();
    run.ends = run.began + load->seconds;
    drive(&run);
    load->elapsed = load_now() - run.began;
    for (int i = 0; i < load->connections; i++) {
        close(run.connections[i].fd);
        free(run.connections[i].buffer);
    }
    close(run.epoll);
    load_sort(load->ms, load->done);
    return !run.failed;
}
