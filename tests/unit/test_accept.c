/* Content negotiation. */
#include "api/accept.h"
#include "tests/testing.h"

static void assert_format(const char *accept, int expected)
{
    struct error err;
    int format = -1;

    if (!format_from_accept(accept, &format, &err))
        format = -err.code;
    if (format != expected)
        fail_msg("Accept: %s gives %d, not %d", accept, format, expected);
}

TEST(a_client_that_says_nothing_gets_json)
{
    assert_format("", FORMAT_JSON);
    assert_format("*/*", FORMAT_JSON);
    assert_format(" , ", FORMAT_JSON);
    assert_format("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FORMAT_JSON);
}

TEST(the_accepted_type_decides_the_format)
{
    assert_format("image/png", FORMAT_PNG);
    assert_format("IMAGE/PNG", FORMAT_PNG);
    assert_format("application/x-npy", FORMAT_NPY);
    assert_format("application/octet-stream", FORMAT_RAW);
    assert_format("image/*", FORMAT_PNG);
    assert_format("application/*", FORMAT_JSON);
    assert_format("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", FORMAT_PNG);
    assert_format("application/json;charset=utf-8", FORMAT_JSON);
}

TEST(weights_and_exactness_order_the_formats)
{
    assert_format("application/json;q=0.5, image/png;q=0.6", FORMAT_PNG);
    assert_format("application/json; q=0.5 , image/png ; q=0.4", FORMAT_JSON);
    assert_format("image/png,*/*", FORMAT_PNG);
    assert_format("*/*, image/png", FORMAT_PNG);
    assert_format("image/png,application/json", FORMAT_JSON);
    assert_format("application/json;q=0, */*", FORMAT_PNG);
    assert_format("application/*;q=0.1, application/x-npy;level=1;q=0.3", FORMAT_NPY);
}

TEST(a_client_that_wants_none_of_the_formats_is_told_what_there_is)
{
    assert_format("text/html", -ERR_ACCEPT);
    assert_format("image/webp", -ERR_ACCEPT);
    assert_format("image/png;q=0", -ERR_ACCEPT);
    assert_format("*/*;q=0", -ERR_ACCEPT);
    assert_format("application/jsonx", -ERR_ACCEPT);
    assert_format("garbage", -ERR_ACCEPT);
}
