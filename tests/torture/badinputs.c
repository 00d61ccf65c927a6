/* Thousands of bad inputs, bred from good requests: each gets a 4xx that says what is wrong. Never
 * a 5xx, never silence, and the daemon's memory and files stay as they were. COUNT=10000, SEED=1. */
#include "tests/torture/attack.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 250, /* of heads and bodies that never end */
    PATIENCE_MS = 60000,
    FLAT_KIB = 16 * 1024
};

static struct daemon *start_small(const char *folder)
{
    return daemon_start("--workers", "2", "--memory", "128MiB", "--max-pixels", "1000000",
                        "--max-macs", "200000000", "--max-output", "8MiB", "--max-body", "4MiB",
                        "--header-timeout", "250ms", "--body-timeout", "250ms", "--log-level",
                        "error", "--layers", folder, "--max-layers", "20");
}

/* --- mutations --- */

static const char *const poisons[] = {
    "0",
    "-1",
    "1e999",
    "9007199254740993",
    "4294967296",
    "65537",
    "0x10",
    "NaN",
    "null",
    "[]",
    "{}",
    "\"\"",
    "\\u0000",
    "\xff\xfe",
    "%00",
    "%2e%2e",
    "true",
    "[[[[[[[[",
    "}}}}",
    "\r\n",
    "\r\n\r\n",
    ",",
    "1e-46",
    "--abc d--",
    "\x89PNG\r\n\x1a\n",
    "\xff\xd8\xff",
    "P6 9999 9999 255\n",
    "BM",
    "\x93NUMPY",
    "'shape': (99999, 99999, 99999)",
    "\"shape\":[4294967296,4294967296]",
    "&K=0",
    "&F=4096",
    "=",
    "&&",
};
enum { POISONS = sizeof poisons / sizeof *poisons };

struct text {
    char *data;
    size_t size, room;
};

static void insert(struct text *text, size_t at, const char *what, size_t size)
{
    if (text->size + size > text->room)
        return;
    memmove(text->data + at + size, text->data + at, text->size - at);
    memcpy(text->data + at, what, size);
    text->size += size;
}

static void erase(struct text *text, size_t at, size_t size)
{
    if (size > text->size - at)
        size = text->size - at;
    memmove(text->data + at, text->data + at + size, text->size - at - size);
    text->size -= size;
}

/* Near the start, where lengths and types stand, more often than far behind. */
static size_t place(const struct text *text, uint64_t *state)
{
    size_t most = text->size;

    if (random_below(state, 2) && most > 64)
        most = 64;
    return random_below(state, most + 1);
}

static void mutate_once(struct text *text, uint64_t *state)
{
    size_t at = place(text, state), other = place(text, state);
    const char *poison = poisons[random_below(state, POISONS)];
    char piece[64];
    size_t size = text->size - other < sizeof piece ? text->size - other : sizeof piece;

    switch (random_below(state, 7)) {
    case 0: /* a bit */
        if (at < text->size)
            text->data[at] = (char)(text->data[at] ^ 1 << random_below(state, 8));
        break;
    case 1: /* a byte */
        if (at < text->size)
            text->data[at] = (char)random_bits(state);
        break;
    case 2: /* the end is missing */
        text->size = at;
        break;
    case 3: /* some of the middle is missing */
        erase(text, at, 1 + random_below(state, 16));
        break;
    case 4: /* what cannot stand there */
        insert(text, at, poison, strlen(poison));
        break;
    case 5: /* in the place of what did */
        erase(text, at, strlen(poison));
        insert(text, at, poison, strlen(poison));
        break;
    default: /* something twice */
        memcpy(piece, text->data + other, size);
        insert(text, at, piece, size);
    }
}

static struct text mutant(const void *data, size_t size, uint64_t *state)
{
    struct text text = { malloc(size + 1024), size, size + 1024 };

    assert_non_null(text.data);
    if (size)
        memcpy(text.data, data, size);
    for (size_t i = 1 + random_below(state, 4); i > 0; i--)
        mutate_once(&text, state);
    return text;
}

/* The body, the query, or the whole head with its lines. */
static struct blob breed(const struct request *request, uint64_t *state)
{
    const char *query = strchr(request->head, '?'), *end = strstr(request->head, " HTTP/1.1");
    size_t kind = random_below(state, request->body ? 8 : 3);
    struct request changed = *request;
    struct text text;
    struct blob blob;

    if (kind > 2) {
        text = mutant(request->body, request->size, state);
        blob = request_with_body(request, text.data, text.size);
        free(text.data);
        return blob;
    }
    if (kind == 2) {
        blob = request_bytes(request);
        text = mutant(blob.data, blob.size - request->size, state);
        free(blob.data);
        insert(&text, text.size, "\r\n\r\n", 4);
        return (struct blob){ text.data, text.size };
    }
    query = query && query < end ? query : end;
    text = mutant(query, (size_t)(end - query), state);
    changed.head = text_format("%.*s%s%.*s%s", (int)(query - request->head), request->head,
                               query == end ? "?" : "", (int)text.size, text.data, end);
    free(text.data);
    return request_bytes(&changed);
}

/* --- what came of it --- */

struct tally {
    size_t sent, refused, accepted, hung_up, own_words, waited, wrong;
    size_t statuses[600];
    double *ms;
    size_t timed;
};

/* 501 and 505 are RFC 9110's words for a Transfer-Encoding and a version that nobody knows: the
 * request's fault, like a 4xx. */
static bool right(const struct outcome *outcome)
{
    return (outcome->status >= 200 && outcome->status < 500) || outcome->status == 501 ||
           outcome->status == 505;
}

/* Without a method, or a blank behind one, it is no HTTP, and libmicrohttpd hangs up. */
static bool no_request(const struct blob *blob)
{
    const char *end = memchr(blob->data, '\n', blob->size);

    return *blob->data == ' ' || (end && !memchr(blob->data, ' ', (size_t)(end - blob->data)));
}

static void show(const struct blob *blob, const struct outcome *outcome)
{
    printf("status %d after %.0f ms: %.200s\n  the request, %zu bytes: ", outcome->status,
           outcome->ms, outcome->body, blob->size);
    for (size_t i = 0; i < blob->size && i < 400; i++)
        if (blob->data[i] >= ' ' && blob->data[i] <= '~')
            putchar(blob->data[i]);
        else
            printf("\\x%02x", (unsigned char)blob->data[i]);
    putchar('\n');
}

static void try(int port, const struct blob *blob, struct tally *tally)
{
    struct outcome outcome = attack(port, blob->data, blob->size, PATIENCE_MS);
    bool problem = outcome.status < 400 || outcome_is_problem(&outcome);

    tally->sent++;
    if (outcome.status == CLOSED && no_request(blob)) {
        tally->hung_up++;
    } else if (!right(&outcome) || !problem) {
        if (tally->wrong++ < 10)
            show(blob, &outcome);
    } else {
        tally->statuses[outcome.status]++;
        *(outcome.status < 400 ? &tally->accepted : &tally->refused) += 1;
        tally->own_words += outcome.status >= 400 && !strstr(outcome.head, "problem+json");
    }
    if (outcome.status == 408)
        tally->waited++; /* it never ended: that time was ours */
    else
        tally->ms[tally->timed++] = outcome.ms;
    free(outcome.data);
}

static void report(struct tally *tally)
{
    printf("%zu bad inputs: %zu refused, %zu valid after all, %zu no HTTP at all and hung up on, "
           "%zu wrong\n",
           tally->sent, tally->refused, tally->accepted, tally->hung_up, tally->wrong);
    for (int status = 0; status < 600; status++)
        if (tally->statuses[status])
            printf("  %d: %zu\n", status, tally->statuses[status]);
    printf("%zu never ended and got 408; %zu refusals are libmicrohttpd's own\n", tally->waited,
           tally->own_words);
    printf("answered in p50 %.2f ms, p99 %.2f ms, at most %.1f ms\n",
           quantile(tally->ms, tally->timed, 0.5), quantile(tally->ms, tally->timed, 0.99),
           quantile(tally->ms, tally->timed, 1));
}

static void send_hostile_files(int port, struct tally *tally)
{
    static const char *const files[] = { "dht.jpg",   "dht2.jpg",     "nosos.jpg", "nosos1.jpg",
                                         "pal.png",   "prog1000.jpg", "tiny.bmp",  "tiny.ppm",
                                         "trunc.pgm", "trunc.tga" };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct request request = { .head = "POST /convolve?kernel=identity&format=raw HTTP/1.1\r\n"
                                           "Host: localhost\r\n" };
        struct blob blob;

        request.body = file_read(text_format("tests/cases/hostile/%s", files[i]), &request.size);
        blob = request_bytes(&request);
        try(port, &blob, tally);
        free(blob.data);
    }
    assert_int_equal(tally->accepted, 0);
}

TEST(bad_inputs_get_a_4xx_and_leave_nothing_behind)
{
    size_t wanted = count_from("COUNT", 10000), count, files = 0, kib = 0;
    uint64_t state = count_from("SEED", 1) * 0x9e3779b97f4a7c15u + 1;
    const struct request *requests = requests_all(&count);
    const char *folder = folder_create();
    struct daemon *daemon = start_small(folder);
    struct tally tally = { .ms = keep(calloc(wanted + 100, sizeof(double))) };

    requests_warm(daemon->port);
    send_hostile_files(daemon->port, &tally);
    for (size_t i = 0; tally.sent < wanted; i++) {
        struct blob blob = breed(&requests[i % count], &state);

        try(daemon->port, &blob, &tally);
        free(blob.data);
        if (tally.sent == wanted / 4) { /* warm by now */
            files = (size_t)process_files(daemon->pid);
            kib = process_kib(daemon->pid, "VmRSS");
        }
    }
    report(&tally);
    printf("from the first quarter to the end: memory %+zd KiB (of %zu), open files %+zd\n",
           (ssize_t)(process_kib(daemon->pid, "VmRSS") - kib), kib,
           (ssize_t)process_files(daemon->pid) - (ssize_t)files);
    assert_int_equal(tally.wrong, 0);
    assert_true(process_kib(daemon->pid, "VmRSS") < kib + FLAT_KIB);
    assert_true((size_t)process_files(daemon->pid) <= files + 1);
    assert_int_equal(daemon_stop(daemon), 0);
    folder_remove(folder);
}

TEST(the_requests_that_bad_inputs_are_bred_from_are_good)
{
    size_t count;
    const struct request *requests = requests_all(&count);
    const char *folder = folder_create();
    struct daemon *daemon = start_small(folder);

    assert_true(count >= 60);
    requests_warm(daemon->port);
    for (size_t i = 0; i < count; i++) {
        struct blob blob = request_bytes(&requests[i]);
        struct outcome outcome = attack(daemon->port, blob.data, blob.size, PATIENCE_MS);

        if (outcome.status != requests[i].status)
            fail_msg("%s: %d, not %d: %.300s", requests[i].says, outcome.status, requests[i].status,
                     outcome.body);
        free(outcome.data);
        free(blob.data);
    }
    assert_int_equal(daemon_stop(daemon), 0);
    folder_remove(folder);
}
