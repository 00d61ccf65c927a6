/* Who is turned away, when, and with which words: load is shed before a body is read, what waits
 * too long never runs, and every ending is counted as what it was. */
#include "tests/http/harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIGHT "{\"image\":[[1,2],[3,4]],\"weights\":[[1]]}"

static int posted(struct daemon *daemon, const char *body)
{
    const char *request = text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                                      "Content-Type: application/json\r\n"
                                      "Content-Length: %zu\r\n\r\n%s",
                                      strlen(body), body);
    int fd = raw_open(daemon);

    raw_write(fd, request, strlen(request));
    return fd;
}

static double metric(struct daemon *daemon, const char *series)
{
    const char *text = http_call(daemon, &(struct call){ .path = "/metrics" })->body;
    const char *line = strstr(text, text_format("\n%s ", series));

    return line ? atof(line + 2 + strlen(series)) : 0;
}

/* Seldom enough that the connection of the last look is gone before the next. */
static void wait_for(struct daemon *daemon, const char *series, double value)
{
    double now = metric(daemon, series);

    for (int i = 0; i < 300 && now != value; i++) {
        usleep(30000);
        now = metric(daemon, series);
    }
    if (now != value)
        fail_msg("%s is %g, not %g", series, now, value);
}

/* One that runs and one that waits: the queue is full. */
static struct daemon *full(int fds[2])
{
    struct daemon *daemon = daemon_start("--workers", "1", "--queue", "1");

    fds[0] = posted(daemon, ENDLESS);
    wait_for(daemon, "convolved_jobs_running", 1);
    fds[1] = posted(daemon, ENDLESS);
    wait_for(daemon, "convolved_jobs_waiting", 1);
    return daemon;
}

TEST(a_full_queue_says_503_before_the_body_is_sent_and_not_all_are_told_to_come_back_at_once)
{
    int fds[2], seen[8] = { 0 }, kinds = 0;
    struct daemon *daemon = full(fds);

    for (int i = 0; i < 40; i++) {
        char *reply = raw_exchange(daemon, "POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                                           "Expect: 100-continue\r\nContent-Length: 1000000\r\n"
                                           "\r\n");
        const char *retry = strstr(reply, "\r\nRetry-After: ");

        assert_memory_equal(reply, "HTTP/1.1 503 ", 13);
        assert_non_null(strstr(reply, "/problems/busy"));
        assert_non_null(retry);
        assert_in_range(atoi(retry + 15), 1, 7);
        seen[atoi(retry + 15)]++;
    }
    for (int i = 0; i < 8; i++)
        kinds += seen[i] > 0;
    assert_true(kinds > 1);
    assert_int_equal(metric(daemon, "convolved_rejected_total{reason=\"busy\"}"), 40);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* How many lines with this status have the times that a worker takes, and how many have not. */
static void count_lines(struct daemon *daemon, const char *status, int *ran, int *waited)
{
    char *log = keep(strdup(daemon_log(daemon))), *line, *rest = NULL;

    *ran = *waited = 0;
    for (line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strstr(line, status))
            ++*(strstr(line, "decode_ms=") ? ran : waited);
}

/* Both run out of time together, unless the loop looks just between them: so it has five tries. */
TEST(a_queued_request_past_its_deadline_never_runs)
{
    struct daemon *daemon = daemon_start("--workers", "1", "--request-timeout", "300ms");
    int ran = 0, waited = 0;

    for (int tries = 1; tries <= 5 && !waited; tries++) {
        int first = posted(daemon, ENDLESS), second = posted(daemon, ENDLESS);

        assert_memory_equal(raw_read(first), "HTTP/1.1 504 ", 13);
        assert_memory_equal(raw_read(second), "HTTP/1.1 504 ", 13);
        wait_for(daemon, "convolved_rejected_total{reason=\"deadline\"}", 2 * tries);
        wait_for(daemon, "convolved_jobs_running", 0);
        count_lines(daemon, "status=504", &ran, &waited);
        close(first);
        close(second);
    }
    assert_true(ran >= 1 && waited >= 1);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(what_libmicrohttpd_refuses_by_itself_is_counted_as_refused_and_a_client_that_left_as_gone)
{
    struct daemon *daemon = daemon_start();
    static const char begun[] =
        "POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    int fd;

    raw_exchange(daemon, "POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n");
    wait_for(daemon, "convolved_rejected_total{reason=\"malformed\"}", 1);
    assert_int_equal(metric(daemon, "convolved_cancelled_total"), 0);
    fd = raw_open(daemon);
    raw_write(fd, begun, strlen(begun));
    usleep(20000);
    close(fd);
    wait_for(daemon, "convolved_cancelled_total", 1);
    assert_int_equal(metric(daemon, "convolved_rejected_total{reason=\"malformed\"}"), 1);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* A client that stops in the middle of its request costs nothing after it has gone. */
TEST(a_client_that_leaves_while_it_sends_leaves_nothing)
{
    struct daemon *daemon = daemon_start();
    double files = metric(daemon, "process_open_fds");
    static const char begun[] =
        "POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{";

    for (int i = 0; i < 50; i++) {
        int fd = raw_open(daemon);

        raw_write(fd, begun, strlen(begun) * (size_t)i / 50);
        close(fd);
    }
    wait_for(daemon, "convolved_connections", 1);
    wait_for(daemon, "process_open_fds", files);
    assert_int_equal(metric(daemon, "convolved_memory_used_bytes"), 0);
    assert_int_equal(
        http_call(daemon, &(struct call){ .path = "/convolve", .body = LIGHT })->status, 200);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* 8 MB do not fit into the kernel's buffers when the client's is small. */
TEST(a_reply_that_nobody_reads_gives_its_memory_back)
{
    static const char body[] =
        "{\"image\":{\"sample\":\"noise\",\"size\":512},\"weights\":{\"random\":"
        "{\"seed\":1}},\"out_channels\":8,\"kernel_size\":1,\"format\":\"raw\"}";
    struct daemon *daemon = daemon_start("--idle-timeout", "200ms", "--header-timeout", "200ms",
                                         "--body-timeout", "200ms");
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)daemon->port) };
    const char *request = text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                                      "Content-Length: %zu\r\n\r\n%s",
                                      strlen(body), body);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ 2048 }, sizeof(int));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    raw_write(fd, request, strlen(request));
    for (int i = 0; i < 300 && metric(daemon, "convolved_memory_used_bytes") < 8e6; i++)
        usleep(10000);
    assert_true(metric(daemon, "convolved_memory_used_bytes") > 8e6);
    wait_for(daemon, "convolved_memory_used_bytes", 0);
    assert_int_equal(metric(daemon, "convolved_cancelled_total"), 1);
    close(fd);
    assert_int_equal(daemon_stop(daemon), 0);
}
