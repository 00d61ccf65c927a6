/* Who may ask, how often, and what the operator sees of it. */
#include "tests/http/harness.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PLAN "/plan?input=3x8x8&K=2&F=3"

static const char *file_write(const char *text)
{
    char *path = text_format("/tmp/convolved-test-%d-XXXXXX", getpid());
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

static void file_replace(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int status_with(struct daemon *daemon, const char *header)
{
    return http_call(daemon, &(struct call){ .path = PLAN, .headers = { header } })->status;
}

static bool says(struct daemon *daemon, const char *words)
{
    for (int i = 0; i < 5000 && !strstr(daemon_log(daemon), words); i++)
        usleep(1000);
    return strstr(daemon_log(daemon), words) != NULL;
}

TEST(with_keys_only_their_holders_are_served_and_health_is_for_all)
{
    static const char *const open[] = { "/livez", "/readyz",       "/healthz",       "/metrics",
                                        "/",      "/openapi.json", "/v2/health/live" };
    const char *path = file_write("# two of us\n\n  first-key-000000001  \nsecond-key-00000002\n");
    struct daemon *daemon = daemon_start("--api-key-file", path);
    struct answer *refused = http_call(daemon, &(struct call){ .path = PLAN });

    assert_problem(refused, 401, "unauthorized", "", "X-API-Key");
    assert_non_null(strstr(answer_header(refused, "WWW-Authenticate"), "Bearer"));
    assert_int_equal(status_with(daemon, "X-API-Key: first-key-000000001"), 200);
    assert_int_equal(status_with(daemon, "X-API-Key: second-key-00000002"), 200);
    assert_int_equal(status_with(daemon, "Authorization: Bearer second-key-00000002"), 200);
    assert_int_equal(status_with(daemon, "Authorization: bearer second-key-00000002"), 200);
    assert_int_equal(status_with(daemon, "X-API-Key: second-key-0000000"), 401);
    assert_int_equal(status_with(daemon, "X-API-Key: second-key-000000022"), 401);
    assert_int_equal(status_with(daemon, "X-API-Key: # two of us"), 401);
    assert_int_equal(status_with(daemon, text_format("X-API-Key: %0200d", 1)), 401);
    assert_int_equal(status_with(daemon, "Authorization: Basic second-key-00000002"), 401);
    for (int i = 0; i < 7; i++)
        assert_int_equal(http_call(daemon, &(struct call){ .path = open[i] })->status, 200);
    assert_null(strstr(daemon_log(daemon), "-key-"));
    assert_int_equal(daemon_stop(daemon), 0);
    unlink(path);
}

/* A preflight carries no key by the Fetch standard. */
TEST(a_preflight_needs_no_key)
{
    const char *path = file_write("first-key-000000001\n");
    struct daemon *daemon = daemon_start("--api-key-file", path);
    struct call call = { .path = "/convolve",
                         .method = "OPTIONS",
                         .headers = { "Origin: http://localhost:1",
                                      "Access-Control-Request-Method: POST" } };

    assert_int_equal(http_call(daemon, &call)->status, 204);
    assert_int_equal(daemon_stop(daemon), 0);
    unlink(path);
}

TEST(sighup_reads_the_keys_again_all_or_nothing)
{
    const char *path = file_write("first-key-000000001\n");
    struct daemon *daemon = daemon_start("--api-key-file", path);

    file_replace(path, "other-key-000000001\n");
    kill(daemon->pid, SIGHUP);
    assert_true(says(daemon, "keys read"));
    assert_int_equal(status_with(daemon, "X-API-Key: first-key-000000001"), 401);
    assert_int_equal(status_with(daemon, "X-API-Key: other-key-000000001"), 200);

    file_replace(path, "third-key-000000001\nshort\n");
    kill(daemon->pid, SIGHUP);
    assert_true(says(daemon, "nothing changed"));
    assert_true(says(daemon, "line 2"));
    assert_null(strstr(daemon_log(daemon), "short"));
    assert_int_equal(status_with(daemon, "X-API-Key: third-key-000000001"), 401);
    assert_int_equal(status_with(daemon, "X-API-Key: other-key-000000001"), 200);

    unlink(path);
    kill(daemon->pid, SIGHUP);
    assert_true(says(daemon, "nothing changed: cannot read the keys in"));
    assert_int_equal(status_with(daemon, "X-API-Key: other-key-000000001"), 200);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(a_client_over_its_rate_is_429_until_its_next_token_and_others_are_not)
{
    const char *path = file_write("first-key-000000001\nsecond-key-00000002\n");
    struct daemon *daemon = daemon_start("--api-key-file", path, "--rate-limit", "2");
    struct call call = { .path = PLAN, .headers = { "X-API-Key: first-key-000000001" } };
    struct answer *answer = http_call(daemon, &call);
    int limited = 0;

    for (int i = 0; i < 200 && !limited; i++) {
        answer = http_call(daemon, &call);
        limited += answer->status == 429;
    }
    assert_problem(answer, 429, "rate", "", "--rate-limit");
    assert_in_range(atoi(answer_header(answer, "Retry-After")), 1, 2);
    assert_int_equal(status_with(daemon, "X-API-Key: second-key-00000002"), 200);
    assert_int_equal(http_call(daemon, &(struct call){ .path = "/livez" })->status, 200);
    usleep(600000);
    assert_int_equal(http_call(daemon, &call)->status, 200);
    assert_int_equal(daemon_stop(daemon), 0);
    unlink(path);
}

/* A socket at this address of ours, by any port; -1: there is no such address here. */
static int bound_to(const char *address, struct sockaddr_storage *place, socklen_t *size)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)place;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)place;
    bool six = strchr(address, ':');
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *place = (struct sockaddr_storage){ .ss_family = six ? AF_INET6 : AF_INET };
    *size = six ? sizeof *v6 : sizeof *v4;
    inet_pton(place->ss_family, address, six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr);
    if (fd >= 0 && !bind(fd, (struct sockaddr *)place, *size))
        return fd;
    close(fd);
    return -1;
}

/* What a request from this address to it gets. */
static int status_from(const char *address, int port)
{
    static const char request[] = "GET " PLAN " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_storage place;
    socklen_t size;
    int fd = bound_to(address, &place, &size), status;

    ((struct sockaddr_in *)&place)->sin_port = htons((uint16_t)port); /* as in sockaddr_in6 */
    assert_int_equal(connect(fd, (struct sockaddr *)&place, size), 0);
    raw_write(fd, request, strlen(request));
    status = atoi(raw_read(fd) + strlen("HTTP/1.1 "));
    close(fd);
    return status;
}

/* By way of one socket for both, where an IPv4 address begins with ten zeros as ::1 does. */
TEST(clients_of_ipv4_and_of_ipv6_have_their_rates_each)
{
    struct sockaddr_storage place;
    socklen_t size;
    struct daemon *daemon;
    int status = 200, fd = bound_to("::1", &place, &size);

    if (fd < 0) {
        printf("NOT RUN: there is no IPv6 here\n");
        skip();
    }
    close(fd);
    daemon = daemon_start("--listen", "[::]:0", "--rate-limit", "1");
    for (int i = 0; i < 200 && status == 200; i++)
        status = status_from("127.0.0.1", daemon->port);
    assert_int_equal(status, 429);
    assert_int_equal(status_from("127.0.0.2", daemon->port), 200);
    status = status_from("::1", daemon->port);
    assert_int_equal(status, 200);
    for (int i = 0; i < 200 && status == 200; i++)
        status = status_from("::1", daemon->port);
    assert_int_equal(status, 429);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* The value of the line that begins with this name and labels. */
static double metric(struct daemon *daemon, const char *series)
{
    struct answer *answer = http_call(daemon, &(struct call){ .path = "/metrics" });
    char *line = strstr(answer->body, text_format("\n%s ", series));

    if (!line)
        fail_msg("no %s in %s", series, answer->body);
    return atof(line + 1 + strlen(series));
}

TEST(metrics_count_what_happened)
{
    struct daemon *daemon = daemon_start();
    const char *body = "{\"image\":{\"sample\":\"tiny\"},\"weights\":[[[[1]]]],\"channels\":1}";
    struct answer *done = http_call(
        daemon, &(struct call){ .path = "/convolve", .type = "application/json", .body = body });

    assert_int_equal(done->status, 200);
    http_call(daemon, &(struct call){ .path = "/convolv" });
    http_call(daemon, &(struct call){ .path = "/convolve", .body = "{" });
    for (int i = 0;
         i < 3000 && metric(daemon, "convolved_rejected_total{reason=\"malformed\"}") < 1; i++)
        usleep(1000);
    assert_int_equal(metric(daemon, "convolved_requests_total{method=\"POST\",path=\"/convolve\","
                                    "status=\"200\"}"),
                     1);
    assert_int_equal(metric(daemon, "convolved_requests_total{method=\"other\",path=\"other\","
                                    "status=\"404\"}"),
                     1);
    assert_int_equal(metric(daemon, "convolved_rejected_total{reason=\"not-found\"}"), 1);
    assert_int_equal(metric(daemon, "convolved_rejected_total{reason=\"malformed\"}"), 1);
    assert_int_equal(metric(daemon, "convolved_stage_duration_seconds_count{stage=\"convolve\"}"),
                     1);
    assert_int_equal(metric(daemon, "convolved_stage_duration_seconds_bucket{stage=\"convolve\","
                                    "le=\"+Inf\"}"),
                     1);
    assert_int_equal(metric(daemon, "convolved_macs_total"), answer_number(done, "im2col.macs"));
    assert_true(metric(daemon, "convolved_memory_limit_bytes") > 1e6);
    assert_true(metric(daemon, "process_resident_memory_bytes") > 1e6);
    assert_true(metric(daemon, "process_open_fds") > 3);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* Prometheus' grammar, as far as a server can break it. */
TEST(metrics_have_help_type_and_a_value_on_every_line)
{
    char *text = keep(strdup(http_get("/metrics")->body)), *name = "", *line;
    int lines = 0;

    assert_string_equal(answer_header(http_get("/metrics"), "Content-Type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        char *value = strrchr(line, ' '), *end;

        if (!strncmp(line, "# HELP ", 7)) {
            name = text_format("%.*s", (int)strcspn(line + 7, " "), line + 7);
            continue;
        }
        if (!strncmp(line, "# TYPE ", 7)) {
            assert_memory_equal(line + 7, name, strlen(name));
            continue;
        }
        assert_memory_equal(line, name, strlen(name));
        strtod(value + 1, &end);
        assert_true(end > value + 1 && !*end);
    }
    assert_true(lines > 50);
}
