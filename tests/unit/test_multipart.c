/* multipart/form-data: what curl and browsers send is read, what breaks off is not. */
#include "api/npy.h"
#include "tests/unit/decoding.h"

/* A form of boundary AB under way. */
static char body[1 << 16];
static size_t used;

static void begin(void)
{
    used = 0;
}

static void add(const void *data, size_t size)
{
    memcpy(body + used, data, size);
    used += size;
}

static void part(const char *disposition, const void *data, size_t size)
{
    char head[512];

    add(head,
        (size_t)sprintf(head, "--AB\r\nContent-Disposition: form-data; %s\r\n\r\n", disposition));
    add(data, size);
    add("\r\n", 2);
}

static void field(const char *name, const char *value)
{
    char disposition[128];

    sprintf(disposition, "name=\"%s\"", name);
    part(disposition, value, strlen(value));
}

static bool send_as(const char *type)
{
    add("--AB--\r\n", 8);
    return decode_bytes(type, "", (struct bytes){ body, used });
}

static bool send(void)
{
    return send_as("multipart/form-data; boundary=AB");
}

/* The same, given whole. */
static bool raw(const char *text)
{
    return decode("multipart/form-data; boundary=AB", "", text);
}

static const char pgm[] = "P5\n3 2\n255\n\1\2\3\4\5\6";

static void picture(const char *name)
{
    char disposition[128];

    sprintf(disposition, "name=\"%s\"; filename=\"a.pgm\"", name);
    part(disposition, pgm, sizeof pgm - 1);
}

TEST(a_form_holds_a_picture_and_fields)
{
    begin();
    picture("image");
    field("K", "2");
    field("F", "2");
    field("S", "1");
    field("weights", "{\"random\":{\"seed\":1}}");
    assert_decodes(send());
    assert_int_equal(request.image.shape.width, 3);
    assert_int_equal(request.image.shape.height, 2);
    assert_true(request.image.data[5] == 6);
    assert_int_equal(request.weight_shape.count, 2);
    assert_string_equal(request.bank, "random");
    assert_string_equal(request.picture.format, "pnm");
}

TEST(the_image_part_has_aliases)
{
    static const char *const names[] = { "image", "file", "data", "img" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        begin();
        picture(names[i]);
        field("kernel", "identity");
        assert_decodes(send());
        assert_int_equal(request.image.shape.width, 3);
    }
}

TEST(a_part_named_data_without_a_file_is_the_parameter)
{
    begin();
    picture("image");
    field("data", "none");
    field("kernel", "identity");
    assert_decodes(send());
    assert_int_equal(request.fields.data, DATA_NONE);
}

TEST(several_pictures_of_one_size_are_a_batch)
{
    begin();
    picture("image");
    picture("image");
    part("name=\"image\"; filename=\"b.pgm\"", "P5\n3 2\n255\n\7\7\7\7\7\11", 17);
    field("kernel", "identity");
    assert_decodes(send());
    assert_int_equal(request.image.shape.count, 3);
    assert_int_equal(request.picture.count, 3);
    assert_true(request.image.data[6] == 1 && request.image.data[17] == 9);
    begin();
    picture("image");
    part("name=\"image\"; filename=\"b.pgm\"", "P5\n2 3\n255\n\7\7\7\7\7\7", 17);
    field("kernel", "identity");
    assert_refuses(send(), ERR_SHAPE, "image", "picture 2 is 2x3");
}

TEST(the_pixels_of_a_batch_are_counted_together)
{
    begin();
    picture("image");
    picture("image");
    field("kernel", "identity");
    add("--AB--\r\n", 8);
    start();
    limits.pixels = 11;
    message.content_type = "multipart/form-data; boundary=AB";
    message.body = with_slack(body, used);
    assert_false(convolve_decode(&message, &limits, arena, &request, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    limits.pixels = 12;
    assert_decodes(convolve_decode(&message, &limits, arena, &request, &err));
}

TEST(the_boundary_may_be_quoted_and_stand_anywhere_among_the_parameters)
{
    static const char *const types[] = {
        "multipart/form-data; boundary=AB; charset=utf-8",
        "multipart/form-data; charset=utf-8; boundary=AB",
        "multipart/form-data;boundary=\"AB\"",
        "Multipart/Form-Data ; x=\"a;\\\"b\"; Boundary=\"AB\"",
        "multipart/form-data; x=\"boundary=XY\"; boundary=AB",
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        begin();
        picture("image");
        field("kernel", "identity");
        assert_decodes(send_as(types[i]));
    }
}

TEST(without_a_boundary_there_is_no_form)
{
    assert_refuses(decode("multipart/form-data", "", "x"), ERR_SYNTAX, "", "boundary");
    assert_refuses(decode("multipart/form-data; charset=x", "", "x"), ERR_SYNTAX, "", "boundary");
    assert_refuses(decode("multipart/form-data; boundary=", "", "x"), ERR_SYNTAX, "", "boundary");
    assert_refuses(decode("multipart/form-data; boundary=\"AB", "", "x"), ERR_SYNTAX, "",
                   "boundary");
    assert_refuses(raw(""), ERR_SYNTAX, "", "boundary");
    assert_refuses(raw("x"), ERR_SYNTAX, "", "boundary");
    assert_refuses(raw("--AC--\r\n"), ERR_SYNTAX, "", "boundary");
}

TEST(a_preamble_and_an_epilogue_are_not_read)
{
    assert_decodes(
        raw("hello\r\n--AB\r\nContent-Disposition: form-data; name=image\r\n\r\n[[1]]\r\n"
            "--AB\r\nContent-Disposition: form-data; name=kernel\r\n\r\nidentity\r\n"
            "--AB--\r\nbye\r\n--AB\r\n"));
    assert_int_equal(request.image.shape.width, 1);
}

TEST(white_space_may_follow_a_boundary_and_other_text_makes_it_content)
{
    assert_decodes(
        raw("--AB \t\r\nContent-Disposition: form-data; name=image\r\n\r\n[[1,\r\n--ABC\r\n"
            "2]]\r\n--AB\r\nContent-Disposition: form-data; name=kernel\r\n\r\nidentity\r\n"
            "--AB--") ||
        (err.code == ERR_SYNTAX && strstr(err.detail, "byte")));
    assert_string_equal(err.field, "image"); /* --ABC belonged to the JSON, which is malformed */
}

TEST(a_form_that_breaks_off_is_refused)
{
    static const char whole[] =
        "--AB\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n[[1]]"
        "\r\n--AB\r\nContent-Disposition: form-data; name=\"kernel\"\r\n\r\n"
        "identity\r\n--AB--";

    assert_decodes(raw(whole));
    for (size_t size = 0; size < sizeof whole - 1; size++)
        if (decode_bytes("multipart/form-data; boundary=AB", "", (struct bytes){ whole, size }))
            fail_msg("the first %zu bytes are accepted", size);
        else if (size && err.code != ERR_SYNTAX)
            fail_msg("the first %zu bytes: %s", size, err.detail);
    assert_refuses(raw("--AB\r\nContent-Disposition: form-data; name=K\r\n\r\n3\r\n--AB\r\n"),
                   ERR_SYNTAX, "", "headers");
    assert_refuses(raw("--AB\r\nContent-Disposition: form-data; name=K\r\n\r\n3"), ERR_SYNTAX, "",
                   "final boundary");
}

TEST(lines_end_in_carriage_return_and_line_feed)
{
    assert_refuses(raw("--AB\nContent-Disposition: form-data; name=K\n\n3\n--AB--\n"), ERR_SYNTAX,
                   "", "boundary");
    assert_refuses(raw("--AB\r\nContent-Disposition: form-data; name=K\n\n3\r\n--AB--\r\n"),
                   ERR_SYNTAX, "", "");
}

TEST(a_part_needs_a_name_and_headers_that_are_headers)
{
    assert_refuses(raw("--AB\r\n\r\n3\r\n--AB--\r\n"), ERR_SYNTAX, "", "with a name");
    assert_refuses(raw("--AB\r\nContent-Type: text/plain\r\n\r\n3\r\n--AB--\r\n"), ERR_SYNTAX, "",
                   "with a name");
    assert_refuses(raw("--AB\r\nContent-Disposition: form-data\r\n\r\n3\r\n--AB--\r\n"), ERR_SYNTAX,
                   "", "no name");
    assert_refuses(raw("--AB\r\nContent-Disposition: form-data; name=\"K\r\n\r\n3\r\n--AB--\r\n"),
                   ERR_SYNTAX, "", "name");
    assert_refuses(raw("--AB\r\nnonsense\r\n\r\n3\r\n--AB--\r\n"), ERR_SYNTAX, "", "colon");
    assert_refuses(raw("--AB\r\n: x\r\n\r\n3\r\n--AB--\r\n"), ERR_SYNTAX, "", "colon");
    assert_refuses(raw("--AB\r\nContent-Disposition: form-data; name=K\r\n"
                       "Content-Transfer-Encoding: base64\r\n\r\nMw==\r\n--AB--\r\n"),
                   ERR_MEDIA, "", "Content-Transfer-Encoding");
}

TEST(parts_and_their_headers_are_limited)
{
    begin();
    for (int i = 0; i < 257; i++)
        part("name=\"image\"; filename=\"\"", "", 0);
    assert_refuses(send(), ERR_SYNTAX, "", "256 parts");
    begin();
    add("--AB\r\nX: ", 9);
    memset(body + used, 'x', 9000);
    used += 9000;
    add("\r\n\r\n", 4);
    assert_refuses(send(), ERR_SYNTAX, "", "8192");
    begin();
    memset(body + sizeof body - 200, 'n', 199);
    body[sizeof body - 1] = '\0';
    field("a_name_that_is_longer_than_any_parameter_could_ever_be_whatever_it_is_for", "1");
    assert_refuses(send(), ERR_SYNTAX, "", "too long");
}

TEST(a_file_field_that_was_left_empty_is_not_given)
{
    begin();
    part("name=\"image\"; filename=\"\"", "", 0);
    field("kernel", "identity");
    assert_refuses(send(), ERR_PARAMETER, "image", "there is no image");
}

TEST(a_part_params_holds_json)
{
    begin();
    picture("image");
    field("params", "{\"kernel\":\"identity\",\"stride\":[2,1]}");
    assert_decodes(send());
    assert_int_equal(request.params.stride[0], 2);
    begin();
    picture("image");
    field("params", "{\"kernel\":\"identity\",\"stride\":[2,1]}");
    field("S", "1");
    assert_refuses(send(), ERR_TWICE, "stride", "in the part params and in the form");
    begin();
    field("params", "[1]");
    assert_refuses(send(), ERR_SYNTAX, "", "JSON object");
    begin();
    field("params", "{\"stride\":}");
    assert_refuses(send(), ERR_SYNTAX, "", "byte 10");
}

TEST(weights_and_bias_come_as_npy_as_json_or_as_words)
{
    const float two = 2;
    char npy[NPY_HEADER + sizeof two], *end = npy_header(npy, (size_t[]){ 1, 1, 1, 1 }, 4);
    size_t size = (size_t)(end - npy) + sizeof two;

    memcpy(end, &two, sizeof two);
    begin();
    picture("image");
    part("name=\"weights\"; filename=\"w.npy\"", npy, size);
    field("bias", "0.5");
    assert_decodes(send());
    assert_true(request.inputs.weights[0] == 2 && request.inputs.bias[0] == 0.5f);
    begin();
    picture("image");
    part("name=\"weights\"; filename=\"w.json\"", " [[1,2]]", 8);
    part("name=\"bias\"; filename=\"b.json\"", "[3]", 3);
    assert_decodes(send());
    assert_int_equal(request.weight_shape.width, 2);
    assert_true(request.inputs.bias[0] == 3);
    begin();
    picture("image");
    part("name=\"weights\"; filename=\"w.bin\"", "sobel", 5);
    assert_refuses(send(), ERR_PARAMETER, "weights", "npy, safetensors or JSON");
    begin();
    picture("image");
    field("weights", "[[1]]");
    part("name=\"kernel\"; filename=\"w.npy\"", npy, size);
    assert_refuses(send(), ERR_TWICE, "weights", "given twice");
}

TEST(an_image_part_may_be_a_sample_or_numbers)
{
    begin();
    field("image", "{\"sample\":\"ramp\",\"size\":8}");
    field("kernel", "identity");
    assert_decodes(send());
    assert_int_equal(request.image.shape.width, 8);
    begin();
    field("image", "ramp");
    field("kernel", "identity");
    assert_decodes(send());
    begin();
    part("name=\"image\"; filename=\"x.txt\"", "hello", 5);
    field("kernel", "identity");
    assert_int_equal(send(), false);
    assert_string_equal(err.field, "image");
}

TEST(an_unknown_part_is_refused_with_the_nearest_name)
{
    begin();
    picture("image");
    field("kernal", "identity");
    assert_refuses(send(), ERR_UNKNOWN, "kernal", "kernel");
}
