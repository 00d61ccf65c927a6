/* The command lines that the contract promises to work as written, run by a shell with the real
 * curl and jq, in a folder that has cat.png and cat.jpg. */
#include "tests/http/harness.h"
#include "tests/http/png_read.h"

#include <stdio.h>
#include <stdlib.h>

struct output {
    char *data;
    size_t size;
};

/* What the line prints when localhost:8080 is the daemon under test; it must succeed. */
static struct output run(const char *line)
{
    enum { MOST = 1 << 22 };
    const char *port = strstr(line, "localhost:8080");
    struct output output = { keep(calloc(1, MOST)), 0 };
    FILE *pipe;

    assert_non_null(port);
    pipe = popen(text_format("folder=$(mktemp -d) && trap 'rm -r $folder' EXIT && "
                             "cp tests/cases/pictures/cat-451x300.png $folder/cat.png && "
                             "cp tests/cases/pictures/cat.jpg $folder && cd $folder && "
                             "%.*slocalhost:%d%s",
                             (int)(port - line), line, daemon_shared()->port,
                             port + strlen("localhost:8080")),
                 "r");
    assert_non_null(pipe);
    output.size = fread(output.data, 1, MOST - 1, pipe);
    assert_int_equal(pclose(pipe), 0);
    return output;
}

static void assert_png(struct output output, int width, int height, int channels)
{
    struct png_pixels pixels;

    png_read_pixels(&pixels, output.data, output.size);
    assert_int_equal(pixels.width, width);
    assert_int_equal(pixels.height, height);
    assert_int_equal(pixels.channels, channels);
}

TEST(a_picture_by_data_binary_becomes_its_edges)
{
    assert_png(run("curl -s --data-binary @cat.png "
                   "'localhost:8080/convolve?kernel=sobel_x&format=png' -o edges.png && "
                   "cat edges.png"),
               451, 300, 1);
}

TEST(a_form_with_the_textbooks_letters_gives_the_textbooks_shape)
{
    assert_string_equal(run("curl -s -F image=@cat.jpg -F K=96 -F F=11 -F S=4 -F P=0 "
                            "-F 'weights={\"random\":{\"seed\":1}}' localhost:8080/convolve | "
                            "jq -c .output.shape")
                            .data,
                        "[1,96,55,55]\n");
}

TEST(json_with_a_sample_and_accept_png_gives_a_contact_sheet)
{
    assert_png(run("curl -s localhost:8080/convolve -d '{\"image\":{\"sample\":\"cat\","
                   "\"size\":227},\"weights\":\"learned96\",\"stride\":4}' "
                   "-H 'Accept: image/png' -o maps.png && cat maps.png"),
               12 * 55 + 11, 8 * 55 + 7, 1);
}

TEST(the_plan_prints_x_col_w_row_and_the_output)
{
    assert_string_equal(run("curl -s 'localhost:8080/plan?input=3x227x227&K=96&F=11&S=4' | "
                            "jq -c '.im2col.x_col,.im2col.w_row,.output.shape'")
                            .data,
                        "[363,3025]\n[96,363]\n[1,96,55,55]\n");
}
