/* The real daemon on a free loopback port, and the ways to talk to it: libcurl for what clients
 * do, a bare socket for what curl would tidy up. Everything here fails the running test when it
 * cannot do its part, and whatever a test leaves behind is stopped and freed after it. */
#pragma once
#include "tests/testing.h"

#include <cjson/cJSON.h>
#include <sys/types.h>

/* The program under test lies beside the test program: build/MODE/convolved. */
const char *program_path(void);

struct daemon {
    pid_t pid;
    int port;
    char url[64]; /* http://127.0.0.1:PORT, if --listen says nothing else */
    int log_fd;
    char *log;
    struct daemon *next;
};

/* Starts it with these options and waits for its start-up line. */
#define daemon_start(...)                                                                          \
    daemon_start_with((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
struct daemon *daemon_start_with(const char *const *options);

/* The same, but as systemd would: these listening sockets are passed as LISTEN_FDS and there is no
 * --listen. */
struct daemon *daemon_start_passing(const int *sockets, int count, const char *const *options);

/* One daemon with default options for every test that changes nothing; lives till the end, when
 * its own exit status is looked at. */
struct daemon *daemon_shared(void);

/* All that it has said so far on stdout and stderr. */
const char *daemon_log(struct daemon *daemon);

/* Waits till it has exited: its exit status, or 256 + the signal that ended it; after 30 s it is
 * killed and the test fails. Forgets the daemon. daemon_stop sends SIGTERM first. */
int daemon_wait(struct daemon *daemon);
int daemon_stop(struct daemon *daemon);

/* What to send. NULL and 0 mean: not there. */
struct part {
    const char *name, *filename, *type;
    const void *data;
    size_t size; /* 0: data is text */
};
struct call {
    const char *path;
    const char *method; /* GET, or POST when there is a body */
    const char *type, *accept;
    const char *headers[8]; /* "Name: value" */
    const void *body;
    size_t size;              /* 0: the body is text */
    const struct part *parts; /* multipart/form-data, up to the one without a name */
};

struct answer {
    int status;
    char *headers; /* as received, "\r\n" ends; of the last reply */
    char *body;    /* a NUL stands behind it */
    size_t size, headers_size;
    double ms;
    cJSON *json; /* answer_json()'s */
    struct answer *next;
};

/* daemon NULL: the shared one. Any status is fine; no answer at all fails the test. */
struct answer *http_call(struct daemon *daemon, const struct call *call);
#define http_send(...) http_call(NULL, &(struct call){ __VA_ARGS__ })
struct answer *http_get(const char *path);
struct answer *http_json(const char *path, const char *json); /* POST it */

/* All at once, each on its own connection. A call that got no answer has status 0. */
void http_parallel(struct daemon *daemon, const struct call *calls, int count,
                   struct answer **answers);

/* The header's value without the line's end, or NULL; names in any case. Valid till the test's
 * end. */
const char *answer_header(struct answer *answer, const char *name);

/* Members by path ("output.shape.1"); a missing one fails the test. answer_print gives compact
 * JSON text. */
const cJSON *answer_json(struct answer *answer, const char *path);
double answer_number(struct answer *answer, const char *path);
const char *answer_text(struct answer *answer, const char *path);
const char *answer_print(struct answer *answer, const char *path);

/* A problem document with this status, pointer ("/stride", "" for none) and these words in its
 * sentence. */
void assert_problem(struct answer *answer, int status, const char *slug, const char *pointer,
                    const char *words);

/* A bare connection. raw_exchange sends the text and reads until the reply is complete, the
 * server has closed, or 10 s have passed; raw_read the same without sending. */
int raw_open(struct daemon *daemon);
void raw_write(int fd, const void *data, size_t size);
char *raw_read(int fd);
char *raw_exchange(struct daemon *daemon, const char *text);

/* A layer that takes a worker for minutes. */
#define ENDLESS                                                                                    \
    "{\"image\":{\"sample\":\"noise\",\"size\":512},\"weights\":{\"random\":{\"seed\":1}},"        \
    "\"out_channels\":64,\"kernel_size\":63,\"algorithm\":\"reference\",\"data\":\"none\"}"

double now_ms(void);

/* Memory that the test's end gives back, and a whole file in it. */
void *keep(void *memory);
char *file_read(const char *path, size_t *size);
void client_end(void); /* the harness's own: frees the answers */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
