/* Pictures: what a body is by its first bytes, a file to pixels, pixels to planes of floats.
 * Decoding stays behind image_decode(), so that it can move into a process of its own. */
#pragma once
#include "api/api.h"

enum media {
    MEDIA_UNKNOWN,
    MEDIA_PNG,
    MEDIA_JPEG,
    MEDIA_BMP,
    MEDIA_PNM,
    MEDIA_NPY,
    MEDIA_JSON,
    MEDIA_GIF,
    MEDIA_WEBP,
    MEDIA_AVIF,
    MEDIA_TIFF,
    MEDIA_SAFETENSORS
};

/* JSON is '{' or '[' behind white space. */
enum media media_sniff(struct bytes file);

/* Interleaved rows without gaps: uint8_t, or uint16_t of this machine's order when depth is 16.
 * channels as in the file: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. */
struct pixels {
    int width, height, channels, depth;
    const void *data;
};

/* A whole picture or an error: ERR_MEDIA lists what is accepted, ERR_TOO_LARGE (pixels, memory)
 * comes from the header before anything is decoded, ERR_IMAGE for what is damaged or cut short,
 * ERR_DEADLINE when limits->stop was set. Of limits, pixels and stop are read. */
bool image_decode(struct bytes file, const struct limits *limits, struct arena *arena,
                  struct pixels *pixels, struct picture_info *info, struct error *err);

struct picture_info image_info(const struct pixels *pixels, const char *format);

/* Channels after image_planes(): auto drops alpha, so 2 become 1 and 4 become 3. */
int image_channels(const struct pixels *pixels, enum channels want);

/* planes: [image_channels()][height][width], (value * input_scale - mean[c]) / std[c], which is
 * exactly the integer in the file by default. One channel of RGB is its Rec. 601 luma, rounded;
 * three of grey are copies; a fourth that is not there is opaque. */
void image_planes(const struct pixels *pixels, enum channels want, const struct fields *fields,
                  float *planes);
