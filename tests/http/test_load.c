/* Many at once, too many at once, too slow, gone, and told to stop: nobody waits for ever and
 * nothing that was accepted is lost. */
#include "tests/http/harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A layer of some milliseconds. */
#define LIGHT                                                                                      \
    "{\"image\":{\"sample\":\"noise\",\"size\":128},\"weights\":{\"random\":{\"seed\":1}},"        \
    "\"out_channels\":32,\"kernel_size\":9,\"data\":\"none\"}"
#define MIDDLE /* a tenth of a second and more */                                                  \
    "{\"image\":{\"sample\":\"noise\",\"size\":128},\"weights\":{\"random\":{\"seed\":1}},"        \
    "\"out_channels\":32,\"kernel_size\":9,\"algorithm\":\"reference\",\"data\":\"none\"}"

static const char *posted(const char *body)
{
    return text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
}

/* All of them have a whole request waiting in the kernel before the daemon can see the first. */
static void assert_all_ready_are_answered(struct daemon *daemon, int count, const char *request)
{
    int *fds = keep(calloc((size_t)count, sizeof *fds));

    kill(daemon->pid, SIGSTOP);
    for (int i = 0; i < count; i++) {
        fds[i] = raw_open(daemon);
        raw_write(fds[i], request, strlen(request));
    }
    kill(daemon->pid, SIGCONT);
    for (int i = 0; i < count; i++) {
        char *reply = raw_read(fds[i]);

        if (strncmp(reply, "HTTP/1.1 200 ", 13))
            fail_msg("connection %d of %d: %.100s", i, count, reply);
        close(fds[i]);
    }
}

TEST(any_number_of_connections_that_are_ready_at_once_is_answered)
{
    static const int counts[] = { 1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300 };
    struct daemon *daemon = daemon_start();

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        assert_all_ready_are_answered(daemon, counts[i],
                                      "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(work_for_128_and_256_connections_that_are_ready_at_once_is_done)
{
    struct daemon *daemon = daemon_start("--queue", "300");
    const char *request = posted("{\"image\":{\"sample\":\"tiny\"},\"weights\":\"sobel_x\"}");

    assert_all_ready_are_answered(daemon, 128, request);
    assert_all_ready_are_answered(daemon, 256, request);
    assert_int_equal(daemon_stop(daemon), 0);
}

static void parallel(struct daemon *daemon, int count, const char *body, struct answer **answers)
{
    struct call *calls = keep(calloc((size_t)count, sizeof *calls));

    for (int i = 0; i < count; i++)
        calls[i] = (struct call){ .path = "/convolve", .type = "application/json", .body = body };
    http_parallel(daemon, calls, count, answers);
}

TEST(a_short_queue_gives_only_200_and_503_and_a_clean_stop)
{
    struct daemon *daemon = daemon_start("--workers", "2", "--queue", "2");
    struct answer *answers[24];
    int done = 0;

    parallel(daemon, 24, LIGHT, answers);
    for (int i = 0; i < 24; i++) {
        if (answers[i]->status != 200)
            assert_problem(answers[i], 503, "busy", "", "queue");
        done += answers[i]->status == 200;
    }
    assert_true(done >= 4); /* two that run and two that wait, at the least */
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(sigterm_during_50_requests_loses_none_of_them)
{
    struct daemon *daemon =
        daemon_start("--workers", "2", "--queue", "60", "--shutdown-timeout", "5min");
    int fds[50];

    for (int i = 0; i < 50; i++) { /* the first two keep both workers until the signal is there */
        const char *request = posted(i < 2 ? MIDDLE : LIGHT);

        fds[i] = raw_open(daemon);
        raw_write(fds[i], request, strlen(request));
    }
    kill(daemon->pid, SIGTERM);
    for (int i = 0; i < 50; i++) {
        char *reply = raw_read(fds[i]);

        if (strncmp(reply, "HTTP/1.1 200 ", 13))
            fail_msg("request %d: %.200s", i, reply);
        assert_non_null(strstr(reply, "Connection: close"));
        close(fds[i]);
    }
    assert_int_equal(daemon_wait(daemon), 0);
}

TEST(while_it_drains_it_is_alive_but_not_ready)
{
    struct daemon *daemon = daemon_start("--drain-delay", "1s");
    double until = now_ms() + 10000;
    int status;

    kill(daemon->pid, SIGTERM);
    do
        status = http_call(daemon, &(struct call){ .path = "/readyz" })->status;
    while (status == 200 && now_ms() < until);
    assert_int_equal(status, 503);
    assert_int_equal(http_call(daemon, &(struct call){ .path = "/livez" })->status, 200);
    assert_int_equal(daemon_wait(daemon), 0);
}

TEST(an_idle_connection_does_not_hold_up_the_stop)
{
    struct daemon *daemon = daemon_start();
    int fd = raw_open(daemon), untouched = raw_open(daemon);
    double started;

    raw_write(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
    raw_read(fd);
    started = now_ms();
    assert_int_equal(daemon_stop(daemon), 0);
    assert_true(now_ms() - started < 8000); /* --header-timeout alone would take 10 s */
    close(fd);
    close(untouched);
}

TEST(work_over_the_shutdown_timeout_is_given_up_with_503_and_exit_status_1)
{
    struct daemon *daemon = daemon_start("--workers", "1", "--shutdown-timeout", "200ms");
    const char *request = posted(ENDLESS);
    int running = raw_open(daemon), waiting = raw_open(daemon);
    char *reply;

    raw_write(running, request, strlen(request));
    usleep(100000);
    raw_write(waiting, request, strlen(request));
    usleep(50000);
    kill(daemon->pid, SIGTERM);
    reply = raw_read(running);
    assert_memory_equal(reply, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(reply, "/problems/draining"));
    assert_memory_equal(raw_read(waiting), "HTTP/1.1 503 ", 13);
    assert_int_equal(daemon_wait(daemon), 1);
    close(running);
    close(waiting);
}

TEST(a_second_sigterm_means_now)
{
    struct daemon *daemon = daemon_start("--drain-delay", "1h");
    double until = now_ms() + 10000;

    kill(daemon->pid, SIGTERM);
    while (!strstr(daemon_log(daemon), "not ready") && now_ms() < until)
        usleep(1000);
    kill(daemon->pid, SIGTERM);
    assert_int_equal(daemon_wait(daemon), 1);
}

TEST(a_queued_request_past_its_deadline_is_answered_while_the_worker_is_still_busy)
{
    struct daemon *daemon = daemon_start("--workers", "1", "--request-timeout", "400ms");
    struct answer *answers[3];

    parallel(daemon, 3, ENDLESS, answers);
    for (int i = 0; i < 3; i++) {
        assert_problem(answers[i], 504, "deadline", "/timeout_ms", "400");
        assert_true(answers[i]->ms < 20000);
    }
    assert_int_equal(daemon_stop(daemon), 0);
}

/* Its worker is free again when a request behind it is answered. */
TEST(a_client_that_leaves_frees_its_worker_and_its_place_in_the_queue)
{
    struct daemon *daemon = daemon_start("--workers", "1", "--queue", "1");
    const char *request = posted(ENDLESS);
    struct answer *answer;

    for (int round = 0; round < 5; round++) {
        int running = raw_open(daemon), waiting = raw_open(daemon);

        raw_write(running, request, strlen(request));
        usleep(30000);
        raw_write(waiting, request, strlen(request));
        usleep(30000);
        close(waiting);
        close(running);
        answer = NULL;
        for (double until = now_ms() + 20000; now_ms() < until; usleep(2000)) {
            answer = http_call(
                daemon,
                &(struct call){ .path = "/convolve", .type = "application/json", .body = LIGHT });
            if (answer->status == 200)
                break;
            assert_int_equal(answer->status, 503);
        }
        assert_int_equal(answer->status, 200);
    }
    assert_non_null(strstr(daemon_log(daemon), "status=499"));
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(health_does_not_wait_behind_work)
{
    struct daemon *daemon = daemon_start("--workers", "1", "--queue", "1");
    const char *request = posted(ENDLESS);
    int fds[2];

    for (int i = 0; i < 2; i++) {
        fds[i] = raw_open(daemon);
        raw_write(fds[i], request, strlen(request));
    }
    usleep(50000);
    for (int i = 0; i < 50; i++)
        assert_int_equal(http_call(daemon, &(struct call){ .path = "/readyz" })->status, 200);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* One byte now and then keeps libmicrohttpd's own timeout from ever passing. */
static char *dripped(struct daemon *daemon, const char *request)
{
    int fd = raw_open(daemon);
    char *reply = "";

    for (double until = now_ms() + 10000; *request && now_ms() < until; request++) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };

        raw_write(fd, request, 1);
        if (poll(&wait, 1, 20) > 0)
            break;
    }
    reply = raw_read(fd);
    close(fd);
    return reply;
}

TEST(a_header_that_drips_is_408_when_its_time_is_over)
{
    struct daemon *daemon = daemon_start("--header-timeout", "300ms");
    char *reply =
        dripped(daemon, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Padding: "
                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                        "\r\n\r\n");

    assert_memory_equal(reply, "HTTP/1.1 408 ", 13);
    assert_non_null(strstr(reply, "--header-timeout"));
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(a_connection_that_never_speaks_is_closed_without_a_word)
{
    struct daemon *daemon = daemon_start("--header-timeout", "300ms");
    int fd = raw_open(daemon);

    assert_string_equal(raw_read(fd), "");
    close(fd);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(a_body_that_drips_is_408_when_its_time_is_over)
{
    struct daemon *daemon = daemon_start("--body-timeout", "300ms");
    char *reply =
        dripped(daemon, posted("{                                                      "
                               "                                                      }"));

    assert_memory_equal(reply, "HTTP/1.1 408 ", 13);
    assert_non_null(strstr(reply, "--body-timeout"));
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(a_connection_at_rest_is_closed_after_its_idle_time_and_not_before)
{
    struct daemon *daemon = daemon_start("--idle-timeout", "400ms");
    int fd = raw_open(daemon);
    char byte;

    for (int i = 0; i < 2; i++) {
        raw_write(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
        assert_memory_equal(raw_read(fd), "HTTP/1.1 200 ", 13);
        usleep(100000);
    }
    assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 10000), 1);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(connections_over_the_cap_are_told_so_and_the_next_ones_are_served)
{
    struct daemon *daemon = daemon_start("--max-connections", "8");
    int fds[8];
    char *reply;
    cJSON *json;

    for (int i = 0; i < 8; i++) {
        fds[i] = raw_open(daemon);
        raw_write(fds[i], "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
        assert_memory_equal(raw_read(fds[i]), "HTTP/1.1 200 ", 13);
    }
    reply = raw_exchange(daemon, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_memory_equal(reply, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(reply, "Retry-After"));
    json = cJSON_Parse(strstr(reply, "\r\n\r\n"));
    assert_non_null(json);
    cJSON_Delete(json);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    for (double until = now_ms() + 10000; now_ms() < until; usleep(2000))
        if (!strncmp(raw_exchange(daemon, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                     "HTTP/1.1 200 ", 13))
            break;
    assert_int_equal(http_call(daemon, &(struct call){ .path = "/livez" })->status, 200);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* Each of them needs over 50 MB; two at a time do not fit, and which ones are turned away is chance. */
TEST(requests_over_the_memory_of_all_together_are_503_and_the_next_ones_are_served)
{
    struct daemon *daemon =
        daemon_start("--memory", "80MiB", "--workers", "2", "--log-level", "off");
    const char *body = "{\"image\":{\"sample\":\"noise\",\"size\":512},\"weights\":{\"random\":"
                       "{\"seed\":1}},\"out_channels\":50,\"kernel_size\":3,\"data\":\"none\"}";
    struct answer *answers[12];
    int done = 0, starved = 0;

    for (int round = 0; round < 10 && !(done && starved); round++) {
        parallel(daemon, 12, body, answers);
        for (int i = 0; i < 12; i++)
            if (answers[i]->status == 200) {
                done++;
            } else {
                assert_problem(answers[i], 503, "busy", "", "--memory");
                assert_in_range(atoi(answer_header(answers[i], "Retry-After")), 1, 60);
                starved++;
            }
    }
    assert_true(done && starved);
    parallel(daemon, 1, body, answers);
    assert_int_equal(answers[0]->status, 200);
    assert_int_equal(daemon_stop(daemon), 0);
}
