/* Stored layers: a layer named by a request is the same layer said in the request, whatever it
 * says; a file that is not whole is none. */
#include "api/npy.h"
#include "api/sha256.h"
#include "tests/unit/decoding.h"

static struct arena *kept; /* of the stored layers, since start() forgets arena */
static const struct stored *stored;
static struct bytes file;

static const struct stored *find(void *arg, const char *name, struct error *e)
{
    (void)arg;
    if (!strcmp(name, "edges") && stored)
        return stored;
    return fail(e, ERR_NOT_FOUND, "", "there is no layer %s", name), NULL;
}
static const struct layer_finder finder = { find, NULL };

static bool put_bytes(const char *type, const char *query, struct bytes body)
{
    start();
    arena_destroy(kept);
    kept = arena_create((size_t)64 << 20);
    stored = NULL;
    message.method = "PUT";
    message.path = "/layers/edges";
    message.content_type = type;
    message.query = query;
    message.body = with_slack(body.data, body.size);
    return stored_decode(&message, &limits, kept, &stored, &file, &err);
}

static bool put(const char *query, const char *json)
{
    return put_bytes("application/json", query, (struct bytes){ json, strlen(json) });
}

/* As decode(), by a server that keeps layers. */
static bool ask(const char *query, const char *json)
{
    start();
    message.query = query;
    message.layers = &finder;
    message.body = with_slack(json, strlen(json));
    return convolve_decode(&message, &limits, arena, &request, &err);
}

static void assert_floats(const float *a, const float *b, size_t count)
{
    assert_int_equal(!a, !b);
    if (a && memcmp(a, b, count * sizeof *a))
        fail_msg("other numbers: %.9g and %.9g", (double)a[0], (double)b[0]);
}

/* {"weights":...} said in a request, and the same kept and named, make the same request. */
static void check_same(const char *image, const char *layer)
{
    static char text[4096];
    struct convolve_request said;
    struct arena *first;

    snprintf(text, sizeof text, "{\"image\":%s,%s", image, layer + 1);
    assert_decodes(decode("application/json", "", text));
    said = request;
    first = arena;
    arena = NULL;
    assert_decodes(put("", layer));
    snprintf(text, sizeof text, "{\"image\":%s,\"layer\":\"edges\"}", image);
    assert_decodes(ask("", text));
    assert_string_equal(request.layer, "edges");
    said.fields.weight_layout = WEIGHTS_OIHW; /* kept ones are in order */
    assert_memory_equal(&request.params, &said.params, sizeof said.params);
    assert_memory_equal(&request.fields, &said.fields, sizeof said.fields);
    assert_memory_equal(&request.weight_shape, &said.weight_shape, sizeof said.weight_shape);
    assert_int_equal(request.range, said.range);
    assert_floats(request.inputs.weights, said.inputs.weights, shape_count(said.weight_shape));
    assert_floats(request.inputs.bias, said.inputs.bias, (size_t)said.weight_shape.count);
    assert_floats(request.inputs.image, said.inputs.image, shape_count(said.image.shape));
    arena_destroy(first);
}

TEST(a_named_layer_is_the_layer_said_in_the_request)
{
    static const char *const layers[] = {
        "{\"weights\":\"sobel_x\"}",
        "{\"weights\":\"gaussian5\",\"stride\":2,\"padding_mode\":\"reflect\"}",
        "{\"weights\":[\"sobel_x\",\"sobel_y\"],\"combine\":\"magnitude\"}",
        "{\"weights\":{\"gaussian\":{\"size\":5,\"sigma\":1.5}},\"padding\":0}",
        "{\"weights\":\"gaussian\",\"kernel_size\":7,\"depth\":\"luma\"}",
        "{\"weights\":\"learned96\",\"stride\":4,\"activation\":\"relu\"}",
        "{\"weights\":[[1,2],[3,4]],\"bias\":0.1,\"scale\":0.3,\"flip\":true}",
        "{\"weights\":[[1,2],[3,4]],\"divisor\":3,\"normalize\":true,\"offset\":128}",
        "{\"weights\":[[1,2],[3,4]],\"groups\":\"depthwise\",\"algorithm\":\"reference\"}",
        "{\"weights\":[[[1,2],[3,4]],[[5,6],[7,8]],[[9,1],[2,3]]],\"pad_h\":1,\"S\":[2,1]}",
        "{\"weights\":[[[[1]],[[2]],[[3]]],[[[4]],[[5]],[[6]]]],\"bias\":[0.5,-1e-30],"
        "\"pool\":{\"type\":\"max\",\"kernel_size\":2,\"padding\":1}}",
        "{\"weights\":[[[[1,2],[3,4],[5,6]]]],\"weight_layout\":\"hwio\",\"bias\":[1,2],"
        "\"dilation\":2,\"strict\":true}",
        "{\"weights\":[[1]],\"pads\":[1,2,3,4],\"padding_value\":-7.25,\"groups\":3}",
        "{\"weights\":[[1]],\"auto_pad\":\"same_lower\",\"input_scale\":0.00392156862745098,"
        "\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225],\"channels\":3}",
    };

    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        check_same("{\"sample\":\"tiny\"}", layers[i]);
    check_same("[[[1,2,3],[4,5,6]]]", "{\"weights\":[[1]],\"input_layout\":\"hwc\"}");
}

#define TINY "{\"image\":{\"sample\":\"tiny\"},\"layer\":\"edges\""

TEST(a_requests_own_value_beats_the_layers)
{
    assert_decodes(put("",
                       "{\"weights\":[[1,2],[3,4]],\"stride\":[2,3],\"padding\":\"same\","
                       "\"scale\":2,\"bias\":5,\"pool\":{\"type\":\"max\",\"kernel_size\":2}}"));
    assert_decodes(ask("", TINY ",\"stride\":4,\"pads\":[1,0,0,0],\"bias\":7}"));
    assert_int_equal(request.params.stride[1], 4);
    assert_int_equal(request.params.pads[0], 1);
    assert_int_equal(request.params.auto_pad, AUTO_PAD_NOTSET);
    assert_true(request.inputs.bias[0] == 7 && request.inputs.weights[0] == 2);
    assert_true(request.layer_weights);
    assert_decodes(ask("stride_h=5", TINY "}"));
    assert_int_equal(request.params.stride[0], 5);
    assert_int_equal(request.params.stride[1], 3);
    assert_int_equal(request.params.auto_pad, AUTO_PAD_SAME_UPPER);
    assert_decodes(ask("stride_w=5", TINY ",\"pool\":\"none\"}"));
    assert_int_equal(request.params.stride[0], 2);
    assert_int_equal(request.params.stride[1], 5);
    assert_int_equal(request.params.pool_type, POOL_NONE);
    assert_decodes(ask("", TINY ",\"divisor\":2}"));
    assert_true(request.inputs.weights[0] == 0.5f);
    assert_false(request.layer_weights);
    assert_decodes(ask("", TINY ",\"pool_kernel_size\":3}"));
    assert_int_equal(request.params.pool_type, POOL_MAX);
    assert_int_equal(request.params.pool_kernel_size[0], 3);
}

TEST(a_request_cannot_contradict_the_layers_weights)
{
    assert_decodes(put("", "{\"weights\":[[[[1,2],[3,4]]],[[[1,2],[3,4]]]]}"));
    assert_refuses(ask("", TINY ",\"weights\":\"sobel_x\"}"), ERR_TWICE, "weights", "leave out");
    assert_refuses(ask("weight_layout=hwio", TINY "}"), ERR_TWICE, "weight_layout", "leave out");
    assert_refuses(ask("K=3", TINY "}"), ERR_SHAPE, "out_channels", "leave it out");
    assert_refuses(ask("F=3", TINY "}"), ERR_SHAPE, "kernel_size", "leave it out");
    assert_refuses(ask("", TINY "}"), ERR_SHAPE, "weights", "1 channels but the input has 3");
    assert_refuses(ask("bias=1,2,3", "{\"image\":[[1,2],[3,4]],\"layer\":\"edges\"}"), ERR_SHAPE,
                   "bias", "2 filters");
    assert_refuses(ask("layer=edges", TINY "}"), ERR_TWICE, "layer", "twice");
    assert_refuses(ask("layer=others", "{\"image\":[[1]]}"), ERR_PARAMETER, "layer", "others");
    assert_refuses(ask("", "{\"image\":[[1]],\"layer\":7}"), ERR_PARAMETER, "layer", "name");
}

TEST(a_layer_says_nothing_that_is_a_requests_own)
{
    static const char *const others[] = { "image=cat",       "format=png", "data=none",
                                          "what=input",      "verify=1",   "timeout_ms=5",
                                          "layer=edges",     "maps=0",     "output_layout=nhwc",
                                          "png_level=3",     "stats=0",    "range=clip",
                                          "colormap=viridis" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char field[32];

        snprintf(field, sizeof field, "%.*s", (int)strcspn(others[i], "="), others[i]);
        assert_refuses(put(others[i], "{\"weights\":\"sobel_x\"}"), ERR_PARAMETER, field,
                       "belongs to a request");
    }
}

TEST(what_no_picture_could_fit_is_not_stored)
{
    assert_refuses(put("", "{}"), ERR_PARAMETER, "weights", "no weights");
    assert_refuses(put("", "{\"stride\":2}"), ERR_PARAMETER, "weights", "no weights");
    assert_refuses(put("", "{\"weights\":\"sobbel\"}"), ERR_PARAMETER, "weights", "sobbel");
    assert_refuses(put("K=2&F=3", "{\"weights\":\"random\"}"), ERR_PARAMETER, "input", "3x224x224");
    assert_refuses(put("K=3", "{\"weights\":[[[[1]]]]}"), ERR_SHAPE, "out_channels", "make 1");
    assert_refuses(put("", "{\"weights\":[[[[1]]]],\"bias\":[1,2]}"), ERR_SHAPE, "bias", "filters");
    assert_refuses(put("", "{\"weights\":[[[[1]]]],\"groups\":2}"), ERR_SHAPE, "groups", "divide");
    assert_refuses(put("engine=winograd", "{\"weights\":[[1,2],[3,4]]}"), ERR_ENGINE, "algorithm",
                   "3x3");
    assert_refuses(put("input=3x2x2", "{\"weights\":\"gaussian5\",\"padding\":0}"), ERR_GEOMETRY,
                   "kernel_size", "padding");
    assert_refuses(put("", "{\"weights\":[[1]],\"strid\":2}"), ERR_UNKNOWN, "strid", "stride");
    assert_refuses(put("", "{\"weights\":[[1]],\"pool_stride\":2}"), ERR_PARAMETER, "pool_type",
                   "max");
}

TEST(random_weights_are_kept_as_numbers)
{
    assert_decodes(put("K=2&F=3&input=3x8x8", "{\"weights\":{\"random\":{\"seed\":1}}}"));
    assert_decodes(ask("", TINY "}"));
    assert_int_equal(request.weight_shape.count, 2);
    assert_int_equal(request.weight_shape.channels, 3);
    assert_null(request.bank);
    assert_true(request.layer_weights);
}

/* A safetensors file as PyTorch's users have them. */
static size_t torch_file(char *out)
{
    static const char header[] =
        "{\"weight\":{\"dtype\":\"F32\",\"shape\":[2,1,1,1],\"data_offsets\":[0,8]},"
        "\"bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}";
    uint64_t length = sizeof header - 1;

    memcpy(out, &length, 8);
    memcpy(out + 8, header, length);
    memcpy(out + 8 + length, (float[]){ 1.5f, -2, 10, 20 }, 16);
    return 8 + (size_t)length + 16;
}

TEST(an_npy_or_safetensors_file_alone_is_the_weights)
{
    char text[1024];
    size_t size = torch_file(text);
    char *end;

    assert_decodes(put_bytes("application/octet-stream", "stride=2", (struct bytes){ text, size }));
    assert_decodes(ask("", "{\"image\":[[1,2],[3,4]],\"layer\":\"edges\"}"));
    assert_int_equal(request.weight_shape.count, 2);
    assert_int_equal(request.params.stride[0], 2);
    assert_true(request.inputs.weights[1] == -2 && request.inputs.bias[1] == 20);
    end = npy_header(text, (size_t[]){ 2, 1 }, 2);
    memcpy(end, (float[]){ 3, 4 }, 8);
    size = (size_t)(end - text) + 8;
    assert_decodes(put_bytes("", "", (struct bytes){ text, size }));
    assert_decodes(ask("", TINY "}"));
    assert_int_equal(request.weight_shape.height, 2);
    assert_int_equal(request.params.groups, 3);
}

TEST(a_form_makes_the_same_file_as_json)
{
    static const char form[] = "--x\r\nContent-Disposition: form-data; name=S\r\n\r\n2\r\n"
                               "--x\r\nContent-Disposition: form-data; name=weights\r\n\r\n"
                               "[[1,2]]\r\n--x--";
    char digest[STORED_DIGEST + 1];

    assert_decodes(put("", "{\"weights\":[[1,2]],\"stride\":2,\"bias\":[3]}"));
    strcpy(digest, stored_digest(stored));
    assert_decodes(put_bytes("multipart/form-data; boundary=x", "bias=3",
                             (struct bytes){ form, sizeof form - 1 }));
    assert_string_equal(stored_digest(stored), digest);
}

/* --- files ----------------------------------------------------------------------------------- */

static bool read_copy(const char *data, size_t size)
{
    struct bytes copy = with_slack(data, size);
    const struct stored *s;
    struct arena *own = arena_create(1 << 20);
    bool done = stored_read(copy, &limits, own, &s, &err);

    arena_destroy(own);
    return done;
}

/* The layer's file in memory of the test's own. */
static char *some_file(size_t *size)
{
    char *copy;

    assert_decodes(put("", "{\"weights\":[[[[1,2],[3,4]]]],\"bias\":1,\"stride\":2}"));
    copy = malloc(file.size + 64);
    memcpy(copy, file.data, file.size);
    *size = file.size;
    return copy;
}

TEST(a_layers_file_put_again_is_that_layer)
{
    char digest[STORED_DIGEST + 1];
    size_t size;
    char *data = some_file(&size);

    strcpy(digest, stored_digest(stored));
    assert_decodes(put_bytes("", "", (struct bytes){ data, size }));
    assert_string_equal(stored_digest(stored), digest);
    assert_int_equal(file.size, size);
    data[size - 1] ^= 1;
    assert_refuses(put_bytes("", "", (struct bytes){ data, size }), ERR_SYNTAX, "weights",
                   "digest");
    free(data);
}

TEST(a_file_of_which_any_byte_is_another_is_refused)
{
    size_t size;
    char *data = some_file(&size);

    assert_true(read_copy(data, size));
    for (size_t i = 0; i < size; i++) {
        data[i] ^= (char)(1 << i % 8);
        assert_refuses(read_copy(data, size), ERR_SYNTAX, "weights", "not whole");
        data[i] ^= (char)(1 << i % 8);
    }
    assert_true(read_copy(data, size));
    free(data);
}

TEST(a_file_that_is_cut_or_grown_is_refused)
{
    size_t size;
    char *data = some_file(&size);

    memset(data + size, 0, 64);
    for (size_t length = 0; length < size + 64; length++)
        if (length != size)
            assert_refuses(read_copy(data, length), ERR_SYNTAX, "weights", "not whole");
    free(data);
}

/* The digest is right, what it stands for is not. */
TEST(a_sealed_file_of_nonsense_is_refused)
{
    static const char *const wrong[][2] = {
        { "convolved layer 1", "convolved layer 2" },
        { "\\\"stride\\\":[2,2]", "\\\"stride\\\":[0,0]" },
        { "\\\"stride\\\":[2,2]", "\\\"strive\\\":[2,2]" },
        { "\\\"stride\\\":[2,2]", "\\\"stride\\\":[2,2[" },
        { "\"shape\":[1,1,2,2]", "\"shape\":[1,1,2,3]" },
        { "\"shape\":[1,1,2,2]", "\"shape\":[0,1,2,2]" },
        { "\"data_offsets\":[0,16]", "\"data_offsets\":[9,96]" },
        { "\"weight\"", "\"weighs\"" },
        { "\"parameters\"", "\"parametres\"" },
        { "F32", "F99" },
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t size;
        char *data = some_file(&size);
        char *at = memmem(data, size, wrong[i][0], strlen(wrong[i][0]));

        assert_non_null(at);
        memcpy(at, wrong[i][1], strlen(wrong[i][1]));
        stored_seal(data, size);
        if (read_copy(data, size) || !*err.detail)
            fail_msg("%s is read", wrong[i][1]);
        free(data);
    }
}

TEST(every_safetensors_reader_opens_a_layers_file)
{
    struct arena *own = arena_create(1 << 20);
    struct npy npy;
    size_t size;
    char *data = some_file(&size);

    assert_true(safetensors_read((struct bytes){ data, size }, "weight", own, &npy, &err));
    assert_int_equal(npy.rank, 4);
    assert_memory_equal(npy.data, ((float[]){ 1, 2, 3, 4 }), 16);
    assert_int_equal(((const char *)npy.data - data) % 64, 0);
    assert_true(safetensors_read((struct bytes){ data, size }, "bias", own, &npy, &err));
    arena_destroy(own);
    free(data);
}

/* --- names and digests ------------------------------------------------------------------------ */

TEST(a_layers_name_is_what_the_pattern_says)
{
    static const char *const good[] = { "a", "0", "edges", "a.b_c-d", "a..b", "conv2d-2" };
    static const char *const bad[] = { "",    ".",     "..",  ".lock", "_a",       "-a",
                                       "A",   "a/b",   "a b", "a%2f",  "\xc3\xa4", "a\n",
                                       "a\\", "edgeS", "a:b", "a\t",   "a?b=c",    "../a" };
    char text[STORED_NAME + 2] = "";

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(stored_name_check(good[i], &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refuses(stored_name_check(bad[i], &err), ERR_PARAMETER, "name", "no name");
    memset(text, 'a', STORED_NAME);
    assert_true(stored_name_check(text, &err));
    text[STORED_NAME] = 'a';
    assert_refuses(stored_name_check(text, &err), ERR_PARAMETER, "name", "64 letters");
    assert_refuses(stored_name_check("conv2d", &err), ERR_CONFLICT, "name", "another name");
}

static const char *digest(const char *text, size_t size, size_t step)
{
    static char hex[65];
    struct sha256 sha;

    sha256_init(&sha);
    for (size_t at = 0; at < size; at += step)
        sha256_add(&sha, text + at, size - at < step ? size - at : step);
    sha256_finish(&sha, hex);
    return hex;
}

/* FIPS 180-4's examples, and one that crosses blocks in every way. */
TEST(sha256_gives_the_standards_digests)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static char million[1000000];

    assert_string_equal(digest("", 0, 1),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(digest("abc", 3, 1),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(digest(two, 56, 56),
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', sizeof million);
    for (size_t step = 1; step < 200; step += 9)
        assert_string_equal(digest(million, sizeof million, step * step),
                            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    for (size_t size = 54; size < 130; size++) {
        char whole[65];

        strcpy(whole, digest(million, size, size));
        assert_string_equal(digest(million, size, 7), whole);
    }
}
