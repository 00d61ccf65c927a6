/* Stored layers over HTTP: from PUT to DELETE, on two servers of one folder, over crashes and
 * damage, and while they are used. */
#include "tests/http/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder that the test's end removes, with every daemon's exit looked at before. */
static char *folder_create(void)
{
    char *folder = keep(strdup("/tmp/convolved-layers-XXXXXX"));

    assert_non_null(mkdtemp(folder));
    return folder;
}

static void shell(const char *command)
{
    assert_int_equal(system(command), 0);
}

static void finish(struct daemon *daemon, const char *folder)
{
    assert_int_equal(daemon_stop(daemon), 0);
    shell(text_format("rm -r %s", folder));
}

static struct answer *call_with(struct daemon *daemon, const char *method, const char *path,
                                const char *json, const char *header)
{
    return http_call(daemon, &(struct call){ .path = path,
                                             .method = method,
                                             .body = json,
                                             .type = json ? "application/json" : NULL,
                                             .headers = { header } });
}

static struct answer *put(struct daemon *daemon, const char *name, const char *json)
{
    return call_with(daemon, "PUT", text_format("/layers/%s", name), json, NULL);
}

static struct answer *get(struct daemon *daemon, const char *path)
{
    return call_with(daemon, NULL, path, NULL, NULL);
}

static struct answer *delete (struct daemon *daemon, const char *name)
{
    return call_with(daemon, "DELETE", text_format("/layers/%s", name), NULL, NULL);
}

static struct answer *convolve(struct daemon *daemon, const char *members)
{
    return call_with(daemon, NULL, "/convolve",
                     text_format("{\"image\":[[1,2],[3,4]],\"data\":\"nested\",%s}", members),
                     NULL);
}

/* Y = times * X. */
static struct answer *put_times(struct daemon *daemon, const char *name, int times)
{
    return put(daemon, name, text_format("{\"weights\":[[%d]]}", times));
}

static void assert_times(struct daemon *daemon, const char *name, int times)
{
    struct answer *answer = convolve(daemon, text_format("\"layer\":\"%s\"", name));

    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_print(answer, "data"), text_format("[[[[%d,%d],[%d,%d]]]]", times,
                                                                  2 * times, 3 * times, 4 * times));
}

TEST(a_layer_lives_from_put_to_delete)
{
    const char *folder = folder_create(), *tag;
    struct daemon *daemon = daemon_start("--layers", folder);
    struct answer *answer = put(daemon, "double", "{\"weights\":[[2]],\"stride\":1}");

    assert_int_equal(answer->status, 201);
    assert_string_equal(answer_text(answer, "name"), "double");
    assert_string_equal(answer_print(answer, "weight_shape"), "[1,1,1,1]");
    assert_string_equal(answer_print(answer, "parameters"), "{\"stride\":[1,1]}");
    assert_true(answer_number(answer, "bytes") > 0);
    assert_non_null(strchr(answer_text(answer, "updated"), 'Z'));
    tag = answer_header(answer, "ETag");
    assert_memory_equal(answer_text(answer, "digest") + strlen("sha256:"), tag + 1, 64);
    assert_times(daemon, "double", 2);

    answer = get(daemon, "/layers/double");
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_header(answer, "ETag"), tag);
    answer = call_with(daemon, NULL, "/layers/double", NULL, text_format("If-None-Match: %s", tag));
    assert_int_equal(answer->status, 304);
    assert_int_equal(answer->size, 0);
    answer = call_with(daemon, "HEAD", "/layers/double", NULL, NULL);
    assert_int_equal(answer->status, 200);
    assert_string_equal(get(daemon, "/layers")->body,
                        text_format("{\"layers\":[{\"name\":\"double\",\"bytes\":%d,\"updated\":"
                                    "\"%s\"}]}",
                                    (int)answer_number(get(daemon, "/layers/double"), "bytes"),
                                    answer_text(get(daemon, "/layers/double"), "updated")));

    assert_int_equal(put_times(daemon, "double", 3)->status, 200);
    assert_times(daemon, "double", 3);
    assert_int_equal(delete (daemon, "double")->status, 204);
    assert_problem(get(daemon, "/layers/double"), 404, "not-found", "", "GET /layers");
    assert_problem(delete (daemon, "double"), 404, "not-found", "", "GET /layers");
    assert_problem(convolve(daemon, "\"layer\":\"double\""), 400, "parameter", "/layer", "double");
    assert_string_equal(get(daemon, "/layers")->body, "{\"layers\":[]}");
    finish(daemon, folder);
}

TEST(a_layers_paths_say_which_methods_they_take)
{
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);
    struct answer *answer = call_with(daemon, "OPTIONS", "/layers/a", NULL, NULL);

    assert_int_equal(answer->status, 204);
    assert_string_equal(answer_header(answer, "Allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
    assert_problem(call_with(daemon, NULL, "/layers/a", "{}", NULL), 405, "method", "", "PUT");
    assert_problem(call_with(daemon, "PUT", "/layers", "{}", NULL), 405, "method", "", "GET");
    answer =
        http_call(daemon, &(struct call){ .path = "/layers/a",
                                          .method = "OPTIONS",
                                          .headers = { "Origin: http://localhost:3000",
                                                       "Access-Control-Request-Method: PUT" } });
    assert_non_null(strstr(answer_header(answer, "Access-Control-Allow-Methods"), "PUT"));
    finish(daemon, folder);
}

/* The query, a form, JSON; of /convolve and /plan. */
TEST(every_carrier_can_name_a_layer)
{
    static const char *const paths[] = { "/convolve", "/plan" };
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);

    assert_int_equal(put(daemon, "soft", "{\"weights\":\"gaussian5\",\"stride\":2}")->status, 201);
    for (int i = 0; i < 2; i++) {
        struct answer *said = call_with(daemon, NULL, paths[i],
                                        "{\"image\":{\"sample\":\"tiny\"},\"stride\":2,"
                                        "\"weights\":\"gaussian5\"}",
                                        NULL);
        struct answer *named[] = {
            call_with(daemon, NULL, text_format("%s?layer=soft", paths[i]),
                      "{\"image\":{\"sample\":\"tiny\"}}", NULL),
            call_with(daemon, NULL, paths[i],
                      "{\"image\":{\"sample\":\"tiny\"},\"layer\":\"soft\"}", NULL),
            http_call(daemon,
                      &(struct call){ .path = paths[i],
                                      .parts = (struct part[]){ { .name = "layer", .data = "soft" },
                                                                { .name = "image", .data = "tiny" },
                                                                { 0 } } }),
        };
        const char *numbers = i ? "output" : "data";

        assert_int_equal(said->status, 200);
        for (int j = 0; j < 3; j++) {
            assert_int_equal(named[j]->status, 200);
            assert_string_equal(answer_text(named[j], "layer.layer"), "soft");
            assert_string_equal(answer_print(named[j], numbers), answer_print(said, numbers));
        }
    }
    finish(daemon, folder);
}

/* Packed once, read by every engine that can, with pictures of every size. */
TEST(a_layers_packed_weights_give_the_same_bits)
{
    static const char *const engines[] = { "auto",     "direct", "implicit", "swapped",
                                           "winograd", "im2col", "reference" };
    static const int sizes[] = { 40, 9, 40, 64, 8 };
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);
    const char *layer = "\"weights\":{\"random\":{\"seed\":7}},\"K\":20,\"F\":3,\"bias\":0.5";
    int compared = 0;

    assert_int_equal(put(daemon, "r", text_format("{%s,\"input\":[3,9,9]}", layer))->status, 201);
    for (size_t e = 0; e < sizeof engines / sizeof *engines; e++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const char *rest = text_format("\"image\":{\"sample\":\"cat\",\"size\":%d},"
                                           "\"engine\":\"%s\",\"padding\":%d,\"data\":\"base64\"",
                                           sizes[i], engines[e], (int)i % 2);
            struct answer *said =
                call_with(daemon, NULL, "/convolve", text_format("{%s,%s}", rest, layer), NULL);
            struct answer *named = call_with(daemon, NULL, "/convolve",
                                             text_format("{%s,\"layer\":\"r\"}", rest), NULL);

            assert_int_equal(named->status, said->status);
            if (said->status == 422) /* direct is for depthwise layers */
                continue;
            assert_string_equal(answer_text(named, "data"), answer_text(said, "data"));
            compared++;
        }
    assert_true(compared >= 25);
    finish(daemon, folder);
}

#define X "{\"name\":\"X\",\"shape\":[1,1,1,2],\"datatype\":\"FP32\",\"data\":[1,2]}"

TEST(a_layer_is_a_model_of_the_inference_protocol)
{
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);
    struct answer *answer;

    put(daemon, "three", "{\"weights\":[[[[3]]],[[[4]]]],\"bias\":[0,1]}");
    answer = get(daemon, "/v2/models/three");
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_text(answer, "name"), "three");
    assert_string_equal(answer_print(answer, "inputs.0.shape"), "[-1,1,-1,-1]");
    assert_string_equal(answer_print(answer, "outputs.0.shape"), "[-1,2,-1,-1]");
    assert_null(strstr(answer->body, "\"W\""));
    assert_string_equal(get(daemon, "/v2/models/three/versions/1/ready")->body,
                        "{\"name\":\"three\",\"ready\":true}");
    answer = call_with(daemon, NULL, "/v2/models/three/infer", "{\"inputs\":[" X "]}", NULL);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_text(answer, "model_name"), "three");
    assert_string_equal(answer_print(answer, "outputs.0.data"), "[3,6,5,9]");
    answer = call_with(daemon, NULL, "/v2/models/conv2d/infer",
                       "{\"parameters\":{\"layer\":\"three\"},\"inputs\":[" X "]}", NULL);
    assert_string_equal(answer_print(answer, "outputs.0.data"), "[3,6,5,9]");
    answer = call_with(daemon, NULL, "/v2/models/three/infer",
                       "{\"inputs\":[" X ",{\"name\":\"W\",\"shape\":[1,1,1,1],\"datatype\":"
                       "\"FP32\",\"data\":[1]}]}",
                       NULL);
    assert_problem(answer, 400, "given-twice", "/weights", "three");
    answer = call_with(daemon, "POST", "/v2/repository/index", "{}", NULL);
    assert_string_equal(answer_text(answer, "0.name"), "conv2d");
    assert_string_equal(answer_text(answer, "1.name"), "three");
    assert_string_equal(answer_text(answer, "1.state"), "READY");
    delete (daemon, "three");
    assert_problem(get(daemon, "/v2/models/three/ready"), 404, "not-found", "", "GET /layers");
    assert_int_equal(get(daemon, "/v2/models/conv2d/ready")->status, 200);
    finish(daemon, folder);
}

TEST(quotas_name_their_option)
{
    const char *folder = folder_create();
    struct daemon *daemon =
        daemon_start("--layers", folder, "--max-layers", "2", "--max-layers-bytes", "4096");

    assert_int_equal(put_times(daemon, "a", 1)->status, 201);
    assert_int_equal(put_times(daemon, "b", 1)->status, 201);
    assert_problem(put_times(daemon, "c", 1), 413, "too-large", "", "--max-layers");
    assert_int_equal(put_times(daemon, "b", 2)->status, 200);
    delete (daemon, "a");
    assert_problem(put(daemon, "c", "{\"weights\":\"random\",\"K\":16,\"F\":8,\"input\":[1,9,9]}"),
                   413, "too-large", "", "--max-layers-bytes");
    assert_int_equal(put_times(daemon, "c", 1)->status, 201);
    finish(daemon, folder);
}

TEST(conditions_protect_what_another_has_stored)
{
    const char *folder = folder_create(), *mine;
    struct daemon *daemon = daemon_start("--layers", folder);
    const char *two = "{\"weights\":[[2]]}";

    assert_problem(call_with(daemon, "PUT", "/layers/a", two, "If-Match: *"), 412, "precondition",
                   "", "If-Match");
    mine = answer_header(put_times(daemon, "a", 1), "ETag");
    assert_problem(call_with(daemon, "PUT", "/layers/a", two, "If-None-Match: *"), 412,
                   "precondition", "", "If-None-Match");
    assert_times(daemon, "a", 1);
    assert_int_equal(
        call_with(daemon, "PUT", "/layers/a", two, text_format("If-Match: %s", mine))->status, 200);
    assert_problem(
        call_with(daemon, "DELETE", "/layers/a", NULL, text_format("If-Match: %s", mine)), 412,
        "precondition", "", "If-Match");
    assert_times(daemon, "a", 2);
    assert_int_equal(call_with(daemon, "DELETE", "/layers/a", NULL, "If-Match: *")->status, 204);
    finish(daemon, folder);
}

TEST(layers_outlive_the_server_and_its_death)
{
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);

    put_times(daemon, "a", 5);
    assert_int_equal(daemon_stop(daemon), 0);
    daemon = daemon_start("--layers", folder);
    assert_times(daemon, "a", 5);
    put_times(daemon, "b", 6);
    kill(daemon->pid, SIGKILL);
    assert_int_equal(daemon_wait(daemon), 256 + SIGKILL);
    shell(text_format("echo half of a layer > %s/.upload", folder));
    daemon = daemon_start("--layers", folder);
    assert_times(daemon, "a", 5);
    assert_times(daemon, "b", 6);
    assert_int_not_equal(access(text_format("%s/.upload", folder), F_OK), 0);
    finish(daemon, folder);
}

TEST(servers_of_one_folder_see_each_others_layers)
{
    const char *folder = folder_create();
    struct daemon *one = daemon_start("--layers", folder), *two = daemon_start("--layers", folder);

    for (int i = 1; i < 20; i++) { /* replaced within one tick of the clock, at the same size */
        assert_int_equal(put_times(i % 2 ? one : two, "a", i)->status, i == 1 ? 201 : 200);
        assert_times(i % 2 ? two : one, "a", i);
        assert_times(i % 2 ? one : two, "a", i);
    }
    assert_non_null(strstr(get(two, "/layers")->body, "\"a\""));
    delete (one, "a");
    assert_int_equal(get(two, "/layers/a")->status, 404);
    assert_int_equal(convolve(two, "\"layer\":\"a\"")->status, 400);
    assert_int_equal(daemon_stop(two), 0);
    finish(one, folder);
}

TEST(a_damaged_layer_is_set_aside_and_never_fatal)
{
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);

    put_times(daemon, "a", 1);
    put_times(daemon, "b", 2);
    put_times(daemon, "c", 3);
    shell(text_format("printf x >>%s/a.safetensors", folder));
    assert_problem(get(daemon, "/layers/a"), 404, "not-found", "", "damaged");
    assert_int_equal(access(text_format("%s/a.damaged", folder), F_OK), 0);
    assert_problem(get(daemon, "/layers/a"), 404, "not-found", "", "GET /layers");
    assert_int_equal(daemon_stop(daemon), 0);
    shell(text_format("truncate -s -1 %s/b.safetensors; : >%s/d.safetensors", folder, folder));
    daemon = daemon_start("--layers", folder);
    assert_non_null(strstr(daemon_log(daemon), "layer b: set aside"));
    assert_non_null(strstr(daemon_log(daemon), "layer d: set aside"));
    assert_non_null(strstr(daemon_log(daemon), "1 of 3 layers are whole"));
    assert_times(daemon, "c", 3);
    assert_int_equal(put_times(daemon, "b", 7)->status, 201);
    assert_times(daemon, "b", 7);
    finish(daemon, folder);
}

TEST(no_name_and_no_link_leads_out_of_the_folder)
{
    static const char *const names[] = { "..",    "%2e%2e", ".lock", "..%2fa", "A",
                                         "a%00b", "a/b",    "%2e",   "a%5cb",  "-a",
                                         "a%20b", "%c3%a4", "a%0ab" };
    const char *folder = folder_create(), *outside = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int status = put_times(daemon, names[i], 1)->status;

        if (status != 400 && status != 404 && status != 405)
            fail_msg("PUT /layers/%s: %d", names[i], status);
    }
    put_times(daemon, "real", 1);
    shell(text_format("cd %s && cp real.safetensors %s/x && ln -s %s/x linked.safetensors && "
                      "mkdir dir.safetensors && mkfifo pipe.safetensors && "
                      "ln -s %s/y .upload && touch Big.safetensors .hidden.safetensors",
                      folder, outside, outside, outside));
    assert_null(strstr(get(daemon, "/layers")->body, "linked"));
    assert_int_equal(get(daemon, "/layers/linked")->status, 404);
    assert_int_equal(get(daemon, "/layers/pipe")->status, 404);
    assert_int_equal(get(daemon, "/layers/dir")->status, 404);
    assert_int_equal(convolve(daemon, "\"layer\":\"../real\"")->status, 400);
    assert_int_equal(put_times(daemon, "linked", 2)->status, 201);
    assert_times(daemon, "linked", 2);
    shell(text_format("cd %s && cmp x %s/real.safetensors && ! test -e y && rm -r x", outside,
                      folder));
    assert_int_equal(put_times(daemon, "dir", 2)->status, 500);
    assert_int_equal(put_times(daemon, "real", 3)->status, 200);
    shell(text_format("rmdir %s", outside));
    finish(daemon, folder);
}

/* A request that a worker is at for long, begun with the layer that goes away meanwhile. */
TEST(a_running_request_keeps_the_layer_that_is_deleted)
{
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);
    const char *layer = text_format("\"weights\":{\"random\":{\"seed\":1}},\"K\":16,\"F\":%d,"
                                    "\"algorithm\":\"reference\"",
                                    SLOWDOWN > 1 ? 7 : 31);
    const char *rest = "\"image\":{\"sample\":\"cat\",\"size\":128},\"maps\":3,\"data\":\"base64\"";
    struct answer *said =
        call_with(daemon, NULL, "/convolve", text_format("{%s,%s}", rest, layer), NULL);
    const char *json = text_format("{%s,\"layer\":\"big\"}", rest);
    int fds[3];

    assert_int_equal(said->status, 200);
    put(daemon, "big", text_format("{%s,\"input\":[3,128,128]}", layer));
    for (int i = 0; i < 3; i++) {
        const char *text = text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                                       "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                                       strlen(json), json);

        fds[i] = raw_open(daemon);
        raw_write(fds[i], text, strlen(text));
    }
    usleep(30000);
    if (said->ms > 100)
        assert_int_equal(put_times(daemon, "big", 2)->status, 200);
    assert_int_equal(delete (daemon, "big")->status, 204);
    for (int i = 0; i < 3; i++) {
        char *reply = raw_read(fds[i]);

        if (!strstr(reply, answer_text(said, "data")) && !strstr(reply, "/problems/parameter"))
            fail_msg("another answer: %.200s", reply);
        assert_true(i || strstr(reply, " 200 OK"));
    }
    finish(daemon, folder);
}

/* Every answer is that of one version, whole. */
TEST(layers_may_change_while_everybody_uses_them)
{
    enum { CALLS = 48, ROUNDS = 6 };
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder, "--workers", "4");
    struct answer *answers[CALLS];
    struct call calls[CALLS];

    for (int i = 0; i < CALLS; i++)
        calls[i] = i % 6 == 0    ? (struct call){ .path = "/layers/a",
                                                  .method = "PUT",
                                                  .body = text_format("{\"weights\":[[%d]]}", i + 1) }
                   : i % 12 == 1 ? (struct call){ .path = "/layers/a", .method = "DELETE" }
                   : i % 12 == 2 ? (struct call){ .path = "/layers" }
                                 : (struct call){ .path = "/convolve?layer=a",
                                                  .body = "{\"image\":[[1,2]]}" };
    for (int round = 0; round < ROUNDS; round++) {
        http_parallel(daemon, calls, CALLS, answers);
        for (int i = 0; i < CALLS; i++) {
            int status = answers[i]->status;

            if (status != 200 && status != 201 && status != 204 && status != 404 && status != 400)
                fail_msg("%s: %d %.200s", calls[i].path, status, answers[i]->body);
            if (status == 200 && !strcmp(calls[i].path, "/convolve?layer=a")) {
                double one = answer_number(answers[i], "data.0");

                assert_true(one >= 1 && one <= CALLS && ((int)one - 1) % 6 == 0);
                assert_true(answer_number(answers[i], "data.1") == 2 * one);
            }
        }
    }
    finish(daemon, folder);
}

TEST(sighup_reads_the_folder_anew_or_changes_nothing)
{
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);

    put_times(daemon, "a", 1);
    shell(text_format("mv %s %s.old", folder, folder));
    kill(daemon->pid, SIGHUP);
    for (int i = 0; i < 100 && !strstr(daemon_log(daemon), "nothing changed"); i++)
        usleep(20000);
    assert_non_null(strstr(daemon_log(daemon), "nothing changed"));
    assert_times(daemon, "a", 1);
    shell(text_format("mkdir %s && cp %s.old/a.safetensors %s/b.safetensors && rm -r %s.old",
                      folder, folder, folder, folder));
    kill(daemon->pid, SIGHUP);
    for (int i = 0; i < 100 && !strstr(daemon_log(daemon), "1 of 1 layers"); i++)
        usleep(20000);
    assert_non_null(strstr(daemon_log(daemon), "layers read"));
    assert_times(daemon, "b", 1);
    assert_int_equal(get(daemon, "/layers/a")->status, 404);
    finish(daemon, folder);
}

TEST(metrics_count_the_layers_of_the_folder)
{
    const char *folder = folder_create();
    struct daemon *daemon = daemon_start("--layers", folder);
    double bytes = answer_number(put_times(daemon, "a", 1), "bytes") +
                   answer_number(put_times(daemon, "b", 1), "bytes");
    struct answer *answer = get(daemon, "/metrics");

    assert_non_null(strstr(answer->body, "\nconvolved_layers 2\n"));
    assert_non_null(strstr(answer->body, text_format("\nconvolved_layers_bytes %.0f\n", bytes)));
    delete (daemon, "a");
    usleep(60000);
    assert_non_null(strstr(get(daemon, "/metrics")->body, "\nconvolved_layers 1\n"));
    finish(daemon, folder);
}

TEST(without_a_folder_there_are_no_layers)
{
    assert_problem(http_get("/layers"), 404, "not-found", "", "--layers");
    assert_problem(http_get("/layers/a"), 404, "not-found", "", "--layers");
    assert_problem(put_times(NULL, "a", 1), 404, "not-found", "", "--layers");
    assert_problem(delete (NULL, "a"), 404, "not-found", "", "--layers");
    assert_problem(convolve(NULL, "\"layer\":\"a\""), 400, "parameter", "/layer", "--layers");
    assert_problem(http_get("/v2/models/a"), 404, "not-found", "", "conv2d");
}

TEST(a_folder_that_is_not_there_is_a_wrong_option)
{
    FILE *run =
        popen(text_format("%s --listen 127.0.0.1:0 --layers /nowhere 2>&1", program_path()), "r");
    char text[512] = "";
    int status;

    assert_non_null(run);
    assert_true(fread(text, 1, sizeof text - 1, run) > 0);
    status = pclose(run);
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_non_null(strstr(text, "--layers /nowhere"));
}
