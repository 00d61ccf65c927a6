/* Pictures that are cut, mutated, or bombs: an error or a picture, never memory that was there
 * before, never more than the budget. */
#include "api/image_formats.h"
#include "tests/unit/bombs.h"
#include "tests/unit/files.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const pictures[] = {
    "cat.jpg",        "cat-progressive.jpg", "cat-gray.jpg", "cat-cmyk.jpg", "cat-palette.png",
    "cat-gray16.png", "cat-interlaced.png",  "cat-rgba.png", "cat.bmp",      "cat.ppm",
};
enum { PICTURES = sizeof pictures / sizeof *pictures };
static const struct limits limits = { .pixels = 1 << 20 };

/* An arena whose memory holds this byte everywhere: its big blocks come back from the cache with
 * it, its small ones from malloc, which glibc fills when it is told to. */
static struct arena *arena_poisoned(struct arena_cache *cache, int byte)
{
    struct arena *arena = arena_create_cached(48 << 20, cache);
    struct arena_mark mark = arena_save(arena);
    char *room = arena_alloc(arena, 2 << 20, 1);

    assert_non_null(room);
    memset(room, byte, 2 << 20);
    arena_restore(arena, mark);
    mallopt(M_PERTURB, byte ^ 0xff);
    return arena;
}

struct outcome {
    bool ok;
    size_t size;
    uint64_t hash;
};

/* Reads the file in an arena full of this byte: what comes must not depend on it. */
static struct outcome outcome_of(struct bytes file, struct arena_cache *cache, int byte)
{
    struct arena *arena = arena_poisoned(cache, byte);
    struct outcome outcome = { .hash = 0xcbf29ce484222325 };
    struct picture_info info;
    struct pixels pixels;
    struct error err = { 0 };

    outcome.ok = image_decode(file, &limits, arena, &pixels, &info, &err);
    if (outcome.ok)
        outcome.size = (size_t)pixels.width * (size_t)pixels.height * (size_t)pixels.channels *
                       (pixels.depth == 16 ? 2 : 1);
    else if (err.code != ERR_IMAGE && err.code != ERR_MEDIA && err.code != ERR_TOO_LARGE)
        fail_msg("code %d: %s", err.code, err.detail);
    for (size_t i = 0; i < outcome.size; i++)
        outcome.hash = (outcome.hash ^ ((const uint8_t *)pixels.data)[i]) * 0x100000001b3;
    mallopt(M_PERTURB, 0);
    arena_destroy(arena);
    return outcome;
}

static bool expect_independent(struct bytes file, struct arena_cache *cache)
{
    struct outcome a = outcome_of(file, cache, 0xa5), b = outcome_of(file, cache, 0x5a);

    assert_true(a.ok == b.ok && a.size == b.size && a.hash == b.hash);
    return a.ok;
}

static struct bytes read_picture(int i, struct arena *arena)
{
    char path[128];

    snprintf(path, sizeof path, "tests/cases/pictures/%s", pictures[i]);
    return file_read(path, arena);
}

/* The cut file in a block of its own, so that a sanitizer sees a byte read too many. */
static bool decode_copy(struct bytes file, size_t size, struct arena_cache *cache)
{
    char *copy = malloc(size ? size : 1);
    bool ok;

    memcpy(copy, file.data, size);
    ok = expect_independent((struct bytes){ copy, size }, cache);
    free(copy);
    return ok;
}

TEST(none_of_2500_cut_pictures_is_taken_for_a_whole_one)
{
    struct arena_cache *cache = arena_cache_create(64 << 20);
    struct arena *arena = arena_create(16 << 20);
    int count = 0;

    for (int i = 0; i < PICTURES; i++) {
        struct bytes file = read_picture(i, arena);

        for (int k = 0; k < 250; k++, count++) {
            size_t size = k < 100 ? (size_t)k * 7 : file.size * (size_t)(k - 99) / 151;

            if (size < file.size && decode_copy(file, size, cache))
                fail_msg("%s cut at %zu of %zu is a picture", pictures[i], size, file.size);
        }
    }
    assert_int_equal(count, 2500);
    arena_destroy(arena);
    arena_cache_destroy(cache);
}

TEST(not_one_of_2500_mutated_pictures_shows_what_was_in_memory_before)
{
    struct arena_cache *cache = arena_cache_create(64 << 20);
    struct arena *arena = arena_create(16 << 20);
    int pictured = 0;

    srand(7);
    for (int i = 0; i < PICTURES; i++) {
        struct bytes file = read_picture(i, arena);
        char *copy = malloc(file.size);

        for (int k = 0; k < 250; k++) {
            memcpy(copy, file.data, file.size);
            for (int m = 0; m <= k % 4; m++) /* near the head more often than far behind */
                copy[(size_t)rand() % (k % 2 ? file.size : 700)] = (char)rand();
            pictured += expect_independent((struct bytes){ copy, file.size }, cache);
        }
        free(copy);
    }
    assert_true(pictured > 250); /* a changed JPEG or PNM often still is a picture */
    arena_destroy(arena);
    arena_cache_destroy(cache);
}

/* The guard behind the gate: stb, given what the gate refuses, in an arena full of this byte. */
static uint8_t stb_pixel(const char *path, int side, int byte)
{
    struct arena_cache *cache = arena_cache_create(64 << 20);
    struct arena *files = arena_create(1 << 20), *arena = arena_poisoned(cache, byte);
    struct pixels pixels = { side, side, 1, 8, NULL };
    struct error err;
    struct image_job job = { file_read(path, files), &limits, arena, &pixels, &err };
    uint8_t *out = malloc((size_t)side * (size_t)side);
    uint8_t first;

    assert_true(stb_jpeg(&job, out));
    first = out[0];
    for (int i = 0; i < side * side; i++)
        assert_int_equal(out[i], first);
    mallopt(M_PERTURB, 0);
    free(out);
    arena_destroy(arena);
    arena_destroy(files);
    arena_cache_destroy(cache);
    return first;
}

TEST(a_jpeg_without_scans_shows_no_old_memory_even_behind_the_gate)
{
    const char *path = "tests/cases/hostile/nosos1.jpg";

    assert_int_equal(stb_pixel(path, 128, 0xa5), stb_pixel(path, 128, 0x5a));
}

static void expect_refused(struct bytes file, const struct limits *most, size_t budget,
                           enum error_code code)
{
    struct arena *arena = arena_create(budget);
    struct picture_info info;
    struct pixels pixels;
    struct error err;

    assert_false(image_decode(file, most, arena, &pixels, &info, &err));
    if (err.code != code)
        fail_msg("code %d: %s", err.code, err.detail);
    assert_true(arena_peak(arena) <= budget);
    arena_destroy(arena);
}

TEST(bombs_stop_at_their_header_or_at_the_bytes_that_their_pixels_take)
{
    const struct limits usual = { .pixels = 50000000 };
    struct bytes bomb;

    bomb = bomb_idat(300 << 20);
    assert_true(bomb.size < 400000);
    expect_refused(bomb, &usual, 1 << 20, ERR_IMAGE); /* 1x1 pixels: a kilobyte is enough */
    free((char *)bomb.data);

    bomb = bomb_bits(12000);
    assert_true(bomb.size < 50000);
    expect_refused(bomb, &usual, 1 << 20, ERR_TOO_LARGE); /* 144 million pixels */
    free((char *)bomb.data);

    bomb = bomb_bits(7000); /* under the cap, over the memory */
    expect_refused(bomb, &usual, 8 << 20, ERR_TOO_LARGE);
    free((char *)bomb.data);

    bomb = bomb_scans(4096, 10000);
    expect_refused(bomb, &usual, 1 << 20, ERR_IMAGE);
    free((char *)bomb.data);
}

static void *stop_soon(void *stop)
{
    usleep(20000);
    *(atomic_bool *)stop = true;
    return NULL;
}

TEST(a_large_progressive_jpeg_stops_in_the_middle_of_its_work)
{
    atomic_bool stop = false;
    const struct limits stopped = { .pixels = 50000000, .stop = &stop };
    struct bytes bomb = bomb_scans(7000, 1); /* half a gibibyte to clear and decode: no 20 ms */
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &stop), 0);
    expect_refused(bomb, &stopped, 512 << 20, ERR_DEADLINE);
    pthread_join(thread, NULL);
    free((char *)bomb.data);
}

TEST(a_requests_own_timeout_is_known_before_its_picture_is_decoded)
{
    _Atomic(double) deadline = 40000;
    atomic_bool stop = true; /* so that decoding ends as it begins */
    const struct limits own = { .pixels = 1 << 20,
                                .output = 1 << 20,
                                .macs = 1 << 30,
                                .memory = 16 << 20,
                                .stop = &stop,
                                .deadline_ms = &deadline,
                                .started_ms = 10000 };
    struct arena *arena = arena_create(own.memory);
    struct bytes file = file_read("tests/cases/pictures/cat.jpg", arena);
    char *body = arena_zeroed(arena, file.size + 2 * BODY_SLACK, 1);
    struct message message = { .method = "POST",
                               .path = "/convolve",
                               .query = "kernel=identity&timeout_ms=500",
                               .content_type = "image/jpeg",
                               .accept = "",
                               .content_encoding = "",
                               .tensor_header_length = "",
                               .body = { body + BODY_SLACK, file.size } };
    struct convolve_request request;
    struct error err;

    memcpy(body + BODY_SLACK, file.data, file.size);
    assert_false(convolve_decode(&message, &own, arena, &request, &err));
    assert_int_equal(err.code, ERR_DEADLINE);
    assert_true(atomic_load(&deadline) == 10500);
    message.query = "kernel=identity&timeout_ms=50000"; /* no later than the server's */
    assert_false(convolve_decode(&message, &own, arena, &request, &err));
    assert_true(atomic_load(&deadline) == 10500);
    arena_destroy(arena);
}
