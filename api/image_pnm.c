/* PGM and PPM, as text (P2, P3) and binary (P5, P6), with up to 16 bits. Samples are stretched so
 * that the file's maxval is white: 255, or 65535 when it is over 255. */
#include "api/image_formats.h"

#include <string.h>

struct pnm {
    struct image_job *job;
    size_t at;
    size_t maxval;
};

#define BAD(...) fail(pnm->job->err, ERR_IMAGE, "image", __VA_ARGS__)

static bool is_space(unsigned c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct pnm *pnm)
{
    struct bytes file = pnm->job->file;

    for (bool comment = false; pnm->at < file.size; pnm->at++) {
        unsigned c = byte_at(file, pnm->at);

        comment = c == '#' || (comment && c != '\n');
        if (!comment && !is_space(c))
            break;
    }
}

static bool read_number(struct pnm *pnm, const char *what, size_t *number)
{
    struct bytes file = pnm->job->file;
    size_t start;

    skip_space(pnm);
    start = pnm->at;
    for (*number = 0; pnm->at < file.size; pnm->at++) {
        unsigned digit = byte_at(file, pnm->at) - '0';

        if (digit > 9)
            break;
        if (*number > INT32_MAX)
            return BAD("the PNM's %s at byte %zu is too large", what, start);
        *number = *number * 10 + digit;
    }
    if (start == file.size)
        return BAD("the PNM is cut short: it ends where its %s should be; send the whole file",
                   what);
    if (start == pnm->at)
        return BAD("the PNM's %s at byte %zu is not a number", what, start);
    return true;
}

static size_t stretch(const struct pnm *pnm, size_t value, size_t white)
{
    return pnm->maxval == white ? value : (value * white + pnm->maxval / 2) / pnm->maxval;
}

static bool read_text(struct pnm *pnm, size_t count, void *out)
{
    size_t value;

    for (size_t i = 0; i < count; i++) {
        if ((i % 65536 == 0 && image_stopped(pnm->job)) || !read_number(pnm, "sample", &value))
            return false;
        if (value > pnm->maxval)
            return BAD("the PNM has a sample of %zu over its maxval of %zu", value, pnm->maxval);
        if (pnm->maxval > 255)
            ((uint16_t *)out)[i] = (uint16_t)stretch(pnm, value, 65535);
        else
            ((uint8_t *)out)[i] = (uint8_t)stretch(pnm, value, 255);
    }
    return true;
}

static bool read_binary(struct pnm *pnm, size_t count, void *out)
{
    struct bytes file = pnm->job->file;
    bool wide = pnm->maxval > 255;

    for (size_t i = 0; i < count; i++) {
        size_t at = pnm->at + (wide ? 2 * i : i);
        size_t value = wide ? be16(file, at) : byte_at(file, at);

        if (i % 65536 == 0 && image_stopped(pnm->job))
            return false;
        if (value > pnm->maxval)
            return BAD("the PNM has a sample of %zu over its maxval of %zu", value, pnm->maxval);
        if (wide)
            ((uint16_t *)out)[i] = (uint16_t)stretch(pnm, value, 65535);
        else
            ((uint8_t *)out)[i] = (uint8_t)stretch(pnm, value, 255);
    }
    return true;
}

bool image_pnm(struct image_job *job)
{
    struct pnm reader = { .job = job, .at = 2 }, *pnm = &reader;
    unsigned kind = byte_at(job->file, 1);
    bool text = kind == '2' || kind == '3';
    int channels = kind == '3' || kind == '6' ? 3 : 1;
    size_t width, height, need, left;
    void *out;

    if (!strchr("2356", (int)kind))
        return BAD("the PNM is a P%c; P2, P3, P5 and P6 are read", (int)kind);
    if (!read_number(pnm, "width", &width) || !read_number(pnm, "height", &height) ||
        !read_number(pnm, "maxval", &pnm->maxval) || !image_fits(job, width, height))
        return false;
    if (pnm->maxval < 1 || pnm->maxval > 65535)
        return BAD("the PNM's maxval is %zu; it must be 1 to 65535", pnm->maxval);
    if (pnm->at == job->file.size || !is_space(byte_at(job->file, pnm->at)))
        return BAD("the PNM is cut short behind its header; send the whole file");
    pnm->at++;
    left = job->file.size - pnm->at;
    need = width * height * (size_t)channels * (!text && pnm->maxval > 255 ? 2 : 1);
    if (text)
        need = 2 * need - 1; /* a digit and a space for each, at the least */
    if (left < need)
        return BAD(
            "the PNM is cut short: its %zux%zu pixels need %zu bytes and %zu are there; send "
            "the whole file",
            width, height, need, left);
    out = image_alloc(job, width, height, channels, pnm->maxval > 255 ? 16 : 8);
    if (!out)
        return false;
    return (text ? read_text : read_binary)(pnm, width * height * (size_t)channels, out);
}
