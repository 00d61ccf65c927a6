/* JPEG: our own gate in front of stb_image, which believes what a file says. The gate walks all
 * markers first: sizes, tables that exist and fit, scans that send each coefficient once and
 * refine it in order, at least as many bits as the blocks need, an end. */
#include "api/image_formats.h"

#include <string.h>

enum {
    SOF0 = 0xc0,
    SOF2 = 0xc2,
    DHT = 0xc4,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DRI = 0xdd,
    RST0 = 0xd0,
    RST7 = 0xd7,
    MOST_SCANS = 64
};

struct jpeg {
    struct image_job *job;
    size_t at;
    size_t width, height;
    bool progressive;
    int components, scans;
    struct {
        unsigned id, h, v, table;
        size_t blocks_across, blocks_down; /* as a scan of its own sends them */
        int8_t sent[64]; /* per coefficient: -1 not yet, else the bits still to refine */
    } component[4];
    size_t mcus; /* groups of h*v blocks, as a scan of several components sends them */
    unsigned quantizers, huffman[2]; /* a bit for each table that is defined; DC, AC */
    size_t restart_interval;
};

struct scan {
    int count, index[4];
    unsigned first, last, high, low;
};

#define BAD(...) fail(jpeg->job->err, ERR_IMAGE, "image", __VA_ARGS__)

static bool cut_short(struct jpeg *jpeg)
{
    return BAD("the JPEG is cut short at byte %zu; send the whole file", jpeg->job->file.size);
}

static bool read_quantizers(struct jpeg *jpeg, struct bytes body)
{
    while (body.size > 0) {
        unsigned kind = byte_at(body, 0);
        size_t size = kind >> 4 ? 129 : 65;

        if (kind >> 4 > 1 || (kind & 15) > 3 || body.size < size)
            return BAD("the JPEG's quantization table is damaged");
        jpeg->quantizers |= 1u << (kind & 15);
        body = (struct bytes){ body.data + size, body.size - size };
    }
    return true;
}

/* Each table: its kind, how many codes of 1 to 16 bits, their symbols. */
static bool read_huffman(struct jpeg *jpeg, struct bytes body)
{
    while (body.size > 0) {
        size_t symbols = 0, codes = 0; /* codes: how much of the 16-bit space is given away */
        unsigned kind = byte_at(body, 0);

        if (body.size < 17 || kind >> 4 > 1 || (kind & 15) > 3)
            return BAD("the JPEG's Huffman table is damaged");
        for (size_t bits = 1; bits <= 16; bits++) {
            symbols += byte_at(body, bits);
            codes += (size_t)byte_at(body, bits) << (16 - bits);
        }
        if (symbols == 0 || symbols > 256 || codes > 65536 || body.size < 17 + symbols)
            return BAD("the JPEG's Huffman table of %zu symbols is damaged", symbols);
        jpeg->huffman[kind >> 4] |= 1u << (kind & 15);
        body = (struct bytes){ body.data + 17 + symbols, body.size - 17 - symbols };
    }
    return true;
}

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static void size_components(struct jpeg *jpeg, unsigned h_max, unsigned v_max)
{
    for (int c = 0; c < jpeg->components; c++) {
        size_t across = divide_up(jpeg->width * jpeg->component[c].h, h_max);
        size_t down = divide_up(jpeg->height * jpeg->component[c].v, v_max);

        jpeg->component[c].blocks_across = divide_up(across, 8);
        jpeg->component[c].blocks_down = divide_up(down, 8);
        memset(jpeg->component[c].sent, -1, sizeof jpeg->component[c].sent);
    }
    jpeg->mcus =
        divide_up(jpeg->width, (size_t)8 * h_max) * divide_up(jpeg->height, (size_t)8 * v_max);
}

static bool read_frame(struct jpeg *jpeg, unsigned marker, struct bytes body)
{
    unsigned h_max = 1, v_max = 1;

    if (marker > SOF2)
        return BAD("the JPEG is of the kind SOF%u (lossless, arithmetic or hierarchical); baseline "
                   "and progressive ones are read",
                   marker - SOF0);
    if (jpeg->components)
        return BAD("the JPEG has two frames");
    if (body.size < 6 || body.size != 6 + 3 * (size_t)byte_at(body, 5))
        return BAD("the JPEG's frame header is damaged");
    if (byte_at(body, 0) != 8)
        return BAD("the JPEG has %u bits a sample; 8 are read", byte_at(body, 0));
    jpeg->progressive = marker == SOF2;
    jpeg->height = be16(body, 1);
    jpeg->width = be16(body, 3);
    if (!image_fits(jpeg->job, jpeg->width, jpeg->height))
        return false;
    jpeg->components = (int)byte_at(body, 5);
    if (jpeg->components != 1 && jpeg->components != 3 && jpeg->components != 4)
        return BAD("the JPEG has %d components; 1 (grey), 3 (colour) and 4 (CMYK) are read",
                   jpeg->components);
    for (int c = 0; c < jpeg->components; c++) {
        size_t at = 6 + 3 * (size_t)c;
        unsigned h = byte_at(body, at + 1) >> 4, v = byte_at(body, at + 1) & 15;

        if (h < 1 || h > 4 || v < 1 || v > 4 || byte_at(body, at + 2) > 3)
            return BAD("the JPEG's component %d is sampled %ux%u, which JPEG does not have", c, h,
                       v);
        jpeg->component[c].id = byte_at(body, at);
        jpeg->component[c].h = h;
        jpeg->component[c].v = v;
        jpeg->component[c].table = byte_at(body, at + 2);
        h_max = h > h_max ? h : h_max;
        v_max = v > v_max ? v : v_max;
    }
    size_components(jpeg, h_max, v_max);
    return true;
}

/* Every coefficient is sent once and then refined a bit at a time: this is what JPEG asks for,
 * and it bounds the work by the picture's size. */
static bool follow_coefficients(struct jpeg *jpeg, const struct scan *scan)
{
    for (int i = 0; i < scan->count; i++)
        for (unsigned k = scan->first; k <= scan->last; k++) {
            int8_t *sent = &jpeg->component[scan->index[i]].sent[k];
            bool refines =
                *sent >= 0 && scan->high == (unsigned)*sent && scan->low + 1 == scan->high;

            if (scan->high ? !refines : *sent >= 0)
                return BAD("the JPEG's scan %d sends coefficient %u out of order", jpeg->scans, k);
            *sent = (int8_t)scan->low;
        }
    return true;
}

static bool read_scan_header(struct jpeg *jpeg, struct bytes body, struct scan *scan)
{
    if (++jpeg->scans > MOST_SCANS)
        return BAD("the JPEG has more than %d scans; encode it again", MOST_SCANS);
    if (body.size < 6 || byte_at(body, 0) < 1 || (int)byte_at(body, 0) > jpeg->components ||
        body.size != 4 + 2 * (size_t)byte_at(body, 0))
        return BAD("the JPEG's scan %d is damaged", jpeg->scans);
    scan->count = (int)byte_at(body, 0);
    scan->first = byte_at(body, body.size - 3);
    scan->last = jpeg->progressive ? byte_at(body, body.size - 2) : 63;
    scan->high = byte_at(body, body.size - 1) >> 4;
    scan->low = byte_at(body, body.size - 1) & 15;
    if (scan->last > 63 || scan->first > scan->last || scan->low > 13 || scan->high > 13 ||
        (!jpeg->progressive && (scan->first || scan->high || scan->low)) ||
        (jpeg->progressive && (scan->first == 0) != (scan->last == 0)) ||
        (jpeg->progressive && scan->first && scan->count > 1))
        return BAD("the JPEG's scan %d asks for coefficients %u to %u, bits %u to %u", jpeg->scans,
                   scan->first, scan->last, scan->high, scan->low);
    for (int i = 0; i < scan->count; i++) {
        unsigned id = byte_at(body, 1 + 2 * (size_t)i), tables = byte_at(body, 2 + 2 * (size_t)i);
        bool dc = scan->first == 0 && scan->high == 0, ac = scan->last > 0;
        int c = 0;

        while (c < jpeg->components && jpeg->component[c].id != id)
            c++;
        if (c == jpeg->components)
            return BAD("the JPEG's scan %d has an unknown component %u", jpeg->scans, id);
        if ((dc && !(jpeg->huffman[0] >> (tables >> 4) & 1)) ||
            (ac && !(jpeg->huffman[1] >> (tables & 15) & 1)) ||
            !(jpeg->quantizers >> jpeg->component[c].table & 1))
            return BAD("the JPEG's scan %d uses a table that is not there", jpeg->scans);
        scan->index[i] = c;
    }
    return follow_coefficients(jpeg, scan);
}

/* The bits behind a scan's header: as many as its blocks need at the least, and a restart marker
 * wherever one is due. at is left on the marker behind them. */
static bool pass_entropy(struct jpeg *jpeg, const struct scan *scan)
{
    struct bytes file = jpeg->job->file;
    size_t start = jpeg->at, restarts = 0, units = jpeg->mcus, blocks = 0, bits = 0;

    for (int i = 0; i < scan->count; i++)
        blocks +=
            jpeg->mcus * jpeg->component[scan->index[i]].h * jpeg->component[scan->index[i]].v;
    if (scan->count == 1)
        units = blocks = jpeg->component[scan->index[0]].blocks_across *
                         jpeg->component[scan->index[0]].blocks_down;
    if (scan->first == 0)
        bits = jpeg->progressive ? blocks : 2 * blocks;
    for (;; jpeg->at++) {
        const char *ff =
            jpeg->at < file.size ? memchr(file.data + jpeg->at, 0xff, file.size - jpeg->at) : NULL;

        if (!ff || (size_t)(ff - file.data) + 1 >= file.size)
            return cut_short(jpeg);
        jpeg->at = (size_t)(ff - file.data);
        if (byte_at(file, jpeg->at + 1) >= RST0 && byte_at(file, jpeg->at + 1) <= RST7)
            restarts++;
        else if (byte_at(file, jpeg->at + 1) != 0 && byte_at(file, jpeg->at + 1) != 0xff)
            break;
    }
    if (jpeg->at - start < bits / 8 || jpeg->at == start)
        return BAD("the JPEG's scan %d has %zu bytes for %zu blocks; part of it is missing",
                   jpeg->scans, jpeg->at - start, blocks);
    if (restarts != (jpeg->restart_interval ? (units - 1) / jpeg->restart_interval : 0))
        return BAD("the JPEG's scan %d has %zu restart markers for %zu units; part of it is "
                   "missing",
                   jpeg->scans, restarts, units);
    return true;
}

static bool read_segment(struct jpeg *jpeg, unsigned marker, struct bytes body)
{
    struct scan scan = { 0 };

    switch (marker) {
    case DQT:
        return read_quantizers(jpeg, body);
    case DHT:
        return read_huffman(jpeg, body);
    case DRI:
        if (body.size != 2)
            return BAD("the JPEG's restart interval is damaged");
        jpeg->restart_interval = be16(body, 0);
        return true;
    case SOS:
        if (!jpeg->components)
            return BAD("the JPEG has a scan before its frame");
        return read_scan_header(jpeg, body, &scan) && pass_entropy(jpeg, &scan);
    default:
        if (marker >= SOF0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc)
            return read_frame(jpeg, marker, body);
        return true; /* APPn, COM; stb knows which others to refuse */
    }
}

/* The gate: every marker from SOI to EOI. */
static bool read_markers(struct jpeg *jpeg)
{
    struct bytes file = jpeg->job->file;

    for (jpeg->at = 2;;) {
        unsigned marker;
        size_t length;

        if (file.size - jpeg->at < 2)
            return cut_short(jpeg);
        if (byte_at(file, jpeg->at) != 0xff)
            return BAD("the JPEG is damaged: there should be a marker at byte %zu", jpeg->at);
        marker = byte_at(file, ++jpeg->at);
        if (marker == 0xff) /* a fill byte */
            continue;
        jpeg->at++;
        if (marker == EOI)
            break;
        if (marker == 0 || marker == SOI || (marker >= RST0 && marker <= RST7))
            return BAD("the JPEG is damaged: marker %02x at byte %zu", marker, jpeg->at - 1);
        if (file.size - jpeg->at < 2)
            return cut_short(jpeg);
        length = be16(file, jpeg->at);
        if (length < 2 || length > file.size - jpeg->at)
            return cut_short(jpeg);
        jpeg->at += length;
        if (!read_segment(jpeg, marker,
                          (struct bytes){ file.data + jpeg->at - length + 2, length - 2 }))
            return false;
    }
    if (!jpeg->components)
        return BAD("the JPEG has no frame: nothing says its size");
    for (int c = 0; c < jpeg->components; c++)
        if (jpeg->component[c].sent[0] < 0)
            return BAD("the JPEG's component %d is in none of its %d scans", c, jpeg->scans);
    return true;
}

bool image_jpeg(struct image_job *job)
{
    struct jpeg jpeg = { .job = job };
    uint8_t *out;

    if (!read_markers(&jpeg))
        return false;
    out = image_alloc(job, jpeg.width, jpeg.height, jpeg.components == 1 ? 1 : 3, 8);
    return out && stb_jpeg(job, out);
}
