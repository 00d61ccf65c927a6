/* One way to meet each error of core/errors.def, and what its problem document must say. A code
 * without its provoke_ function does not compile. */
#include "tests/http/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A request whose size alone keeps a worker busy for long. */
#define HEAVY                                                                                      \
    "{\"image\":{\"sample\":\"noise\",\"size\":512},\"weights\":{\"random\":{\"seed\":1}},"        \
    "\"out_channels\":64,\"kernel_size\":63,\"algorithm\":\"reference\","                          \
    "\"data\":\"none\"%s}"

static struct answer *layer(const char *members)
{
    return http_json("/convolve", text_format("{\"image\":{\"sample\":\"tiny\"},%s}", members));
}

static void provoke_ERR_SYNTAX(void)
{
    struct answer *answer = http_json("/convolve", "{\"image\":{\"sample\":\"tiny\"},");

    assert_problem(answer, 400, "malformed", "", "JSON");
}

static void provoke_ERR_UNKNOWN(void)
{
    struct answer *answer = layer("\"weights\":\"sobel_x\",\"strid\":2");

    assert_problem(answer, 400, "unknown-parameter", "/strid", "stride");
}

static void provoke_ERR_TWICE(void)
{
    struct answer *answer =
        http_json("/convolve?stride=2",
                  "{\"image\":{\"sample\":\"tiny\"},\"weights\":\"sobel_x\",\"stride\":2}");

    assert_problem(answer, 400, "given-twice", "/stride", "twice");
}

static void provoke_ERR_PARAMETER(void)
{
    struct answer *answer = layer("\"weights\":\"sobel_x\",\"stride\":0");

    assert_problem(answer, 400, "parameter", "/stride", "1 to 4096");
    assert_int_equal(answer_number(answer, "value"), 0);
    assert_int_equal(answer_number(answer, "min"), 1);
    assert_int_equal(answer_number(answer, "max"), 4096);
}

static void provoke_ERR_IMAGE(void)
{
    size_t size;
    char *png = file_read("tests/cases/pictures/cat-rgba.png", &size);
    struct answer *answer =
        http_send(.path = "/convolve?weights=sobel_x", .body = png, .size = size / 2);

    assert_problem(answer, 400, "image", "/image", "PNG");
}

static void provoke_ERR_ORIGIN(void)
{
    struct answer *answer =
        http_send(.path = "/convolve", .body = "{}",
                  .headers = { "Origin: https://elsewhere.example", "Sec-Fetch-Site: cross-site" });

    assert_problem(answer, 403, "origin", "", "--cors-origins");
}

static void provoke_ERR_NOT_FOUND(void)
{
    assert_problem(http_get("/convolv"), 404, "not-found", "", "did you mean /convolve");
}

static void provoke_ERR_METHOD(void)
{
    struct answer *answer = http_send(.path = "/convolve", .method = "DELETE");

    assert_problem(answer, 405, "method", "", "POST");
    assert_non_null(strstr(answer_header(answer, "Allow"), "POST"));
}

static void provoke_ERR_ACCEPT(void)
{
    struct answer *answer =
        http_send(.path = "/convolve", .type = "application/json", .accept = "text/csv",
                  .body = "{\"image\":{\"sample\":\"tiny\"},\"weights\":\"sobel_x\"}");

    assert_problem(answer, 406, "not-acceptable", "/format", "image/png");
}

static void provoke_ERR_SLOW(void)
{
    struct daemon *daemon = daemon_start("--body-timeout", "300ms");
    char *reply = raw_exchange(daemon, "POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                                       "Content-Length: 100\r\n\r\n{");

    assert_memory_equal(reply, "HTTP/1.1 408 ", 13);
    assert_non_null(strstr(reply, "/problems/slow-upload"));
    assert_non_null(strstr(reply, "--body-timeout"));
    assert_int_equal(daemon_stop(daemon), 0);
}

static void provoke_ERR_LENGTH(void)
{
    char *reply = raw_exchange(NULL, "POST /convolve HTTP/1.1\r\nHost: localhost\r\n\r\n");

    assert_memory_equal(reply, "HTTP/1.1 411 ", 13);
    assert_non_null(strstr(reply, "/problems/length-required"));
    assert_non_null(strstr(reply, "Content-Length"));
}

static void provoke_ERR_TOO_LARGE(void)
{
    struct daemon *daemon = daemon_start("--max-pixels", "1000");
    struct call call = { .path = "/convolve",
                         .type = "application/json",
                         .body = "{\"image\":{\"sample\":\"cat\",\"size\":227},"
                                 "\"weights\":\"sobel_x\"}" };

    assert_problem(http_call(daemon, &call), 413, "too-large", "/image/size", "1000");
    assert_int_equal(daemon_stop(daemon), 0);
}

static void provoke_ERR_MEDIA(void)
{
    static const char *const accepted[] = { "PNG", "JPEG", "BMP", "PNM" };
    static const char *const files[] = { "tests/cases/pictures/cat.gif",
                                         "tests/cases/pictures/cat.webp" };

    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++) {
            size_t size;
            char *data = file_read(files[i], &size);

            assert_problem(
                http_send(.path = "/convolve?weights=identity", .body = data, .size = size), 415,
                "media-type", "/image", accepted[j]);
        }
}

static void provoke_ERR_HOST(void)
{
    struct answer *answer =
        http_send(.path = "/convolve", .body = "{}", .headers = { "Host: attacker.example" });

    assert_problem(answer, 421, "host", "", "--allowed-hosts");
}

static void provoke_ERR_GEOMETRY(void)
{
    struct answer *answer = layer("\"weights\":{\"random\":{\"seed\":1}},\"out_channels\":1,"
                                  "\"kernel_size\":50");

    assert_problem(answer, 422, "geometry", "/kernel_size", "padding");
    assert_non_null(strstr(answer_text(answer, "detail"), "50x50"));
}

static void provoke_ERR_SHAPE(void)
{
    struct answer *answer = http_json(
        "/convolve", "{\"image\":{\"shape\":[3,4,4],\"data\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
                     "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
                     "0]},\"weights\":[[[[1]],[[1]]]]}");

    assert_problem(answer, 422, "shape", "/weights", "3");
}

static void provoke_ERR_ENGINE(void)
{
    struct answer *answer = layer("\"weights\":{\"random\":{\"seed\":1}},\"out_channels\":4,"
                                  "\"kernel_size\":[1,3],\"stride\":3,\"algorithm\":\"winograd\"");

    if (strstr(http_get("/info")->body, "winograd"))
        assert_problem(answer, 422, "algorithm", "/algorithm", "winograd");
    else
        assert_problem(answer, 400, "parameter", "/algorithm", "im2col");
}

static void provoke_ERR_HEADERS(void)
{
    char *big = keep(malloc(60001));
    char *reply;

    memset(big, 'x', 60000);
    big[60000] = '\0';
    reply = raw_exchange(
        NULL, text_format("GET /livez HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n", big));
    assert_memory_equal(reply, "HTTP/1.1 431 ", 13);
    assert_non_null(strstr(reply, "/problems/headers"));
}

/* Nobody is there to read a 499; the log has it. */
static void provoke_ERR_GONE(void)
{
    struct daemon *daemon = daemon_start("--workers", "1");
    char *body = text_format(HEAVY, "");
    int fd = raw_open(daemon), ms = 0;
    char *head = text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n"
                             "\r\n%s",
                             strlen(body), body);

    raw_write(fd, head, strlen(head));
    usleep(200000);
    close(fd);
    while (!strstr(daemon_log(daemon), "499") && ms++ < 10000)
        usleep(1000);
    assert_non_null(strstr(daemon_log(daemon), "499"));
    assert_int_equal(daemon_stop(daemon), 0);
}

static void provoke_ERR_ENCODING(void)
{
    char *reply = raw_exchange(NULL, "POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                                     "Transfer-Encoding: gzip\r\n\r\n");

    assert_memory_equal(reply, "HTTP/1.1 501 ", 13);
    assert_non_null(strstr(reply, "/problems/transfer-encoding"));
    assert_non_null(strstr(reply, "chunked"));
}

static void provoke_ERR_BUSY(void)
{
    struct daemon *daemon = daemon_start("--workers", "1", "--queue", "1");
    struct call calls[6];
    struct answer *answers[6];
    int busy = 0;

    for (int i = 0; i < 6; i++)
        calls[i] = (struct call){ .path = "/convolve?timeout_ms=700",
                                  .type = "application/json",
                                  .body = text_format(HEAVY, "") };
    http_parallel(daemon, calls, 6, answers);
    for (int i = 0; i < 6; i++)
        if (answers[i]->status == 503) {
            busy++;
            assert_problem(answers[i], 503, "busy", "", "--queue");
            assert_in_range(atoi(answer_header(answers[i], "Retry-After")), 1, 60);
        }
    assert_in_range(busy, 3, 5);
    assert_int_equal(daemon_stop(daemon), 0);
}

static void provoke_ERR_DRAINING(void)
{
    struct daemon *daemon = daemon_start("--drain-delay", "3s");
    struct answer *answer;
    int tries = 0;

    kill(daemon->pid, SIGTERM);
    do {
        answer = http_call(daemon, &(struct call){ .path = "/readyz" });
        usleep(10000);
    } while (answer->status == 200 && tries++ < 100);
    assert_problem(answer, 503, "draining", "", "stopping");
    kill(daemon->pid, SIGTERM); /* the second means now */
    daemon_wait(daemon);
}

static void provoke_ERR_DEADLINE(void)
{
    struct answer *answer = http_json("/convolve", text_format(HEAVY, ",\"timeout_ms\":50"));

    assert_problem(answer, 504, "deadline", "/timeout_ms", "50");
    assert_true(answer->ms < 5000);
}

static void provoke_ERR_UNAUTHORIZED(void)
{
    char path[] = "/tmp/convolved-keys-XXXXXX";
    int fd = mkstemp(path);
    struct daemon *daemon;

    assert_int_equal(write(fd, "a-key-of-some-length\n", 21), 21);
    close(fd);
    daemon = daemon_start("--api-key-file", path);
    unlink(path);
    assert_problem(http_call(daemon, &(struct call){ .path = "/info" }), 401, "unauthorized", "",
                   "X-API-Key");
    assert_int_equal(daemon_stop(daemon), 0);
}

static void store_twice(const char *name, const char *condition, struct answer **answer)
{
    char folder[] = "/tmp/convolved-layers-XXXXXX";
    struct call call = { .path = text_format("/layers/%s", name),
                         .method = "PUT",
                         .headers = { condition },
                         .body = "{\"weights\":\"sobel_x\"}" };
    struct daemon *daemon;

    assert_non_null(mkdtemp(folder));
    daemon = daemon_start("--layers", folder);
    *answer = http_call(daemon, &call);
    *answer = http_call(daemon, &call);
    assert_int_equal(daemon_stop(daemon), 0);
    assert_int_equal(system(text_format("rm -r %s", folder)), 0);
}

static void provoke_ERR_CONFLICT(void)
{
    struct answer *answer;

    store_twice("conv2d", NULL, &answer);
    assert_problem(answer, 409, "conflict", "/name", "another name");
}

static void provoke_ERR_PRECONDITION(void)
{
    struct answer *answer;

    store_twice("edges", "If-None-Match: *", &answer);
    assert_problem(answer, 412, "precondition", "", "If-None-Match");
}

static void provoke_ERR_RATE(void)
{
    struct daemon *daemon = daemon_start("--rate-limit", "1");
    struct answer *answer;
    int tries = 0;

    do
        answer = http_call(daemon, &(struct call){ .path = "/info" });
    while (answer->status == 200 && tries++ < 100);
    assert_problem(answer, 429, "rate", "", "--rate-limit");
    assert_int_equal(daemon_stop(daemon), 0);
}

/* A bug's own status cannot be asked for; the document is tests/unit's matter. */
static void provoke_ERR_INTERNAL(void)
{
}

#define ERROR(code, slug, title)                                                                   \
    TEST(code##_is_met_and_says_what_to_do)                                                        \
    {                                                                                              \
        provoke_##code();                                                                          \
    }
#include "core/errors.def"
