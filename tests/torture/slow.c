/* Promise 8: connections that drip a header, drip a body or do not read their reply cost healthy
 * clients nothing. SLOW=2000 of them. */
#include "tests/torture/endure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONG_FORM = 2000, DRIP_MS = 500 };

/* What a slow client says at once, and then byte by byte; a reader says it all and reads a byte
 * now and then: most of them of a reply that the kernel holds, some of one that it cannot. */
static const char *const kinds[] = {
    "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Padding: ",
    "POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{\"image\":[[",
    "GET /samples/noise?size=300 HTTP/1.1\r\nHost: localhost\r\n\r\n",
};

struct plan {
    int port;
    size_t count;
    const char *large;
};

static int connect_slow(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ 2048 }, sizeof(int));
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static bool is_reader(size_t i)
{
    return i % 3 == 2;
}

static void begin(int *fd, size_t i, const struct plan *plan)
{
    const char *text = i % 30 == 2 ? plan->large : kinds[i % 3];

    *fd = connect_slow(plan->port);
    if (*fd >= 0 && send(*fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
        close(*fd);
        *fd = -1;
    }
}

/* false: the daemon has had enough of it. */
static bool drip(int fd, size_t i)
{
    char byte = '1';

    if (is_reader(i))
        return recv(fd, &byte, 1, 0) != 0;
    if (send(fd, &byte, 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        return false;
    return recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN;
}

static void be_slow(struct shared *shared, void *arg)
{
    const struct plan *plan = arg;
    int *fds = malloc(plan->count * sizeof *fds);

    for (size_t i = 0; i < plan->count; i++) {
        begin(&fds[i], i, plan);
        usleep(500);
    }
    atomic_store(&shared->ready, true);
    while (!atomic_load(&shared->stop)) {
        long open = 0;

        for (size_t i = 0; i < plan->count && !atomic_load(&shared->stop); i++) {
            if (fds[i] >= 0 && !drip(fds[i], i)) {
                close(fds[i]);
                fds[i] = -1;
                atomic_fetch_add(&shared->wrong, 1);
            }
            if (fds[i] < 0)
                begin(&fds[i], i, plan);
            open += fds[i] >= 0;
            if (i % 20 == 19)
                usleep(DRIP_MS * 20000 / (useconds_t)plan->count);
        }
        atomic_store(&shared->count, open);
    }
}

TEST(slow_connections_do_not_hurt_healthy_requests)
{
    struct daemon *daemon = daemon_start("--log-level", "warning");
    size_t count = count_from("SLOW", LONG_FORM);
    double seconds = count >= LONG_FORM ? 10 : 2, idle, slow, held;
    const char *request = posted(LIGHT);
    struct plan plan = {
        daemon->port, count,
        posted("{\"image\":{\"sample\":\"noise\",\"size\":512},\"weights\":{\"random\":{\"seed\":1}"
               "},\"out_channels\":8,\"kernel_size\":1,\"format\":\"raw\"}")
    };
    struct tally tally = { .compare = true };
    struct helper helper;

    tally_run(&tally, daemon->port, 2, 0, 1, request); /* warm */
    tally_run(&tally, daemon->port, 2, 0, seconds, request);
    idle = load_quantile(tally.done_ms, tally.done, 0.99);
    printf("idle: %zu requests, p50 %.2f ms, p99 %.2f ms\n", tally.done,
           load_quantile(tally.done_ms, tally.done, 0.5), idle);
    helper = helper_start(be_slow, &plan);
    for (int i = 0; i < 30000 && !atomic_load(&helper.shared->ready); i++)
        usleep(1000);
    wait_for_metric(daemon, "convolved_jobs_running", 0);
    tally_run(&tally, daemon->port, 2, 0, seconds, request);
    slow = load_quantile(tally.done_ms, tally.done, 0.99);
    held = metric(daemon, "convolved_connections");
    printf("with %.0f connections open (%zu slow: header, body, read): %zu requests, p50 %.2f ms, "
           "p99 %.2f ms, %.2f x idle\n",
           held, count, tally.done, load_quantile(tally.done_ms, tally.done, 0.5), slow,
           slow / idle);
    printf("the daemon cut %ld slow connections meanwhile; %zu healthy requests refused, %zu "
           "wrong\n",
           atomic_load(&helper.shared->wrong), tally.refused, tally.wrong);
    helper_stop(&helper);
    assert_true(held > 0.95 * (double)count);
    assert_true(tally.done > 0);
    assert_int_equal(tally.refused + tally.wrong, 0);
    if (count >= LONG_FORM) /* a short form runs anywhere: it judges no times */
        assert_true(slow <= 2 * idle);
    wait_for_metric(daemon, "convolved_connections", 1);
    wait_for_metric(daemon, "convolved_memory_used_bytes", 0);
    assert_int_equal(daemon_stop(daemon), 0);
    free(tally.body);
}
