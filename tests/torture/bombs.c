/* Small requests that want to become large ones: each is refused within the budget of memory and, when
 * it is work that they want, within the deadline and 20 ms. The least of three tries counts, since
 * a busy machine only ever adds. */
#include "tests/torture/attack.h"

#include "tests/unit/bombs.h"

#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MEMORY_MIB = 128,
    DEADLINE_MS = 300,
    OVERRUN_MS = 20,
    TRIES = 3,
    BESIDES_KIB = 24 * 1024, /* what the daemon is without requests, and libmicrohttpd's buffers */
    PATIENCE_MS = 60000
};

struct bomb {
    const char *says, *head;
    char *body; /* malloc'd */
    size_t size;
};

#define POST(query, type)                                                                          \
    "POST /convolve?" query " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " type "\r\n"
#define PICTURE POST("kernel=identity&format=raw", "application/octet-stream")
#define JSON    "POST /convolve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

static struct bomb of_bytes(const char *says, const char *head, struct bytes bytes)
{
    return (struct bomb){ says, head, (char *)bytes.data, bytes.size };
}

static struct bomb of_text(const char *says, const char *head, const char *text)
{
    return (struct bomb){ says, head, strdup(text), strlen(text) };
}

/* text, then piece so many times, then end. */
static struct bomb repeated(const char *says, const char *head, const char *const text[3],
                            size_t count)
{
    size_t first = strlen(text[0]), piece = strlen(text[1]), last = strlen(text[2]);
    struct bomb bomb = { says, head, malloc(first + piece * count + last), 0 };

    assert_non_null(bomb.body);
    memcpy(bomb.body, text[0], bomb.size = first);
    for (size_t i = 0; i < count; i++, bomb.size += piece)
        memcpy(bomb.body + bomb.size, text[1], piece);
    memcpy(bomb.body + bomb.size, text[2], last);
    bomb.size += last;
    return bomb;
}
#define REPEATED(says, head, first, piece, last, count)                                            \
    repeated(says, head, (const char *const[3]){ first, piece, last }, count)

/* The body, packed: a gibibyte of blanks is a mebibyte. */
static struct bomb gzipped(const char *says, struct bomb plain)
{
    struct libdeflate_compressor *packer = libdeflate_alloc_compressor(9);
    size_t most = plain.size / 100 + 4096;
    struct bomb bomb = { says, JSON "Content-Encoding: gzip\r\n", malloc(most), 0 };

    assert_true(packer && bomb.body);
    bomb.size = libdeflate_gzip_compress(packer, plain.body, plain.size, bomb.body, most);
    assert_true(bomb.size > 0);
    libdeflate_free_compressor(packer);
    free(plain.body);
    return bomb;
}

/* The four bytes at the end of a gzip file say how large it becomes: this one lies. */
static struct bomb lying_gzip(void)
{
    struct bomb bomb =
        gzipped("gzip that says it is small", REPEATED("", "", "", " ", "", (size_t)64 << 20));

    memset(bomb.body + bomb.size - 4, 0, 4);
    bomb.body[bomb.size - 3] = 4;
    return bomb;
}

static struct bomb npy(const char *says, const char *type, const char *shape)
{
    char *file = calloc(1, 256 + 1024);

    assert_non_null(file);
    memcpy(file, "\x93NUMPY\x01\x00\xf6\x00", 10);
    memset(file + 10, ' ', 246);
    file[10 + sprintf(file + 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type,
                      shape)] = ' ';
    file[255] = '\n';
    return (struct bomb){ says, POST("kernel=identity&format=raw", "application/x-npy"), file,
                          256 + 1024 };
}

#define LAYER(size, K, F, more)                                                                    \
    "{\"image\":{\"sample\":\"noise\",\"size\":" #size "},\"weights\":{\"random\":{\"seed\":1}},"  \
    "\"out_channels\":" #K ",\"kernel_size\":" #F ",\"data\":\"none\"" more "}"

static size_t make_pictures(struct bomb *bombs)
{
    struct bomb *at = bombs;

    *at++ = of_bytes("a PNG of 1 pixel that inflates to 300 MB", PICTURE, bomb_idat(300 << 20));
    *at++ = of_bytes("a PNG of 50,000 x 50,000 pixels", PICTURE, bomb_bits(50000));
    *at++ = of_bytes("a PNG of 12,000 x 12,000 pixels", PICTURE, bomb_bits(12000));
    *at++ = of_bytes("a PNG of 6,000 x 6,000 pixels", PICTURE, bomb_bits(6000));
    *at++ = of_bytes("a JPEG of 10,000 scans", PICTURE, bomb_scans(4096, 10000));
    *at++ = of_bytes("a JPEG of 60 scans over 16 megapixels", PICTURE, bomb_scans(4096, 60));
    *at++ = of_bytes("a JPEG of 60,000 x 60,000 pixels", PICTURE, bomb_scans(60000, 1));
    *at++ = of_text("17 bytes of PPM that say 192 MB", PICTURE, "P6 8000 8000 255\n");
    *at++ = REPEATED("a PGM in text with a comment of 8 MB", PICTURE, "P2 2 2 #", "x",
                     "\n255 1 2 3", (size_t)8 << 20);
    *at++ = npy("an npy of 2^60 numbers", "<f4", "1, 1048576, 1048576, 1048576");
    *at++ = npy("an npy whose dimensions overflow", "<f8", "4294967296, 4294967296, 4294967296");
    *at++ = npy("an npy of 65 dimensions", "|u1",
                "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
                "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1");
    return (size_t)(at - bombs);
}

static size_t make_texts(struct bomb *bombs)
{
    struct bomb *at = bombs;

    *at++ = REPEATED("a million [", JSON, "", "[", "", 1000000);
    *at++ = REPEATED("a million {\"a\":", JSON, "", "{\"a\":", "", 1000000);
    *at++ = REPEATED("4 million numbers", JSON, "{\"image\":[[", "0,", "0]],\"weights\":[[1]]}",
                     4000000);
    *at++ = REPEATED("a million empty lists", JSON, "{\"image\":[", "[],", "[]]}", 1000000);
    *at++ = REPEATED("a million members", JSON, "{", "\"a\":1,", "\"b\":1}", 1000000);
    *at++ = REPEATED("a number of 8 million digits", JSON, "{\"image\":[[1", "0",
                     "]],\"weights\":[[1]]}", 8000000);
    *at++ = REPEATED("a string of a million escapes", JSON, "{\"weights\":\"", "\\u00e9", "\"}",
                     1000000);
    *at++ = REPEATED("base64 of 8 MB of nothing", JSON, "{\"image\":{\"base64\":\"", "AAAA",
                     "\"},\"weights\":\"sobel_x\"}", 2000000);
    *at++ = gzipped("a gibibyte of blanks in gzip", REPEATED("", "", "", " ", "", (size_t)1 << 30));
    *at++ = gzipped("100 MB of [[[ in gzip", REPEATED("", "", "", "[", "", 100000000));
    *at++ = lying_gzip();
    *at++ = REPEATED("a form of 100,000 parts", POST("", "multipart/form-data; boundary=x"), "",
                     "--x\r\nContent-Disposition: form-data; name=\"K\"\r\n\r\n1\r\n", "--x--\r\n",
                     100000);
    *at++ = REPEATED("a form with a header of 8 MB", POST("", "multipart/form-data; boundary=x"),
                     "--x\r\nContent-Disposition: form-data; name=\"", "a", "\"\r\n\r\n1\r\n--x--",
                     (size_t)8 << 20);
    *at++ =
        REPEATED("a form of almost boundaries", POST("", "multipart/form-data; boundary=xxxxxxxx"),
                 "--xxxxxxxx\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\""
                 "\r\n\r\n",
                 "\r\n--xxxxxxx", "\r\n--xxxxxxxx--", 800000);
    return (size_t)(at - bombs);
}

static size_t make_layers(struct bomb *bombs)
{
    struct bomb *at = bombs;

    *at++ = of_text("a layer of minutes, by the definition", JSON,
                    LAYER(512, 64, 63, ",\"algorithm\":\"reference\""));
    *at++ = of_text("a layer of seconds", JSON, LAYER(512, 32, 63, ""));
    *at++ = of_text("a layer of seconds by im2col", JSON,
                    LAYER(512, 32, 63, ",\"algorithm\":\"im2col\""));
    *at++ = of_text("a layer checked in float64", JSON, LAYER(512, 24, 15, ",\"verify\":true"));
    *at++ = of_text("a layer of 65,536 filters", JSON, LAYER(256, 65536, 3, ""));
    *at++ = of_text("X_col of 4096 x 4096 windows",
                    POST("what=columns&format=raw", "application/json"), LAYER(2048, 1, 64, ""));
    *at++ = of_text("padding of 4096 on all sides", JSON, LAYER(2048, 8, 3, ",\"padding\":4096"));
    *at++ = of_text("a picture of 16 megapixels at the best level", JSON,
                    LAYER(4096, 1, 1, ",\"format\":\"png\",\"png_level\":12"));
    *at++ = of_text(
        "pooling of 4096 x 4096 windows", JSON,
        LAYER(4096, 1, 1, ",\"pool\":{\"type\":\"avg\",\"kernel_size\":2048,\"stride\":1}"));
    return (size_t)(at - bombs);
}

struct result {
    size_t refused, at_deadline, answered, wrong;
    double slowest_ms; /* of those that were not answered with 200 */
};

static void explode(const struct daemon *daemon, const struct bomb *bomb, struct result *result)
{
    struct request request = { .head = bomb->head, .body = bomb->body, .size = bomb->size };
    struct blob blob = request_bytes(&request);
    double late_ms = PATIENCE_MS;
    int status = 0;
    char body[160] = "";

    for (int i = 0; i < TRIES && late_ms > DEADLINE_MS + OVERRUN_MS; i++) {
        struct outcome outcome = attack(daemon->port, blob.data, blob.size, PATIENCE_MS);

        status = outcome.status;
        late_ms = outcome.late_ms < late_ms ? outcome.late_ms : late_ms;
        snprintf(body, sizeof body, "%.159s",
                 status >= 400 ? strstr(outcome.body, "detail") + 9 : "");
        free(outcome.data);
    }
    printf("%-48s %9zu bytes  %3d in %6.1f ms  %s\n", bomb->says, bomb->size, status, late_ms,
           body);
    if (status >= 400 && status < 500)
        result->refused++;
    else if (status == 504)
        result->at_deadline++;
    else if (status == 200)
        result->answered++;
    else
        result->wrong++;
    if (status != 200 && late_ms > result->slowest_ms)
        result->slowest_ms = late_ms;
    if (status != 200) /* those are being sent, or were done in time */
        result->wrong += late_ms > DEADLINE_MS + OVERRUN_MS;
    free(blob.data);
    free(bomb->body);
}

TEST(bombs_stop_within_the_budget_and_the_deadline)
{
    struct daemon *daemon = daemon_start(
        "--workers", "2", "--memory", text_format("%dMiB", MEMORY_MIB), "--request-timeout",
        text_format("%dms", DEADLINE_MS), "--max-body", "16MiB", "--log-level", "off");
    struct bomb bombs[64];
    size_t count = make_pictures(bombs), first = process_kib(daemon->pid, "VmRSS"), peak;
    struct result result = { 0 };

    count += make_texts(bombs + count);
    count += make_layers(bombs + count);
    process_forget_peak(daemon->pid);
    for (size_t i = 0; i < count; i++)
        explode(daemon, &bombs[i], &result);
    peak = process_kib(daemon->pid, "VmHWM");
    printf("%zu bombs: %zu refused, %zu stopped at the deadline, %zu harmless, %zu wrong; the "
           "slowest %.1f ms (deadline %d, overrun %.1f); memory %zu MiB before, %zu at the peak, "
           "budget %d\n",
           count, result.refused, result.at_deadline, result.answered, result.wrong,
           result.slowest_ms, DEADLINE_MS,
           result.slowest_ms > DEADLINE_MS ? result.slowest_ms - DEADLINE_MS : 0, first / 1024,
           peak / 1024, MEMORY_MIB);
    assert_int_equal(result.wrong, 0);
    assert_true(peak < first + MEMORY_MIB * 1024 + BESIDES_KIB);
    assert_int_equal(daemon_stop(daemon), 0);
}
