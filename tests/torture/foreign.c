/* No byte of one request's memory in another's reply: requests full of a pattern make all of the
 * daemon's memory hold it, then thousands of cut and corrupt pictures and tensors go through the
 * identity kernel, and the pattern is looked for in each reply. COUNT=5000, SEED=1. */
#include "tests/torture/attack.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 60000, PERIOD = 8, PLANT_EVERY = 40 };

static const char pattern[PERIOD + 1] = "qZ7$Lk9!"; /* eight different bytes */

#define PICTURES "tests/cases/pictures/"
#define HOSTILE  "tests/cases/hostile/"
#define IDENTITY "POST /convolve?kernel=identity&format=%s HTTP/1.1\r\nHost: localhost\r\n"

static const char *const formats[] = { "raw", "npy", "png&png_level=0&range=clip",
                                       "json&data=base64" };
static const char *const files[] = {
    PICTURES "cat.jpg",
    PICTURES "cat-progressive.jpg",
    PICTURES "cat-gray.jpg",
    PICTURES "cat-cmyk.jpg",
    PICTURES "cat-palette.png",
    PICTURES "cat-gray16.png",
    PICTURES "cat-interlaced.png",
    PICTURES "cat-rgba.png",
    PICTURES "cat.bmp",
    PICTURES "cat.ppm",
    HOSTILE "dht2.jpg",
    HOSTILE "nosos1.jpg",
    HOSTILE "pal.png",
    HOSTILE "trunc.pgm",
    HOSTILE "tiny.bmp",
};
enum { FILES = sizeof files / sizeof *files };

static void fill(char *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = pattern[i % PERIOD];
}

/* --- looking for it --- */

static int phase_of(float value)
{
    for (int i = 0; i < PERIOD; i++)
        if (value == (float)pattern[i])
            return i;
    return -1;
}

/* Pixels come back as one float each, every channel's by themselves: every step-th byte of what
 * lay in memory. */
static bool has_as_pixels(const char *data, size_t size)
{
    enum { RUN = 16 };
    size_t count = size / sizeof(float);
    float *floats = malloc(size + 1);
    bool found = false;

    assert_non_null(floats);
    memcpy(floats, data, size);
    for (size_t i = 0; i + RUN <= count && !found; i++) {
        int phase = phase_of(floats[i]);

        for (int step = 1; step <= 4 && phase >= 0 && !found; step++) {
            int k = 0;

            while (k < RUN && floats[i + (size_t)k] == (float)pattern[(phase + k * step) % PERIOD])
                k++;
            found = k == RUN;
        }
    }
    free(floats);
    return found;
}

static bool has_pattern(const struct outcome *outcome)
{
    size_t head = strlen(outcome->head);

    return memmem(outcome->head, head, pattern, PERIOD) ||
           memmem(outcome->body, outcome->size, pattern, PERIOD) ||
           memmem(outcome->body, outcome->size, "cVo3JExrOS", 10) || /* in base64, */
           memmem(outcome->body, outcome->size, "WjckTGs5IX", 10) || /* by where it */
           memmem(outcome->body, outcome->size, "NyRMazkhcV", 10) || /* begins */
           has_as_pixels(outcome->body, outcome->size / sizeof(float) * sizeof(float));
}

/* --- planting it --- */

static void send_off(struct daemon *daemon, const char *head, const char *body, size_t size)
{
    struct request request = { .head = head, .body = body, .size = size };
    struct blob blob = request_bytes(&request);

    free(attack(daemon->port, blob.data, blob.size, PATIENCE_MS).data);
    free(blob.data);
}

/* A file of three planes of floats whose bits are the pattern's. */
static size_t tensor(char *out, size_t side)
{
    int text;

    memset(out, ' ', 128);
    memcpy(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    text = sprintf(out + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, %zu, %zu), }",
                   side, side);
    out[10 + text] = ' ';
    out[127] = '\n';
    fill(out + 128, 12 * side * side);
    return 128 + 12 * side * side;
}

/* As text that is refused, as a picture, and as the bits of a tensor. */
static void plant(struct daemon *daemon, size_t side)
{
    size_t size = side * side * 3;
    char *body = malloc(size + 256);
    int head = sprintf(body, "P6 %zu %zu 255\n", side, side);

    assert_non_null(body);
    fill(body + head, size);
    send_off(daemon, text_format(IDENTITY, "raw"), body, (size_t)head + size);
    send_off(daemon, text_format(IDENTITY "Content-Type: application/json\r\n", "raw"), body + head,
             size);
    size = tensor(body, side / 2);
    send_off(daemon, text_format(IDENTITY, "raw"), body, size);
    free(body);
}

/* --- corrupting --- */

struct source {
    const char *data;
    size_t size;
};

static struct blob corrupt(const struct source *source, uint64_t *state)
{
    struct blob blob = { malloc(source->size + 1), source->size };

    assert_non_null(blob.data);
    memcpy(blob.data, source->data, source->size);
    if (random_below(state, 2))
        blob.size = random_below(state, source->size + 1);
    for (size_t i = random_below(state, 5); i > 0 && blob.size; i--)
        blob.data[random_below(state,
                               random_below(state, 2) && blob.size > 400 ? 400 : blob.size)] =
            (char)random_bits(state);
    return blob;
}

static void find_sources(struct source *sources)
{
    for (size_t i = 0; i < FILES; i++)
        sources[i].data = file_read(files[i], &sources[i].size);
}

TEST(no_byte_of_another_request_is_in_a_reply)
{
    size_t wanted = count_from("COUNT", 5000), pictures = 0, refused = 0, found = 0, count, pick;
    uint64_t state = count_from("SEED", 1) * 0x9e3779b97f4a7c15u + 7;
    struct daemon *daemon =
        daemon_start("--workers", "2", "--max-pixels", "4000000", "--log-level", "off");
    const struct request *requests = requests_all(&count);
    struct source sources[FILES];

    find_sources(sources);
    for (size_t i = 0; i < wanted; i++) {
        struct request request = { .head =
                                       text_format(IDENTITY, formats[random_below(&state, 4)]) };
        struct source *source = &sources[random_below(&state, FILES)], own;
        struct blob body, blob;
        struct outcome outcome;

        if (i % PLANT_EVERY == 0)
            plant(daemon, 32 + random_below(&state, 500));
        pick = random_below(&state, count);
        if (i % 4 == 0 && requests[pick].body) { /* tensors, forms, JSON */
            request = requests[pick];
            own = (struct source){ request.body, request.size };
            source = &own;
        }
        body = corrupt(source, &state);
        request.body = body.data;
        blob = request_with_body(&request, body.data, body.size);
        outcome = attack(daemon->port, blob.data, blob.size, PATIENCE_MS);
        *(outcome.status == 200 ? &pictures : &refused) += 1;
        assert_true(outcome.status >= 200 && outcome.status < 500);
        if (has_pattern(&outcome) && found++ < 10)
            printf("foreign bytes in the %zu bytes of a %d, for %.80s\n", outcome.size,
                   outcome.status, request.head);
        free(outcome.data);
        free(blob.data);
        free(body.data);
    }
    printf("%zu corrupt pictures and tensors: %zu refused, %zu taken, %zu replies with foreign "
           "bytes\n",
           wanted, refused, pictures, found);
    assert_true(pictures > wanted / 50);
    assert_int_equal(found, 0);
    assert_int_equal(daemon_stop(daemon), 0);
}

/* The test must be able to fail: a picture of the pattern comes back, and is seen. */
TEST(the_pattern_is_found_where_it_is)
{
    struct daemon *daemon = daemon_start("--log-level", "off");
    char body[64 * 64 * 3 + 32];

    for (size_t i = 0; i < 2 * sizeof formats / sizeof *formats; i++) {
        int head = sprintf(body, "P%d 64 64 255\n", i % 2 ? 6 : 5);
        size_t size = i % 2 ? 64 * 64 * 3 : 64 * 64;
        struct request request = { .head = text_format(IDENTITY, formats[i / 2]), .body = body };
        struct outcome outcome;
        struct blob blob;

        fill(body + head, size);
        size = i / 2 == 3 ? tensor(body, 30) : (size_t)head + size;
        blob = request_with_body(&request, body, size);
        outcome = attack(daemon->port, blob.data, blob.size, PATIENCE_MS);
        assert_int_equal(outcome.status, 200);
        if (!has_pattern(&outcome))
            fail_msg("not seen in %s", formats[i / 2]);
        free(outcome.data);
        free(blob.data);
    }
    assert_int_equal(daemon_stop(daemon), 0);
}
