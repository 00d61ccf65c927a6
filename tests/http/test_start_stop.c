/* The daemon's life as its neighbours see it. */
#include "tests/http/harness.h"

TEST(it_says_where_it_listens_and_ends_with_0_on_sigterm)
{
    struct daemon *daemon = daemon_start();

    assert_int_equal(http_call(daemon, &(struct call){ .path = "/livez" })->status, 200);
    assert_int_equal(daemon_stop(daemon), 0);
}

TEST(a_request_without_a_content_type_and_one_on_a_bare_socket_are_answered)
{
    char *reply = raw_exchange(NULL, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");

    assert_memory_equal(reply, "HTTP/1.1 200 ", 13);
    assert_int_equal(http_send(.path = "/convolve", .body = "{}")->status, 400);
}
