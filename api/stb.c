/* The only unit that holds stb_image, for JPEG alone. A guest under guard: what it decodes has
 * passed our marker gate, all its memory comes zeroed from the request's arena (so nothing that
 * was there before can come back as pixels, and a bomb stops at the budget), and every marker it
 * reads asks the deadline first. */
#include "api/image_formats.h"

#include <string.h>

/* stb's allocator has no argument to carry an arena; it is set around the one call below. */
static _Thread_local struct arena *guest_arena;

static void *guest_resize(const void *old, size_t old_size, size_t size)
{
    void *room = arena_zeroed(guest_arena, 1, size);

    if (room && old)
        memcpy(room, old, old_size < size ? old_size : size);
    return room;
}

#define STBI_MALLOC(size)                       arena_zeroed(guest_arena, 1, size)
#define STBI_REALLOC_SIZED(old, old_size, size) guest_resize(old, old_size, size)
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

struct guest {
    struct image_job *job;
    size_t at;
    bool stopped;
};

/* Hands out bytes up to the next 0xFF, so that each marker, and with it each scan, comes here.
 * The first bytes come together: stb looks at them twice. */
static int guest_read(void *user, char *data, int size)
{
    struct guest *guest = user;
    size_t left = guest->job->file.size - guest->at,
           some = left < (size_t)size ? left : (size_t)size;
    const char *from = guest->job->file.data + guest->at;
    const char *marker = memchr(from, 0xff, some);

    guest->stopped = guest->stopped || image_stopped(guest->job);
    if (guest->stopped)
        return 0;
    if (marker && guest->at > 0)
        some = (size_t)(marker - from) + 1;
    memcpy(data, from, some);
    guest->at += some;
    return (int)some;
}

static void guest_skip(void *user, int count)
{
    struct guest *guest = user;
    size_t left = guest->job->file.size - guest->at;

    guest->at += count > 0 && (size_t)count < left ? (size_t)count : left;
}

static int guest_at_end(void *user)
{
    const struct guest *guest = user;

    return guest->stopped || guest->at == guest->job->file.size;
}

bool stb_jpeg(struct image_job *job, uint8_t *out)
{
    const struct pixels *pixels = job->pixels;
    stbi_io_callbacks calls = { guest_read, guest_skip, guest_at_end };
    struct arena_mark mark = arena_save(job->arena);
    struct guest guest = { .job = job };
    int width = 0, height = 0, channels = 0;
    const uint8_t *decoded;
    bool same;

    guest_arena = job->arena;
    stbi__g_failure_reason = "corrupt"; /* it does not always say why */
    decoded = stbi_load_from_callbacks(&calls, &guest, &width, &height, &channels, 0);
    guest_arena = NULL;
    same = decoded && !guest.stopped && width == pixels->width && height == pixels->height &&
           channels == pixels->channels;
    if (same)
        memcpy(out, decoded, (size_t)width * (size_t)height * (size_t)channels);
    arena_restore(job->arena, mark);
    if (same || guest.stopped)
        return same;
    if (!decoded && strcmp(stbi_failure_reason(), "outofmem") == 0)
        return fail(job->err, ERR_TOO_LARGE, "image",
                    "decoding the JPEG of %dx%d pixels needs more "
                    "than this request's memory; send a smaller one",
                    pixels->width, pixels->height);
    return fail(job->err, ERR_IMAGE, "image", "the JPEG is damaged (%s); encode it again",
                decoded ? "its size changes" : stbi_failure_reason());
}
