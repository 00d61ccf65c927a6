/* The page and its parts as browsers, caches and curl get them. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct file {
    const char *path, *name, *type;
} files[] = { { "/", "server/web/index.html", "text/html; charset=utf-8" },
              { "/docs", "server/web/docs.html", "text/html; charset=utf-8" },
              { "/ui/app.js", "server/web/app.js", "text/javascript; charset=utf-8" },
              { "/ui/lib.js", "server/web/lib.js", "text/javascript; charset=utf-8" },
              { "/ui/views.js", "server/web/views.js", "text/javascript; charset=utf-8" },
              { "/ui/docs.js", "server/web/docs.js", "text/javascript; charset=utf-8" },
              { "/ui/style.css", "server/web/style.css", "text/css; charset=utf-8" },
              { "/ui/docs.css", "server/web/docs.css", "text/css; charset=utf-8" },
              { "/ui/icon.svg", "server/web/icon.svg", "image/svg+xml" },
              { "/openapi.json", "api/openapi.json", "application/json" } };
enum { FILES = sizeof files / sizeof *files };
#define BROWSER "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

static struct answer *get(struct daemon *daemon, const char *path, const char *encoding,
                          const char *known)
{
    struct call call = { .path = path, .accept = BROWSER };
    int count = 0;

    if (encoding)
        call.headers[count++] = text_format("Accept-Encoding: %s", encoding);
    if (known)
        call.headers[count++] = text_format("If-None-Match: %s", known);
    return http_call(daemon, &call);
}

static void assert_body(const struct answer *answer, const char *name)
{
    size_t size;
    const char *file = file_read(name, &size);

    assert_int_equal(answer->size, size);
    assert_memory_equal(answer->body, file, size);
}

static struct answer gunzip(const struct answer *answer)
{
    struct answer plain = { .body = keep(malloc(1 << 20)) };
    FILE *file = tmpfile(), *pipe;

    assert_int_equal(fwrite(answer->body, 1, answer->size, file), answer->size);
    fflush(file);
    rewind(file);
    pipe = popen(text_format("gzip -dc </proc/%d/fd/%d", getpid(), fileno(file)), "r");
    plain.size = fread(plain.body, 1, 1 << 20, pipe);
    assert_int_equal(pclose(pipe), 0);
    fclose(file);
    return plain;
}

TEST(every_file_of_the_page_comes_as_it_is_and_compressed)
{
    for (int i = 0; i < FILES; i++) {
        struct answer *plain = get(NULL, files[i].path, NULL, NULL);
        struct answer *small = get(NULL, files[i].path, "br, gzip;q=0.8", NULL), unzipped;

        assert_int_equal(plain->status, 200);
        assert_string_equal(answer_header(plain, "Content-Type"), files[i].type);
        assert_null(answer_header(plain, "Content-Encoding"));
        assert_body(plain, files[i].name);
        assert_string_equal(answer_header(small, "Content-Encoding"), "gzip");
        assert_string_equal(answer_header(small, "Content-Type"), files[i].type);
        unzipped = gunzip(small);
        assert_body(&unzipped, files[i].name);
        assert_string_equal(answer_header(small, "Cache-Control"), "no-cache");
        assert_non_null(strstr(small->headers, "Vary: Accept-Encoding"));
    }
}

TEST(gzip_is_sent_only_to_those_who_take_it)
{
    static const char *const yes[] = { "gzip", "deflate, GZIP", "gzip;q=1.0, identity; q=0.5" };
    static const char *const no[] = { "identity", "br",      "gzip;q=0", "gzip; q=0.0, br",
                                      "xgzip",    "gzipped", "" };

    for (int i = 0; i < 3; i++)
        assert_string_equal(
            answer_header(get(NULL, "/ui/lib.js", yes[i], NULL), "Content-Encoding"), "gzip");
    for (int i = 0; i < 7; i++)
        assert_null(answer_header(get(NULL, "/ui/lib.js", no[i], NULL), "Content-Encoding"));
}

TEST(what_the_browser_has_already_is_304_and_empty)
{
    for (int i = 0; i < FILES; i++) {
        const char *plain = answer_header(get(NULL, files[i].path, NULL, NULL), "ETag");
        const char *small = answer_header(get(NULL, files[i].path, "gzip", NULL), "ETag");
        struct answer *again = get(NULL, files[i].path, "gzip", small);

        assert_true(*plain == '"' && *small == '"');
        assert_string_not_equal(plain, small); /* other bytes, another name */
        assert_int_equal(again->status, 304);
        assert_int_equal(again->size, 0);
        assert_string_equal(answer_header(again, "ETag"), small);
        assert_null(answer_header(again, "Content-Encoding"));
        assert_int_equal(get(NULL, files[i].path, NULL, plain)->status, 304);
        assert_int_equal(get(NULL, files[i].path, "gzip", plain)->status, 200);
        assert_int_equal(get(NULL, files[i].path, NULL, small)->status, 200);
    }
}

TEST(if_none_match_may_be_a_list_weak_or_a_star)
{
    const char *tag = answer_header(get(NULL, "/ui/app.js", NULL, NULL), "ETag");

    assert_int_equal(get(NULL, "/ui/app.js", NULL, text_format("\"other\", W/%s", tag))->status,
                     304);
    assert_int_equal(get(NULL, "/ui/app.js", NULL, "*")->status, 304);
    assert_int_equal(get(NULL, "/ui/app.js", NULL, "\"other\"")->status, 200);
}

TEST(head_of_an_asset_has_the_headers_of_get)
{
    static const char *const names[] = { "ETag", "Content-Type", "Content-Length",
                                         "Content-Encoding", "Content-Security-Policy" };

    for (int i = 0; i < FILES; i++) {
        struct call call = { .path = files[i].path,
                             .method = "HEAD",
                             .accept = BROWSER,
                             .headers = { "Accept-Encoding: gzip" } };
        struct answer *head = http_call(NULL, &call), *whole = get(NULL, files[i].path, "gzip", 0);

        assert_int_equal(head->status, 200);
        assert_int_equal(head->size, 0);
        for (int n = 0; n < 5; n++)
            assert_string_equal(answer_header(head, names[n]), answer_header(whole, names[n]));
        call.headers[1] = text_format("If-None-Match: %s", answer_header(whole, "ETag"));
        assert_int_equal(http_call(NULL, &call)->status, 304);
    }
}

TEST(the_page_runs_nothing_but_its_own_scripts)
{
    const char *policy = answer_header(get(NULL, "/", NULL, NULL), "Content-Security-Policy");

    assert_non_null(strstr(policy, "default-src 'none'; script-src 'self'; style-src 'self'; "));
    assert_non_null(strstr(policy, "frame-ancestors 'none'"));
    assert_non_null(strstr(policy, "require-trusted-types-for 'script'"));
    assert_null(strstr(policy, "unsafe"));
}

/* A cache must not give curl's guide to a browser. */
TEST(one_address_holds_the_page_for_browsers_and_the_guide_for_others)
{
    static const char *const others[] = {
        NULL, "*/*", "text/plain", "application/json", "text/html;q=0, */*", "text/htmlx"
    };

    assert_non_null(strstr(get(NULL, "/", NULL, NULL)->body, "<!doctype html>"));
    for (int i = 0; i < 6; i++) {
        struct answer *guide = http_send(.path = "/", .accept = others[i]);

        assert_int_equal(guide->status, 200);
        assert_string_equal(answer_header(guide, "Content-Type"), "text/plain; charset=utf-8");
        assert_non_null(strstr(answer_header(guide, "Vary"), "Accept"));
        assert_null(answer_header(guide, "ETag"));
    }
}

/* What stands there is meant to be typed: each line is run as it is. */
TEST(every_line_of_the_guide_runs)
{
    char *guide = http_get("/")->body, *line, *rest = NULL;
    char folder[] = "/tmp/convolved-guide-XXXXXX";
    int count = 0;

    assert_non_null(mkdtemp(folder));
    for (line = strtok_r(guide, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *pipe = strstr(line, " | jq"), *name = strstr(line, " -o ");

        if (strncmp(line, "  curl ", 7))
            continue;
        if (pipe) /* jq may not be here */
            *pipe = '\0';
        assert_true(pipe || name);
        if (system(text_format("cd %s && %s -f%s", folder, line, pipe ? " >/dev/null" : "")))
            fail_msg("it failed: %s", line);
        count++;
    }
    assert_int_equal(count, 5);
    assert_int_equal(system(text_format("rm -r %s", folder)), 0);
}

TEST(without_ui_the_api_is_still_all_there)
{
    struct daemon *daemon = daemon_start("--no-ui");

    for (int i = 0; i < FILES; i++) {
        struct answer *answer = get(daemon, files[i].path, NULL, NULL);

        if (!strcmp(files[i].path, "/"))
            assert_string_equal(answer_header(answer, "Content-Type"), "text/plain; charset=utf-8");
        else if (!strcmp(files[i].path, "/openapi.json"))
            assert_body(answer, files[i].name);
        else
            assert_problem(answer, 404, "not-found", "", "nothing at");
    }
    assert_int_equal(daemon_stop(daemon), 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

TEST(from_a_folder_the_page_is_what_the_folder_holds_now)
{
    char folder[] = "/tmp/convolved-ui-XXXXXX";
    const char *app, *secret;
    struct daemon *daemon;
    struct answer *answer;

    assert_non_null(mkdtemp(folder));
    app = text_format("%s/app.js", folder);
    secret = text_format("%s/secret.js", folder);
    daemon = daemon_start("--ui-dir", folder);
    write_file(app, "one");
    write_file(secret, "no");
    answer = get(daemon, "/ui/app.js", "gzip", NULL);
    assert_string_equal(answer->body, "one");
    assert_string_equal(answer_header(answer, "Content-Type"), "text/javascript; charset=utf-8");
    assert_null(answer_header(answer, "ETag"));
    write_file(app, "two, longer");
    assert_string_equal(get(daemon, "/ui/app.js", "gzip", "*")->body, "two, longer");
    assert_problem(get(daemon, "/ui/lib.js", NULL, NULL), 404, "not-found", "", "lib.js");
    assert_problem(get(daemon, "/ui/secret.js", NULL, NULL), 404, "not-found", "", "nothing at");
    assert_problem(get(daemon, "/ui/..%2fapp.js", NULL, NULL), 400, "malformed", "", "slash");
    assert_body(get(daemon, "/openapi.json", NULL, NULL), "api/openapi.json");
    assert_int_equal(daemon_stop(daemon), 0);
    unlink(app);
    unlink(secret);
    rmdir(folder);
}
