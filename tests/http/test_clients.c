/* Who may ask, how often, and what the operator sees of it. */
#include "tests/http/harness.h"

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
    assert_int_equal(daemon_stop(daemon), 0);
    unlink(path);
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
