/* The daemon is killed at random instants of concurrent uploads and deletions of layers. What it
 * has acknowledged is there after the restart, number for number; what it has not is there whole or
 * not at all; nothing else is in the folder. COUNT=500, SEED=1. */
#include "tests/torture/attack.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WRITERS = 4,
    NAMES = 6,         /* of each writer */
    MOST_K = 4000,     /* filters of 3x3: up to 144 kB */
    MOST_CHANGES = 12, /* acknowledged before the kill, */
    MOST_US = 8000,    /*   and how long after them it comes */
    PATIENCE_MS = 60000
};

/* A version's numbers follow from it; 0: there is no layer. */
struct layer {
    uint64_t acknowledged; /* the daemon has said so last */
    uint64_t attempted;    /* it was asked for this and has not answered */
    bool in_flight;
};

struct writer {
    int port, index;
    uint64_t random;
    struct layer layers[NAMES];
    atomic_size_t acknowledged;
    pthread_t thread;
};

/* --- a version's layer ------------------------------------------------------------------------ */

static size_t version_filters(uint64_t version)
{
    return 1 + version % MOST_K;
}

static float *version_numbers(uint64_t version, size_t *count)
{
    float *numbers = malloc((*count = 9 * version_filters(version)) * sizeof *numbers);

    for (size_t i = 0; i < *count; i++)
        numbers[i] = (float)(random_bits(&version) % 2001) - 1000;
    return numbers;
}

static struct blob put_bytes(const char *name, uint64_t version)
{
    char npy[129], head[256];
    size_t count, head_size;
    float *numbers = version_numbers(version, &count);
    struct blob blob;

    memcpy(npy, "\x93NUMPY\x01\x00\x76\x00", 10);
    snprintf(head, sizeof head,
             "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, 1, 3, 3), }",
             version_filters(version));
    snprintf(npy + 10, sizeof npy - 10, "%-117.117s\n", head);
    head_size = (size_t)snprintf(head, sizeof head,
                                 "PUT /layers/%s HTTP/1.1\r\nHost: localhost\r\n"
                                 "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                                 name, 128 + count * sizeof *numbers);
    blob.size = head_size + 128 + count * sizeof *numbers;
    blob.data = malloc(blob.size);
    memcpy(blob.data, head, head_size);
    memcpy(blob.data + head_size, npy, 128);
    memcpy(blob.data + head_size + 128, numbers, count * sizeof *numbers);
    free(numbers);
    return blob;
}

/* --- writers ---------------------------------------------------------------------------------- */

static const char *layer_name(char *text, int writer, int name)
{
    sprintf(text, "w%d-%d", writer, name);
    return text;
}

static int send_change(const struct writer *writer, const char *name, uint64_t version)
{
    struct blob blob = { 0 };
    struct outcome outcome;
    char head[128];

    if (version) {
        blob = put_bytes(name, version);
        outcome = attack(writer->port, blob.data, blob.size, PATIENCE_MS);
    } else {
        int size = snprintf(head, sizeof head,
                            "DELETE /layers/%s HTTP/1.1\r\nHost: localhost\r\n"
                            "Connection: close\r\n\r\n",
                            name);

        outcome = attack(writer->port, head, (size_t)size, PATIENCE_MS);
    }
    free(blob.data);
    free(outcome.data);
    return outcome.status;
}

/* One change after the other, until the daemon is gone. */
static void *write_layers(void *arg)
{
    struct writer *writer = arg;
    int status;

    do {
        int index = (int)random_below(&writer->random, NAMES);
        struct layer *layer = &writer->layers[index];
        char name[32];

        layer->attempted = random_below(&writer->random, 6) ? random_bits(&writer->random) | 1 : 0;
        layer->in_flight = true;
        status = send_change(writer, layer_name(name, writer->index, index), layer->attempted);
        if (status == 200 || status == 201 || status == 204 || status == 404) {
            layer->acknowledged = layer->attempted;
            layer->in_flight = false;
            atomic_fetch_add(&writer->acknowledged, 1);
        }
    } while (status > 0);
    return NULL;
}

/* --- after the restart ------------------------------------------------------------------------ */

static bool holds(const struct outcome *outcome, uint64_t version)
{
    size_t count;
    float *numbers;
    bool same;

    if (!version)
        return outcome->status == 400;
    numbers = version_numbers(version, &count);
    same = outcome->status == 200 && outcome->size == count * sizeof *numbers &&
           !memcmp(outcome->body, numbers, outcome->size);
    free(numbers);
    return same;
}

/* Which of the two versions it may have is there; the counts say so. */
static void check_layer(struct writer *writer, int index, size_t *applied, size_t *open)
{
    static const char body[] = "{\"image\":[[1,2,3],[4,5,6],[7,8,9]]}";
    struct layer *layer = &writer->layers[index];
    struct outcome outcome;
    char head[256], name[32];
    int size = snprintf(head, sizeof head,
                        "POST /convolve?format=raw&what=weights&layer=%s HTTP/1.1\r\n"
                        "Host: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                        layer_name(name, writer->index, index), sizeof body - 1, body);

    outcome = attack(writer->port, head, (size_t)size, PATIENCE_MS);
    if (layer->in_flight && holds(&outcome, layer->attempted)) {
        ++*applied;
        layer->acknowledged = layer->attempted;
    } else if (!holds(&outcome, layer->acknowledged)) {
        fail_msg("%s: not what was acknowledged (%s, %d): %.200s", name,
                 layer->in_flight ? "a change was in flight" : "nothing was in flight",
                 outcome.status, outcome.status == 200 ? "other numbers" : outcome.body);
    }
    *open += layer->in_flight;
    layer->in_flight = false;
    free(outcome.data);
}

/* The files are the layers' and the lock. */
static void check_folder(const char *folder, const struct writer *writers)
{
    DIR *dir = opendir(folder);
    int files = 0, layers = 0;
    const struct dirent *at;

    assert_non_null(dir);
    while ((at = readdir(dir))) {
        if (!strcmp(at->d_name, ".") || !strcmp(at->d_name, "..") || !strcmp(at->d_name, ".lock"))
            continue;
        if (*at->d_name != 'w' || !strstr(at->d_name, ".safetensors"))
            fail_msg("%s is left in the folder", at->d_name);
        files++;
    }
    closedir(dir);
    for (int w = 0; w < WRITERS; w++)
        for (int i = 0; i < NAMES; i++)
            layers += writers[w].layers[i].acknowledged != 0;
    assert_int_equal(files, layers);
}

/* --- rounds ------------------------------------------------------------------------------------ */

static size_t changes(struct writer *writers)
{
    size_t sum = 0;

    for (int w = 0; w < WRITERS; w++)
        sum += atomic_load(&writers[w].acknowledged);
    return sum;
}

static void run_and_kill(struct daemon *daemon, struct writer *writers, uint64_t *random)
{
    size_t enough = changes(writers) + random_below(random, MOST_CHANGES);

    for (int w = 0; w < WRITERS; w++) {
        writers[w].port = daemon->port;
        assert_int_equal(pthread_create(&writers[w].thread, NULL, write_layers, &writers[w]), 0);
    }
    for (int ms = 0; changes(writers) < enough && ms < PATIENCE_MS; ms++)
        usleep(1000);
    usleep((useconds_t)random_below(random, MOST_US));
    kill(daemon->pid, SIGKILL);
    assert_int_equal(daemon_wait(daemon), 256 + SIGKILL);
    for (int w = 0; w < WRITERS; w++)
        pthread_join(writers[w].thread, NULL);
}

TEST(no_acknowledged_layer_is_lost_and_no_half_one_is_seen)
{
    char folder[] = "/tmp/convolved-crash-XXXXXX";
    size_t rounds = count_from("COUNT", 500), applied = 0, open = 0;
    uint64_t random = count_from("SEED", 1);
    double began = now_ms();
    struct writer writers[WRITERS] = { 0 };
    struct daemon *daemon;

    assert_non_null(mkdtemp(folder));
    for (int w = 0; w < WRITERS; w++)
        writers[w].index = w, writers[w].random = random_bits(&random);
    daemon = daemon_start("--layers", folder, "--log-level", "warning", "--workers", "2");
    for (size_t round = 0; round < rounds; round++) {
        run_and_kill(daemon, writers, &random);
        daemon = daemon_start("--layers", folder, "--log-level", "warning", "--workers", "2");
        for (int w = 0; w < WRITERS; w++) {
            writers[w].port = daemon->port;
            for (int i = 0; i < NAMES; i++)
                check_layer(&writers[w], i, &applied, &open);
        }
        check_folder(folder, writers);
        assert_null(strstr(daemon_log(daemon), "set aside"));
    }
    assert_int_equal(daemon_stop(daemon), 0);
    assert_int_equal(system(text_format("rm -r %s", folder)), 0);
    assert_true(changes(writers) > rounds);
    printf("crash: %zu kills; of %zu acknowledged changes none lost; of %zu in flight %zu had "
           "happened, whole; %.0f ms a round\n",
           rounds, changes(writers), open, applied, (now_ms() - began) / (double)rounds);
}
