/* The text format of Prometheus, held to its own page: what a scraper would refuse fails here, and
 * promtool, where it is installed, has nothing to add. */
#include "tests/http/harness.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A daemon that has done one of each, so that every family has its samples. */
static char *scraped(void)
{
    static const char body[] = "{\"image\":[[1,2],[3,4]],\"weights\":[[1]]}";

    assert_int_equal(http_json("/convolve", body)->status, 200);
    assert_int_equal(http_json("/plan", body)->status, 200);
    assert_int_equal(http_send(.path = "/nowhere", .method = "BREW")->status, 404);
    assert_int_equal(http_send(.path = "/livez", .method = "DELETE")->status, 405);
    return keep(strdup(http_get("/metrics")->body));
}

/* One line with a value, taken apart. */
struct sample {
    const char *name, *labels; /* labels with their braces, or "" */
    double value;
};

static size_t name_size(const char *text)
{
    size_t size = isalpha((unsigned char)*text) || *text == '_' ? 1 : 0;

    while (size && (isalnum((unsigned char)text[size]) || text[size] == '_' || text[size] == ':'))
        size++;
    return size;
}

/* {name="value",...}: a value has no bare ", \ or line feed. What stands behind it. */
static const char *labels_end(const char *text)
{
    if (*text != '{')
        return text;
    do {
        text++;
        text += name_size(text);
        if (*text++ != '=' || *text++ != '"')
            return NULL;
        text += strcspn(text, "\"\\\n");
        if (*text++ != '"')
            return NULL;
    } while (*text == ',');
    return *text == '}' ? text + 1 : NULL;
}

static struct sample sample_read(const char *line)
{
    struct sample sample = { .name = text_format("%.*s", (int)name_size(line), line) };
    const char *labels = line + strlen(sample.name), *end = labels_end(labels);
    char *rest;

    if (!*sample.name || !end || *end != ' ')
        fail_msg("no sample: %s", line);
    sample.labels = text_format("%.*s", (int)(end - labels), labels);
    sample.value = strtod(end + 1, &rest);
    if (rest == end + 1 || *rest)
        fail_msg("no value: %s", line);
    return sample;
}

/* The name as TYPE said it, or in a histogram that with one of its three endings. */
static bool belongs(const char *name, const char *family, bool histogram)
{
    static const char *const endings[] = { "_bucket", "_sum", "_count" };
    size_t size = strlen(family);

    if (strncmp(name, family, size))
        return false;
    for (int i = 0; histogram && i < 3; i++)
        if (!strcmp(name + size, endings[i]))
            return true;
    return !histogram && !name[size];
}

TEST(each_family_says_help_and_type_once_and_its_samples_follow_without_twins)
{
    char *text = scraped(), *line, *rest = NULL, *seen = keep(calloc(1, 2 * strlen(text) + 2));
    const char *family = "", *kind = "";

    assert_int_equal(text[strlen(text) - 1], '\n');
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *mark;
        struct sample sample;

        if (!strncmp(line, "# HELP ", 7)) {
            family = text_format("%.*s", (int)name_size(line + 7), line + 7);
            assert_true(line[7 + strlen(family)] == ' ' && line[8 + strlen(family)]);
            mark = text_format("\n# %s\n", family);
        } else if (!strncmp(line, "# TYPE ", 7)) {
            assert_memory_equal(line + 7, family, strlen(family));
            kind = line + 8 + strlen(family);
            assert_true(!strcmp(kind, "counter") || !strcmp(kind, "gauge") ||
                        !strcmp(kind, "histogram"));
            assert_int_equal(!strcmp(kind, "counter"),
                             strlen(family) > 6 && !strcmp(family + strlen(family) - 6, "_total"));
            continue;
        } else {
            sample = sample_read(line);
            if (!belongs(sample.name, family, !strcmp(kind, "histogram")))
                fail_msg("%s stands under %s", sample.name, family);
            assert_true(strcmp(kind, "counter") || sample.value >= 0);
            mark = text_format("\n%s%s\n", sample.name, sample.labels);
        }
        if (strstr(seen, mark))
            fail_msg("twice:%s", mark);
        strcat(seen, mark);
    }
}

/* Buckets by growing le, each with at least what the one before it has; +Inf has them all. */
TEST(histograms_are_cumulative_and_end_with_all_of_them)
{
    static const char *const stages[] = { "queue", "decode", "convolve", "encode" };
    char *text = scraped();

    for (int i = 0; i < 4; i++) {
        const char *begin =
            text_format("\nconvolved_stage_duration_seconds_bucket{stage=\"%s\",le=\"", stages[i]);
        const char *count =
            text_format("\nconvolved_stage_duration_seconds_count{stage=\"%s\"} ", stages[i]);
        double last_le = -1, last = 0;
        int buckets = 0;

        for (const char *at = text; (at = strstr(at, begin)); buckets++) {
            double le = strtod(at += strlen(begin), NULL); /* +Inf is read as infinity */
            double value = strtod(strchr(at, ' '), NULL);

            assert_true(le > last_le && value >= last);
            last_le = le;
            last = value;
        }
        assert_true(buckets > 5 && last_le > 1e300 && last > 0);
        assert_non_null(strstr(text, count));
        assert_true(strtod(strstr(text, count) + strlen(count), NULL) == last);
    }
}

TEST(metrics_has_all_that_an_operator_asks_for)
{
    static const char *const wanted[] = {
        "convolved_requests_total{method=\"POST\",path=\"/convolve\",status=\"200\"}",
        "convolved_requests_total{method=\"other\",path=\"other\",status=\"404\"}",
        "convolved_rejected_total{reason=\"busy\"}",
        "convolved_rejected_total{reason=\"deadline\"}",
        "convolved_rejected_total{reason=\"method\"}",
        "convolved_cancelled_total",
        "convolved_macs_total",
        "convolved_jobs_waiting",
        "convolved_jobs_running",
        "convolved_queue_limit",
        "convolved_workers",
        "convolved_connections",
        "convolved_connection_limit",
        "convolved_memory_used_bytes",
        "convolved_memory_limit_bytes",
        "convolved_draining",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_start_time_seconds",
        "convolved_build_info{version=\"",
    };
    char *text = scraped();

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strstr(text, text_format("\n%s", wanted[i])))
            fail_msg("no %s", wanted[i]);
    assert_null(strstr(text, "BREW")); /* labels come from closed sets */
    assert_null(strstr(text, "nowhere"));
}

TEST(promtool_has_nothing_to_say)
{
    char *path = text_format("/tmp/convolved-metrics-%d-XXXXXX", getpid()), said[4096] = "";
    int fd = mkstemp(path), status;
    char *text = scraped();
    FILE *pipe;

    if (system("command -v promtool >/dev/null")) {
        printf("NOT RUN: there is no promtool here (Debian: apt-get install prometheus)\n");
        unlink(path);
        skip();
    }
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    pipe = popen(text_format("promtool check metrics <%s 2>&1", path), "r");
    assert_non_null(pipe);
    assert_true(fread(said, 1, sizeof said - 1, pipe) < sizeof said);
    status = pclose(pipe);
    unlink(path);
    if (status || *said)
        fail_msg("promtool: %s", said);
}
