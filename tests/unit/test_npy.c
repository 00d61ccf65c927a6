/* npy and safetensors: what numpy writes is read, what is not whole is not. */
#include "api/npy.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct npy npy;
static struct error err;
static float out[64];

/* A version 1 file of this dict and these bytes. */
static struct bytes make(const char *dict, const void *data, size_t size)
{
    static char *file; /* of exactly the right size, so that a sanitizer sees a byte too many */
    size_t length = strlen(dict);

    free(file);
    file = malloc(10 + length + size);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (char)length;
    file[9] = (char)(length >> 8);
    memcpy(file + 10, dict, length);
    memcpy(file + 10 + length, data, size);
    return (struct bytes){ file, 10 + length + size };
}

static void expect(const char *descr, const void *data, size_t size, const float *values)
{
    char dict[128];

    snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (3,), }\n",
             descr);
    if (!npy_read(make(dict, data, size), "image", &npy, &err))
        fail_msg("%s: %s", descr, err.detail);
    assert_int_equal(npy.rank, 1);
    assert_int_equal(npy.count, 3);
    npy_floats(&npy, out);
    assert_memory_equal(out, values, 3 * sizeof *values);
}

TEST(every_number_type_of_either_byte_order_becomes_float32)
{
    static const float small[] = { 1, 2, 200 }, signs[] = { 1, 2, -56 }, two[] = { 1, 2, -2 };
    static const float bools[] = { 1, 0, 1 }, reals[] = { 1.5f, -2, 0.25f };
    static const float halves[] = { 1, -2, 0x1p-24f };
    static const float wide[] = { 1, 2, 65534 }, huge[] = { 1, 2, 4294967294.0f };
    static const float all[] = { 1, 2, 18446744073709551614.0f };
    double doubles[] = { 1.5, -2, 0.25 };

    expect("|u1", "\1\2\xc8", 3, small);
    expect("|i1", "\1\2\xc8", 3, signs);
    expect("|b1", "\1\0\1", 3, bools);
    expect("<i2", "\1\0\2\0\xfe\xff", 6, two);
    expect(">i2", "\0\1\0\2\xff\xfe", 6, two);
    expect("<u2", "\1\0\2\0\xfe\xff", 6, wide);
    expect("<i4", "\1\0\0\0\2\0\0\0\xfe\xff\xff\xff", 12, two);
    expect(">u4", "\0\0\0\1\0\0\0\2\xff\xff\xff\xfe", 12, huge);
    expect("<i8", "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff", 24, two);
    expect(">u8", "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\xff\xff\xff\xff\xff\xff\xff\xfe", 24, all);
    expect("<f2", "\0\x3c\0\xc0\1\0", 6, halves);
    expect(">f4", "\x3f\xc0\0\0\xc0\0\0\0\x3e\x80\0\0", 12, reals);
    expect("<f4", "\0\0\xc0\x3f\0\0\0\xc0\0\0\x80\x3e", 12, reals);
    expect("<f8", doubles, 24, reals);
}

TEST(a_half_float_keeps_infinity_nan_and_signed_zero)
{
    expect("<f2", "\0\x7c\0\x80\0\0", 6, (const float[]){ INFINITY, -0.0f, 0 });
    assert_true(npy_read(make("{'descr':'<f2','fortran_order':False,'shape':()}", "\1\x7e", 2),
                         "image", &npy, &err));
    assert_int_equal(npy.rank, 0);
    npy_floats(&npy, out);
    assert_true(isnan(out[0]));
}

TEST(a_fortran_ordered_array_is_turned_into_c_order)
{
    static const float rows[] = { 1, 2, 3, 4, 5, 6 };

    assert_true(npy_read(
        make("{\"shape\": (2, 3), \"fortran_order\": True, \"descr\": \"|u1\"}", "\1\4\2\5\3\6", 6),
        "image", &npy, &err));
    npy_floats(&npy, out);
    assert_memory_equal(out, rows, sizeof rows);
    assert_true(npy_read(make("{'shape': (1, 2, 3), 'fortran_order': True, 'descr': '>i2'}",
                              "\0\1\0\4\0\2\0\5\0\3\0\6", 12),
                         "image", &npy, &err));
    npy_floats(&npy, out);
    assert_memory_equal(out, rows, sizeof rows);
}

/* What numpy writes when the header is long, or its names are not Latin: four bytes of length. */
TEST(npy_versions_2_and_3_have_a_longer_length)
{
    static const char dict[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }";
    char file[128] = "\x93NUMPY\2\0";

    file[8] = sizeof dict - 1;
    memcpy(file + 12, dict, sizeof dict - 1);
    memcpy(file + 12 + sizeof dict - 1, "\7\x8", 2);
    for (char version = 2; version <= 3; version++) {
        file[6] = version;
        assert_true(npy_read((struct bytes){ file, 12 + sizeof dict + 1 }, "image", &npy, &err));
        npy_floats(&npy, out);
        assert_true(npy.count == 2 && out[0] == 7 && out[1] == 8);
    }
    file[11] = 1; /* 16 MiB more */
    assert_false(npy_read((struct bytes){ file, 12 + sizeof dict + 1 }, "image", &npy, &err));
    assert_string_equal(err.detail, "the npy file is cut short in its header; send all of it");
}

TEST(what_npy_header_writes_npy_read_reads)
{
    static const size_t dims[] = { 1, 96, 2, SIZE_MAX / 1536 };
    char file[NPY_HEADER + 192 * 4] = { 0 };

    for (int rank = 0; rank <= 3; rank++) {
        size_t size = (size_t)(npy_header(file, dims, rank) - file);
        size_t count = rank < 2 ? 1 : rank == 2 ? 96 : 192;

        assert_int_equal(size % 64, 0);
        assert_true(npy_read((struct bytes){ file, size + 4 * count }, "image", &npy, &err));
        assert_int_equal(npy.rank, rank);
        assert_int_equal(npy.count, count);
        assert_memory_equal(npy.dims, dims, (size_t)rank * sizeof *dims);
        assert_false(npy_read((struct bytes){ file, size + 4 * count - 1 }, "image", &npy, &err));
    }
    assert_true(npy_header(file,
                           (const size_t[MAX_RANK]){ SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX,
                                                     SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX },
                           MAX_RANK) <= file + NPY_HEADER);
}

static void refuse(const char *dict, size_t size)
{
    static const char zeros[64];

    if (npy_read(make(dict, zeros, size), "weights", &npy, &err))
        fail_msg("taken: %s", dict);
    assert_int_equal(err.code, ERR_SYNTAX);
    assert_string_equal(err.field, "weights");
}

TEST(an_npy_header_that_is_not_quite_one_is_refused)
{
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 11);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 13);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (3), 'x': 1}", 12);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (3)", 12);
    refuse("{'descr': '<f4', 'fortran_order': False}", 12);
    refuse("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 12);
    refuse("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,)}", 12);
    refuse("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8);
    refuse("{'descr': 'f4', 'fortran_order': False, 'shape': (3,)}", 12);
    refuse("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8);
    refuse("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", 12);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", 4);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", 12);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", 0);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 12);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 12);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} trailing", 12);
    refuse("", 12);
    refuse("{", 12);
    refuse("{descr: '<f4', 'fortran_order': False, 'shape': (3,)}", 12);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': [3]}", 12);
    refuse("{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}", 12);
    refuse("{'descr': '<f\\x34', 'fortran_order': False, 'shape': (3,)}", 12);
    refuse("{'a key that is much longer than any of those that npy has, and longer still': 1}", 12);
}

TEST(an_npy_file_cut_anywhere_is_refused)
{
    struct bytes whole = make("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n",
                              "\0\0\xc0\x3f\0\0\0\xc0", 8);

    assert_true(npy_read(whole, "image", &npy, &err));
    for (size_t size = 0; size < whole.size; size++)
        assert_false(npy_read((struct bytes){ whole.data, size }, "image", &npy, &err));
}

static struct arena *scratch(void)
{
    static struct arena *arena;

    return arena ? arena : (arena = arena_create(1 << 20));
}

static struct bytes make_safe(const char *header, const void *data, size_t size)
{
    static char *file;
    uint64_t length = strlen(header);

    free(file);
    file = malloc(8 + length + size);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    memcpy(file + 8 + length, data, size);
    return (struct bytes){ file, 8 + length + size };
}

#define TWO_TENSORS                                                                                \
    "{\"__metadata__\":{\"by\":\"us\"},"                                                           \
    "\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"                 \
    "\"conv1.bias\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[8,10]}}  "

TEST(a_safetensors_tensor_is_found_by_its_name)
{
    struct bytes file = make_safe(TWO_TENSORS, "\0\0\xc0\x3f\0\0\0\xc0\x80\x3f", 10);

    assert_true(safetensors_read(file, "conv1.weight", scratch(), &npy, &err));
    assert_int_equal(npy.rank, 2);
    npy_floats(&npy, out);
    assert_true(out[0] == 1.5f && out[1] == -2);
    assert_true(safetensors_read(file, "conv1.bias", scratch(), &npy, &err));
    npy_floats(&npy, out);
    assert_true(out[0] == 1);
    assert_false(safetensors_read(file, "conv2.weight", scratch(), &npy, &err));
    assert_int_equal(err.code, ERR_PARAMETER);
    assert_non_null(strstr(err.detail, "conv1.weight, conv1.bias"));
    assert_false(safetensors_read(file, NULL, scratch(), &npy, &err));
    assert_non_null(strstr(err.detail, "2 tensors"));
}

TEST(the_only_tensor_needs_no_name)
{
    assert_true(safetensors_read(
        make_safe("{\"w\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", "\1\2\3", 3),
        NULL, scratch(), &npy, &err));
    npy_floats(&npy, out);
    assert_true(out[2] == 3);
}

static void refuse_safe(const char *header)
{
    static const char zeros[16];

    if (safetensors_read(make_safe(header, zeros, 8), NULL, scratch(), &npy, &err))
        fail_msg("taken: %s", header);
    assert_int_equal(err.code, ERR_SYNTAX);
}

TEST(a_safetensors_header_that_points_outside_its_file_is_refused)
{
    refuse_safe("{}");
    refuse_safe("[]");
    refuse_safe("{\"w\":1}");
    refuse_safe("{\"w\":");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-1,7]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
                "\"data_offsets\":[0,8]}}");
    refuse_safe("{\"w\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}");
    refuse_safe("{\"w\":{\"shape\":[1],\"data_offsets\":[0,8]}}");
    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}");
}

TEST(a_safetensors_header_says_what_it_misses)
{
    static char many[5000 * 60] = "{";
    struct arena *small = arena_create(1 << 16);
    size_t size = 1;

    refuse_safe("{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}");
    assert_string_equal(err.detail, "the tensor has no shape");
    for (int i = 0; i < 4097; i++)
        size += (size_t)sprintf(many + size,
                                "%s\"w%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}",
                                i ? "," : "", i);
    strcpy(many + size, "}");
    refuse_safe(many);
    assert_string_equal(err.detail, "the safetensors file has more than 4096 tensors");
    many[size] = '\0'; /* no JSON; the strict look at it needs memory of its own */
    refuse_safe(many);
    assert_string_equal(err.detail, "the safetensors header is not a JSON object");
    assert_false(safetensors_read(make_safe(many, "", 0), NULL, small, &npy, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.detail, "there is no memory left for the weights");
    arena_destroy(small);
}

TEST(a_safetensors_file_cut_anywhere_is_refused)
{
    struct bytes whole = make_safe(TWO_TENSORS, "\0\0\xc0\x3f\0\0\0\xc0\x80\x3f", 10);

    for (size_t size = 0; size < whole.size; size++)
        assert_false(safetensors_read((struct bytes){ whole.data, size }, "conv1.bias", scratch(),
                                      &npy, &err));
}
