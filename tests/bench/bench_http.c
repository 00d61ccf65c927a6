/* The textbook layer over HTTP: how many requests a second, how long each takes, and what the
 * server does besides the convolution. Starts the daemon itself; every reply is compared with the
 * first, and the first with float64. JSON=1 prints one object a line, SECONDS=1 a run, RIVAL is a
 * command that starts another server of the same layer and prints its port. */
#include "tests/bench/load_http.h"

#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WIDTH = 227, MAPS = 96, OUTPUTS = MAPS * 55 * 55, WEIGHTS = MAPS * 3 * 11 * 11 };
enum { PIXELS = WIDTH * WIDTH * 3, NPY_HEADER = 128, MOST_TIMES = 1 << 16 };

struct server {
    pid_t pid;
    int port;
};

struct text {
    char *data;
    size_t size;
};

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

static void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void append(struct text *text, const void *data, size_t size)
{
    text->data = realloc(text->data, text->size + size + 1);
    if (!text->data)
        die("out of memory");
    memcpy(text->data + text->size, data, size);
    text->data[text->size += size] = '\0';
}

static void say(struct text *text, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    append(text, line, (size_t)vsnprintf(line, sizeof line, format, args));
    va_end(args);
}

/* --- servers --------------------------------------------------------------------------------- */

/* A child whose output begins to be read here, up to the first port in it. */
static struct server server_start(char *const *command)
{
    struct server server;
    int pipes[2];
    char line[4096], *found = NULL;
    FILE *out;

    if (pipe(pipes) || (server.pid = fork()) < 0)
        die("fork");
    if (!server.pid) {
        dup2(pipes[1], 1);
        close(pipes[0]);
        execvp(command[0], command);
        _exit(127);
    }
    close(pipes[1]);
    out = fdopen(pipes[0], "r");
    while (!found && fgets(line, sizeof line, out))
        found = strstr(line, "127.0.0.1:");
    if (!found)
        die("%s did not start", command[0]);
    server.port = atoi(found + 10);
    return server; /* out stays open: the child may still print */
}

static void server_stop(struct server server)
{
    kill(server.pid, SIGTERM);
    waitpid(server.pid, NULL, 0);
}

/* Milliseconds of processor time that it has used. */
static double server_cpu(struct server server)
{
    unsigned long user = 0, system = 0;
    char path[64];
    FILE *stat;

    snprintf(path, sizeof path, "/proc/%d/stat", server.pid);
    stat = fopen(path, "r");
    if (stat) {
        if (fscanf(stat, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                   &system) != 2)
            user = system = 0;
        fclose(stat);
    }
    return (double)(user + system) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

static struct text text_of(const char *string)
{
    return (struct text){ (char *)(uintptr_t)string, strlen(string) };
}

/* --- one exchange, for what the bench needs to know -------------------------------------------- */

static bool keep_reply(void *arg, const struct load_reply *reply)
{
    struct text *kept = arg;

    if (reply->status != 200)
        die("status %d: %.400s", reply->status, reply->body);
    kept->size = 0;
    append(kept, reply->body, reply->size);
    return true;
}

static struct text post(const char *path, const struct text *body)
{
    struct text message = { NULL, 0 };

    say(&message, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", path,
        body->size);
    append(&message, body->data, body->size);
    return message;
}

/* The first of the replies to a load of a hundredth of a second. */
static struct text ask(struct server server, const char *path, struct text body)
{
    struct text message = post(path, &body), reply = { NULL, 0 };
    struct load load = { .port = server.port,
                         .connections = 1,
                         .seconds = 0.001,
                         .request = message.data,
                         .request_size = message.size,
                         .check = keep_reply,
                         .arg = &reply };

    if (!load_run(&load) || !reply.size)
        die("%s: no reply", path);
    free(load.ms);
    free(message.data);
    return reply;
}

/* --- requests -------------------------------------------------------------------------------- */

static void append_base64(struct text *out, const struct text *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes->size; i += 3) {
        const unsigned char *at = (const unsigned char *)bytes->data + i;
        size_t left = bytes->size - i;
        unsigned three = (unsigned)at[0] << 16;

        three |= left > 1 ? (unsigned)at[1] << 8 : 0;
        three |= left > 2 ? at[2] : 0;
        append(out,
               (char[]){ digits[three >> 18], digits[three >> 12 & 63],
                         left > 1 ? digits[three >> 6 & 63] : '=',
                         left > 2 ? digits[three & 63] : '=' },
               4);
    }
}

/* The photo as an 8-bit npy, [H][W][3]. */
static struct text photo_npy(struct server server)
{
    struct text planes = ask(server, "/convolve?what=input&format=raw",
                             text_of("{\"image\":{\"sample\":\"cat\",\"size\":227},\"weights\":"
                                     "\"learned96\",\"stride\":4,\"padding\":0}"));
    struct text npy = { NULL, 0 };
    char header[NPY_HEADER + 1];
    float value;

    if (planes.size != PIXELS * sizeof value)
        die("the photo has %zu bytes", planes.size);
    snprintf(header, sizeof header, "%-127s\n",
             "??????????{'descr': '|u1', 'fortran_order': False, 'shape': (227, 227, 3), }");
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    append(&npy, header, NPY_HEADER);
    for (size_t i = 0; i < PIXELS; i++) {
        memcpy(&value, planes.data + (i % 3 * WIDTH * WIDTH + i / 3) * sizeof value, sizeof value);
        append(&npy, &(unsigned char){ (unsigned char)value }, 1);
    }
    free(planes.data);
    return npy;
}

/* The same photo as base64 and the same weights as numbers, in one JSON document. */
static struct text inline_json(const struct text *npy, const struct text *weights)
{
    struct text json = { NULL, 0 };
    float value;

    say(&json, "{\"stride\":4,\"padding\":0,\"image\":{\"base64\":\"");
    append_base64(&json, npy);
    say(&json, "\"},\"weights\":{\"shape\":[96,3,11,11],\"data\":[");
    for (size_t i = 0; i < WEIGHTS; i++) {
        memcpy(&value, weights->data + i * sizeof value, sizeof value);
        say(&json, "%s%.9g", i ? "," : "", (double)value);
    }
    say(&json, "]}}");
    return json;
}

/* The Open Inference Protocol, all tensors binary, both ways. */
static struct text infer_message(const struct text *npy, const struct text *weights)
{
    static const char json[] =
        "{\"parameters\":{\"strides\":\"4,4\",\"binary_data_output\":true},\"inputs\":[{\"name\":"
        "\"X\",\"shape\":[1,3,227,227],\"datatype\":\"UINT8\",\"parameters\":{\"binary_data_size\":"
        "154587}},{\"name\":\"W\",\"shape\":[96,3,11,11],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":139392}}]}";
    struct text message = { NULL, 0 };

    say(&message,
        "POST /v2/models/conv2d/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n"
        "Inference-Header-Content-Length: %zu\r\n\r\n",
        strlen(json) + PIXELS + weights->size, strlen(json));
    append(&message, json, strlen(json));
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < WIDTH * WIDTH; i++)
            append(&message, npy->data + NPY_HEADER + i * 3 + c, 1);
    append(&message, weights->data, weights->size);
    return message;
}

/* --- checks ---------------------------------------------------------------------------------- */

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

/* --- runs ------------------------------------------------------------------------------------ */

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

/* 1, 2, 8 and 64 connections, then half of the best rate, unasked. */
static void run_all(struct server server, struct kind *kind)
{
    static const int connections[] = { 1, 2, 8, 64 };
    double best = 0;

    kind->decode = calloc(3 * MOST_TIMES, sizeof *kind->decode);
    kind->convolve = kind->decode + MOST_TIMES;
    kind->encode = kind->convolve + MOST_TIMES;
    for (int i = 0; i < 4; i++) {
        double rate = run(server, kind, connections[i], 0);

        best = rate > best ? rate : best;
    }
    run(server, kind, 64, best / 2);
    if (*kind->reply == 'j')
        check_numbers(kind, strcmp(kind->server, "convolved") ? 0.5 : 0);
    free(kind->decode);
}

/* What all requests are made of. */
struct layer {
    struct text npy, weights, raw, json;
};

static struct layer read_layer(struct server server)
{
#define CAT "{\"image\":{\"sample\":\"cat\",\"size\":227},\"weights\":\"learned96\",\"stride\":4,"
    const struct text body = text_of(CAT "\"padding\":0,\"format\":\"raw\"}");
    struct layer layer = { .npy = photo_npy(server) };

    layer.weights = ask(server, "/convolve?what=weights", body);
    layer.raw = ask(server, "/convolve", body);
    if (layer.raw.size != sizeof outputs || layer.weights.size != WEIGHTS * sizeof(float))
        die("the layer has %zu bytes, its weights %zu", layer.raw.size, layer.weights.size);
    memcpy(outputs, layer.raw.data, sizeof outputs);
    layer.json = inline_json(&layer.npy, &layer.weights);
    return layer;
}

/* Weights by name or inline, each reply. */
static void run_own(struct server server, const struct layer *layer, bool by_name)
{
    static const struct {
        const char *name, *query, *begins;
    } replies[] = { { "json", "format=json", "\"data\":[" },
                    { "base64", "format=json&data=base64", "\"data\":\"" },
                    { "raw", "format=raw", NULL },
                    { "png", "format=png", NULL } };

    for (int i = 0; i < 4; i++) {
        struct kind kind = { .server = "convolved",
                             .request = by_name ? "name" : "inline",
                             .reply = replies[i].name,
                             .begins = replies[i].begins };
        char path[128];

        snprintf(path, sizeof path, "/convolve?%s%s",
                 by_name ? "weights=learned96&stride=4&padding=0&" : "", replies[i].query);
        kind.message = post(path, by_name ? &layer->npy : &layer->json);
        if (!strcmp(kind.reply, "raw"))
            append(&kind.want, layer->raw.data, layer->raw.size);
        run_all(server, &kind);
        free(kind.message.data);
        free(kind.want.data);
    }
}

static void run_infer(struct server server, const struct layer *layer)
{
    struct kind kind = { .server = "convolved",
                         .request = "inline",
                         .reply = "v2",
                         .message = infer_message(&layer->npy, &layer->weights) };

    run_all(server, &kind);
    if (kind.want.size < sizeof outputs ||
        memcmp(kind.want.data + kind.want.size - sizeof outputs, outputs, sizeof outputs))
        die("/v2 answers other numbers");
    free(kind.message.data);
    free(kind.want.data);
}

static void run_rival(const char *command, const struct layer *layer)
{
    struct server server = server_start((char *[]){ "sh", "-c", (char *)(uintptr_t)command, NULL });

    free(ask(server, "/weights", layer->weights).data);
    for (int i = 0; i < 2; i++) {
        struct kind kind = { .server = "rival",
                             .request = "model",
                             .reply = i ? "raw" : "json",
                             .message = post(i ? "/raw" : "/json", &layer->npy),
                             .begins = i ? NULL : "\"data\":[" };

        run_all(server, &kind);
        free(kind.message.data);
        free(kind.want.data);
    }
    server_stop(server);
}

int main(int argc, char **argv)
{
    struct server server;
    struct layer layer;

    if (argc != 2)
        die("usage: bench_http build/release/convolved");
    server = server_start(
        (char *[]){ argv[1], "--listen", "127.0.0.1:0", "--log-level", "warning", NULL });
    layer = read_layer(server);
    if (!getenv("JSON"))
        printf("%-9s %-7s %-7s %-6s %4s %9s %9s %9s %8s %8s %8s %7s %8s %7s %5s\n", "server",
               "weights", "reply", "loop", "conn", "req/s", "p50 ms", "p99 ms", "decode",
               "convolve", "encode", "outside", "cpu ms", "done", "wrong");
    run_own(server, &layer, true);
    run_own(server, &layer, false);
    run_infer(server, &layer);
    server_stop(server);
    if (getenv("RIVAL"))
        run_rival(getenv("RIVAL"), &layer);
    return 0;
}
