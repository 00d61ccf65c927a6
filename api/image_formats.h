/* What the readers of picture formats share. Private to image*.c and stb.c. */
#pragma once
#include "api/image.h"

struct image_job {
    struct bytes file;
    const struct limits *limits;
    struct arena *arena;
    struct pixels *pixels;
    struct error *err;
};

/* ERR_TOO_LARGE from a header's numbers alone; ERR_IMAGE for no pixels. */
bool image_fits(struct image_job *job, size_t width, size_t height);

/* Room for a picture that fits; the readers fill all of it or fail. */
void *image_alloc(struct image_job *job, size_t width, size_t height, int channels, int depth);

bool image_stopped(const struct image_job *job); /* the deadline has passed: err is filled */

bool image_png(struct image_job *job);
bool image_jpeg(struct image_job *job);
bool image_bmp(struct image_job *job);
bool image_pnm(struct image_job *job);

/* The guest: decodes a JPEG that has passed our gate into width * height * channels bytes. */
bool stb_jpeg(struct image_job *job, uint8_t *out);

static inline unsigned byte_at(struct bytes file, size_t at)
{
    return (uint8_t)file.data[at];
}

static inline unsigned be16(struct bytes file, size_t at)
{
    return byte_at(file, at) << 8 | byte_at(file, at + 1);
}

static inline uint32_t be32(struct bytes file, size_t at)
{
    return (uint32_t)be16(file, at) << 16 | be16(file, at + 2);
}

static inline unsigned le16(struct bytes file, size_t at)
{
    return byte_at(file, at) | byte_at(file, at + 1) << 8;
}

static inline uint32_t le32(struct bytes file, size_t at)
{
    return le16(file, at) | (uint32_t)le16(file, at + 2) << 16;
}
