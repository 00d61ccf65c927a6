/* One request for every route and every encoding: the script of the torture, and what the bad inputs
 * are bred from. */
#include "tests/torture/attack.h"

#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 80 };

struct list {
    struct request *items;
    size_t count;
};

#define GET(path)        "GET " path " HTTP/1.1\r\nHost: localhost\r\n"
#define POST(path, type) "POST " path " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " type "\r\n"
#define PICTURE          "tests/cases/pictures/"
#define INFER            "/v2/models/conv2d/infer"
#define BINARY(path, bytes)                                                                        \
    POST(path, "application/octet-stream") "Inference-Header-Content-Length: " bytes "\r\n"

static void add(struct list *list, const struct request *request)
{
    assert_true(list->count < MOST);
    list->items[list->count++] = *request;
}

static void add_text(struct list *list, const char *says, const char *head, const char *body)
{
    add(list, &(struct request){ says, head, body, body ? strlen(body) : 0, 200, false });
}

static void add_file(struct list *list, const char *says, const char *head, const char *path)
{
    size_t size;
    const char *body = file_read(path, &size);

    add(list, &(struct request){ says, head, body, size, 200, true });
}

/* --- bodies that are not text --- */

/* numpy's version 1.0 file. */
static size_t npy_file(char *out, const char *type, const char *shape, const void *data,
                       size_t size)
{
    int text =
        sprintf(out + 10, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    int head = (10 + text + 1 + 63) / 64 * 64;

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)(head - 10);
    out[9] = 0;
    memset(out + 10 + text, ' ', (size_t)(head - 10 - text));
    out[head - 1] = '\n';
    memcpy(out + head, data, size);
    return (size_t)head + size;
}

static void add_npy(struct list *list)
{
    float *pixels = keep(calloc(3 * 16 * 16, sizeof *pixels));
    char *file = keep(malloc(8192));
    size_t size;

    for (int i = 0; i < 3 * 16 * 16; i++)
        pixels[i] = (float)i / 3;
    size = npy_file(file, "<f4", "(3, 16, 16)", pixels, 3 * 16 * 16 * sizeof *pixels);
    add(list, &(struct request){ "an npy body, npy back",
                                 POST("/convolve?kernel=gaussian3&format=npy", "application/x-npy"),
                                 file, size, 200, true });
}

static size_t put(char *out, size_t at, const void *data, size_t size)
{
    memcpy(out + at, data, size);
    return at + size;
}

static size_t put_text(char *out, size_t at, const char *text)
{
    return put(out, at, text, strlen(text));
}

#define FORM "multipart/form-data; boundary=\"abc d\""
#define PART(name, rest)                                                                           \
    "--abc d\r\nContent-Disposition: form-data; name=\"" name "\"" rest "\r\n\r\n"

static size_t put_picture(char *out)
{
    size_t size;
    const char *picture = file_read(PICTURE "cat-palette.png", &size);
    size_t at =
        put_text(out, 0, PART("image", "; filename=\"cat.png\"\r\nContent-Type: image/png"));

    return put_text(out, put(out, at, picture, size), "\r\n");
}

static void add_form(struct list *list, const char *says, const char *part, const void *data,
                     size_t size)
{
    char *body = keep(malloc(65536));
    size_t at = put_text(body, put_picture(body), part);

    at = put_text(body, put(body, at, data, size), "\r\n--abc d--\r\n");
    add(list, &(struct request){ says, POST("/convolve?data=none", FORM), body, at, 200, false });
}

static void add_forms(struct list *list)
{
    static const float weights[2 * 3 * 3] = {
        1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 0, 1, 0, 1, 0, 1, 0, 1
    };
    static const char tensors[] =
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,1,3,3],\"data_offsets\":[0,72]}}    ";
    static const char params[] = "{\"weights\":{\"random\":{\"seed\":3}},\"activation\":\"relu\"}";
    char *file = keep(malloc(1024));
    uint64_t length = sizeof tensors - 1;
    size_t at;

    add_form(list, "a form with the textbook's letters",
             PART("K", "") "4\r\n" PART("F", "") "3\r\n" PART("S", "") "2\r\n" PART(
                 "P", "") "1\r\n" PART("params", "\r\nContent-Type: application/json"),
             params, strlen(params));
    at = npy_file(file, "<f4", "(2, 1, 3, 3)", weights, sizeof weights);
    add_form(list, "a form with npy weights",
             PART("channels", "") "1\r\n" PART("weights", "; filename=\"w.npy\""), file, at);
    at = put(file, 0, &length, 8);
    at = put(file, put(file, at, tensors, sizeof tensors - 1), weights, sizeof weights);
    add_form(list, "a form with safetensors weights",
             PART("channels", "") "1\r\n" PART("bias", "") "[1,2]\r\n" PART(
                 "weights", "; filename=\"w.safetensors\""),
             file, at);
}

static void add_gzip(struct list *list)
{
    static const char json[] =
        "{\"image\":{\"sample\":\"cat\",\"size\":64},\"weights\":\"learned96\",\"stride\":4,"
        "\"data\":\"base64\"}";
    struct libdeflate_compressor *packer = libdeflate_alloc_compressor(6);
    char *packed = keep(malloc(1024));
    size_t size;

    assert_non_null(packer);
    size = libdeflate_gzip_compress(packer, json, sizeof json - 1, packed, 1024);
    libdeflate_free_compressor(packer);
    assert_true(size > 0);
    add(list, &(struct request){ "JSON in gzip",
                                 POST("/convolve", "application/json") "Content-Encoding: gzip\r\n",
                                 packed, size, 200, false });
}

static void add_binary_infer(struct list *list)
{
    static const char json[] =
        "{\"id\":\"a\",\"parameters\":{\"binary_data_output\":true},\"inputs\":["
        "{\"name\":\"X\",\"shape\":[1,1,4,4],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_"
        "size\":64}},"
        "{\"name\":\"W\",\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_"
        "size\":16}},"
        "{\"name\":\"B\",\"shape\":[1],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":"
        "4}}]}";
    float *numbers = keep(calloc(21, sizeof *numbers));
    char *body = keep(malloc(sizeof json + 84));
    size_t at = put(body, 0, json, sizeof json - 1);
    char length[16];

    for (int i = 0; i < 21; i++)
        numbers[i] = (float)i;
    snprintf(length, sizeof length, "%zu", at);
    at = put(body, at, numbers, 84);
    add(list, &(struct request){ "an inference with binary tensors",
                                 text_format(BINARY(INFER, "%s"), length), body, at, 200, true });
}

static void add_picture_infer(struct list *list)
{
    size_t size;
    const char *picture = file_read(PICTURE "cat-gray.jpg", &size);
    const char *json = text_format(
        "{\"inputs\":[{\"name\":\"IMAGE\",\"shape\":[1],\"datatype\":\"BYTES\","
        "\"parameters\":{\"binary_data_size\":%zu}},{\"name\":\"W\",\"shape\":[1,1,1,1],"
        "\"datatype\":\"FP32\",\"data\":[2]}],\"outputs\":[{\"name\":\"Y\",\"parameters\":"
        "{\"binary_data\":true}}]}",
        size + 4);
    char *body = keep(malloc(strlen(json) + 4 + size));
    uint32_t length = (uint32_t)size;
    size_t at = put(body, put_text(body, 0, json), &length, 4);

    at = put(body, at, picture, size);
    add(list,
        &(struct request){ "an inference of a picture",
                           text_format(BINARY(INFER, "%zu"), strlen(json)), body, at, 200, true });
}

static const char *base64(const char *path)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size, at = 0;
    const uint8_t *data = (const uint8_t *)file_read(path, &size);
    char *out = keep(calloc(1, size / 3 * 4 + 8));

    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) |
                         (i + 2 < size ? (uint32_t)data[i + 2] : 0);

        for (int k = 0; k < 4; k++)
            out[at++] = i + (size_t)k <= size ? letters[three >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

/* --- the list --- */

static void add_gets(struct list *list)
{
    static const char *const heads[] = {
        GET("/"),
        GET("/") "Accept: text/html\r\n",
        GET("/docs") "Accept-Encoding: gzip\r\n",
        GET("/openapi.json"),
        GET("/livez"),
        GET("/readyz"),
        GET("/healthz"),
        GET("/metrics"),
        GET("/info"),
        GET("/filters"),
        GET("/filters/learned96"),
        GET("/samples"),
        GET("/samples/cat?size=32"),
        GET("/plan?input=3x227x227&K=96&F=11&S=4"),
        GET("/v2"),
        GET("/v2/health/ready"),
        GET("/v2/models/conv2d"),
        GET("/v2/models/conv2d/versions/1/ready"),
    };

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        add_text(list, heads[i], heads[i], NULL);
    add(list, &(struct request){ "a head alone", "HEAD /info HTTP/1.1\r\nHost: localhost\r\n", NULL,
                                 0, 200, false });
    add(list, &(struct request){ "a preflight",
                                 "OPTIONS /convolve HTTP/1.1\r\nHost: localhost\r\n"
                                 "Origin: http://localhost:3000\r\n"
                                 "Access-Control-Request-Method: POST\r\n",
                                 NULL, 0, 204, true });
    add(list,
        &(struct request){ "a path that is not there", GET("/nowhere"), NULL, 0, 404, false });
    add(list, &(struct request){ "a method that is not taken",
                                 "DELETE /convolve HTTP/1.1\r\nHost: localhost\r\n", NULL, 0, 405,
                                 false });
}

static void add_pictures(struct list *list)
{
    add_file(list, "an RGBA PNG, PNG back",
             POST("/convolve?kernel=sobel_x&format=png", "image/png"), PICTURE "cat-rgba.png");
    add_file(list, "an interlaced PNG, deflated",
             POST("/convolve?kernel=emboss&format=png&png_level=6", "image/png"),
             PICTURE "cat-interlaced.png");
    add_file(list, "a 16-bit PNG",
             POST("/convolve?kernel=identity&format=png&png_level=0", "image/png"),
             PICTURE "cat-gray16.png");
    add_file(list, "a progressive JPEG, raw",
             POST("/convolve?kernel=gaussian5&format=raw", "image/jpeg"),
             PICTURE "cat-progressive.jpg");
    add_file(
        list, "a CMYK JPEG without a type",
        "POST /convolve?kernel=edges&combine=magnitude&format=png HTTP/1.1\r\nHost: localhost\r\n",
        PICTURE "cat-cmyk.jpg");
    add_file(list, "a BMP", POST("/convolve?kernel=identity&format=raw", "image/bmp"),
             PICTURE "cat.bmp");
    add_file(
        list, "a PPM by im2col",
        POST("/convolve?kernel=sharpen&format=npy&algorithm=im2col", "image/x-portable-pixmap"),
        PICTURE "cat.ppm");
}

#define JSON(path) POST(path, "application/json")

static void add_json(struct list *list)
{
    add_text(list, "nested numbers", JSON("/convolve"),
             "{\"image\":[[1,2,3],[4,5,6],[7,8,9]],\"weights\":[[0,1],[1,0]],\"data\":\"nested\","
             "\"bias\":10,\"explain\":[{\"k\":0,\"y\":1,\"x\":1}]}");
    add_text(list, "every parameter of the layer", JSON("/convolve"),
             "{\"image\":{\"shape\":[2,4,4],\"data\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,"
             "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]},\"weights\":{\"random\":{\"init\":\"he\","
             "\"seed\":1}},\"out_channels\":4,\"kernel_size\":[2,3],\"stride\":[1,2],\"padding\":"
             "{\"top\":1,\"left\":0,\"bottom\":2,\"right\":1},\"padding_mode\":\"reflect\","
             "\"dilation\":1,\"groups\":2,\"activation\":\"tanh\",\"pool\":{\"type\":\"max\","
             "\"kernel_size\":2,\"stride\":1},\"scale\":0.5,\"verify\":true,\"digits\":6}");
    add_text(list, "a picture in base64", JSON("/convolve?format=png"),
             text_format("{\"image\":{\"base64\":\"%s\"},\"weights\":[[0.25,0.5],[0.5,0.25]],"
                         "\"range\":\"minmax\",\"colormap\":\"viridis\",\"depth\":8}",
                         base64(PICTURE "cat-palette.png")));
    add_text(list, "a layer by Winograd", JSON("/convolve"),
             "{\"image\":{\"sample\":\"scene\",\"size\":48},\"weights\":{\"random\":{\"seed\":2}},"
             "\"out_channels\":8,\"kernel_size\":3,\"algorithm\":\"winograd\",\"data\":\"none\"}");
    add_text(list, "a gabor bank", JSON("/convolve"),
             "{\"image\":{\"sample\":\"zone_plate\",\"size\":40},\"weights\":{\"gabor\":"
             "{\"size\":7}},\"data\":\"base64\",\"maps\":[0]}");
    add_text(list, "X_col itself", JSON("/convolve?what=columns&format=npy"),
             "{\"image\":{\"sample\":\"tiny\"},\"weights\":\"sobel_x\"}");
    add_text(list, "a plan in JSON", JSON("/plan"),
             "{\"input\":[3,32,32],\"K\":8,\"F\":3,\"P\":\"same\"}");
    add(list,
        &(struct request){ "chunks", JSON("/convolve") "Transfer-Encoding: chunked\r\n",
                           "2e\r\n{\"image\":{\"sample\":\"tiny\"},\"weights\":\"sobel_x\"\r\n"
                           "11\r\n,\"data\":\"none\"}  \r\n0\r\n\r\n",
                           0, 200, false });
    list->items[list->count - 1].size = strlen(list->items[list->count - 1].body);
    add_text(list, "an inference", JSON(INFER),
             "{\"id\":\"7\",\"inputs\":[{\"name\":\"X\",\"shape\":[1,1,3,3],\"datatype\":\"FP32\","
             "\"data\":[1,2,3,4,5,6,7,8,9]},{\"name\":\"W\",\"shape\":[1,1,2,2],\"datatype\":"
             "\"FP32\",\"data\":[1,0,0,1]}],\"parameters\":{\"strides\":\"1,1\",\"pads\":"
             "\"1,1,1,1\",\"group\":1},\"outputs\":[{\"name\":\"Y\"},{\"name\":\"X_COL\"}]}");
}

/* --- stored layers --- */

#define PUT_EDGES                                                                                  \
    "PUT /layers/edges HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#define EDGES "{\"weights\":\"edges\",\"combine\":\"magnitude\",\"padding\":\"same\"}"
#define X                                                                                          \
    "{\"inputs\":[{\"name\":\"X\",\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}]"

/* Each gets the same answer however often it is sent, once the first two have made their layers. */
static void add_layers(struct list *list)
{
    static const float weights[2 * 2 * 2] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    char *file = keep(malloc(1024));
    size_t size = npy_file(file, "<f4", "(2, 1, 2, 2)", weights, sizeof weights);

    add(list, &(struct request){ "a layer of npy weights",
                                 "PUT /layers/squares?bias=1,2&activation=relu HTTP/1.1\r\n"
                                 "Host: localhost\r\nContent-Type: application/x-npy\r\n",
                                 file, size, 200, false });
    add_text(list, "a layer", PUT_EDGES, EDGES);
    add_text(list, "a layer in another's place", PUT_EDGES "If-Match: *\r\n", EDGES);
    add(list, &(struct request){ "a layer that is there already", PUT_EDGES "If-None-Match: *\r\n",
                                 EDGES, sizeof EDGES - 1, 412, false });
    add_text(list, "the layers", GET("/layers"), NULL);
    add_text(list, "a layer's description", GET("/layers/squares"), NULL);
    add_text(list, "its head alone", "HEAD /layers/squares HTTP/1.1\r\nHost: localhost\r\n", NULL);
    add(list,
        &(struct request){ "a layer that is known", GET("/layers/squares") "If-None-Match: *\r\n",
                           NULL, 0, 304, true });
    add(list, &(struct request){ "a layer that is not there, deleted",
                                 "DELETE /layers/nothing HTTP/1.1\r\nHost: localhost\r\n", NULL, 0,
                                 404, false });
    add_file(list, "a picture through a layer",
             POST("/convolve?layer=edges&format=png", "image/png"), PICTURE "cat-palette.png");
    add_text(list, "a layer in JSON", JSON("/convolve"),
             "{\"image\":[[1,2,3],[4,5,6],[7,8,9]],\"layer\":\"squares\",\"stride\":2}");
    add_text(list, "a layer as a model", GET("/v2/models/squares"), NULL);
    add_text(list, "an inference of a layer", JSON("/v2/models/squares/infer"), X "}");
    add_text(list, "an inference that names its layer", JSON(INFER),
             X ",\"parameters\":{\"layer\":\"squares\"}}");
    add_text(list, "the models", JSON("/v2/repository/index"), "{}");
}

const struct request *requests_all(size_t *count)
{
    struct list list = { keep(calloc(MOST, sizeof *list.items)), 0 };

    add_gets(&list);
    add_pictures(&list);
    add_npy(&list);
    add_forms(&list);
    add_json(&list);
    add_gzip(&list);
    add_binary_infer(&list);
    add_picture_infer(&list);
    add_layers(&list);
    *count = list.count;
    return list.items;
}

void requests_warm(int port)
{
    size_t count;
    const struct request *requests = requests_all(&count);

    for (size_t i = 0; i < count; i++) {
        struct blob blob = request_bytes(&requests[i]);

        free(attack(port, blob.data, blob.size, 60000).data);
        free(blob.data);
    }
}
