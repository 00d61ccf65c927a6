/* The only unit that holds stb_image, for JPEG alone. A guest under guard: what it decodes has
 * passed our marker gate, all its memory comes zeroed from the request's arena (so nothing that
 * was there before can come back as pixels, and a bomb stops at the budget), and it asks for the
 * deadline at every marker, every so many blocks and every row of colours. It holds nothing but
 * that memory, so a jump out of its middle leaks nothing. */
#include "api/image_formats.h"

#include <setjmp.h>
#include <string.h>

struct guest {
    struct image_job *job;
    size_t at;       /* in the file */
    unsigned blocks; /* decoded so far */
    jmp_buf leave;   /* to here when the deadline has passed */
    void (*transform)(unsigned char *out, int stride, short data[64]);
    void (*colour)(unsigned char *out, const unsigned char *y, const unsigned char *cb,
                   const unsigned char *cr, int count, int step);
};

/* stb's allocator and kernels have no argument to carry it; it is set around the one call below. */
static _Thread_local struct guest *guest;

static void guest_ask(void)
{
    if (image_stopped(guest->job))
        longjmp(guest->leave, 1);
}

/* Zeroed a mebibyte at a time, since fresh pages can take longer than all the decoding. */
static void *guest_alloc(size_t size)
{
    enum { STEP = 1 << 20 };
    char *room = arena_alloc(guest->job->arena, size, 1);

    for (size_t at = 0; room && at < size; at += STEP) {
        guest_ask();
        memset(room + at, 0, size - at < STEP ? size - at : STEP);
    }
    return room;
}

#define STBI_MALLOC(size)                       guest_alloc(size)
#define STBI_REALLOC_SIZED(old, old_size, size) NULL /* no JPEG grows what it has */
#define STBI_FREE(memory)                       ((void)(memory))
#define STBI_ASSERT(truth)                      ((void)0)
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 65535
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

/* Hands out bytes up to the next 0xFF, so that each marker, and with it each scan, comes here.
 * The first bytes come together: stb looks at them twice. */
static int guest_read(void *user, char *data, int size)
{
    struct bytes file = guest->job->file;
    size_t left = file.size - guest->at, some = left < (size_t)size ? left : (size_t)size;
    const char *from = file.data + guest->at, *marker = memchr(from, 0xff, some);

    (void)user;
    guest_ask();
    if (marker && guest->at > 0)
        some = (size_t)(marker - from) + 1;
    memcpy(data, from, some);
    guest->at += some;
    return (int)some;
}

static void guest_skip(void *user, int count)
{
    size_t left = guest->job->file.size - guest->at;

    (void)user;
    guest->at += count > 0 && (size_t)count < left ? (size_t)count : left;
}

static int guest_at_end(void *user)
{
    (void)user;
    return guest->at == guest->job->file.size;
}

/* stb's own kernels, the fastest it has for this machine, behind a question. */
static void ask_and_transform(stbi_uc *out, int stride, short data[64])
{
    if (guest->blocks++ % 4096 == 0)
        guest_ask();
    guest->transform(out, stride, data);
}

static void ask_and_colour(stbi_uc *out, const stbi_uc *y, const stbi_uc *cb, const stbi_uc *cr,
                           int count, int step)
{
    guest_ask();
    guest->colour(out, y, cb, cr, count, step);
}

static const uint8_t *decode(int *width, int *height, int *channels)
{
    stbi_io_callbacks calls = { guest_read, guest_skip, guest_at_end };
    stbi__jpeg *jpeg = guest_alloc(sizeof *jpeg);
    stbi__context *context = guest_alloc(sizeof *context);

    stbi__err("outofmem", "");
    if (!jpeg || !context)
        return NULL;
    stbi__err("corrupt", ""); /* it does not always say why */
    stbi__start_callbacks(context, &calls, NULL);
    jpeg->s = context;
    stbi__setup_jpeg(jpeg);
    guest->transform = jpeg->idct_block_kernel;
    guest->colour = jpeg->YCbCr_to_RGB_kernel;
    jpeg->idct_block_kernel = ask_and_transform;
    jpeg->YCbCr_to_RGB_kernel = ask_and_colour;
    return load_jpeg_image(jpeg, width, height, channels, 0);
}

bool stb_jpeg(struct image_job *job, uint8_t *out)
{
    const struct pixels *pixels = job->pixels;
    struct arena_mark mark = arena_save(job->arena);
    struct guest own = { .job = job };
    int width = 0, height = 0, channels = 0;
    const uint8_t *volatile decoded = NULL;
    volatile bool stopped = false;
    bool same;

    guest = &own;
    if (setjmp(own.leave))
        stopped = true;
    else
        decoded = decode(&width, &height, &channels);
    guest = NULL;
    same = decoded && width == pixels->width && height == pixels->height &&
           channels == pixels->channels;
    if (same)
        memcpy(out, decoded, (size_t)width * (size_t)height * (size_t)channels);
    arena_restore(job->arena, mark);
    if (same || stopped)
        return same;
    if (!decoded && strcmp(stbi_failure_reason(), "outofmem") == 0)
        return fail(job->err, ERR_TOO_LARGE, "image",
                    "decoding the JPEG of %dx%d pixels needs more "
                    "than this request's memory; send a smaller one",
                    pixels->width, pixels->height);
    return fail(job->err, ERR_IMAGE, "image", "the JPEG is damaged (%s); encode it again",
                decoded ? "its size changes" : stbi_failure_reason());
}
