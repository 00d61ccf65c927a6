/* Servers are children; a request is one text; the answers that requests are made of come from the
 * daemon itself. */
#include "tests/bench/parts_http.h"
#include "tests/bench/load_http.h"

#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIXELS = WIDTH * WIDTH * 3, NPY_HEADER = 128 };

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void append(struct text *text, const void *data, size_t size)
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

/* A child whose output begins to be read here, up to the first port in it. */
struct server server_start(char *const *command)
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

void server_stop(struct server server)
{
    kill(server.pid, SIGTERM);
    waitpid(server.pid, NULL, 0);
}

double server_cpu(struct server server)
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

struct text text_of(const char *string)
{
    return (struct text){ (char *)(uintptr_t)string, strlen(string) };
}

static bool keep_reply(void *arg, const struct load_reply *reply)
{
    struct text *kept = arg;

    if (reply->status != 200)
        die("status %d: %.400s", reply->status, reply->body);
    kept->size = 0;
    append(kept, reply->body, reply->size);
    return true;
}

static struct text message_of(const char *method, const char *path, const struct text *body)
{
    struct text message = { NULL, 0 };

    say(&message, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", method, path,
        body->size);
    append(&message, body->data, body->size);
    return message;
}

struct text post(const char *path, const struct text *body)
{
    return message_of("POST", path, body);
}

/* The first of the replies to a load of a hundredth of a second. */
static struct text ask_by(const char *method, struct server server, const char *path,
                          struct text body)
{
    struct text message = message_of(method, path, &body), reply = { NULL, 0 };
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

struct text ask(struct server server, const char *path, struct text body)
{
    return ask_by("POST", server, path, body);
}

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

/* The built-in one, at the layer's size. */
struct text photo_png(struct server server)
{
    return ask_by("GET", server, "/samples/cat?size=227", text_of(""));
}

/* [H][W][3] */
struct text photo_npy(struct server server)
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
struct text inline_json(const struct text *npy, const struct text *weights)
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
struct text infer_message(const struct text *npy, const struct text *weights)
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
