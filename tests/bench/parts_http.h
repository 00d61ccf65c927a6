/* What the bench of the daemon is made of: texts, servers, and the textbook layer's requests. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WIDTH = 227, MAPS = 96, OUTPUTS = MAPS * 55 * 55, WEIGHTS = MAPS * 3 * 11 * 11 };

struct server {
    pid_t pid;
    int port;
};

struct text {
    char *data;
    size_t size;
};

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
void append(struct text *text, const void *data, size_t size);
struct text text_of(const char *string); /* not a copy */

struct server server_start(char *const *command);
void server_stop(struct server server);
double server_cpu(struct server server); /* milliseconds of processor time that it has used */

/* A request's bytes; the body of its answer. */
struct text post(const char *path, const struct text *body);
struct text ask(struct server server, const char *path, struct text body);

/* The same photograph as a PNG file, as pixels in an 8-bit npy, as base64 in JSON with the weights
 * as numbers, and in the Open Inference Protocol's binary tensors. */
struct text photo_png(struct server server);
struct text photo_npy(struct server server);
struct text inline_json(const struct text *npy, const struct text *weights);
struct text infer_message(const struct text *npy, const struct text *weights);
