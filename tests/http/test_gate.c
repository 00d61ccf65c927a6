/* What libmicrohttpd lets pass and two readers could read in two ways: each is refused, and the
 * connection ends, so that nothing behind it is taken for a request. */
#include "tests/http/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define POSTED "POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
#define GOT    "GET /livez HTTP/1.1\r\nHost: localhost\r\n"
#define BEHIND "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* Sends size bytes and reads until the server closes; how many replies there were in *replies. */
static char *until_closed(const char *request, size_t size, int *replies)
{
    enum { MOST = 1 << 16 };
    char *reply = keep(calloc(1, MOST + 1));
    struct timeval patience = { .tv_sec = 5 };
    int fd = raw_open(NULL);
    size_t used = 0;
    ssize_t got;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    raw_write(fd, request, size);
    while ((got = recv(fd, reply + used, MOST - used, 0)) > 0)
        used += (size_t)got;
    if (got < 0 && errno != ECONNRESET)
        fail_msg("the connection stays open after %.60s", reply);
    close(fd);
    *replies = 0;
    for (const char *at = reply; (at = strstr(at, "HTTP/1.1 ")); at++)
        ++*replies;
    return reply;
}

static void assert_refused(const char *request, size_t size, int status)
{
    int replies;
    char *with = keep(malloc(size + sizeof BEHIND)), *reply;

    memcpy(with, request, size);
    memcpy(with + size, BEHIND, sizeof BEHIND);
    reply = until_closed(with, size + sizeof BEHIND - 1, &replies);
    if (atoi(reply + strlen("HTTP/1.1 ")) != status)
        fail_msg("%d expected for %s\ngot %.200s", status, request, reply);
    assert_null(strstr(reply, "ready\n"));
}

#define REFUSED(name, status, text)                                                                \
    TEST(name)                                                                                     \
    {                                                                                              \
        assert_refused(text, sizeof(text) - 1, status);                                            \
    }

REFUSED(two_equal_lengths_are_refused, 400,
        POSTED "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}")
REFUSED(two_different_lengths_are_refused, 400,
        POSTED "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
REFUSED(a_length_that_is_a_list_is_refused, 400, POSTED "Content-Length: 2, 2\r\n\r\n{}")
REFUSED(a_signed_length_is_refused, 400, POSTED "Content-Length: +2\r\n\r\n{}")
REFUSED(a_negative_length_is_refused, 400, POSTED "Content-Length: -1\r\n\r\n{}")
REFUSED(a_length_of_all_bits_is_refused, 400,
        POSTED "Content-Length: 18446744073709551615\r\n\r\n{}")
REFUSED(a_length_over_64_bits_is_refused, 413,
        POSTED "Content-Length: 18446744073709551616\r\n\r\n{}")
REFUSED(a_length_and_chunks_are_refused, 400,
        POSTED "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
REFUSED(chunks_said_twice_are_refused, 400,
        POSTED "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
REFUSED(an_unknown_encoding_is_refused, 501, POSTED "Transfer-Encoding: xchunked\r\n\r\n")
REFUSED(a_list_of_encodings_is_refused, 501,
        POSTED "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
REFUSED(chunks_in_http_1_0_are_refused, 400,
        "POST /convolve HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
REFUSED(a_chunk_with_a_negative_size_is_refused, 400,
        POSTED "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n")
REFUSED(a_chunk_with_a_0x_size_is_refused, 400,
        POSTED "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n")
REFUSED(a_blank_before_the_colon_is_refused, 400, POSTED "Content-Length : 2\r\n\r\n{}")
REFUSED(a_folded_header_is_refused, 400, POSTED "X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}")
REFUSED(a_length_folded_together_is_refused, 400, POSTED "Content: 2\r\n -Length\r\n\r\n{}")
REFUSED(a_folded_value_is_refused, 400, POSTED "Content-Length:\r\n 2\r\n\r\n{}")
REFUSED(a_control_byte_in_a_header_is_refused, 400, GOT "X: a\001b\r\n\r\n")
REFUSED(a_bare_carriage_return_is_refused, 400, GOT "X: a\rContent-Length: 5\r\n\r\n")
REFUSED(a_nul_in_a_header_is_refused, 400, GOT "X: a\0b\r\nY: c\r\n\r\n")
REFUSED(a_nul_in_the_last_header_is_refused, 400, GOT "X: a\0b\r\n\r\n")
REFUSED(a_nul_behind_the_length_is_refused, 400, POSTED "Content-Length: 2\0\r\n\r\n{}")
REFUSED(a_header_without_a_name_is_refused, 400, GOT ": a\r\n\r\n")
REFUSED(a_header_without_a_colon_is_refused, 400, GOT "abc\r\n\r\n")
REFUSED(bare_line_feeds_are_refused, 400, "GET /livez HTTP/1.1\nHost: localhost\n\n")
REFUSED(a_second_host_is_refused, 400, GOT "Host: localhost\r\n\r\n")
REFUSED(a_missing_host_is_refused, 400, "GET /livez HTTP/1.1\r\n\r\n")
REFUSED(a_method_that_is_no_token_is_refused, 400, "GE(T /livez HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(a_nul_in_the_method_is_refused, 400, "GET\0 /livez HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(a_nul_in_the_path_is_refused, 400, "GET /livez\0x HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(an_encoded_nul_is_refused, 400, "GET /livez%00x HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(an_encoded_slash_is_refused, 400, "GET /filters%2fedges HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(a_backslash_is_refused, 400, "GET /filters\\edges HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(dot_segments_are_refused, 400, "GET /filters/../livez HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(encoded_dot_segments_are_refused, 400, "GET /a/%2e%2e/livez HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(a_broken_escape_is_refused, 400, "GET /livez%4 HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(two_spaces_before_the_path_are_refused, 400, "GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(two_spaces_behind_the_path_are_refused, 400, "GET /livez  HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(a_space_in_the_path_is_refused, 400, "GET /li vez HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(an_absolute_target_is_refused, 400, "GET http://a/livez HTTP/1.1\r\nHost: a\r\n\r\n")
REFUSED(http_2_is_refused, 505, "GET /livez HTTP/2.0\r\nHost: a\r\n\r\n")
REFUSED(http_1_2_is_refused, 400, "GET /livez HTTP/1.2\r\nHost: a\r\n\r\n")

TEST(more_than_64_headers_are_refused)
{
    char *request = keep(calloc(1, 4096));

    strcpy(request, GOT);
    for (int i = 0; i < 64; i++)
        sprintf(request + strlen(request), "X%d: a\r\n", i);
    strcat(request, "\r\n");
    assert_refused(request, strlen(request), 400);
}

TEST(headers_over_32_kib_are_431)
{
    char *request = keep(calloc(1, 50000));

    strcpy(request, GOT "X: ");
    memset(request + strlen(request), 'a', 40000);
    strcat(request, "\r\n\r\n");
    assert_refused(request, strlen(request), 431);
}

TEST(blanks_around_a_value_and_empty_values_are_fine)
{
    char *reply = raw_exchange(NULL, GOT "X:a\r\nY:  \t b c \t\r\nZ:\r\nW: \r\n\r\n");

    assert_memory_equal(reply, "HTTP/1.1 200 ", 13);
}

/* libmicrohttpd moves its buffer as a head grows: the gate must not take that for a fold. */
TEST(a_long_head_that_comes_in_small_pieces_is_fine)
{
    char *request = keep(calloc(1, 30000));
    int fd = raw_open(NULL);
    size_t size;

    strcpy(request, GOT);
    for (int i = 0; i < 50; i++)
        sprintf(request + strlen(request), "X%d: %0*d\r\n", i, 10 * i, 0);
    strcat(request, "\r\n");
    size = strlen(request);
    for (size_t i = 0; i < size; i += 97) {
        raw_write(fd, request + i, size - i < 97 ? size - i : 97);
        usleep(200);
    }
    assert_memory_equal(raw_read(fd), "HTTP/1.1 200 ", 13);
    close(fd);
}

TEST(requests_in_one_packet_are_answered_in_their_order)
{
    static const char three[] = GOT "\r\n" BEHIND "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n"
                                    "Connection: close\r\n\r\n";
    int replies;
    char *reply = until_closed(three, sizeof three - 1, &replies);
    char *alive = strstr(reply, "alive\n"), *ready = strstr(reply, "ready\n");

    assert_int_equal(replies, 3);
    assert_true(alive && ready && alive < ready);
    assert_non_null(strstr(ready, "404"));
}

TEST(a_body_on_a_get_and_on_a_wrong_path_is_not_taken_for_the_next_request)
{
    static const char requests[] = GOT "Content-Length: 5\r\n\r\nabcde"
                                       "POST /nowhere HTTP/1.1\r\nHost: localhost\r\n"
                                       "Content-Length: 5\r\n\r\nGET /"
                                       "GET /readyz HTTP/1.1\r\nHost: localhost\r\n"
                                       "Connection: close\r\n\r\n";
    int replies;
    char *reply = until_closed(requests, sizeof requests - 1, &replies);

    assert_int_equal(replies, 3);
    assert_non_null(strstr(reply, "404"));
    assert_non_null(strstr(reply, "ready\n"));
}

TEST(a_body_over_the_limit_is_413_before_it_is_sent)
{
    char *reply = raw_exchange(NULL, POSTED "Content-Length: 999999999\r\n\r\n");

    assert_memory_equal(reply, "HTTP/1.1 413 ", 13);
    assert_non_null(strstr(reply, "999999999"));
}

TEST(chunks_over_the_limit_are_413_after_at_most_a_mebibyte_more)
{
    struct daemon *daemon = daemon_start("--max-body", "100KiB");
    char *chunk = keep(malloc(65536 + 9)), *reply;
    int fd = raw_open(daemon), sent = 0;

    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, 'a', 65536);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    raw_write(fd, POSTED "Transfer-Encoding: chunked\r\n\r\n",
              strlen(POSTED "Transfer-Encoding: chunked\r\n\r\n"));
    while (sent < 400 && send(fd, chunk, 65536 + 9, MSG_NOSIGNAL) > 0)
        sent++;
    reply = raw_read(fd);
    close(fd);
    assert_true(sent < 400); /* 25 MiB would have to go through buffers of a few */
    if (*reply)              /* a reset may have overtaken it */
        assert_memory_equal(reply, "HTTP/1.1 413 ", 13);
    assert_int_equal(http_call(daemon, &(struct call){ .path = "/livez" })->status, 200);
    assert_int_equal(daemon_stop(daemon), 0);
}
