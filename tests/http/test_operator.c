/* The process as systemd, Prometheus and tracing see it: sockets that are passed in, READY and
 * WATCHDOG, an address for metrics alone, traceparent in the log. */
#include "tests/http/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NO_OPTIONS ((const char *const[]){ NULL })

/* --- sockets that are passed in --- */

/* Blocking and inherited, as systemd's are. */
static int bound(int *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int status_at(int port, const char *path)
{
    struct daemon there = { .port = port };

    snprintf(there.url, sizeof there.url, "http://127.0.0.1:%d", port);
    return http_call(&there, &(struct call){ .path = path })->status;
}

TEST(a_socket_that_systemd_passes_is_served_without_an_option)
{
    int port, fd = bound(&port);
    struct daemon *daemon = daemon_start_passing(&fd, 1, NO_OPTIONS);

    assert_int_equal(daemon->port, port);
    assert_int_equal(status_at(port, "/livez"), 200);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK); /* of the socket, so seen from here, too */
    assert_int_equal(daemon_stop(daemon), 0);
    close(fd);
}

TEST(a_passed_socket_outlives_the_daemon_and_loses_nobody_who_knocks_in_between)
{
    int port, fd = bound(&port), knocks;
    struct daemon *daemon = daemon_start_passing(&fd, 1, NO_OPTIONS);

    assert_int_equal(daemon_stop(daemon), 0);
    knocks = raw_open(&(struct daemon){ .port = port });
    raw_write(knocks, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
    daemon = daemon_start_passing(&fd, 1, NO_OPTIONS);
    assert_memory_equal(raw_read(knocks), "HTTP/1.1 200 ", 13);
    assert_int_equal(daemon_stop(daemon), 0);
    close(knocks);
    close(fd);
}

TEST(a_passed_socket_that_is_named_metrics_shows_metrics_alone)
{
    int ports[2], fds[2] = { bound(&ports[0]), bound(&ports[1]) };
    struct daemon *daemon;

    setenv("LISTEN_FDNAMES", "metrics:convolved.socket", 1);
    daemon = daemon_start_passing(fds, 2, NO_OPTIONS);
    unsetenv("LISTEN_FDNAMES");
    assert_int_equal(daemon->port, ports[1]);
    assert_int_equal(status_at(ports[0], "/metrics"), 200);
    assert_int_equal(status_at(ports[1], "/metrics"), 404);
    assert_int_equal(daemon_stop(daemon), 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_flag_beats_a_passed_socket_and_another_process_s_sockets_are_nobodys)
{
    int port, fd = bound(&port);
    struct daemon *daemon =
        daemon_start_passing(&fd, 1, (const char *const[]){ "--listen", "127.0.0.1:0", NULL });

    assert_int_not_equal(daemon->port, port);
    assert_int_equal(daemon_stop(daemon), 0);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "1", 1);
    daemon = daemon_start();
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    assert_int_equal(daemon_stop(daemon), 0);
    close(fd);
}

TEST(a_number_that_is_no_listening_socket_is_exit_2)
{
    int status = system(text_format("'%s' --listen fd:77 2>/dev/null", program_path()));

    assert_int_equal(WEXITSTATUS(status), 2);
    status = system(text_format("'%s' --listen fd:0 </dev/null 2>/dev/null", program_path()));
    assert_int_equal(WEXITSTATUS(status), 2);
}

/* --- what systemd is told --- */

/* A datagram socket as NOTIFY_SOCKET names it; abstract ones begin with @. */
static int notify_socket(bool abstract)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *name = text_format("%cconvolved-notify-%d", abstract ? '@' : '.', getpid());
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (!abstract)
        name = text_format("/tmp/%s", name);
    unlink(name);
    strcpy(address.sun_path, name);
    if (abstract)
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void notify_end(int fd)
{
    if (*getenv("NOTIFY_SOCKET") == '/')
        unlink(getenv("NOTIFY_SOCKET"));
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

/* The next thing said that is not WATCHDOG=1. */
static const char *heard(int fd)
{
    char text[256] = "WATCHDOG=1";

    while (!strcmp(text, "WATCHDOG=1")) {
        ssize_t size = poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 10000) > 0
                           ? recv(fd, text, sizeof text - 1, 0)
                           : -1;

        if (size < 0)
            fail_msg("nothing was said for 10 s");
        text[size] = '\0';
    }
    return text_format("%s", text);
}

static void check_life(bool abstract)
{
    int fd = notify_socket(abstract);
    struct daemon *daemon = daemon_start();

    assert_string_equal(heard(fd), "READY=1");
    assert_int_equal(status_at(daemon->port, "/readyz"), 200);
    kill(daemon->pid, SIGHUP);
    assert_memory_equal(heard(fd), "RELOADING=1\nMONOTONIC_USEC=", 27);
    assert_string_equal(heard(fd), "READY=1");
    kill(daemon->pid, SIGTERM);
    assert_string_equal(heard(fd), "STOPPING=1");
    assert_int_equal(daemon_wait(daemon), 0);
    notify_end(fd);
}

TEST(systemd_hears_ready_reloading_and_stopping)
{
    check_life(false);
    check_life(true);
}

static int beats(int fd, double ms)
{
    double until = now_ms() + ms;
    int count = 0;
    char text[64];

    while (now_ms() < until)
        if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 5) > 0 &&
            recv(fd, text, sizeof text, 0) == 10 && !memcmp(text, "WATCHDOG=1", 10))
            count++;
    return count;
}

/* 100 ms of patience: a beat each 50 ms, with nobody there, and while every worker is busy. What
 * would have to be a stuck loop is a stopped process here. */
TEST(the_watchdog_hears_the_loop_idle_or_behind_work_and_not_when_it_is_stuck)
{
    int fd = notify_socket(true), connection;
    struct daemon *daemon;

    setenv("WATCHDOG_USEC", "100000", 1);
    daemon = daemon_start("--workers", "1");
    unsetenv("WATCHDOG_USEC");
    assert_string_equal(heard(fd), "READY=1");
    assert_in_range(beats(fd, 1000), 4, 21);
    connection = raw_open(daemon);
    raw_write(connection,
              text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                          "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          strlen(ENDLESS), ENDLESS),
              strlen(text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                 "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                 strlen(ENDLESS), ENDLESS)));
    assert_in_range(beats(fd, 1000), 4, 21);
    kill(daemon->pid, SIGSTOP);
    beats(fd, 100);
    assert_int_equal(beats(fd, 500), 0);
    kill(daemon->pid, SIGCONT);
    close(connection);
    assert_int_equal(daemon_stop(daemon), 0);
    notify_end(fd);
}

TEST(a_watchdog_of_another_process_and_a_notify_socket_without_a_reader_are_let_be)
{
    int fd = notify_socket(true);
    struct daemon *daemon;

    setenv("WATCHDOG_USEC", "100000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    daemon = daemon_start();
    assert_string_equal(heard(fd), "READY=1");
    assert_int_equal(beats(fd, 300), 0);
    assert_int_equal(daemon_stop(daemon), 0);
    notify_end(fd);
    setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
    daemon = daemon_start();
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(status_at(daemon->port, "/livez"), 200);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* --- an address for metrics alone --- */

static int operator_port(struct daemon *daemon)
{
    const char *line = strstr(daemon_log(daemon), "metrics and health on http://127.0.0.1:");

    assert_non_null(line);
    return atoi(strstr(line, "127.0.0.1:") + strlen("127.0.0.1:"));
}

TEST(metrics_listen_shows_metrics_and_health_and_nothing_else_and_the_public_address_no_metrics)
{
    static const char *const health[] = { "/livez", "/readyz", "/healthz" };
    struct daemon *daemon = daemon_start("--metrics-listen", "127.0.0.1:0");
    int port = operator_port(daemon);

    assert_int_not_equal(port, daemon->port);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(status_at(port, health[i]), 200);
        assert_int_equal(status_at(daemon->port, health[i]), 200);
    }
    assert_int_equal(status_at(port, "/metrics"), 200);
    assert_int_equal(status_at(daemon->port, "/metrics"), 404);
    assert_int_equal(status_at(port, "/"), 404);
    assert_int_equal(status_at(port, "/info"), 404);
    assert_int_equal(status_at(port, "/convolve"), 404);
    assert_int_equal(status_at(port, "/plan?input=3x8x8&K=2&F=3"), 404);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(metrics_are_there_when_the_public_address_is_full)
{
    struct daemon *daemon =
        daemon_start("--metrics-listen", "127.0.0.1:0", "--max-connections", "4");
    int port = operator_port(daemon), fds[4];

    for (int i = 0; i < 4; i++) {
        fds[i] = raw_open(daemon);
        raw_write(fds[i], "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
        assert_memory_equal(raw_read(fds[i]), "HTTP/1.1 200 ", 13);
    }
    assert_int_equal(status_at(daemon->port, "/livez"), 503);
    assert_int_equal(status_at(port, "/metrics"), 200);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(a_metrics_address_that_is_taken_is_exit_3_with_its_option)
{
    FILE *pipe = popen(text_format("'%s' --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:%d 2>&1",
                                   program_path(), daemon_shared()->port),
                       "r");
    char said[1024] = "";

    assert_true(fread(said, 1, sizeof said - 1, pipe) > 0);
    assert_int_equal(WEXITSTATUS(pclose(pipe)), 3);
    assert_non_null(strstr(said, "--metrics-listen"));
}

/* --- tracing --- */

static const cJSON *logged(struct daemon *daemon, const char *id)
{
    const char *mark = text_format("\"id\":\"%s\"", id), *line;
    cJSON *json;

    for (int i = 0; i < 5000 && !strstr(daemon_log(daemon), mark); i++)
        usleep(1000);
    line = strstr(daemon_log(daemon), mark);
    assert_non_null(line);
    while (line[-1] != '\n')
        line--;
    json = cJSON_ParseWithLength(line, strcspn(line, "\n"));
    assert_non_null(json);
    return json;
}

TEST(traceparent_is_in_the_log_when_it_is_one_and_the_shapes_are_too)
{
#define IDS "0123456789abcdef0123456789abcdef-0123456789abcdef"
    static const struct {
        const char *given, *logged;
    } rows[] = {
        { "00-" IDS "-01", "00-" IDS "-01" },
        { "01-" IDS "-00-more", "01-" IDS "-00" },
        { "00-" IDS "-01-more", NULL },
        { "ff-" IDS "-01", NULL },
        { "00-" IDS "-0", NULL },
        { "00-" IDS "-01\"x", NULL },
        { "00-0123456789ABCDEF0123456789abcdef-0123456789abcdef-01", NULL },
        { "00-00000000000000000000000000000000-0123456789abcdef-01", NULL },
        { "00-0123456789abcdef0123456789abcdef-0000000000000000-01", NULL },
        { "", NULL },
    };
    struct daemon *daemon = daemon_start("--log-format", "json");

    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        struct call call = { .path = "/convolve",
                             .type = "application/json",
                             .body = "{\"image\":[[1,2],[3,4]],\"weights\":[[1]]}",
                             .headers = { text_format("X-Request-ID: row-%d", i),
                                          text_format("traceparent: %s", rows[i].given) } };
        struct answer *answer = http_call(daemon, &call);
        const cJSON *line = logged(daemon, text_format("row-%d", i));
        const cJSON *trace = cJSON_GetObjectItem(line, "traceparent");

        assert_int_equal(answer->status, 200);
        assert_null(answer_header(answer, "traceparent")); /* the next hop's, not the client's */
        assert_true(!trace == !rows[i].logged);
        if (trace)
            assert_string_equal(trace->valuestring, rows[i].logged);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(line, "input")), 4);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(line, "output")), 4);
        assert_non_null(cJSON_GetObjectItem(line, "total_ms"));
        cJSON_Delete((cJSON *)line);
    }
    assert_int_equal(daemon_stop(daemon), 0);
}
