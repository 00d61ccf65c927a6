/* Pictures that break one rule of their format each, and the sentence that says which; and odd ones
 * that break none. */
#include "api/image.h"
#include "tests/unit/files.h"

#include <libdeflate.h>
#include <stdlib.h>

enum { ROOM = 1 << 19, USUAL = 1 << 20 };

static char file[ROOM];
static size_t size;
static uint8_t first[128]; /* the picture's bytes, when it was one */
static struct pixels pixels;
static struct error err;

static bool decode_within(const void *data, size_t count, size_t memory)
{
    static const struct limits limits = { .pixels = 50000000 };
    struct arena *arena = arena_create(memory);
    struct picture_info info;
    char *own = malloc(count); /* of its own size: a sanitizer sees a byte too many */
    bool ok;

    memcpy(own, data, count);
    err = (struct error){ 0 };
    ok = image_decode((struct bytes){ own, count }, &limits, arena, &pixels, &info, &err);
    if (ok) {
        size_t bytes = (size_t)(pixels.width * pixels.height * pixels.channels);

        assert_true(bytes <= sizeof first && pixels.depth == 8);
        memcpy(first, pixels.data, bytes);
    }
    free(own);
    arena_destroy(arena);
    return ok;
}

static void refused(const void *data, size_t count, size_t memory, enum error_code code,
                    const char *says)
{
    if (decode_within(data, count, memory))
        fail_msg("taken for a picture, not refused with: %s", says);
    assert_string_equal(err.detail, says);
    assert_string_equal(err.field, "image");
    assert_int_equal(err.code, code);
}

#define REFUSED(says) refused(file, size, USUAL, ERR_IMAGE, says)

/* --- PNG ------------------------------------------------------------------------------------- */

static void put(const void *data, size_t count)
{
    assert_true(size + count <= sizeof file);
    memcpy(file + size, data, count);
    size += count;
}

static void put_be32(uint32_t number)
{
    put((const uint8_t[]){ (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                           (uint8_t)number },
        4);
}

static void chunk(const char *type, const void *data, size_t count)
{
    size_t start = size + 4;

    put_be32((uint32_t)count);
    put(type, 4);
    put(data, count);
    put_be32(libdeflate_crc32(0, file + start, count + 4));
}

/* 2x2 pixels. */
static void begin_png(char depth, char colour)
{
    size = 0;
    put("\x89PNG\r\n\x1a\n", 8);
    chunk("IHDR", (char[]){ 0, 0, 0, 2, 0, 0, 0, 2, depth, colour, 0, 0, 0 }, 13);
}

/* The rows behind their filter bytes. */
static void chunk_rows(const void *rows, size_t count)
{
    struct libdeflate_compressor *packer = libdeflate_alloc_compressor(1);
    char packed[256];

    chunk("IDAT", packed, libdeflate_zlib_compress(packer, rows, count, packed, sizeof packed));
    libdeflate_free_compressor(packer);
}

static void end_png(void)
{
    chunk("IEND", "", 0);
}

/* With this chunk between header and data. */
static void png_with(char depth, char colour, const char *type, const void *data, size_t count)
{
    begin_png(depth, colour);
    chunk(type, data, count);
    chunk_rows("\0\1\2\0\3\4", 6);
    end_png();
}

#define PNG(depth, colour, type, data, says)                                                       \
    (png_with(depth, colour, type, data, sizeof(data) - 1), REFUSED(says))

TEST(a_small_png_made_by_hand_is_a_picture)
{
    png_with(8, 0, "teXt", "passed over", 11);
    assert_true(decode_within(file, size, USUAL));
    assert_memory_equal(first, "\1\2\3\4", 4);
}

TEST(a_png_header_says_what_png_has)
{
    size = 0;
    put("\x89PNG\r\n\x1a\n", 8);
    chunk("IHDR", "\0\0\0\2\0\0\0\2\x8\0\0\0", 12);
    REFUSED("the PNG's header has 12 bytes in place of 13");
    PNG(8, 5, "teXt", "", "the PNG says colour type 5 with 8 bits, which PNG does not have");
    PNG(4, 2, "teXt", "", "the PNG says colour type 2 with 4 bits, which PNG does not have");
    PNG(3, 0, "teXt", "", "the PNG says colour type 0 with 3 bits, which PNG does not have");
    size = 8;
    chunk("IHDR", "\0\0\0\2\0\0\0\2\x8\0\0\0\2", 13);
    REFUSED("the PNG uses compression 0, filter 0, interlace 2; PNG knows 0, 0 and 0 or 1");
    size = 8;
    chunk("IHDR", "\0\0\0\0\0\0\0\2\x8\0\0\0\0", 13);
    REFUSED("the picture says that it is 0x2 pixels large; it must have at least one");
    size = 8;
    chunk("gAMA", "\0\0\0\1", 4);
    REFUSED("the PNG does not begin with its header (IHDR)");
    PNG(8, 0, "IHDR", "\0\0\0\2\0\0\0\2\x8\0\0\0\0", "the PNG has two headers");
}

TEST(a_png_s_palette_and_transparency_fit_its_pixels)
{
    PNG(8, 3, "PLTE", "\1\2\3\4", "the PNG's palette of 4 bytes is damaged");
    PNG(8, 3, "tRNS", "\1", "the PNG gives 1 palette entries an alpha, but has 0");
    PNG(8, 0, "tRNS", "\0\1\2",
        "the PNG's transparent colour has 3 bytes, which does not fit its colour type");
    PNG(8, 4, "tRNS", "\0\1\0\1",
        "the PNG's transparent colour has 4 bytes, which does not fit its colour type");
    PNG(8, 3, "teXt", "", "the PNG has indices but no palette");
}

TEST(a_png_s_data_is_there_in_one_piece_and_whole)
{
    PNG(8, 0, "ABCD", "",
        "the PNG has a chunk 41424344 that a reader may not ignore and this one does not know");
    begin_png(8, 0);
    chunk_rows("\0\1\2", 3);
    chunk("teXt", "between", 7);
    chunk_rows("\0\1\2", 3);
    REFUSED("the PNG's data chunks do not follow one another");
    begin_png(8, 0);
    end_png();
    REFUSED("the PNG has no picture data");
    begin_png(8, 0);
    chunk("IDAT", "this is not deflated", 20);
    end_png();
    REFUSED("the PNG's data is damaged; encode the picture again");
    begin_png(8, 0);
    chunk_rows("\0\1\2", 3);
    end_png();
    REFUSED("the PNG is cut short: it has 3 of the 6 bytes of its 2x2 pixels");
    begin_png(8, 0);
    chunk_rows("\0\1\2\5\3\4", 6);
    end_png();
    REFUSED("the PNG is damaged: row 1 has filter 5");
}

TEST(a_small_png_with_much_data_meets_the_memory_limit)
{
    static char much[400000];

    begin_png(8, 0);
    chunk("IDAT", much, 1);
    chunk("IDAT", much, sizeof much);
    end_png();
    refused(file, size, 1 << 18, ERR_TOO_LARGE,
            "decoding the PNG of 2x2 pixels needs more than this request's memory; send a smaller "
            "one");
}

/* --- PNM ------------------------------------------------------------------------------------- */

#define PNM(text, says) refused(text, sizeof(text) - 1, USUAL, ERR_IMAGE, says)

TEST(a_pnm_s_header_and_samples_are_numbers_in_their_range)
{
    PNM("P4 8 1 \377", "the PNM is a P4; P2, P3, P5 and P6 are read");
    PNM("P2 99999999999 1 255 1", "the PNM's width at byte 3 is too large");
    PNM("P2 1 x 255 1", "the PNM's height at byte 5 is not a number");
    PNM("P5 1 1 65536 \1\1", "the PNM's maxval is 65536; it must be 1 to 65535");
    PNM("P5 1 1 0 \1", "the PNM's maxval is 0; it must be 1 to 65535");
    PNM("P5 1 1 255", "the PNM is cut short behind its header; send the whole file");
    PNM("P2 2 1 4 5 0", "the PNM has a sample of 5 over its maxval of 4");
    PNM("P5 2 1 4 \0\5", "the PNM has a sample of 5 over its maxval of 4");
    PNM("P5 1 1 258 \1\3", "the PNM has a sample of 259 over its maxval of 258");
    PNM("P2 2 1 9 1 x", "the PNM's sample at byte 11 is not a number");
    PNM("P2 2 1 9 12 ", "the PNM has a sample of 12 over its maxval of 9");
    PNM("P2 2 1 99 12 ",
        "the PNM is cut short: it ends where its sample should be; send the whole file");
}

TEST(a_pnm_that_is_larger_than_the_memory_is_refused)
{
    static char large[14 + 20000] = "P5 200 100 255";

    large[14] = ' ';
    refused(large, sizeof large, 8192, ERR_IMAGE,
            "the PNM is cut short: its 200x100 pixels need 20000 bytes and 19999 are there; send "
            "the whole file");
    memcpy(large, "P5 200 99 255 ", 14);
    refused(large, sizeof large, 8192, ERR_TOO_LARGE,
            "the picture of 200x99 pixels does not fit this request's memory; send a smaller one");
}

/* --- BMP ------------------------------------------------------------------------------------- */

/* 2x1 pixels behind a header of so many bytes. */
static void make_bmp(char header, char bits, char compression, const void *behind, size_t count)
{
    static const char zeros[128];

    size = 0;
    put("BM", 2);
    put(zeros, (size_t)header + 12);
    file[10] = (char)(14 + header);
    file[14] = header;
    file[18] = 2;
    file[22] = 1;
    file[26] = 1;
    file[28] = bits;
    file[30] = compression;
    put(behind, count);
}

TEST(a_bmp_of_32_bits_has_an_alpha_when_its_header_says_so)
{
    static const uint8_t colours[] = { 3, 2, 1, 6, 5, 4 };
    static const uint8_t alphas[] = { 3, 2, 1, 100, 6, 5, 4, 200 };

    make_bmp(40, 32, 0, "\1\2\3d\4\5\6\xc8", 8);
    assert_true(decode_within(file, size, USUAL));
    assert_int_equal(pixels.channels, 3);
    assert_memory_equal(first, colours, sizeof colours);
    make_bmp(56, 32, 3, "\1\2\3d\4\5\6\xc8", 8);
    memcpy(file + 54, "\0\0\xff\0\0\xff\0\0\xff\0\0\0\0\0\0\xff", 16);
    assert_true(decode_within(file, size, USUAL));
    assert_int_equal(pixels.channels, 4);
    assert_memory_equal(first, alphas, sizeof alphas);
}

TEST(a_bmp_s_bits_fields_and_palette_are_such_as_bmp_has)
{
    make_bmp(40, 2, 0, "\0\0\0\0", 4);
    REFUSED("the BMP has 2 bits a pixel; 1, 4, 8, 16, 24 and 32 are read");
    make_bmp(40, 24, 3, "\0\0\0\0\0\0\0\0", 8);
    REFUSED("the BMP has bit fields in 24 bits");
    make_bmp(40, 16, 3, "\0\xf8\0\0", 4);
    REFUSED("the BMP is cut short in its header; send the whole file");
    make_bmp(40, 16, 3, "\0\xf8\0\0\xe0\7\0\0\x1d\0\0\0\0\0\0\0", 16);
    REFUSED("the BMP's bit field 0000001d is not one run of bits");
    make_bmp(40, 8, 0, "\1\2\3\0\0\0\0\0", 8); /* 256 colours, if none are said */
    REFUSED("the BMP's palette of 256 colours does not fit its file");
    file[46] = 1;
    file[47] = 1;
    REFUSED("the BMP's palette of 257 colours does not fit its file");
}

/* --- JPEG ------------------------------------------------------------------------------------ */

enum { FRAME = 71, TABLES = 84, RESTARTS = 129, SCAN = 135, BITS = 145 };

/* 16x8 grey pixels, two blocks of one colour: the quantizer is 1 and each block says its DC as 80
 * more than the one before, from 0 at the start and behind the restart marker. */
static void make_jpeg(void)
{
    static const char ones[64] = { [0 ... 63] = 1 };

    size = 0;
    put("\xff\xd8\xff\xdb\0\x43\0", 7);
    put(ones, 64);
    put("\xff\xc0\0\x0b\x08\0\x08\0\x10\1\1\x11\0", 13);
    put("\xff\xc4\0\x15\0\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7", 23); /* DC: 0 is 0, 10 is 7 bits */
    put("\xff\xc4\0\x14\x10\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22); /* AC: 0 ends a block */
    put("\xff\xdd\0\4\0\1", 6);
    put("\xff\xda\0\x08\1\1\0\0\x3f\0", 10);
    put("\xa8\x3f\xff\xd0\xa8\x3f\xff\xd9", 8);
}

static void patch(size_t at, int byte)
{
    make_jpeg();
    file[at] = (char)byte;
}

static void insert(size_t at, const void *data, size_t count)
{
    make_jpeg();
    memmove(file + at + count, file + at, size - at);
    memcpy(file + at, data, count);
    size += count;
}

static void expect_even(void)
{
    if (!decode_within(file, size, USUAL))
        fail_msg("%s", err.detail);
    assert_int_equal(pixels.width, 16);
    assert_int_equal(pixels.height, 8);
    for (int i = 0; i < 16 * 8; i++)
        assert_int_equal(first[i], 128 + 80 / 8);
}

TEST(a_jpeg_begins_anew_behind_a_restart_marker)
{
    make_jpeg();
    expect_even();
}

/* The comment is longer than what stb holds at once, and full of what looks like markers. */
TEST(a_jpeg_may_have_long_comments_and_fill_bytes)
{
    static char comment[1004] = "\xff\xfe\x03\xea";

    memset(comment + 4, 0xff, sizeof comment - 4);
    insert(FRAME, comment, sizeof comment);
    expect_even();
    insert(FRAME, "\xff\xff\xff", 3);
    expect_even();
}

TEST(a_jpeg_s_frame_is_one_that_is_read)
{
    patch(FRAME + 1, 0xc3);
    REFUSED("the JPEG is of the kind SOF3 (lossless, arithmetic or hierarchical); baseline and "
            "progressive ones are read");
    patch(FRAME + 4, 12);
    REFUSED("the JPEG has 12 bits a sample; 8 are read");
    patch(TABLES + 1, 0xc0);
    REFUSED("the JPEG has two frames");
    insert(TABLES, "\2\x11\0", 3);
    file[FRAME + 3] = 14;
    file[FRAME + 9] = 2;
    REFUSED("the JPEG has 2 components; 1 (grey), 3 (colour) and 4 (CMYK) are read");
    make_jpeg();
    memcpy(file + FRAME, "\xff\xd9", 2);
    size = FRAME + 2;
    REFUSED("the JPEG has no frame: nothing says its size");
}

TEST(a_jpeg_s_restart_markers_are_where_they_are_due)
{
    patch(RESTARTS + 3, 5);
    REFUSED("the JPEG's restart interval is damaged");
    patch(BITS + 3, 0);
    REFUSED("the JPEG's scan 1 has 0 restart markers for 2 units; part of it is missing");
    patch(RESTARTS + 5, 2);
    REFUSED("the JPEG's scan 1 has 1 restart markers for 2 units; part of it is missing");
}

/* Each coefficient with all its bits but one, then with that: allowed, and too much. */
TEST(a_jpeg_has_at_most_so_many_scans)
{
    patch(FRAME + 1, 0xc2);
    size = SCAN;
    for (int low = 1; low >= 0; low--)
        for (int k = 1; k < 64; k++)
            put((char[]){ -1, (char)0xda, 0, 8, 1, 1, 0, (char)k, (char)k,
                          (char)(low == 1 ? low : (low + 1) << 4 | low), 0, -1, (char)0xd0, 0 },
                14);
    put("\xff\xd9", 2);
    REFUSED("the JPEG has more than 64 scans; encode it again");
}

TEST(a_jpeg_whose_decoder_does_not_fit_the_memory_is_too_large)
{
    make_jpeg();
    refused(file, size, 8192, ERR_TOO_LARGE,
            "decoding the JPEG of 16x8 pixels needs more than this request's memory; send a "
            "smaller one");
}
