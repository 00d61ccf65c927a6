/* libcurl as a client would use it, a bare socket, and a look into the replies. */
#include "tests/http/harness.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_S = 60, RAW_MS = 10000, RAW_MOST = 1 << 24 };

static struct answer *answers;

/* One request under way. */
struct transfer {
    CURL *curl;
    struct curl_slist *headers;
    curl_mime *mime;
    struct answer *answer;
    char error[CURL_ERROR_SIZE];
};

void client_end(void)
{
    while (answers) {
        struct answer *next = answers->next;

        cJSON_Delete(answers->json);
        free(answers->headers);
        free(answers->body);
        free(answers);
        answers = next;
    }
}

static size_t append(char **text, size_t *size, const char *data, size_t count)
{
    /* Grown by doubling, so that big replies are not copied over and over. */
    size_t room = 256;

    while (room < *size + 1)
        room *= 2;
    if (!*text || *size + count + 1 > room) {
        while (room < *size + count + 1)
            room *= 2;
        *text = realloc(*text, room);
    }
    if (!*text)
        return 0;
    memcpy(*text + *size, data, count);
    *size += count;
    (*text)[*size] = '\0';
    return count;
}

static size_t take_body(char *data, size_t one, size_t count, void *arg)
{
    struct answer *answer = arg;

    return append(&answer->body, &answer->size, data, one * count);
}

static size_t take_header(char *data, size_t one, size_t count, void *arg)
{
    struct answer *answer = arg;

    if (one * count > 5 && !memcmp(data, "HTTP/", 5))
        answer->headers_size = 0; /* a reply after 100 Continue starts anew */
    return append(&answer->headers, &answer->headers_size, data, one * count);
}

static void set_body(struct transfer *transfer, const struct call *call)
{
    if (call->parts) {
        transfer->mime = curl_mime_init(transfer->curl);
        for (const struct part *part = call->parts; part->name; part++) {
            curl_mimepart *mime = curl_mime_addpart(transfer->mime);

            curl_mime_name(mime, part->name);
            curl_mime_data(mime, part->data, part->size ? part->size : CURL_ZERO_TERMINATED);
            curl_mime_filename(mime, part->filename);
            curl_mime_type(mime, part->type);
        }
        curl_easy_setopt(transfer->curl, CURLOPT_MIMEPOST, transfer->mime);
    } else if (call->body) {
        size_t size = call->size ? call->size : strlen(call->body);

        curl_easy_setopt(transfer->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
        curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDS, call->body);
    }
    if (call->method && !strcmp(call->method, "HEAD"))
        curl_easy_setopt(transfer->curl, CURLOPT_NOBODY, 1L);
    else if (call->method)
        curl_easy_setopt(transfer->curl, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_headers(struct transfer *transfer, const struct call *call)
{
    /* curl's own Content-Type would be a form's; a missing one is sent as missing. */
    if (call->type)
        transfer->headers = curl_slist_append(NULL, text_format("Content-Type: %s", call->type));
    else if (call->body)
        transfer->headers = curl_slist_append(NULL, "Content-Type:");
    if (call->accept)
        transfer->headers =
            curl_slist_append(transfer->headers, text_format("Accept: %s", call->accept));
    for (int i = 0; i < 8 && call->headers[i]; i++)
        transfer->headers = curl_slist_append(transfer->headers, call->headers[i]);
    curl_easy_setopt(transfer->curl, CURLOPT_HTTPHEADER, transfer->headers);
}

static struct answer *answer_create(void)
{
    struct answer *answer = calloc(1, sizeof *answer);

    assert_non_null(answer);
    answer->next = answers;
    answers = answer;
    append(&answer->body, &answer->size, "", 0);
    append(&answer->headers, &answer->headers_size, "", 0);
    return answer;
}

static void transfer_init(struct transfer *transfer, struct daemon *daemon, const struct call *call)
{
    const char *url = (daemon ? daemon : daemon_shared())->url;

    *transfer = (struct transfer){ .curl = curl_easy_init(), .answer = answer_create() };
    assert_non_null(transfer->curl);
    set_body(transfer, call);
    set_headers(transfer, call);
    curl_easy_setopt(transfer->curl, CURLOPT_URL, text_format("%s%s", url, call->path));
    curl_easy_setopt(transfer->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(transfer->curl, CURLOPT_TIMEOUT, (long)ANSWER_S);
    curl_easy_setopt(transfer->curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(transfer->curl, CURLOPT_WRITEDATA, transfer->answer);
    curl_easy_setopt(transfer->curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(transfer->curl, CURLOPT_HEADERDATA, transfer->answer);
    curl_easy_setopt(transfer->curl, CURLOPT_ERRORBUFFER, transfer->error);
}

static void transfer_end(struct transfer *transfer, bool answered)
{
    long status = 0;
    double seconds = 0;

    if (answered) {
        curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(transfer->curl, CURLINFO_TOTAL_TIME, &seconds);
    }
    transfer->answer->status = (int)status;
    transfer->answer->ms = seconds * 1e3;
    curl_easy_cleanup(transfer->curl);
    curl_mime_free(transfer->mime);
    curl_slist_free_all(transfer->headers);
}

struct answer *http_call(struct daemon *daemon, const struct call *call)
{
    struct transfer transfer;
    CURLcode code;

    transfer_init(&transfer, daemon, call);
    code = curl_easy_perform(transfer.curl);
    transfer_end(&transfer, code == CURLE_OK);
    if (code != CURLE_OK)
        fail_msg("no answer to %s: %s (%s)", call->path, curl_easy_strerror(code), transfer.error);
    return transfer.answer;
}

struct answer *http_get(const char *path)
{
    return http_send(.path = path);
}

struct answer *http_json(const char *path, const char *json)
{
    return http_send(.path = path, .type = "application/json", .body = json);
}

void http_parallel(struct daemon *daemon, const struct call *calls, int count,
                   struct answer **replies)
{
    struct transfer *transfers = keep(calloc((size_t)count, sizeof *transfers));
    CURLM *multi = curl_multi_init();
    int open = count, left;

    assert_non_null(multi);
    for (int i = 0; i < count; i++) {
        transfer_init(&transfers[i], daemon, &calls[i]);
        curl_easy_setopt(transfers[i].curl, CURLOPT_PRIVATE, (char *)&transfers[i]);
        curl_easy_setopt(transfers[i].curl, CURLOPT_FRESH_CONNECT, 1L);
        curl_multi_add_handle(multi, transfers[i].curl);
    }
    while (curl_multi_perform(multi, &open) == CURLM_OK && open)
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
        struct transfer *transfer;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        if (message->data.result != CURLE_OK)
            transfer->error[0] = transfer->error[0] ? transfer->error[0] : '?';
        else
            transfer->error[0] = '\0';
    }
    for (int i = 0; i < count; i++) {
        curl_multi_remove_handle(multi, transfers[i].curl);
        transfer_end(&transfers[i], transfers[i].error[0] == '\0');
        replies[i] = transfers[i].answer;
    }
    curl_multi_cleanup(multi);
}

const char *answer_header(struct answer *answer, const char *name)
{
    size_t size = strlen(name);

    for (const char *line = answer->headers; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp(line, name, size) || line[size] != ':')
            continue;
        line += size + 1;
        line += strspn(line, " \t");
        return text_format("%.*s", (int)strcspn(line, "\r\n"), line);
    }
    return NULL;
}

const cJSON *answer_json(struct answer *answer, const char *path)
{
    const cJSON *at;
    char name[64];

    if (!answer->json)
        answer->json = cJSON_ParseWithLength(answer->body, answer->size);
    if (!answer->json)
        fail_msg("the body (status %d) is not JSON: %.300s", answer->status, answer->body);
    at = answer->json;
    while (*path && at) {
        size_t size = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)size, path);
        at = cJSON_IsArray(at) ? cJSON_GetArrayItem(at, atoi(name))
                               : cJSON_GetObjectItemCaseSensitive(at, name);
        path += size + (path[size] == '.');
    }
    if (!at)
        fail_msg("the reply (status %d) has no member %s: %.300s", answer->status, name,
                 answer->body);
    return at;
}

double answer_number(struct answer *answer, const char *path)
{
    const cJSON *number = answer_json(answer, path);

    if (!cJSON_IsNumber(number))
        fail_msg("%s is not a number in %.300s", path, answer->body);
    return number->valuedouble;
}

const char *answer_text(struct answer *answer, const char *path)
{
    const cJSON *text = answer_json(answer, path);

    if (!cJSON_IsString(text))
        fail_msg("%s is not a string in %.300s", path, answer->body);
    return text->valuestring;
}

const char *answer_print(struct answer *answer, const char *path)
{
    return keep(cJSON_PrintUnformatted(answer_json(answer, path)));
}

void assert_problem(struct answer *answer, int status, const char *slug, const char *pointer,
                    const char *words)
{
    if (answer->status != status)
        fail_msg("status %d, not %d: %.400s", answer->status, status, answer->body);
    assert_string_equal(answer_header(answer, "Content-Type"), "application/problem+json");
    assert_string_equal(answer_text(answer, "type"), text_format("/problems/%s", slug));
    assert_int_equal(answer_number(answer, "status"), status);
    assert_true(strlen(answer_text(answer, "title")) > 10);
    assert_true(strlen(answer_text(answer, "request_id")) > 0);
    assert_string_equal(answer_text(answer, "error"), answer_text(answer, "detail"));
    if (!strstr(answer_text(answer, "detail"), words))
        fail_msg("\"%s\" is not in: %s", words, answer->body);
    if (*pointer)
        assert_string_equal(answer_text(answer, "pointer"), pointer);
    else if (strstr(answer->body, "\"pointer\""))
        assert_string_equal(answer_text(answer, "pointer"), "");
}

int raw_open(struct daemon *daemon)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t)(daemon ? daemon : daemon_shared())->port);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        fail_msg("cannot connect: %s", strerror(errno));
    return fd;
}

void raw_write(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size) {
        ssize_t count = send(fd, at, size, MSG_NOSIGNAL);

        if (count <= 0)
            return; /* closed: what it has said is still to be read */
        at += count;
        size -= (size_t)count;
    }
}

/* The length of a whole reply in text, or 0 while some of it is missing. */
static size_t raw_complete(const char *text, size_t size)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");
    size_t header = end ? (size_t)(end - text) + 4 : 0;

    if (!end || !length || length > end)
        return 0;
    header += strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    return header <= size ? header : 0;
}

char *raw_read(int fd)
{
    char *text = NULL, buffer[65536];
    size_t size = 0;

    append(&text, &size, "", 0);
    while (size < RAW_MOST && !raw_complete(text, size)) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        ssize_t count = poll(&wait, 1, RAW_MS) > 0 ? recv(fd, buffer, sizeof buffer, 0) : -1;

        if (count <= 0)
            break;
        append(&text, &size, buffer, (size_t)count);
    }
    return keep(text);
}

char *raw_exchange(struct daemon *daemon, const char *text)
{
    int fd = raw_open(daemon);
    char *reply;

    raw_write(fd, text, strlen(text));
    reply = raw_read(fd);
    close(fd);
    return reply;
}
