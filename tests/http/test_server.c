/* What every reply carries, what browsers may do, and how the program is configured. */
#include "tests/http/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- replies --- */

TEST(every_reply_has_an_id_its_times_and_says_that_it_must_not_be_kept_or_sniffed)
{
    static const char *const paths[] = { "/livez", "/info", "/nowhere", "/convolve",
                                         "/plan?input=3x8x8&K=2&F=3" };

    for (int i = 0; i < 5; i++) {
        struct answer *answer = http_get(paths[i]);

        assert_int_equal(strlen(answer_header(answer, "X-Request-ID")), 16);
        assert_non_null(strstr(answer_header(answer, "Server-Timing"), "queue;dur="));
        assert_string_equal(answer_header(answer, "X-Content-Type-Options"), "nosniff");
        assert_string_equal(answer_header(answer, "Cache-Control"), "no-store");
        assert_non_null(strstr(answer_header(answer, "Vary"), "Origin"));
    }
}

TEST(a_clients_own_request_id_comes_back_when_it_is_harmless)
{
    struct answer *own = http_send(.path = "/nowhere", .headers = { "X-Request-ID: my-id_1.2" });
    struct answer *bad = http_send(.path = "/nowhere", .headers = { "X-Request-ID: a\"b<c>" });

    assert_string_equal(answer_header(own, "X-Request-ID"), "my-id_1.2");
    assert_string_equal(answer_text(own, "request_id"), "my-id_1.2");
    assert_int_equal(strlen(answer_header(bad, "X-Request-ID")), 16);
    assert_string_equal(answer_header(bad, "X-Request-ID"), answer_text(bad, "request_id"));
}

TEST(no_two_requests_have_the_same_id)
{
    const char *ids[50];

    for (int i = 0; i < 50; i++) {
        ids[i] = answer_header(http_get("/livez"), "X-Request-ID");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    }
}

TEST(a_convolution_says_its_shape_and_workspace_in_headers)
{
    struct answer *answer =
        http_json("/convolve", "{\"image\":{\"sample\":\"tiny\"},\"weights\":[[[[1]]],[[[2]]]],"
                               "\"channels\":1}");

    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_header(answer, "Convolved-Output-Shape"),
                        text_format("%g,%g,%g,%g", answer_number(answer, "output.shape.0"),
                                    answer_number(answer, "output.shape.1"),
                                    answer_number(answer, "output.shape.2"),
                                    answer_number(answer, "output.shape.3")));
    assert_int_equal(atoi(answer_header(answer, "Convolved-Workspace-Bytes")),
                     answer_number(answer, "workspace_bytes"));
    assert_string_equal(answer_header(answer, "Convolved-Algorithm"),
                        answer_text(answer, "algorithm"));
    assert_string_equal(answer_header(answer, "X-Request-ID"), answer_text(answer, "request_id"));
}

TEST(head_is_get_without_the_body)
{
    static const char *const paths[] = { "/livez", "/info", "/filters", "/", "/nowhere" };

    for (int i = 0; i < 5; i++) {
        int status = http_get(paths[i])->status;
        char *reply = raw_exchange(NULL, text_format("HEAD %s HTTP/1.1\r\nHost: localhost\r\n"
                                                     "Connection: close\r\n\r\n",
                                                     paths[i]));

        assert_int_equal(atoi(reply + strlen("HTTP/1.1 ")), status);
        assert_non_null(strstr(reply, "Content-Length: "));
        assert_string_equal(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
    }
}

TEST(options_says_what_a_path_takes)
{
    struct answer *convolve = http_send(.path = "/convolve", .method = "OPTIONS");
    struct answer *plan = http_send(.path = "/plan", .method = "OPTIONS");

    assert_int_equal(convolve->status, 204);
    assert_string_equal(answer_header(convolve, "Allow"), "POST, OPTIONS");
    assert_string_equal(answer_header(plan, "Allow"), "GET, HEAD, POST, OPTIONS");
    assert_int_equal(http_send(.path = "/nowhere", .method = "OPTIONS")->status, 404);
}

TEST(a_wrong_method_is_405_with_the_right_ones)
{
    struct answer *answer = http_send(.path = "/livez", .method = "DELETE");

    assert_problem(answer, 405, "method", "", "GET, HEAD, OPTIONS");
    assert_string_equal(answer_header(answer, "Allow"), "GET, HEAD, OPTIONS");
}

TEST(curl_gets_a_guide_with_the_port_to_type)
{
    struct answer *guide = http_get("/");

    assert_int_equal(guide->status, 200);
    assert_non_null(strstr(answer_header(guide, "Content-Type"), "text/plain"));
    assert_non_null(strstr(guide->body, text_format("%s/convolve", daemon_shared()->url)));
}

TEST(a_path_that_is_nearly_right_is_guessed)
{
    assert_problem(http_get("/filter"), 404, "not-found", "", "did you mean /filters");
    assert_problem(http_get("/samples/cat/more"), 404, "not-found", "", "nothing at");
}

TEST(a_body_with_expect_100_continue_is_asked_for)
{
    int fd = raw_open(NULL);
    char buffer[64] = "";

    raw_write(fd,
              "POST /plan?input=3x8x8&K=2&F=3 HTTP/1.1\r\nHost: localhost\r\n"
              "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
              strlen("POST /plan?input=3x8x8&K=2&F=3 HTTP/1.1\r\nHost: localhost\r\n"
                     "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    assert_true(read(fd, buffer, 21) > 0);
    assert_memory_equal(buffer, "HTTP/1.1 100 Continue", 21);
    close(fd);
}

/* --- browsers --- */

#define PREFLIGHT(origin)                                                                          \
    http_send(.path = "/convolve", .method = "OPTIONS",                                            \
              .headers = { "Origin: " origin, "Access-Control-Request-Method: POST",               \
                           "Access-Control-Request-Headers: content-type, x-api-key",              \
                           "Access-Control-Request-Private-Network: true" })

TEST(a_page_on_this_machine_may_call_and_read)
{
    struct answer *preflight = PREFLIGHT("http://localhost:5173");
    struct answer *answer =
        http_send(.path = "/nowhere",
                  .headers = { "Origin: http://[::1]:3000", "Sec-Fetch-Site: cross-site" });

    assert_int_equal(preflight->status, 204);
    assert_string_equal(answer_header(preflight, "Access-Control-Allow-Origin"),
                        "http://localhost:5173");
    assert_non_null(strstr(answer_header(preflight, "Access-Control-Allow-Methods"), "POST"));
    assert_non_null(strstr(answer_header(preflight, "Access-Control-Allow-Headers"), "X-API-Key"));
    assert_string_equal(answer_header(preflight, "Access-Control-Max-Age"), "7200");
    assert_string_equal(answer_header(preflight, "Access-Control-Allow-Private-Network"), "true");
    assert_null(answer_header(preflight, "Access-Control-Allow-Credentials"));
    assert_int_equal(answer->status, 404); /* the problem can be read, too */
    assert_string_equal(answer_header(answer, "Access-Control-Allow-Origin"), "http://[::1]:3000");
    assert_non_null(strstr(answer_header(answer, "Access-Control-Expose-Headers"), "X-Request-ID"));
}

TEST(a_page_of_another_site_may_not)
{
    static const char *const foreign[] = {
        "https://elsewhere.example", "http://localhost.evil.example",
        "http://evil.example:80",    "null",
        "file://localhost",          "http://localhost:80.evil.example"
    };

    assert_problem(PREFLIGHT("https://elsewhere.example"), 403, "origin", "", "--cors-origins");
    for (int i = 0; i < 6; i++) {
        struct answer *answer = http_send(.path = "/convolve", .body = "{}",
                                          .headers = { text_format("Origin: %s", foreign[i]) });

        assert_problem(answer, 403, "origin", "", "--cors-origins");
        assert_null(answer_header(answer, "Access-Control-Allow-Origin"));
    }
}

TEST(a_link_from_another_site_opens_the_page_but_its_pictures_do_not_use_us)
{
    assert_int_equal(http_send(.path = "/", .headers = { "Sec-Fetch-Site: cross-site",
                                                         "Sec-Fetch-Mode: navigate" })
                         ->status,
                     200);
    assert_int_equal(http_send(.path = "/samples/cat", .headers = { "Sec-Fetch-Site: cross-site",
                                                                    "Sec-Fetch-Mode: no-cors" })
                         ->status,
                     403);
}

TEST(our_own_page_may_call_us_by_whatever_name_it_was_opened)
{
    struct daemon *daemon = daemon_start("--allowed-hosts", "convolved.lan other.lan");
    struct call call = { .path = "/plan?input=3x8x8&K=2&F=3",
                         .body = "{}",
                         .headers = { "Host: convolved.lan:9", "Origin: http://convolved.lan:9",
                                      "Sec-Fetch-Site: same-origin" } };

    assert_int_equal(http_call(daemon, &call)->status, 200);
    call.headers[1] = "Origin: http://other.lan:9";
    assert_int_equal(http_call(daemon, &call)->status, 403);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(origins_can_be_listed_or_all_or_none)
{
    static const struct {
        const char *policy, *origin;
        int status;
        const char *allowed;
    } rows[] = {
        { "https://a.example,https://b.example", "https://b.example", 204, "https://b.example" },
        { "https://a.example,https://b.example", "https://c.example", 403, NULL },
        { "https://a.example", "http://localhost:1", 403, NULL },
        { "https://a.example, loopback", "http://localhost:1", 204, "http://localhost:1" },
        { "*", "https://c.example", 204, "*" },
        { "none", "http://localhost:1", 403, NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct daemon *daemon = daemon_start("--cors-origins", rows[i].policy);
        struct call call = { .path = "/convolve",
                             .method = "OPTIONS",
                             .headers = { text_format("Origin: %s", rows[i].origin),
                                          "Access-Control-Request-Method: POST" } };
        struct answer *answer = http_call(daemon, &call);
        const char *allowed = answer_header(answer, "Access-Control-Allow-Origin");

        assert_int_equal(answer->status, rows[i].status);
        assert_true(!allowed == !rows[i].allowed);
        if (allowed)
            assert_string_equal(allowed, rows[i].allowed);
        assert_int_equal(daemon_stop(daemon), 0);
    }
}

TEST(a_name_that_only_resolves_to_this_machine_is_421)
{
    static const char *const own[] = { "localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080" };
    static const char *const foreign[] = { "attacker.example", "127.0.0.1.attacker.example",
                                           "localhost.attacker.example:80",
                                           "[::1].attacker.example",
                                           "localhost:80@attacker.example" };

    for (int i = 0; i < 4; i++)
        assert_int_equal(
            http_send(.path = "/livez", .headers = { text_format("Host: %s", own[i]) })->status,
            200);
    for (int i = 0; i < 5; i++)
        assert_problem(
            http_send(.path = "/livez", .headers = { text_format("Host: %s", foreign[i]) }), 421,
            "host", "", "--allowed-hosts");
}

/* --- the program --- */

struct ran {
    int status;
    char *said; /* stdout and stderr */
};

static struct ran run(const char *format, const char *rest)
{
    enum { MOST = 1 << 20 };
    struct ran ran = { -1, keep(calloc(1, MOST)) };
    FILE *pipe = popen(text_format("P='%s'; { %s%s; } 2>&1", program_path(), format, rest), "r");
    int status;

    assert_non_null(pipe);
    assert_true(fread(ran.said, 1, MOST - 1, pipe) < MOST - 1);
    status = pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 256;
    return ran;
}

static void assert_ran(struct ran ran, int status, const char *words)
{
    if (ran.status != status || !strstr(ran.said, words))
        fail_msg("%d \"%s\" expected, got %d: %s", status, words, ran.status, ran.said);
}

TEST(a_wrong_option_is_exit_2_with_its_name_value_and_range)
{
    assert_ran(run("$P --queue ", "0"), 2, "--queue is \"0\"");
    assert_ran(run("$P --queue ", "0"), 2, "from 1 to 65536");
    assert_ran(run("$P --queue ", "many"), 2, "--queue is \"many\"");
    assert_ran(run("$P --queue ", "1.5"), 2, "whole number");
    assert_ran(run("$P --max-body ", "64MB"), 2, "KiB, MiB");
    assert_ran(run("$P --request-timeout ", "5"), 2, "ms, s, min");
    assert_ran(run("$P --log-level ", "loud"), 2, "debug");
    assert_ran(run("$P --que ", "5"), 2, "did you mean --queue");
    assert_ran(run("$P --queue", ""), 2, "needs a value");
    assert_ran(run("$P convolve", ""), 2, "subcommands");
    assert_ran(run("$P serve now", ""), 2, "\"now\"");
    assert_ran(run("$P --listen ", "nowhere"), 2, "127.0.0.1:8080");
    assert_ran(run("CONVOLVED_QUEUE=x $P", ""), 2, "environment");
}

TEST(a_flag_beats_the_environment_and_that_beats_the_default)
{
    const char *three = "CONVOLVED_QUEUE=5 CONVOLVED_MAX_BODY=1MiB $P --queue=7 --print-config";

    assert_ran(run(three, " | grep -E '^queue +7 +flag$'"), 0, "queue");
    assert_ran(run(three, " | grep -E '^max-body +1MiB +environment$'"), 0, "max-body");
    assert_ran(run(three, " | grep -E '^max-pixels +50000000 +default$'"), 0, "max-pixels");
    assert_ran(run("PORT=9 $P --print-config", " | grep -E '^listen +127.0.0.1:9 +PORT$'"), 0,
               "listen");
    assert_ran(run("PORT=9 CONVOLVED_LISTEN=0.0.0.0:8 $P --print-config", " | grep ^listen"), 0,
               "0.0.0.0:9");
    assert_ran(run("PORT=9 $P --listen [::1]:8 --print-config", " | grep ^listen"), 0, "[::1]:8");
}

TEST(an_unknown_variable_is_a_warning_with_the_nearest_name)
{
    struct ran ran = run("CONVOLVED_QUEU=5 $P --print-config", "");

    assert_ran(ran, 0, "did you mean CONVOLVED_QUEUE");
    assert_ran(run("CONVOLVED_ISA=portable $P --print-config", " | grep -c warning"), 1, "0");
}

TEST(kernels_that_do_not_run_here_are_refused)
{
    assert_ran(run("CONVOLVED_ISA=avx513 $P --print-config", ""), 2,
               "CONVOLVED_ISA is \"avx513\"; it must be avx512, avx2 or portable");
    assert_ran(run("CONVOLVED_ISA=portable $P version", ""), 0, "(portable kernels");
    assert_ran(run("[ \"$(CONVOLVED_ISA= $P version)\" = \"$($P version)\" ]", ""), 0, "");
}

TEST(a_port_that_is_taken_is_exit_3_with_the_way_out)
{
    struct ran ran = run("$P --listen ", text_format("127.0.0.1:%d", daemon_shared()->port));

    assert_ran(ran, 3, text_format("127.0.0.1:%d", daemon_shared()->port));
    assert_ran(ran, 3, "--listen");
}

TEST(an_address_that_cannot_be_had_is_said_with_the_way_out)
{
    assert_ran(run("$P --listen unix:", ""), 2, "must have a path of 1 to 107 bytes");
    assert_ran(run("$P --listen a..b:80", ""), 2, "a..b is no address here");
    assert_ran(run("$P --listen 192.0.2.1:8080", ""), 3, "choose an address of this machine");
    assert_ran(run("$P healthcheck --listen fd:3", ""), 1, "nothing answers");
}

TEST(a_file_of_keys_that_cannot_be_used_is_exit_2)
{
    assert_ran(run("$P --listen 127.0.0.1:0 --api-key-file /nowhere", ""), 2,
               "cannot read the keys in /nowhere: No such file");
    assert_ran(run("f=$(mktemp); echo 'a key with blanks in it' >$f; "
                   "$P --listen 127.0.0.1:0 --api-key-file $f; s=$?; rm $f; exit $s",
                   ""),
               2, "line 1 must be a key");
}

/* With 300 files for good, connections are as few; with 300 to begin with, it takes more. */
TEST(connections_fit_the_files_that_may_be_open)
{
    assert_ran(run("ulimit -n 300; timeout 2 $P --listen 127.0.0.1:0", ""), 124,
               "only 300 files may be open: --max-connections is 172");
    assert_ran(run("ulimit -Sn 300; timeout 2 $P --listen 127.0.0.1:0 | grep -c 'only 300'", ""), 1,
               "0");
}

TEST(healthcheck_asks_the_configured_address)
{
    struct daemon *daemon = daemon_start("--drain-delay", "1h");
    const char *address = text_format("127.0.0.1:%d", daemon->port);

    assert_ran(run("$P healthcheck --listen ", address), 0, "");
    kill(daemon->pid, SIGTERM);
    for (int i = 0; i < 5000 && !strstr(daemon_log(daemon), "not ready"); i++)
        usleep(1000);
    assert_ran(run("$P healthcheck --listen ", address), 1, "not ready");
    kill(daemon->pid, SIGTERM);
    assert_int_equal(daemon_wait(daemon), 1);
    assert_ran(run("$P healthcheck --listen ", address), 1, "nothing answers");
}

TEST(run_convolves_without_a_server)
{
    assert_ran(run("$P run image='{\"sample\":\"tiny\"}' weights='[[1]]' channels=1 data=none "
                   "| jq -c .output.shape",
                   ""),
               0, "[1,1,");
    assert_ran(run("$P run tests/cases/pictures/cat-451x300.png kernel=sobel_x format=png | "
                   "head -c 8 | od -An -c",
                   ""),
               0, "P   N   G");
    assert_ran(run("$P run - kernel=sobel_x format=png < tests/cases/pictures/cat-451x300.png | "
                   "head -c 8 | od -An -c",
                   ""),
               0, "P   N   G");
    assert_ran(run("$P run nowhere.png kernel=sobel_x", ""), 1, "nowhere.png");
    assert_ran(run("$P run tests/cases/pictures/cat-451x300.png kernel=sobl_x", ""), 1, "sobel_x");
    assert_ran(run("$P run a.png b.png kernel=sobel_x", ""), 2, "usage");
    assert_ran(run("$P run --queue 0 a.png", ""), 2, "--queue");
}

TEST(it_serves_on_a_unix_socket_in_a_dead_ones_place_and_removes_it_at_the_end)
{
    const char *script = "d=$(mktemp -d); serve() { "
                         "  $P --listen unix:$d/s >$d/log 2>&1 & p=$!; "
                         "  for i in $(seq 500); do grep -q workers $d/log && break; sleep 0.02; "
                         "  done; }; "
                         "serve; kill -9 $p; wait $p; [ -S $d/s ] && echo left; : >$d/log; serve; "
                         "curl -s --unix-socket $d/s http://localhost/livez; "
                         "$P healthcheck --listen unix:$d/s && echo healthy; "
                         "kill $p; wait $p; echo status $?; ls $d; rm -r $d";
    struct ran ran = run(script, "");

    assert_ran(ran, 0, "left\nalive\nhealthy\nstatus 0\nlog\n");
}

TEST(json_logs_are_json_whatever_the_path_holds)
{
    struct daemon *daemon = daemon_start("--log-format", "json");
    char *log, *line;
    int requests = 0;

    http_call(daemon, &(struct call){ .path = "/%22%7f%c3%a9?a=%22" });
    http_call(daemon, &(struct call){ .path = "/plan?input=3x8x8&K=2&F=3" });
    for (int i = 0; i < 5000 && !strstr(daemon_log(daemon), "\"/plan\""); i++)
        usleep(1000); /* the line is written when the last byte has gone */
    log = keep(strdup(daemon_log(daemon)));
    for (line = strtok(log, "\n"); line; line = strtok(NULL, "\n"))
        if (strstr(line, "\"status\"")) {
            cJSON *json = cJSON_Parse(line);

            if (!json)
                fail_msg("not JSON: %s", line);
            requests++;
            cJSON_Delete(json);
        }
    assert_int_equal(requests, 2);
    assert_int_equal(daemon_stop(daemon), 0);
}
