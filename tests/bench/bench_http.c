/* The textbook layer over HTTP: how many requests a second, how long each takes, and what the
 * server does besides the convolution. Starts the daemon itself; every reply is compared with the
 * first, and the first with float64. JSON=1 prints one object a line, SECONDS=1 a run, ONLY=name a
 * kind of request, RIVAL is a command that starts another server of the same layer and prints its
 * port. */
#include "tests/bench/load_http.h"
#include "tests/bench/parts_http.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TIMES = 1 << 16, MOST_KINDS = 16, FOUR = 4 };

/* One kind of request and what its reply must be. */
struct kind {
    const char *server, *request, *reply;
    struct text message;
    const char *begins; /* what is compared lies behind this in the body; NULL: the whole body */
    struct text want;   /* empty: the first reply's */
    double *decode, *convolve, *encode;
    size_t times;
};

static float outputs[OUTPUTS]; /* what the layer makes of the photo */

static void take_time(struct kind *kind, const char *head, const char *stage, double *to)
{
    const char *timing = strcasestr(head, "\r\nserver-timing:");
    const char *at = timing ? strstr(timing, stage) : NULL;

    to[kind->times] = at ? strtod(at + strlen(stage), NULL) : 0;
}

/* Every reply has the same numbers, or the same picture. */
static bool check_reply(void *arg, const struct load_reply *reply)
{
    struct kind *kind = arg;
    const char *from = reply->body;
    size_t left = reply->size;

    if (reply->status != 200)
        return false;
    if (kind->times < MOST_TIMES) {
        take_time(kind, reply->head, "decode;dur=", kind->decode);
        take_time(kind, reply->head, "convolve;dur=", kind->convolve);
        take_time(kind, reply->head, "encode;dur=", kind->encode);
        kind->times++;
    }
    if (kind->begins) {
        from = memmem(reply->body, reply->size, kind->begins, strlen(kind->begins));
        if (!from)
            return false;
        from += strlen(kind->begins);
        left -= (size_t)(from - reply->body);
    }
    if (!kind->want.size) /* the numbers end where something else begins */
        append(&kind->want, from, kind->begins ? strcspn(from, "]\"") : left);
    return left >= kind->want.size && !memcmp(from, kind->want.data, kind->want.size);
}

/* JSON's numbers are the float32 that raw sends; a rival's may differ by rounding. */
static void check_numbers(const struct kind *kind, double tolerance)
{
    const char *at = kind->want.data;

    for (size_t i = 0; i < OUTPUTS; i++) {
        char *end;
        float value = strtof(at, &end);

        if (end == at || value - outputs[i] > (float)tolerance ||
            outputs[i] - value > (float)tolerance)
            die("%s %s: number %zu is %.20s, not %.9g", kind->server, kind->reply, i, at,
                (double)outputs[i]);
        at = end + 1;
    }
}

static void report(const struct kind *kind, const struct load *load, double cpu_ms)
{
    double rate = (double)load->done / load->elapsed, outside, convolve;
    size_t n = kind->times;

    load_sort(kind->decode, n);
    load_sort(kind->convolve, n);
    load_sort(kind->encode, n);
    convolve = load_quantile(kind->convolve, n, 0.5);
    outside = load_quantile(kind->decode, n, 0.5) + load_quantile(kind->encode, n, 0.5);
    printf(getenv("JSON")
               ? "{\"server\":\"%s\",\"request\":\"%s\",\"reply\":\"%s\",\"loop\":\"%s\","
                 "\"connections\":%d,\"requests_per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
                 "\"decode_ms\":%.3f,\"convolve_ms\":%.3f,\"encode_ms\":%.3f,"
                 "\"outside_per_convolve\":%.2f,\"cpu_ms\":%.3f,\"done\":%zu,\"wrong\":%zu}\n"
               : "%-9s %-7s %-7s %-6s %4d %9.1f %9.2f %9.2f %8.3f %8.3f %8.3f %7.2f %8.2f %7zu "
                 "%5zu\n",
           kind->server, kind->request, kind->reply, load->rate > 0 ? "open" : "closed",
           load->connections, rate, load_quantile(load->ms, load->done, 0.5),
           load_quantile(load->ms, load->done, 0.99), load_quantile(kind->decode, n, 0.5), convolve,
           load_quantile(kind->encode, n, 0.5), convolve > 0 ? outside / convolve : 0, cpu_ms,
           load->done, load->wrong);
    fflush(stdout);
    if (load->wrong)
        die("%zu wrong replies", load->wrong);
}

/* Requests a second. */
static double run(struct server server, struct kind *kind, int connections, double rate)
{
    const char *seconds = getenv("SECONDS");
    struct load load = { .port = server.port,
                         .connections = connections,
                         .rate = rate,
                         .seconds = seconds ? atof(seconds) : 1,
                         .request = kind->message.data,
                         .request_size = kind->message.size,
                         .check = check_reply,
                         .arg = kind };
    double cpu = server_cpu(server);

    kind->times = 0;
    if (!load_run(&load))
        die("%s went away", kind->server);
    report(kind, &load, load.done ? (server_cpu(server) - cpu) / (double)load.done : 0);
    free(load.ms);
    return (double)load.done / load.elapsed;
}

/* 1 to 64 connections, then half of the best rate, unasked. Requests a second of four. */
static double run_all(struct server server, struct kind *kind)
{
    static const int connections[] = { 1, 2, FOUR, 8, 64 };
    double best = 0, four = 0;

    kind->decode = calloc(3 * MOST_TIMES, sizeof *kind->decode);
    kind->convolve = kind->decode + MOST_TIMES;
    kind->encode = kind->convolve + MOST_TIMES;
    for (int i = 0; i < 5; i++) {
        double rate = run(server, kind, connections[i], 0);

        best = rate > best ? rate : best;
        four = connections[i] == FOUR ? rate : four;
    }
    run(server, kind, 64, best / 2);
    if (*kind->reply == 'j')
        check_numbers(kind, strcmp(kind->server, "convolved") ? 0.5 : 0);
    if (!strcmp(kind->reply, "binary") &&
        (kind->want.size < sizeof outputs ||
         memcmp(kind->want.data + kind->want.size - sizeof outputs, outputs, sizeof outputs)))
        die("/v2 answers other numbers");
    free(kind->decode);
    free(kind->message.data);
    free(kind->want.data);
    return four;
}

/* What all requests are made of. */
struct layer {
    struct text png, npy, weights, raw, json;
};

static struct layer read_layer(struct server server)
{
#define CAT "{\"image\":{\"sample\":\"cat\",\"size\":227},\"weights\":\"learned96\",\"stride\":4,"
    const struct text body = text_of(CAT "\"padding\":0,\"format\":\"raw\"}");
    struct layer layer = { .png = photo_png(server), .npy = photo_npy(server) };

    layer.weights = ask(server, "/convolve?what=weights", body);
    layer.raw = ask(server, "/convolve", body);
    if (layer.raw.size != sizeof outputs || layer.weights.size != WEIGHTS * sizeof(float))
        die("the layer has %zu bytes, its weights %zu", layer.raw.size, layer.weights.size);
    memcpy(outputs, layer.raw.data, sizeof outputs);
    layer.json = inline_json(&layer.npy, &layer.weights);
    return layer;
}

static bool is_wanted(const char *request)
{
    const char *only = getenv("ONLY");

    return !only || !*only || !strcmp(only, request);
}

/* A photograph as a file or as pixels, with weights by name, or all of it inline; each reply. */
static void run_own(struct server server, const char *request, const struct text *body,
                    const struct layer *layer, double four[2])
{
    static const struct {
        const char *name, *query, *begins;
    } replies[] = { { "json", "format=json", "\"data\":[" },
                    { "raw", "format=raw", NULL },
                    { "base64", "format=json&data=base64", "\"data\":\"" },
                    { "png", "format=png", NULL } };

    for (int i = 0; i < 4 && is_wanted(request); i++) {
        struct kind kind = { .server = "convolved",
                             .request = request,
                             .reply = replies[i].name,
                             .begins = replies[i].begins };
        char path[128];
        double rate;

        snprintf(path, sizeof path, "/convolve?%s%s",
                 strcmp(request, "inline") ? "weights=learned96&stride=4&padding=0&" : "",
                 replies[i].query);
        kind.message = post(path, body);
        if (!strcmp(kind.reply, "raw"))
            append(&kind.want, layer->raw.data, layer->raw.size);
        rate = run_all(server, &kind);
        if (i < 2 && four)
            four[i] = rate;
    }
}

static void run_infer(struct server server, const struct layer *layer)
{
    struct kind kind = { .server = "convolved", .request = "v2", .reply = "binary" };

    if (!is_wanted("v2"))
        return;
    kind.message = infer_message(&layer->npy, &layer->weights);
    run_all(server, &kind);
}

/* The same picture file to both, four connections. */
static void run_rival(const char *command, const struct layer *layer, const double four[2])
{
    struct server server = server_start((char *[]){ "sh", "-c", (char *)(uintptr_t)command, NULL });

    free(ask(server, "/weights", layer->weights).data);
    for (int i = 0; i < 2; i++) {
        struct kind kind = { .server = "rival",
                             .request = "picture",
                             .reply = i ? "raw" : "json",
                             .message = post(i ? "/raw" : "/json", &layer->png),
                             .begins = i ? NULL : "\"data\":[" };
        double rate = run_all(server, &kind);

        if (!getenv("JSON") && four[i] > 0)
            printf("%d connections, picture to %s: %.1f x the rival\n", FOUR, i ? "raw" : "json",
                   four[i] / rate);
    }
    server_stop(server);
}

int main(int argc, char **argv)
{
    struct server server;
    struct layer layer;
    double four[2] = { 0 };

    if (argc != 2)
        die("usage: bench_http build/release/convolved");
    server = server_start(
        (char *[]){ argv[1], "--listen", "127.0.0.1:0", "--log-level", "warning", NULL });
    layer = read_layer(server);
    if (!getenv("JSON"))
        printf("%-9s %-7s %-7s %-6s %4s %9s %9s %9s %8s %8s %8s %7s %8s %7s %5s\n", "server",
               "request", "reply", "loop", "conn", "req/s", "p50 ms", "p99 ms", "decode",
               "convolve", "encode", "outside", "cpu ms", "done", "wrong");
    run_own(server, "picture", &layer.png, &layer, four);
    run_own(server, "name", &layer.npy, &layer, NULL);
    run_own(server, "inline", &layer.json, &layer, NULL);
    run_infer(server, &layer);
    server_stop(server);
    if (getenv("RIVAL") && is_wanted("picture"))
        run_rival(getenv("RIVAL"), &layer, four);
    return 0;
}
